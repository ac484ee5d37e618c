//! What every adapter of [`Database`] must do. `sqlite_contract!(expression)` makes one test of each, with a new,
//! empty database that the expression gives together with what must outlive it.

use super::{Bounds, CpuMeter, Database, QueryResult, SqlConnection, SqlError, Value};
use futures::StreamExt as _;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Base = Arc<dyn Database>;

/// One test for each promise, over the database of `$fixture: (_, Arc<dyn Database>)`.
macro_rules! sqlite_contract {
    ($fixture:expr) => {
        $crate::capability::sqlite::port::contract::sqlite_contract!(
            $fixture;
            values_of_every_type_are_read_back
            odd_values_are_no_panic
            statements_that_are_wrong_say_so
            only_one_statement_runs
            rows_and_bytes_are_bounded
            time_is_bounded
            cpu_time_is_bounded
            a_statement_given_up_is_interrupted
            connections_see_what_is_committed_and_no_more
            a_lock_that_comes_free_is_waited_for
            a_stale_transaction_is_a_conflict
            what_a_dropped_connection_left_open_is_rolled_back
            nothing_of_a_former_holder_is_seen
            increments_from_many_connections_are_all_counted
            ids_and_changes_are_of_the_last_statement
            foreign_keys_hold
            rows_are_streamed_in_order
            a_stream_given_up_frees_its_connection
            a_stream_that_fails_says_so_at_its_end
        );
    };
    ($fixture:expr; $($promise:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            let (_outlives, database) = $fixture;
            $crate::capability::sqlite::port::contract::$promise(database).await;
        }
    )*};
}
pub(crate) use sqlite_contract;

/// Counts to a number that takes far longer than any test runs.
const ENDLESS: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c \
     WHERE x < 100000000000) SELECT max(x) FROM c";

/// Runs a statement without parameters within the default bounds.
pub(crate) async fn run(connection: &Arc<dyn SqlConnection>, sql: &str) -> Result<QueryResult, SqlError> {
    connection
        .execute(sql.to_owned(), Vec::new(), Bounds::default())
        .await
}

/// The one value of a query.
pub(crate) async fn one(connection: &Arc<dyn SqlConnection>, sql: &str) -> Value {
    run(connection, sql).await.unwrap().rows.remove(0).remove(0)
}

pub(crate) async fn values_of_every_type_are_read_back(database: Base) {
    let connection = database.connect().await.unwrap();
    let values = vec![
        Value::Integer(i64::MIN),
        Value::Real(-0.5),
        Value::Text("täxt\0with NUL".into()),
        Value::Blob(vec![0, 255, 0]),
        Value::Null,
    ];
    let answer = connection
        .execute(
            "SELECT ? AS i, ? AS r, ? AS t, ? AS b, ? AS n".into(),
            values.clone(),
            Bounds::default(),
        )
        .await
        .unwrap();
    assert_eq!(
        answer,
        QueryResult {
            columns: ["i", "r", "t", "b", "n"].map(String::from).into(),
            rows: vec![values]
        }
    );
}

pub(crate) async fn odd_values_are_no_panic(database: Base) {
    let connection = database.connect().await.unwrap();
    let ask =
        |value: Value| connection.execute("SELECT ?1, typeof(?1)".into(), vec![value], Bounds::default());
    assert_eq!(ask(Value::Real(f64::NAN)).await.unwrap().rows[0][0], Value::Null);
    assert_eq!(
        ask(Value::Real(f64::INFINITY)).await.unwrap().rows[0][0],
        Value::Real(f64::INFINITY)
    );
    assert_eq!(
        ask(Value::Text(String::new())).await.unwrap().rows[0][0],
        Value::Text(String::new())
    );
    assert_eq!(
        ask(Value::Blob(vec![])).await.unwrap().rows[0][0],
        Value::Blob(vec![])
    );
    assert!(
        ask(Value::Blob(vec![7; 64 << 20])).await.is_err(),
        "a blob beyond every bound"
    );
    let not_text = run(&connection, "SELECT CAST(x'ff' AS TEXT)").await.unwrap_err();
    assert!(not_text.to_string().contains("UTF-8"), "{not_text}");
    for (sql, parts) in [
        ("SELECT 1\0; SELECT 2", "NUL"),
        (&"(".repeat(100_000), "parser"),
        (
            &format!("SELECT {}1", "-".repeat(2).replace("--", "- ").repeat(100_000)),
            "deep",
        ),
        (&"x".repeat(2 << 20), "more than"),
    ] {
        let error = run(&connection, sql).await.unwrap_err().to_string();
        assert!(
            error.len() < 300 && !error.is_empty(),
            "about {parts}: {error:.500}"
        );
    }
    assert_eq!(
        one(&connection, "SELECT 1").await,
        Value::Integer(1),
        "the connection still works"
    );
}

