//! What becomes of files: where they lie, who may read them, what a restart, a full disk and damage do.

use super::*;
use crate::capability::NoRoom;
use crate::capability::key_value::port::KeyValueError;
use crate::capability::sqlite::port::contract::{one, run};
use crate::capability::sqlite::port::{Bounds, SqlConnection, SqlError, Value};

#[tokio::test]
async fn data_survives_its_host_and_lies_where_it_is_listed() {
    let fixture = Fixture::new(SqliteSettings::default());
    let connection = fixture.database().connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    run(&connection, "INSERT INTO t VALUES (42)").await.unwrap();
    fixture.key_value().set("k".into(), b"v".to_vec()).await.unwrap();
    assert!(
        std::fs::metadata(fixture.path().with_extension("db-wal"))
            .unwrap()
            .len()
            > 0,
        "there is a log"
    );
    drop(connection);

    let Fixture { directory, data } = fixture;
    data.close();
    drop(data);
    let pool = Blocking::new(BlockingSettings::default());
    let again = Fixture {
        directory,
        data: SqliteData::new(fast(), pool),
    };
    let connection = again.database().connect().await.unwrap();
    assert_eq!(one(&connection, "SELECT x FROM t").await, Value::Integer(42));
    assert_eq!(again.key_value().get("k".into()).await, Ok(Some(b"v".to_vec())));
}

