//! The composition root: builds the adapters, wires the modules, starts and stops the host.
//!
//! Sockets are bound before anything is compiled, so that a port in use is known at once, and `/ready` answers while services
//! are prepared. Nothing is accepted before every service is published.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;

pub mod check;
pub mod composing;
mod error;
pub mod linking;
mod prepare;
pub mod runtime_config;
mod state_dir;
mod tracing;

pub use error::Error;
pub use prepare::{DataPlace, Progress, ServiceSummary, Step};
pub use state_dir::StateDir;

use self::tracing::Tracing;
use crate::admin::{self, AdminState, Readiness};
use crate::gateway::{self, Gateway};
use crate::manifest::{App, TriggerRoute, TriggerTarget};
use crate::model::route::RoutePattern;
use crate::service::router::Router;
use crate::service::{Generation, Registry, Target};
use crate::shutdown::{DrainOutcome, Tasks};
use crate::telemetry::{DroppedLines, Metrics};
use prepare::Preparing;
use runtime_config::RuntimeConfig;

/// How often instances that have waited too long are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// What the operator asks for, apart from the app itself.
pub struct Options {
    /// Where the app is served.
    pub listen: SocketAddr,
    /// Where `/ready` and `/metrics` are; `None` for nowhere.
    pub admin: Option<SocketAddr>,
    /// Where data, keys and compiled code are kept, if not beside the manifest.
    pub state_dir: Option<PathBuf>,
    /// Where compiled code is kept, if not in the state directory.
    pub cache_dir: Option<PathBuf>,
    /// The runtime configuration.
    pub runtime_config: RuntimeConfig,
    /// Variables given on the command line.
    pub variables: BTreeMap<String, String>,
    /// Environment variables for every service.
    pub environment: BTreeMap<String, String>,
    /// A reader of what the log dropped.
    pub dropped_lines: Option<DroppedLines>,
}

/// A host that serves its app.
pub struct Host {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    ready: watch::Sender<Readiness>,
    state_dir: StateDir,
    prepared: Preparing,
    services: Vec<ServiceSummary>,
    tracing: Tracing,
    tasks: Tasks,
}

impl Host {
    /// Prepares every service of `app`, tells `progress` of each step, and serves.
    pub async fn start(
        app: &App,
        options: Options,
        tasks: Tasks,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let listener = bind(options.listen, "--listen").await?;
        let address = local_address(&listener, options.listen, "--listen")?;
        let metrics = Metrics::new();
        if let Some(dropped) = options.dropped_lines.clone() {
            metrics.watch_log(dropped);
        }
        let (ready, readiness) = watch::channel(Readiness::Starting);
        let admin = match options.admin {
            None => None,
            Some(asked) => {
                let listener = bind(asked, "--admin").await?;
                let bound = local_address(&listener, asked, "--admin")?;
                // It ends with the host: its task is of the background kind.
                let _detached = admin::serve(
                    listener,
                    AdminState {
                        ready: readiness,
                        metrics: metrics.clone(),
                    },
                    &tasks,
                );
                Some(bound)
            }
        };
        let state_dir = StateDir::open(app, &options)?;
        raise_file_limit();
        let tracing = Tracing::new(app, &metrics)?;
        let tracer = tracing.tracer();
        let preparing = Preparing::new(
            app,
            &options,
            &state_dir,
            metrics.clone(),
            tracer.clone(),
            tasks.clone(),
        )?;
        let (revisions, services) = preparing.services(app, &options, progress).await?;
        let routes = routes(app);
        let generation = Generation::new(app.name.clone(), 1, routes, revisions).with_info(info(app));
        check_handlers(app, &generation)?;
        let registry = Arc::new(Registry::new(generation));
        let gateway = Gateway::new(
            registry.clone(),
            metrics,
            tracer,
            tasks.clone(),
            gateway::Settings::default(),
            address,
        );
        tasks.spawn("listener", gateway::serve(listener, gateway));
        tasks.background("idle instances", sweep(registry));
        ready.send_replace(Readiness::Ready);
        Ok(Self {
            address,
            admin,
            ready,
            state_dir,
            prepared: preparing,
            services,
            tracing,
            tasks,
        })
    }

    /// Where the app is served, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin listener is, with the real port.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// What was prepared.
    pub fn services(&self) -> &[ServiceSummary] {
        &self.services
    }

    /// The directory of everything that outlives the process.
    pub fn state_dir(&self) -> &StateDir {
        &self.state_dir
    }

    /// Stops: no new connections, requests finish for at most `grace`, then data is closed.
    pub async fn stop(self, grace: Duration) -> DrainOutcome {
        self.ready.send_replace(Readiness::Draining);
        self.tasks.begin_drain();
        let outcome = self.tasks.drained(grace).await;
        self.tracing.close().await;
        self.prepared.close().await;
        outcome
    }
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind {
        address,
        flag,
        source,
    })
}

fn local_address(listener: &TcpListener, asked: SocketAddr, flag: &'static str) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|source| Error::Bind {
        address: asked,
        flag,
        source,
    })
}

fn routes(app: &App) -> Router<Target> {
    let routes: Vec<(RoutePattern, Target)> = app
        .triggers
        .iter()
        .filter_map(|trigger| match &trigger.route {
            TriggerRoute::Path(pattern) => Some((pattern.clone(), target(&trigger.target))),
            TriggerRoute::Private => None,
        })
        .collect();
    Router::new(routes)
}

fn target(target: &TriggerTarget) -> Target {
    match target {
        TriggerTarget::Service(service) => Target::Service(service.clone()),
        TriggerTarget::Static(response) => Target::Static(Arc::new(response.clone())),
    }
}

/// A trigger that leads to a component without an HTTP handler would only ever fail.
fn check_handlers(app: &App, generation: &Generation) -> Result<(), Error> {
    for trigger in &app.triggers {
        if let TriggerTarget::Service(service) = &trigger.target
            && let Some(revision) = generation.revision(service)
            && !revision.program().has_handler()
        {
            return Err(Error::NoHandler {
                service: service.clone(),
                location: trigger.location.clone(),
            });
        }
    }
    Ok(())
}

/// What `/.well-known/spin/info` answers.
fn info(app: &App) -> bytes::Bytes {
    let text = serde_json::json!({
        "name": app.name.as_str(),
        "version": app.version,
        "digest": format!("sha256:{}", app.digest),
    });
    text.to_string().into()
}

async fn sweep(registry: Arc<Registry>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        for revision in registry.current().revisions() {
            revision.program().drop_idle(now);
        }
    }
}

/// Connections, databases and pool slots all need file descriptors; the soft limit is often 1,024.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        )
    {
        ::tracing::debug!(error = %error, "the limit of open files stays as it is");
    }
}
