//! The ahead-of-time cache: compiled components in the state directory, addressed by what they were compiled from.
//!
//! Layout: `<cache>/<engine>/<digest>.cwasm` beside `<digest>.sum`, where `<engine>` names the Wasmtime version and a hash of
//! every setting that the code depends on. An artifact is written whole (temporary file, sync, rename) and never changed
//! afterwards, its sum last; one whose sum is missing or wrong is compiled anew. Loading native code is as good as running
//! it, so the directory is ours alone (mode 0700) and nothing else is ever loaded.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::model::Digest;
use crate::telemetry::RequestId;

/// The version of `wasmtime` that this host is built with.
const WASMTIME: &str = "48";

/// A temporary file of this age belongs to nobody.
const LEFTOVER: Duration = Duration::from_secs(3600);

/// One directory of the cache, for one engine.
pub(super) struct Cache {
    dir: PathBuf,
    /// One artifact is written at a time, so that a file and its sum belong together.
    storing: Mutex<()>,
    /// The artifacts that were found whole.
    verified: Mutex<BTreeSet<Digest>>,
}

/// Who uses the directory of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheUse {
    /// This host alone: it has locked the directory's owner, the state directory.
    Alone,
    /// Perhaps other hosts too, which may be writing temporary files.
    Shared,
}

/// The cache's directory is not usable.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It could not be created or read.
    #[error("cannot use the cache directory {}", path.display())]
    Directory {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could put code there.
    #[error(
        "the cache directory {} is not ours alone (owner {owner}, mode {mode:o}): compiled code is only loaded from a directory of mode 700",
        path.display()
    )]
    Shared {
        /// Where it is.
        path: PathBuf,
        /// The user id that owns it.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// A compiled component could not be written.
    #[error("cannot write the compiled component {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl CacheError {
    /// What its reader can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Directory { .. } => "name a directory that this user can write with `--cache-dir`".into(),
            Self::Shared { path, .. } => {
                format!(
                    "make it yours alone (`chmod 700 {}`), or name another with `--cache-dir`",
                    path.display()
                )
            }
            Self::Write { .. } => {
                "free some space on its disk, or name a directory elsewhere with `--cache-dir`".into()
            }
        }
    }
}

impl Cache {
    /// Opens (and creates, mode 0700) the part of the cache under `root` that belongs to `engine`.
    pub(super) fn open(root: &Path, name: &str, engine: &Engine) -> Result<Self, CacheError> {
        let mut hasher = Fnv::default();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let dir = root.join(format!("wasmtime-{WASMTIME}-{name}-{:016x}", hasher.finish()));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|source| CacheError::Directory {
                path: dir.clone(),
                source,
            })?;
        let meta = fs::metadata(&dir).map_err(|source| CacheError::Directory {
            path: dir.clone(),
            source,
        })?;
        let ours = rustix::process::geteuid().as_raw();
        if meta.uid() != ours || meta.mode() & 0o022 != 0 {
            return Err(CacheError::Shared {
                path: dir,
                owner: meta.uid(),
                mode: meta.mode() & 0o7777,
            });
        }
        remove_leftovers(&dir);
        Ok(Self {
            dir,
            storing: Mutex::new(()),
            verified: Mutex::default(),
        })
    }

    /// The component compiled from the bytes with this digest, if a whole artifact is there.
    pub(super) fn load(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let artifact = self.artifact(digest);
        // An artifact is never changed: once in the life of a host is often enough.
        if !self.verified.lock().contains(digest) {
            let sum = fs::read_to_string(artifact.with_extension("sum")).ok()?;
            let bytes = fs::read(&artifact).ok()?;
            if sum.trim() != Digest::of(&bytes).to_string() {
                tracing::warn!(file = %artifact.display(), "a cached artifact is damaged and is compiled anew");
                return None;
            }
        }
        #[expect(
            unsafe_code,
            reason = "the file is one that `store` wrote whole, in a directory that only we can write, for this very engine"
        )]
        // SAFETY: see the reason above; Wasmtime checks the engine's settings itself.
        let loaded = unsafe { Component::deserialize_file(engine, &artifact) };
        match loaded {
            Ok(component) => {
                self.verified.lock().insert(*digest);
                Some(component)
            }
            Err(error) => {
                self.verified.lock().remove(digest);
                tracing::warn!(file = %artifact.display(), error = %error, "a cached artifact does not load and is compiled anew");
                None
            }
        }
    }

    /// Stores an artifact whole, or leaves the cache as it was.
    pub(super) fn store(&self, digest: &Digest, artifact: &[u8]) -> Result<(), CacheError> {
        let _storing = self.storing.lock();
        let path = self.artifact(digest);
        let failed = |source| CacheError::Write {
            path: path.clone(),
            source,
        };
        write_whole(&path, artifact).map_err(failed)?;
        write_whole(
            &path.with_extension("sum"),
            Digest::of(artifact).to_string().as_bytes(),
        )
        .map_err(failed)?;
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(failed)
    }

    /// Removes what was compiled from other bytes than those of `keep`, sums and leftovers too. Returns how many artifacts went.
    /// Files that are named otherwise than ours are left alone.
    pub(super) fn sweep(&self, keep: &BTreeSet<Digest>, cache: CacheUse) -> io::Result<usize> {
        self.verified.lock().retain(|digest| keep.contains(digest));
        let keep: BTreeSet<String> = keep.iter().map(Digest::to_string).collect();
        // Nobody of this process writes meanwhile.
        let _storing = self.storing.lock();
        let mut swept = 0;
        let mut first_error = None;
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let Some(file) = CacheFile::of(&path) else {
                continue;
            };
            let goes = match &file {
                CacheFile::Artifact(digest) | CacheFile::Sum(digest) => !keep.contains(*digest),
                CacheFile::Temporary => cache == CacheUse::Alone || is_leftover(&path),
            };
            if !goes {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => swept += usize::from(matches!(file, CacheFile::Artifact(_))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(swept), Err)
    }

    fn artifact(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{digest}.cwasm"))
    }
}

