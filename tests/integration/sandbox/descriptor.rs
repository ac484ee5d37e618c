//! Descriptors of the host that guests keep open: what one service has of them leaves others theirs, and the host its own.

use serde_json::json;
use tokio::task::JoinHandle;

use super::sandboxed;
use crate::harness::{Protocol, TestHost, Upstream, eventually};

const FILES: &str = "files = [{ source = \"assets\", destination = \"/\" }]";

/// What the process may have open. An eighth of it is a service's.
const LIMIT: u32 = 400;

/// What each holds that holds some; no two of them fit into the share of one service.
const MANY: u32 = 30;

async fn refusals(host: &TestHost, service: &str) -> f64 {
    let label = format!("service={service:?}");
    let refused = host.metric("midplane_descriptor_refusals_total", &[&label]).await;
    refused.unwrap_or_default()
}

/// Begins a request that opens so many files and never ends.
async fn hold(host: &TestHost, guest: &str) -> JoinHandle<()> {
    let connection = host.connect(Protocol::Http1).await;
    let path = format!("/{guest}/hoard/{MANY}/hold");
    tokio::spawn(async move {
        let answer = connection.get(&path).await;
        panic!("it ended: {answer:?}");
    })
}

async fn hoarded(host: &TestHost, guest: &str, path: &str) -> u32 {
    let answer = host.get(&format!("/{guest}/hoard/{path}")).await;
    assert_eq!(answer.status, 200, "{guest}: {answer:?}");
    answer.text().parse().expect("a number")
}

#[tokio::test]
async fn a_service_at_its_share_of_descriptors_stops_neither_others_nor_the_gateway() {
    let host = sandboxed(FILES)
        .file("assets/a.txt", "asset a")
        .open_files(LIMIT)
        .start()
        .await;
    for (guest, other) in [("p2", "p3"), ("p3", "p2")] {
        let before = refusals(&host, guest).await;
        let of_other = refusals(&host, other).await;
        let first = hold(&host, guest).await;
        let second = hold(&host, guest).await;
        eventually("one of two to be refused some", async || {
            refusals(&host, guest).await > before
        })
        .await;
        // Together they have all that is theirs, but for what one needs to be refused: a third instance gets next to nothing.
        assert!(hoarded(&host, guest, "10").await < 3, "{guest}");
        assert_eq!(hoarded(&host, other, &MANY.to_string()).await, MANY, "{other}");
        assert_eq!(refusals(&host, other).await, of_other, "{other}");
        // Whoever comes is let in.
        let mut crowd = Vec::new();
        for _ in 0..100 {
            crowd.push(host.connect(Protocol::Http1).await);
        }
        for connection in &crowd {
            assert_eq!(connection.get(&format!("/{other}/hoard/1")).await.text(), "1");
        }
        drop(crowd);
        first.abort();
        second.abort();
        eventually("what was held to be there again", async || {
            hoarded(&host, guest, &MANY.to_string()).await == MANY
        })
        .await;
    }
    let lines = host.stop().await;
    let told =
        "a file was refused: the instances of the service have 50 sockets, files and streams of these open";
    assert!(
        lines.iter().any(|line| line.message().contains(told)),
        "{lines:?}"
    );
}

#[tokio::test]
async fn streams_keep_their_files_open_and_count() {
    let host = sandboxed(FILES)
        .file("assets/a.txt", "asset a")
        .file("assets/b.txt", "asset b")
        .open_files(LIMIT)
        .start()
        .await;
    for what in ["streams", "lists"] {
        assert_eq!(hoarded(&host, "p3", &format!("20/{what}")).await, 20);
        let most = hoarded(&host, "p3", &format!("2000/{what}")).await;
        assert!((20..=50).contains(&most), "{most} {what}");
        assert_eq!(hoarded(&host, "p3", &format!("20/{what}")).await, 20);
    }
    assert!(refusals(&host, "p3").await > 0.0);
    // What is closed counts no more, however often it was open: this instance opens more than the process may have.
    let read = host.get("/p3/read/300").await.json();
    assert_eq!(
        read,
        json!({
            "text": "asset a",
            "ended": "Ok(())",
            "names": ["a.txt", "b.txt"],
            "listed": "Ok(())",
        })
    );
    host.stop().await;
}

#[tokio::test]
async fn a_socket_is_open_until_its_streams_are() {
    let upstream = Upstream::start().await;
    let address = upstream.address;
    let host = sandboxed(&format!("allowed_outbound_hosts = [\"tcp://{address}\"]"))
        .open_files(LIMIT)
        .start()
        .await;
    // More than the service may have at once.
    for _ in 0..60 {
        let answer = host.get(&format!("/p3/exchange?address={address}")).await;
        assert_eq!(answer.json(), "Ok(()) Ok(()) HTTP/1.1 200 OK", "{answer:?}");
    }
    assert_eq!(refusals(&host, "p3").await, 0.0);
    host.stop().await;
}
