//! Downloads from small servers on the loopback interface, some of which misbehave.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::adapter::blocking::BlockingSettings;
use crate::adapter::http_client::{PooledClient, Settings, Spawner};

const COMPONENT: &[u8] = b"\0asm and so on";

/// What a server answers to a path: a head without its first line's version, and a body. A body of `None` never comes.
type Answers = fn(path: &str) -> (String, Option<&'static [u8]>);

struct Server {
    url: String,
    requests: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

async fn serve(answers: Answers) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (requests, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (counted, seen) = (Arc::clone(&requests), Arc::clone(&heads));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            counted.fetch_add(1, Ordering::SeqCst);
            let head = String::from_utf8(head).unwrap();
            let (answer, body) = answers(head.split(' ').nth(1).unwrap());
            seen.lock().push(head);
            tokio::spawn(async move {
                // A client that goes away is what some tests do.
                let _ = stream
                    .write_all(format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n").as_bytes())
                    .await;
                match body {
                    Some(body) => drop(stream.write_all(body).await),
                    None => std::future::pending().await,
                }
            });
        }
    });
    Server { url, requests, heads }
}

fn ok(_: &str) -> (String, Option<&'static [u8]>) {
    (
        format!("200 OK\r\ncontent-length: {}", COMPONENT.len()),
        Some(COMPONENT),
    )
}

fn downloads(dir: &Path, settings: DownloadSettings) -> Downloads {
    let client = PooledClient::load(Settings::default(), Spawner::new(|task| drop(tokio::spawn(task))));
    let blocking = Blocking::new(BlockingSettings::default());
    Downloads::open(
        dir.join("downloads"),
        Arc::new(client.unwrap()),
        blocking,
        settings,
    )
    .unwrap()
}

fn bounds() -> DownloadSettings {
    DownloadSettings {
        max_bytes: 1024,
        patience: Duration::from_secs(30),
    }
}

/// The error of a download of `path`, with `{server}` for the server in its text, and that nothing is kept of it.
async fn refused(answers: Answers, path: &str) -> (DownloadError, String) {
    let (dir, server) = (tempfile::tempdir().unwrap(), serve(answers).await);
    let downloads = downloads(dir.path(), bounds());
    let error = downloads
        .load(&format!("{}{path}", server.url), Digest::of(COMPONENT))
        .await
        .unwrap_err();
    assert_eq!(fs::read_dir(&downloads.dir).unwrap().count(), 0, "{error}");
    let text = error.to_string().replace(&server.url, "{server}");
    (error, text)
}

