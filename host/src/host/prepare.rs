//! From the services of a manifest to revisions that can be published.
//!
//! A [`Piece`] is a service's component and manifest entry, loaded and compiled; with the links of the app around it, it
//! becomes a [`Member`], whose revision can run. Nothing here is published, and nothing here waits for a request.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::runtime_config::RuntimeConfig;
use super::{Error, Options, StateDir, limits};
use crate::adapter::blocking::{Blocking, BlockingSettings};
use crate::adapter::content::Content;
use crate::adapter::download::{DownloadSettings, Downloads};
use crate::adapter::files;
use crate::adapter::http_client::{self, PooledClient, Spawner};
use crate::adapter::sqlite::SqliteData;
use crate::adapter::variables::{self, ResolvedVariables};
use crate::capability::outbound_http::HttpClient;
use crate::engine::{self, CacheUse, Engines};
use crate::link::ResolvedLink;
use crate::manifest::{App, Service, UnresolvedVariable};
use crate::model::{Digest, Label, Limits, RevisionId, ServiceName};
use crate::shutdown::{self, Tasks};
use crate::telemetry::Metrics;
use crate::telemetry::trace::Tracer;

mod member;
mod piece;

pub(super) use member::Member;
pub(super) use piece::{Given, Piece, Read, at_once};

/// How long fetching one dependency may take.
pub(super) const DOWNLOAD: Duration = Duration::from_secs(120);

/// How long closing data may take.
const CLOSE: Duration = Duration::from_secs(5);

/// Something that happened while services are prepared.
#[derive(Debug, Clone)]
pub enum Step {
    /// A component is not in the cache and is compiled.
    Compiles {
        /// The service.
        service: ServiceName,
        /// The size of its component in bytes.
        bytes: usize,
    },
    /// A service is ready to be published.
    Prepared(ServiceSummary),
}

/// Is told of each step, from several threads.
pub type Progress = Arc<dyn Fn(Step) + Send + Sync>;

/// What `up` tells about a service.
#[derive(Debug, Clone)]
pub struct ServiceSummary {
    /// The service.
    pub service: ServiceName,
    /// Its revision.
    pub revision: RevisionId,
    /// How long compiling took; `None` when the cache had it.
    pub compiled: Option<Duration>,
    /// Where its data is.
    pub data: Vec<DataPlace>,
    /// Which of its imports other services answer.
    pub links: Vec<ResolvedLink>,
}

/// Where the data behind one label is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPlace {
    /// `sqlite` or `key-value`.
    pub kind: &'static str,
    /// The label in the manifest.
    pub label: Label,
    /// The file, which is made when it is first used.
    pub path: PathBuf,
    /// To what size the service can make it grow, in bytes.
    pub max_bytes: u64,
}

/// One text of the manifest, with the values of its variables.
pub(super) struct Edition {
    /// What it says.
    pub(super) app: Arc<App>,
    pub(super) variables: ResolvedVariables,
}

impl Edition {
    /// The digest of the text.
    pub(super) fn digest(&self) -> Digest {
        self.app.digest
    }
}

/// Everything that services are prepared with.
pub(super) struct Preparing {
    options: Options,
    engines: Arc<Engines>,
    blocking: Blocking,
    sqlite: Arc<SqliteData>,
    client: Arc<dyn HttpClient>,
    content: Arc<Content>,
    metrics: Metrics,
    tracer: Tracer,
    tasks: Tasks,
    state_dir: PathBuf,
    files: PathBuf,
    /// Held for reading while files are staged and not yet held by a [`Piece`], for writing while they are swept.
    staging: Arc<tokio::sync::RwLock<()>>,
    pieces: piece::Alive,
    key: [u8; 32],
}

impl Preparing {
    /// What runs everything that is prepared.
    pub(super) fn engines(&self) -> &Arc<Engines> {
        &self.engines
    }

