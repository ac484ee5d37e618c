//! The operator's listener: whether the host is ready, its figures, and its API.
//!
//! Every answer that a test gets through [`api::Api`] is held against the document that the host itself serves.

mod access;
mod api;
mod document;
mod ready;
mod walk;

use http::Request;

use crate::harness::{Connection, Protocol, TestHost, empty, eventually};

async fn guests() -> TestHost {
    TestHost::builder()
        .service("p2", "http-p2")
        .service("p3", "http-p3")
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .start()
        .await
}

#[tokio::test]
async fn a_host_that_serves_is_ready() {
    let host = guests().await;
    assert_eq!(host.admin_get("/ready").await.status, 200);
    assert_eq!(host.admin_get("/nothing-here").await.status, 404);
    let connection = Connection::open(host.admin, Protocol::Http1).await;
    let answer = connection
        .exchange(Request::post("/ready").body(empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn the_figures_are_not_served_to_clients() {
    let host = guests().await;
    for path in ["/metrics", "/ready"] {
        assert_eq!(host.get(path).await.status, 404);
    }
}

#[tokio::test]
async fn requests_traps_and_latency_are_counted_by_service_and_revision() {
    let host = guests().await;
    for guest in ["p2", "p3"] {
        for _ in 0..3 {
            host.get(&format!("/{guest}/hello")).await;
        }
        host.get(&format!("/{guest}/status/404")).await;
        host.get(&format!("/{guest}/panic")).await;
        let service = format!("service=\"{guest}\"");
        let service = service.as_str();
        eventually("all five to be counted", async || {
            host.metric("midplane_request_duration_seconds_count", &[service])
                .await
                == Some(5.0)
        })
        .await;
        assert_eq!(
            host.metric("midplane_requests_total", &[service, "status=\"2xx\""])
                .await,
            Some(3.0)
        );
        assert_eq!(
            host.metric("midplane_requests_total", &[service, "status=\"4xx\""])
                .await,
            Some(1.0)
        );
        assert_eq!(
            host.metric("midplane_requests_total", &[service, "status=\"5xx\""])
                .await,
            Some(1.0)
        );
        assert_eq!(host.metric("midplane_traps_total", &[service]).await, Some(1.0));
        assert_eq!(
            host.metric("midplane_requests_in_flight", &[service]).await,
            Some(0.0)
        );
        assert!(host.metric("midplane_cpu_seconds_total", &[service]).await > Some(0.0));
        for name in [
            "midplane_instances",
            "midplane_linear_memory_bytes",
            "midplane_errors_total",
        ] {
            assert!(
                host.metric(name, &[service, "revision=\""]).await.is_some(),
                "no {name} for {guest}"
            );
        }
    }
}

#[tokio::test]
async fn the_figures_are_open_metrics_with_bounded_labels() {
    let host = guests().await;
    for number in 0..50 {
        host.get(&format!("/p2/made-up-path-{number}")).await;
        host.get(&format!("/not-routed-{number}")).await;
    }
    let answer = host.admin_get("/metrics").await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text"),
        "{answer:?}"
    );
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(
        !text.contains("made-up") && !text.contains("not-routed"),
        "a path became a label"
    );
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "no figure: {line}");
    }
    assert!(
        host.metric("midplane_rejections_total", &["reason="])
            .await
            .is_some(),
        "{text}"
    );
    assert!(host.metric("midplane_process_resident_memory_bytes", &[]).await > Some(0.0));
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open() {
    let host = guests().await;
    let open = async || host.metric("midplane_connections", &[]).await;
    assert_eq!(open().await, Some(0.0));
    let first = host.connect(Protocol::Http1).await;
    let second = host.connect(Protocol::Http2).await;
    first.get("/p2/hello").await;
    second.get("/p3/hello").await;
    assert_eq!(open().await, Some(2.0));
    drop(first);
    eventually("the first to be gone", async || open().await == Some(1.0)).await;
    drop(second);
    eventually("both to be gone", async || open().await == Some(0.0)).await;
}

#[tokio::test]
async fn instances_and_memory_come_and_go_with_requests() {
    let host = guests().await;
    let connection = host.connect(Protocol::Http1).await;
    let (sender, body) = crate::harness::streamed();
    assert!(sender.data("begin").await);
    let request = Request::post("/p2/echo").body(body).unwrap();
    let response = connection.send(request).await.unwrap();
    let service = "service=\"p2\"";
    assert_eq!(
        host.metric("midplane_requests_in_flight", &[service]).await,
        Some(1.0)
    );
    assert_eq!(host.metric("midplane_instances", &[service]).await, Some(1.0));
    assert!(host.metric("midplane_linear_memory_bytes", &[service]).await >= Some(65536.0));
    drop(sender);
    crate::harness::Answer::read(response).await.unwrap();
    eventually("the instance to go", async || {
        host.metric("midplane_instances", &[service]).await == Some(0.0)
    })
    .await;
    assert_eq!(
        host.metric("midplane_linear_memory_bytes", &[service]).await,
        Some(0.0)
    );
}
