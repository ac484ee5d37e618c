//! Many requests at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;

use super::{GUESTS, guests};
use crate::harness::{Protocol, TestHost, full, streamed};

#[tokio::test]
async fn a_hundred_requests_at_once_are_all_answered() {
    let host = Arc::new(guests().await);
    for guest in GUESTS {
        let mut requests = JoinSet::new();
        for number in 0..100 {
            let host = host.clone();
            requests.spawn(async move {
                let text = format!("request {number} ").repeat(1000);
                let answer = host.post(&format!("/{guest}/echo"), full(text.clone())).await;
                assert_eq!(answer.text(), text);
            });
        }
        assert_eq!(requests.join_all().await.len(), 100);
    }
}

#[tokio::test]
async fn a_hundred_requests_on_one_connection_are_all_answered() {
    let host = guests().await;
    let connection = Arc::new(host.connect(Protocol::Http2).await);
    for guest in GUESTS {
        let mut requests = JoinSet::new();
        for number in 0..100 {
            let connection = connection.clone();
            requests.spawn(async move {
                let text = format!("request {number} ").repeat(100);
                let request = Request::post(format!("/{guest}/echo"))
                    .body(full(text.clone()))
                    .unwrap();
                assert_eq!(connection.exchange(request).await.unwrap().text(), text);
            });
        }
        assert_eq!(requests.join_all().await.len(), 100);
    }
}

#[tokio::test]
async fn sixty_requests_of_one_service_run_side_by_side() {
    let host = guests().await;
    for guest in GUESTS {
        let mut running = Vec::new();
        for number in 0..60 {
            let connection = host.connect(Protocol::Http1).await;
            let (sender, body) = streamed();
            assert!(sender.data(format!("request {number}")).await);
            let request = Request::post(format!("/{guest}/echo")).body(body).unwrap();
            let response = connection.send(request).await.unwrap();
            running.push((connection, sender, response));
        }
        // All sixty have begun to answer and none has ended.
        for (number, (_connection, sender, response)) in running.into_iter().enumerate() {
            drop(sender);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, format!("request {number}"));
        }
    }
}

#[tokio::test]
async fn a_guest_that_computes_without_end_does_not_stop_the_others() {
    let host = Arc::new(guests().await);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for guest in GUESTS {
        let mut busy = JoinSet::new();
        for _ in 0..2 * cores {
            let host = host.clone();
            busy.spawn(async move { host.get(&format!("/{guest}/infinite-loop")).await });
        }
        let label = format!("service=\"{guest}\"");
        crate::harness::eventually("the loops to run", async || {
            host.metric("midplane_requests_in_flight", &[&label]).await == Some(2.0 * cores as f64)
        })
        .await;
        for other in GUESTS {
            assert_eq!(host.get(&format!("/{other}/hello")).await.text(), "hello\n");
        }
        busy.abort_all();
    }
}

#[tokio::test]
async fn a_service_with_many_busy_requests_leaves_another_its_share() {
    const CROWD: usize = 24;
    let host = TestHost::builder()
        .service("crowded", "http-p2")
        .service("single", "http-p2")
        .route("/crowded/...", "crowded")
        .route("/single/...", "single")
        .start()
        .await;
    let host = Arc::new(host);
    let answered = Arc::new(AtomicU64::new(0));
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let (host, answered) = (host.clone(), answered.clone());
        crowd.spawn(async move {
            loop {
                assert_eq!(host.get("/crowded/compute/10").await.status, 200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    crate::harness::eventually("the crowd to be busy", async || {
        answered.load(Ordering::Relaxed) > 0
    })
    .await;
    let before = answered.load(Ordering::Relaxed);
    for _ in 0..10 {
        assert_eq!(host.get("/single/compute/10").await.status, 200);
    }
    // One request at a time has one core at most, and the crowd has the others. By requests it would be one of 25.
    let crowded = answered.load(Ordering::Relaxed) - before;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    assert!(
        crowded <= 10 * 2 * cores.max(2),
        "{crowded} of the crowd while 10 were answered"
    );
    crowd.abort_all();
}
