//! Bytes by their digest: what the journal names and a revision is made again from.
//!
//! Layout: `<dir>/<digest>`, written whole (temporary file, sync, rename, sync of the directory) and never changed. The digest is
//! checked whenever bytes are read, so that a damaged disk puts no other component in place. One host uses a directory at a time
//! (the state directory is locked), so a temporary file that is there at the start is nobody's.
//! *Bounds*: [`MAX_BYTES`] for each item. What nobody needs goes with a [`Sweep`]; what somebody has a [`Pin`] of stays.

mod pin;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use pin::Pin;
use pin::{Pins, Spared};
use whole::sync_directory;
pub(super) use whole::write_whole;

use parking_lot::Mutex;

use crate::model::Digest;

/// The most bytes that an item may have: as many as a component.
pub const MAX_BYTES: u64 = 100 * 1024 * 1024;

/// What the name of a file begins with that is not whole yet.
const PARTIAL: &str = ".partial-";

/// A directory of bytes by digest. All calls block.
#[derive(Debug)]
pub struct Content {
    dir: PathBuf,
    pins: Arc<Pins>,
    /// What this host has synced already.
    synced: Mutex<BTreeSet<Digest>>,
}

/// Bytes cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The directory could not be created or read.
    #[error("cannot use the directory {}", path.display())]
    Directory {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An item could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An item could not be read; one that is not there among them.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An item is not what its name says.
    #[error("{} is damaged: its bytes do not have the digest that is its name", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// More than [`MAX_BYTES`].
    #[error("{} has {bytes} bytes, and {MAX_BYTES} are allowed", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many there are.
        bytes: u64,
    },
}

impl ContentError {
    /// Whether the item is just not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

impl Content {
    /// Opens (and creates, mode 0700) the directory, and removes what a killed host was writing.
    ///
    /// # Errors
    /// [`ContentError::Directory`].
    pub fn open(dir: &Path) -> Result<Self, ContentError> {
        let unusable = |source| ContentError::Directory {
            path: dir.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(unusable)?;
        remove_leftovers(dir).map_err(unusable)?;
        Ok(Self {
            dir: dir.to_owned(),
            pins: Arc::default(),
            synced: Mutex::default(),
        })
    }

    /// Keeps `bytes`, and pins them. When this returns they would survive a loss of power.
    ///
    /// # Errors
    /// [`ContentError::Write`] or [`ContentError::TooLarge`]; then nothing is pinned.
    pub fn put(&self, bytes: &[u8]) -> Result<Pin, ContentError> {
        self.put_known(Digest::of(bytes), bytes)
    }

    /// As [`Self::put`], for bytes whose digest is known.
    ///
    /// # Errors
    /// Those of [`Self::put`].
    pub fn put_known(&self, digest: Digest, bytes: &[u8]) -> Result<Pin, ContentError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = self.path(&digest);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > MAX_BYTES {
            return Err(ContentError::TooLarge { path, bytes: length });
        }
        // Before the look: what is there now stays.
        let pin = self.pin(digest);
        let is_there = fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() == length);
        let kept = if is_there && self.synced.lock().contains(&digest) {
            Ok(())
        } else if is_there {
            // Whoever wrote it may not have come as far as this.
            sync_directory(&self.dir)
        } else {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let temporary = self.dir.join(format!("{PARTIAL}{digest}-{number}"));
            write_whole(&path, &temporary, bytes)
        };
        match kept {
            Ok(()) => {
                self.synced.lock().insert(digest);
                Ok(pin)
            }
            Err(source) => Err(ContentError::Write { path, source }),
        }
    }

    /// The bytes with that digest.
    ///
    /// # Errors
    /// [`ContentError::Read`], [`ContentError::TooLarge`] or [`ContentError::Damaged`].
    pub fn get(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        let path = self.path(digest);
        match read(&path) {
            Err(source) => Err(ContentError::Read { path, source }),
            Ok(Err(bytes)) => Err(ContentError::TooLarge { path, bytes }),
            Ok(Ok(bytes)) if Digest::of(&bytes) == *digest => Ok(bytes),
            Ok(Ok(_)) => Err(ContentError::Damaged { path }),
        }
    }

    /// Whether there is an item with that digest, damaged or not.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|meta| meta.is_file())
    }

    /// Keeps an item from being swept, whether it is there yet or not.
    #[must_use]
    pub fn pin(&self, digest: Digest) -> Pin {
        Pins::pin(&self.pins, digest)
    }

    /// Begins a sweep: from here on, whatever is pinned at any time is spared.
    ///
    /// Ask the journal what to keep after this call: a rollout that commits in between, and lets go of its pins, loses nothing.
    #[must_use]
    pub fn begin_sweep(&self) -> Sweep<'_> {
        Sweep {
            content: self,
            spared: Pins::spare(&self.pins),
        }
    }

    /// Removes all items but those of `keep` and those that are pinned, and says how many. Only for when no commit can have
    /// come after `keep` was gathered; otherwise [`Self::begin_sweep`].
    ///
    /// # Errors
    /// As [`Sweep::finish`].
    pub fn sweep(&self, keep: &BTreeSet<Digest>) -> io::Result<usize> {
        self.begin_sweep().finish(keep)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }
}

/// A sweep that has begun.
#[derive(Debug)]
pub struct Sweep<'a> {
    content: &'a Content,
    spared: Spared,
}

impl Sweep<'_> {
    /// Removes all items but those of `keep` and those that are spared, and says how many. What is no item stays.
    ///
    /// # Errors
    /// The first that the system told; the rest was removed all the same.
    pub fn finish(self, keep: &BTreeSet<Digest>) -> io::Result<usize> {
        let (mut removed, mut failed) = (0, None);
        for entry in fs::read_dir(&self.content.dir)? {
            let name = entry?.file_name();
            let Some(digest) = name.to_str().and_then(item) else {
                continue;
            };
            if keep.contains(&digest) {
                continue;
            }
            match self
                .spared
                .unless_pinned(&digest, || fs::remove_file(self.content.path(&digest)))
            {
                None => {}
                Some(Ok(())) => {
                    self.content.synced.lock().remove(&digest);
                    removed += 1;
                }
                // Another sweep was faster.
                Some(Err(error)) if error.kind() == ErrorKind::NotFound => {}
                Some(Err(error)) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(removed), Err)
    }
}

/// The digest that is the name of an item.
fn item(name: &str) -> Option<Digest> {
    Digest::from_hex(name).filter(|digest| digest.to_string() == name)
}

/// The bytes of a file, or how many there are if those are too many.
fn read(path: &Path) -> io::Result<Result<Vec<u8>, u64>> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    if meta.len() > MAX_BYTES {
        return Ok(Err(meta.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default());
    // It may have grown since.
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Ok(if length > MAX_BYTES {
        Err(length)
    } else {
        Ok(bytes)
    })
}

fn remove_leftovers(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
