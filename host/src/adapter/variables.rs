//! The app's variables: from the places that may give a value to the values that its services see.
//!
//! Invariants: every declared variable has a value once [`resolve`] has returned; what `--variable` gives wins, then
//! the providers in their order, then the environment (`SPIN_VARIABLE_<NAME>`), then the manifest's default; no value
//! is in an error or in `Debug` output, since a value that is not declared secret may all the same be one.
//!
//! Bounds: a file that gives a value or several is at most [`MAX_FILE_BYTES`].
//!
//! Format: <https://spinframework.dev/v3/variables>, <https://spinframework.dev/v3/dynamic-configuration>.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::manifest::{App, Fault, Service, Template, UnresolvedVariable};
use crate::model::{Secret, VariableName};

#[cfg(test)]
mod tests;

/// The largest file that is read for values, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// What the names of environment variables begin with, where a provider does not say otherwise.
pub const DEFAULT_PREFIX: &str = "SPIN_VARIABLE";

/// One place that may have values (`[[variables_provider]]`).
#[derive(Debug, Clone)]
pub enum VariablesProvider {
    /// `type = "static"`: the values themselves.
    Static {
        /// Values by the name of their variable.
        values: BTreeMap<VariableName, Secret>,
    },
    /// `type = "env"`: environment variables named `<prefix>_<NAME>`, and a file of them for those that are not set.
    Env {
        /// [`DEFAULT_PREFIX`] where there is none.
        prefix: Option<String>,
        /// The file, absolute: lines of `NAME=value`.
        dotenv_path: Option<PathBuf>,
    },
}

/// Equal values are equal; what the values are stays hidden.
impl PartialEq for VariablesProvider {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Static { values: a }, Self::Static { values: b }) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(name, value)| b.get(name).is_some_and(|other| other.expose() == value.expose()))
            }
            (
                Self::Env { prefix: a, dotenv_path: c },
                Self::Env { prefix: b, dotenv_path: d },
            ) => a == b && c == d,
            _ => false,
        }
    }
}

/// Why variables have no values.
#[derive(Debug, thiserror::Error)]
pub enum VariablesError {
    /// An argument of `--variable` without `=`.
    #[error("{argument:?} gives no variable a value")]
    Argument {
        /// The argument, shortened to what cannot be a value.
        argument: String,
    },
    /// What stands before `=` in an argument of `--variable` is no name.
    #[error("{name:?} is no name of a variable")]
    Name {
        /// What stands there.
        name: String,
        /// The rule that it breaks.
        source: crate::model::NameError,
    },
    /// `--variable` names a variable that the manifest does not declare.
    #[error("the app has no variable `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// The variables that the app has.
        candidates: Vec<String>,
    },
    /// Required variables that nothing gives a value.
    #[error("no value for {}", list(names))]
    Missing {
        /// The variables, at least one.
        names: Vec<VariableName>,
    },
    /// A file of values cannot be read.
    #[error("cannot read {}, which gives values to variables", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of values is larger than [`MAX_FILE_BYTES`].
    #[error("{} is larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file of values is no text.
    #[error("{} is not UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A line of a file of environment variables is not `NAME=value`.
    #[error("{}:{line}: not of the form NAME=value", path.display())]
    Dotenv {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

fn list(names: &[VariableName]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    let noun = if names.len() == 1 { "the variable" } else { "the variables" };
    format!("{noun} {}", names.join(", "))
}
