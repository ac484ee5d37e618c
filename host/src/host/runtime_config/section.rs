//! The tables of the runtime configuration, one function each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::read::{Item, Result, Table, shorten};
use super::{KeyValueBackend, MidplaneConfig, OutboundHttp, RuntimeConfig, SqliteBackend, VariablesProvider};
use crate::adapter::sqlite::{SqliteSettings, Synchronous};
use crate::model::outbound_host::BlockedNetworks;
use crate::model::{Label, Secret, VariableName};

/// The whole file. Relative paths start from `dir`.
pub(super) fn runtime_config(mut table: Table<'_>, dir: &Path) -> Result<RuntimeConfig> {
    let config = RuntimeConfig {
        state_dir: table.read("state_dir", |item| item.path(dir))?,
        max_instance_memory: table.read("max_instance_memory", Item::bytes)?,
        variables_providers: match table.item("variables_provider") {
            Some(list) => {
                let providers = list.elements()?;
                providers
                    .iter()
                    .map(|item| variables_provider(item, dir))
                    .collect::<Result<_>>()?
            }
            None => Vec::new(),
        },
        key_value_stores: match table.item("key_value_store") {
            Some(stores) => labelled(&stores, |item| key_value(item, dir))?,
            None => BTreeMap::new(),
        },
        sqlite_databases: match table.item("sqlite_database") {
            Some(databases) => labelled(&databases, |item| sqlite_database(item, dir))?,
            None => BTreeMap::new(),
        },
        block_networks: table
            .read("outbound_networking", outbound_networking)?
            .unwrap_or_default(),
        outbound_http: table.read("outbound_http", outbound_http)?.unwrap_or_default(),
        midplane: table.read("midplane", midplane)?.unwrap_or_default(),
    };
    table.refuse(
        "log_dir",
        "guests write to the host's log; send it to a file with `2> midplane.log`",
    )?;
    table.refuse(
        "client_tls",
        "connections out use the certificates of the operating system",
    )?;
    table.refuse("config_provider", "write `[[variables_provider]]`")?;
    table.refuse(
        "llm_compute",
        "reach a model over HTTP with `allowed_outbound_hosts`",
    )?;
    table.close()?;
    Ok(config)
}

fn variables_provider(item: &Item<'_>, dir: &Path) -> Result<VariablesProvider> {
    let mut table = Table::open(item)?;
    let kind = table.required("type", "type = \"env\"")?;
    let provider = match kind.text()? {
        "static" => {
            let values = table
                .required("values", "values = { greeting = \"hello\" }")?
                .secret();
            let mut named = BTreeMap::new();
            for (key, value) in Table::open(&values)?.entries() {
                let name = match VariableName::parse(&key.name) {
                    Ok(name) => name,
                    Err(error) => return key.invalid("the variable", error.to_string()),
                };
                named.insert(name, Secret::new(value.text()?));
            }
            VariablesProvider::Static { values: named }
        }
        "env" => VariablesProvider::Env {
            prefix: table.read("prefix", environment_prefix)?,
            dotenv_path: table.read("dotenv_path", |item| item.path(dir))?,
        },
        other @ ("vault" | "azure_key_vault") => {
            return kind.unsupported(
                format!("the variables provider `{other}`"),
                "`type = \"env\"` reads environment variables and, with `dotenv_path`, a file",
            );
        }
        other => return unknown_type(&kind, other, "`static`, `env`"),
    };
    table.close()?;
    Ok(provider)
}

fn environment_prefix(item: &Item<'_>) -> Result<String> {
    match item.text()? {
        text if text.contains(['=', '\0']) => {
            item.invalid("an environment variable has no `=` in its name", None)
        }
        text => Ok(text.to_owned()),
    }
}

/// A table with one table for each label.
fn labelled<T>(item: &Item<'_>, read: impl Fn(&Item<'_>) -> Result<T>) -> Result<BTreeMap<Label, T>> {
    let mut labelled = BTreeMap::new();
    for (key, value) in Table::open(item)?.entries() {
        let label = match Label::parse(&key.name) {
            Ok(label) => label,
            Err(error) => return key.invalid("the label", error.to_string()),
        };
        labelled.insert(label, read(&value)?);
    }
    Ok(labelled)
}

fn key_value(item: &Item<'_>, dir: &Path) -> Result<KeyValueBackend> {
    let path = file_backend(
        item,
        dir,
        "key-value store",
        &["redis", "azure_cosmos", "aws_dynamo"],
    )?;
    Ok(KeyValueBackend::Spin { path })
}

fn sqlite_database(item: &Item<'_>, dir: &Path) -> Result<SqliteBackend> {
    let path = file_backend(item, dir, "database", &["libsql"])?;
    Ok(SqliteBackend::Spin { path })
}

