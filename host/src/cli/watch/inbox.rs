//! Where changes wait until it has been quiet for a moment: saving, checking out and generating change many files at once.
//!
//! Paths are kept once each and bounded in number ([`MAX_PATHS`]); beyond that it is only known that something was lost,
//! and everything counts as changed. Nothing here blocks, so whoever reports changes is never held up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::scope::Scope;

/// How long nothing must change before what changed is looked at.
pub(super) const QUIET: Duration = Duration::from_millis(100);
/// It is looked at this long after the first change even if there is no end of them.
pub(super) const AT_MOST: Duration = Duration::from_secs(2);
/// The most paths that wait.
const MAX_PATHS: usize = 4096;

/// What changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// Files that were written, made, renamed or removed.
    pub(super) paths: BTreeSet<PathBuf>,
    /// Directories may have come, gone or been replaced.
    pub(super) restructured: bool,
    /// There were more changes than are known.
    pub(super) lost: bool,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.restructured && !self.lost
    }
}

/// Changes that wait.
pub(super) struct Inbox {
    scope: RwLock<Arc<Scope>>,
    waiting: Mutex<Batch>,
    changed: Notify,
}

impl Inbox {
    /// Takes what `scope` has a use for.
    pub(super) fn new(scope: Arc<Scope>) -> Self {
        Self {
            scope: RwLock::new(scope),
            waiting: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// From now on takes what `scope` has a use for.
    pub(super) fn set_scope(&self, scope: Arc<Scope>) {
        *self.scope.write() = scope;
    }

    /// A file changed.
    pub(super) fn put(&self, path: &Path) {
        if !self.scope.read().concerns(path) {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.paths.len() < MAX_PATHS {
            waiting.paths.insert(path.to_owned());
        } else if !waiting.paths.contains(path) {
            waiting.lost = true;
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Directories may have changed.
    pub(super) fn restructured(&self) {
        self.waiting.lock().restructured = true;
        self.changed.notify_one();
    }

    /// Some changes will never be told.
    pub(super) fn lost(&self) {
        self.waiting.lock().lost = true;
        self.changed.notify_one();
    }

    /// Whether a change of `path` waits.
    #[cfg(test)]
    pub(super) fn has(&self, path: &Path) -> bool {
        self.waiting.lock().paths.contains(path)
    }

    /// Waits for a change and then until it is quiet, and takes all of them. Dropping it takes nothing. For one caller at a
    /// time.
    pub(super) async fn settled(&self) -> Batch {
        while self.waiting.lock().is_empty() {
            self.changed.notified().await;
        }
        let end = Instant::now() + AT_MOST;
        loop {
            let quiet = (Instant::now() + QUIET).min(end);
            // Cancel-safe: a notice that loses is kept for the next wait, where it does no harm.
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(quiet) => return std::mem::take(&mut *self.waiting.lock()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::tests::scope_of;
    use super::*;

    /// One that takes every file named `*.rs` of one service.
    fn inbox() -> Arc<Inbox> {
        let scope = scope_of(
            "[component.a]\nsource = \"a.wasm\"\nbuild = { command = \"x\", watch = [\"**/*.rs\"] }\n",
        );
        Arc::new(Inbox::new(Arc::new(scope)))
    }

    fn paths(batch: &Batch) -> Vec<&str> {
        batch.paths.iter().filter_map(|path| path.to_str()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_taken_once_it_is_quiet() {
        let inbox = inbox();
        let begun = Instant::now();
        let settled = tokio::spawn({
            let inbox = inbox.clone();
            async move { (inbox.settled().await, Instant::now()) }
        });
        for _ in 0..3 {
            inbox.put(Path::new("/app/one.rs"));
            tokio::time::sleep(QUIET / 2).await;
        }
        inbox.put(Path::new("/app/two.rs"));
        inbox.put(Path::new("/app/ignored.txt"));
        let (batch, at) = settled.await.unwrap();
        assert_eq!(paths(&batch), ["/app/one.rs", "/app/two.rs"]);
        assert!(!batch.lost && !batch.restructured);
        let took = at - begun;
        assert!(took >= QUIET * 5 / 2 && took < QUIET * 4, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn changes_without_an_end_are_taken_all_the_same() {
        let inbox = inbox();
        let begun = Instant::now();
        let settled = inbox.settled();
        let writes = async {
            loop {
                inbox.put(Path::new("/app/one.rs"));
                tokio::time::sleep(QUIET / 4).await;
            }
        };
        tokio::select! {
            batch = settled => assert_eq!(paths(&batch), ["/app/one.rs"]),
            () = writes => {}
        }
        let took = begun.elapsed();
        assert!(took >= AT_MOST && took < AT_MOST * 2, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_while_nobody_looked_is_one_batch_and_nothing_comes_twice() {
        let inbox = inbox();
        inbox.put(Path::new("/app/one.rs"));
        tokio::time::sleep(AT_MOST * 5).await;
        inbox.put(Path::new("/app/two.rs"));
        assert_eq!(paths(&inbox.settled().await), ["/app/one.rs", "/app/two.rs"]);
        let more = tokio::time::timeout(AT_MOST * 2, inbox.settled()).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_changes_are_known_to_be_too_many() {
        let inbox = inbox();
        for index in 0..=MAX_PATHS {
            inbox.put(Path::new(&format!("/app/{index}.rs")));
        }
        let batch = inbox.settled().await;
        assert_eq!((batch.paths.len(), batch.lost), (MAX_PATHS, true));
        inbox.lost();
        inbox.restructured();
        let batch = inbox.settled().await;
        assert!(batch.lost && batch.restructured && batch.paths.is_empty());
    }
}
