//! No file descriptor left: what is open is served, what would need one says so, and once connections end all is as before.

use http::Request;
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::{Answer, Connection, Protocol, TestHost, Upstream, eventually, full};

/// Enough for a host with its data and some connections.
const LIMIT: u32 = 160;

const GRANTS: &str = "sqlite_databases = [\"default\"]\nkey_value_stores = [\"default\"]";
const PER_SERVICE: &str = "[application.tool.midplane]\ndata = \"per-service\"";

async fn sql(connection: &Connection, guest: &str, statement: &str) -> Answer {
    let body = json!({ "database": "default", "statements": [[statement, []]] }).to_string();
    let request = Request::post(format!("/{guest}/sql")).body(full(body));
    let answer = connection
        .exchange(request.expect("the test's path is valid"))
        .await;
    answer.expect("a connection that is open is served")
}

#[tokio::test]
async fn a_host_without_descriptors_serves_what_is_open_and_recovers() {
    let upstream = Upstream::start().await;
    let host = TestHost::builder()
        .application(PER_SERVICE)
        .service("p2", "data-p2")
        .grant(GRANTS)
        .service("p3", "data-p3")
        .grant(GRANTS)
        .service("web", "http-p2")
        .grant(&format!("allowed_outbound_hosts = [{:?}]", upstream.url("")))
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .route("/web/...", "web")
        .open_files(LIMIT)
        .start()
        .await;
    let warned = host
        .wait_for_log("a word about the limit", |line| {
            line.message().contains("ulimit -Hn")
        })
        .await;
    assert_eq!(warned.field("limit"), LIMIT.to_string());

    let open = host.connect(Protocol::Http1).await;
    let created = sql(&open, "p2", "CREATE TABLE t (n)").await;
    assert_eq!(created.status, 200, "{created:?}");

    // Clients come until there is no descriptor left. The system answers for the host: all of them are connected.
    let mut crowd = Vec::new();
    for _ in 0..LIMIT {
        crowd.push(
            TcpStream::connect(host.address)
                .await
                .expect("the system has a queue"),
        );
    }
    let told = host
        .wait_for_log("the lack of descriptors", |line| {
            line.message() == "cannot accept connections"
                && line.field("error").contains("Too many open files")
        })
        .await;
    // It does not try again at once.
    assert_eq!(told.field("retry_in"), "10ms");

    // What is open serves: the connection, and the database.
    let inserted = sql(&open, "p2", "INSERT INTO t VALUES (1)").await;
    assert_eq!(inserted.status, 200, "{inserted:?}");
    // What is not open cannot be opened, and says why.
    let refused = sql(&open, "p3", "CREATE TABLE t (n)").await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text().contains("Too many open files"), "{refused:?}");
    let refused = open.get("/p3/kv/default/key").await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text().contains("Too many open files"), "{refused:?}");
    let fetch = format!("/web/outbound?url={}", upstream.url("/"));
    let refused = open.get(&fetch).await.json();
    let error = refused["error"].as_str().unwrap_or_default();
    assert!(error.contains("ConnectionLimitReached"), "{refused}");
    host.wait_for_log("the operator's side of it", |line| {
        line.message() == "cannot connect to other hosts"
    })
    .await;

    drop(crowd);
    eventually("a database to open", || async {
        host.get("/p3/kv/default").await.status == 200
    })
    .await;
    let fresh = host.connect(Protocol::Http1).await;
    let created = sql(&fresh, "p3", "CREATE TABLE t (n)").await;
    assert_eq!(created.status, 200, "{created:?}");
    assert_eq!(fresh.get(&fetch).await.json()["status"], 200);
    let counted = sql(&fresh, "p2", "SELECT count(*) FROM t").await;
    assert_eq!(counted.json()["rows"], json!([[1]]), "{counted:?}");
    host.stop().await;
}