/// The file of `{ type = "spin", path = "…" }`. `unsupported` are the other types that Spin knows.
fn file_backend(item: &Item<'_>, dir: &Path, what: &str, unsupported: &[&str]) -> Result<PathBuf> {
    let mut table = Table::open(item)?;
    let kind = table.required("type", "type = \"spin\"")?;
    match kind.text()? {
        "spin" => {}
        other if unsupported.contains(&other) => {
            return kind.unsupported(
                format!("a {what} of type `{other}`"),
                "`type = \"spin\"` keeps it in the file that `path` names",
            );
        }
        other => return unknown_type(&kind, other, "`spin`"),
    }
    let Some(path) = table.item("path") else {
        // An unknown key is the likelier fault.
        table.close()?;
        return item.unsupported(
            format!("a {what} in memory (`type = \"spin\"` without `path`)"),
            "name a file with `path`, or remove this table to have it below the state directory",
        );
    };
    let path = path.path(dir)?;
    table.close()?;
    Ok(path)
}

fn unknown_type<T>(kind: &Item<'_>, found: &str, known: &str) -> Result<T> {
    kind.invalid(
        format!("there is no {:?}", shorten(found)),
        Some(&format!("known types: {known}")),
    )
}

fn outbound_networking(item: &Item<'_>) -> Result<BlockedNetworks> {
    let mut table = Table::open(item)?;
    let mut entries = Vec::new();
    if let Some(list) = table.item("block_networks") {
        for element in list.elements()? {
            let entry = element.text()?;
            if let Err(error) = BlockedNetworks::parse([entry]) {
                return element.invalid(
                    format!("{:?} is no network", shorten(&error.entry)),
                    Some("write `private`, an address, or a range such as `10.0.0.0/8` or `fd00::/8`"),
                );
            }
            entries.push(entry);
        }
    }
    table.close()?;
    match BlockedNetworks::parse(entries) {
        Ok(networks) => Ok(networks),
        Err(error) => item.invalid(error.to_string(), None),
    }
}

fn outbound_http(item: &Item<'_>) -> Result<OutboundHttp> {
    let mut table = Table::open(item)?;
    let default = OutboundHttp::default();
    let config = OutboundHttp {
        connection_pooling: table
            .read("connection_pooling", Item::boolean)?
            .unwrap_or(default.connection_pooling),
        max_connections: table.read("max_connections", Item::positive)?,
    };
    table.close()?;
    Ok(config)
}

fn midplane(item: &Item<'_>) -> Result<MidplaneConfig> {
    let mut table = Table::open(item)?;
    let config = MidplaneConfig {
        max_instances: table.read("max_instances", Item::positive)?,
        resident_memory: table.read("resident_memory", Item::bytes)?,
        sqlite: table.read("sqlite", sqlite_settings)?.unwrap_or_default(),
    };
    table.close()?;
    Ok(config)
}

fn sqlite_settings(item: &Item<'_>) -> Result<SqliteSettings> {
    let mut table = Table::open(item)?;
    let default = SqliteSettings::default();
    let max_connections = table
        .read("max_connections", Item::positive)?
        .unwrap_or(default.max_connections);
    let settings = SqliteSettings {
        synchronous: table
            .read("synchronous", synchronous)?
            .unwrap_or(default.synchronous),
        busy_timeout: table
            .read("busy_timeout", Item::duration)?
            .unwrap_or(default.busy_timeout),
        max_database_bytes: table
            .read("max_database_size", Item::bytes)?
            .unwrap_or(default.max_database_bytes),
        max_value_bytes: table
            .read("max_value_size", Item::length)?
            .unwrap_or(default.max_value_bytes),
        max_connections,
        max_idle_connections: table
            .read("max_idle_connections", Item::positive)?
            .unwrap_or(default.max_idle_connections.min(max_connections)),
        cache_bytes: table
            .read("cache_size", Item::bytes)?
            .unwrap_or(default.cache_bytes),
        wal_bytes_kept: table
            .read("wal_size_kept", Item::bytes)?
            .unwrap_or(default.wal_bytes_kept),
        reader_timeout: table
            .read("reader_timeout", Item::duration)?
            .unwrap_or(default.reader_timeout),
        key_value_timeout: table
            .read("key_value_timeout", Item::duration)?
            .unwrap_or(default.key_value_timeout),
    };
    table.close()?;
    if settings.max_idle_connections > settings.max_connections {
        return item.invalid(
            format!(
                "`max_idle_connections` is {}, more than the {} of `max_connections`",
                settings.max_idle_connections, settings.max_connections
            ),
            Some("leave `max_idle_connections` out, or make it smaller"),
        );
    }
    Ok(settings)
}

fn synchronous(item: &Item<'_>) -> Result<Synchronous> {
    match item.text()? {
        "full" => Ok(Synchronous::Full),
        "normal" => Ok(Synchronous::Normal),
        other => item.invalid(
            format!("there is no {:?}", shorten(other)),
            Some("`\"full\"` keeps every commit, `\"normal\"` may lose the last ones when the machine fails"),
        ),
    }
}
