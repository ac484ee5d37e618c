//! `instances`: whether an instance serves one request or many, how many, and how long it waits for them.

use super::concurrency::taken;
use super::{GUESTS, instances};
use crate::harness::{Builder, Protocol, TestHost, eventually};

fn http(settings: &str) -> Builder {
    TestHost::builder()
        .service("p2", "http-p2")
        .tables(&instances("p2", settings))
        .service("p3", "http-p3")
        .tables(&instances("p3", settings))
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
}

/// How many requests the instances have seen that answer the next ones.
async fn seen(host: &TestHost, guest: &str, requests: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    for _ in 0..requests {
        let answer = host.get(&format!("/{guest}/counter")).await;
        seen.push(answer.json()["seen"].as_u64().expect("a count"));
    }
    seen
}

#[tokio::test]
async fn a_fresh_instance_serves_one_request() {
    let host = http("policy = \"fresh\"").start().await;
    for guest in GUESTS {
        assert_eq!(seen(&host, guest, 4).await, [1, 1, 1, 1], "{guest}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_reused_instance_serves_one_request_after_another() {
    let host = http("policy = \"reuse\"").start().await;
    for guest in GUESTS {
        // A guest may still be at work for a request whose answer is there: then another instance takes the next.
        eventually("an instance to be used again and again", async || {
            seen(&host, guest, 1).await[0] >= 4
        })
        .await;
    }
    host.stop().await;
}

#[tokio::test]
async fn a_reused_instance_goes_after_so_many_requests() {
    let host = http("policy = \"reuse\"\nmax_requests = 2").start().await;
    for guest in GUESTS {
        let mut all = Vec::new();
        while all.iter().filter(|seen| **seen == 2).count() < 3 {
            all.extend(seen(&host, guest, 1).await);
            assert!(all.len() < 1000, "none is used again: {all:?}");
        }
        assert!(all.iter().all(|seen| *seen <= 2), "{guest}: {all:?}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_reused_instance_that_waits_too_long_goes() {
    let host = http("policy = \"reuse\"\nidle = \"1ms\"").start().await;
    for guest in GUESTS {
        let label = format!("service={guest:?}");
        assert_eq!(seen(&host, guest, 1).await, [1], "{guest}");
        eventually("the instance to go", async || {
            host.metric("midplane_instances", &[&label]).await == Some(0.0)
        })
        .await;
        assert_eq!(seen(&host, guest, 1).await, [1], "{guest}");
    }
    host.stop().await;
}

#[tokio::test]
async fn an_instance_serves_as_many_requests_at_once_as_it_may() {
    for (concurrency, expected) in [(1, 3.0), (3, 1.0)] {
        let host = TestHost::builder()
            .service("p3", "http-p3")
            .tables(&instances(
                "p3",
                &format!("policy = \"reuse\"\nconcurrency = {concurrency}"),
            ))
            .route("/p3/...", "p3")
            .start()
            .await;
        let connection = host.connect(Protocol::Http2).await;
        let mut running = Vec::new();
        for _ in 0..3 {
            running.push(taken(&connection, "p3").await);
        }
        let alive = host.metric("midplane_instances", &["service=\"p3\""]).await;
        assert_eq!(alive, Some(expected), "{concurrency} at once");
        drop(running);
        host.stop().await;
    }
}
