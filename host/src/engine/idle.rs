//! Instances that wait between requests, over all programs of the engines.
//!
//! Each program's wait here on their own, newest on top; but the pool slots that they keep are everybody's. When one is needed
//! and there is none, the instances that have waited longest go.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::program::Instance;

/// The waiting instances of one program.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<Waiting>>);

struct Waiting {
    instance: Instance,
    since: Instant,
}

impl Idle {
    /// The instance that has waited least.
    pub(super) fn pop(&self) -> Option<Instance> {
        self.0.lock().pop().map(|waiting| waiting.instance)
    }

    /// Lets an instance wait, unless `bound` do already.
    pub(super) fn push(&self, instance: Instance, bound: usize) {
        let since = Instant::now();
        let mut waiting = self.0.lock();
        if waiting.len() < bound {
            waiting.push(Waiting { instance, since });
        }
    }

    /// Drops those that have waited for `patience`.
    pub(super) fn drop_expired(&self, now: Instant, patience: Duration) {
        let expired: Vec<Waiting> = {
            let mut waiting = self.0.lock();
            // The oldest are in front.
            let keep = waiting.partition_point(|waiting| now.duration_since(waiting.since) >= patience);
            waiting.drain(..keep).collect()
        };
        drop(expired);
    }

    /// All of them.
    pub(super) fn take_all(&self) -> impl Send + use<> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Since when the one has waited that waits longest.
    fn oldest(&self) -> Option<Instant> {
        self.0.lock().first().map(|waiting| waiting.since)
    }

    fn drop_oldest(&self) -> bool {
        let oldest = {
            let mut waiting = self.0.lock();
            match waiting.is_empty() {
                true => None,
                false => Some(waiting.remove(0)),
            }
        };
        oldest.is_some()
    }
}

/// The waiting instances of every program.
#[derive(Default)]
pub(super) struct AllIdle(Mutex<Vec<Weak<Idle>>>);

impl AllIdle {
    /// A place for the waiting instances of one more program.
    pub(super) fn register(&self) -> Arc<Idle> {
        let idle = Arc::new(Idle::default());
        let mut all = self.0.lock();
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&idle));
        idle
    }

    /// Drops the instance that has waited longest. False if none waits.
    pub(super) fn drop_oldest(&self) -> bool {
        let all: Vec<Arc<Idle>> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        let oldest = all
            .iter()
            .filter_map(|idle| Some((idle.oldest()?, idle)))
            .min_by_key(|(since, _)| *since);
        oldest.is_some_and(|(_, idle)| idle.drop_oldest())
    }
}
