//! From the services of a manifest to revisions that can be published.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};

use super::composing::{self, Composed, Fetched};
use super::linking;
use super::runtime_config::{KeyValueBackend, RuntimeConfig, SqliteBackend};
use super::{Error, Options, StateDir};
use crate::adapter::blocking::{Blocking, BlockingSettings};
use crate::adapter::download::{DownloadSettings, Downloads};
use crate::adapter::files::{self, Staged};
use crate::adapter::http_client::{self, PooledClient, Spawner};
use crate::adapter::sqlite::{Kind, Scope, SqliteData, location};
use crate::adapter::variables::{self, ResolvedVariables};
use crate::capability::Grants;
use crate::capability::key_value::KeyValue;
use crate::capability::key_value::port::KeyValueStore;
use crate::capability::outbound_http::{HttpClient, OutboundHttp};
use crate::capability::sqlite::Sqlite;
use crate::capability::sqlite::port::{Bounds, Database};
use crate::capability::variables::Variables;
use crate::engine::{self, Compiled, Engines, Origin, Program, Reuse};
use crate::link::{Resolution, ResolvedLink};
use crate::manifest::{App, Service, UnresolvedVariable};
use crate::model::outbound_host::AllowedHosts;
use crate::model::{DataScope, Label, Limits, RevisionId, ServiceName};
use crate::service::{Identity, Revision};
use crate::shutdown::{self, Tasks};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::CacheLookup;
use crate::telemetry::trace::Tracer;

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
}

/// Everything that services are prepared with.
pub(super) struct Preparing {
    engines: Arc<Engines>,
    blocking: Blocking,
    sqlite: Arc<SqliteData>,
    client: Arc<dyn HttpClient>,
    variables: ResolvedVariables,
    metrics: Metrics,
    tracer: Tracer,
    tasks: Tasks,
    state_dir: PathBuf,
    files: PathBuf,
    key: [u8; 32],
}

impl Preparing {
    pub(super) fn new(
        app: &App,
        options: &Options,
        state_dir: &StateDir,
        metrics: Metrics,
        tracer: Tracer,
        tasks: Tasks,
    ) -> Result<Self, Error> {
        let config = &options.runtime_config;
        let variables = variables::resolve(app, &options.variables, &config.variables_providers, |name| {
            std::env::var(name).ok()
        })?;
        for line in unused_labels(app, config) {
            tracing::warn!("{line}");
        }
        let engines = Engines::new(engine_settings(config), state_dir.cache())?;
        let blocking = Blocking::new(BlockingSettings::default());
        let sqlite = Arc::new(SqliteData::new(config.midplane.sqlite.clone(), blocking.clone()));
        let client = Arc::new(http_client(config, &tasks)?);
        Ok(Self {
            engines,
            blocking,
            sqlite,
            client,
            variables,
            metrics,
            tracer,
            tasks,
            state_dir: state_dir.path().to_owned(),
            files: state_dir.files(),
            key: state_dir.key(),
        })
    }

    /// Prepares all services of `app`, as many at once as there are cores, and gives back the revisions and what there is to
    /// tell of them.
    pub(super) async fn services(
        &self,
        app: &App,
        options: &Options,
        progress: &Progress,
    ) -> Result<(BTreeMap<ServiceName, Arc<Revision>>, Vec<ServiceSummary>), Error> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let app = &Arc::new(app.clone());
        let parts = stream::iter(app.services.values()).map(|service| async move {
            let fetched = composing::fetch(service, &self.tasks, || self.downloads()).await?;
            let job = self.job(app.clone(), service.name.clone(), fetched, progress.clone());
            let interrupted = |_| Error::Interrupted {
                service: service.name.clone(),
            };
            let parts = self.tasks.blocking("prepare", job).await.map_err(interrupted)??;
            Ok::<_, Error>((service, parts))
        });
        let mut parts = std::pin::pin!(parts.buffer_unordered(cores));
        let mut loaded = Vec::new();
        let mut staged_trees = BTreeSet::new();
        while let Some(prepared) = parts.next().await {
            let (service, (compiled, staged)) = prepared?;
            if let Some(staged) = &staged {
                staged_trees.insert(staged.digest);
                for warning in &staged.warnings {
                    tracing::warn!(service = service.name.as_str(), "{warning}");
                }
            }
            loaded.push((service, compiled, staged));
        }
        loaded.sort_by(|(one, ..), (other, ..)| one.name.cmp(&other.name));
        // Only with all contracts on the table it is known who answers whose imports.
        let contracts: Vec<_> = loaded
            .iter()
            .map(|(service, compiled, _)| linking::contracts(service, compiled))
            .collect::<Result<_, _>>()?;
        let resolution = linking::links(&contracts)?;
        linking::warn(&resolution.warnings);
        let limits = limits(&options.runtime_config);
        for line in app
            .services
            .values()
            .flat_map(|service| linking::without_effect(service, &limits))
        {
            tracing::warn!("{line}");
        }
        let mut revisions = BTreeMap::new();
        let mut summaries = Vec::new();
        for (service, compiled, staged) in loaded {
            let (revision, summary) = self.revision(app, options, service, &compiled, staged, &resolution)?;
            progress(Step::Prepared(summary.clone()));
            summaries.push(summary);
            revisions.insert(service.name.clone(), Arc::new(revision));
        }
        // We hold the lock of the state directory, so nobody else stages there.
        if let Err(error) = files::sweep(&self.files, &staged_trees) {
            tracing::warn!(error = %error, "files of earlier revisions could not be removed");
        }
        Ok((revisions, summaries))
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

