//! Why nothing was made, and what to do about it.

use std::path::PathBuf;

use super::name::{Kind, NameFault, Word};
use crate::model::ServiceName;

/// Why there is no new app or service. Whatever it says, nothing was left behind.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ScaffoldError {
    /// A name that will not do.
    #[error("`{name}` cannot be the name of {kind}: {fault}")]
    Name {
        /// What it should name.
        kind: Kind,
        /// What was typed, shortened.
        name: String,
        /// The rule that it breaks.
        fault: NameFault,
        /// A name that would do.
        suggestion: Option<String>,
    },
    /// The directory of a new app has something in it, or is none.
    #[error("{} exists and is not an empty directory", directory.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
    },
    /// The manifest of the app, as it is, has no meaning.
    #[error(transparent)]
    App(#[from] crate::manifest::Error),
    /// The manifest would have no meaning with the service in it.
    #[error("the service cannot be added at the end of the manifest")]
    Manifest {
        /// What the manifest would be refused for.
        #[source]
        source: crate::manifest::Error,
    },
    /// The app has no Cargo workspace where services are looked for.
    #[error("there is no {}, the Cargo workspace of the services", file.display())]
    NoWorkspace {
        /// The file that is missing.
        file: PathBuf,
    },
    /// The list of the workspace's members cannot be edited.
    #[error("the service cannot be added to {}: {reason}", file.display())]
    Members {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The workspace has not all that the crates of a service take from it.
    #[error("the service cannot be added to {}: it lacks {}", file.display(), keys(missing))]
    Inherit {
        /// The file.
        file: PathBuf,
        /// The lines that it lacks, below the heads of their tables.
        missing: Vec<String>,
    },
    /// There is such a service, or something in its place.
    #[error("`{service}` cannot be added: {what}")]
    Taken {
        /// The service.
        service: Word,
        /// What is in its place.
        what: String,
    },
    /// `--uses` names a service that the app does not have.
    #[error("the app has no component `{name}` that could be used")]
    UnknownUsed {
        /// What was named.
        name: String,
        /// What there is.
        known: Vec<ServiceName>,
    },
    /// `--uses` names the service itself.
    #[error("`{service}` cannot use itself")]
    UsesItself {
        /// The service.
        service: Word,
    },
    /// The contract of a used service is not one that code can be written for.
    #[error("no call to `{service}` can be written: {} {reason}", place.display())]
    Contract {
        /// The service.
        service: Word,
        /// Its contract, or where it should be.
        place: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file or directory cannot be made.
    #[error("cannot write {}; nothing was changed", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else writes to the app.
    #[error("{} changed in the meantime; nothing was changed", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
    },
    /// A file cannot be written, and something that was made cannot be removed.
    #[error("cannot write {}, and {} could not be put back as it was", file.display(), left.display())]
    Left {
        /// The file.
        file: PathBuf,
        /// What was left.
        left: PathBuf,
        /// Why the file cannot be written.
        #[source]
        source: std::io::Error,
    },
}

/// The keys of lines of TOML, each with its table.
fn keys(lines: &[String]) -> String {
    let mut table = "";
    let mut keys = Vec::new();
    for line in lines {
        if let Some(head) = line.strip_prefix('[') {
            table = head.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" =") {
            keys.push(format!("`{table}.{key}`"));
        }
    }
    keys.join(", ")
}

impl ScaffoldError {
    /// What to do about it, where that is more than the message says.
    #[must_use]
    pub(in crate::cli) fn hint(&self) -> Option<String> {
        match self {
            Self::Name {
                suggestion: Some(name),
                ..
            } => Some(format!("for example `{name}`")),
            Self::Name { suggestion: None, .. } => Some(
                "a name is one or more words of lower-case letters and digits, separated by hyphens: \
                 `order-desk`"
                    .to_owned(),
            ),
            Self::NotEmpty { .. } => Some("name another place with `--dir`".to_owned()),
            // A diagnostic shows its hint itself, below the line that it is about.
            Self::App(crate::manifest::Error::Invalid(_)) => None,
            Self::App(error) => error.hint(),
            Self::Manifest { .. } => {
                Some("write triggers as `[[trigger.http]]` and components as `[component.NAME]`".to_owned())
            }
            Self::NoWorkspace { .. } => {
                Some("`midplane new` makes an app whose services are in one, in `components/`".to_owned())
            }
            Self::Members { .. } => {
                Some("give its `[workspace]` the key `members = []`; what it lists stays".to_owned())
            }
            Self::Inherit { missing, .. } => Some(format!(
                "the crates of a service take these from it; add the lines below to their tables, in the versions \
                 that the other services want\n    {}",
                missing.join("\n    ")
            )),
            Self::Taken { .. } => Some("take another name; nothing is ever overwritten".to_owned()),
            Self::UnknownUsed { known, .. } if known.is_empty() => {
                Some("the app has no services yet: add that one first".to_owned())
            }
            Self::UnknownUsed { known, .. } => {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("the app has {}", known.join(", ")))
            }
            Self::UsesItself { .. } => None,
            Self::Contract { service, .. } => Some(format!(
                "add the service without `--uses {service}`, and write the call yourself; the README that \
                 `midplane new` made says how"
            )),
            Self::Read { .. } | Self::Write { .. } | Self::Changed { .. } | Self::Left { .. } => None,
        }
    }
}