pub(crate) async fn statements_that_are_wrong_say_so(database: Base) {
    let connection = database.connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x INTEGER PRIMARY KEY)")
        .await
        .unwrap();
    run(&connection, "INSERT INTO t VALUES (1)").await.unwrap();
    for (sql, words) in [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM missing", "no such table: missing"),
        ("INSERT INTO t VALUES (1)", "UNIQUE constraint failed: t.x"),
        ("SELECT ?", "1 parameters and 0 values"),
        ("", ""),
        (" -- nothing\n", ""),
    ] {
        match run(&connection, sql).await {
            Ok(answer) => assert!(words.is_empty() && answer.rows.is_empty(), "{sql}"),
            Err(SqlError::Statement { message }) => assert!(message.contains(words), "{sql}: {message}"),
            Err(error) => panic!("{sql}: {error:?}"),
        }
    }
}

pub(crate) async fn only_one_statement_runs(database: Base) {
    let connection = database.connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    run(&connection, "PRAGMA foreign_keys = ON").await.unwrap();
    for sql in [
        "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (1); nonsense",
        "INSERT INTO t VALUES (1); VACUUM",
        "INSERT INTO t VALUES (1); PRAGMA foreign_keys = OFF",
        // One level of recursion for each of these would overflow the stack.
        &"SELECT 1;".repeat(100_000),
    ] {
        let error = run(&connection, sql).await.unwrap_err();
        assert!(error.to_string().contains("more than one statement"), "{error}");
    }
    assert_eq!(
        one(&connection, "SELECT count(*) FROM t").await,
        Value::Integer(0)
    );
    assert_eq!(one(&connection, "PRAGMA foreign_keys").await, Value::Integer(1));
    for sql in [
        "INSERT INTO t VALUES (1);",
        "INSERT INTO t VALUES (1) ; -- a comment; with a semicolon",
        "INSERT INTO t VALUES (';')",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t WHERE x = 9; DELETE FROM t WHERE x = 8; END",
        &format!("INSERT INTO t VALUES (1){}", ";".repeat(100_000)),
        "-- nothing; here",
    ] {
        run(&connection, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql:.80}: {error}"));
    }
    assert_eq!(
        one(&connection, "SELECT count(*) FROM t").await,
        Value::Integer(4)
    );
}

pub(crate) async fn rows_and_bytes_are_bounded(database: Base) {
    let connection = database.connect().await.unwrap();
    let rows = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) SELECT x FROM c LIMIT ";
    let bounds = Bounds {
        max_rows: 10,
        ..Bounds::default()
    };
    let answer = connection
        .execute(format!("{rows} 10"), vec![], bounds.clone())
        .await
        .unwrap();
    assert_eq!(answer.rows.len(), 10);
    let error = connection
        .execute(format!("{rows} 11"), vec![], bounds.clone())
        .await
        .unwrap_err();
    assert_eq!(error, SqlError::TooManyRows { max: 10 });
    let bounds = Bounds {
        max_bytes: 10_000,
        ..Bounds::default()
    };
    let error = connection
        .execute("SELECT zeroblob(10000)".into(), vec![], bounds.clone())
        .await
        .unwrap_err();
    assert_eq!(error, SqlError::ResultTooLarge { max_bytes: 10_000 });
    assert_eq!(
        one(&connection, "SELECT 1").await,
        Value::Integer(1),
        "the connection still works"
    );
}

