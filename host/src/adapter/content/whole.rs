//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Makes `path` have these bytes (mode 0600), by way of the file `temporary` beside it, which nobody else may use. A reader sees
/// the old file or the new one, never a part, and so does the next start after a loss of power once this has returned.
///
/// # Errors
/// What the system said; then `path` is as it was, or new in full if only the directory could not be synced.
pub(in crate::adapter) fn write_whole(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)
    })();
    if let Err(error) = written {
        // The error that counts is the first one; a left-over temporary file is never read.
        let _ = fs::remove_file(temporary);
        return Err(error);
    }
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes the names in a directory survive a loss of power.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
