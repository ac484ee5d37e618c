//! `--shutdown-delay`: not ready any more, and serving until everybody knows.

use std::time::{Duration, Instant};

use http::StatusCode;
use rustix::process::Signal;

use super::api::{exchange, request};
use super::*;

/// A host that serves on for so many seconds after it is asked to stop.
async fn leaving(seconds: &str) -> TestHost {
    TestHost::builder()
        .service("p2", "http-p2")
        .service("p3", "http-p3")
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .arg("--shutdown-delay")
        .arg(seconds)
        .start()
        .await
}

#[tokio::test]
async fn a_host_that_is_asked_to_stop_is_not_ready_and_serves_for_the_delay() {
    // Longer than this test may take: the end of the delay is another test's matter.
    let mut host = leaving("3600").await;
    let before = [
        (Protocol::Http1, host.connect(Protocol::Http1).await),
        (Protocol::Http2, host.connect(Protocol::Http2).await),
    ];
    for (_, connection) in &before {
        assert_eq!(connection.get("/p2/hello").await.status, StatusCode::OK);
    }
    assert_eq!(host.admin_get("/ready").await.status, StatusCode::OK);
    host.signal(Signal::TERM);
    eventually("the host to be unready", async || {
        host.admin_get("/ready").await.status != StatusCode::OK
    })
    .await;
    let answer = exchange(host.admin, request(http::Method::GET, "/ready")).await;
    assert_eq!(
        (answer.status, answer.text().trim_end()),
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    );
    for (protocol, connection) in &before {
        for guest in ["p2", "p3"] {
            let path = format!("/{guest}/hello");
            let old = connection.get(&path).await;
            assert_eq!(old.status, StatusCode::OK, "{protocol:?} {path}");
            let new = host.connect(*protocol).await.get(&path).await;
            assert_eq!(new.status, StatusCode::OK, "{protocol:?} {path}");
        }
    }
    assert_eq!(host.admin_get("/metrics").await.status, StatusCode::OK);
    // Whoever cannot wait says so once more.
    host.signal(Signal::TERM);
    assert_eq!(host.finish().await.code(), Some(143), "{}", host.log_text());
}

#[tokio::test]
async fn after_the_delay_the_listener_closes_and_the_host_ends_well() {
    let mut host = leaving("0.7").await;
    let connection = host.connect(Protocol::Http1).await;
    assert_eq!(connection.get("/p3/hello").await.status, StatusCode::OK);
    let (sender, body) = crate::harness::streamed();
    let held = host.connect(Protocol::Http1).await;
    assert!(sender.data("before, ").await);
    let response = held
        .send(Request::post("/p3/echo").body(body).unwrap())
        .await
        .unwrap();
    let begun = Instant::now();
    host.signal(Signal::TERM);
    eventually("the listener to close", async || {
        tokio::net::TcpStream::connect(host.address).await.is_err()
    })
    .await;
    assert!(
        begun.elapsed() >= Duration::from_millis(700),
        "{:?}",
        begun.elapsed()
    );
    // What had begun ends as if nothing were.
    assert!(sender.data("after").await);
    drop(sender);
    let answer = crate::harness::Answer::read(response).await.unwrap();
    assert_eq!(answer.text(), "before, after");
    assert_eq!(host.finish().await.code(), Some(0), "{}", host.log_text());
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_the_delay() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut host = leaving("3600").await;
        host.signal(Signal::TERM);
        host.wait_for_log("the first signal", |line| {
            line.message().contains("not ready any more")
        })
        .await;
        host.signal(signal);
        assert_eq!(host.finish().await.code(), Some(code), "{}", host.log_text());
    }
}
