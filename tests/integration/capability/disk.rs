//! A full disk: what was acknowledged stays, what was not leaves no trace, and the host serves on.

use serde_json::json;

use super::{GUESTS, data, put, sql};
use crate::harness::{Answer, TestHost};

const GRANTS: &str = "sqlite_databases = [\"default\"]\nkey_value_stores = [\"default\"]";
const PER_SERVICE: &str = "[application.tool.midplane]\ndata = \"per-service\"";
/// What one write takes.
const PIECE: usize = 64 * 1024;

async fn insert(host: &TestHost, guest: &str) -> Answer {
    let statement = format!("INSERT INTO t VALUES (zeroblob({PIECE}))");
    sql(host, guest, "default", json!([[statement, []]])).await
}

async fn rows(host: &TestHost, guest: &str) -> u64 {
    let answer = sql(host, guest, "default", json!([["SELECT count(*) FROM t", []]])).await;
    answer.json()["rows"][0][0].as_u64().expect("a count")
}

async fn keys(host: &TestHost, guest: &str) -> usize {
    let answer = host.get(&format!("/{guest}/kv/default")).await.json();
    answer.as_array().expect("a list").len()
}

#[tokio::test]
async fn a_write_that_finds_the_disk_full_fails_alone() {
    let app = data(GRANTS).application(PER_SERVICE).small_disk(14 * 1024);
    let host = app.start().await;
    let mut inserted = Vec::new();
    let mut stored = Vec::new();
    for guest in GUESTS {
        let create = sql(&host, guest, "default", json!([["CREATE TABLE t (b BLOB)", []]])).await;
        assert_eq!(create.status, 200, "{create:?}");
        assert_eq!(insert(&host, guest).await.status, 200);
        let answer = put(&host, &format!("/{guest}/kv/default/first"), &[0; PIECE]).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
    for guest in GUESTS {
        let mut count = 1;
        let refused = loop {
            let answer = insert(&host, guest).await;
            if answer.status != 200 {
                break answer;
            }
            count += 1;
            assert!(count < 1000, "the disk never gets full");
        };
        assert_eq!(refused.status, 422, "{refused:?}");
        assert!(refused.text().contains("DatabaseFull"), "{refused:?}");
        inserted.push(count);

        let mut count = 1;
        let refused = loop {
            let answer = put(&host, &format!("/{guest}/kv/default/{count}"), &[0; PIECE]).await;
            if answer.status != 204 {
                break answer;
            }
            count += 1;
            assert!(count < 1000, "the disk never gets full");
        };
        assert_eq!(refused.status, 422, "{refused:?}");
        assert!(
            refused.text().contains("the store is full: the disk"),
            "{refused:?}"
        );
        stored.push(count);
    }
    // Whoever runs the host reads which files they are.
    for file in [
        "p2/sqlite/default.db",
        "p2/key-value/default.db",
        "p3/sqlite/default.db",
    ] {
        host.wait_for_log("the file that cannot grow", |line| {
            line.message().contains("disk is full") && line.field("path").ends_with(file)
        })
        .await;
    }
    // Everything that was acknowledged can be read, and nothing else.
    for (index, guest) in GUESTS.into_iter().enumerate() {
        assert_eq!(rows(&host, guest).await, inserted[index], "{guest}");
        assert_eq!(keys(&host, guest).await, stored[index], "{guest}");
    }
    // As soon as there is room the same host writes again.
    host.free_disk();
    for (index, guest) in GUESTS.into_iter().enumerate() {
        let answer = insert(&host, guest).await;
        assert_eq!(answer.status, 200, "{guest}: {answer:?}");
        assert_eq!(rows(&host, guest).await, inserted[index] + 1, "{guest}");
        let answer = put(&host, &format!("/{guest}/kv/default/last"), &[0; PIECE]).await;
        assert_eq!(answer.status, 204, "{guest}: {answer:?}");
        assert_eq!(keys(&host, guest).await, stored[index] + 1, "{guest}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_disk_without_room_for_compiled_code_is_named_at_the_start() {
    // There is room for the components themselves.
    let failure = data(GRANTS).own_cache().small_disk(12 * 1024).fail().await;
    for word in ["disk/cache", "No space left on device"] {
        assert!(failure.stderr.contains(word), "no {word} in {}", failure.stderr);
    }
    assert!(!failure.stderr.contains("panicked"), "{}", failure.stderr);
}
