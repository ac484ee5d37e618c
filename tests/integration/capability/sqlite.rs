//! SQLite databases.

use serde_json::{Value, json};

use super::{GUESTS, data, sql};
use crate::harness::{Answer, TestHost};

const GRANT: &str = "sqlite_databases = [\"default\"]";
const PER_SERVICE: &str = "[application.tool.midplane]\ndata = \"per-service\"";

async fn host() -> TestHost {
    data(GRANT).application(PER_SERVICE).start().await
}

async fn one(host: &TestHost, guest: &str, statement: &str) -> Answer {
    sql(host, guest, "default", json!([[statement, []]])).await
}

#[tokio::test]
async fn every_type_of_value_comes_back_as_it_went_in() {
    let host = host().await;
    let values = json!([i64::MAX, -1.5, "text ✓", [0, 255, 7], null]);
    for guest in GUESTS {
        one(
            &host,
            guest,
            "CREATE TABLE t (i INTEGER, r REAL, t TEXT, b BLOB, n)",
        )
        .await;
        let insert = sql(
            &host,
            guest,
            "default",
            json!([["INSERT INTO t VALUES (?, ?, ?, ?, ?)", values]]),
        )
        .await;
        assert_eq!(insert.status, 200, "{insert:?}");
        let rows = one(&host, guest, "SELECT i, r, t, b, n AS absent FROM t")
            .await
            .json();
        assert_eq!(rows["columns"], json!(["i", "r", "t", "b", "absent"]));
        assert_eq!(rows["rows"], json!([values]), "{guest}");
    }
}

#[tokio::test]
async fn the_newer_interface_counts_changes_and_rows() {
    let host = host().await;
    let statements = json!([
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, n)", []],
        ["INSERT INTO t (n) VALUES (1), (2), (3)", []],
    ]);
    let answer = sql(&host, "p3", "default", statements).await.json();
    assert_eq!(
        (&answer["changes"], &answer["last_insert_rowid"]),
        (&json!(3), &json!(3))
    );
}

#[tokio::test]
async fn a_transaction_holds_on_its_connection_and_ends_with_it() {
    let host = host().await;
    for guest in GUESTS {
        one(&host, guest, "CREATE TABLE t (n)").await;
        let committed = json!([
            ["BEGIN IMMEDIATE", []],
            ["INSERT INTO t VALUES (1)", []],
            ["COMMIT", []]
        ]);
        assert_eq!(sql(&host, guest, "default", committed).await.status, 200);
        let abandoned = json!([["BEGIN IMMEDIATE", []], ["INSERT INTO t VALUES (2)", []]]);
        assert_eq!(sql(&host, guest, "default", abandoned).await.status, 200);
        let rows = one(&host, guest, "SELECT n FROM t").await.json();
        assert_eq!(
            rows["rows"],
            json!([[1]]),
            "{guest}: what was not committed is gone"
        );
    }
}

#[tokio::test]
async fn concurrent_increments_are_all_counted() {
    let host = std::sync::Arc::new(host().await);
    for guest in GUESTS {
        one(&host, guest, "CREATE TABLE counter (n)").await;
        one(&host, guest, "INSERT INTO counter VALUES (0)").await;
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let host = host.clone();
            writers.spawn(async move {
                let increment = json!([
                    ["BEGIN IMMEDIATE", []],
                    ["UPDATE counter SET n = (SELECT n FROM counter) + 1", []],
                    ["COMMIT", []]
                ]);
                let answer = sql(&host, guest, "default", increment).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            });
        }
        writers.join_all().await;
        assert_eq!(
            one(&host, guest, "SELECT n FROM counter").await.json()["rows"],
            json!([[20]]),
            "{guest}"
        );
    }
}

#[tokio::test]
async fn nothing_reaches_outside_of_the_database() {
    let host = host().await;
    let refused = [
        "ATTACH DATABASE '/etc/passwd' AS other",
        "ATTACH ':memory:' AS other",
        "attach/**/database 'x.db' as y",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('evil')",
        "SELECT writefile('x', 'y')",
        "SELECT readfile('/etc/passwd')",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = OFF",
        "PRAGMA synchronous = OFF",
        "PRAGMA temp_store_directory = '/'",
        "PRAGMA trusted_schema = ON",
        "PRAGMA database_list",
    ];
    for guest in GUESTS {
        for statement in refused {
            let answer = one(&host, guest, statement).await;
            assert_eq!(answer.status, 422, "{guest} may {statement}: {}", answer.text());
        }
        assert_eq!(one(&host, guest, "SELECT 1").await.json()["rows"], json!([[1]]));
    }
}

#[tokio::test]
async fn the_database_writes_ahead_and_syncs_fully() {
    let host = host().await;
    for guest in GUESTS {
        let mode = one(&host, guest, "PRAGMA journal_mode").await;
        assert_eq!(mode.json()["rows"], json!([["wal"]]), "{guest}");
        let statements = json!([["PRAGMA synchronous = NORMAL", []], ["PRAGMA synchronous", []]]);
        let full = sql(&host, guest, "default", statements).await;
        assert_eq!(
            full.json()["rows"],
            json!([[2]]),
            "{guest}: a guest cannot change it"
        );
    }
}

