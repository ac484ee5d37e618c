//! Databases and key-value stores in SQLite files: the embedded adapter of both ports, and the default.
//!
//! Owns the files below the state directory and the connections to them. Hides SQLite, its locks and its threads.
//! Invariants: no statement waits or runs without a bound; a guest reaches its own file only; a connection that
//! comes from a former holder looks like a new one; what was committed is on disk (`synchronous = FULL`) unless
//! told otherwise.

mod authorizer;
mod call;
mod connection;
mod database;
mod failure;
mod key_value;
mod loan;
mod location;
mod rows;
mod statement;
#[cfg(test)]
mod tests;

pub(super) use loan::create;
pub use location::{Kind, Scope, location};

use crate::adapter::blocking::Blocking;
use crate::capability::key_value::port::KeyValueStore;
use crate::capability::sqlite::port::Database;
use connection::SqliteDatabase;
use database::Core;
use key_value::SqliteKeyValue;
use loan::Author;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// When a commit is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// Before it returns.
    Full,
    /// At the next checkpoint: the last commits can be lost when the machine fails, but not when the host does.
    Normal,
}

/// The bounds of every database and store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// When a commit is on disk.
    pub synchronous: Synchronous,
    /// How long a statement waits for another's lock, and a connection for a free place.
    pub busy_timeout: Duration,
    /// How large a database file may grow.
    pub max_database_bytes: u64,
    /// The largest text, blob or row, the largest value of a key-value store, and the most that the values of one of
    /// its batches have together. Text functions work on whole values without a look at the clock, so a high bound
    /// here weakens the time bounds.
    pub max_value_bytes: usize,
    /// How many connections to one database may be open.
    pub max_connections: usize,
    /// How many connections to one database stay open while nobody uses them.
    pub max_idle_connections: usize,
    /// The page cache of one connection.
    pub cache_bytes: u64,
    /// To what size the write-ahead log is cut after a checkpoint.
    pub wal_bytes_kept: u64,
    /// How long a query whose rows are streamed waits for its reader at one time.
    pub reader_timeout: Duration,
    /// How long an operation of a key-value store may take.
    pub key_value_timeout: Duration,
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(5),
            max_database_bytes: 4 << 30,
            max_value_bytes: 16 << 20,
            max_connections: 64,
            max_idle_connections: 8,
            cache_bytes: 2 << 20,
            wal_bytes_kept: 16 << 20,
            reader_timeout: Duration::from_secs(30),
            key_value_timeout: Duration::from_secs(10),
        }
    }
}

/// All files of one host. One path has one set of connections, however many labels lead to it.
pub struct SqliteData {
    settings: SqliteSettings,
    pool: Blocking,
    open: Mutex<BTreeMap<PathBuf, Arc<Core>>>,
}

/// Why a label cannot be bound to a file.
#[derive(Debug, thiserror::Error)]
pub enum SqliteDataError {
    /// The path is relative and the working directory is unknown.
    #[error("cannot make {path} absolute")]
    NoAbsolutePath {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// One file cannot be both.
    #[error("{path} is used as a database and as a key-value store; give one of them another path")]
    TwoKinds {
        /// The path.
        path: PathBuf,
    },
}

impl SqliteData {
    /// Data whose blocking work runs on `pool`. Touches no disk.
    pub fn new(settings: SqliteSettings, pool: Blocking) -> Self {
        Self {
            settings,
            pool,
            open: Mutex::new(BTreeMap::new()),
        }
    }

    /// The database in the file `path`, which is made when it is first connected to. By way of what is returned it grows to
    /// `max_bytes` at most, or to what the settings allow if that is less; others may let it grow further.
    pub fn database(
        &self,
        path: &Path,
        max_bytes: Option<u64>,
    ) -> Result<Arc<dyn Database>, SqliteDataError> {
        let core = self.core(path, Author::Guest)?;
        let max_bytes = self.max_bytes(max_bytes);
        Ok(Arc::new(SqliteDatabase { core, max_bytes }))
    }

    /// The key-value store in the file `path`, which is made when it is first used. `max_bytes` is as for a
    /// [database](Self::database).
    pub fn key_value(
        &self,
        path: &Path,
        max_bytes: Option<u64>,
    ) -> Result<Arc<dyn KeyValueStore>, SqliteDataError> {
        let core = self.core(path, Author::Host)?;
        let max_bytes = self.max_bytes(max_bytes);
        Ok(Arc::new(SqliteKeyValue { core, max_bytes }))
    }

    fn max_bytes(&self, wanted: Option<u64>) -> u64 {
        let most = self.settings.max_database_bytes;
        wanted.map_or(most, |wanted| wanted.min(most))
    }

    /// Closes all connections that nobody holds, and each other one when it is given back. Blocks: the last
    /// connection to a file folds its log into it.
    pub fn close(&self) {
        for core in self.open.lock().values() {
            core.close();
        }
    }

    fn core(&self, path: &Path, author: Author) -> Result<Arc<Core>, SqliteDataError> {
        // Absolute also so that no path reads as one of SQLite's URIs.
        let path = std::path::absolute(path).map_err(|source| SqliteDataError::NoAbsolutePath {
            path: path.to_owned(),
            source,
        })?;
        let mut open = self.open.lock();
        if let Some(core) = open.get(&path) {
            if core.author() != author {
                return Err(SqliteDataError::TwoKinds { path });
            }
            return Ok(Arc::clone(core));
        }
        let core = Arc::new(Core::new(
            path.clone(),
            author,
            self.settings.clone(),
            self.pool.clone(),
        ));
        open.insert(path, Arc::clone(&core));
        Ok(core)
    }
}
