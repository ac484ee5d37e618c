//! Why a change is not made, and whose matter that is.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::Write as _;

use crate::adapter::content::ContentError;
use crate::adapter::files::FilesError;
use crate::admin::control::{Refusal, RefusalKind};
use crate::engine::{CompileError, WarmError};
use crate::gateway::probe::ProbeError;
use crate::host::Error;
use crate::host::linking::LinkErrors;
use crate::manifest;
use crate::model::{Digest, ServiceName};
use crate::service::journal::{JournalError, Outcome};

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// There is no such thing.
    #[error("{detail}")]
    NotFound {
        /// What there is not.
        detail: String,
        /// What there is.
        hint: Option<String>,
    },
    /// It cannot be meant so.
    #[error("{detail}")]
    Invalid {
        /// What is wrong.
        detail: String,
        /// What to write.
        hint: Option<String>,
    },
    /// Something else is under way.
    #[error("{detail}")]
    Busy {
        /// What.
        detail: String,
        /// What to do.
        hint: String,
    },
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
    /// A component was named by a digest that nothing has.
    #[error("no component with the digest sha256:{0} was uploaded")]
    NoComponent(Digest),
    /// A component cannot be stored or read again.
    #[error("the component cannot be kept")]
    Store(#[source] ContentError),
    /// A manifest cannot be read.
    #[error("the manifest is not in force")]
    Manifest(#[source] manifest::Error),
    /// A service cannot be prepared.
    #[error(transparent)]
    Prepare(#[from] Error),
    /// What the new revisions import or export does not fit what is served.
    #[error("it does not fit the services that are there")]
    Contracts(#[source] LinkErrors),
    /// They may touch more than those that they replace.
    #[error("more than before may newly be touched: {}", lines.join("; "))]
    NewGrants {
        /// The services.
        services: BTreeSet<ServiceName>,
        /// What, with the service before it.
        lines: Vec<String>,
    },
    /// An instance does not come to life.
    #[error("service `{service}`: an instance of it does not start")]
    Warm {
        /// The service.
        service: ServiceName,
        /// Why not.
        source: WarmError,
    },
    /// A probe is declared for a service that cannot be asked.
    #[error(
        "{location}: service `{service}` has a probe, and its component exports no HTTP handler that could answer it"
    )]
    NothingToProbe {
        /// The service.
        service: ServiceName,
        /// Its table in the manifest.
        location: String,
    },
    /// A probe was not answered as declared.
    #[error("service `{service}`: {source}")]
    Probe {
        /// The service.
        service: ServiceName,
        /// How it was answered.
        source: ProbeError,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What a revision of before was made of is gone or damaged.
    #[error("revision {revision} of `{service}` cannot be made again")]
    Unmakable {
        /// The service.
        service: ServiceName,
        /// The revision.
        revision: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The task that does it was lost.
    #[error("it was cut short")]
    Lost,
}

impl RolloutError {
    /// Whose matter it is.
    pub(super) fn kind(&self) -> RefusalKind {
        match self {
            Self::NotFound { .. } | Self::NoComponent(_) => RefusalKind::NotFound,
            Self::Invalid { .. } => RefusalKind::Invalid,
            Self::Busy { .. } => RefusalKind::Busy,
            Self::Stopping => RefusalKind::Stopping,
            Self::Prepare(
                Error::Content { .. }
                | Error::FilesGone { .. }
                | Error::Interrupted { .. }
                | Error::Engine(_)
                | Error::Compile {
                    source: CompileError::Cache(_),
                    ..
                }
                | Error::Files {
                    source: FilesError::Write { .. },
                    ..
                },
            )
            | Self::Store(_)
            | Self::Journal(_)
            | Self::Unmakable { .. }
            | Self::Lost => RefusalKind::Failed,
            // It says nothing about the component.
            Self::Warm {
                source: WarmError::NoInstance { .. },
                ..
            } => RefusalKind::Busy,
            Self::Manifest(_)
            | Self::Prepare(_)
            | Self::Contracts(_)
            | Self::NewGrants { .. }
            | Self::Warm { .. }
            | Self::NothingToProbe { .. }
            | Self::Probe { .. } => RefusalKind::Refused,
        }
    }

    /// The services that it is about, as far as that is known.
    pub(super) fn services(&self) -> BTreeSet<ServiceName> {
        match self {
            Self::Prepare(error) => error.service().cloned().into_iter().collect(),
            Self::Contracts(errors) => errors.0.iter().map(|error| error.caller().clone()).collect(),
            Self::NewGrants { services, .. } => services.clone(),
            Self::Warm { service, .. }
            | Self::Probe { service, .. }
            | Self::NothingToProbe { service, .. }
            | Self::Unmakable { service, .. } => BTreeSet::from([service.clone()]),
            _ => BTreeSet::new(),
        }
    }

    /// What the journal says of it; `None` for what never began.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.kind() {
            RefusalKind::Refused => Some(Outcome::Refused),
            RefusalKind::Failed => Some(Outcome::Failed),
            RefusalKind::NotFound | RefusalKind::Invalid | RefusalKind::Busy | RefusalKind::Stopping => None,
        }
    }

    /// What to do about it.
    pub(in crate::host) fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { hint, .. } | Self::Invalid { hint, .. } => hint.clone(),
            Self::Busy { hint, .. } => Some(hint.clone()),
            Self::NoComponent(_) => Some("upload it first; what is not used within 10 minutes is forgotten".into()),
            // A diagnostic shows its hint itself, below the line that it is about.
            Self::Manifest(manifest::Error::Invalid(_)) => None,
            Self::Manifest(error) => error.hint(),
            Self::Prepare(error) => error.hint(),
            Self::Contracts(errors) => errors.hint().or_else(|| {
                Some("deploy the services that belong together in one step, or keep the old functions beside the new".into())
            }),
            Self::NewGrants { .. } => Some("if that is meant: `--allow-new-grants`".into()),
            Self::Store(_) | Self::Journal(_) => Some("see the file system of the state directory; nothing was changed".into()),
            Self::NothingToProbe { .. } => {
                Some("remove `probe`, or export `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`".into())
            }
            Self::Stopping | Self::Warm { .. } | Self::Probe { .. } | Self::Unmakable { .. } | Self::Lost => None,
        }
    }

    /// With all of its causes.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        // A probe's error is in the text already.
        let mut cause = match self {
            Self::Probe { .. } => None,
            _ => self.source(),
        };
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.ends_with(&said) {
                let _infallible = write!(text, ": {said}");
            }
            cause = error.source();
        }
        text
    }

    /// As the API tells it.
    pub(in crate::host) fn refusal(&self, entry: Option<u64>) -> Refusal {
        Refusal {
            kind: self.kind(),
            detail: self.text(),
            hint: self.hint(),
            new_grants: match self {
                Self::NewGrants { lines, .. } => lines.clone(),
                _ => Vec::new(),
            },
            entry,
        }
    }
}
