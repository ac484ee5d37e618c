//! `database_size`: of databases and of key-value stores.

use http::Request;
use serde_json::{Value, json};

use super::{GUESTS, table, with_data};
use crate::harness::{Answer, TestHost, full};

const GRANTS: &str = "sqlite_databases = [\"default\"]\nkey_value_stores = [\"default\"]";
const PER_SERVICE: &str = "[application.tool.midplane]\ndata = \"per-service\"";
/// What one write takes.
const PIECE: usize = 16 * 1024;

async fn sql(host: &TestHost, guest: &str, statement: &str) -> Answer {
    let body = json!({ "database": "default", "statements": [[statement, []]] }).to_string();
    host.post(&format!("/{guest}/sql"), full(body)).await
}

async fn insert(host: &TestHost, guest: &str) -> Answer {
    sql(host, guest, &format!("INSERT INTO t VALUES (zeroblob({PIECE}))")).await
}

async fn put(host: &TestHost, guest: &str, key: usize) -> Answer {
    let request = Request::put(format!("/{guest}/kv/default/{key}"));
    let request = request.body(full(vec![7; PIECE])).expect("the path is valid");
    host.request(request).await
}

/// How many writes pass before one is refused, and what that is.
async fn until_full(mut write: impl AsyncFnMut(usize) -> Answer) -> (usize, Answer) {
    for number in 0..100 {
        let answer = write(number).await;
        if !answer.status.is_success() {
            return (number, answer);
        }
    }
    panic!("it never gets full");
}

/// Waits for what whoever runs the host is told: which file is full, at what size, and what would let it grow.
async fn told_of_its_size(host: &TestHost, file: &str) {
    let line = host
        .wait_for_log("the file that cannot grow", |line| {
            line.message().starts_with("a database cannot grow") && line.field("path").ends_with(file)
        })
        .await;
    assert!(line.message().contains("`limits.database_size`"), "{line:?}");
    assert_eq!(line.field("limit"), "256KiB", "{line:?}");
}

/// The usage of data that the admin API tells of.
async fn usage(host: &TestHost, guest: &str) -> Vec<Value> {
    let service = host.admin_get(&format!("/v1/apps/test/services/{guest}")).await;
    let data = service.json()["current"]["usage"]["data"].clone();
    data.as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_database_and_a_store_grow_to_their_size_and_no_further() {
    let app = with_data(GRANTS, "database_size = \"256KiB\"").application(PER_SERVICE);
    let host = app.start().await;
    for guest in GUESTS {
        assert_eq!(sql(&host, guest, "CREATE TABLE t (b BLOB)").await.status, 200);
        let (written, refused) = until_full(async |_| insert(&host, guest).await).await;
        assert!((8..=16).contains(&written), "{written}");
        assert_eq!(refused.status, 422, "{refused:?}");
        assert!(refused.text().contains("DatabaseFull"), "{refused:?}");
        let file = format!("{guest}/sqlite/default.db");
        told_of_its_size(&host, &file).await;
        let count = sql(&host, guest, "SELECT count(*) FROM t").await.json()["rows"][0][0].clone();
        assert_eq!(count, written, "what was refused left something behind");
        assert_eq!(sql(&host, guest, "DELETE FROM t").await.status, 200);
        assert_eq!(insert(&host, guest).await.status, 200);

        let (written, refused) = until_full(async |key| put(&host, guest, key).await).await;
        assert!((8..=16).contains(&written), "{written}");
        assert_eq!(refused.status, 422, "{refused:?}");
        assert!(
            refused
                .text()
                .contains("the store is full: it may take 256KiB, the `database_size`"),
            "{refused:?}"
        );
        let file = format!("{guest}/key-value/default.db");
        told_of_its_size(&host, &file).await;
        let data = usage(&host, guest).await;
        assert_eq!(data.len(), 2, "{data:?}");
        for data in data {
            assert_eq!(
                (&data["label"], &data["limit_bytes"]),
                (&"default".into(), &(256 << 10).into())
            );
            assert!(
                data["bytes"].as_u64().is_some_and(|bytes| bytes <= 256 << 10),
                "{data}"
            );
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn services_that_share_a_file_have_each_their_own_limit() {
    // Labels of the app: both open the same files.
    let host = TestHost::builder()
        .service("p2", "data-p2")
        .grant(GRANTS)
        .tables(&table("p2", "database_size = \"256KiB\""))
        .service("p3", "data-p3")
        .grant(GRANTS)
        .tables(&table("p3", "database_size = \"1MiB\""))
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .start()
        .await;
    assert_eq!(sql(&host, "p3", "CREATE TABLE t (b BLOB)").await.status, 200);
    let (small, refused) = until_full(async |_| insert(&host, "p2").await).await;
    assert!(refused.text().contains("DatabaseFull"), "{refused:?}");
    let (large, refused) = until_full(async |_| insert(&host, "p3").await).await;
    assert!(refused.text().contains("DatabaseFull"), "{refused:?}");
    assert!(small + large > 48, "{small} and {large}");
    // It reads all of it, and makes it no larger.
    let count = sql(&host, "p2", "SELECT count(*) FROM t").await.json()["rows"][0][0].clone();
    assert_eq!(count, small + large);
    assert_eq!(insert(&host, "p2").await.status, 422);

    let (small, _) = until_full(async |key| put(&host, "p2", key).await).await;
    let (large, _) = until_full(async |key| put(&host, "p3", 1000 + key).await).await;
    assert!(small <= 16 && small + large > 48, "{small} and {large}");
    host.stop().await;
}
