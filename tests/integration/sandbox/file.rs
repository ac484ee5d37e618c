//! Files: no function of either interface changes one, and no path leads out of what is mounted.

use super::{GUESTS, attempts, sandboxed};

/// What a guest may try to change.
const CHANGES: [&str; 13] = [
    "append by stream",
    "create only",
    "create to read",
    "create to write",
    "link",
    "link symbolically",
    "make a directory",
    "open to write",
    "remove a directory",
    "rename",
    "set the size",
    "set the times by path",
    "truncate",
];

#[tokio::test]
async fn no_way_to_change_a_file_and_none_out_of_the_mounts() {
    let host = sandboxed("files = [{ source = \"assets\", destination = \"/\" }]")
        .file("assets/a.txt", "asset a")
        .file("assets/deep/b.txt", "asset b")
        .file("outside.txt", "outside of every mount")
        .start()
        .await;
    for guest in GUESTS {
        let first = attempts(&host, &format!("/{guest}/files")).await;
        for change in CHANGES {
            assert!(first.contains_key(change), "{guest} did not try to {change}");
        }
        let escapes = first
            .keys()
            .filter(|name| name.contains("..") || name.contains("\"/"));
        assert!(escapes.count() > 50, "{guest} hardly tried to leave: {first:?}");
        let done: Vec<&String> = first
            .iter()
            .filter(|(_, outcome)| *outcome == "ok")
            .map(|(name, _)| name)
            .collect();
        assert!(done.is_empty(), "{guest} could {done:?}");
        // Whatever the errors said, nothing has changed for the next one.
        assert_eq!(
            first,
            attempts(&host, &format!("/{guest}/files")).await,
            "{guest}"
        );
    }
}

/// Each open file is a file descriptor of the host, of which other services need some too.
#[tokio::test]
async fn a_guest_cannot_keep_files_open_without_end() {
    let host = sandboxed("files = [{ source = \"assets\", destination = \"/\" }]")
        .file("assets/a.txt", "asset a")
        .file("assets/deep/b.txt", "asset b")
        .start()
        .await;
    for guest in GUESTS {
        let some = host.get(&format!("/{guest}/hoard/100")).await;
        assert_eq!(
            (some.status.as_u16(), some.text()),
            (200, "100".into()),
            "{guest}"
        );
        let most = host.get(&format!("/{guest}/hoard/2000")).await;
        let opened: Result<usize, _> = most.text().parse();
        assert!(
            most.status == 500 || opened.is_ok_and(|opened| opened < 500),
            "{guest}: {}",
            most.text()
        );
    }
}

#[tokio::test]
async fn without_files_there_is_no_directory_to_start_from() {
    let host = sandboxed("").start().await;
    for guest in GUESTS {
        assert!(
            attempts(&host, &format!("/{guest}/files")).await.is_empty(),
            "{guest}"
        );
    }
}
