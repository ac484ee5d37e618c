//! What SQLite's errors mean for the guest, and what of them goes to the log.

use super::call::Control;
use crate::capability::NoRoom;
use crate::capability::key_value::port::KeyValueError;
use crate::capability::sqlite::port::SqlError;
use rusqlite::{Error, ErrorCode, ffi};
use std::path::Path;
use std::time::Duration;

/// Why a piece of work on a connection ended without an answer.
#[derive(Debug)]
pub(super) enum Stop {
    /// A lock was met before anything was done: the same work may be tried again.
    Locked,
    /// It failed for good.
    Failed(SqlError),
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Self {
        Self::Failed(error)
    }
}

/// A database file, and what bounds it.
#[derive(Clone, Copy)]
pub(super) struct DatabaseFile<'a> {
    pub(super) path: &'a Path,
    /// To what size the connection lets it grow.
    pub(super) max_bytes: u64,
    /// To what size the host lets any grow.
    pub(super) max_database_bytes: u64,
}

/// A disk with less than this left is full: it has no room for what SQLite writes at once, a page or a part of its index.
const LEFT_ON_FULL_DISK: u64 = 1 << 20;

impl DatabaseFile<'_> {
    /// Why it cannot grow. SQLite has one error for a file at its bound and for a disk without room, which keeps what was
    /// written of the log: so it is still full when this looks.
    fn no_room(self) -> NoRoom {
        let free = rustix::fs::statvfs(self.path);
        if free.is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LEFT_ON_FULL_DISK) {
            NoRoom::OnDisk
        } else if self.max_bytes < self.max_database_bytes {
            NoRoom::OfService(self.max_bytes)
        } else {
            NoRoom::OfHost(self.max_database_bytes)
        }
    }
}

/// Translates an error of SQLite that came up on the connection of `control` to the database in that file.
pub(super) fn translate(error: Error, control: &Control, file: DatabaseFile<'_>) -> Stop {
    let path = file.path;
    let (failure, message) = match error {
        Error::SqliteFailure(failure, message) => (failure, message.unwrap_or_else(|| failure.to_string())),
        // Its own display repeats the whole statement, which can be a megabyte.
        Error::SqlInputError {
            error, msg, offset, ..
        } => (error, format!("{msg} at byte {offset}")),
        other => {
            return Stop::Failed(SqlError::Statement {
                message: other.to_string(),
            });
        }
    };
    Stop::Failed(match failure.code {
        ErrorCode::DatabaseBusy => {
            if failure.extended_code != ffi::SQLITE_BUSY_SNAPSHOT && control.take_contention() {
                return Stop::Locked;
            }
            SqlError::Conflict
        }
        ErrorCode::OperationInterrupted => control.current().map_or(
            SqlError::TimedOut {
                limit: Duration::ZERO,
            },
            |call| call.verdict(),
        ),
        ErrorCode::AuthorizationForStatementDenied => SqlError::Forbidden {
            reason: control.take_refusal().unwrap_or(message),
        },
        ErrorCode::DiskFull => SqlError::DatabaseFull(file.no_room()),
        // The shared-memory file beside the database cannot grow: the disk is full.
        ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
            SqlError::DatabaseFull(NoRoom::OnDisk)
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            tracing::error!(path = %path.display(), error = message, "a database file is damaged");
            SqlError::Damaged
        }
        ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::OutOfMemory
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NoLargeFileSupport
        | ErrorCode::InternalMalfunction
        | ErrorCode::ApiMisuse => {
            let code = failure.extended_code;
            tracing::error!(path = %path.display(), code, error = message, "a database cannot be used");
            // SQLite's general words for the code: the particular ones can name a path.
            SqlError::Unavailable {
                message: format!("{} (code {code})", ffi::code_to_str(code)),
            }
        }
        // A guest reads this often enough without a line in the log: its syntax, its constraints, its types.
        _ => match control.take_refusal() {
            // A refusal within a table-valued function comes up as a plain error.
            Some(reason) => SqlError::Forbidden { reason },
            None => SqlError::Statement { message },
        },
    })
}

/// What the same failure is called by the key-value capability.
pub(super) fn of_key_value(error: SqlError, max_bytes: usize) -> KeyValueError {
    match error {
        SqlError::DatabaseFull(no_room) => KeyValueError::Full(no_room),
        SqlError::Busy { waited } => KeyValueError::Busy { waited },
        SqlError::TimedOut { limit } | SqlError::Unread { limit } => KeyValueError::TimedOut { limit },
        SqlError::ResultTooLarge { .. } | SqlError::TooManyRows { .. } => {
            KeyValueError::BatchTooLarge { max_bytes }
        }
        SqlError::Overloaded | SqlError::TooManyConnections { .. } => KeyValueError::Overloaded,
        SqlError::Damaged => KeyValueError::Damaged,
        SqlError::Unavailable { message } => KeyValueError::Unavailable { message },
        // The statements are ours, so these are the file's: another program has changed its table.
        SqlError::Statement { message } | SqlError::Forbidden { reason: message } => {
            KeyValueError::Unavailable { message }
        }
        // Neither comes up: the statements are short, and nobody's CPU time is counted for them.
        error @ (SqlError::Conflict | SqlError::OutOfCpu) => KeyValueError::Unavailable {
            message: error.to_string(),
        },
    }
}