    /// What of preparing a service blocks: reading, composing and compiling its component, staging its files.
    fn job(
        &self,
        app: Arc<App>,
        name: ServiceName,
        fetched: Fetched,
        progress: Progress,
    ) -> impl FnOnce() -> Result<(Compiled, Option<Staged>), Error> + Send + 'static {
        let (engines, root) = (self.engines.clone(), self.files.clone());
        move || {
            let Some(service) = app.services.get(&name) else {
                return Err(Error::Interrupted { service: name });
            };
            let Composed { bytes, denied, .. } = composing::component(&app, service, &fetched)?;
            for denied in denied {
                tracing::debug!(
                    service = name.as_str(),
                    "dependency `{}` does not inherit `{}`",
                    denied.part,
                    denied.import
                );
            }
            let compiles = || {
                progress(Step::Compiles {
                    service: service.name.clone(),
                    bytes: bytes.len(),
                });
            };
            let compiled = engines.load(&bytes, &compiles).map_err(|source| Error::Compile {
                service: service.name.clone(),
                path: service.source.clone(),
                source,
            })?;
            let staged = files::stage(&app.dir, service, &root).map_err(|source| Error::Files {
                service: service.name.clone(),
                source,
            })?;
            Ok((compiled, staged))
        }
    }

    fn revision(
        &self,
        app: &App,
        options: &Options,
        service: &Service,
        compiled: &Compiled,
        staged: Option<Staged>,
        resolution: &Resolution,
    ) -> Result<(Revision, ServiceSummary), Error> {
        let config = &options.runtime_config;
        let limits = limits(config);
        let mut identity = Identity::of(&compiled.digest(), self.key);
        identity.add("limits", format!("{limits:?}").as_bytes());

        let values = self
            .variables
            .service_variables(service)
            .map_err(|source| unresolved(service, source))?;
        for (name, template) in &service.variables {
            let Some(value) = values.get(name) else { continue };
            if self.variables.is_secret(template) {
                identity.add_secret("variable", name, value);
            } else {
                identity.add_value("variable", name, value.expose());
            }
        }
        let mut environment = service.environment.clone();
        environment.extend(options.environment.clone());
        for (name, value) in &environment {
            identity.add_value("environment", name, value);
        }
        if let Some(staged) = &staged {
            identity.add("files", staged.digest.as_bytes());
        }
        let hosts = self.allowed_hosts(service, &mut identity)?;
        let (key_value, sqlite, data) = self.data(app, config, service, &mut identity)?;

        let foreign = linking::foreign(
            app.name.as_str(),
            service,
            resolution,
            &self.metrics,
            &self.tracer,
            &mut identity,
        );
        let code = self
            .engines
            .link(compiled, foreign)
            .map_err(|source| Error::Compile {
                service: service.name.clone(),
                path: service.source.clone(),
                source,
            })?;

        let id = identity.finish();
        let took = match compiled.origin() {
            Origin::Cached => None,
            Origin::Compiled(took) => Some(took),
        };
        self.metrics.cache_lookup(if took.is_some() {
            CacheLookup::Miss
        } else {
            CacheLookup::Hit
        });
        if let Some(took) = took {
            self.metrics.compiled(took);
        }
        let metrics = self
            .metrics
            .revision(app.name.as_str(), service.name.as_str(), &id.to_string());
        let grants = Grants {
            environment: environment.into_iter().collect(),
            files: staged.map(|staged| staged.directory),
            variables: Variables::new(values),
            key_value,
            sqlite,
            outbound_http: Arc::new(OutboundHttp::new(hosts, config.block_networks.clone())),
            http_client: self.client.clone(),
            clock: None,
        };
        let reuse = Reuse::default_for(&code);
        let program = Program::new(
            self.engines.clone(),
            service.name.clone(),
            id,
            code,
            reuse,
            limits,
            grants,
            metrics.clone(),
            self.tasks.clone(),
        );
        let summary = ServiceSummary {
            service: service.name.clone(),
            revision: id,
            compiled: took,
            data,
            links: resolution
                .links
                .iter()
                .filter(|link| link.caller == service.name)
                .cloned()
                .collect(),
        };
        Ok((Revision::new(service.name.clone(), id, program, metrics), summary))
    }

    fn allowed_hosts(&self, service: &Service, identity: &mut Identity) -> Result<AllowedHosts, Error> {
        let mut entries = Vec::new();
        for host in &service.allowed_outbound_hosts {
            if self.variables.is_secret(&host.template) {
                // Denials and errors show hosts.
                return Err(Error::SecretHost {
                    location: host.location.clone(),
                });
            }
            let entry = self
                .variables
                .resolve_template(&host.template)
                .map_err(|source| unresolved(service, source))?;
            // Each alone first, so that an error has its place.
            AllowedHosts::parse([&entry]).map_err(|source| Error::AllowedHost {
                location: host.location.clone(),
                source,
            })?;
            identity.add("allowed host", entry.as_bytes());
            entries.push(entry);
        }
        let location = service.location.clone();
        AllowedHosts::parse(&entries).map_err(|source| Error::AllowedHost { location, source })
    }

    fn data(
        &self,
        app: &App,
        config: &RuntimeConfig,
        service: &Service,
        identity: &mut Identity,
    ) -> Result<(KeyValue, Sqlite, Vec<DataPlace>), Error> {
        identity.add("data", app.data.to_string().as_bytes());
        let mut places = Vec::new();
        let mut stores: BTreeMap<Label, Arc<dyn KeyValueStore>> = BTreeMap::new();
        for label in &service.key_value_stores {
            identity.add("key-value store", label.as_str().as_bytes());
            let fixed = config
                .key_value_stores
                .get(label)
                .map(|KeyValueBackend::Spin { path }| path.as_path());
            let path = self.place(app, service, Kind::KeyValue, label, fixed);
            let store = self
                .sqlite
                .key_value(&path)
                .map_err(|source| data_error(service, label, source))?;
            stores.insert(label.clone(), store);
            places.push(DataPlace {
                kind: "key-value",
                label: label.clone(),
                path,
            });
        }
        let mut databases: BTreeMap<Label, Arc<dyn Database>> = BTreeMap::new();
        for label in &service.sqlite_databases {
            identity.add("database", label.as_str().as_bytes());
            let fixed = config
                .sqlite_databases
                .get(label)
                .map(|SqliteBackend::Spin { path }| path.as_path());
            let path = self.place(app, service, Kind::Sqlite, label, fixed);
            let database = self
                .sqlite
                .database(&path)
                .map_err(|source| data_error(service, label, source))?;
            databases.insert(label.clone(), database);
            places.push(DataPlace {
                kind: "sqlite",
                label: label.clone(),
                path,
            });
        }
        let key_value = KeyValue::new(stores);
        let sqlite = Sqlite::new(databases, Bounds::default());
        Ok((key_value, sqlite, places))
    }

    /// A path of the runtime configuration is one file for everyone who has the label, as in Spin.
    fn place(
        &self,
        app: &App,
        service: &Service,
        kind: Kind,
        label: &Label,
        fixed: Option<&Path>,
    ) -> PathBuf {
        let scope = match app.data {
            DataScope::App => Scope::App,
            DataScope::PerService => Scope::Service(service.name.as_str()),
        };
        match fixed {
            Some(path) => path.to_owned(),
            None => location(&self.state_dir, app.name.as_str(), scope, kind, label.as_str()),
        }
    }

    /// Closes the data. Nothing uses it any more.
    pub(super) async fn close(self) {
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

fn limits(config: &RuntimeConfig) -> Limits {
    let mut limits = Limits::default();
    if let Some(memory) = config.max_instance_memory {
        limits.instance_memory = memory;
    }
    limits
}

pub(super) fn engine_settings(config: &RuntimeConfig) -> engine::Settings {
    let limits = limits(config);
    let default = engine::Settings::default();
    engine::Settings {
        max_instances: config.midplane.max_instances.unwrap_or(default.max_instances),
        max_memory: limits.instance_memory,
        max_table_elements: limits.table_elements,
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
