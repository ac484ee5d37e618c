//! Spin's SQLite and outbound HTTP, as the catalog wants them. Exists in the component only.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use catalog_domain::port::StoreError;
use http_body_util::Empty;
use spin_sdk::sqlite;
use spin_sdk::wasip3::http::types::RequestOptions;
use spin_sdk::wasip3::http_compat::RequestOptionsExtension;

use crate::access::keys::{Fetch, FetchError, SET_MAX};

use super::schema;
use super::sql::{Connection, Pool, Row, Value};
use super::world::{RandomIds, SystemClock};

/// The variable with the address of the key set of `auth`.
const JWKS_URL: &str = "jwks_url";
/// How long `auth` may take to begin its answer, and then for each part of it.
const PATIENCE: Duration = Duration::from_secs(5);

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
            schema::migrate(&connection, &SystemClock, &RandomIds).await?;
            MIGRATED.set(true);
        }
        Ok(connection)
    }

    /// Closes it: a host keeps connections for those who open them. Kept here, every instance would hold one
    /// while it waits for its next request; composed into another service, that one waits for a free
    /// connection to the same database meanwhile.
    fn give_back(&self, _: Database) {}
}

/// A connection of the host's.
pub(crate) struct Database(sqlite::Connection);

impl Connection for Database {
    async fn run(&self, statement: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let parameters = parameters.into_iter().map(|value| match value {
            Value::Integer(value) => sqlite::Value::Integer(value),
            Value::Text(value) => sqlite::Value::Text(value),
            Value::Other => sqlite::Value::Null,
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
        sqlite::Value::Real(_) | sqlite::Value::Blob(_) | sqlite::Value::Null => Value::Other,
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

/// The key set of `auth`, from the address in the variable `jwks_url`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Jwks;

impl Fetch for Jwks {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        let url = spin_sdk::variables::get(JWKS_URL).await;
        let url = url.map_err(|error| FetchError::Address(format!("variable {JWKS_URL}: {error}")))?;
        let mut request = http::Request::get(&url)
            .header(http::header::ACCEPT, "application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|error| FetchError::Address(format!("variable {JWKS_URL}: {error}")))?;
        request
            .extensions_mut()
            .insert(RequestOptionsExtension(patience()));
        let response = spin_sdk::http::send(request).await;
        let response = response.map_err(|error| FetchError::NoAnswer(error.to_string()))?;
        let (head, body) = response.into_parts();
        if head.status != http::StatusCode::OK {
            return Err(FetchError::Status(head.status.as_u16()));
        }
        let whole = rest::body::read_bytes(&head.headers, body, SET_MAX).await;
        whole
            .map(|bytes| bytes.to_vec())
            .map_err(|problem| FetchError::NoKeySet(problem.detail))
    }
}

/// A host that knows no such options has limits of its own: then these are left out.
fn patience() -> RequestOptions {
    let options = RequestOptions::new();
    let nanoseconds = u64::try_from(PATIENCE.as_nanos()).ok();
    let _ = options.set_connect_timeout(nanoseconds);
    let _ = options.set_first_byte_timeout(nanoseconds);
    let _ = options.set_between_bytes_timeout(nanoseconds);
    options
}