/// A reader sees the old file or the new one, never a part. Each writer has a temporary file of its own, also when two
/// services are made of the same bytes, or two hosts with equal process ids share the cache.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let own = (
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed),
        RequestId::next(),
    );
    let kind = path.extension().unwrap_or_default().to_string_lossy();
    let temporary = path.with_extension(format!("{kind}.{}-{}-{}.tmp", own.0, own.1, own.2));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The error that counts is the first one; a left-over temporary file is never loaded.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A file of the cache, by its name.
enum CacheFile<'a> {
    /// Compiled from the bytes of that digest.
    Artifact(&'a str),
    /// The sum of that artifact.
    Sum(&'a str),
    /// Being written, or left behind.
    Temporary,
}

impl<'a> CacheFile<'a> {
    /// `None` for one that is none of ours.
    fn of(path: &'a Path) -> Option<Self> {
        let (digest, kind) = path.file_name()?.to_str()?.split_once('.')?;
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        match kind {
            _ if !is_digest => None,
            "cwasm" => Some(Self::Artifact(digest)),
            "sum" => Some(Self::Sum(digest)),
            kind if kind.ends_with(".tmp") => Some(Self::Temporary),
            _ => None,
        }
    }
}

/// Whether a temporary file is of an age at which it belongs to nobody.
fn is_leftover(path: &Path) -> bool {
    let written = fs::metadata(path).and_then(|meta| meta.modified());
    let age = written.ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age > LEFTOVER)
}

/// Removes temporary files that a killed host left; another host may be writing one of the last hour.
fn remove_leftovers(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|kind| kind == "tmp") && is_leftover(&path) {
            // If it cannot be removed it is only in the way of space; it is never loaded.
            let _left = fs::remove_file(&path);
        }
    }
}

/// FNV-1a: a stable hash (the standard library's may change with the compiler) of what tells engines apart.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u64::from(*byte);
            self.0 = self.0.wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_of_one_file_do_not_meet() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("artifact.cwasm");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        write_whole(&path, &[7; 4096]).expect("nobody is in the way");
                    }
                });
            }
        });
        assert_eq!(fs::read(&path).expect("written"), [7; 4096]);
        assert_eq!(
            fs::read_dir(dir.path()).expect("readable").count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn a_sweep_leaves_what_is_kept_and_what_is_not_ours() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let engine = Engine::default();
        let cache = Cache::open(dir.path(), "test", &engine).expect("a cache");
        let [kept, other] = [&b"kept"[..], b"other"].map(Digest::of);
        for digest in [&kept, &other] {
            cache.store(digest, b"artifact").expect("stored");
        }
        let stray = Digest::of(b"stray");
        let left = [
            format!("{stray}.sum"),
            format!("{kept}.cwasm.1-2-3.tmp"),
            "README".into(),
            "notes.cwasm".into(),
        ];
        for name in &left {
            fs::write(cache.dir.join(name), "").expect("written");
        }
        // Open, as code is that runs.
        let used = File::open(cache.artifact(&other)).expect("open");
        let names = || -> BTreeSet<String> {
            let entries = fs::read_dir(&cache.dir).expect("readable");
            let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
            entries
                .map(|entry| name(entry).to_string_lossy().into_owned())
                .collect()
        };
        let keep = BTreeSet::from([kept]);
        assert_eq!(cache.sweep(&keep, CacheUse::Shared).expect("swept"), 1);
        let mut expected = BTreeSet::from([
            format!("{kept}.cwasm"),
            format!("{kept}.sum"),
            format!("{kept}.cwasm.1-2-3.tmp"),
            "README".to_owned(),
            "notes.cwasm".to_owned(),
        ]);
        assert_eq!(names(), expected);
        assert_eq!(io::read_to_string(&used).expect("still there"), "artifact");
        assert_eq!(cache.sweep(&keep, CacheUse::Alone).expect("swept"), 0);
        expected.remove(&format!("{kept}.cwasm.1-2-3.tmp"));
        assert_eq!(names(), expected);
        assert_eq!(cache.sweep(&BTreeSet::new(), CacheUse::Alone).expect("swept"), 1);
    }
}
