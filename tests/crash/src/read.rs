//! What the guests say is there.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use http::StatusCode;
use serde_json::{Value, json};

use crate::app::{self, Kind};
use crate::client::Client;
use crate::judge::Seen;
use crate::record::Content;

/// Rows of one answer.
const PAGE: usize = 200;

/// What is in a store, as a service sees it.
///
/// # Errors
/// If the service does not answer, or with something else.
pub async fn store(address: SocketAddr, service: &str, kind: Kind) -> anyhow::Result<Seen> {
    let mut client = Client::new(address);
    match kind {
        Kind::KeyValue => key_value(&mut client, service).await,
        Kind::Sqlite => sqlite(&mut client, service).await,
    }
}

/// Which revision of [`app::VERSION`] is served.
///
/// # Errors
/// If it does not answer.
pub async fn version(address: SocketAddr) -> anyhow::Result<Seen> {
    let body = Client::new(address).get(&format!("/{}/", app::VERSION)).await?;
    let says = Content::of(body.trim_ascii_end());
    Ok(Seen {
        values: BTreeMap::from([(app::VERSION.to_owned(), says)]),
        rows: None,
    })
}

async fn key_value(client: &mut Client, service: &str) -> anyhow::Result<Seen> {
    let path = format!("/{service}/kv/{}", app::LABEL);
    let keys: Vec<String> = serde_json::from_slice(&client.get(&path).await?)?;
    let mut seen = Seen::default();
    for key in keys {
        let value = client.get(&format!("{path}/{key}")).await?;
        seen.values.insert(key, Content::of(&value));
    }
    Ok(seen)
}

async fn sqlite(client: &mut Client, service: &str) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut log = BTreeMap::new();
    for row in rows(client, service, "SELECT key, body FROM value", json!([])).await? {
        seen.values
            .insert(text(&row[0])?.to_owned(), Content::of(text(&row[1])?.as_bytes()));
    }
    let page = format!("SELECT id, key, counter, body FROM log WHERE id > ?1 ORDER BY id LIMIT {PAGE}");
    let mut last = 0;
    loop {
        let rows = rows(client, service, &page, json!([last])).await?;
        for row in &rows {
            last = number(&row[0])?;
            let content = Content::of(text(&row[3])?.as_bytes());
            log.insert(last, (text(&row[1])?.to_owned(), number(&row[2])?, content));
        }
        if rows.len() < PAGE {
            seen.rows = Some(log);
            return Ok(seen);
        }
    }
}

async fn rows(
    client: &mut Client,
    service: &str,
    statement: &str,
    parameters: Value,
) -> anyhow::Result<Vec<Value>> {
    let (status, rows) = client.sql(service, &json!([[statement, parameters]])).await?;
    ensure!(status == StatusCode::OK, "{service}: {status} {rows}");
    match rows {
        Value::Array(rows) => Ok(rows),
        other => anyhow::bail!("{service} answers no rows: {other}"),
    }
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().with_context(|| format!("no text: {value}"))
}

fn number(value: &Value) -> anyhow::Result<u64> {
    value.as_u64().with_context(|| format!("no number: {value}"))
}
