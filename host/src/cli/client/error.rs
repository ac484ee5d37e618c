//! Why a command could not reach the host, or was told no. One place for messages, hints and exit codes.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use crate::admin::api::Problem;
use crate::cli::{Exit, Failure};
use crate::host::runtime_config::RuntimeConfigError;

/// What kept a command from being done.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ClientError {
    /// No host says in the state directory that it runs.
    #[error("no running host is known: there is no {}", file.display())]
    NoHost {
        /// The file that a running host writes.
        file: PathBuf,
    },
    /// A file of the state directory cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the host wrote about itself cannot be understood.
    #[error("{} does not say where a host is: {why}", file.display())]
    Unclear {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The runtime configuration, which may name the state directory, cannot be read.
    #[error(transparent)]
    RuntimeConfig(#[from] RuntimeConfigError),
    /// There is no token to show.
    #[error("there is no token for the admin API: {} is not set, and there is no {}", super::TOKEN, file.display())]
    NoToken {
        /// Where one was looked for.
        file: PathBuf,
    },
    /// The token is nothing that can be sent.
    #[error("{origin} has no token for the admin API")]
    BadToken {
        /// Where it is from.
        origin: String,
    },
    /// The host does not know the token.
    #[error("the host at http://{address} does not take the token of {origin}")]
    WrongToken {
        /// Of the admin API.
        address: String,
        /// Where the token is from.
        origin: String,
    },
    /// Nobody listens.
    #[error("no host answers at http://{address}, {named}")]
    Connect {
        /// Of the admin API.
        address: String,
        /// By what.
        named: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection ended before the answer did.
    #[error("the host at http://{address} has gone away")]
    Gone {
        /// Of the admin API.
        address: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// The answer does not come.
    #[error("the host at http://{address} does not answer: {seconds} s are over")]
    Silent {
        /// Of the admin API.
        address: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A host of another app answers.
    #[error("the host at http://{address} serves `{found}`, not `{wanted}`")]
    OtherApp {
        /// Of the admin API.
        address: String,
        /// What was looked for.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// It is not clear which app is meant.
    #[error("the host at http://{address} serves {found}: it is not clear which app is meant")]
    WhichApp {
        /// Of the admin API.
        address: String,
        /// What is there.
        found: String,
    },
    /// What answers is not the admin API of a host, or of a much newer one.
    #[error("what answers at http://{address} cannot be understood: {why}")]
    NotUnderstood {
        /// Of the admin API.
        address: String,
        /// What it said.
        why: String,
    },
    /// The host said no.
    #[error("{}", told(.0))]
    Problem(Box<Problem>),
}

impl ClientError {
    /// What to do about it.
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoHost { .. } => {
                "is the host running? `midplane up` starts it (without `--admin off`); for an app elsewhere say \
                 `-f DIR`, for another state directory `--state-dir DIR`"
            }
            Self::Connect { .. } => "is the host running? `midplane up` starts it",
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "the state directory belongs to the user that the host runs as: be that user, or give the token in \
                 MIDPLANE_ADMIN_TOKEN and the address with `--admin`"
            }
            Self::NoToken { .. } => {
                "the host makes the file `admin.token` in its state directory: name that with `--state-dir DIR`, or set \
                 MIDPLANE_ADMIN_TOKEN"
            }
            Self::WrongToken { .. } | Self::BadToken { .. } => {
                "the token is in the file `admin.token` of the host's state directory; MIDPLANE_ADMIN_TOKEN outranks it"
            }
            Self::Unclear { .. } => "the host writes the file when it starts: start it again",
            Self::OtherApp { .. } => {
                "the host that was here before is gone, and another one has taken its port: `midplane up` starts it again"
            }
            Self::WhichApp { .. } => "without `--admin` the state directory says which",
            Self::Gone { .. } => {
                "once it runs, `midplane status` and `midplane history` show whether a change was made"
            }
            Self::NotUnderstood { .. } => "is it a host of another version, or no host at all?",
            Self::RuntimeConfig(error) => return error.hint(),
            Self::Problem(problem) if !problem.new_grants.is_empty() => {
                "if that is wanted, add `--allow-new-grants`"
            }
            Self::Problem(problem) => return problem.hint.clone(),
            Self::Read { .. } | Self::Silent { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// How the process ends.
    fn exit(&self) -> Exit {
        match self {
            Self::Problem(problem) if matches!(problem.kind.as_deref(), Some("refused" | "busy")) => {
                Exit::Refused
            }
            _ => Exit::Failed,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (hint, exit) = (error.hint(), error.exit());
        Self {
            error: error.into(),
            hint,
            exit,
        }
    }
}

/// What the host said, and what may newly be touched in lines of their own.
fn told(problem: &Problem) -> String {
    let mut text = if problem.detail.is_empty() {
        format!("{} ({})", problem.title, problem.status)
    } else {
        problem.detail.clone()
    };
    for grant in &problem.new_grants {
        let _infallible = write!(text, "\n  + {grant}");
    }
    text
}
