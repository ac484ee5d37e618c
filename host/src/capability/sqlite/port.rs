//! What the SQLite capability asks of the world outside: a database of one label, already bound to its owner, and
//! connections to it that behave as SQLite connections do (transactions included).
//!
//! Whether a guest may use a label is decided before a database is reached. Every adapter bounds what a statement
//! may return, take and hold, refuses statements that reach outside the database, and rolls back what a dropped
//! connection left open.

use crate::capability::NoRoom;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A database: one data label of one service, or of the whole app.
pub trait Database: Send + Sync {
    /// Opens a connection of its own, or takes one that is free. Its transaction, temporary tables and settings are
    /// seen by no other holder. Waits when too many are open, as long as for a lock.
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn SqlConnection>, SqlError>>;
}

/// One connection. Statements started at the same time on one connection run one after another.
///
/// Dropping the last reference rolls back an open transaction and gives the connection back.
pub trait SqlConnection: Send + Sync {
    /// Runs one statement to its end and returns all of its rows.
    ///
    /// Dropping the future interrupts the statement. An interrupted write inside a transaction rolls back the
    /// whole transaction, as in SQLite; elsewhere only itself.
    fn execute(
        &self,
        statement: String,
        parameters: Vec<Value>,
        bounds: Bounds,
    ) -> BoxFuture<'_, Result<QueryResult, SqlError>>;

    /// Runs one statement and returns its columns at once and its rows as they come, in batches, the last of which
    /// may be an error. Only so many rows are read ahead, so `max_rows` and `max_bytes` do not apply. `timeout`
    /// counts the time that the statement runs, without waits for the reader, each of which has a bound of its own.
    ///
    /// Dropping the stream interrupts the statement. While rows beyond what is read ahead are unread, other
    /// statements on the same connection wait.
    fn query(
        &self,
        statement: String,
        parameters: Vec<Value>,
        bounds: Bounds,
    ) -> BoxFuture<'_, Result<(Vec<String>, RowStream), SqlError>>;

    /// The row id of the last successful `INSERT` of this connection, or 0.
    fn last_insert_rowid(&self) -> i64;

    /// How many rows the last `INSERT`, `UPDATE` or `DELETE` of this connection changed, or 0.
    fn changes(&self) -> u64;
}

/// The rows of a running query in batches. It ends after its first error.
pub type RowStream = BoxStream<'static, Result<Vec<Row>, SqlError>>;

/// The values of one row, one for each column.
pub type Row = Vec<Value>;

/// All of a query's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryResult {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A value as SQLite knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A 64-bit integer.
    Integer(i64),
    /// A 64-bit float. SQLite stores a NaN as null.
    Real(f64),
    /// Text; it may contain NUL.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// Null.
    Null,
}

/// What the CPU time of statements is charged to.
pub trait CpuMeter: Send + Sync + fmt::Debug {
    /// How much may still be taken.
    fn left(&self) -> Duration;

    /// So much was taken.
    fn spend(&self, took: Duration);
}

/// What one statement may take.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The most rows that `execute` returns.
    pub max_rows: usize,
    /// The most memory that the rows of `execute` take, in bytes.
    pub max_bytes: usize,
    /// The longest time from the call to its end, waits for the connection and for locks included.
    pub timeout: Duration,
    /// What its CPU time is charged to, and bounded by.
    pub cpu: Option<Arc<dyn CpuMeter>>,
}

impl Default for Bounds {
    /// 100,000 rows, 16 MiB, 10 seconds.
    fn default() -> Self {
        Self {
            max_rows: 100_000,
            max_bytes: 16 << 20,
            timeout: Duration::from_secs(10),
            cpu: None,
        }
    }
}

/// Why a statement or a connection failed. The texts are written for the guest: they name no path and no other
/// service, and say what to do. A lock begins with SQLite's own words, which guests look for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// SQLite refused the statement: its syntax, a constraint, a missing table, a wrong number of parameters.
    #[error("{message}")]
    Statement {
        /// SQLite's own words.
        message: String,
    },
    /// The statement does what no guest may: reach another file, load code, weaken durability.
    #[error("not allowed: {reason}")]
    Forbidden {
        /// What is not allowed and what to do instead.
        reason: String,
    },
    /// The database has reached its size, or the disk is full. The statement changed nothing.
    #[error("the database is full: {0}")]
    DatabaseFull(NoRoom),
    /// The request that the statement belongs to has no CPU time left.
    #[error("the CPU time of this request is used up: read less, or have the operator raise `cpu_time`")]
    OutOfCpu,
    /// Another connection held the lock for longer than a statement waits. Nothing was changed.
    #[error("database is locked: another connection has held its lock for {waited:?}; try again")]
    Busy {
        /// How long the statement waited.
        waited: Duration,
    },
    /// The transaction read before another one wrote, so it can no longer write.
    #[error(
        "database is locked: it has changed since this transaction read it; \
         roll back and try again, and begin transactions that write with BEGIN IMMEDIATE"
    )]
    Conflict,
    /// The statement took longer than its bound and was interrupted.
    #[error("the statement took longer than {limit:?} and was stopped: add an index, or read less at once")]
    TimedOut {
        /// The bound.
        limit: Duration,
    },
    /// The reader of a row stream did not take its rows in time.
    #[error("the rows of the query were not read for {limit:?}, so it was stopped")]
    Unread {
        /// How long a query waits for its reader.
        limit: Duration,
    },
    /// The answer has more rows than its bound.
    #[error("the query returns more than {max} rows: add a LIMIT and read page by page")]
    TooManyRows {
        /// The bound.
        max: usize,
    },
    /// The answer is larger than its bound.
    #[error("the query returns more than {max_bytes} bytes: add a LIMIT, or select fewer columns")]
    ResultTooLarge {
        /// The bound.
        max_bytes: usize,
    },
    /// All connections to this database stayed in use for as long as a statement waits.
    #[error("all {max} connections to this database are in use: close connections, or try again")]
    TooManyConnections {
        /// How many may be open.
        max: usize,
    },
    /// More work is waiting for the data of this host than it holds in line.
    #[error("too many statements wait for the data of this host: try again later")]
    Overloaded,
    /// The database cannot be read; the host's log says which file and why.
    #[error("the database is damaged; the host's log names the file")]
    Damaged,
    /// The world outside failed in another way: a disk, a permission. The log has the particulars.
    #[error("the database cannot be used: {message}")]
    Unavailable {
        /// What failed, without paths.
        message: String,
    },
}

#[cfg(test)]
pub(crate) mod contract;
