//! SQLite outside of the component, for tests: a file, and a connection of its own for each that is taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use orders_domain::port::StoreError;
use orders_domain::testing::run;
use rusqlite::ErrorCode;
use rusqlite::types::ValueRef;
use tempfile::TempDir;

use super::schema;
use super::sql::{Connection, Pool, Row, Value};

/// The output of a future that never has to wait: natively, nothing here does.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    run(future).expect("it has to wait")
}

/// A database in a directory that goes with the last of its pools.
#[derive(Debug, Clone)]
pub(crate) struct File {
    directory: Arc<TempDir>,
}

impl File {
    /// A database without anything in it.
    pub(crate) fn blank() -> Self {
        Self {
            directory: Arc::new(TempDir::new().unwrap()),
        }
    }

    /// A database with the orders' tables, and nothing in them.
    pub(crate) fn empty() -> Self {
        let file = Self::blank();
        ready(schema::migrate(&file.connect())).unwrap();
        file
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("orders.db")
    }

    pub(crate) fn connect(&self) -> Native {
        connect(&self.path())
    }

    pub(crate) fn count(&self, statement: &str) -> u32 {
        let row = self.connect().0.query_row(statement, [], |row| row.get(0));
        row.unwrap()
    }
}

fn connect(path: &Path) -> Native {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    // Nothing here has to survive a power cut.
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    Native(connection)
}

impl Pool for File {
    type Connection = Native;

    async fn take(&self) -> Result<Native, StoreError> {
        Ok(self.connect())
    }

    fn give_back(&self, connection: Native) {
        assert!(connection.0.is_autocommit(), "given back inside of a transaction");
    }
}

#[derive(Debug)]
pub(crate) struct Native(pub(crate) rusqlite::Connection);

impl Connection for Native {
    async fn run(&self, statement: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        rows(&self.0, statement, parameters).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            Some(ErrorCode::DiskFull) => StoreError::Full,
            _ => StoreError::Failed(error.to_string()),
        })
    }
}

fn rows(
    connection: &rusqlite::Connection,
    statement: &str,
    parameters: Vec<Value>,
) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare(statement)?;
    let columns = statement.column_count();
    let parameters = parameters.into_iter().map(|value| match value {
        Value::Integer(value) => rusqlite::types::Value::Integer(value),
        Value::Text(value) => rusqlite::types::Value::Text(value),
        Value::Null | Value::Other => rusqlite::types::Value::Null,
    });
    let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| {
        let value = |column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Integer(value) => Value::Integer(value),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Null => Value::Null,
                ValueRef::Real(_) | ValueRef::Blob(_) => Value::Other,
            })
        };
        (0..columns)
            .map(value)
            .collect::<rusqlite::Result<Vec<_>>>()
            .map(Row)
    })?;
    rows.collect()
}
