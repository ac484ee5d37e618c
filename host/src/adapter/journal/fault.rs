//! What is wrong with the file, and what whoever reads it can do.

use std::fmt;
use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

use super::file::VERSION;
use crate::service::journal::JournalError;

/// Where a journal is.
#[derive(Debug)]
pub(super) enum Place {
    File(PathBuf),
    Memory,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Memory => f.write_str("in memory"),
        }
    }
}

/// During what a fault came up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Doing {
    Opening,
    Reading,
    Writing,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The file could not be made.
    #[error("its file cannot be made")]
    File(#[source] std::io::Error),
    /// What SQLite said.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A file system without shared memory between processes.
    #[error("its log stays in mode {mode}; write-ahead logging needs a local disk")]
    Mode {
        /// What SQLite chose.
        mode: String,
    },
    /// A later version of this program wrote it.
    #[error("it is of version {found}, and this host knows versions up to {VERSION}")]
    Newer {
        /// Its version.
        found: i64,
    },
    /// A database, but no journal.
    #[error("it is a database of another program")]
    Foreign,
    /// SQLite's check found something.
    #[error("its pages are damaged: {0}")]
    Pages(String),
    /// No record of this version.
    #[error("{what} is no record of this version")]
    Record {
        /// Which one.
        what: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A time that the system cannot tell.
    #[error("a time is out of range")]
    Time,
}

impl Fault {
    pub(super) fn record(what: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        let source = Box::new(source);
        Self::Record { what, source }
    }

    /// As the port tells it.
    pub(super) fn told(self, doing: Doing, place: &Place) -> JournalError {
        let aside = "move it aside, with `-wal` and `-shm` beside it: the manifest is served then";
        let what = match &self {
            Self::Newer { .. } => {
                format!("{place} was written by a newer host: start that one, or {aside}")
            }
            Self::Foreign | Self::Pages(_) | Self::Record { .. } | Self::Time => {
                format!("{place} cannot be understood: {aside}")
            }
            Self::Sqlite(error) if is_full(error) => match doing {
                Doing::Opening => format!("{place} cannot be opened, for the disk is full"),
                Doing::Reading => format!("{place} cannot be read, for the disk is full"),
                Doing::Writing => format!("{place} cannot be written, for the disk is full"),
            },
            Self::Sqlite(error) if is_damage(error) => format!("{place} cannot be understood: {aside}"),
            Self::File(_) | Self::Mode { .. } | Self::Sqlite(_) => match doing {
                Doing::Opening => format!("{place} cannot be opened"),
                Doing::Reading => format!("{place} cannot be read"),
                Doing::Writing => format!("{place} cannot be written"),
            },
        };
        let source = match self {
            // Its own display repeats the whole statement.
            Self::Sqlite(rusqlite::Error::SqlInputError { msg, .. }) => msg.into(),
            fault => Box::new(fault).into(),
        };
        JournalError { what, source }
    }
}

/// Whether there is no room: for the file or its log, or for the index of the log (`-shm`), which SQLite calls a failure of the
/// disk.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|failure| {
        failure.code == ErrorCode::DiskFull || failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE
    })
}

/// Whether it is the content of the file that is wrong. The statements are ours, so one that does not fit the tables means that
/// those are not ours.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::Unknown
        ),
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => true,
        _ => false,
    }
}
