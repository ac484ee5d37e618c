//! Writers: each has keys of its own, writes one after another, and stops when its host is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{self, Kind, Sharing};
use crate::client::Client;
use crate::random::Random;
use crate::record::{Content, Effect, Record, Recorder};

/// What the tables of a database are. The log has a row for each write, the values only the last one for each key.
pub const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, key TEXT NOT NULL, counter INTEGER NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS value (key TEXT PRIMARY KEY, body TEXT NOT NULL)",
];

/// Keys of each writer.
const KEYS: u64 = 4;

/// The text of most values is shorter than this, in bytes; one in [`LONG_EVERY`] may be as long as [`LONG`].
const SHORT: u64 = 200;
const LONG: u64 = 24 * 1024;
const LONG_EVERY: u64 = 16;

/// One of these writes to a key-value store deletes.
const DELETE_EVERY: u64 = 8;

/// One of these writes to a database is a single statement and no transaction.
const SINGLE_EVERY: u64 = 4;

/// Who numbers writes, so that no number comes twice in a run.
#[derive(Debug, Default)]
pub struct Numbers(AtomicU64);

impl Numbers {
    /// The next one, from 1 on.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// What all writers of a run share.
#[derive(Clone)]
pub struct Desk {
    /// Who owns the stores.
    pub sharing: Sharing,
    /// Where everything is written down.
    pub recorder: Arc<Recorder>,
    /// Ids, and counters too: they grow all the same.
    pub numbers: Arc<Numbers>,
}

/// Writes to one store of one service.
pub struct Writer {
    desk: Desk,
    service: &'static str,
    kind: Kind,
    number: usize,
    random: Random,
}

impl Writer {
    /// The writer of this number.
    pub fn new(desk: &Desk, service: &'static str, kind: Kind, number: usize, random: Random) -> Self {
        Self {
            desk: desk.clone(),
            service,
            kind,
            number,
            random,
        }
    }

    /// Writes until the host is gone.
    pub async fn run(mut self, address: SocketAddr) {
        let mut client = Client::new(address);
        loop {
            let id = self.desk.numbers.next();
            let key = app::key(self.service, self.number, self.random.below(KEYS));
            let (effect, body) = self.next(id);
            self.desk.recorder.write(&Record::Sent {
                id,
                store: self.desk.sharing.store(self.service, self.kind).name(),
                key: key.clone(),
                counter: id,
                effect,
            });
            let answer = match self.kind {
                Kind::KeyValue => key_value(&mut client, self.service, &key, body).await,
                Kind::Sqlite => sqlite(&mut client, self.service, &key, id, effect, body).await,
            };
            let Ok(is_done) = answer else { return };
            self.desk.recorder.write(&match is_done {
                true => Record::Acknowledged(id),
                false => Record::Refused(id),
            });
        }
    }

    /// What to do next, and the value for it.
    fn next(&mut self, id: u64) -> (Effect, Option<String>) {
        if self.kind == Kind::KeyValue && self.random.below(DELETE_EVERY) == 0 {
            return (Effect::Delete, None);
        }
        let longest = match self.random.below(LONG_EVERY) {
            0 => LONG,
            _ => SHORT,
        };
        let mut body = format!("{id} ");
        for _ in 0..self.random.below(longest) / 16 {
            body.push_str(&format!("{:016x}", self.random.number()));
        }
        let content = Content::of(body.as_bytes());
        let effect = match self.kind {
            Kind::KeyValue => Effect::Set(content),
            Kind::Sqlite if self.random.below(SINGLE_EVERY) == 0 => Effect::Append(content),
            Kind::Sqlite => Effect::Both(content),
        };
        (effect, Some(body))
    }
}

async fn key_value(
    client: &mut Client,
    service: &str,
    key: &str,
    body: Option<String>,
) -> anyhow::Result<bool> {
    let method = if body.is_some() {
        Method::PUT
    } else {
        Method::DELETE
    };
    let path = format!("/{service}/kv/{}/{key}", app::LABEL);
    let (status, _) = client
        .call(method, &path, body.unwrap_or_default().into_bytes())
        .await?;
    Ok(status == StatusCode::NO_CONTENT)
}

async fn sqlite(
    client: &mut Client,
    service: &str,
    key: &str,
    id: u64,
    effect: Effect,
    body: Option<String>,
) -> anyhow::Result<bool> {
    let row = json!(["INSERT INTO log VALUES (?1, ?2, ?3, ?4)", [id, key, id, body]]);
    let statements = match effect {
        Effect::Append(_) => json!([row]),
        _ => {
            let value = "INSERT INTO value VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body";
            json!([["BEGIN IMMEDIATE", []], row, [value, [key, body]], ["COMMIT", []]])
        }
    };
    let (status, _) = client.sql(service, &statements).await?;
    Ok(status == StatusCode::OK)
}

/// Makes the tables of all databases.
///
/// # Errors
/// If a host does not do it.
pub async fn make_tables(address: SocketAddr) -> anyhow::Result<()> {
    let mut client = Client::new(address);
    let tables: Vec<Value> = TABLES.iter().map(|table| json!([table, []])).collect();
    for (service, _) in app::SERVICES {
        let (status, said) = client.sql(service, &json!(tables)).await?;
        anyhow::ensure!(status == StatusCode::OK, "{service} makes no tables: {said}");
    }
    Ok(())
}

/// Removes rows from the log of a service, all with an id below this. For a time when nobody writes.
///
/// # Errors
/// If the host does not do it.
pub async fn prune(desk: &Desk, address: SocketAddr, service: &str, below: u64) -> anyhow::Result<()> {
    let statement = json!([["DELETE FROM log WHERE id < ?1", [below]]]);
    let (status, said) = Client::new(address).sql(service, &statement).await?;
    anyhow::ensure!(status == StatusCode::OK, "{service} removes no rows: {said}");
    desk.recorder.write(&Record::Pruned {
        store: desk.sharing.store(service, Kind::Sqlite).name(),
        below,
    });
    Ok(())
}
