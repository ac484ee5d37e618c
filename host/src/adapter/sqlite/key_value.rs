//! The key-value capability's port, on [`Core`]: one table in a file of its own.
//!
//! Every operation takes a connection for itself and is one transaction.

use super::database::Core;
use super::failure::of_key_value;
use super::loan::Loan;
use crate::capability::key_value::port::{
    KeyPage, KeyValueError, KeyValueStore, MAX_BATCH, MAX_KEY_BYTES, Swap,
};
use futures::future::{BoxFuture, FutureExt as _};
use rusqlite::{Connection, OptionalExtension as _};
use std::sync::Arc;

/// Made when a file is first opened. With row ids, so that walking the keys does not walk the values, and
/// strict, so that another program at the same file can put no other types there.
pub(super) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS midplane_key_value \
     (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT";

const GET: &str = "SELECT value FROM midplane_key_value WHERE key = ?1";
const SET: &str = "INSERT INTO midplane_key_value (key, value) VALUES (?1, ?2) \
     ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM midplane_key_value WHERE key = ?1";
const EXISTS: &str = "SELECT 1 FROM midplane_key_value WHERE key = ?1";
const FIRST_KEYS: &str = "SELECT key FROM midplane_key_value ORDER BY key LIMIT ?1";
const KEYS_AFTER: &str = "SELECT key FROM midplane_key_value WHERE key > ?2 ORDER BY key LIMIT ?1";

/// A store in a file.
pub(super) struct SqliteKeyValue {
    pub(super) core: Arc<Core>,
    pub(super) max_bytes: u64,
}

/// Why work on a store ended: the file's failure, or one that only key-value knows.
enum Ended<T> {
    With(T),
    Because(KeyValueError),
}

impl SqliteKeyValue {
    /// Runs `work` on a connection; a lock that it meets before it has changed anything makes it run again.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<Ended<T>> + Send + Sync + 'static,
    ) -> Result<T, KeyValueError> {
        let max_bytes = self.max_value_bytes();
        let translated = |error| of_key_value(error, max_bytes);
        let loan = Box::new(self.core.lend(self.max_bytes).await.map_err(translated)?);
        let limit = self.core.settings().key_value_timeout;
        let ended = self.core.run(loan, limit, move |loan: &Loan, _| {
            work(loan.connection()?).map_err(|error| loan.translate(error))
        });
        match ended.await.map_err(translated)? {
            Ended::With(answer) => Ok(answer),
            Ended::Because(error) => Err(error),
        }
    }

    fn max_value_bytes(&self) -> usize {
        self.core.settings().max_value_bytes
    }

    fn check_value(&self, value: &[u8]) -> Result<(), KeyValueError> {
        let max_bytes = self.max_value_bytes();
        if value.len() > max_bytes {
            return Err(KeyValueError::ValueTooLarge {
                bytes: value.len(),
                max_bytes,
            });
        }
        Ok(())
    }
}

fn check_key(key: &str) -> Result<(), KeyValueError> {
    if key.len() > MAX_KEY_BYTES {
        return Err(KeyValueError::KeyTooLong { bytes: key.len() });
    }
    Ok(())
}

fn check_batch(keys: usize) -> Result<(), KeyValueError> {
    if keys > MAX_BATCH {
        return Err(KeyValueError::BatchTooLong { keys });
    }
    Ok(())
}

fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached(GET)?
        .query_row([key], |row| row.get(0))
        .optional()
}

fn set(connection: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection.prepare_cached(SET)?.execute((key, value)).map(drop)
}

/// Runs `work` in a transaction that may write, and rolls back what it did if it gives no answer.
fn writing<T>(
    connection: &Connection,
    work: impl FnOnce() -> rusqlite::Result<Ended<T>>,
) -> rusqlite::Result<Ended<T>> {
    run_cached(connection, "BEGIN IMMEDIATE")?;
    let ended = work();
    if matches!(ended, Ok(Ended::With(_))) {
        match run_cached(connection, "COMMIT") {
            Ok(()) => return ended,
            Err(error) => {
                roll_back(connection);
                return Err(error);
            }
        }
    }
    roll_back(connection);
    ended
}

fn run_cached(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// SQLite may have rolled back by itself. What else fails is made up for when the loan is dropped.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = run_cached(connection, "ROLLBACK")
    {
        tracing::warn!(%error, "cannot roll back an operation of a key-value store");
    }
}

impl KeyValueStore for SqliteKeyValue {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, KeyValueError>> {
        async move {
            check_key(&key)?;
            self.run(move |connection| get(connection, &key).map(Ended::With))
                .await
        }
        .boxed()
    }

