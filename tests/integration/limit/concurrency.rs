//! `concurrency`, `queue` and `queue_timeout`.

use http::{Request, Response};
use hyper::body::Incoming;

use super::{GUESTS, assert_problem, failures, http, table};
use crate::harness::{BodySender, Connection, Protocol, TestHost, eventually, streamed};

/// Takes a place of the service, until the sender is dropped.
pub(super) async fn taken(connection: &Connection, guest: &str) -> (BodySender, Response<Incoming>) {
    let (sender, body) = streamed();
    assert!(sender.data("begin").await);
    let request = Request::post(format!("/{guest}/echo")).body(body).unwrap();
    let response = connection.send(request).await.unwrap();
    assert_eq!(response.status(), 200);
    (sender, response)
}

/// How many requests found no place.
async fn turned_away(host: &TestHost) -> f64 {
    let label = ["reason=\"overload\""];
    host.metric("midplane_rejections_total", &label)
        .await
        .unwrap_or_default()
}

#[tokio::test]
async fn a_request_that_finds_no_place_is_a_503_at_once_where_nobody_may_wait() {
    let host = http("concurrency = 2\nqueue = 0").start().await;
    for guest in GUESTS {
        let connection = host.connect(Protocol::Http2).await;
        let first = taken(&connection, guest).await;
        let second = taken(&connection, guest).await;
        let before = turned_away(&host).await;
        let answer = host.get(&format!("/{guest}/hello")).await;
        assert_problem(&answer, 503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1", "{answer:?}");
        assert_eq!(turned_away(&host).await, before + 1.0);
        // The other one has its own places.
        let other = if guest == "p2" { "p3" } else { "p2" };
        assert_eq!(host.get(&format!("/{other}/hello")).await.text(), "hello\n");
        drop(first);
        eventually("a place to come free", async || {
            host.get(&format!("/{guest}/hello")).await.status == 200
        })
        .await;
        drop(second);
    }
    let lines = host.stop().await;
    assert!(GUESTS.iter().all(|guest| failures(&lines, guest).is_empty()));
}

#[tokio::test]
async fn as_many_requests_wait_as_the_queue_has_room_for() {
    let host = http("concurrency = 1\nqueue = 1\nqueue_timeout = \"10m\"")
        .start()
        .await;
    for guest in GUESTS {
        let connection = host.connect(Protocol::Http2).await;
        let busy = taken(&connection, guest).await;
        let path = format!("/{guest}/hello");
        let waits = host.get(&path);
        let others = async {
            let usage = async || {
                let service = host.admin_get(&format!("/v1/apps/test/services/{guest}")).await;
                service.json()["current"]["usage"].clone()
            };
            eventually("a request to wait", async || usage().await["waiting"] == 1).await;
            let usage = usage().await;
            assert_eq!((&usage["concurrency"], &usage["queue"]), (&1.into(), &1.into()));
            let answer = host.get(&path).await;
            assert_problem(&answer, 503, "overloaded");
            // No sooner than a place can be had.
            assert_eq!(answer.header("retry-after"), "600", "{answer:?}");
            drop(busy);
        };
        let (waited, ()) = tokio::join!(waits, others);
        assert_eq!(waited.text(), "hello\n");
    }
    host.stop().await;
}

#[tokio::test]
async fn who_waits_too_long_in_the_queue_is_a_503() {
    let host = http("concurrency = 1\nqueue = 8\nqueue_timeout = \"50ms\"")
        .start()
        .await;
    for guest in GUESTS {
        let connection = host.connect(Protocol::Http2).await;
        let busy = taken(&connection, guest).await;
        let answer = host.get(&format!("/{guest}/hello")).await;
        assert_problem(&answer, 503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1", "{answer:?}");
        drop(busy);
    }
    assert_eq!(turned_away(&host).await, 2.0);
    host.stop().await;
}

/// The pool slots are everybody's: a service that would take all of them leaves some.
#[tokio::test]
async fn a_service_cannot_take_all_pool_slots_from_the_others() {
    for fixture in ["http-p2", "http-p3"] {
        let app = TestHost::builder()
            .service("greedy", fixture)
            .tables(&table("greedy", "concurrency = 100\nqueue = 0"))
            .service("other", fixture)
            .route("/greedy/...", "greedy")
            .route("/other/...", "other")
            .file("runtime.toml", "[midplane]\nmax_instances = 8\n")
            .arg("--runtime-config-file")
            .arg("runtime.toml");
        let host = app.start().await;
        let connection = host.connect(Protocol::Http2).await;
        let mut busy = Vec::new();
        for _ in 0..7 {
            busy.push(taken(&connection, "greedy").await);
        }
        let answer = host.get("/greedy/hello").await;
        assert_problem(&answer, 503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1", "{answer:?}");
        let refused = async |service: &str| {
            let label = format!("service={service:?}");
            host.metric("midplane_slot_refusals_total", &[&label]).await
        };
        assert_eq!(refused("greedy").await, Some(1.0), "{fixture}");
        assert_eq!(host.get("/other/hello").await.text(), "hello\n", "{fixture}");
        assert_eq!(refused("other").await, Some(0.0), "{fixture}");
        busy.pop();
        eventually("a slot to come free", async || {
            host.get("/greedy/hello").await.status == 200
        })
        .await;
        drop(busy);
        let lines = host.stop().await;
        let failed = failures(&lines, "greedy");
        assert!(!failed.is_empty(), "{fixture}");
        for line in failed {
            assert_eq!(line.field("kind"), "overload", "{}", line.text());
            assert!(line.text().contains("no pool slot is left"), "{}", line.text());
        }
        let warned = "`concurrency = 100` of service `greedy` has no effect beyond 7";
        assert!(
            lines.iter().any(|line| line.message().contains(warned)),
            "{lines:?}"
        );
    }
}
