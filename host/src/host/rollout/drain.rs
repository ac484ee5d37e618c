//! The end of what was replaced: its requests leave, or are interrupted when their time is over.
//!
//! A revision is gone when nobody has it any more: no generation that a request pinned, no lease, no call. Until then it
//! stands in [`Drains`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{About, Rollouts, Step};
use crate::admin::api;
use crate::model::ServiceName;
use crate::service::Revision;
use crate::service::journal::Drained;
use crate::telemetry;

/// How long what was interrupted may take to let go.
const LETTING_GO: Duration = Duration::from_secs(10);

/// What was replaced and is not gone yet.
#[derive(Default)]
pub(in crate::host) struct Drains {
    list: Mutex<Vec<Arc<Draining>>>,
}

struct Draining {
    service: ServiceName,
    revision: Weak<Revision>,
    name: String,
    since: SystemTime,
    until: SystemTime,
    /// Its time is over, whatever was said before.
    hurry: Notify,
    interrupted: AtomicU64,
}

impl Drains {
    /// What is left of a service.
    pub(in crate::host) fn of(&self, service: &ServiceName) -> Vec<api::Draining> {
        let list = self.list.lock();
        let own = list.iter().filter(|draining| draining.service == *service);
        own.filter_map(|draining| {
            let revision = draining.revision.upgrade()?;
            Some(api::Draining {
                revision: draining.name.clone(),
                in_flight: revision.busy(),
                since: telemetry::timestamp(draining.since),
                until: telemetry::timestamp(draining.until),
            })
        })
        .collect()
    }

    /// Interrupts what is left of a service. How much that was.
    pub(in crate::host) fn hurry(&self, service: &ServiceName) -> u64 {
        let list = self.list.lock();
        let own = list.iter().filter(|draining| draining.service == *service);
        own.map(|draining| {
            let left = draining.revision.upgrade().map_or(0, |revision| revision.busy());
            // Not interrupted here: who waits for its end could find it gone before it has counted.
            draining.hurry.notify_one();
            left
        })
        .sum()
    }
}

impl Rollouts {
    /// Lets the requests of what entry `entry` replaced leave, in the background.
    /// `publish` is what its publication took.
    pub(super) fn drain(
        &self,
        replaced: Vec<Arc<Revision>>,
        time: Duration,
        rollout: u64,
        entry: u64,
        publish: Duration,
    ) {
        let begun = Instant::now();
        let since = SystemTime::now();
        let mut ends = Vec::new();
        for revision in replaced {
            let draining = Arc::new(Draining {
                service: revision.service().clone(),
                name: revision.id().to_string(),
                revision: Arc::downgrade(&revision),
                since,
                until: since + time,
                hurry: Notify::new(),
                interrupted: AtomicU64::new(0),
            });
            let gone = Box::pin(revision.gone());
            let about = About::revision(&draining.service, &draining.name, rollout, entry);
            self.inner.events.tell("draining", about);
            // From here on only those who use it keep it.
            drop(revision);
            self.inner.drains.list.lock().push(draining.clone());
            ends.push((draining, gone));
        }
        let this = self.clone();
        self.inner.tasks.background("drain", async move {
            let ends = ends.into_iter().map(async |(draining, gone)| {
                draining.end(gone, time).await;
                this.retired(&draining, rollout, entry);
                draining.interrupted.load(Ordering::Relaxed)
            });
            let interrupted = join_all(ends).await.into_iter().sum();
            Step::Drained.reached();
            let drained = Drained {
                publish,
                took: begun.elapsed(),
                interrupted,
            };
            let journal = this.inner.journal.clone();
            let noted = this
                .inner
                .tasks
                .blocking("journal", move || journal.drained(entry, drained));
            if let Ok(Err(error)) = noted.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "how replaced revisions ended is not in the journal"
                );
            }
            this.inner.sweep.notify_one();
        });
    }

    fn retired(&self, draining: &Arc<Draining>, rollout: u64, entry: u64) {
        self.inner
            .drains
            .list
            .lock()
            .retain(|other| !Arc::ptr_eq(other, draining));
        let interrupted = draining.interrupted.load(Ordering::Relaxed);
        if interrupted > 0 {
            tracing::warn!(
                service = draining.service.as_str(),
                revision = draining.name,
                interrupted,
                "requests and calls of a replaced revision were interrupted, since their time to finish was over"
            );
        }
        self.inner.events.tell(
            "retired",
            About {
                interrupted: Some(interrupted),
                ..About::revision(&draining.service, &draining.name, rollout, entry)
            },
        );
    }
}

impl Draining {
    /// Waits until nobody has the revision; after `time`, or when it is to hurry, ends what is left.
    async fn end(&self, mut gone: impl Future<Output = ()> + Unpin, time: Duration) {
        // Cancel-safe: nothing is lost by any of the three.
        tokio::select! {
            biased;
            () = &mut gone => return,
            () = tokio::time::sleep(time) => {}
            () = self.hurry.notified() => {}
        }
        let Some(revision) = self.revision.upgrade() else {
            return;
        };
        let program = revision.program().clone();
        program.interrupt();
        drop(revision);
        // A request that an older generation holds, at another service, may hold the revision for longer; it finds it closed.
        let _let_go = tokio::time::timeout(LETTING_GO, gone).await;
        self.interrupted
            .store(program.interrupted_count(), Ordering::Relaxed);
    }
}
