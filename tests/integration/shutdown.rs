//! How the host ends.

use http::Request;
use rustix::process::Signal;

use crate::harness::{Answer, Protocol, TestHost, eventually, streamed};

async fn guests() -> TestHost {
    TestHost::builder()
        .service("p2", "http-p2")
        .service("p3", "http-p3")
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .start()
        .await
}

async fn refuses_connections(host: &TestHost) -> bool {
    tokio::net::TcpStream::connect(host.address).await.is_err()
}

#[tokio::test]
async fn an_idle_host_ends_well_on_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut host = guests().await;
        host.get("/p2/hello").await;
        // An idle kept-alive connection must not hold the host back.
        let _idle = host.connect(Protocol::Http1).await;
        host.signal(signal);
        assert_eq!(
            host.finish().await.code(),
            Some(0),
            "{signal:?}: {}",
            host.log_text()
        );
    }
}

#[tokio::test]
async fn requests_in_flight_are_drained() {
    for protocol in Protocol::ALL {
        let mut host = guests().await;
        let mut running = Vec::new();
        for guest in ["p2", "p3"] {
            let connection = host.connect(protocol).await;
            let (sender, body) = streamed();
            assert!(sender.data("before, ").await);
            let request = Request::post(format!("/{guest}/echo")).body(body).unwrap();
            let response = connection.send(request).await.unwrap();
            running.push((connection, sender, response));
        }
        host.signal(Signal::TERM);
        eventually("the host to stop accepting", async || {
            refuses_connections(&host).await
        })
        .await;
        for (_connection, sender, response) in running {
            assert!(sender.data("after").await, "{protocol:?}: the upload was cut");
            drop(sender);
            assert_eq!(
                Answer::read(response).await.unwrap().text(),
                "before, after",
                "{protocol:?}"
            );
        }
        assert_eq!(host.finish().await.code(), Some(0), "{}", host.log_text());
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut host = guests().await;
    let connection = host.connect(Protocol::Http1).await;
    let (sender, body) = streamed();
    assert!(sender.data("begin").await);
    let response = connection
        .send(Request::post("/p2/echo").body(body).unwrap())
        .await
        .unwrap();
    host.signal(Signal::TERM);
    eventually("the host to stop accepting", async || {
        refuses_connections(&host).await
    })
    .await;
    host.signal(Signal::TERM);
    // The request would hold the host until its own end, which never comes.
    let status = host.finish().await;
    assert!(!status.success(), "{status}: a cut request is no clean end");
    assert!(Answer::read(response).await.is_err(), "the body was cut");
    drop(sender);
}

#[tokio::test]
async fn the_last_words_of_a_guest_are_logged_before_the_end() {
    let host = guests().await;
    for guest in ["p2", "p3"] {
        host.get(&format!("/{guest}/stdout?text=last-words-of-{guest}"))
            .await;
    }
    let lines = host.stop().await;
    for guest in ["p2", "p3"] {
        let words = format!("last-words-of-{guest}");
        assert!(lines.iter().any(|line| line.message() == words), "no {words}");
    }
}
