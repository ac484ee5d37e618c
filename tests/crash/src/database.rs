//! What is in the files, by a SQLite that is not the host's.
//!
//! The files of a host that was killed are copied first: whoever opens them may take up what is in the write-ahead log, and it
//! is the host that shall do that without help.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use rusqlite::{Connection, OpenFlags};

use crate::app::{Kind, Store};
use crate::judge::Seen;
use crate::record::Content;

/// A database that was opened for a look.
pub struct Database(Connection);

impl Database {
    /// A copy, made in a folder, of a file that nobody has open. Nothing if there is no such file yet.
    ///
    /// # Errors
    /// Those of the files.
    pub fn copied(file: &Path, folder: &Path) -> anyhow::Result<Option<Self>> {
        if !file.try_exists()? {
            return Ok(None);
        }
        let copy = folder.join("copy.db");
        // The index of the log (`-shm`) is made anew from the log.
        for ending in ["", "-wal", "-journal", "-shm"] {
            let (from, to) = (with(file, ending), with(&copy, ending));
            if ending != "-shm" && from.try_exists()? {
                fs::copy(&from, &to).with_context(|| format!("{} cannot be copied", from.display()))?;
            } else if to.try_exists()? {
                fs::remove_file(&to)?;
            }
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Some(Self(Connection::open_with_flags(&copy, flags)?)))
    }

    /// The file itself, where it is, to read.
    ///
    /// # Errors
    /// Those of the file.
    pub fn in_place(file: &Path) -> anyhow::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(file, flags);
        opened
            .map(Self)
            .with_context(|| format!("{} cannot be opened", file.display()))
    }

    /// Looks at every page, row and index.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> anyhow::Result<()> {
        let mut statement = self.0.prepare("PRAGMA integrity_check")?;
        let said: Vec<String> = statement
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        ensure!(said == ["ok"], "{}", said.join("; "));
        Ok(())
    }

    /// What is in a store; nothing where its tables are not there yet.
    ///
    /// # Errors
    /// If the tables are others than they should be.
    pub fn seen(&self, kind: Kind) -> anyhow::Result<Seen> {
        match kind {
            Kind::KeyValue => Ok(Seen {
                values: match self.has("midplane_key_value")? {
                    true => self.values("SELECT key, value FROM midplane_key_value")?,
                    false => BTreeMap::new(),
                },
                rows: None,
            }),
            Kind::Sqlite => Ok(Seen {
                values: match self.has("value")? {
                    true => self.values("SELECT key, CAST(body AS BLOB) FROM value")?,
                    false => BTreeMap::new(),
                },
                rows: Some(match self.has("log")? {
                    true => self.rows()?,
                    false => BTreeMap::new(),
                }),
            }),
        }
    }

    fn has(&self, table: &str) -> anyhow::Result<bool> {
        let mut statement = self.0.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?1")?;
        Ok(statement.exists([table])?)
    }

    fn values(&self, statement: &str) -> anyhow::Result<BTreeMap<String, Content>> {
        let mut statement = self.0.prepare(statement)?;
        let values = statement.query_map([], |row| {
            let value: Vec<u8> = row.get(1)?;
            Ok((row.get(0)?, Content::of(&value)))
        })?;
        Ok(values.collect::<Result<_, _>>()?)
    }

    fn rows(&self) -> anyhow::Result<BTreeMap<u64, (String, u64, Content)>> {
        let mut statement = self.0.prepare("SELECT id, key, counter, body FROM log")?;
        let mut rows = statement.query([])?;
        let mut log = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (id, counter): (i64, i64) = (row.get(0)?, row.get(2)?);
            let body: String = row.get(3)?;
            log.insert(
                id.try_into()?,
                (row.get(1)?, counter.try_into()?, Content::of(body.as_bytes())),
            );
        }
        Ok(log)
    }
}

fn with(file: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(ending);
    name.into()
}

/// The journal of a state directory.
pub fn journal(state: &Path) -> PathBuf {
    state.join("journal.db")
}

/// All databases of a host with these stores.
pub fn files(state: &Path, stores: &[Store]) -> Vec<PathBuf> {
    let data = stores.iter().map(|store| store.path(state));
    data.chain([journal(state)]).collect()
}

/// Sees whether anybody holds the lock of a state directory.
///
/// # Errors
/// If somebody does.
pub fn is_unlocked(state: &Path) -> anyhow::Result<()> {
    let path = state.join("lock");
    if !path.try_exists()? {
        return Ok(());
    }
    let file = File::open(&path).with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => bail!("the lock of the state directory is still held"),
        Err(TryLockError::Error(error)) => Err(error).context("the lock cannot be looked at"),
    }
}
