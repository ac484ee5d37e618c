//! What a guest's SQL may not do, statement by statement.

use super::*;
use crate::capability::sqlite::port::contract::{one, run};
use crate::capability::sqlite::port::{SqlError, Value};

#[tokio::test]
async fn forbidden_statements_are_refused_with_a_reason_and_do_nothing() {
    let fixture = Fixture::new(fast());
    let connection = fixture.database().connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    let outside = fixture.directory.path().join("outside.db");
    let outside = outside.to_str().unwrap();
    for (sql, reason) in [
        (format!("ATTACH '{outside}' AS o"), "ATTACH"),
        (
            format!("ATTACH DATABASE 'file:{outside}?mode=rwc' AS o"),
            "ATTACH",
        ),
        ("ATTACH '' AS o".to_owned(), "ATTACH"),
        ("ATTACH ':memory:' AS o".to_owned(), "ATTACH"),
        ("DETACH main".to_owned(), "DETACH"),
        (format!("VACUUM INTO '{outside}'"), "VACUUM"),
        (format!("VACUUM main INTO '{outside}'"), "VACUUM"),
        ("VACUUM".to_owned(), "VACUUM"),
        ("SELECT load_extension('x')".to_owned(), "load_extension"),
        ("SELECT Load_Extension('x', 'y')".to_owned(), "oad_"),
        ("SELECT fts3_tokenizer('simple')".to_owned(), "fts3_tokenizer"),
        (
            "CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')".to_owned(),
            "csv",
        ),
        ("CREATE VIRTUAL TABLE v USING dbstat".to_owned(), "dbstat"),
        ("PRAGMA database_list".to_owned(), "paths of the host"),
        (
            "SELECT file FROM pragma_database_list".to_owned(),
            "paths of the host",
        ),
        ("PRAGMA journal_mode = DELETE".to_owned(), "journal_mode"),
        ("PRAGMA main.journal_mode(OFF)".to_owned(), "journal_mode"),
        ("PRAGMA synchronous = OFF".to_owned(), "durability"),
        ("PRAGMA synchronous = 0".to_owned(), "durability"),
        ("PRAGMA writable_schema = ON".to_owned(), "writable_schema"),
        ("PRAGMA trusted_schema = ON".to_owned(), "trusted_schema"),
        ("PRAGMA max_page_count = 100000000".to_owned(), "max_page_count"),
        ("PRAGMA locking_mode = EXCLUSIVE".to_owned(), "locking_mode"),
        ("PRAGMA schema_version = 7".to_owned(), "schema_version"),
        ("PRAGMA page_size = 512".to_owned(), "page_size"),
        (
            format!("PRAGMA temp_store_directory = '{outside}'"),
            "temp_store_directory",
        ),
        (
            format!("PRAGMA data_store_directory = '{outside}'"),
            "data_store_directory",
        ),
        ("PRAGMA no_such_pragma".to_owned(), "no_such_pragma"),
    ] {
        match run(&connection, &sql).await {
            Err(SqlError::Forbidden { reason: told }) => assert!(told.contains(reason), "{sql}: {told}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert!(!std::fs::exists(outside).unwrap(), "a file was made");
    // What SQLite itself refuses, because the database is in defensive mode.
    for sql in [
        "DELETE FROM sqlite_schema",
        "UPDATE sqlite_schema SET sql = ''",
        "INSERT INTO sqlite_dbpage VALUES (1, x'')",
    ] {
        assert!(run(&connection, sql).await.is_err(), "{sql}");
    }
    for (sql, value) in [
        ("PRAGMA journal_mode", Value::Text("wal".into())),
        ("PRAGMA trusted_schema", Value::Integer(0)),
        ("PRAGMA writable_schema", Value::Integer(0)),
        ("PRAGMA page_size", Value::Integer(4096)),
        ("SELECT count(*) FROM sqlite_schema", Value::Integer(1)),
    ] {
        assert_eq!(one(&connection, sql).await, value, "{sql}");
    }
}

#[tokio::test]
async fn what_apps_say_at_their_start_is_accepted_and_weakens_nothing() {
    let fixture = Fixture::new(SqliteSettings::default());
    let connection = fixture.database().connect().await.unwrap();
    for sql in [
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = NORMAL",
        "PRAGMA busy_timeout = 60000",
        "PRAGMA cache_size = -2000000",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA mmap_size = 30000000000",
        "PRAGMA foreign_keys = ON",
        "PRAGMA user_version = 7",
        "PRAGMA optimize",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)",
        "CREATE INDEX i ON t (body)",
        "CREATE VIEW v AS SELECT body FROM t",
        "CREATE VIRTUAL TABLE f USING fts5(body, content='t', content_rowid='id')",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO f (rowid, body) VALUES (new.id, new.body); END",
        "CREATE VIRTUAL TABLE r USING rtree(id, a, b)",
        "INSERT INTO t (body) VALUES ('hello world') RETURNING id",
        "SAVEPOINT s",
        "ALTER TABLE t ADD COLUMN extra",
        "RELEASE s",
        "SELECT * FROM t NATURAL JOIN v",
        "SELECT json_extract('{\"a\": 1}', '$.a')",
        "EXPLAIN QUERY PLAN SELECT * FROM t",
        "ANALYZE",
        "REINDEX",
        "PRAGMA integrity_check",
        "PRAGMA table_info(t)",
        "SELECT name FROM pragma_table_info('t')",
    ] {
        run(&connection, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    for (sql, value) in [
        ("SELECT count(*) FROM f WHERE f MATCH 'world'", 1),
        ("PRAGMA synchronous", 2),
        ("PRAGMA temp_store", 1),
        ("PRAGMA cache_size", -2048),
        ("PRAGMA user_version", 7),
    ] {
        assert_eq!(one(&connection, sql).await, Value::Integer(value), "{sql}");
    }
}

#[tokio::test]
async fn statements_that_would_take_too_much_are_refused() {
    let fixture = Fixture::new(fast());
    let connection = fixture.database().connect().await.unwrap();
    for sql in [
        "SELECT zeroblob(100000000)".to_owned(),
        "SELECT printf('%.*c', 100000000, 'x')".to_owned(),
        format!("SELECT 'x' LIKE '{}'", "%a".repeat(5000)),
        format!("SELECT {}", vec!["1"; 1001].join(", ")),
        format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(600)),
        "SELECT ?99999".to_owned(),
    ] {
        let error = run(&connection, &sql).await.unwrap_err();
        assert!(
            matches!(error, SqlError::Statement { .. }),
            "{sql:.60}: {error:?}"
        );
    }
}
