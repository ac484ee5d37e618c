//! Whose turn it is: changes of one service follow each other, changes of the whole app stand alone.
//!
//! What bounds the wait: [`MAX_WAITING`] changes, each for at most [`MAX_WAIT`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, Semaphore};

use super::RolloutError;
use crate::model::ServiceName;

/// Changes that wait for their turn.
const MAX_WAITING: usize = 64;
/// How long each of them waits.
const MAX_WAIT: Duration = Duration::from_secs(120);

#[derive(Default)]
pub(super) struct Queue {
    /// Written by who changes the whole app.
    app: Arc<RwLock<()>>,
    /// Only of services that the app has had.
    services: Mutex<BTreeMap<ServiceName, Arc<tokio::sync::Mutex<()>>>>,
    waiting: Waiting,
}

struct Waiting(Semaphore);

impl Default for Waiting {
    fn default() -> Self {
        Self(Semaphore::new(MAX_WAITING))
    }
}

/// As long as it is held, nobody else changes what it is for.
pub(super) struct Turn {
    _services: Vec<OwnedMutexGuard<()>>,
    _app: Guard,
}

enum Guard {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Queue {
    /// The turn of a change of these services.
    pub(super) async fn services(&self, services: &BTreeSet<ServiceName>) -> Result<Turn, RolloutError> {
        self.bounded(async {
            let app = self.app.clone().read_owned().await;
            // In their order, so that no two changes wait for each other.
            let locks: Vec<_> = {
                let mut known = self.services.lock();
                let lock = |name: &ServiceName| known.entry(name.clone()).or_default().clone();
                services.iter().map(lock).collect()
            };
            let mut held = Vec::new();
            for lock in locks {
                held.push(lock.lock_owned().await);
            }
            Turn {
                _services: held,
                _app: Guard::Shared { _guard: app },
            }
        })
        .await
    }

    /// The turn of a change of the whole app.
    pub(super) async fn app(&self) -> Result<Turn, RolloutError> {
        self.bounded(async {
            Turn {
                _services: Vec::new(),
                _app: Guard::Alone {
                    _guard: self.app.clone().write_owned().await,
                },
            }
        })
        .await
    }

    async fn bounded(&self, turn: impl Future<Output = Turn>) -> Result<Turn, RolloutError> {
        let crowded = || RolloutError::Busy {
            detail: "other changes are under way".into(),
            hint: "see `midplane history`, and try again".into(),
        };
        let _waits = self.waiting.0.try_acquire().map_err(|_| crowded())?;
        tokio::time::timeout(MAX_WAIT, turn).await.map_err(|_| crowded())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn names(names: &[&str]) -> BTreeSet<ServiceName> {
        names
            .iter()
            .map(|name| ServiceName::parse(name).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn changes_of_one_service_follow_each_other_and_others_go_beside() {
        let queue = Queue::default();
        let first = queue.services(&names(&["a", "b"])).await.unwrap();
        assert!(queue.services(&names(&["c"])).now_or_never().is_some());
        let next = names(&["b"]);
        let mut second = Box::pin(queue.services(&next));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn a_change_of_the_app_stands_alone() {
        let queue = Queue::default();
        let (a, b) = (names(&["a"]), names(&["b"]));
        let one = queue.services(&a).await.unwrap();
        let mut app = Box::pin(queue.app());
        assert!((&mut app).now_or_never().is_none());
        let mut later = Box::pin(queue.services(&b));
        assert!((&mut later).now_or_never().is_none(), "it came after the app's");
        drop(one);
        drop(app.await.unwrap());
        assert!(later.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_and_not_everybody_waits() {
        let queue = Queue::default();
        let a = names(&["a"]);
        let held = queue.services(&a).await.unwrap();
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(queue.services(&a))).collect();
        for turn in &mut waiting {
            assert!(turn.now_or_never().is_none());
        }
        let crowded = queue.services(&a).now_or_never().unwrap();
        assert!(matches!(crowded, Err(RolloutError::Busy { .. })));
        for turn in waiting {
            assert!(matches!(turn.await, Err(RolloutError::Busy { .. })));
        }
        drop(held);
        assert!(queue.services(&a).await.is_ok());
    }
}
