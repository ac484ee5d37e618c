//! The journal in one SQLite file: what is published, the entries, and the revisions that can be made again.
//!
//! Invariants: each call of the port is one transaction, and what it wrote is on disk when it returns; a record that cannot be
//! understood is an error that says what to do, never a guess. Write-ahead logging with `synchronous = FULL` costs one sync for
//! each transaction (a rollback journal costs four), and one more now and then, when the log is folded into the file.
//! *Bounds*: a text of an entry ([`MAX_CAUSE_BYTES`], [`MAX_BY_BYTES`]), the wait for another process's lock
//! ([`BUSY_TIMEOUT`]), and what [`Journal::prune`] leaves. Only SQLite opens the file, see `adapter/sqlite/loan.rs`.

mod fault;
mod file;
#[doc(hidden)]
pub mod fuzzing;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use self::fault::{Doing, Fault, Place};
pub use self::file::BUSY_TIMEOUT;
pub use self::record::{MAX_BY_BYTES, MAX_CAUSE_BYTES};
use crate::model::{RevisionId, ServiceName};
use crate::service::journal::{Drained, Entry, Journal, JournalError, Past, Published};

/// The journal of one app.
#[derive(Debug)]
pub struct SqliteJournal {
    place: Place,
    connection: Mutex<Connection>,
}

impl SqliteJournal {
    /// Opens the journal in the file `path`, and makes it (mode 0600, with its directory) if it is not there.
    ///
    /// # Errors
    /// [`JournalError`]: for a file that cannot be opened, that is damaged, that is something else, and that a newer host wrote.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        // Absolute also so that no path reads as one of SQLite's URIs.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let opened = file::open(&path);
        Self::new(opened, Place::File(path))
    }

    /// A journal that lives as long as this value, for tests.
    ///
    /// # Errors
    /// [`JournalError`], for lack of memory.
    pub fn open_in_memory() -> Result<Self, JournalError> {
        Self::new(file::open_in_memory(), Place::Memory)
    }

    fn new(opened: Result<Connection, Fault>, place: Place) -> Result<Self, JournalError> {
        match opened {
            Ok(connection) => Ok(Self {
                connection: Mutex::new(connection),
                place,
            }),
            Err(fault) => Err(fault.told(Doing::Opening, &place)),
        }
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, JournalError> {
        let connection = self.connection.lock();
        work(&connection).map_err(|fault| fault.told(Doing::Reading, &self.place))
    }

    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, JournalError> {
        let mut connection = self.connection.lock();
        let written = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        // A transaction that is dropped is rolled back.
        written().map_err(|fault: Fault| fault.told(Doing::Writing, &self.place))
    }
}

impl Journal for SqliteJournal {
    fn published(&self) -> Result<Option<Published>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT body FROM state")?;
            let body: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
            let record = body.map(|body| parse::<record::Published>("what is published", &body));
            Ok(record.transpose()?.map(Published::from))
        })
    }

    fn publish(&self, published: &Published, entry: &Entry) -> Result<u64, JournalError> {
        self.write(|transaction| publish(transaction, published, entry))
    }

    fn note(&self, entry: &Entry) -> Result<u64, JournalError> {
        self.write(|transaction| insert(transaction, entry))
    }

    fn drained(&self, number: u64, drained: Drained) -> Result<(), JournalError> {
        self.write(|transaction| {
            // An entry that was pruned meanwhile has no room for it, and nobody who asks.
            transaction
                .prepare_cached("UPDATE entry SET drain = ?2 WHERE number = ?1")?
                .execute(params![clamp(number), json(&record::Drained::from(drained))?])?;
            Ok(())
        })
    }

    fn entries(
        &self,
        service: Option<&ServiceName>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Entry>, JournalError> {
        let before = before.map_or(i64::MAX, clamp);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|connection| {
            let of = if service.is_some() {
                "JOIN entry_service USING (number) WHERE service = ?3 AND"
            } else {
                "WHERE ?3 IS NULL AND"
            };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT number, at, body, drain FROM entry {of} number < ?1 ORDER BY number DESC LIMIT ?2"
            ))?;
            let mut rows = statement.query(params![before, limit, service.map(ServiceName::as_str)])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(entry(row)?);
            }
            Ok(entries)
        })
    }

    fn past(&self, service: Option<&ServiceName>) -> Result<Vec<Past>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT service, body, published FROM revision WHERE service = ?1 OR ?1 IS NULL
                 ORDER BY number DESC, service, revision",
            )?;
            let mut rows = statement.query([service.map(ServiceName::as_str)])?;
            let mut past = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let body: String = row.get(1)?;
                past.push(Past {
                    service: ServiceName::parse(&name)
                        .map_err(|source| Fault::record("a revision", source))?,
                    recorded: parse::<record::Recorded>("a revision", &body)?.into(),
                    published: record::from_micros(row.get(2)?).ok_or(Fault::Time)?,
                });
            }
            Ok(past)
        })
    }

    fn prune(&self, revisions: usize, entries: usize) -> Result<(), JournalError> {
        let bound = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "DELETE FROM revision WHERE role IS NULL AND (service, revision) IN (
                         SELECT service, revision FROM (
                             SELECT service, revision, row_number() OVER (
                                 PARTITION BY service ORDER BY number DESC, revision
                             ) AS place FROM revision
                         ) WHERE place > ?1
                     )",
                )?
                .execute([bound(revisions)])?;
            transaction
                .prepare_cached(
                    "DELETE FROM entry WHERE number <=
                         (SELECT number FROM entry ORDER BY number DESC LIMIT 1 OFFSET ?1)",
                )?
                .execute([bound(entries)])?;
            transaction
                .prepare_cached("DELETE FROM entry_service WHERE number NOT IN (SELECT number FROM entry)")?
                .execute([])?;
            Ok(())
        })
    }
}