#[tokio::test]
async fn errors_of_a_statement_reach_the_guest_and_change_nothing() {
    let host = host().await;
    for guest in GUESTS {
        one(&host, guest, "CREATE TABLE t (n INTEGER NOT NULL UNIQUE)").await;
        one(&host, guest, "INSERT INTO t VALUES (1)").await;
        for (statement, says) in [
            ("SELEKT 1", "syntax"),
            ("SELECT * FROM missing", "missing"),
            ("INSERT INTO t VALUES (1)", "UNIQUE"),
            ("INSERT INTO t VALUES (NULL)", "NOT NULL"),
        ] {
            let answer = one(&host, guest, statement).await;
            assert_eq!(answer.status, 422);
            assert!(
                answer.text().contains(says),
                "{guest}: {statement} says {}",
                answer.text()
            );
        }
        assert_eq!(
            one(&host, guest, "SELECT n FROM t").await.json()["rows"],
            json!([[1]])
        );
    }
}

#[tokio::test]
async fn parameters_are_data_and_never_statements() {
    let host = host().await;
    for guest in GUESTS {
        one(&host, guest, "CREATE TABLE t (n)").await;
        let hostile = json!("x'); DROP TABLE t; --");
        sql(
            &host,
            guest,
            "default",
            json!([["INSERT INTO t VALUES (?)", [hostile]]]),
        )
        .await;
        assert_eq!(
            one(&host, guest, "SELECT n FROM t").await.json()["rows"],
            json!([[hostile]])
        );
    }
}

#[tokio::test]
async fn a_query_without_end_is_interrupted() {
    let host = host().await;
    let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT sum(n) FROM c";
    let (two, three) = tokio::join!(one(&host, "p2", endless), one(&host, "p3", endless));
    for answer in [two, three] {
        // Its CPU time is the request's: the guest is told, and is ended too if it does not come to its answer at once.
        let is_told =
            answer.status == 422 && answer.text().contains("the CPU time of this request is used up");
        let is_ended = answer.status == 500 && answer.text().contains("urn:midplane:problem:cpu-time");
        assert!(is_told || is_ended, "{answer:?}");
    }
    for guest in GUESTS {
        assert_eq!(one(&host, guest, "SELECT 1").await.json()["rows"], json!([[1]]));
    }
    host.stop().await;
}

#[tokio::test]
async fn a_result_without_end_is_bounded() {
    let host = host().await;
    let rows = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c";
    let blob = "SELECT zeroblob(1000000000)";
    for guest in GUESTS {
        for statement in [rows, blob] {
            let answer = one(&host, guest, statement).await;
            assert_ne!(answer.status, 200, "{guest}: {statement}");
            assert_eq!(one(&host, guest, "SELECT 1").await.json()["rows"], json!([[1]]));
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn a_database_grows_to_the_size_that_the_operator_set() {
    let host = data(GRANT)
        .application(PER_SERVICE)
        .file(
            "runtime.toml",
            "[midplane.sqlite]\nmax_database_size = \"1MiB\"\n",
        )
        .arg("--runtime-config-file")
        .arg("runtime.toml")
        .start()
        .await;
    for guest in GUESTS {
        one(&host, guest, "CREATE TABLE t (b BLOB)").await;
        let half = "INSERT INTO t VALUES (zeroblob(600000))";
        assert_eq!(one(&host, guest, half).await.status, 200, "{guest}");
        let refused = one(&host, guest, half).await;
        assert_eq!(refused.status, 422, "{guest}: {refused:?}");
        assert!(refused.text().contains("DatabaseFull"), "{guest}: {refused:?}");
        let count = one(&host, guest, "SELECT count(*) FROM t").await;
        assert_eq!(count.json()["rows"], json!([[1]]), "{guest}");
        let told = host
            .wait_for_log("the file that cannot grow", |line| {
                line.field("path")
                    .ends_with(&format!("{guest}/sqlite/default.db"))
            })
            .await;
        assert!(told.message().contains("max_database_size"), "{told:?}");
        assert_eq!(told.field("limit"), "1MiB", "{told:?}");
    }
}

#[tokio::test]
async fn databases_belong_to_the_app_or_to_each_service() {
    let shared = data(GRANT).start().await;
    one(&shared, "p2", "CREATE TABLE mine (n)").await;
    assert_eq!(one(&shared, "p3", "SELECT * FROM mine").await.status, 200);

    let apart = host().await;
    one(&apart, "p2", "CREATE TABLE mine (n)").await;
    assert_eq!(one(&apart, "p3", "SELECT * FROM mine").await.status, 422);
}

#[tokio::test]
async fn a_database_that_was_not_granted_is_denied() {
    let host = host().await;
    for guest in GUESTS {
        for database in ["other", "../default", "", "default/../default"] {
            let answer = sql(&host, guest, database, json!([["SELECT 1", []]])).await;
            assert_eq!(answer.status, 422, "{guest} {database:?}");
            assert!(
                answer.text().contains("AccessDenied"),
                "{guest} {database:?}: {}",
                answer.text()
            );
        }
    }
}

#[tokio::test]
async fn rows_that_were_acknowledged_survive_a_killed_host() {
    let app = data(GRANT).application(PER_SERVICE);
    for round in 0..3 {
        let mut host = app.start().await;
        for guest in GUESTS {
            one(&host, guest, "CREATE TABLE IF NOT EXISTS t (n)").await;
            let insert = sql(
                &host,
                guest,
                "default",
                json!([["INSERT INTO t VALUES (?)", [round]]]),
            )
            .await;
            assert_eq!(insert.status, 200);
        }
        host.signal(rustix::process::Signal::KILL);
        host.finish().await;
    }
    let host = app.start().await;
    for guest in GUESTS {
        let rows: Value = one(&host, guest, "SELECT n FROM t ORDER BY n").await.json();
        assert_eq!(rows["rows"], json!([[0], [1], [2]]), "{guest}");
    }
}
