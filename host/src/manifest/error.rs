//! What can be wrong with a manifest: the situation ([`Fault`]), where it is ([`Location`]), the offending line with
//! a caret, and a hint that says what to write instead.
//!
//! Everything that comes from the file is shortened and freed of control characters before it is shown.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use super::nearest::nearest;
use super::source::{Excerpt, Location, Source};

/// No shown line and no shown name is longer, in characters.
pub(super) const MAX_SHOWN: usize = 120;
/// A list of candidates ends after this many.
const MAX_CANDIDATES: usize = 16;

const NAME_IT: &str = "name the manifest with `-f`, or start in the directory that holds it";

/// Why there is no [`App`](super::App).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the manifest {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A directory was given that has no manifest.
    #[error("there is no {name} in {}", directory.display(), name = super::FILE_NAME)]
    NoManifest {
        /// The directory.
        directory: PathBuf,
    },
    /// The file is larger than [`MAX_BYTES`](super::MAX_BYTES).
    #[error("the manifest {} is larger than {} bytes", path.display(), super::MAX_BYTES)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8.
    #[error("the manifest {} is not UTF-8: byte {offset} starts no character", path.display())]
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

impl Error {
    /// What to do about it, where that is more than the message says. An [`Error::Invalid`] shows its own.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoManifest { .. } => Some(NAME_IT.to_owned()),
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some(NAME_IT.to_owned())
            }
            Self::Read { .. } | Self::NotUtf8 { .. } | Self::TooLarge { .. } => None,
            Self::Invalid(diagnostic) => diagnostic.fault.hint(),
        }
    }
}

/// One fault of a manifest, at its place. `Display` prints message, line, caret and hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {fault}\n{excerpt}{}", Hint(fault.hint()))]
pub struct Diagnostic {
    /// Where it is.
    pub location: Location,
    /// What it is.
    pub fault: Fault,
    excerpt: Excerpt,
}

impl Diagnostic {
    pub(super) fn new(fault: Fault, source: &Source<'_>, span: &Range<usize>) -> Box<Self> {
        Box::new(Self {
            location: source.location(span),
            fault,
            excerpt: source.excerpt(span),
        })
    }
}

struct Hint(Option<String>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

/// What is wrong, apart from where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not TOML at all.
    #[error("not valid TOML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// A version of the manifest format that is not understood.
    #[error("{found}; only `spin_manifest_version = 2` is understood")]
    Version {
        /// What the file says about its version.
        found: String,
    },
    /// A key that the table does not have.
    #[error("unknown key `{}` in {table}", shorten(key))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The table.
        table: String,
        /// The keys that the table has.
        known: Vec<&'static str>,
    },
    /// A key of Midplane's own tables that this version does not have.
    #[error("`{}` in {table} is not known to this version of Midplane", shorten(key))]
    UnknownSetting {
        /// The key as written.
        key: String,
        /// The table.
        table: String,
        /// The keys that the table has.
        known: Vec<&'static str>,
    },
    /// A value of the wrong type.
    #[error("{key}: expected {expected}, found {found}")]
    WrongType {
        /// The path of the key.
        key: String,
        /// What may stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A key that must be there.
    #[error("{table} needs the key `{key}`")]
    Missing {
        /// The key.
        key: &'static str,
        /// The table.
        table: String,
        /// An example of it.
        example: &'static str,
    },
    /// A value of the right type that breaks a rule.
    #[error("{what} is not valid: {reason}")]
    Invalid {
        /// What the value is.
        what: String,
        /// The rule.
        reason: String,
        /// What to write.
        hint: Option<String>,
    },
    /// A name that stands for nothing.
    #[error("there is no {kind} `{}`", shorten(name))]
    Dangling {
        /// What it should name.
        kind: &'static str,
        /// The name.
        name: String,
        /// What there is.
        candidates: Vec<String>,
        /// How to declare one.
        declare: &'static str,
    },
    /// Something of Spin's that this version does not do.
    #[error("{what} is not supported yet by this version of Midplane")]
    Unsupported {
        /// What it is.
        what: String,
        /// What to do instead.
        instead: String,
    },
}

impl Fault {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => None,
            Self::Version { .. } => Some(
                "`spin doctor` upgrades a manifest of version 1; a new one starts with \
                 `spin_manifest_version = 2`"
                    .to_owned(),
            ),
            Self::UnknownKey { key, known, .. } | Self::UnknownSetting { key, known, .. } => {
                Some(match nearest(key, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known keys: {}", list(known)),
                })
            }
            Self::WrongType { .. } => None,
            Self::Missing { example, .. } => Some(format!("for example `{example}`")),
            Self::Invalid { hint, .. } => hint.clone(),
            Self::Dangling {
                name,
                candidates,
                declare,
                ..
            } => Some(match nearest(name, candidates.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{}`?", shorten(near)),
                None if candidates.is_empty() => format!("declare it with {declare}"),
                None => format!("declare it with {declare}, or use one of: {}", list(candidates)),
            }),
            Self::Unsupported { instead, .. } => Some(instead.clone()),
        }
    }
}

/// Something that is allowed and most likely not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it is.
    pub location: Location,
    /// What it is, in one sentence.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

/// `text` without control characters but tabs, so that a file cannot drive the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// `text` for a message: printable, at most [`MAX_SHOWN`] characters.
pub(super) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    printable(&shown)
}

/// A list for a message, `a, b, c`, cut after [`MAX_CANDIDATES`].
pub(super) fn list(names: &[impl AsRef<str>]) -> String {
    let mut shown: Vec<String> = names
        .iter()
        .take(MAX_CANDIDATES)
        .map(|name| format!("`{}`", shorten(name.as_ref())))
        .collect();
    if names.len() > MAX_CANDIDATES {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}
