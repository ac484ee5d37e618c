//! The app's variables: from the places that may give a value to the values that its services see.
//!
//! Invariants: every declared variable has a value once [`resolve`] has returned; what `--variable` gives wins, then
//! the providers in their order, then the environment (`SPIN_VARIABLE_<NAME>`), then the manifest's default; no value
//! is in an error or in `Debug` output, since a value that is not declared secret may all the same be one.
//!
//! Bounds: a file that gives a value or several is at most [`MAX_FILE_BYTES`].
//!
//! Format: <https://spinframework.dev/v3/variables>, <https://spinframework.dev/v3/dynamic-configuration>.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::manifest::{App, Fault, Service, Template, UnresolvedVariable};
use crate::model::{MAX_NAME_BYTES, NameError, Secret, VariableName};

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
                    && a.iter().all(|(name, value)| {
                        b.get(name).is_some_and(|other| other.expose() == value.expose())
                    })
            }
            (
                Self::Env {
                    prefix: a,
                    dotenv_path: c,
                },
                Self::Env {
                    prefix: b,
                    dotenv_path: d,
                },
            ) => a == b && c == d,
            _ => false,
        }
    }
}

/// The values of all variables of one app.
#[derive(Debug, Clone)]
pub struct ResolvedVariables {
    values: BTreeMap<String, Value>,
}

#[derive(Debug, Clone)]
struct Value {
    text: Secret,
    /// Declared `secret = true`.
    secret: bool,
}

/// Gives every variable of `app` its value. `command_line` has what `--variable` gave (see
/// [`parse_variable_argument`]); `environment` reads one environment variable.
///
/// # Errors
/// [`VariablesError`]: a name that the app does not have, required variables without a value, or a file of a provider
/// that cannot be used.
pub fn resolve(
    app: &App,
    command_line: &BTreeMap<String, String>,
    providers: &[VariablesProvider],
    environment: impl Fn(&str) -> Option<String>,
) -> Result<ResolvedVariables, VariablesError> {
    if let Some(name) = command_line
        .keys()
        .find(|name| !app.variables.contains_key(*name))
    {
        return Err(VariablesError::Unknown {
            name: name.clone(),
            candidates: app.variables.keys().cloned().collect(),
        });
    }
    let sources = providers
        .iter()
        .map(Source::open)
        .collect::<Result<Vec<_>, _>>()?;
    let last = Source::Env {
        prefix: DEFAULT_PREFIX,
        dotenv: BTreeMap::new(),
    };
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, declaration) in &app.variables {
        let given = command_line
            .get(name)
            .map(|value| Secret::new(value.as_str()))
            .or_else(|| {
                let mut sources = sources.iter().chain(std::iter::once(&last));
                sources.find_map(|source| source.get(name, &environment))
            })
            .or_else(|| declaration.default.as_deref().map(Secret::new));
        match given {
            Some(text) => {
                let secret = declaration.secret;
                values.insert(name.clone(), Value { text, secret });
            }
            None => missing.push(name.clone()),
        }
    }
    if missing.is_empty() {
        Ok(ResolvedVariables { values })
    } else {
        Err(VariablesError::Missing { names: missing })
    }
}

impl ResolvedVariables {
    /// What `service` sees as its variables, by name.
    ///
    /// # Errors
    /// [`UnresolvedVariable`] if `service` is of another app.
    pub fn service_variables(
        &self,
        service: &Service,
    ) -> Result<BTreeMap<String, Secret>, UnresolvedVariable> {
        let resolved = service.variables.iter().map(|(name, template)| {
            let value = self.resolve_template(template)?;
            Ok((name.clone(), Secret::new(value)))
        });
        resolved.collect()
    }

    /// The text of `template` with the values of its variables. It must not be shown where [`Self::is_secret`].
    ///
    /// # Errors
    /// [`UnresolvedVariable`] if `template` is of another app.
    pub fn resolve_template(&self, template: &Template) -> Result<String, UnresolvedVariable> {
        template.resolve(&|name| self.values.get(name).map(|value| value.text.expose().to_owned()))
    }

    /// Whether a variable in `template` is declared `secret = true`.
    #[must_use]
    pub fn is_secret(&self, template: &Template) -> bool {
        let mut values = template
            .variables()
            .filter_map(|name| self.values.get(name.as_str()));
        values.any(|value| value.secret)
    }
}

