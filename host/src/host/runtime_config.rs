//! The runtime configuration file (`--runtime-config-file`): what the host's operator decides, apart from the app.
//!
//! The format is Spin's, TOML, with a table `[midplane]` for what is ours. `load` reads the file, `parse` is pure.
//! Invariants: a key that is not known, or that this version does nothing with, is an error with its place; every
//! value that is accepted has an effect; values that may be secret are in no error and no `Debug` output.
//!
//! Bounds: the file is at most [`MAX_BYTES`], its nesting is bounded by the TOML parser.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

mod diagnostic;
mod read;
mod section;
#[cfg(test)]
mod tests;

pub use self::diagnostic::Diagnostic;
use self::read::Table;
use crate::adapter::sqlite::SqliteSettings;
pub use crate::adapter::variables::VariablesProvider;
use crate::manifest::Fault;
use crate::model::Label;
use crate::model::outbound_host::BlockedNetworks;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// What the operator of the host decided. The default is what holds without a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuntimeConfig {
    /// `state_dir`, absolute: where data and caches are, unless `--state-dir` says otherwise.
    pub state_dir: Option<PathBuf>,
    /// `max_instance_memory`, in bytes: the most memory that one instance of any service may have.
    pub max_instance_memory: Option<u64>,
    /// `[[variables_provider]]` in the order of the file: the first that has a value wins.
    pub variables_providers: Vec<VariablesProvider>,
    /// `[key_value_store.<label>]`: where stores are that are not at their usual place.
    pub key_value_stores: BTreeMap<Label, KeyValueBackend>,
    /// `[sqlite_database.<label>]`: where databases are that are not at their usual place.
    pub sqlite_databases: BTreeMap<Label, SqliteBackend>,
    /// `[outbound_networking] block_networks`: what no service may reach.
    pub block_networks: BlockedNetworks,
    /// `[outbound_http]`.
    pub outbound_http: OutboundHttp,
    /// `[midplane]`.
    pub midplane: MidplaneConfig,
}

/// What keeps the values of a key-value store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValueBackend {
    /// `type = "spin"`: a SQLite file.
    Spin {
        /// The file, absolute.
        path: PathBuf,
    },
}

/// What keeps the tables of a SQLite database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqliteBackend {
    /// `type = "spin"`: a SQLite file.
    Spin {
        /// The file, absolute.
        path: PathBuf,
    },
}

/// `[outbound_http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundHttp {
    /// Connections are kept for the next request to the same host.
    pub connection_pooling: bool,
    /// Connections at one time, at least 1. `None` leaves it to the client.
    pub max_connections: Option<usize>,
}

impl Default for OutboundHttp {
    fn default() -> Self {
        Self {
            connection_pooling: true,
            max_connections: None,
        }
    }
}

/// `[midplane]`: what Spin has no keys for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MidplaneConfig {
    /// `max_instances`, at least 1: instances of all services together. `None` leaves it to the engine.
    pub max_instances: Option<u32>,
    /// `resident_memory`, in bytes: what the pools of instances keep in RAM while nobody uses it. `None` leaves it to the engine.
    pub resident_memory: Option<u64>,
    /// `[midplane.sqlite]`, with the defaults of [`SqliteSettings`] for what it does not say.
    pub sqlite: SqliteSettings,
}

/// Why there is no [`RuntimeConfig`].
#[derive(Debug, thiserror::Error)]
pub enum RuntimeConfigError {
    /// The file cannot be read.
    #[error("cannot read the runtime configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than [`MAX_BYTES`].
    #[error("the runtime configuration {} is larger than {MAX_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8.
    #[error("the runtime configuration {} is not UTF-8: byte {offset} starts no character", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// The file says something that has no meaning, or none yet.
    #[error(transparent)]
    Invalid(#[from] Box<Diagnostic>),
}

impl RuntimeConfigError {
    /// What its reader can do about it. [`Self::Invalid`] shows its own hint.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("check the path that `--runtime-config-file` names".to_owned()),
            Self::TooLarge { .. } | Self::NotUtf8 { .. } => {
                Some("`--runtime-config-file` takes a small TOML file".to_owned())
            }
            Self::Invalid(_) => None,
        }
    }
}

impl RuntimeConfig {
    /// Reads the file at `path`. Relative paths in it start from its directory.
    ///
    /// # Errors
    /// [`RuntimeConfigError`] says why there is no configuration.
    pub fn load(path: &Path) -> Result<Self, RuntimeConfigError> {
        let failed = |source| RuntimeConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let file = std::path::absolute(path).map_err(failed)?;
        let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        std::fs::File::open(&file)
            .and_then(|file| file.take(limit).read_to_end(&mut bytes))
            .map_err(failed)?;
        if bytes.len() > MAX_BYTES {
            return Err(RuntimeConfigError::TooLarge {
                path: path.to_owned(),
            });
        }
        let text = String::from_utf8(bytes).map_err(|error| RuntimeConfigError::NotUtf8 {
            path: path.to_owned(),
            offset: error.utf8_error().valid_up_to(),
        })?;
        let dir = file.parent().unwrap_or(Path::new("/"));
        Ok(parse(&text, path, dir)?)
    }
}

/// Parses `text`. Faults are shown with the name `file`; relative paths start from `dir`, which is absolute.
///
/// # Errors
/// [`Diagnostic`] shows the first fault and its place.
pub fn parse(text: &str, file: &Path, dir: &Path) -> Result<RuntimeConfig, Box<Diagnostic>> {
    let document = DeTable::parse(text).map_err(|error| {
        let fault = Fault::Syntax {
            message: error.message().to_owned(),
        };
        // What the parser did not understand may be part of a secret.
        Diagnostic::without_values(fault, text, file, &error.span().unwrap_or(0..0))
    })?;
    section::runtime_config(Table::root(&document), dir).map_err(|problem| problem.at(text, file))
}
