//! A tree of files by its content: its digest, and its directory on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::{FilesError, MAX_BYTES};
use crate::model::Digest;

/// What the name of a directory begins with that is not whole yet.
const PARTIAL: &str = ".partial-";

/// Files that have been read once.
pub(super) struct Tree {
    files: BTreeMap<String, Content>,
    digest: Digest,
}

struct Content {
    source: PathBuf,
    digest: Digest,
    bytes: u64,
}

impl Tree {
    /// Reads all files, which are given by their place.
    pub(super) fn read(sources: BTreeMap<String, Vec<PathBuf>>, service: &str) -> Result<Self, FilesError> {
        let mut files: BTreeMap<String, Content> = BTreeMap::new();
        let mut left = MAX_BYTES;
        for (place, sources) in sources {
            for source in sources {
                let too_large = || FilesError::TooLarge {
                    service: service.to_owned(),
                };
                // Not read in vain.
                let length = fs::metadata(&source).map_or(0, |meta| meta.len());
                if length > left {
                    return Err(too_large());
                }
                let (digest, bytes) = transfer(&source, left, None)?;
                left = left.checked_sub(bytes).ok_or_else(too_large)?;
                match files.get(&place) {
                    Some(first) if first.digest == digest => {}
                    Some(first) => return Err(conflict(&place, &first.source, &source)),
                    None => {
                        let content = Content {
                            source,
                            digest,
                            bytes,
                        };
                        files.insert(place.clone(), content);
                    }
                }
            }
        }
        // A file where another needs a directory.
        for (place, content) in &files {
            for (at, _) in place.match_indices('/') {
                let above = place.get(..at).unwrap_or_default();
                if let Some(file) = files.get(above) {
                    return Err(conflict(above, &file.source, &content.source));
                }
            }
        }
        let mut hash = Sha256::new_with_prefix(b"midplane-files-1");
        for (place, content) in &files {
            hash.update(u64::try_from(place.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(place.as_bytes());
            hash.update(content.digest.as_bytes());
        }
        Ok(Self {
            files,
            digest: Digest::from_bytes(hash.finalize().into()),
        })
    }

    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The directory with these files below `root`, made if it is not there yet.
    pub(super) fn write(&self, root: &Path) -> Result<PathBuf, FilesError> {
        let directory = root.join(self.digest.to_string());
        if is_directory(&directory) {
            return Ok(directory);
        }
        let builder = || {
            let mut builder = DirBuilder::new();
            builder.mode(0o700);
            builder
        };
        builder()
            .recursive(true)
            .create(root)
            .map_err(|error| unwritable(root, error))?;
        let partial = Partial::new(root, &self.digest, &builder())?;
        let mut directories = BTreeSet::from([partial.0.clone()]);
        for (place, content) in &self.files {
            let path = partial.0.join(place);
            if let Some(above) = path.parent() {
                builder()
                    .recursive(true)
                    .create(above)
                    .map_err(|error| unwritable(above, error))?;
                let new = above
                    .ancestors()
                    .take_while(|above| above.starts_with(&partial.0));
                directories.extend(new.map(Path::to_owned));
            }
            content.copy(&path)?;
        }
        for directory in &directories {
            sync(directory)?;
        }
        match fs::rename(&partial.0, &directory) {
            Ok(()) => sync(root)?,
            // Another service with the same files was faster.
            Err(_) if is_directory(&directory) => {}
            Err(error) => return Err(unwritable(&directory, error)),
        }
        Ok(directory)
    }
}

impl Content {
    fn copy(&self, path: &Path) -> Result<(), FilesError> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o400).open(path);
        let mut file = file.map_err(|error| unwritable(path, error))?;
        let (digest, _) = transfer(&self.source, self.bytes, Some((&mut file, path)))?;
        if digest != self.digest {
            return Err(FilesError::Changed {
                path: self.source.clone(),
            });
        }
        file.sync_all().map_err(|error| unwritable(path, error))
    }
}

/// A directory that is removed unless it is renamed.
struct Partial(PathBuf);

impl Partial {
    fn new(root: &Path, digest: &Digest, builder: &DirBuilder) -> Result<Self, FilesError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PARTIAL}{}-{}-{number}", digest.short(), std::process::id());
            let path = root.join(name);
            match builder.create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left behind by a host that was killed.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(unwritable(&path, error)),
            }
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing to remove; otherwise there is an error already, and `sweep` comes by.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reads `source` once, into `target` if there is one: its digest and length. Stops one byte after `limit`.
fn transfer(
    source: &Path,
    limit: u64,
    mut target: Option<(&mut File, &Path)>,
) -> Result<(Digest, u64), FilesError> {
    let unreadable = |error| FilesError::Read {
        path: source.to_owned(),
        source: error,
    };
    let mut file = File::open(source)
        .map_err(unreadable)?
        .take(limit.saturating_add(1));
    let mut hash = Sha256::new();
    let mut length = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        let chunk = buffer.get(..read).unwrap_or_default();
        hash.update(chunk);
        length += u64::try_from(read).unwrap_or(u64::MAX);
        if let Some((file, path)) = &mut target {
            file.write_all(chunk).map_err(|error| unwritable(path, error))?;
        }
    }
    Ok((Digest::from_bytes(hash.finalize().into()), length))
}

/// See [`super::sweep`].
pub(super) fn sweep(root: &Path, keep: &BTreeSet<Digest>) -> io::Result<usize> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let keep: BTreeSet<String> = keep.iter().map(Digest::to_string).collect();
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // What this module did not make is not its to remove.
        let Some(name) = name.to_str() else { continue };
        let whole = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if entry.file_type()?.is_dir() && (name.starts_with(PARTIAL) || whole && !keep.contains(name)) {
            fs::remove_dir_all(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

fn sync(directory: &Path) -> Result<(), FilesError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| unwritable(directory, error))
}

fn conflict(place: &str, first: &Path, second: &Path) -> FilesError {
    FilesError::Conflict {
        place: place.to_owned(),
        first: first.to_owned(),
        second: second.to_owned(),
    }
}

fn unwritable(path: &Path, source: io::Error) -> FilesError {
    FilesError::Write {
        path: path.to_owned(),
        source,
    }
}