#[tokio::test]
async fn a_table_that_somebody_else_changed_is_read_as_it_is_now() {
    let fixture = Fixture::new(fast());
    let older = fixture.database().connect().await.unwrap();
    let newer = fixture.database().connect().await.unwrap();
    run(&older, "CREATE TABLE t (x)").await.unwrap();
    run(&older, "INSERT INTO t VALUES (1)").await.unwrap();
    let seen = async || {
        let result = run(&older, "SELECT * FROM t").await.unwrap();
        (result.columns, result.rows)
    };
    assert_eq!(seen().await.0, ["x"]);
    run(&newer, "ALTER TABLE t ADD COLUMN y DEFAULT 2").await.unwrap();
    let (columns, rows) = seen().await;
    assert_eq!(columns, ["x", "y"]);
    assert_eq!(rows, [[Value::Integer(1), Value::Integer(2)]]);
    run(&newer, "ALTER TABLE t DROP COLUMN x").await.unwrap();
    let (columns, rows) = seen().await;
    assert_eq!(columns, ["y"]);
    assert_eq!(rows, [[Value::Integer(2)]]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_data() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new(fast());
    let connection = fixture.database().connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = fixture.path();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
    for directory in path.ancestors().skip(1).take(4) {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
}

#[tokio::test]
async fn a_full_database_says_so_and_keeps_what_it_has() {
    let fixture = Fixture::new(SqliteSettings {
        max_database_bytes: 128 << 10,
        ..fast()
    });
    let connection = fixture.database().connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    let mut written = 0;
    let error = loop {
        match run(&connection, "INSERT INTO t VALUES (zeroblob(10000))").await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "the bound does not hold");
    };
    assert_eq!(error, SqlError::DatabaseFull(NoRoom::OfHost(128 << 10)));
    assert!(written >= 5);
    assert_eq!(
        one(&connection, "SELECT count(*) FROM t").await,
        Value::Integer(written)
    );
    run(&connection, "DELETE FROM t").await.unwrap();
    run(&connection, "INSERT INTO t VALUES (zeroblob(10000))")
        .await
        .unwrap();

    let store = fixture.key_value();
    let error = loop {
        let key = written.to_string();
        if let Err(error) = store.set(key, vec![0; 10_000]).await {
            break error;
        }
        written += 1;
        assert!(written < 200, "the bound does not hold");
    };
    assert_eq!(error, KeyValueError::Full(NoRoom::OfHost(128 << 10)));
}

/// Inserts until this is why there is no more room, and says how many rows there are then.
async fn fill(connection: &Arc<dyn SqlConnection>, no_room: NoRoom) -> Value {
    for _ in 0..1000 {
        if let Err(error) = run(connection, "INSERT INTO t VALUES (zeroblob(10000))").await {
            assert_eq!(error, SqlError::DatabaseFull(no_room));
            return one(connection, "SELECT count(*) FROM t").await;
        }
    }
    panic!("the bound does not hold");
}

#[tokio::test]
async fn whoever_opens_a_database_has_a_size_of_their_own() {
    let fixture = Fixture::new(SqliteSettings {
        max_database_bytes: 512 << 10,
        max_idle_connections: 1,
        ..fast()
    });
    let of = |bytes: u64| fixture.data.database(&fixture.path(), Some(bytes)).unwrap();
    let small_is_full = NoRoom::OfService(128 << 10);
    let host_has_no_more = NoRoom::OfHost(512 << 10);
    let (small, large) = (of(128 << 10), of(256 << 10));
    // More than the host allows is what the host allows.
    let (all, more) = (fixture.database(), of(1 << 40));
    let connection = small.connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    let Value::Integer(of_small) = fill(&connection, small_is_full).await else {
        panic!("a count");
    };
    assert!((5..=12).contains(&of_small), "{of_small}");
    // A connection that came back is not one of another size.
    drop(connection);
    let connection = large.connect().await.unwrap();
    let Value::Integer(of_large) = fill(&connection, NoRoom::OfService(256 << 10)).await else {
        panic!("a count");
    };
    assert!(
        (of_small * 2 - 2..=of_small * 2 + 6).contains(&of_large),
        "{of_large}"
    );
    drop(connection);
    let connection = small.connect().await.unwrap();
    assert_eq!(
        fill(&connection, small_is_full).await,
        Value::Integer(of_large),
        "it reads all of it"
    );
    let connection = all.connect().await.unwrap();
    let of_all = fill(&connection, host_has_no_more).await;
    let connection = more.connect().await.unwrap();
    assert_eq!(fill(&connection, host_has_no_more).await, of_all);
    assert_ne!(of_all, Value::Integer(of_large));
}

#[tokio::test]
async fn temporary_tables_are_bounded_too() {
    let fixture = Fixture::new(SqliteSettings {
        max_database_bytes: 128 << 10,
        ..fast()
    });
    let connection = fixture.database().connect().await.unwrap();
    let error = run(
        &connection,
        "CREATE TEMP TABLE t AS SELECT zeroblob(1000000) AS x",
    )
    .await
    .unwrap_err();
    assert_eq!(error, SqlError::DatabaseFull(NoRoom::OfHost(128 << 10)));
}

#[tokio::test]
async fn a_lock_held_too_long_is_busy_and_changes_nothing() {
    let busy_timeout = Duration::from_millis(40);
    let fixture = Fixture::new(SqliteSettings {
        busy_timeout,
        ..fast()
    });
    let (holder, other) = (
        fixture.database().connect().await.unwrap(),
        fixture.database().connect().await.unwrap(),
    );
    run(&holder, "CREATE TABLE t (x)").await.unwrap();
    run(&holder, "BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(
        run(&other, "INSERT INTO t VALUES (1)").await,
        Err(SqlError::Busy { waited: busy_timeout })
    );
    assert_eq!(
        run(&other, "BEGIN IMMEDIATE").await,
        Err(SqlError::Busy { waited: busy_timeout })
    );
    let streamed = other
        .query("INSERT INTO t VALUES (1)".into(), vec![], Bounds::default())
        .await;
    assert_eq!(streamed.err(), Some(SqlError::Busy { waited: busy_timeout }));
    run(&holder, "COMMIT").await.unwrap();
    assert_eq!(one(&other, "SELECT count(*) FROM t").await, Value::Integer(0));
}

#[tokio::test]
async fn a_lock_of_another_program_is_waited_for() {
    let fixture = Fixture::new(fast());
    let connection = fixture.database().connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    let foreign = rusqlite::Connection::open(fixture.path()).unwrap();
    foreign
        .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
        .unwrap();
    let mut waiting = Box::pin(run(&connection, "INSERT INTO t VALUES (2)"));
    let early = tokio::time::timeout(Duration::from_millis(60), &mut waiting).await;
    assert!(early.is_err(), "it does not wait");
    foreign.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap();
    assert_eq!(
        one(&connection, "SELECT group_concat(x) FROM t").await,
        Value::Text("1,2".into())
    );
}

#[tokio::test]
async fn more_connections_than_may_be_open_wait_and_then_fail() {
    let settings = SqliteSettings {
        max_connections: 2,
        busy_timeout: Duration::from_millis(40),
        ..SqliteSettings::default()
    };
    let fixture = Fixture::new(settings);
    let database = fixture.database();
    let (first, _second) = (
        database.connect().await.unwrap(),
        database.connect().await.unwrap(),
    );
    assert_eq!(
        database.connect().await.err(),
        Some(SqlError::TooManyConnections { max: 2 })
    );
    drop(first);
    assert!(database.connect().await.is_ok());
}

#[tokio::test]
async fn damage_is_told_without_the_path() {
    let fixture = Fixture::new(fast());
    let path = fixture.path();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    assert_eq!(fixture.database().connect().await.err(), Some(SqlError::Damaged));
    assert_eq!(
        std::fs::read(&path).unwrap(),
        vec![b'x'; 8192],
        "the file is left as it was"
    );

    let store = fixture.directory.path().join("kv.db");
    std::fs::write(&store, vec![b'x'; 8192]).unwrap();
    assert_eq!(
        fixture.key_value().get("k".into()).await,
        Err(KeyValueError::Damaged)
    );
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told_without_the_path() {
    let fixture = Fixture::new(fast());
    let file = fixture.directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let database = fixture
        .data
        .database(&file.join("below-a-file.db"), None)
        .unwrap();
    let error = database.connect().await.err().unwrap();
    assert!(matches!(error, SqlError::Unavailable { .. }), "{error:?}");
    assert!(!error.to_string().contains("below"), "{error}");
}

#[test]
fn one_file_cannot_be_both_kinds() {
    let fixture = Fixture::new(fast());
    let path = fixture.directory.path().join("kv.db");
    fixture.key_value();
    assert!(matches!(
        fixture.data.database(&path, None),
        Err(SqliteDataError::TwoKinds { .. })
    ));
    assert!(fixture.data.key_value(&path, None).is_ok());
}

#[tokio::test]
async fn a_value_beyond_its_bound_is_refused_and_one_at_it_is_kept() {
    let max_bytes = 64 << 10;
    let fixture = Fixture::new(SqliteSettings {
        max_value_bytes: max_bytes,
        ..fast()
    });
    let store = fixture.key_value();
    let largest = vec![7; max_bytes];
    store.set("k".into(), largest.clone()).await.unwrap();
    assert_eq!(store.get("k".into()).await, Ok(Some(largest.clone())));
    let refused = KeyValueError::ValueTooLarge {
        bytes: max_bytes + 1,
        max_bytes,
    };
    assert_eq!(
        store.set("k".into(), vec![7; max_bytes + 1]).await,
        Err(refused.clone())
    );
    assert_eq!(
        store
            .compare_and_swap("j".into(), None, vec![7; max_bytes + 1])
            .await,
        Err(refused)
    );
    store.set("j".into(), vec![1]).await.unwrap();
    let together = Err(KeyValueError::BatchTooLarge { max_bytes });
    assert_eq!(store.get_many(vec!["k".into(), "j".into()]).await, together);
    assert_eq!(
        store
            .set_many(vec![("a".into(), largest), ("b".into(), vec![1])])
            .await,
        Err(KeyValueError::BatchTooLarge { max_bytes })
    );
    assert_eq!(store.exists("a".into()).await, Ok(false));
}

#[tokio::test]
async fn a_stream_whose_reader_sleeps_is_stopped() {
    let reader_timeout = Duration::from_millis(40);
    let fixture = Fixture::new(SqliteSettings {
        reader_timeout,
        ..fast()
    });
    let connection = fixture.database().connect().await.unwrap();
    let sql =
        "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) SELECT x, zeroblob(10000) FROM c";
    let (_, rows) = connection
        .query(sql.into(), vec![], Bounds::default())
        .await
        .unwrap();
    // The next statement gets its turn although nobody reads.
    assert_eq!(one(&connection, "SELECT 1").await, Value::Integer(1));
    let batches: Vec<_> = futures::StreamExt::collect(rows).await;
    assert_eq!(
        batches.last().unwrap(),
        &Err(SqlError::Unread {
            limit: reader_timeout
        })
    );
    assert!(
        batches.len() < 100,
        "what was read ahead is bounded: {}",
        batches.len()
    );
}
