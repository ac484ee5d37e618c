//! Where changes come from: the system tells of each directory in which files matter.
//!
//! Directories are watched one by one, so that those with build output, which nobody asked for, cost nothing. A directory
//! that is not there yet is awaited in the nearest one that is. Links to directories are not followed. What bounds it: the
//! number of directories ([`MAX_DIRS`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;

use super::WatchError;
use super::inbox::Inbox;
use super::pattern::is_ignored;
use super::scope::Scope;

/// The most directories that are watched.
const MAX_DIRS: usize = 16 * 1024;
/// The most paths that are remembered as gone. Of more, every directory counts as new.
const MAX_GONE: usize = 1024;

/// Tells an [`Inbox`] what changes, until it is dropped.
pub(super) struct Source {
    watcher: RecommendedWatcher,
    watched: BTreeMap<PathBuf, Identity>,
    gone: Arc<Mutex<Gone>>,
}

/// What was removed or renamed: of directories among it, the watcher forgot all that is below.
#[derive(Default)]
struct Gone {
    paths: BTreeSet<PathBuf>,
    more: bool,
}

impl Gone {
    fn add(&mut self, paths: &[PathBuf]) {
        for path in paths {
            if self.paths.len() < MAX_GONE {
                self.paths.insert(path.clone());
            } else {
                self.more = true;
            }
        }
    }

    fn has(&self, dir: &Path) -> bool {
        self.more || dir.ancestors().any(|dir| self.paths.contains(dir))
    }
}

/// Which directory it is, whatever its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Source {
    /// One that watches nothing yet.
    pub(super) fn new(inbox: Arc<Inbox>) -> Result<Self, WatchError> {
        let gone = Arc::<Mutex<Gone>>::default();
        let of_watcher = Arc::clone(&gone);
        let watcher = notify::recommended_watcher(move |event| tell(&inbox, &of_watcher, event))
            .map_err(|error| failed(error, None))?;
        Ok(Self {
            watcher,
            watched: BTreeMap::new(),
            gone,
        })
    }

    /// Watches the directories in which files of `scope` can lie, as they are now, and no others. Gives the files in those
    /// that were not watched before: they may have been written before anybody looked. Reads directories.
    pub(super) fn cover(&mut self, scope: &Scope) -> Result<Vec<PathBuf>, WatchError> {
        let gone = std::mem::take(&mut *self.gone.lock());
        self.watched.retain(|dir, _| !gone.has(dir));
        let wanted = wanted(scope)?;
        for dir in self.watched.keys().filter(|dir| !wanted.contains_key(*dir)) {
            // It fails where the directory is gone, and its watch with it.
            let _gone = self.watcher.unwatch(dir);
        }
        let mut files = Vec::new();
        for (dir, identity) in &wanted {
            // Again even if it is watched: another directory may have this path now.
            match self.watcher.watch(dir, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(failed(error, Some(dir))),
            }
            if self.watched.get(dir) != Some(identity) {
                let entries = fs::read_dir(dir).into_iter().flatten().flatten();
                files.extend(entries.map(|entry| entry.path()));
            }
        }
        self.watched = wanted;
        Ok(files)
    }
}

/// The directories in which files of `scope` can lie, or that stand for them.
fn wanted(scope: &Scope) -> Result<BTreeMap<PathBuf, Identity>, WatchError> {
    let mut wanted = BTreeMap::new();
    for root in scope.roots() {
        match identity(&root.dir) {
            Some(identity) => {
                wanted.insert(root.dir.clone(), identity);
                if root.deep {
                    descend(&root.dir, scope, &mut wanted)?;
                }
            }
            None => {
                let there = root
                    .dir
                    .ancestors()
                    .skip(1)
                    .find_map(|dir| Some((dir, identity(dir)?)));
                if let Some((dir, identity)) = there {
                    wanted.insert(dir.to_owned(), identity);
                }
            }
        }
    }
    Ok(wanted)
}

/// Adds the directories below `dir`, without following links.
fn descend(dir: &Path, scope: &Scope, wanted: &mut BTreeMap<PathBuf, Identity>) -> Result<(), WatchError> {
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        // What cannot be read, or is gone by now, is watched as far as it goes.
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_dir || is_ignored(Path::new(&entry.file_name())) {
                continue;
            }
            let path = entry.path();
            if scope.ignores(&path) {
                continue;
            }
            if let Some(identity) = identity(&path) {
                wanted.insert(path.clone(), identity);
                open.push(path);
            }
            if wanted.len() > MAX_DIRS {
                return Err(WatchError::TooManyDirectories { dir });
            }
        }
    }
    Ok(())
}

fn identity(dir: &Path) -> Option<Identity> {
    let meta = fs::metadata(dir).ok().filter(fs::Metadata::is_dir)?;
    Some(Identity {
        device: meta.dev(),
        inode: meta.ino(),
    })
}

