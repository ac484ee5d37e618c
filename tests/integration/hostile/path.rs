//! Paths that lead somewhere else for somebody who tidies them up: past the route of another service, out of mounted files.
//!
//! The host never tidies: a path is routed, and handed on, as the client wrote it (RFC 3986 §6 leaves that to each).

use std::fs;
use std::path::Path;

use super::assert_all;
use super::wire::{answers, talk};
use crate::harness::TestHost;

const TRAVERSAL: &str = "RFC 3986 §5.2.4, WSTG-ATHZ-01";

/// `..`, and ways to write it that somebody decodes at last.
const UP: [&str; 19] = [
    "..",
    "%2e%2e",
    "%2E%2E",
    ".%2e",
    "%2e.",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "..;",
    "..;a=b",
    "%2e%2e;",
    "...",
    "....",
    "..%00",
    "..%20",
    "..%09",
    "..%0d%0a",
    "\u{ff0e}\u{ff0e}",
];

/// `/`, and ways to write it.
const SLASH: [&str; 9] = ["/", "%2f", "%2F", "%5c", "%252f", "//", "/./", "%c0%af", "/%2f"];

/// A host with an open service and a secret one, which answers everything in the same way.
async fn open_and_secret() -> TestHost {
    TestHost::builder()
        .service("open", "http-p2")
        .service("secret", "hello-p2")
        .service("front", "http-p3")
        .route("/open/...", "open")
        .route("/secret/...", "secret")
        .route("/front/:name", "front")
        .start()
        .await
}

/// What answers a path: the service that the secret one is, another one, or none.
async fn answered(host: &TestHost, path: &str) -> Result<(u16, bool), String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    let (said, closed) = talk(host.address, request.as_bytes(), false).await;
    let answers = answers(&said)?;
    match answers.as_slice() {
        [answer] if closed => Ok((answer.status, answer.body == b"Hello, world!")),
        _ => Err(format!("{} answers", answers.len())),
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_reaches_the_route_of_another_service() {
    let host = open_and_secret().await;
    assert_eq!(answered(&host, "/secret/x").await, Ok((200, true)));
    let mut paths = Vec::new();
    for up in UP {
        for slash in SLASH {
            paths.push(format!("/open/{up}{slash}secret/x"));
            paths.push(format!("/open/a{slash}{up}{slash}{up}{slash}secret/x"));
            paths.push(format!("/front/{up}{slash}secret/x"));
            paths.push(format!("/{up}{slash}secret/x"));
        }
    }
    for path in [
        "/open/hello/../../secret/x",
        "/./secret/x",
        "/%2fsecret/x",
        "/%73ecret/x",
        "/secre%74/x",
        "/SECRET/x",
        "/secret%2fx",
        "/secret;/x",
        "/secret;a=b/x",
        "/;/secret/x",
        "/secret%00/x",
        "/secret%20/x",
        "/secret./x",
        "/secret%0a/x",
        "\\secret\\x",
        "/\\secret/x",
        "/secret\\x",
        "/secre\u{300}t/x",
        "/\u{17f}ecret/x",
        "/open?/../secret/x",
        "/open/?x=/secret/x",
        "/open#/secret/x",
        "/open/#/../secret/x",
        "/secret%3fx",
        "/*/secret/x",
        "/.../secret/x",
        "/:name/secret/x",
    ] {
        paths.push(path.to_owned());
    }
    let mut wrong = Vec::new();
    for path in &paths {
        match answered(&host, path).await {
            // The open service has no such behaviour, or there is no route, or the path is none.
            Ok((400 | 404, false)) => {}
            // It may have one behind a query or a fragment, or a name in the path.
            Ok((200, false)) => {}
            other => wrong.push(format!("- {path} ({TRAVERSAL}): {other:?}")),
        }
    }
    // Slashes at both ends mean nothing to the router, which is no way around it: it is the same route.
    for path in [
        "//secret/x",
        "/secret/x/",
        "/secret//x",
        "/secret/../open/x",
        "/secret/%2e%2e/open/x",
    ] {
        if answered(&host, path).await != Ok((200, true)) {
            wrong.push(format!("- {path}: is not a path of the secret service"));
        }
    }
    assert_all(paths.len(), &wrong);
    super::end(host).await;
}

#[tokio::test]
async fn a_guest_sees_the_path_as_it_was_written() {
    let host = super::guests().await;
    for path in [
        "/p2/headers/?..%2f%2e%2e",
        "/p2/headers?a=%00&b=%c0%af&c=..\\..&d=//",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        let (said, _) = talk(host.address, request.as_bytes(), false).await;
        let answers = answers(&said).expect("well framed");
        let seen: serde_json::Value = serde_json::from_slice(&answers[0].body).expect("JSON");
        assert_eq!(seen["path"], path);
    }
    super::stop(host).await;
}

/// A host whose guests open the path that they are asked for, below `/mounted`.
async fn with_files() -> TestHost {
    let builder = TestHost::builder()
        .service("p2", "http-p2")
        .grant("files = [{ source = \"assets\", destination = \"/mounted\" }]")
        .service("p3", "http-p3")
        .grant("files = [{ source = \"assets\", destination = \"/mounted\" }]")
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .file("assets/a.txt", "asset a")
        .file("assets/deep/b.txt", "asset b")
        .file("outside.txt", "outside of every mount");
    // A link may stay within what is mounted; it is followed once, when files are copied.
    std::os::unix::fs::symlink("../a.txt", builder.folder().join("assets/deep/link.txt"))
        .expect("the folder is ours");
    builder.start().await
}

/// The status and the text of an operation on a path, which is percent-encoded to a byte each.
async fn file(host: &TestHost, guest: &str, operation: &str, path: &[u8]) -> (u16, String) {
    let path: String = path.iter().map(|byte| format!("%{byte:02x}")).collect();
    let answer = host
        .get(&format!("/{guest}/files?op={operation}&path={path}"))
        .await;
    (answer.status.as_u16(), answer.text())
}

#[tokio::test]
async fn a_guest_that_opens_what_it_is_asked_for_stays_within_its_files() {
    let host = with_files().await;
    let mut paths: Vec<Vec<u8>> = Vec::new();
    for up in UP {
        for slash in ["/", "\\", "//", "/./", "%2f", "%5c"] {
            for target in [
                "outside.txt",
                "etc/passwd",
                "etc/hostname",
                "proc/self/environ",
                "dev/null",
            ] {
                paths.push(format!("/mounted{slash}{up}{slash}{target}").into_bytes());
                paths.push(
                    format!(
                        "/mounted/deep{slash}{}{target}",
                        format!("{up}{slash}").repeat(12)
                    )
                    .into_bytes(),
                );
                paths.push(format!("{}{target}", format!("{up}{slash}").repeat(12)).into_bytes());
            }
        }
    }
    for path in [
        &b"/etc/passwd"[..],
        b"//etc/passwd",
        b"/mounted/a.txt\0/../../etc/passwd",
        b"/etc/passwd\0.txt",
        b"/mounted\0",
        b"\0",
        b"",
        b"/mounted/\xc0\xae\xc0\xae/etc/passwd",
        b"/mounted/\xff",
        b"/mounted/a.txt/../../etc/passwd",
        b"/mounted/a.txt/",
        b"file:///etc/passwd",
        b"/proc/self/root/etc/passwd",
        b"/proc/self/cwd/outside.txt",
        b"/dev/stdin",
        b"C:\\windows\\win.ini",
        b"~/.ssh/id_rsa",
        b"/mounted/../state/admin.token",
    ] {
        paths.push(path.to_vec());
    }
    let long = [b"/mounted/".to_vec(), b"a/".repeat(3000)].concat();
    paths.push(long);
    let mut wrong = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        // Both kinds of guests meet the same copy through the same code; each path is tried by one of them.
        let guest = if number % 2 == 0 { "p2" } else { "p3" };
        let (status, text) = file(&host, guest, "read", path).await;
        if status != 403 {
            wrong.push(format!(
                "- {guest} reads {:?} ({TRAVERSAL}): {status} {text:?}",
                String::from_utf8_lossy(path)
            ));
        }
    }
    assert_all(paths.len(), &wrong);
    for guest in ["p2", "p3"] {
        for (path, text) in [
            ("/mounted/deep/../a.txt", "asset a"),
            ("/mounted/./deep//b.txt", "asset b"),
            ("/mounted/deep/link.txt", "asset a"),
        ] {
            assert_eq!(
                file(&host, guest, "read", path.as_bytes()).await,
                (200, text.to_owned()),
                "{guest}: {path}"
            );
        }
    }
    super::stop(host).await;
}

