//! One SQLite connection while somebody holds it, and how a new one is set up.
//!
//! A loan gives its connection back when dropped, wherever that happens: as new if it can be, closed otherwise.
//! Dropping never blocks; what has to touch the disk is done on the blocking pool.

use super::authorizer::{Verdict, decide};
use super::call::Control;
use super::database::Core;
use super::failure::{DatabaseFile, Stop, translate};
use super::{SqliteSettings, Synchronous};
use crate::capability::NoRoom;
use crate::capability::sqlite::port::SqlError;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The longest statement, in bytes.
pub(super) const MAX_STATEMENT_BYTES: usize = 1 << 20;

/// How many instructions of SQLite's machine pass between two looks at the clock: some microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

/// How many compiled statements a connection keeps.
const STATEMENT_CACHE: usize = 32;

/// What the statements of a database come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// A guest: every statement is checked.
    Guest,
    /// The host itself: only its own statements run, over the table of a key-value store.
    Host,
}

/// A connection with what belongs to it for life.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) control: Arc<Control>,
    pub(super) interrupt: Arc<InterruptHandle>,
    /// To what size it lets the file grow.
    pub(super) max_bytes: u64,
}

/// A connection in somebody's hands.
pub(super) struct Loan {
    link: Option<Link>,
    pub(super) control: Arc<Control>,
    pub(super) interrupt: Arc<InterruptHandle>,
    core: Arc<Core>,
    /// The right to one of the database's connections, given back with the connection.
    permit: Option<OwnedSemaphorePermit>,
}

impl Loan {
    pub(super) fn new(link: Link, core: Arc<Core>, permit: OwnedSemaphorePermit) -> Self {
        Self {
            control: Arc::clone(&link.control),
            interrupt: Arc::clone(&link.interrupt),
            link: Some(link),
            core,
            permit: Some(permit),
        }
    }

    /// The connection. It is there until the loan is dropped.
    pub(super) fn connection(&self) -> Result<&Connection, SqlError> {
        match &self.link {
            Some(link) => Ok(&link.connection),
            None => Err(SqlError::Unavailable {
                message: "the connection is closed".to_owned(),
            }),
        }
    }

    /// Translates an error that came up on this connection.
    pub(super) fn translate(&self, error: rusqlite::Error) -> Stop {
        let max_database_bytes = self.core.settings().max_database_bytes;
        let file = DatabaseFile {
            path: self.core.path(),
            max_bytes: self
                .link
                .as_ref()
                .map_or(max_database_bytes, |link| link.max_bytes),
            max_database_bytes,
        };
        translate(error, &self.control, file)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let (Some(link), permit) = (self.link.take(), self.permit.take()) else {
            return;
        };
        link.control.end();
        let core = Arc::clone(&self.core);
        if link.connection.is_autocommit() && !link.control.is_single_use() {
            core.give_back(link, permit);
            return;
        }
        let pool = core.pool().clone();
        pool.tidy(move || {
            let in_transaction = !link.connection.is_autocommit();
            if in_transaction && let Err(error) = link.connection.execute_batch("ROLLBACK") {
                tracing::warn!(path = %core.path().display(), %error, "cannot roll back; the connection is closed");
                link.control.mark_single_use();
            }
            core.give_back(link, permit);
            if in_transaction {
                core.notify_released();
            }
        });
    }
}

/// Makes what is missing of the file and its directories, opens it and sets the connection up. Blocks, but for no
/// lock: [`Stop::Locked`] says that one is held.
pub(super) fn open(
    path: &Path,
    settings: &SqliteSettings,
    max_bytes: u64,
    author: Author,
) -> Result<Link, Stop> {
    create(path).map_err(|error| {
        tracing::error!(path = %path.display(), %error, "cannot create a database file");
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SqlError::DatabaseFull(NoRoom::OnDisk),
            // What the system says has no path in it, and tells a lack of descriptors from others.
            _ => SqlError::Unavailable {
                message: format!("its file cannot be opened: {error}"),
            },
        }
    })?;
    let control = Arc::new(Control::default());
    set_up(path, settings, max_bytes, author, &control).map_err(|error| {
        let file = DatabaseFile {
            path,
            max_bytes,
            max_database_bytes: settings.max_database_bytes,
        };
        match translate(error, &control, file) {
            // Nothing is read or written yet, so there is nothing to conflict with.
            Stop::Failed(SqlError::Conflict) => Stop::Locked,
            stop => stop,
        }
    })
}

