//! Spin's SQLite and variables, as the orders want them. Exists in the component only.

use std::cell::Cell;

use orders_domain::policy::Policy;
use orders_domain::port::StoreError;
use spin_sdk::{sqlite, variables};

use super::schema;
use super::sql::{Connection, Pool, Row, Value};
use super::variables::{CANCELLATION_SECONDS, RESERVATION_SECONDS, VariableError};

thread_local! {
    /// Whether this instance has seen the schema up to date. Another one may have made it so: it only gets
    /// newer.
    static MIGRATED: Cell<bool> = const { Cell::new(false) };
}

/// The service's database: the data label `default`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DefaultDatabase;

impl Pool for DefaultDatabase {
    type Connection = Database;

    async fn take(&self) -> Result<Database, StoreError> {
        let connection = Database(sqlite::Connection::open_default().await.map_err(failure)?);
        if !MIGRATED.get() {
            schema::migrate(&connection).await?;
            MIGRATED.set(true);
        }
        Ok(connection)
    }

    /// Closes it: a host keeps connections for those who open them. Kept here, it would be one that nobody
    /// uses while another service is asked, which may be waiting for a free one where all share a database.
    fn give_back(&self, _: Database) {}
}

/// A connection of the host's.
pub(crate) struct Database(sqlite::Connection);

impl Connection for Database {
    async fn run(&self, statement: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let parameters = parameters.into_iter().map(|value| match value {
            Value::Integer(value) => sqlite::Value::Integer(value),
            Value::Text(value) => sqlite::Value::Text(value),
            Value::Null | Value::Other => sqlite::Value::Null,
        });
        let result = self.0.execute(statement, parameters).await.map_err(failure)?;
        // To the end, so that the statement is over, and its error is seen.
        let rows = result.collect().await.map_err(failure)?;
        Ok(rows
            .into_iter()
            .map(|row| Row(row.values.into_iter().map(value).collect()))
            .collect())
    }
}

fn value(value: sqlite::Value) -> Value {
    match value {
        sqlite::Value::Integer(value) => Value::Integer(value),
        sqlite::Value::Text(value) => Value::Text(value),
        sqlite::Value::Null => Value::Null,
        sqlite::Value::Real(_) | sqlite::Value::Blob(_) => Value::Other,
    }
}

fn failure(error: sqlite::Error) -> StoreError {
    match error {
        sqlite::Error::Io(text) => {
            // The interface has no other sign of these.
            let says = |part: &str| text.contains(part);
            let busy = [
                "database is locked",
                "database table is locked",
                "SQLITE_BUSY",
                "connections to this database are in use",
            ];
            if busy.into_iter().any(says) {
                StoreError::Busy
            } else if says("database or disk is full") || says("SQLITE_FULL") {
                StoreError::Full
            } else {
                StoreError::Failed(text)
            }
        }
        sqlite::Error::DatabaseFull => StoreError::Full,
        error @ (sqlite::Error::NoSuchDatabase | sqlite::Error::AccessDenied) => StoreError::Refused(
            format!("{error}: sqlite_databases = [\"default\"] has to be granted"),
        ),
        error @ sqlite::Error::InvalidConnection => StoreError::Failed(error.to_string()),
    }
}

/// How long things last, from the variables.
///
/// # Errors
/// The first that does not do.
pub(crate) async fn policy() -> Result<Policy, VariableError> {
    let reservation = read(RESERVATION_SECONDS).await?;
    let cancellation = read(CANCELLATION_SECONDS).await?;
    super::variables::policy(reservation.as_deref(), cancellation.as_deref())
}

async fn read(name: &'static str) -> Result<Option<String>, VariableError> {
    match variables::get(name).await {
        Ok(value) => Ok(Some(value)),
        Err(variables::Error::Undefined(_)) => Ok(None),
        Err(error) => Err(VariableError::Unreadable {
            name,
            reason: error.to_string(),
        }),
    }
}
