//! Where compiled code lies while an app is looked at: in the cache of the next start, or in a directory that goes with the
//! command.
//!
//! No lock is taken and nothing but the cache is touched, so a host may run on the same state directory meanwhile: artifacts
//! are written whole and never changed. What cannot be written, or is not ours alone, is left alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Access;
use tempfile::TempDir;

use super::Options;
use crate::engine::{self, Engines};
use crate::host::prepare::engine_settings;
use crate::host::{Error, state_dir};
use crate::manifest::App;

/// The engines, and the directory that their code lies in.
pub(super) struct Shelf {
    /// The engines.
    pub engines: Arc<Engines>,
    /// Where downloads are kept.
    pub downloads: PathBuf,
    /// Goes when the shelf does.
    _temporary: Option<TempDir>,
}

impl Shelf {
    /// Sets up the engines, on the cache of the next start if that can be.
    pub(super) fn open(app: &App, options: &Options) -> Result<Self, Error> {
        let settings = engine_settings(&options.runtime_config);
        let state = options
            .state_dir
            .clone()
            .or_else(|| options.runtime_config.state_dir.clone())
            .unwrap_or_else(|| app.dir.join(state_dir::NAME));
        let kept = match &options.cache_dir {
            Some(cache) => usable(cache).map(|()| cache.clone()),
            None => usable(&state).map(|()| state.join("cache")),
        };
        let reason = match kept {
            Ok(cache) => match Engines::new(settings, &cache) {
                Ok(engines) if is_writable(&cache).is_ok() => {
                    return Ok(Self {
                        engines,
                        downloads: if usable(&state).is_ok() {
                            state.join("downloads")
                        } else {
                            cache.join("downloads")
                        },
                        _temporary: None,
                    });
                }
                Ok(_) => "it cannot be written".to_owned(),
                Err(engine::Error::Cache(error)) => error.to_string(),
                Err(error) => return Err(error.into()),
            },
            Err(error) => error.to_string(),
        };
        tracing::info!(reason, "what is compiled is not kept for the next start");
        let temporary = tempfile::Builder::new()
            .prefix("midplane-check-")
            .tempdir()
            .map_err(|source| Error::StateDir {
                path: std::env::temp_dir(),
                source,
            })?;
        Ok(Self {
            engines: Engines::new(settings, temporary.path())?,
            downloads: temporary.path().join("downloads"),
            _temporary: Some(temporary),
        })
    }
}

/// Makes the directory, as a start would, and looks whether it is ours alone.
fn usable(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::metadata(path)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!("{} is not ours alone", path.display())));
    }
    is_writable(path)
}

fn is_writable(path: &Path) -> io::Result<()> {
    rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)
}