#[tokio::test]
async fn a_component_is_fetched_once_and_kept_for_this_user() {
    let (dir, server) = (tempfile::tempdir().unwrap(), serve(ok).await);
    let digest = Digest::of(COMPONENT);
    for _ in 0..3 {
        let downloads = downloads(dir.path(), bounds());
        assert_eq!(
            downloads
                .load(&format!("{}/a.wasm#part", server.url), digest)
                .await
                .unwrap(),
            COMPONENT
        );
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
    assert!(server.heads.lock()[0].starts_with("GET /a.wasm HTTP/1.1\r\n"));
    let dir = dir.path().join("downloads");
    let file = dir.join(format!("{digest}.wasm"));
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}

#[tokio::test]
async fn a_damaged_copy_is_fetched_anew() {
    let (dir, server) = (tempfile::tempdir().unwrap(), serve(ok).await);
    let (downloads, digest) = (downloads(dir.path(), bounds()), Digest::of(COMPONENT));
    let file = downloads.dir.join(format!("{digest}.wasm"));
    for damage in [&b"\0asm and so no"[..], b"", &[0; 2000]] {
        fs::write(&file, damage).unwrap();
        assert_eq!(downloads.load(&server.url, digest).await.unwrap(), COMPONENT);
        assert_eq!(fs::read(&file).unwrap(), COMPONENT);
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_has_another_digest_is_neither_used_nor_kept() {
    fn other(_: &str) -> (String, Option<&'static [u8]>) {
        ("200 OK".into(), Some(b"\0asm and evil"))
    }
    let (error, text) = refused(other, "/a.wasm").await;
    let (found, expected) = (Digest::of(b"\0asm and evil"), Digest::of(COMPONENT));
    assert_eq!(
        text,
        format!(
            "what {{server}}/a.wasm gives has the digest sha256:{found}, and sha256:{expected} is expected"
        )
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains(&format!("digest = \"sha256:{found}\""))
    );
}

#[tokio::test]
async fn redirects_are_followed_up_to_five() {
    fn moved(path: &str) -> (String, Option<&'static [u8]>) {
        match path {
            "/5" => ok(path),
            "/loop" => ("302 Found\r\nlocation: /loop".into(), Some(b"")),
            "/file" => ("302 Found\r\nlocation: file:///etc/passwd".into(), Some(b"")),
            "/nowhere" => ("301 Moved Permanently".into(), Some(b"")),
            path => {
                let next = path[1..].parse::<u32>().unwrap() + 1;
                (
                    format!("307 Temporary Redirect\r\nlocation: {next}\r\ncontent-length: 0"),
                    Some(b""),
                )
            }
        }
    }
    let (dir, server) = (tempfile::tempdir().unwrap(), serve(moved).await);
    let downloads = downloads(dir.path(), bounds());
    let loaded = downloads
        .load(&format!("{}/0", server.url), Digest::of(COMPONENT))
        .await;
    assert_eq!(loaded.unwrap(), COMPONENT);
    assert_eq!(server.requests.load(Ordering::SeqCst), 6);
    for (path, reason) in [
        ("/loop", "there are more than 5 redirects"),
        ("/file", "it redirects to a scheme that is not http or https"),
        ("/nowhere", "it redirects without saying where to"),
    ] {
        let (_, text) = refused(moved, path).await;
        assert_eq!(text, format!("cannot download {{server}}{path}: {reason}"));
    }
}

#[test]
fn no_redirect_leads_from_https_to_http() {
    let follow = |from: &str, to: &str| {
        let headers = HeaderMap::from_iter([(LOCATION, to.parse().unwrap())]);
        follow(&Url::parse(from).unwrap(), &headers).map(String::from)
    };
    assert_eq!(
        follow("https://a.example/x", "http://a.example/x")
            .unwrap_err()
            .to_string(),
        "cannot download https://a.example/x: it redirects from https to http"
    );
    assert_eq!(
        follow("http://a.example/x", "https://b.example/y").unwrap(),
        "https://b.example/y"
    );
    assert_eq!(
        follow("https://a.example/x/y", "../z").unwrap(),
        "https://a.example/z"
    );
}

#[tokio::test]
async fn a_component_that_is_too_large_is_not_gathered() {
    fn announced(_: &str) -> (String, Option<&'static [u8]>) {
        ("200 OK\r\ncontent-length: 1025".into(), None)
    }
    fn unannounced(_: &str) -> (String, Option<&'static [u8]>) {
        ("200 OK".into(), Some(&[0; 1025]))
    }
    for answers in [announced as Answers, unannounced] {
        let (_, text) = refused(answers, "/large").await;
        assert_eq!(text, "what {server}/large gives is larger than 1024 bytes");
    }
}

#[tokio::test]
async fn a_server_that_does_not_finish_or_does_not_have_it_is_an_error() {
    fn slow(_: &str) -> (String, Option<&'static [u8]>) {
        ("200 OK\r\ncontent-length: 10".into(), None)
    }
    fn short(_: &str) -> (String, Option<&'static [u8]>) {
        ("200 OK\r\ncontent-length: 100".into(), Some(COMPONENT))
    }
    fn missing(_: &str) -> (String, Option<&'static [u8]>) {
        ("404 Not Found".into(), Some(b""))
    }
    let (error, _) = refused(short, "/").await;
    assert!(matches!(
        error,
        DownloadError::Exchange {
            source: HttpClientError::HttpResponseIncomplete,
            ..
        }
    ));
    let (_, text) = refused(missing, "/a?token=secret").await;
    assert_eq!(
        text,
        "cannot download {server}/a?…: the server answers 404 Not Found"
    );

    let (dir, server) = (tempfile::tempdir().unwrap(), serve(slow).await);
    let impatient = DownloadSettings {
        patience: Duration::from_millis(50),
        ..bounds()
    };
    let slow = downloads(dir.path(), impatient);
    let error = slow.load(&server.url, Digest::of(COMPONENT)).await.unwrap_err();
    assert!(matches!(error, DownloadError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn only_web_addresses_are_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let downloads = downloads(dir.path(), bounds());
    for url in [
        "ftp://user:secret@a.example/x?key=secret",
        "file:///etc/passwd",
        "a.wasm",
        "",
    ] {
        let error = downloads.load(url, Digest::of(COMPONENT)).await.unwrap_err();
        assert!(matches!(error, DownloadError::Url { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_directory_that_others_can_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let client = PooledClient::load(Settings::default(), Spawner::new(|task| drop(tokio::spawn(task))));
    let blocking = Blocking::new(BlockingSettings::default());
    let opened = Downloads::open(shared, Arc::new(client.unwrap()), blocking, bounds());
    assert!(matches!(
        opened.map(|_| ()),
        Err(DownloadError::Shared { mode: 0o777, .. })
    ));
}
