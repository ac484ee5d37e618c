//! Mounted files: readable, unchangeable, and no way out.

use super::{GUESTS, http};
use crate::harness::TestHost;

async fn host() -> TestHost {
    let builder = http("files = [{ source = \"assets\", destination = \"/mounted\" }, \"notes/*.txt\"]")
        .file("assets/a.txt", "asset a")
        .file("assets/deep/b.txt", "asset b")
        .file("notes/one.txt", "note one")
        .file("notes/two.md", "not mounted")
        .file("outside.txt", "outside of every mount");
    std::os::unix::fs::symlink("../outside.txt", builder.folder().join("assets/link.txt")).unwrap();
    builder.start().await
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
            "/mounted/link.txt",
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
async fn without_a_mount_there_are_no_files() {
    let host = http("").start().await;
    for guest in GUESTS {
        assert_eq!(file(&host, guest, "list", "/").await.0, 403);
        assert_eq!(file(&host, guest, "create", "/new.txt").await.0, 403);
    }
}