    /// The figures of the host.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn new(
        options: Options,
        state_dir: &StateDir,
        content: Arc<Content>,
        metrics: Metrics,
        tracer: Tracer,
        tasks: Tasks,
    ) -> Result<Self, Error> {
        let config = &options.runtime_config;
        let engines = Engines::new(engine_settings(config), state_dir.cache())?;
        let blocking = Blocking::new(BlockingSettings::default());
        let sqlite = Arc::new(SqliteData::new(config.midplane.sqlite.clone(), blocking.clone()));
        let client = Arc::new(http_client(config, &tasks)?);
        Ok(Self {
            options,
            engines,
            blocking,
            sqlite,
            client,
            content,
            metrics,
            tracer,
            tasks,
            state_dir: state_dir.path().to_owned(),
            files: state_dir.files(),
            staging: Arc::default(),
            pieces: piece::Alive::default(),
            key: state_dir.key(),
        })
    }

    /// A manifest with the values of its variables.
    pub(super) fn edition(&self, app: App) -> Result<Arc<Edition>, Error> {
        self.edition_with(app, &self.options.variables)
    }

    /// As [`Self::edition`], for a manifest of before: variables of the command line that it does not have are left out.
    pub(super) fn edition_of_before(&self, app: App) -> Result<Arc<Edition>, Error> {
        let known = self.options.variables.iter();
        let known = known
            .filter(|(name, _)| app.variables.contains_key(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.edition_with(app, &known)
    }

    fn edition_with(&self, app: App, given: &BTreeMap<String, String>) -> Result<Arc<Edition>, Error> {
        let config = &self.options.runtime_config;
        let variables = variables::resolve(&app, given, &config.variables_providers, |name| {
            std::env::var(name).ok()
        })?;
        Ok(Arc::new(Edition {
            app: Arc::new(app),
            variables,
        }))
    }

    /// What is allowed in a manifest and most likely not meant.
    pub(super) fn warnings(&self, app: &App) -> Vec<String> {
        let config = &self.options.runtime_config;
        let mut lines = unused_labels(app, config);
        lines.extend(limits::without_effect(app, config));
        lines
    }

    /// What is stored by content.
    pub(super) fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// Lets nobody load anything as long as it is held, so that what is not in use can be told; `None` while somebody does.
    pub(super) fn try_quiet(&self) -> Option<Quiet> {
        let guard = self.staging.clone().try_write_owned().ok()?;
        Some(self.quiet_with(guard))
    }

    /// As [`Self::try_quiet`], as soon as those who load something are done. Others wait for it meanwhile.
    pub(super) async fn quiet(&self) -> Quiet {
        let guard = self.staging.clone().write_owned().await;
        self.quiet_with(guard)
    }

    fn quiet_with(&self, guard: tokio::sync::OwnedRwLockWriteGuard<()>) -> Quiet {
        let mut kept = Kept::default();
        self.pieces.keep(&mut kept);
        Quiet { kept, _guard: guard }
    }

    /// Removes what is stored, staged and compiled, but for what `quiet` found in use and what `keep` names. Compiled code only
    /// where its directory is the host's own.
    pub(super) async fn sweep(&self, quiet: Quiet, keep: &Kept) {
        let Kept {
            mut components,
            mut files,
            mut manifests,
        } = keep.clone();
        components.extend(&quiet.kept.components);
        files.extend(&quiet.kept.files);
        manifests.extend(&quiet.kept.manifests);
        let (root, content, engines) = (self.files.clone(), self.content.clone(), self.engines.clone());
        let cache = match self.options.cache_dir {
            None => Some(CacheUse::Alone),
            Some(_) => None,
        };
        let swept = self.tasks.blocking("sweep", move || {
            let _nobody_loads = quiet;
            let told = |what, result: std::io::Result<usize>| match result {
                Ok(0) => {}
                Ok(count) => tracing::debug!(count, "{what} that no revision needs were removed"),
                Err(error) => {
                    tracing::warn!(error = %error, "{what} that no revision needs could not be removed")
                }
            };
            told("files", files::sweep(&root, &files));
            let stored = components.union(&manifests).copied().collect();
            told("components and manifests", content.sweep(&stored));
            if let Some(cache) = cache {
                told("compiled components", engines.sweep(&components, cache));
            }
        });
        // It says itself what went wrong.
        let _done = swept.await;
    }

    /// Where dependencies are fetched to.
    fn downloads(&self) -> Result<Downloads, Error> {
        let settings = DownloadSettings {
            max_bytes: engine::MAX_COMPONENT_BYTES as u64,
            patience: DOWNLOAD,
        };
        Ok(Downloads::open(
            self.state_dir.join("downloads"),
            self.client.clone(),
            self.blocking.clone(),
            settings,
        )?)
    }

    /// Closes the data. Nothing uses it any more.
    pub(super) async fn close(&self) {
        let sqlite = self.sqlite.clone();
        let blocking = self.blocking.clone();
        let closed = shutdown::at_the_end(move || {
            sqlite.close();
            blocking.close(CLOSE)
        });
        match closed.await {
            Some(true) => {}
            Some(false) => tracing::warn!(
                "data was still in use when the host stopped; it is safe in the write-ahead log"
            ),
            None => tracing::error!("closing the data failed"),
        }
    }
}

/// As long as it is held, nobody loads anything.
pub(super) struct Quiet {
    /// What was in use when it began.
    kept: Kept,
    _guard: tokio::sync::OwnedRwLockWriteGuard<()>,
}

/// What must stay on disk, by content.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) components: BTreeSet<Digest>,
    pub(super) files: BTreeSet<Digest>,
    pub(super) manifests: BTreeSet<Digest>,
}

