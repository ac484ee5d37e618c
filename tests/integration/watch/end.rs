//! Ctrl-C.

use rustix::process::Signal;

use super::*;

#[tokio::test]
async fn a_watch_ends_with_the_host() {
    let mut watched = Project::two().start().await;
    watched.save("a.txt", "r2");
    watched.serves("/a/", "r2").await;
    watched.host.signal(Signal::INT);
    let status = watched.host.finish().await;
    assert_eq!(status.code(), Some(0), "{}", watched.host.log_text());
    watched.hears("stopped").await;
}

#[tokio::test]
async fn a_build_that_runs_ends_with_the_host() {
    let mut watched = Project::two().service("slow", WAIT, "").start().await;
    watched.save("slow.txt", "r2");
    let pid = watched.folder.join("pid");
    eventually("the build to begin", async || pid.exists()).await;
    let pid = fs::read_to_string(pid).expect("the build wrote it");
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists(), "the build runs");
    watched.host.signal(Signal::INT);
    let status = watched.host.finish().await;
    assert_eq!(status.code(), Some(0), "{}", watched.host.log_text());
    eventually("the build to end", async || !process.exists()).await;
    let said = watched.host.log_text();
    assert!(!said.contains("the build failed"), "{said}");
    assert!(!said.contains("published in"), "{said}");
}
