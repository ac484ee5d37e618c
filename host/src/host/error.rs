//! Why a host does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::linking::LinkErrors;
use super::rollout::RolloutError;
use crate::adapter::content::ContentError;
use crate::adapter::download::DownloadError;
use crate::adapter::files::FilesError;
use crate::adapter::http_client::TlsSetupError;
use crate::adapter::sqlite::SqliteDataError;
use crate::adapter::variables::VariablesError;
use crate::compose::ComposeError;
use crate::engine::{self, CompileError};
use crate::link::ReflectError;
use crate::manifest::{Location, UnresolvedVariable};
use crate::model::outbound_host::AllowedHostError;
use crate::model::{DependencyName, ServiceName};
use crate::service::journal::JournalError;
use crate::telemetry::trace::SettingsError;

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The flag that chooses another.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The state directory cannot be used.
    #[error("cannot use the state directory {}", path.display())]
    StateDir {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else can write in the state directory.
    #[error(
        "the state directory {} is not ours alone (owner {owner}, mode {mode:o}): others could change what services read",
        path.display()
    )]
    SharedStateDir {
        /// Where it is.
        path: PathBuf,
        /// The user id that owns it.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Another host has the state directory.
    #[error("the state directory {} is in use by another host{}", path.display(), holder(pid.as_deref()))]
    Locked {
        /// Where it is.
        path: PathBuf,
        /// The process that holds it, if it could be read.
        pid: Option<String>,
    },
    /// The engines cannot be set up.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The environment asks for traces in a way that cannot be understood.
    #[error("traces cannot be sent")]
    Traces {
        /// What is wrong with it.
        source: SettingsError,
    },
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client")]
    HttpClient(#[from] TlsSetupError),
    /// A variable has no value.
    #[error(transparent)]
    Variables(#[from] VariablesError),
    /// A template names a variable that has no value.
    #[error("service `{service}`: a template in its manifest entry")]
    Unresolved {
        /// The service.
        service: ServiceName,
        /// Which variable.
        source: UnresolvedVariable,
    },
    /// An allowed host is none.
    #[error("{location}: {source}")]
    AllowedHost {
        /// Where it stands in the manifest.
        location: Location,
        /// What is wrong with it.
        source: AllowedHostError,
    },
    /// An allowed host is made of a secret.
    #[error(
        "{location}: an allowed host is made of a secret variable, but hosts are shown in messages and logs"
    )]
    SecretHost {
        /// Where it stands in the manifest.
        location: Location,
    },
    /// The manifest wants more memory for an instance than the operator allows.
    #[error(
        "{location}: `instance_memory = \"{asked}\"` of service `{service}` is more than the {allowed} that this host allows one \
         instance"
    )]
    InstanceMemory {
        /// The service.
        service: ServiceName,
        /// Where it stands in the manifest.
        location: Location,
        /// What it asks for.
        asked: String,
        /// What it may have.
        allowed: String,
    },
    /// A database cannot be bound to its file.
    #[error("service `{service}`: the data label `{label}`")]
    Data {
        /// The service.
        service: ServiceName,
        /// The label.
        label: String,
        /// Why not.
        source: SqliteDataError,
    },
    /// The files of a service cannot be staged.
    #[error("service `{service}`: its files")]
    Files {
        /// The service.
        service: ServiceName,
        /// Why not.
        source: FilesError,
    },
    /// The files of a revision of before are gone.
    #[error("service `{service}`: the files that it had are gone from {}", directory.display())]
    FilesGone {
        /// The service.
        service: ServiceName,
        /// Where they were.
        directory: PathBuf,
    },
    /// A component file cannot be read.
    #[error("service `{service}`: cannot read its component {}", path.display())]
    ReadComponent {
        /// The service.
        service: ServiceName,
        /// The file.
        path: PathBuf,
        /// Whether the manifest says how to build it.
        buildable: bool,
        /// What the system said.
        source: io::Error,
    },
    /// The component of a dependency cannot be read.
    #[error("service `{service}`: cannot read its dependency `{dependency}`, {}", path.display())]
    ReadDependency {
        /// The service.
        service: ServiceName,
        /// Which dependency.
        dependency: Box<DependencyName>,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A dependency cannot be fetched.
    #[error("service `{service}`: a dependency")]
    Download {
        /// The service.
        service: ServiceName,
        /// Why not.
        source: DownloadError,
    },
    /// The directory for what is fetched cannot be used.
    #[error(transparent)]
    Downloads(#[from] DownloadError),
    /// The journal cannot be used.
    #[error("the journal of changes cannot be used")]
    Journal(#[source] JournalError),
    /// What is stored by content cannot be used.
    #[error("the components that were deployed cannot be kept")]
    Store(#[source] ContentError),
    /// The token of the admin API cannot be used.
    #[error("the token of the admin API, {}, cannot be used", path.display())]
    Token {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is to be served is refused.
    #[error(transparent)]
    Rollout(Box<RolloutError>),
    /// The host was asked to stop before it had started.
    #[error("the host is stopping")]
    Stopping,
    /// A component or a manifest cannot be stored, or read again.
    #[error("service `{service}`: storing it failed")]
    Content {
        /// The service.
        service: ServiceName,
        /// Why.
        source: ContentError,
    },
    /// A service's dependencies cannot be composed into it.
    #[error("service `{service}`: its dependencies cannot be composed into it")]
    Compose {
        /// The service.
        service: ServiceName,
        /// Why not.
        source: ComposeError,
    },
    /// A component cannot be run.
    #[error("service `{service}`: its component {component} cannot be run")]
    Compile {
        /// The service.
        service: ServiceName,
        /// Its file, or its digest where it came by no file.
        component: String,
        /// Why not.
        source: CompileError,
    },
    /// What a component imports or exports cannot be read.
    #[error("service `{service}`: its contracts cannot be read")]
    Contracts {
        /// The service.
        service: ServiceName,
        /// Why not.
        source: ReflectError,
    },
    /// Services cannot be linked.
    #[error(transparent)]
    Links(LinkErrors),
    /// The task that prepares a service was lost.
    #[error("service `{service}`: preparing it was cut short")]
    Interrupted {
        /// The service.
        service: ServiceName,
    },
    /// A route leads to a service that answers no HTTP.
    #[error("{location}: service `{service}` exports no HTTP handler, so no trigger can lead to it")]
    NoHandler {
        /// The service.
        service: ServiceName,
        /// The trigger.
        location: Location,
    },
}

fn holder(pid: Option<&str>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl Error {
    /// What its reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { address, flag, source } => Some(match source.kind() {
                io::ErrorKind::AddrInUse => format!(
                    "another program listens there; choose another address, for example `{flag} {}:0` for a free port",
                    address.ip()
                ),
                io::ErrorKind::PermissionDenied => {
                    format!("ports below 1024 need a privilege; try `{flag} {}:8080`", address.ip())
                }
                _ => format!("`{flag}` takes an address of this machine and a port"),
            }),
            Self::StateDir { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("make room on its disk, or name a directory on another one with `--state-dir`".into())
            }
            Self::StateDir { .. } => {
                Some("name a directory that this user can write with `--state-dir`".into())
            }
            Self::SharedStateDir { path, .. } => Some(format!(
                "`chmod go-w {}`, or name another directory with `--state-dir`",
                path.display()
            )),
            Self::Locked { .. } => {
                Some("stop the other host first, or give this one its own `--state-dir`".into())
            }
            Self::Traces { source } => Some(format!(
                "unset or correct `{}`; OTEL_SDK_DISABLED=true turns traces off",
                source.variable
            )),
            Self::Variables(error) => error.hint(),
            Self::ReadComponent { buildable: true, source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("build it first: `midplane up --build`, or `midplane build`".into())
            }
            Self::ReadComponent { .. } => Some("check `source` in the manifest".into()),
            Self::ReadDependency { .. } => {
                Some("build it first, or check `path` under `dependencies` in the manifest".into())
            }
            Self::Download { source, .. } | Self::Downloads(source) => source.hint(),
            Self::Compose { source, .. } => source.hint(),
            Self::Compile { source, .. } => source.hint(),
            Self::Files { source, .. } => source.hint(),
            Self::Engine(engine::Error::Setup { .. }) => Some(
                "each pool slot reserves 4 GiB of address space; try fewer: `max_instances` under `[midplane]` in the \
                 runtime configuration file, and see `ulimit -v`"
                    .into(),
            ),
            Self::NoHandler { .. } => {
                Some("export `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`, or remove the trigger".into())
            }
            Self::Engine(engine::Error::Cache(error)) => Some(error.hint()),
            Self::Unresolved { source, .. } => {
                Some(format!("give it one: `--variable {}=…`, or a default under [variables]", source.name))
            }
            Self::AllowedHost { .. } => Some(
                "an entry is `scheme://host[:port]`, for example \"https://api.example.com\" or \"http://auth.spin.internal\""
                    .into(),
            ),
            Self::InstanceMemory { asked, .. } => Some(format!(
                "lower it, or have the operator raise `max_instance_memory` in the runtime configuration to \"{asked}\""
            )),
            Self::SecretHost { .. } => Some("take a variable that is not `secret = true`".into()),
            Self::Data { .. } => Some("give each label its own `path` in the runtime configuration file".into()),
            Self::HttpClient(_) => Some("see the certificate authorities of this system".into()),
            Self::Engine(engine::Error::Thread(_)) => Some("see the limit of processes of this user (`ulimit -u`)".into()),
            Self::Contracts { .. } => Some("build it with smaller types".into()),
            Self::Links(errors) => errors.hint(),
            Self::Journal(_) | Self::Store(_) | Self::Content { .. } => Some("see the file system of the state directory".into()),
            Self::Token { .. } => Some("only its owner may read it (mode 0600); deleted, it is made anew at the next start".into()),
            Self::Rollout(error) => error.hint(),
            Self::Stopping | Self::FilesGone { .. } | Self::Interrupted { .. } => None,
        }
    }

    /// The service that it is about, if it is about one.
    pub(super) fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Unresolved { service, .. }
            | Self::Data { service, .. }
            | Self::Files { service, .. }
            | Self::FilesGone { service, .. }
            | Self::ReadComponent { service, .. }
            | Self::ReadDependency { service, .. }
            | Self::Download { service, .. }
            | Self::Compose { service, .. }
            | Self::Compile { service, .. }
            | Self::Content { service, .. }
            | Self::Contracts { service, .. }
            | Self::Interrupted { service }
            | Self::NoHandler { service, .. } => Some(service),
            _ => None,
        }
    }
}

impl From<RolloutError> for Error {
    fn from(error: RolloutError) -> Self {
        match error {
            RolloutError::Prepare(error) => error,
            RolloutError::Contracts(errors) => Self::Links(errors),
            RolloutError::Journal(error) => Self::Journal(error),
            RolloutError::Store(error) => Self::Store(error),
            RolloutError::Stopping => Self::Stopping,
            error => Self::Rollout(Box::new(error)),
        }
    }
}