    fn set(&self, key: String, value: Vec<u8>) -> BoxFuture<'_, Result<(), KeyValueError>> {
        async move {
            check_key(&key)?;
            self.check_value(&value)?;
            self.run(move |connection| set(connection, &key, &value).map(Ended::With))
                .await
        }
        .boxed()
    }

    fn delete(&self, key: String) -> BoxFuture<'_, Result<(), KeyValueError>> {
        async move {
            check_key(&key)?;
            self.run(move |connection| {
                connection.prepare_cached(DELETE)?.execute([&key])?;
                Ok(Ended::With(()))
            })
            .await
        }
        .boxed()
    }

    fn exists(&self, key: String) -> BoxFuture<'_, Result<bool, KeyValueError>> {
        async move {
            check_key(&key)?;
            self.run(move |connection| connection.prepare_cached(EXISTS)?.exists([&key]).map(Ended::With))
                .await
        }
        .boxed()
    }

    fn keys_after(
        &self,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<KeyPage, KeyValueError>> {
        let limit = limit.clamp(1, MAX_BATCH);
        async move {
            self.run(move |connection| {
                // One key more than asked for tells whether there is a next page.
                let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
                let mut keys = match &cursor {
                    None => connection
                        .prepare_cached(FIRST_KEYS)?
                        .query_map([wanted], |row| row.get(0))?
                        .collect::<rusqlite::Result<Vec<String>>>()?,
                    Some(cursor) => connection
                        .prepare_cached(KEYS_AFTER)?
                        .query_map((wanted, cursor), |row| row.get(0))?
                        .collect::<rusqlite::Result<Vec<String>>>()?,
                };
                let more = keys.len() > limit;
                keys.truncate(limit);
                let next = if more { keys.last().cloned() } else { None };
                Ok(Ended::With(KeyPage { keys, next }))
            })
            .await
        }
        .boxed()
    }

    fn increment(&self, key: String, delta: i64) -> BoxFuture<'_, Result<i64, KeyValueError>> {
        async move {
            check_key(&key)?;
            self.run(move |connection| {
                writing(connection, || {
                    let number = match get(connection, &key)? {
                        None => Some(0),
                        Some(value) => std::str::from_utf8(&value)
                            .ok()
                            .and_then(|text| text.parse().ok()),
                    };
                    let Some(number) = number else {
                        return Ok(Ended::Because(KeyValueError::NotANumber));
                    };
                    let Some(sum) = i64::checked_add(number, delta) else {
                        return Ok(Ended::Because(KeyValueError::Overflow));
                    };
                    set(connection, &key, sum.to_string().as_bytes())?;
                    Ok(Ended::With(sum))
                })
            })
            .await
        }
        .boxed()
    }

    fn compare_and_swap(
        &self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> BoxFuture<'_, Result<Swap, KeyValueError>> {
        async move {
            check_key(&key)?;
            self.check_value(&value)?;
            self.run(move |connection| {
                writing(connection, || {
                    let current = get(connection, &key)?;
                    if current != expected {
                        return Ok(Ended::With(Swap::Changed { current }));
                    }
                    set(connection, &key, &value)?;
                    Ok(Ended::With(Swap::Swapped))
                })
            })
            .await
        }
        .boxed()
    }

    fn get_many(&self, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, KeyValueError>> {
        async move {
            check_batch(keys.len())?;
            keys.iter().try_for_each(|key| check_key(key))?;
            let max_bytes = self.max_value_bytes();
            self.run(move |connection| {
                // One snapshot for all. A transaction that only reads has nothing to lose: it is always ended alike.
                run_cached(connection, "BEGIN")?;
                let read = read_many(connection, &keys, max_bytes);
                roll_back(connection);
                read
            })
            .await
        }
        .boxed()
    }

    fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> BoxFuture<'_, Result<(), KeyValueError>> {
        async move {
            check_batch(pairs.len())?;
            let max_bytes = self.max_value_bytes();
            let mut bytes = 0_usize;
            for (key, value) in &pairs {
                check_key(key)?;
                self.check_value(value)?;
                bytes = bytes.saturating_add(value.len());
            }
            if bytes > max_bytes {
                return Err(KeyValueError::BatchTooLarge { max_bytes });
            }
            self.run(move |connection| {
                writing(connection, || {
                    for (key, value) in &pairs {
                        set(connection, key, value)?;
                    }
                    Ok(Ended::With(()))
                })
            })
            .await
        }
        .boxed()
    }

    fn delete_many(&self, keys: Vec<String>) -> BoxFuture<'_, Result<(), KeyValueError>> {
        async move {
            check_batch(keys.len())?;
            keys.iter().try_for_each(|key| check_key(key))?;
            self.run(move |connection| {
                writing(connection, || {
                    let mut delete = connection.prepare_cached(DELETE)?;
                    for key in &keys {
                        delete.execute([key])?;
                    }
                    Ok(Ended::With(()))
                })
            })
            .await
        }
        .boxed()
    }
}

fn read_many(
    connection: &Connection,
    keys: &[String],
    max_bytes: usize,
) -> rusqlite::Result<Ended<Vec<Option<Vec<u8>>>>> {
    let mut values = Vec::with_capacity(keys.len());
    let mut bytes = 0_usize;
    for key in keys {
        let value = get(connection, key)?;
        bytes = bytes.saturating_add(value.as_ref().map_or(0, Vec::len));
        if bytes > max_bytes {
            return Ok(Ended::Because(KeyValueError::BatchTooLarge { max_bytes }));
        }
        values.push(value);
    }
    Ok(Ended::With(values))
}