/// What a revision of now is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Candidate,
    Current,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Current => "current",
        }
    }
}

/// All that one publication writes.
fn publish(transaction: &Transaction<'_>, published: &Published, entry: &Entry) -> Result<u64, Fault> {
    transaction
        .prepare_cached(
            "INSERT INTO state (id, body) VALUES (1, ?1) ON CONFLICT DO UPDATE SET body = excluded.body",
        )?
        .execute([json(&record::Published::from(published))?])?;
    let number = insert(transaction, entry)?;

    // A revision that is both, which no rollout makes, is current.
    let mut now = BTreeMap::new();
    let candidates = published.canaries.iter().flat_map(|canary| &canary.services);
    let candidates = candidates.map(|found| (found, Role::Candidate));
    let current = published.services.iter().map(|found| (found, Role::Current));
    for ((service, recorded), role) in candidates.chain(current) {
        let key = (service.as_str().to_owned(), whole(recorded.revision));
        now.insert(key, (role, json(&record::Recorded::from(recorded))?));
    }
    let mut before = BTreeMap::new();
    let mut statement = transaction
        .prepare_cached("SELECT service, revision, role, body FROM revision WHERE role NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key: (String, String) = (row.get(0)?, row.get(1)?);
        let was: (String, String) = (row.get(2)?, row.get(3)?);
        before.insert(key, was);
    }
    let mut leave =
        transaction.prepare_cached("UPDATE revision SET role = NULL WHERE service = ?1 AND revision = ?2")?;
    for (service, revision) in before.keys().filter(|key| !now.contains_key(*key)) {
        leave.execute([service, revision])?;
    }
    let mut enter = transaction.prepare_cached(
        "INSERT INTO revision (service, revision, role, published, number, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET role = excluded.role, body = excluded.body,
             published = iif(?7, excluded.published, published), number = iif(?7, excluded.number, number)",
    )?;
    let at = record::to_micros(entry.at);
    for ((service, revision), (role, body)) in &now {
        let was = before.get(&(service.clone(), revision.clone()));
        if was.is_some_and(|(was, as_was)| was == role.as_str() && as_was == body) {
            continue;
        }
        // What stays as it was, or becomes less, is not published anew.
        let is_anew = was.is_none_or(|(was, _)| *role == Role::Current && was != Role::Current.as_str());
        enter.execute(params![
            service,
            revision,
            role.as_str(),
            at,
            clamp(number),
            body,
            is_anew
        ])?;
    }
    Ok(number)
}

/// Appends an entry.
fn insert(transaction: &Transaction<'_>, entry: &Entry) -> Result<u64, Fault> {
    let drain = entry.drain.map(|drained| json(&record::Drained::from(drained)));
    transaction
        .prepare_cached("INSERT INTO entry (at, body, drain) VALUES (?1, ?2, ?3)")?
        .execute(params![
            record::to_micros(entry.at),
            json(&record::Entry::from(entry))?,
            drain.transpose()?
        ])?;
    let number = transaction.last_insert_rowid();
    let mut statement = transaction.prepare_cached(
        "INSERT INTO entry_service (service, number) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?;
    for change in &entry.changes {
        statement.execute(params![change.service.as_str(), number])?;
    }
    self::number(number)
}

/// Reads `number, at, body, drain`.
fn entry(row: &Row<'_>) -> Result<Entry, Fault> {
    let body: String = row.get(2)?;
    let drain: Option<String> = row.get(3)?;
    let drain = drain.map(|drain| parse::<record::Drained>("how an entry's revisions ended", &drain));
    Ok(parse::<record::Entry>("an entry", &body)?.with(
        number(row.get(0)?)?,
        record::from_micros(row.get(1)?).ok_or(Fault::Time)?,
        drain.transpose()?.map(Drained::from),
    ))
}

fn number(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|source| Fault::record("the number of an entry", source))
}

/// SQLite's integers have a sign; no number comes near their end.
fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// All digits of a revision's identity.
fn whole(revision: RevisionId) -> String {
    revision.digest().to_string()
}

fn json(record: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(record).map_err(|source| Fault::record("a record", source))
}

fn parse<T: serde::de::DeserializeOwned>(what: &'static str, body: &str) -> Result<T, Fault> {
    serde_json::from_str(body).map_err(|source| Fault::record(what, source))
}