/// Parses an argument of `--variable`: `name=value`, or `name=@file` for what is in a file, relative to the working
/// directory. The text of the file is taken whole, a line end at its end included, as Spin does.
///
/// # Errors
/// [`VariablesError`]: not of this form, no name, or the file cannot be read.
pub fn parse_variable_argument(argument: &str) -> Result<(String, String), VariablesError> {
    let (name, value) = argument.split_once('=').ok_or(VariablesError::Argument)?;
    let name = VariableName::parse(name).map_err(|source| VariablesError::Name {
        name: name.chars().take(MAX_NAME_BYTES).collect(),
        source,
    })?;
    let value = match value.strip_prefix('@') {
        Some(path) => read_text(Path::new(path))?,
        None => value.to_owned(),
    };
    Ok((name.as_str().to_owned(), value))
}

/// A provider that is ready to be asked.
enum Source<'p> {
    Static(&'p BTreeMap<VariableName, Secret>),
    Env {
        prefix: &'p str,
        dotenv: BTreeMap<String, String>,
    },
}

impl<'p> Source<'p> {
    fn open(provider: &'p VariablesProvider) -> Result<Self, VariablesError> {
        Ok(match provider {
            VariablesProvider::Static { values } => Self::Static(values),
            VariablesProvider::Env { prefix, dotenv_path } => Self::Env {
                prefix: prefix.as_deref().unwrap_or(DEFAULT_PREFIX),
                dotenv: match dotenv_path {
                    Some(path) => read_dotenv(path)?,
                    None => BTreeMap::new(),
                },
            },
        })
    }

    fn get(&self, name: &str, environment: impl Fn(&str) -> Option<String>) -> Option<Secret> {
        match self {
            Self::Static(values) => values.get(name).cloned(),
            Self::Env { prefix, dotenv } => {
                let key = format!("{prefix}_{}", name.to_ascii_uppercase());
                environment(&key)
                    .or_else(|| dotenv.get(&key).cloned())
                    .map(Secret::new)
            }
        }
    }
}

/// The variables of a dotenv file. Of several lines for one name the last wins.
fn read_dotenv(path: &Path) -> Result<BTreeMap<String, String>, VariablesError> {
    let text = read_text(path)?;
    let failed = |error| {
        // The error holds the text of the line, which may be a secret: of it only the place is shown.
        let line = match &error {
            dotenvy::Error::LineParse(bad, _) => {
                let bad = bad.lines().next().unwrap_or_default().trim();
                text.lines().position(|line| line.trim() == bad)
            }
            _ => None,
        };
        VariablesError::Dotenv {
            path: path.to_owned(),
            line: line.map(|index| index + 1),
        }
    };
    dotenvy::from_read_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(failed)
}

fn read_text(path: &Path) -> Result<String, VariablesError> {
    let limit = u64::try_from(MAX_FILE_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| VariablesError::Read {
            path: path.to_owned(),
            source,
        })?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(VariablesError::TooLarge {
            path: path.to_owned(),
        });
    }
    // The bytes that are no text are not kept in the error.
    String::from_utf8(bytes).map_err(|_| VariablesError::NotUtf8 {
        path: path.to_owned(),
    })
}

/// Why variables have no values.
#[derive(Debug, thiserror::Error)]
pub enum VariablesError {
    /// An argument of `--variable` without `=`.
    #[error("an argument of `--variable` has no `=`")]
    Argument,
    /// What stands before `=` in an argument of `--variable` is no name.
    #[error("{name:?} is no name of a variable")]
    Name {
        /// What stands there.
        name: String,
        /// The rule that it breaks.
        source: NameError,
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
        names: Vec<String>,
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
    #[error("{}{}: not of the form NAME=value", path.display(), suffix(*line))]
    Dotenv {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where it can be told.
        line: Option<usize>,
    },
}

impl VariablesError {
    /// What to type.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Argument | Self::Name { .. } => Some(
                "write `--variable name=value`, or `--variable name=@file` for what is in a file".to_owned(),
            ),
            Self::Unknown { name, candidates } => Fault::Dangling {
                kind: "variable",
                name: name.clone(),
                candidates: candidates.clone(),
                declare: "`[variables]` in the manifest",
            }
            .hint(),
            Self::Missing { names } => {
                let name = names.first()?;
                Some(format!(
                    "give it with `--variable {name}=…`, with the environment variable `{DEFAULT_PREFIX}_{}=…`, or in \
                     a `[[variables_provider]]` of the runtime configuration (`--runtime-config-file`)",
                    name.to_ascii_uppercase()
                ))
            }
            Self::Dotenv { .. } => Some("quote values with blanks: `NAME=\"some value\"`".to_owned()),
            Self::Read { .. } | Self::TooLarge { .. } | Self::NotUtf8 { .. } => None,
        }
    }
}

fn suffix(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(":{line}"))
}

fn list(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    let noun = if names.len() == 1 {
        "the variable"
    } else {
        "the variables"
    };
    format!("{noun} {}", names.join(", "))
}
