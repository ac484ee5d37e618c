//! Instances that wait between requests, over all programs of one engine.
//!
//! Each program's wait here on their own, newest on top, each for as long as the program's `idle` says; but the pool slots that
//! they keep are everybody's who runs on that engine. When one is needed and there is none, the instances that have waited
//! longest go.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::program::Instance;

/// The waiting instances of one program.
pub(super) struct Idle {
    waiting: Mutex<Vec<Waiting>>,
    /// How long one waits before it goes.
    patience: Duration,
}

struct Waiting {
    instance: Instance,
    since: Instant,
}

impl Idle {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            waiting: Mutex::default(),
            patience,
        }
    }

    /// The instance that has waited least, if it has not waited too long already.
    pub(super) fn pop(&self, now: Instant) -> Option<Instance> {
        let newest = self.waiting.lock().pop()?;
        // One that has is dropped here, and the older ones by whoever looks for them next.
        (now.saturating_duration_since(newest.since) < self.patience).then_some(newest.instance)
    }

    /// Lets an instance wait, unless `bound` do already.
    pub(super) fn push(&self, instance: Instance, bound: usize) {
        let since = Instant::now();
        let mut waiting = self.waiting.lock();
        if waiting.len() < bound {
            waiting.push(Waiting { instance, since });
        }
    }

    /// Drops those that have waited too long.
    fn drop_expired(&self, now: Instant) {
        let expired: Vec<Waiting> = {
            let mut waiting = self.waiting.lock();
            // The oldest are in front.
            let keep = waiting
                .partition_point(|waiting| now.saturating_duration_since(waiting.since) >= self.patience);
            waiting.drain(..keep).collect()
        };
        drop(expired);
    }

    /// All of them.
    pub(super) fn take_all(&self) -> impl Send + use<> {
        std::mem::take(&mut *self.waiting.lock())
    }

    /// Since when the one has waited that waits longest.
    fn oldest(&self) -> Option<Instant> {
        self.waiting.lock().first().map(|waiting| waiting.since)
    }

    /// Drops the instance that has waited longest. False if none waits.
    pub(super) fn drop_oldest(&self) -> bool {
        let oldest = {
            let mut waiting = self.waiting.lock();
            match waiting.is_empty() {
                true => None,
                false => Some(waiting.remove(0)),
            }
        };
        oldest.is_some()
    }
}

/// The waiting instances of every program of one engine.
#[derive(Default)]
pub(super) struct AllIdle(Mutex<Vec<Weak<Idle>>>);

impl AllIdle {
    /// A place for the waiting instances of one more program, each of which goes when it has waited for `patience`.
    pub(super) fn register(&self, patience: Duration) -> Arc<Idle> {
        let idle = Arc::new(Idle::new(patience));
        let mut all = self.0.lock();
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&idle));
        idle
    }

    /// Drops those that have waited too long, those of revisions too that nobody asks any more and that are still there.
    pub(super) fn drop_expired(&self, now: Instant) {
        for idle in self.all() {
            idle.drop_expired(now);
        }
    }

    fn all(&self) -> Vec<Arc<Idle>> {
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Drops the instance that has waited longest. False if none waits.
    pub(super) fn drop_oldest(&self) -> bool {
        let all = self.all();
        let oldest = all
            .iter()
            .filter_map(|idle| Some((idle.oldest()?, idle)))
            .min_by_key(|(since, _)| *since);
        oldest.is_some_and(|(_, idle)| idle.drop_oldest())
    }
}
