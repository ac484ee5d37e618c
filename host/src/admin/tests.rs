//! The admin listener over real connections, in raw bytes.

mod access;
mod bodies;
mod client;
mod document;
mod examples;
mod fake;
mod operations;
mod schema;
mod streams;

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    AdminState, MAX_CONNECTIONS, MAX_EXCHANGE, MAX_HEAD, Readiness, Server, Token, control::Control, serve,
};
use crate::{shutdown::Tasks, telemetry::Metrics};

/// The most bytes of a component in these tests.
const MAX_COMPONENT: usize = 3 * 1024 * 1024;
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Where a host that has started gives its control.
type Controls = watch::Sender<Option<Arc<dyn Control>>>;

/// What a server of these tests shows, and the other ends of it.
fn state(control: Option<Arc<dyn Control>>) -> (AdminState, watch::Sender<Readiness>, Controls) {
    let (ready, readiness) = watch::channel(Readiness::Starting);
    let (controls, control) = watch::channel(control);
    let state = AdminState {
        ready: readiness,
        metrics: Metrics::new(),
        control,
        token: Token::parse(TOKEN).unwrap(),
        max_component_bytes: MAX_COMPONENT,
    };
    (state, ready, controls)
}

struct Admin {
    address: SocketAddr,
    ready: watch::Sender<Readiness>,
    metrics: Metrics,
    tasks: Tasks,
}

impl Admin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, ready, _) = state(None);
        let (metrics, tasks) = (state.metrics.clone(), Tasks::new());
        serve(listener, state, &tasks);
        Self {
            address,
            ready,
            metrics,
            tasks,
        }
    }

    /// Sends `bytes` and reads until the host closes the connection.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut response = Vec::new();
        // A reset after the response is as good as its end.
        let _ = stream.read_to_end(&mut response).await;
        String::from_utf8(response).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        self.exchange(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).as_bytes())
            .await
    }

    async fn status_for_host(&self, host: &str) -> String {
        let response = self
            .exchange(format!("GET /ready HTTP/1.1\r\n{host}\r\n").as_bytes())
            .await;
        response.split(' ').nth(1).unwrap().to_owned()
    }
}

#[tokio::test]
async fn ready_follows_the_host() {
    let admin = Admin::start().await;
    for (readiness, status, body) in [
        (Readiness::Starting, "503", "starting\n"),
        (Readiness::Ready, "200", "ready\n"),
        (Readiness::Draining, "503", "draining\n"),
    ] {
        admin.ready.send(readiness).unwrap();
        let response = admin.get("/ready").await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert!(response.ends_with(&format!("\r\n\r\n{body}")), "{response}");
        assert!(response.contains("cache-control: no-store\r\n"), "{response}");
        assert_eq!(
            response.contains("retry-after: 1\r\n"),
            status == "503",
            "{response}"
        );
    }
}

#[tokio::test]
async fn metrics_are_openmetrics() {
    let admin = Admin::start().await;
    let revision = admin.metrics.revision("shop", "catalog", "0a");
    revision.trap();
    let response = admin.get("/metrics").await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    let media_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(response.contains(media_type), "{response}");
    assert!(
        response.contains("midplane_traps_total{app=\"shop\",service=\"catalog\",revision=\"0a\"} 1\n"),
        "{response}"
    );
    assert!(response.ends_with("# EOF\n"), "{response}");
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let admin = Admin::start().await;
    let response = admin
        .exchange(b"HEAD /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(response.contains("content-length: 9\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
}

#[tokio::test]
async fn anything_else_is_refused_with_a_problem() {
    let admin = Admin::start().await;
    for path in ["/", "/ready/", "/metrics/x", "/%72eady", "//ready"] {
        let response = admin.get(path).await;
        assert!(response.starts_with("HTTP/1.1 404 "), "{path}: {response}");
        assert!(
            response.contains("content-type: application/problem+json\r\n"),
            "{response}"
        );
        assert!(response.contains("\"status\":404"), "{response}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let request = format!("{method} /ready HTTP/1.1\r\nHost: [::1]:3001\r\nContent-Length: 0\r\n\r\n");
        let response = admin.exchange(request.as_bytes()).await;
        assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
        assert!(response.contains("allow: GET, HEAD\r\n"), "{response}");
    }
}

#[tokio::test]
async fn only_addresses_and_localhost_are_hosts_so_that_no_page_can_rebind_its_name() {
    let admin = Admin::start().await;
    admin.ready.send(Readiness::Ready).unwrap();
    for host in [
        "127.0.0.1",
        "127.0.0.1:3001",
        "LocalHost:1",
        "[::1]:3001",
        "[::1]",
        "192.0.2.7:80",
    ] {
        assert_eq!(
            admin.status_for_host(&format!("Host: {host}\r\n")).await,
            "200",
            "{host}"
        );
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:3001",
        "0x7f.1",
        "[::1].x",
        "me@localhost",
        "localhost:port",
    ] {
        let status = admin.status_for_host(&format!("Host: {host}\r\n")).await;
        assert!(matches!(status.as_str(), "421" | "400"), "{host}: {status}");
    }
    assert_eq!(admin.status_for_host("Host: evil.example\r\n").await, "421");
    assert_eq!(admin.status_for_host("").await, "400");
    assert_eq!(
        admin
            .status_for_host("Host: localhost\r\nHost: evil.example\r\n")
            .await,
        "400"
    );
    let absolute = admin
        .exchange(b"GET http://evil.example/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert!(absolute.starts_with("HTTP/1.1 421 "), "{absolute}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let admin = Admin::start().await;
    let request = format!(
        "GET /ready HTTP/1.1\r\nHost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(2 * MAX_HEAD)
    );
    let response = admin.exchange(request.as_bytes()).await;
    assert!(
        response.is_empty() || response.starts_with("HTTP/1.1 431 "),
        "{response}"
    );
    assert!(admin.get("/ready").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test(start_paused = true)]
async fn clients_that_say_nothing_are_let_go_and_do_not_shut_others_out() {
    let admin = Admin::start().await;
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(b"GET /ready HTTP/1.1\r\n").await.unwrap();
        silent.push(stream);
    }
    let begun = tokio::time::Instant::now();
    let response = admin.get("/ready").await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(begun.elapsed() <= 2 * MAX_EXCHANGE);
}

#[tokio::test]
async fn it_answers_while_the_host_drains_and_ends_with_it() {
    let admin = Admin::start().await;
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    admin.tasks.spawn("request", wait);
    admin.tasks.begin_drain();
    admin.ready.send(Readiness::Draining).unwrap();
    assert!(admin.get("/ready").await.ends_with("draining\n"));
    go.send(()).unwrap();
    assert!(admin.tasks.drained(MAX_EXCHANGE).await.is_clean());
    assert!(TcpStream::connect(admin.address).await.is_err());
}
