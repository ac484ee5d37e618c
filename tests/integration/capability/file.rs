//! Mounted files: readable, unchangeable, and no way out.

use super::{GUESTS, http};
use crate::harness::TestHost;

async fn host() -> TestHost {
    http("files = [{ source = \"assets\", destination = \"/mounted\" }, \"notes/*.txt\"]")
        .file("assets/a.txt", "asset a")
        .file("assets/deep/b.txt", "asset b")
        .file("notes/one.txt", "note one")
        .file("notes/two.md", "not mounted")
        .file("outside.txt", "outside of every mount")
        .start()
        .await
}

async fn file(host: &TestHost, guest: &str, operation: &str, path: &str) -> (u16, String) {
    let answer = host
        .get(&format!("/{guest}/files?op={operation}&path={path}"))
        .await;
    (answer.status.as_u16(), answer.text())
}

#[tokio::test]
async fn a_guest_reads_what_is_mounted() {
    let host = host().await;
    for guest in GUESTS {
        assert_eq!(
            file(&host, guest, "read", "/mounted/a.txt").await,
            (200, "asset a".into())
        );
        assert_eq!(
            file(&host, guest, "read", "/mounted/deep/b.txt").await,
            (200, "asset b".into())
        );
        assert_eq!(
            file(&host, guest, "read", "/notes/one.txt").await,
            (200, "note one".into())
        );
        assert_eq!(
            file(&host, guest, "list", "/notes").await,
            (200, "one.txt".into())
        );
    }
}

#[tokio::test]
async fn a_guest_changes_nothing() {
    let host = host().await;
    for guest in GUESTS {
        for (operation, path) in [
            ("write", "/mounted/a.txt"),
            ("create", "/mounted/new.txt"),
            ("remove", "/mounted/a.txt"),
            ("remove", "/notes/one.txt"),
        ] {
            assert_eq!(
                file(&host, guest, operation, path).await.0,
                403,
                "{guest}: {operation} {path}"
            );
        }
        assert_eq!(file(&host, guest, "read", "/mounted/a.txt").await.1, "asset a");
    }
}

#[tokio::test]
async fn a_guest_does_not_leave_its_mounts() {
    let host = host().await;
    for guest in GUESTS {
        for path in [
            "/mounted/../outside.txt",
            "/outside.txt",
            "/notes/two.md",
            "/etc/passwd",
            "../../../../etc/passwd",
            "/mounted/deep/../../../../../../etc/passwd",
        ] {
            let (status, text) = file(&host, guest, "read", path).await;
            assert_eq!(status, 403, "{guest} read {path}: {text}");
        }
    }
}

#[tokio::test]
async fn a_link_out_of_what_is_mounted_is_refused_at_the_start() {
    for target in ["../outside.txt", "/etc/passwd"] {
        let builder = http("files = [{ source = \"assets\", destination = \"/mounted\" }]")
            .file("assets/a.txt", "asset a")
            .file("outside.txt", "outside of every mount");
        std::os::unix::fs::symlink(target, builder.folder().join("assets/link.txt")).unwrap();
        let failure = builder.fail().await;
        assert!(failure.stderr.contains("assets/link.txt"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_running_guest_keeps_the_files_that_it_started_with() {
    let builder = http("files = [\"a.txt\"]").file("a.txt", "as it was");
    let host = builder.start().await;
    let builder = builder.file("a.txt", "changed since");
    for guest in GUESTS {
        assert_eq!(
            file(&host, guest, "read", "/a.txt").await,
            (200, "as it was".into())
        );
    }
    host.stop().await;
    let host = builder.start().await;
    for guest in GUESTS {
        assert_eq!(
            file(&host, guest, "read", "/a.txt").await,
            (200, "changed since".into())
        );
    }
}

#[tokio::test]
async fn without_a_mount_there_are_no_files() {
    let host = http("").start().await;
    for guest in GUESTS {
        assert_eq!(file(&host, guest, "list", "/").await.0, 403);
        assert_eq!(file(&host, guest, "create", "/new.txt").await.0, 403);
    }
}
