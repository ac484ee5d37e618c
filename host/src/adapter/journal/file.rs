//! How the file is opened, and what is in it.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::fault::Fault;
use crate::adapter::sqlite;

/// The version of the tables and records, `user_version` in the file. Whatever a former version could not read is a new one.
pub(super) const VERSION: i64 = 1;

/// How long a call waits while another process, such as a backup, holds the file.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// `state` has one row at most. `entry.drain` is empty as long as what the entry replaced has not ended. `revision.role` is empty
/// for revisions of before, `revision.number` is the entry that published a revision last, at the time `revision.published`. Times
/// are microseconds since 1970; `body` and `drain` are JSON.
const SCHEMA: &str = "
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    body TEXT NOT NULL
) STRICT;
CREATE TABLE entry (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    drain TEXT
) STRICT;
CREATE TABLE entry_service (
    service TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (service, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE revision (
    service TEXT NOT NULL,
    revision TEXT NOT NULL,
    role TEXT CHECK (role IN ('current', 'candidate')),
    published INTEGER NOT NULL,
    number INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (service, revision)
) STRICT, WITHOUT ROWID;
";

/// Opens the file at an absolute path, and makes it if it is not there.
pub(super) fn open(path: &Path) -> Result<Connection, Fault> {
    sqlite::create(path).map_err(Fault::File)?;
    if let Some(directory) = path.parent() {
        // The name of a new file survives a loss of power as its content does.
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(Fault::File)?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Fault::Mode { mode });
    }
    connection.pragma_update(None, "synchronous", "full")?;
    set_up(&mut connection)?;
    Ok(connection)
}

/// A file that is none.
pub(super) fn open_in_memory() -> Result<Connection, Fault> {
    let mut connection = Connection::open_in_memory()?;
    set_up(&mut connection)?;
    Ok(connection)
}

fn set_up(connection: &mut Connection) -> Result<(), Fault> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // What was cut off, or overwritten, might not be met until a record is needed.
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(Fault::Pages(check));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match version {
        VERSION if tables > 0 => {}
        0 if tables == 0 => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        found if found > VERSION => return Err(Fault::Newer { found }),
        _ => return Err(Fault::Foreign),
    }
    transaction.commit()?;
    Ok(())
}
