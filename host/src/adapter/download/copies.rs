//! The directory of copies: read with their digest checked, written whole.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::DownloadError;
use crate::adapter::content;
use crate::model::Digest;

/// A temporary file of this age belongs to nobody.
const LEFTOVER: Duration = Duration::from_secs(3600);

/// Creates the directory (mode 0700), or makes sure that it is ours alone.
pub(super) fn open(dir: &Path) -> Result<(), DownloadError> {
    let unusable = |source| DownloadError::Directory {
        path: dir.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(unusable)?;
    let meta = fs::metadata(dir).map_err(unusable)?;
    if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        return Err(DownloadError::Shared {
            path: dir.to_owned(),
            owner: meta.uid(),
            mode: meta.mode() & 0o7777,
        });
    }
    remove_leftovers(dir);
    Ok(())
}

/// The bytes of a copy, if it is there and is what it should be.
pub(super) fn read(path: &Path, digest: Digest, max_bytes: u64) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    let mut bytes = Vec::new();
    let read = file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes);
    if read.is_ok() && meta.is_file() && bytes.len() as u64 <= max_bytes && Digest::of(&bytes) == digest {
        return Some(bytes);
    }
    tracing::warn!(file = %path.display(), "a downloaded component is damaged and is fetched anew");
    None
}

/// A reader sees the old file or the new one, never a part.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Hosts in containers may share the directory and have equal process ids.
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let own = (
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed),
        now.as_nanos(),
    );
    let temporary = path.with_extension(format!("{}-{}-{}.tmp", own.0, own.1, own.2));
    content::write_whole(path, &temporary, bytes)
}

/// Removes temporary files that a killed host left; another host may be writing one of the last hour.
fn remove_leftovers(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let age = entry
            .metadata()
            .and_then(|meta| meta.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        if path.extension().is_some_and(|kind| kind == "tmp") && age.is_some_and(|age| age > LEFTOVER) {
            // If it cannot be removed it is only in the way of space; it is never read.
            let _ = fs::remove_file(&path);
        }
    }
}
