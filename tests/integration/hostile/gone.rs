//! Clients that leave: half, by a reset, and at every stage of a request.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::wire::answers;
use super::{guests, stop};
use crate::harness::{PATIENCE, TestHost, eventually, soon};

/// What the client has sent, or taken, when it leaves.
const STAGES: [(&str, &str); 9] = [
    ("before a byte", ""),
    ("within the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nS"),
    ("within the head", "POST /p2/upload-count HTTP/1.1\r\nhost: te"),
    (
        "after the head",
        "POST /p2/upload-count HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n",
    ),
    (
        "within the body",
        "POST /p3/upload-count HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhello",
    ),
    (
        "within a chunk",
        "POST /p3/upload-count HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhello",
    ),
    (
        "while the guest works",
        "GET /p3/sleep/600000 HTTP/1.1\r\nhost: test\r\n\r\n",
    ),
    (
        "while a guest of WASI 0.2 works",
        "GET /p2/sleep/600000 HTTP/1.1\r\nhost: test\r\n\r\n",
    ),
    (
        "within the response",
        "GET /p3/slow-stream?chunks=1000000&ms=1 HTTP/1.1\r\nhost: test\r\n\r\n",
    ),
];

async fn connect(address: SocketAddr) -> TcpStream {
    soon("a connection", TcpStream::connect(address))
        .await
        .expect("the host accepts")
}

/// Waits until nothing is open or under way any more but the connection that asks.
async fn nothing_left(host: &TestHost) {
    eventually("every request and connection to end", async || {
        let connections = host.metric("midplane_connections", &[]).await.unwrap_or_default();
        let mut left = connections;
        for guest in ["service=\"p2\"", "service=\"p3\""] {
            left += host
                .metric("midplane_requests_in_flight", &[guest])
                .await
                .unwrap_or_default();
        }
        left == 0.0
    })
    .await;
}

/// A client that has come as far as this stage: the host has taken what it sent, and it has taken what it wants of the answer.
async fn at(host: &TestHost, what: &str, bytes: &str) -> TcpStream {
    let mut stream = connect(host.address).await;
    stream.write_all(bytes.as_bytes()).await.expect("the host reads");
    if what.contains("guest") {
        let guest = if bytes.contains("/p2/") {
            "service=\"p2\""
        } else {
            "service=\"p3\""
        };
        eventually("the request to begin", async || {
            host.metric("midplane_requests_in_flight", &[guest])
                .await
                .unwrap_or_default()
                > 0.0
        })
        .await;
    }
    if what.contains("response") {
        soon("some of the response", stream.read_exact(&mut [0; 256]))
            .await
            .expect("the host answers");
    }
    stream
}

#[tokio::test]
async fn a_client_that_resets_its_connection_takes_its_request_with_it() {
    let host = guests().await;
    for (what, bytes) in STAGES {
        let mut gone = Vec::new();
        for _ in 0..8 {
            gone.push(at(&host, what, bytes).await);
        }
        for stream in gone {
            stream.set_zero_linger().expect("the option exists");
            drop(stream);
        }
        nothing_left(&host).await;
        assert_eq!(
            host.get("/p2/hello").await.text(),
            "hello\n",
            "after one that left {what}"
        );
    }
    stop(host).await;
}

#[tokio::test]
async fn a_client_that_sends_no_more_is_answered_or_cut_and_never_waited_for() {
    let host = guests().await;
    for (what, bytes) in STAGES {
        let mut stream = at(&host, what, bytes).await;
        stream.shutdown().await.expect("the connection is open");
        let mut said = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
        assert!(
            ended.is_ok(),
            "the host does not end with a client that left {what}"
        );
        // The part before was read already where there was a response.
        if !what.contains("response") {
            let answers = answers(&said).expect("well framed");
            let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
            assert!(matches!(statuses.as_slice(), [] | [400]), "{what}: {statuses:?}");
        }
        nothing_left(&host).await;
    }
    // A request that is whole may have its answer before the host notices; it is then whole too.
    for _ in 0..20 {
        let mut stream = connect(host.address).await;
        stream
            .write_all(b"GET /p2/hello HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
            .await
            .expect("the host reads");
        stream.shutdown().await.expect("the connection is open");
        let mut said = Vec::new();
        soon("the end of the connection", stream.read_to_end(&mut said))
            .await
            .expect("no reset");
        for answer in answers(&said).expect("well framed") {
            assert!(
                answer.status == 200 && answer.whole && answer.body == b"hello\n",
                "{answer:?}"
            );
        }
    }
    stop(host).await;
}
