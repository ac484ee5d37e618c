//! One connection to an SQLite database: statements in, rows out.
//!
//! The trait is as small as it is so that the same SQL runs on the host's database in a guest and on a real SQLite in
//! the tests.

use auth_domain::port::StoreError;
use spin_sdk::sqlite::{Connection, Error, Value};

/// One row, column by column.
pub(crate) type Row = Vec<Value>;

/// A connection. Dropping it rolls back what was not committed.
pub(crate) trait Database {
    /// Runs one statement and collects its rows.
    async fn rows(&self, statement: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError>;
}

impl Database for Connection {
    async fn rows(&self, statement: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let result = self.execute(statement, parameters).await.map_err(failure)?;
        let rows = result.collect().await.map_err(failure)?;
        Ok(rows.into_iter().map(|row| row.values).collect())
    }
}

/// Opens the service's own database.
pub(crate) async fn open() -> Result<Connection, StoreError> {
    Connection::open_default().await.map_err(failure)
}

/// Runs `work` in a transaction that holds the write lock from its start: what it reads stays true until it is done.
///
/// Should the future be dropped half-way, the connection is dropped with it, and that rolls back.
pub(crate) async fn immediate<D: Database, T>(
    database: &D,
    work: impl AsyncFnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    database.rows("BEGIN IMMEDIATE", vec![]).await?;
    let result = match work().await {
        Ok(value) => database.rows("COMMIT", vec![]).await.map(|_| value),
        Err(error) => Err(error),
    };
    if result.is_err() {
        // The error to tell is the first one; the connection is not used again if this one fails too.
        let _ = database.rows("ROLLBACK", vec![]).await;
    }
    result
}

fn failure(error: Error) -> StoreError {
    match error {
        Error::DatabaseFull => StoreError::Full("its capacity is used up".to_owned()),
        Error::Io(text) => classify(text),
        Error::NoSuchDatabase => StoreError::Failed("there is no database \"default\"".to_owned()),
        Error::AccessDenied => {
            StoreError::Failed("the manifest does not grant the database \"default\"".to_owned())
        }
        Error::InvalidConnection => StoreError::Failed("the connection is not valid".to_owned()),
    }
}

/// The interface has no error of its own for what SQLite calls busy and full; its text says so.
pub(crate) fn classify(text: String) -> StoreError {
    let lower = text.to_ascii_lowercase();
    let busy = ["locked", "busy", "connections to this database are in use"];
    if busy.iter().any(|sign| lower.contains(sign)) {
        StoreError::Busy(text)
    } else if lower.contains("disk is full") || lower.contains("sqlite_full") {
        StoreError::Full(text)
    } else {
        StoreError::Failed(text)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A real SQLite behind [`Database`].

    use super::{Database, Row, StoreError, Value, classify};
    use rusqlite::types::ValueRef;
    use rusqlite::{Connection, ToSql, types::ToSqlOutput};
    use std::rc::Rc;

    /// A connection. Clones are the same one.
    #[derive(Clone)]
    pub(crate) struct Sqlite(Rc<Connection>);

    impl Sqlite {
        /// To a database of its own, in memory.
        pub(crate) fn new() -> Self {
            Self(Rc::new(Connection::open_in_memory().unwrap()))
        }

        /// To a database in a file.
        pub(crate) fn at(path: &std::path::Path) -> Self {
            let connection = Connection::open(path).unwrap();
            connection
                .busy_timeout(std::time::Duration::from_secs(30))
                .unwrap();
            Self(Rc::new(connection))
        }
    }

    struct Parameter(Value);

    impl ToSql for Parameter {
        fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
            Ok(match &self.0 {
                Value::Integer(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
                Value::Real(number) => ToSqlOutput::Borrowed(ValueRef::Real(*number)),
                Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
                Value::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
                Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            })
        }
    }

    impl Sqlite {
        fn try_rows(&self, statement: &str, parameters: Vec<Value>) -> rusqlite::Result<Vec<Row>> {
            let mut statement = self.0.prepare(statement)?;
            let columns = statement.column_count();
            let parameters = rusqlite::params_from_iter(parameters.into_iter().map(Parameter));
            statement
                .query_map(parameters, |row| {
                    (0..columns)
                        .map(|column| {
                            Ok(match row.get_ref(column)? {
                                ValueRef::Integer(number) => Value::Integer(number),
                                ValueRef::Real(number) => Value::Real(number),
                                ValueRef::Text(text) => {
                                    Value::Text(String::from_utf8(text.to_vec()).unwrap())
                                }
                                ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
                                ValueRef::Null => Value::Null,
                            })
                        })
                        .collect()
                })?
                .collect()
        }
    }

    impl Database for Sqlite {
        async fn rows(&self, statement: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError> {
            self.try_rows(statement, parameters)
                .map_err(|error| classify(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Sqlite;
    use super::*;
    use auth_domain::testing::ready;

    fn count(database: &Sqlite) -> Row {
        ready(database.rows("SELECT count(*) FROM t", vec![]))
            .unwrap()
            .remove(0)
    }

    #[test]
    fn a_failing_transaction_leaves_nothing() {
        let database = Sqlite::new();
        ready(database.rows("CREATE TABLE t (a INTEGER)", vec![])).unwrap();
        let insert = || database.rows("INSERT INTO t VALUES (?)", vec![Value::Integer(1)]);
        let failed: Result<(), _> = ready(immediate(&database, async || {
            insert().await?;
            Err(StoreError::Full("no".to_owned()))
        }));
        assert_eq!(failed, Err(StoreError::Full("no".to_owned())));
        assert_eq!(count(&database), [Value::Integer(0)]);
        ready(immediate(&database, async || insert().await)).unwrap();
        assert_eq!(count(&database), [Value::Integer(1)]);
    }

    #[test]
    fn the_text_tells_busy_from_full_from_broken() {
        assert!(matches!(
            classify("database is locked".to_owned()),
            StoreError::Busy(_)
        ));
        assert!(matches!(
            classify("SQLITE_BUSY: try again".to_owned()),
            StoreError::Busy(_)
        ));
        let full_house = "all 64 connections to this database are in use: close connections, or try again";
        assert!(matches!(classify(full_house.to_owned()), StoreError::Busy(_)));
        assert!(matches!(
            classify("database or disk is full".to_owned()),
            StoreError::Full(_)
        ));
        assert!(matches!(
            classify("no such table: t".to_owned()),
            StoreError::Failed(_)
        ));
        assert!(matches!(failure(Error::DatabaseFull), StoreError::Full(_)));
        assert!(matches!(
            failure(Error::Io("database is locked".to_owned())),
            StoreError::Busy(_)
        ));
    }
}
