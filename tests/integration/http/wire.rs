//! Bytes that no well-behaved client sends.

use super::guests;
use crate::harness::raw;

/// Requests that must be refused, each on a connection of its own.
const REFUSED: [(&str, &[u8]); 9] = [
    (
        "no HTTP at all",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage garbage\r\n\r\n",
    ),
    ("an unknown version", b"GET / HTTP/9.9\r\nhost: test\r\n\r\n"),
    (
        "a space in the target",
        b"GET /p2/he llo HTTP/1.1\r\nhost: test\r\n\r\n",
    ),
    (
        "a line feed in a name",
        b"GET /p2/hello HTTP/1.1\r\nhost: test\r\nx-a\nb: c\r\n\r\n",
    ),
    (
        "two lengths",
        b"POST /p2/echo HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde",
    ),
    (
        "a negative length",
        b"POST /p2/echo HTTP/1.1\r\nhost: test\r\ncontent-length: -1\r\n\r\n",
    ),
    (
        "an unknown encoding",
        b"POST /p2/echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: gzip\r\n\r\n0\r\n\r\n",
    ),
    (
        "a zero byte in a value",
        b"GET /p2/hello HTTP/1.1\r\nhost: test\r\nx-a: b\0c\r\n\r\n",
    ),
    ("no host", b"GET /p2/hello HTTP/1.1\r\nconnection: close\r\n\r\n"),
];

#[tokio::test]
async fn malformed_requests_are_refused_and_the_host_goes_on() {
    let host = guests().await;
    for (what, bytes) in REFUSED {
        let answer = raw(host.address, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        assert_eq!(host.get("/p2/hello").await.text(), "hello\n", "after {what}");
    }
    host.stop().await;
}

#[tokio::test]
async fn methods_that_no_guest_may_answer_are_a_405() {
    let host = guests().await;
    for (line, allowed) in [
        ("TRACE /p2/hello", "GET, HEAD, POST"),
        ("POST /.well-known/spin/health", "GET, HEAD"),
    ] {
        let request = format!("{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        let answer = raw(host.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        assert!(answer.contains(&format!("\r\nallow: {allowed}")), "{answer}");
    }
    let connect = b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\nconnection: close\r\n\r\n";
    let answer = raw(host.address, connect).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn a_request_cannot_hide_behind_another() {
    let host = guests().await;
    let smuggled = b"POST /p2/upload-count HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\
                     transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\nGET /p3/hello HTTP/1.1\r\n\r\n";
    let answer = raw(host.address, smuggled).await;
    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    assert!(!answer.contains("hello\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_continue() {
    let host = guests().await;
    let request = b"POST /p2/upload-count HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\n\
                    content-length: 4\r\nconnection: close\r\n\r\nbody";
    let answer = raw(host.address, request).await;
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "),
        "{answer}"
    );
    assert!(answer.contains("{\"bytes\":4}"), "{answer}");
}

#[tokio::test]
async fn requests_in_a_row_on_one_connection_are_answered_in_order() {
    let host = guests().await;
    let requests =
        b"GET /p2/hello HTTP/1.1\r\nhost: test\r\n\r\nGET /p3/status/418 HTTP/1.1\r\nhost: test\r\n\
                     connection: close\r\n\r\n";
    let answer = raw(host.address, requests).await;
    let statuses: Vec<_> = answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answer[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "418"], "{answer}");
}

#[tokio::test]
async fn http_1_0_is_served_and_closed() {
    let host = guests().await;
    for guest in super::GUESTS {
        let request = format!("GET /{guest}/hello HTTP/1.0\r\nhost: test\r\n\r\n");
        let answer = raw(host.address, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 "),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\nhello\n"), "{answer}");
    }
}