#[tokio::test]
async fn a_guest_changes_nothing_by_any_operation() {
    let host = with_files().await;
    let mut wrong = Vec::new();
    let mut rows = 0;
    for guest in ["p2", "p3"] {
        for operation in [
            "write", "create", "append", "truncate", "remove", "rmdir", "mkdir", "rename", "link", "touch",
        ] {
            for path in [
                "/mounted/a.txt",
                "/mounted/new",
                "/mounted/deep",
                "/mounted/deep/link.txt",
                "/mounted/../outside.txt",
                "/new",
                "/mounted",
            ] {
                rows += 1;
                let (status, text) = file(&host, guest, operation, path.as_bytes()).await;
                if status != 403 {
                    wrong.push(format!("- {guest}: {operation} {path}: {status} {text:?}"));
                }
            }
        }
        assert_eq!(file(&host, guest, "list", b"/mounted").await.1, "a.txt\ndeep");
        assert_eq!(file(&host, guest, "read", b"/mounted/a.txt").await.1, "asset a");
    }
    assert_all(rows, &wrong);
    super::stop(host).await;
}

#[tokio::test]
async fn a_link_that_appears_after_the_start_leads_nowhere() {
    let builder = TestHost::builder()
        .service("p2", "http-p2")
        .grant("files = [{ source = \"assets\", destination = \"/mounted\" }]")
        .route("/p2/...", "p2")
        .file("assets/a.txt", "asset a")
        .file("outside.txt", "outside of every mount");
    let host = builder.start().await;
    let assets = builder.folder().join("assets");
    std::os::unix::fs::symlink("../outside.txt", assets.join("link.txt")).expect("the folder is ours");
    std::os::unix::fs::symlink("/etc", assets.join("etc")).expect("the folder is ours");
    fs::remove_file(assets.join("a.txt")).expect("the folder is ours");
    std::os::unix::fs::symlink("../outside.txt", assets.join("a.txt")).expect("the folder is ours");
    for path in ["/mounted/link.txt", "/mounted/etc/passwd"] {
        assert_eq!(file(&host, "p2", "read", path.as_bytes()).await.0, 403, "{path}");
    }
    // The guest has a copy.
    assert_eq!(
        file(&host, "p2", "read", b"/mounted/a.txt").await,
        (200, "asset a".into())
    );
    assert!(Path::new(&assets.join("link.txt")).exists());
    host.stop().await;
}
