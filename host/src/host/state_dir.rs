//! The directory of everything that outlives the process: data, compiled code, the key of revision identities.
//!
//! One host at a time: an exclusive lock on the file `lock` is held as long as the [`StateDir`] lives, and goes with the
//! process however it ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Error, Options};
use crate::manifest::App;
use crate::telemetry;

/// Its name beside the manifest.
pub const NAME: &str = ".midplane";

/// Where it says where the admin API is.
pub const ANNOUNCEMENT: &str = "admin.json";
/// Where the token of the admin API is.
pub const TOKEN: &str = "admin.token";

/// The file that says where the admin API is. Dropped, the file goes.
#[derive(Debug)]
pub(super) struct Announcement(PathBuf);

impl Drop for Announcement {
    fn drop(&mut self) {
        // One that stays leads to an address where nobody listens, which is told apart.
        let _gone = fs::remove_file(&self.0);
    }
}

/// An open, locked state directory.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    cache: PathBuf,
    key: [u8; 32],
    _lock: File,
}

impl StateDir {
    /// Opens (and makes, mode 0700) the state directory and locks it.
    pub(super) fn open(app: &App, options: &Options) -> Result<Self, Error> {
        let asked = options
            .state_dir
            .clone()
            .or_else(|| options.runtime_config.state_dir.clone());
        let path = asked.unwrap_or_else(|| app.dir.join(NAME));
        let failed = |source| Error::StateDir {
            path: path.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(failed)?;
        let path = fs::canonicalize(&path).map_err(failed)?;
        let failed = |source| Error::StateDir {
            path: path.clone(),
            source,
        };
        check_owner(&path)?;
        let lock = lock(&path)?;
        // The lock is ours: what a host left that was killed is nobody's.
        leftovers(&path).map_err(failed)?;
        let key = key(&path.join("identity.key")).map_err(failed)?;
        let cache = options.cache_dir.clone().unwrap_or_else(|| path.join("cache"));
        Ok(Self {
            path,
            cache,
            key,
            _lock: lock,
        })
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where compiled code is.
    pub(super) fn cache(&self) -> &Path {
        &self.cache
    }

    /// What was published, and by which changes.
    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("journal.db")
    }

    /// Components and manifests, by their content.
    pub(super) fn content(&self) -> PathBuf {
        self.path.join("content")
    }

    /// The token of the admin API.
    pub(super) fn token(&self) -> PathBuf {
        self.path.join(TOKEN)
    }

    /// Says where the admin API is, for as long as the [`Announcement`] lives: whoever stands in the app finds the host by it.
    pub(super) fn announce(&self, app: &App, admin: SocketAddr) -> io::Result<Announcement> {
        let file = self.path.join(ANNOUNCEMENT);
        let text = serde_json::json!({
            "app": app.name.as_str(),
            "admin": format!("http://{admin}"),
            "pid": std::process::id(),
            "started": telemetry::timestamp(SystemTime::now()),
        });
        let mut partial = tempfile::Builder::new()
            .prefix(ANNOUNCEMENT)
            .tempfile_in(&self.path)?;
        writeln!(partial, "{text:#}")?;
        partial.persist(&file).map_err(|error| error.error)?;
        Ok(Announcement(file))
    }

    /// Where the files of services are staged.
    pub(super) fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// The key that secrets enter a revision's identity with.
    pub(super) fn key(&self) -> [u8; 32] {
        self.key
    }
}

/// Who can write here can change what services read and what code is loaded.
fn check_owner(path: &Path) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::StateDir {
        path: path.to_owned(),
        source,
    })?;
    let ours = rustix::process::geteuid().as_raw();
    if metadata.uid() != ours || metadata.mode() & 0o022 != 0 {
        return Err(Error::SharedStateDir {
            path: path.to_owned(),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        });
    }
    Ok(())
}

fn lock(dir: &Path) -> Result<File, Error> {
    let failed = |source| Error::StateDir {
        path: dir.to_owned(),
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join("lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let known = Read::by_ref(&mut file).take(32).read_to_string(&mut pid).is_ok();
            let pid = known.then(|| pid.trim().to_owned()).filter(|pid| !pid.is_empty());
            return Err(Error::Locked {
                path: dir.to_owned(),
                pid,
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed)?;
    Ok(file)
}

/// Removes announcements that were half-written, or whose host is gone.
fn leftovers(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(ANNOUNCEMENT.as_bytes())
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Reads the key, or makes it at the first start.
fn key(path: &Path) -> io::Result<[u8; 32]> {
    match fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} is damaged; delete it", path.display()),
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            File::open("/dev/urandom")?.read_exact(&mut key)?;
            let temporary = path.with_extension("tmp");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(&key)?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}
