//! The bounds that hold without any configuration.

use http::Request;

use super::{GUESTS, assert_problem, guests};
use crate::harness::{Protocol, empty, full, raw, streamed};

/// What a request body may have unless the manifest says otherwise.
const BODY_LIMIT: usize = 10 << 20;

#[tokio::test]
async fn a_body_that_announces_too_much_is_a_413_before_it_is_sent() {
    let host = guests().await;
    for guest in GUESTS {
        let head = format!(
            "POST /{guest}/upload-count HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            BODY_LIMIT + 1
        );
        let answer = raw(host.address, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_a_413() {
    let host = guests().await;
    for guest in GUESTS {
        let connection = host.connect(Protocol::Http2).await;
        let (sender, body) = streamed();
        let request = Request::post(format!("/{guest}/upload-count"))
            .body(body)
            .unwrap();
        let (answer, ()) = tokio::join!(connection.exchange(request), async {
            let piece = vec![0; 64 * 1024];
            for _ in 0..=BODY_LIMIT / piece.len() {
                if !sender.data(piece.clone()).await {
                    break;
                }
            }
            drop(sender);
        });
        assert_problem(&answer.unwrap(), 413);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken() {
    let host = guests().await;
    for guest in GUESTS {
        let answer = host
            .post(&format!("/{guest}/upload-count"), full(vec![0; BODY_LIMIT]))
            .await;
        assert_eq!(answer.json()["bytes"], BODY_LIMIT);
    }
}

#[tokio::test]
async fn headers_that_are_too_large_are_a_431() {
    let host = guests().await;
    let value = "v".repeat(40 << 10);
    let request =
        format!("GET /p2/hello HTTP/1.1\r\nhost: test\r\nx-large: {value}\r\nconnection: close\r\n\r\n");
    let answer = raw(host.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    // A head that is too large even to be read has no request that a problem could be about.
    let value = "v".repeat(1 << 20);
    let request = format!("GET /p2/hello HTTP/1.1\r\nhost: test\r\nx-large: {value}\r\n\r\n");
    let answer = raw(host.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let connection = host.connect(Protocol::Http2).await;
    let request = Request::get("/p2/hello")
        .header("x-large", value)
        .body(empty())
        .unwrap();
    // HTTP/2 lets the host answer or reset the stream; the guest must not see it either way.
    if let Ok(answer) = connection.exchange(request).await {
        assert_eq!(answer.status, 431, "{answer:?}");
    }
    assert_eq!(host.get("/p2/hello").await.text(), "hello\n");
}

#[tokio::test]
async fn more_headers_than_the_host_reads_are_a_431() {
    let host = guests().await;
    let many: String = (0..10_000).map(|number| format!("x-{number}: v\r\n")).collect();
    let request = format!("GET /p2/hello HTTP/1.1\r\nhost: test\r\n{many}connection: close\r\n\r\n");
    let answer = raw(host.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(host.get("/p2/hello").await.text(), "hello\n");
}

#[tokio::test]
async fn memory_stops_growing_at_its_limit() {
    let host = guests().await;
    for guest in GUESTS {
        assert_eq!(host.get(&format!("/{guest}/alloc/64")).await.status, 200);
        // The guest is told that there is no more, and copes.
        assert_eq!(host.get(&format!("/{guest}/alloc/256")).await.status, 507);
        assert_eq!(host.get(&format!("/{guest}/alloc/3000")).await.status, 507);
        assert_eq!(host.get(&format!("/{guest}/hello")).await.text(), "hello\n");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_request_beyond_the_concurrency_waits_and_then_is_a_503() {
    const CONCURRENCY: usize = 64;
    let host = guests().await;
    for guest in GUESTS {
        let connection = host.connect(Protocol::Http2).await;
        let mut running = Vec::new();
        for _ in 0..CONCURRENCY {
            let (sender, body) = streamed();
            assert!(sender.data("begin").await);
            let request = Request::post(format!("/{guest}/echo")).body(body).unwrap();
            running.push((sender, connection.send(request).await.unwrap()));
        }
        let answer = host.get(&format!("/{guest}/hello")).await;
        assert_problem(&answer, 503);
        assert!(answer.header("retry-after").parse::<u64>().is_ok(), "{answer:?}");

        // Who waits is served as soon as a place is free.
        let path = format!("/{guest}/hello");
        let (answer, ()) = tokio::join!(host.get(&path), async { drop(running.pop()) });
        assert_eq!(answer.text(), "hello\n");
        let other = if guest == "p2" { "p3" } else { "p2" };
        assert_eq!(host.get(&format!("/{other}/hello")).await.text(), "hello\n");
    }
}

#[tokio::test]
async fn an_upload_that_stops_is_a_408_and_not_the_guests_failure() {
    let host = guests().await;
    let stalled = GUESTS.map(|guest| {
        let host = &host;
        async move {
            let connection = host.connect(Protocol::Http2).await;
            let (sender, body) = streamed();
            assert!(sender.data("some, ").await);
            let request = Request::post(format!("/{guest}/upload-count"))
                .body(body)
                .unwrap();
            let answer = connection.exchange(request).await.unwrap();
            assert_problem(&answer, 408);
            drop(sender);
        }
    });
    let [first, second] = stalled;
    tokio::join!(first, second);
    let failures = host
        .lines()
        .iter()
        .filter(|line| !line.field("kind").is_empty())
        .count();
    assert_eq!(failures, 0, "{:?}", host.lines());
}
