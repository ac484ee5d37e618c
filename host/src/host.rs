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
mod control;
mod diff;
mod error;
mod grants;
mod limits;
pub mod linking;
mod prepare;
mod rollout;
pub mod runtime_config;
mod state_dir;
mod tracing;

pub use error::Error;
pub use prepare::{DataPlace, Progress, ServiceSummary, Step};
pub use rollout::{RolloutError, Step as RolloutStep, Won};
pub use state_dir::{ANNOUNCEMENT, NAME as STATE_DIR, StateDir, TOKEN};

use self::tracing::Tracing;
use crate::adapter::content::Content;
use crate::adapter::journal::SqliteJournal;
use crate::admin::control::Control;
use crate::admin::{self, AdminState, Readiness, Token};
use crate::engine::{self, Engines};
use crate::gateway::{self, Gateway};
use crate::manifest::App;
use crate::model::ServiceName;
use crate::shutdown::{DrainOutcome, Tasks};
use crate::telemetry::{DroppedLines, Metrics, Tail};
use control::HostControl;
use prepare::Preparing;
use rollout::{Rollouts, Started};
use runtime_config::RuntimeConfig;
use state_dir::Announcement;

/// How often instances that have waited too long are looked for.
const SWEEP: Duration = Duration::from_secs(1);

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
    /// The last log lines of each service.
    pub tail: Tail,
}

/// A host that serves its app.
pub struct Host {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    ready: watch::Sender<Readiness>,
    state_dir: StateDir,
    rollouts: Rollouts,
    control: Arc<dyn Control>,
    started: Started,
    announcement: Option<Announcement>,
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
        let admin = match options.admin {
            None => None,
            Some(asked) => {
                let listener = bind(asked, "--admin").await?;
                let bound = local_address(&listener, asked, "--admin")?;
                Some((listener, bound))
            }
        };
        let state_dir = StateDir::open(app, &options)?;
        let token = Token::load_or_create(&state_dir.token()).map_err(|source| Error::Token {
            path: state_dir.token(),
            source,
        })?;
        let (ready, readiness) = watch::channel(Readiness::Starting);
        let (controlled, control) = watch::channel(None);
        let admin = admin.map(|(listener, bound)| {
            let state = AdminState {
                ready: readiness,
                metrics: metrics.clone(),
                control,
                token,
                max_component_bytes: engine::MAX_COMPONENT_BYTES,
            };
            // It ends with the host: its task is of the background kind.
            let _detached = admin::serve(listener, state, &tasks);
            bound
        });
        let settings = gateway::Settings::default();
        raise_file_limit(settings.max_connections);
        let tracing = Tracing::new(app, &metrics)?;
        let tracer = tracing.tracer();
        let content = Arc::new(Content::open(&state_dir.content()).map_err(Error::Store)?);
        let journal = SqliteJournal::open(&state_dir.journal()).map_err(Error::Journal)?;
        let tail = options.tail.clone();
        let preparing = Preparing::new(
            options,
            &state_dir,
            content,
            metrics.clone(),
            tracer.clone(),
            tasks.clone(),
        )?;
        let engines = preparing.engines().clone();
        let edition = preparing.edition(app.clone())?;
        let (rollouts, started) =
            Rollouts::start(preparing, Arc::new(journal), edition, tasks.clone(), progress).await?;
        let registry = rollouts.registry().clone();
        let gateway = Gateway::new(
            registry.clone(),
            metrics,
            tracer,
            tasks.clone(),
            settings,
            address,
        );
        tasks.spawn("listener", gateway::serve(listener, gateway));
        tasks.background("idle instances", sweep(engines));
        let control: Arc<dyn Control> =
            Arc::new(HostControl::new(rollouts.clone(), address, tail, tasks.clone()));
        controlled.send_replace(Some(control.clone()));
        let announcement = match admin {
            None => None,
            Some(admin) => {
                let served = &rollouts.state().edition.app;
                let announced = state_dir.announce(served, admin);
                Some(announced.map_err(|source| Error::StateDir {
                    path: state_dir.path().to_owned(),
                    source,
                })?)
            }
        };
        ready.send_replace(Readiness::Ready);
        Ok(Self {
            address,
            admin,
            ready,
            state_dir,
            rollouts,
            control,
            started,
            announcement,
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
        &self.started.services
    }

    /// The app as it is served now: not what the manifest says where that was refused.
    pub fn app(&self) -> Arc<App> {
        self.rollouts.state().edition.app.clone()
    }

    /// Whose word a service goes by: the files', or that of a deploy or rollback of before.
    pub fn won(&self, service: &ServiceName) -> Won {
        self.started.won.get(service).copied().unwrap_or(Won::Files)
    }

    /// Why what the manifest and its files say is not served, if it is not.
    pub fn refused(&self) -> Option<&RolloutError> {
        self.started.refused.as_ref()
    }

    /// What the admin API does, within the process.
    pub fn control(&self) -> Arc<dyn Control> {
        self.control.clone()
    }

    /// The directory of everything that outlives the process.
    pub fn state_dir(&self) -> &StateDir {
        &self.state_dir
    }

    /// Says that the host is about to stop: it is not ready any more, and takes requests still.
    pub fn leave(&self) {
        self.ready.send_replace(Readiness::Draining);
    }

    /// Stops: no new connections, requests finish for at most `grace`, then data is closed.
    pub async fn stop(self, grace: Duration) -> DrainOutcome {
        self.ready.send_replace(Readiness::Draining);
        self.tasks.begin_drain();
        let outcome = self.tasks.drained(grace).await;
        drop(self.announcement);
        self.tracing.close().await;
        self.rollouts.close().await;
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

async fn sweep(engines: Arc<Engines>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        engines.drop_idle(Instant::now());
    }
}

/// Connections, databases and pool slots all need file descriptors; the soft limit is often 1,024. If there are not even enough
/// for the connections that are let in, whoever runs the host should know.
fn raise_file_limit(connections: usize) {
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
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return;
    };
    if usize::try_from(limit).is_ok_and(|limit| limit < connections) {
        ::tracing::warn!(
            limit,
            connections,
            "fewer files may be open than there may be connections (see `ulimit -Hn`): where none is left, nobody is let in and \
             no database opened until connections end"
        );
    }
}
