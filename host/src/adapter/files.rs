//! The files of a service: what its manifest entry names, copied to a directory of its own that guests see as `/`.
//!
//! A copy, so that a guest sees the same files for as long as its revision lives, and none beside them. Hides the walk,
//! the globs and the layout of the directory. Invariants: a directory is named by the digest of its paths and contents
//! and is there whole or not at all; no link leads out of the app's directory, or out of the one that `source` names.
//!
//! Bounds: [`MAX_FILES`] files, [`MAX_BYTES`] together, [`MAX_DEPTH`] directories deep, [`MAX_ENTRIES`] looked at.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::Service;
use crate::model::Digest;

mod collect;
mod pattern;
#[cfg(test)]
mod tests;
mod tree;

/// Files of one service.
pub const MAX_FILES: usize = 100_000;
/// Bytes of all files of one service.
pub const MAX_BYTES: u64 = 1 << 30;
/// Directories within each other.
pub const MAX_DEPTH: usize = 64;
/// Directory entries that are looked at for one service.
pub const MAX_ENTRIES: usize = 1_000_000;

/// The files of one service, ready to be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The directory, for reading only.
    pub directory: PathBuf,
    /// SHA-256 over the paths and contents of all files; nothing else has an influence on it.
    pub digest: Digest,
    /// What is allowed and most likely not meant: entries of `files` that no file matches.
    pub warnings: Vec<String>,
}

/// Copies what `files` of `service` names, without what `exclude_files` names, to `<root>/<digest>`. What is there
/// already is used again. `app_dir` is the directory of the manifest. Blocks while it reads and writes.
///
/// `None` where the service has no `files`.
///
/// Globs are as in Spin: `*` and `?` do not match `/`, in `exclude_files` they do; both match a leading dot. An entry
/// that exists is taken by its name, a directory with all that is in it.
///
/// # Errors
/// [`FilesError`]. Nothing is left behind then.
pub fn stage(app_dir: &Path, service: &Service, root: &Path) -> Result<Option<Staged>, FilesError> {
    if service.files.is_empty() {
        return Ok(None);
    }
    let collected = collect::collect(app_dir, service)?;
    let tree = tree::Tree::read(collected.files, service.name.as_str())?;
    let directory = tree.write(root)?;
    Ok(Some(Staged {
        directory,
        digest: tree.digest(),
        warnings: collected.warnings,
    }))
}

/// What was staged below `root` before, by its digest; `None` if it is not there any more. Blocks.
pub fn staged(root: &Path, digest: &Digest) -> Option<Staged> {
    let directory = root.join(digest.to_string());
    directory.is_dir().then(|| Staged {
        directory,
        digest: *digest,
        warnings: Vec::new(),
    })
}

/// Reads all that [`stage`] would copy and copies nothing. Gives back what is allowed and most likely not meant. Blocks while
/// it reads.
///
/// # Errors
/// [`FilesError`], as [`stage`] but for those of writing.
pub fn survey(app_dir: &Path, service: &Service) -> Result<Vec<String>, FilesError> {
    if service.files.is_empty() {
        return Ok(Vec::new());
    }
    let collected = collect::collect(app_dir, service)?;
    tree::Tree::read(collected.files, service.name.as_str())?;
    Ok(collected.warnings)
}

/// Removes from `root` every staged directory but those of `keep`, and what a host that was killed left half-written.
/// Gives back how many. Nobody may stage below `root` at the same time.
///
/// # Errors
/// Those of the file system. No `root` is none.
pub fn sweep(root: &Path, keep: &BTreeSet<Digest>) -> io::Result<usize> {
    tree::sweep(root, keep)
}

/// Why files cannot be staged.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Something cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The copy cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An entry that is no glob and names nothing.
    #[error("`files` names {}, which does not exist", path.display())]
    NotFound {
        /// What it names.
        path: PathBuf,
    },
    /// Not a glob.
    #[error("{glob:?} is no glob")]
    Glob {
        /// The text.
        glob: String,
        /// Why.
        source: globset::Error,
    },
    /// A link to a place that the guest must not see.
    #[error("{} is a link out of {}", link.display(), boundary.display())]
    Escape {
        /// The link.
        link: PathBuf,
        /// The directory that it must stay in.
        boundary: PathBuf,
    },
    /// A link to a directory that it is in itself.
    #[error("{} is a link to a directory that holds it", link.display())]
    Cycle {
        /// The link.
        link: PathBuf,
    },
    /// A socket, a pipe, a device.
    #[error("{} is neither a file nor a directory", path.display())]
    Special {
        /// What it is called.
        path: PathBuf,
    },
    /// A name that the guest could not read.
    #[error("the name of {} is not UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// `destination` names no place for a file.
    #[error("{} needs a name in its destination, {destination:?} has none", file.display())]
    Destination {
        /// The file.
        file: PathBuf,
        /// The destination.
        destination: String,
    },
    /// Two different files for one place.
    #[error("{} and {} would both be /{place}", first.display(), second.display())]
    Conflict {
        /// The place, for the guest.
        place: String,
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// More than [`MAX_FILES`].
    #[error("`files` of {service} names more than {MAX_FILES} files")]
    TooMany {
        /// The service.
        service: String,
    },
    /// More than [`MAX_BYTES`].
    #[error("`files` of {service} names more than {MAX_BYTES} bytes")]
    TooLarge {
        /// The service.
        service: String,
    },
    /// More than [`MAX_ENTRIES`].
    #[error("`files` of {service} has to look at more than {MAX_ENTRIES} directory entries")]
    TooFar {
        /// The service.
        service: String,
    },
    /// More than [`MAX_DEPTH`].
    #[error("{} is more than {MAX_DEPTH} directories deep", path.display())]
    TooDeep {
        /// The directory.
        path: PathBuf,
    },
    /// A file that was written to while it was copied.
    #[error("{} changed while it was copied", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl FilesError {
    /// What to type.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotFound { .. } => {
                "entries of `files` are globs or paths, relative to the manifest; does a build step make it?"
            }
            Self::Escape { .. } => {
                "name it with `{ source = \"…\", destination = \"…\" }`, or leave the link out with `exclude_files`"
            }
            Self::Cycle { .. } | Self::Special { .. } => "leave it out with `exclude_files`",
            Self::Conflict { .. } => {
                "give one of them another destination, or leave it out with `exclude_files`"
            }
            Self::TooMany { .. } | Self::TooLarge { .. } => {
                "leave some out with `exclude_files`, or serve them from another place"
            }
            Self::TooFar { .. } => {
                "begin the globs with the directory that holds the files: `assets/**`, not `**`"
            }
            Self::Destination { .. } => "`destination = \"/name\"` is the file's own place",
            Self::Changed { .. } => "start again when nothing writes to it any more",
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Glob { .. }
            | Self::NotUtf8 { .. }
            | Self::TooDeep { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
