//! The manifest, `spin.toml`: from text to an [`App`] that leaves no question open.
//!
//! `load` reads the file, `parse` is pure. In between: TOML → `raw` (one struct per table, with places; unknown keys
//! and what is not supported yet are refused) → `resolve` (every check that needs more than one key) → [`App`].
//! Nothing is ignored except tables of other tools (`[application.tool.*]`, `[component.*.tool.*]`).
//!
//! Bounds: the file is at most [`MAX_BYTES`], nesting is bounded by the TOML parser, names by `model`.
//!
//! Format: Spin's manifest version 2, <https://spinframework.dev/v3/manifest-reference>.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

mod app;
mod error;
mod nearest;
mod raw;
mod read;
mod resolve;
mod source;
mod template;
#[cfg(test)]
mod tests;

pub use app::{
    AllowedHost, App, Build, Dependency, DependencySource, FileMount, HttpTrigger, LinkDeclaration,
    MAX_LINK_TIMEOUT, Service, StaticResponse, TriggerRoute, TriggerTarget, VariableDeclaration,
};
pub use error::{Diagnostic, Error, Fault, Warning};
pub use raw::{INSTANCE_KEYS, LIMIT_KEYS};
pub use source::Location;
pub use template::{Template, TemplateError, UnresolvedVariable};

use self::source::Source;

/// The name of a manifest in a directory.
pub const FILE_NAME: &str = "spin.toml";

/// The largest manifest that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Reads the manifest at `path`, which is the file itself or a directory that holds a [`FILE_NAME`].
///
/// # Errors
/// [`Error`] says why there is no app: the file cannot be read, is too large, or says something that has no meaning.
pub fn load(path: &Path) -> Result<App, Error> {
    let kind = std::fs::metadata(path)
        .map(|meta| meta.file_type())
        .map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
    let is_directory = kind.is_dir();
    // `./spin.toml` is shown as `spin.toml`.
    let shown: PathBuf = match path.components().next() {
        _ if !is_directory => path.to_owned(),
        Some(std::path::Component::CurDir) if path.components().count() == 1 => FILE_NAME.into(),
        _ => path.join(FILE_NAME),
    };
    let failed = |source: std::io::Error| {
        if is_directory && source.kind() == ErrorKind::NotFound {
            return Error::NoManifest {
                directory: path.to_owned(),
            };
        }
        Error::Read {
            path: shown.clone(),
            source,
        }
    };
    let file = std::path::absolute(&shown).map_err(failed)?;
    // Opening a pipe waits for who writes into it, perhaps for ever.
    if std::fs::metadata(&file).is_ok_and(|meta| !meta.is_file()) {
        let text = "it is not a file";
        return Err(failed(std::io::Error::new(ErrorKind::InvalidInput, text)));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(&file)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge { path: shown });
    }
    let text = String::from_utf8(bytes).map_err(|error| Error::NotUtf8 {
        path: shown.clone(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    parse_as(&text, &file, &shown)
}

/// Parses `text` as the manifest `file`, which need not exist: relative paths of the manifest start from its
/// directory, and places are shown with its name.
///
/// # Errors
/// [`Error::Invalid`] shows the first fault and its place.
pub fn parse(text: &str, file: &Path) -> Result<App, Error> {
    parse_as(text, file, file)
}

fn parse_as(text: &str, file: &Path, shown: &Path) -> Result<App, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::TooLarge {
            path: shown.to_owned(),
        });
    }
    let source = Source::new(text, shown);
    let document = DeTable::parse(text).map_err(|error| {
        let fault = Fault::Syntax {
            message: error.message().to_owned(),
        };
        Diagnostic::new(fault, &source, &error.span().unwrap_or(0..0))
    })?;
    let app = raw::manifest(&document).and_then(|raw| resolve::app(raw, &source, text, file));
    Ok(app.map_err(|fault| Diagnostic::new(fault.get_ref().clone(), &source, &fault.span()))?)
}