fn unresolved(service: &Service, source: UnresolvedVariable) -> Error {
    Error::Unresolved {
        service: service.name.clone(),
        source,
    }
}

fn data_error(service: &Service, label: &Label, source: crate::adapter::sqlite::SqliteDataError) -> Error {
    Error::Data {
        service: service.name.clone(),
        label: label.to_string(),
        source,
    }
}

/// A place for a label that no service has is mostly a typing error: a line for each.
pub(super) fn unused_labels(app: &App, config: &RuntimeConfig) -> Vec<String> {
    let is_unused = |label: &Label, labels: fn(&Service) -> &BTreeSet<Label>| {
        !app.services
            .values()
            .any(|service| labels(service).contains(label))
    };
    let stores = config.key_value_stores.keys();
    let stores = stores.filter(|label| is_unused(label, |service| &service.key_value_stores));
    let databases = config.sqlite_databases.keys();
    let databases = databases.filter(|label| is_unused(label, |service| &service.sqlite_databases));
    stores
        .map(|label| ("key_value_store", label))
        .chain(databases.map(|label| ("sqlite_database", label)))
        .map(|(table, label)| {
            format!("[{table}.{label}] in the runtime configuration is for a label that no service has")
        })
        .collect()
}

pub(super) fn engine_settings(config: &RuntimeConfig) -> engine::Settings {
    let default = engine::Settings::default();
    engine::Settings {
        max_instances: config.midplane.max_instances.unwrap_or(default.max_instances),
        // What bounds an instance is its own limit: a pool slot takes as much address space however large it may be.
        max_memory: limits::max_instance_memory(config),
        max_table_elements: Limits::default().table_elements,
        resident_memory: config.midplane.resident_memory.unwrap_or(default.resident_memory),
        fair_pool: default.fair_pool,
    }
}

pub(super) fn http_client(config: &RuntimeConfig, tasks: &Tasks) -> Result<PooledClient, Error> {
    let mut settings = http_client::Settings {
        blocked: config.block_networks.clone(),
        ..Default::default()
    };
    if !config.outbound_http.connection_pooling {
        settings.max_idle_per_host = 0;
    }
    if let Some(max_connections) = config.outbound_http.max_connections {
        settings.max_connections = max_connections;
    }
    let tasks = tasks.clone();
    // Dropping the handle detaches the task; the host ends it with all others.
    let spawner = Spawner::new(move |task| drop(tasks.background("outbound", task)));
    Ok(PooledClient::load(settings, spawner)?)
}