/// Runs on the thread of the watcher.
fn tell(inbox: &Inbox, gone: &Mutex<Gone>, event: notify::Result<notify::Event>) {
    let Ok(event) = event else {
        inbox.lost();
        return;
    };
    if event.need_rescan() {
        inbox.lost();
    }
    let (is_file, may_be_dir) = match event.kind {
        EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) => (true, false),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => (true, false),
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => (false, true),
        EventKind::Remove(RemoveKind::File) => (true, false),
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => (true, true),
        EventKind::Modify(ModifyKind::Any | ModifyKind::Other) | EventKind::Any => (true, false),
        // Reading is no change. Neither is a new date alone: whoever writes is seen closing the file.
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) | EventKind::Other => {
            (false, false)
        }
    };
    if is_file {
        for path in &event.paths {
            inbox.put(path);
        }
    }
    if may_be_dir {
        if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(_)) {
            gone.lock().add(&event.paths);
        }
        inbox.restructured();
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn failed(error: notify::Error, dir: Option<&Path>) -> WatchError {
    // The error names its paths, which the message does too.
    let mut error = error;
    error.paths.clear();
    let exhausted = match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        // What the system says when there are too many watchers of one user.
        ErrorKind::Io(error) => error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()),
        _ => false,
    };
    match (exhausted, dir) {
        (true, _) => WatchError::Limit(error),
        (false, Some(dir)) => WatchError::Directory {
            dir: dir.to_owned(),
            source: error,
        },
        (false, None) => WatchError::Start(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::manifest;

    struct Fixture {
        dir: tempfile::TempDir,
        scope: Arc<Scope>,
        inbox: Arc<Inbox>,
        source: Source,
    }

    impl Fixture {
        /// An app with one service, made of `src/**/*.rs`.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("src/target")).unwrap();
            fs::write(dir.path().join("src/lib.rs"), "").unwrap();
            let text = "spin_manifest_version = 2\napplication = { name = \"app\" }\n\
                [component.a]\nsource = \"out/release/a.wasm\"\n\
                build = { command = \"x\", watch = [\"src/**/*.rs\"] }\n";
            let app = manifest::parse(text, &dir.path().join("spin.toml")).unwrap();
            let scope = Arc::new(Scope::new(&app, &[]).unwrap());
            let inbox = Arc::new(Inbox::new(scope.clone()));
            let mut source = Source::new(inbox.clone()).unwrap();
            let files = source.cover(&scope).unwrap();
            assert!(files.contains(&dir.path().join("src/lib.rs")));
            Self {
                dir,
                scope,
                inbox,
                source,
            }
        }

        fn write(&self, path: &str) {
            fs::write(self.dir.path().join(path), "text").unwrap();
        }

        /// Waits until `path` is told. Whatever else changed is forgotten.
        async fn told(&mut self, path: &str) {
            let path = self.dir.path().join(path);
            let wait = async {
                loop {
                    let batch = self.inbox.settled().await;
                    let found = if batch.restructured {
                        self.source.cover(&self.scope).unwrap()
                    } else {
                        Vec::new()
                    };
                    if batch.paths.contains(&path) || found.contains(&path) {
                        return;
                    }
                }
            };
            let in_time = tokio::time::timeout(Duration::from_secs(60), wait).await;
            assert!(in_time.is_ok(), "{} was not told", path.display());
        }
    }

    #[tokio::test]
    async fn what_is_written_renamed_and_removed_is_told() {
        let mut fixture = Fixture::new();
        fixture.write("src/lib.rs");
        fixture.told("src/lib.rs").await;
        // As many editors save.
        fixture.write("src/.lib.rs.new");
        let src = fixture.dir.path().join("src");
        fs::rename(src.join(".lib.rs.new"), src.join("lib.rs")).unwrap();
        fixture.told("src/lib.rs").await;
        fs::remove_file(src.join("lib.rs")).unwrap();
        fixture.told("src/lib.rs").await;
    }

    #[tokio::test]
    async fn directories_that_come_later_or_again_are_watched() {
        let mut fixture = Fixture::new();
        let root = fixture.dir.path().to_owned();
        fs::create_dir_all(root.join("src/one/two")).unwrap();
        fixture.write("src/one/two/first.rs");
        fixture.told("src/one/two/first.rs").await;
        fixture.write("src/one/two/second.rs");
        fixture.told("src/one/two/second.rs").await;
        fs::rename(root.join("src"), root.join("elsewhere")).unwrap();
        fs::rename(root.join("elsewhere"), root.join("src")).unwrap();
        fixture.inbox.settled().await;
        fixture.source.cover(&fixture.scope).unwrap();
        fixture.write("src/one/two/third.rs");
        fixture.told("src/one/two/third.rs").await;
        // The component's directory was not there at first.
        fs::create_dir_all(root.join("out/release")).unwrap();
        fixture.write("out/release/a.wasm");
        fixture.told("out/release/a.wasm").await;
    }

    #[test]
    fn a_limit_of_the_system_is_told_with_what_to_do() {
        let full = || notify::Error::new(ErrorKind::MaxFilesWatch);
        let instances = std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        for error in [
            failed(full(), Some(Path::new("/app"))),
            failed(full(), None),
            failed(notify::Error::io(instances), None),
        ] {
            let hint = error.hint().unwrap();
            assert!(hint.contains("fs.inotify.max_user_watches"), "{error}: {hint}");
        }
        let other = failed(notify::Error::generic("broken"), Some(Path::new("/app")));
        assert_eq!(other.to_string(), "cannot watch the directory /app");
        assert!(other.hint().is_none());
    }

    #[tokio::test]
    async fn nothing_is_watched_where_only_build_output_is() {
        let fixture = Fixture::new();
        let root = fixture.dir.path();
        let watched: Vec<_> = fixture.source.watched.keys().collect();
        assert_eq!(watched, [root, &root.join("src")]);
    }
}
