//! The least of a SQL database: connections that run one statement at a time.

use std::future::Future;

use orders_domain::port::StoreError;

/// A value that goes in or comes out. The orders store nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An integer.
    Integer(i64),
    /// A text.
    Text(String),
    /// Nothing.
    Null,
    /// Any other: the orders neither write nor read it.
    Other,
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

/// Saturates: what the domain stores is far below.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// One row of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// The integer in a column.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] for anything else, or one that does not fit.
    pub fn integer<T: TryFrom<i64>>(&self, column: usize) -> Result<T, StoreError> {
        match self.0.get(column) {
            Some(Value::Integer(value)) => T::try_from(*value).map_err(|_| unreadable(column)),
            _ => Err(unreadable(column)),
        }
    }

    /// The integer in a column, if there is anything.
    ///
    /// # Errors
    /// As [`Row::integer`].
    pub fn optional<T: TryFrom<i64>>(&self, column: usize) -> Result<Option<T>, StoreError> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.integer(column).map(Some),
        }
    }

    /// The text in a column.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] for anything else.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value),
            _ => Err(unreadable(column)),
        }
    }
}

fn unreadable(column: usize) -> StoreError {
    StoreError::Unreadable(format!("column {column} is not what it should be"))
}

/// A connection of its own: what it does in a transaction no other sees. Dropped inside of one, the
/// transaction is undone.
pub trait Connection {
    /// Runs one statement to its end and answers its rows.
    fn run(
        &self,
        statement: &str,
        parameters: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>>;
}

/// Where connections come from.
pub trait Pool {
    /// Its connections.
    type Connection: Connection;

    /// A connection outside of any transaction, to a database whose schema is up to date.
    fn take(&self) -> impl Future<Output = Result<Self::Connection, StoreError>>;

    /// Takes a connection back that is outside of any transaction. One that is in doubt is dropped instead.
    fn give_back(&self, connection: Self::Connection);
}