pub(crate) async fn time_is_bounded(database: Base) {
    let connection = database.connect().await.unwrap();
    let limit = Duration::from_millis(50);
    let began = Instant::now();
    let error = connection
        .execute(
            ENDLESS.into(),
            vec![],
            Bounds {
                timeout: limit,
                ..Bounds::default()
            },
        )
        .await
        .unwrap_err();
    assert_eq!(error, SqlError::TimedOut { limit });
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(
        one(&connection, "SELECT 1").await,
        Value::Integer(1),
        "the connection still works"
    );
}

/// CPU time of which there is so much.
#[derive(Debug)]
struct Purse {
    has: Duration,
    spent: Mutex<Duration>,
}

impl CpuMeter for Purse {
    fn left(&self) -> Duration {
        self.has.saturating_sub(*self.spent.lock())
    }

    fn spend(&self, took: Duration) {
        *self.spent.lock() += took;
    }
}

pub(crate) async fn cpu_time_is_bounded(database: Base) {
    let connection = database.connect().await.unwrap();
    let has = Duration::from_millis(20);
    let purse = Arc::new(Purse {
        has,
        spent: Mutex::default(),
    });
    let bounds = Bounds {
        // Whatever ends a statement here, it is not this.
        timeout: Duration::from_secs(600),
        cpu: Some(purse.clone()),
        ..Bounds::default()
    };
    let execute = |sql: &str| connection.execute(sql.to_owned(), vec![], bounds.clone());
    assert_eq!(execute(ENDLESS).await, Err(SqlError::OutOfCpu));
    assert!(purse.left().is_zero(), "{purse:?}");
    // Rows that stream are charged too, and end with the error.
    *purse.spent.lock() = Duration::ZERO;
    let query = connection.query(ENDLESS.to_owned(), vec![], bounds.clone());
    let ended = match query.await {
        Ok((_, rows)) => rows.collect::<Vec<_>>().await.pop(),
        Err(error) => Some(Err(error)),
    };
    assert_eq!(ended, Some(Err(SqlError::OutOfCpu)));
    assert!(purse.left().is_zero(), "{purse:?}");
    assert_eq!(
        one(&connection, "SELECT 1").await,
        Value::Integer(1),
        "the connection still works"
    );
}

pub(crate) async fn a_statement_given_up_is_interrupted(database: Base) {
    let connection = database.connect().await.unwrap();
    let bounds = Bounds {
        timeout: Duration::from_secs(600),
        ..Bounds::default()
    };
    let endless = connection.execute(ENDLESS.into(), vec![], bounds);
    // Long enough to begin on an idle machine; given up in line it must be as harmless.
    let given_up = tokio::time::timeout(Duration::from_millis(30), endless).await;
    assert!(given_up.is_err());
    // This waits for the connection, which comes free only if the statement has ended.
    let next = tokio::time::timeout(Duration::from_secs(20), run(&connection, "SELECT 1")).await;
    assert_eq!(next.expect("interrupted").unwrap().rows, [[Value::Integer(1)]]);
}