/// Directories of mode 0700 and a file of mode 0600, which SQLite then takes for the files beside it too.
pub(in crate::adapter) fn create(path: &Path) -> std::io::Result<()> {
    let (mut directory, mut file) = (DirBuilder::new(), OpenOptions::new());
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        directory.mode(0o700);
        file.mode(0o600);
    }
    if let Some(parent) = path.parent() {
        directory.recursive(true).create(parent)?;
    }
    // Closing any descriptor of a file drops all locks that this process has on it (sqlite.org/howtocorrupt.html, 2.2):
    // another process would then take itself for the only one and delete the log under us. So a file that exists is not
    // opened here at all, and nobody opens one that is being made.
    let _making = MAKING.lock();
    match file.create_new(true).write(true).open(path) {
        Ok(made) => {
            drop(made);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Held while a database file is made.
static MAKING: Mutex<()> = Mutex::new(());

fn set_up(
    path: &Path,
    settings: &SqliteSettings,
    max_bytes: u64,
    author: Author,
    control: &Arc<Control>,
) -> rusqlite::Result<Link> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    // Nobody waits for a lock on a thread: the work is taken up again when the lock may be free.
    let watching = Arc::clone(control);
    connection.busy_handler(Some(move |_| {
        watching.note_contention();
        false
    }))?;
    limit(&connection, settings)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);

    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        // A file system without shared memory between processes.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(format!(
                "its journal stays in mode {mode}; WAL needs a local disk"
            )),
        ));
    }
    connection.pragma_update(
        None,
        "synchronous",
        match settings.synchronous {
            Synchronous::Full => "full",
            Synchronous::Normal => "normal",
        },
    )?;
    connection.pragma_update(None, "journal_size_limit", clamp(settings.wal_bytes_kept))?;
    connection.pragma_update(None, "cache_size", -clamp(settings.cache_bytes / 1024).max(1))?;
    // On disk: what is sorted in memory has no other bound than the machine's.
    connection.pragma_update(None, "temp_store", "file")?;
    let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = clamp(max_bytes)
        .checked_div(page_bytes)
        .unwrap_or(1)
        .clamp(1, 4_294_967_294);
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    connection.pragma_update_and_check(Some("temp"), "max_page_count", pages, |_| Ok(()))?;
    match author {
        Author::Guest => {
            let watching = Arc::clone(control);
            connection.authorizer(Some(move |context: AuthContext<'_>| {
                authorize(&context, &watching)
            }))?;
        }
        Author::Host => connection.execute_batch(super::key_value::SCHEMA)?,
    }
    let watching = Arc::clone(control);
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || watching.is_over()))?;
    let interrupt = Arc::new(connection.get_interrupt_handle());
    Ok(Link {
        connection,
        control: Arc::clone(control),
        interrupt,
        max_bytes,
    })
}

fn limit(connection: &Connection, settings: &SqliteSettings) -> rusqlite::Result<()> {
    let value = i32::try_from(settings.max_value_bytes.saturating_add(MAX_ROW_OVERHEAD)).unwrap_or(i32::MAX);
    let statement = i32::try_from(MAX_STATEMENT_BYTES).unwrap_or(i32::MAX);
    for (limit, bound) in [
        (Limit::SQLITE_LIMIT_LENGTH, value),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, statement),
        (Limit::SQLITE_LIMIT_COLUMN, 1000),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 1000),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 500),
        (Limit::SQLITE_LIMIT_VDBE_OP, 1_000_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 127),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 4096),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 32_766),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, bound)?;
    }
    Ok(())
}

/// What a row has beside its largest value: SQLite's limit is on the row.
const MAX_ROW_OVERHEAD: usize = 4096;

fn clamp(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn authorize(context: &AuthContext<'_>, control: &Control) -> Authorization {
    if control.refuses_all() {
        return Authorization::Deny;
    }
    match decide(&context.action) {
        Verdict::Allow => Authorization::Allow,
        Verdict::AllowOnce => {
            control.mark_single_use();
            Authorization::Allow
        }
        Verdict::Ignore => Authorization::Ignore,
        Verdict::Refuse(reason) => {
            control.refuse(reason);
            Authorization::Deny
        }
    }
}