pub(crate) async fn connections_see_what_is_committed_and_no_more(database: Base) {
    let (writer, reader) = (
        database.connect().await.unwrap(),
        database.connect().await.unwrap(),
    );
    run(&writer, "CREATE TABLE t (x)").await.unwrap();
    run(&writer, "BEGIN").await.unwrap();
    run(&writer, "INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(one(&writer, "SELECT count(*) FROM t").await, Value::Integer(1));
    assert_eq!(
        one(&reader, "SELECT count(*) FROM t").await,
        Value::Integer(0),
        "a reader does not wait"
    );
    run(&writer, "COMMIT").await.unwrap();
    assert_eq!(one(&reader, "SELECT count(*) FROM t").await, Value::Integer(1));
}

pub(crate) async fn a_lock_that_comes_free_is_waited_for(database: Base) {
    let holder = database.connect().await.unwrap();
    run(&holder, "CREATE TABLE t (x)").await.unwrap();
    run(&holder, "BEGIN IMMEDIATE").await.unwrap();
    // More waiters than the pool has threads: the holder's next statements must still find one.
    let waiters: Vec<_> = (0..16)
        .map(|index| {
            let database = Arc::clone(&database);
            tokio::spawn(async move {
                let connection = database.connect().await?;
                run(&connection, &format!("INSERT INTO t VALUES ({index})")).await
            })
        })
        .collect();
    for _ in 0..50 {
        run(&holder, "INSERT INTO t VALUES (100)").await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(
        one(&holder, "SELECT count(*) FROM t").await,
        Value::Integer(50),
        "no waiter came between"
    );
    run(&holder, "COMMIT").await.unwrap();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(one(&holder, "SELECT count(*) FROM t").await, Value::Integer(66));
}

pub(crate) async fn a_stale_transaction_is_a_conflict(database: Base) {
    let (first, second) = (
        database.connect().await.unwrap(),
        database.connect().await.unwrap(),
    );
    run(&first, "CREATE TABLE t (x)").await.unwrap();
    run(&first, "BEGIN").await.unwrap();
    assert_eq!(one(&first, "SELECT count(*) FROM t").await, Value::Integer(0));
    run(&second, "INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(
        run(&first, "INSERT INTO t VALUES (2)").await,
        Err(SqlError::Conflict)
    );
    run(&first, "ROLLBACK").await.unwrap();
    run(&first, "INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(one(&second, "SELECT count(*) FROM t").await, Value::Integer(2));
}

pub(crate) async fn what_a_dropped_connection_left_open_is_rolled_back(database: Base) {
    let connection = database.connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    run(&connection, "BEGIN IMMEDIATE").await.unwrap();
    run(&connection, "INSERT INTO t VALUES (1)").await.unwrap();
    drop(connection);
    let next = database.connect().await.unwrap();
    run(&next, "INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(
        one(&next, "SELECT group_concat(x) FROM t").await,
        Value::Text("2".into())
    );
}

pub(crate) async fn nothing_of_a_former_holder_is_seen(database: Base) {
    let connection = database.connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    run(&connection, "INSERT INTO t VALUES (1)").await.unwrap();
    run(&connection, "CREATE TEMP TABLE secret (x)").await.unwrap();
    run(&connection, "PRAGMA foreign_keys = OFF").await.unwrap();
    run(&connection, "BEGIN").await.unwrap();
    drop(connection);
    for _ in 0..3 {
        let next = database.connect().await.unwrap();
        assert!(run(&next, "SELECT * FROM temp.secret").await.is_err());
        assert_eq!(one(&next, "PRAGMA foreign_keys").await, Value::Integer(1));
        assert_eq!(one(&next, "SELECT last_insert_rowid()").await, Value::Integer(0));
        assert_eq!((next.last_insert_rowid(), next.changes()), (0, 0));
        run(&next, "BEGIN").await.unwrap();
        run(&next, "INSERT INTO t VALUES (1)").await.unwrap();
    }
}

pub(crate) async fn increments_from_many_connections_are_all_counted(database: Base) {
    let connection = database.connect().await.unwrap();
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    run(&connection, "INSERT INTO t VALUES (0)").await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let database = Arc::clone(&database);
            tokio::spawn(async move {
                let connection = database.connect().await.unwrap();
                for _ in 0..10 {
                    run(&connection, "BEGIN IMMEDIATE").await.unwrap();
                    let Value::Integer(x) = one(&connection, "SELECT x FROM t").await else {
                        panic!("no integer")
                    };
                    run(&connection, &format!("UPDATE t SET x = {}", x + 1))
                        .await
                        .unwrap();
                    run(&connection, "COMMIT").await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(one(&connection, "SELECT x FROM t").await, Value::Integer(80));
}

pub(crate) async fn ids_and_changes_are_of_the_last_statement(database: Base) {
    let connection = database.connect().await.unwrap();
    assert_eq!((connection.last_insert_rowid(), connection.changes()), (0, 0));
    run(&connection, "CREATE TABLE t (x)").await.unwrap();
    run(&connection, "INSERT INTO t VALUES (1), (2), (3)")
        .await
        .unwrap();
    assert_eq!((connection.last_insert_rowid(), connection.changes()), (3, 3));
    run(&connection, "UPDATE t SET x = 0 WHERE x > 1").await.unwrap();
    assert_eq!((connection.last_insert_rowid(), connection.changes()), (3, 2));
}

pub(crate) async fn foreign_keys_hold(database: Base) {
    let connection = database.connect().await.unwrap();
    run(&connection, "CREATE TABLE a (id INTEGER PRIMARY KEY)")
        .await
        .unwrap();
    run(&connection, "CREATE TABLE b (a INTEGER REFERENCES a)")
        .await
        .unwrap();
    let error = run(&connection, "INSERT INTO b VALUES (7)").await.unwrap_err();
    assert_eq!(error.to_string(), "FOREIGN KEY constraint failed");
}

pub(crate) async fn rows_are_streamed_in_order(database: Base) {
    let connection = database.connect().await.unwrap();
    // 20 MB of rows: many times what is read ahead, so the statement waits for the reader again and again.
    let sql = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) \
               SELECT x, zeroblob(1000) AS b FROM c LIMIT 20000";
    let bounds = Bounds {
        max_rows: 1,
        max_bytes: 1,
        ..Bounds::default()
    };
    let (columns, mut rows) = connection.query(sql.into(), vec![], bounds).await.unwrap();
    assert_eq!(columns, ["x", "b"]);
    let mut next = 1;
    while let Some(batch) = rows.next().await {
        for row in batch.unwrap() {
            assert_eq!(row[0], Value::Integer(next));
            next += 1;
        }
    }
    assert_eq!(next, 20_001);
    let (columns, mut rows) = connection
        .query("CREATE TABLE t (x)".into(), vec![], Bounds::default())
        .await
        .unwrap();
    assert!(columns.is_empty() && rows.next().await.is_none());
    run(&connection, "INSERT INTO t VALUES (1)").await.unwrap();
}

pub(crate) async fn a_stream_given_up_frees_its_connection(database: Base) {
    let connection = database.connect().await.unwrap();
    let endless = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";
    let bounds = Bounds {
        timeout: Duration::from_secs(600),
        ..Bounds::default()
    };
    // More of them than the pool has threads, all waiting for readers.
    let mut held = Vec::new();
    for _ in 0..12 {
        let connection = database.connect().await.unwrap();
        let (_, mut rows) = connection
            .query(endless.into(), vec![], bounds.clone())
            .await
            .unwrap();
        assert!(rows.next().await.unwrap().is_ok());
        held.push(rows);
    }
    let (_, mut rows) = connection
        .query(endless.into(), vec![], bounds.clone())
        .await
        .unwrap();
    assert!(rows.next().await.unwrap().is_ok());
    drop(rows);
    let next = tokio::time::timeout(Duration::from_secs(20), run(&connection, "SELECT 1")).await;
    assert_eq!(next.expect("freed").unwrap().rows, [[Value::Integer(1)]]);
}

pub(crate) async fn a_stream_that_fails_says_so_at_its_end(database: Base) {
    let connection = database.connect().await.unwrap();
    let sql = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) \
               SELECT CASE x WHEN 1000 THEN CAST(x'ff' AS TEXT) ELSE x END FROM c LIMIT 2000";
    let (_, rows) = connection
        .query(sql.into(), vec![], Bounds::default())
        .await
        .unwrap();
    let batches: Vec<_> = rows.collect().await;
    let (last, before) = batches.split_last().unwrap();
    assert_eq!(
        before
            .iter()
            .map(|batch| batch.as_ref().unwrap().len())
            .sum::<usize>(),
        999
    );
    assert!(last.as_ref().unwrap_err().to_string().contains("UTF-8"));
    let early = connection
        .query("SELECT * FROM missing".into(), vec![], Bounds::default())
        .await;
    assert!(matches!(early, Err(SqlError::Statement { .. })));
}
