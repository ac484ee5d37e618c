//! How much of the machine each service has had of late, and which of them have had more than their share.
//!
//! The epoch clock looks every [`WINDOW`]. Only where the machine is short of CPU time and several services want it does
//! anybody exceed a share: who then has had clearly more than an equal part starts its requests in the
//! [fair pool](super::fair), behind those of everybody else. A service that is alone, or a machine with time left, never
//! sees any of this.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::ClockId;

use super::fair::{Fair, Member};
use crate::model::ServiceName;
use crate::telemetry::metrics::RevisionMetrics;

/// How often it is looked who has had how much.
pub(super) const WINDOW: Duration = Duration::from_millis(50);

/// The share of one service, of all its revisions together.
pub(super) struct Share {
    member: Option<Arc<Member>>,
    exceeded: AtomicBool,
    revisions: Mutex<Vec<Seen>>,
}

struct Seen {
    metrics: Weak<RevisionMetrics>,
    /// The CPU time that it had at the last look.
    cpu: Duration,
}

impl Share {
    /// The service's line in the fair pool, if there is such a pool.
    pub(super) fn member(&self) -> Option<&Arc<Member>> {
        self.member.as_ref()
    }

    /// Whether the service has had more than its share.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// The CPU time that it has had since the last look.
    fn used(&self) -> Duration {
        let mut used = Duration::ZERO;
        self.revisions.lock().retain_mut(|seen| {
            let Some(metrics) = seen.metrics.upgrade() else {
                return false;
            };
            let cpu = metrics.cpu();
            used += cpu.saturating_sub(seen.cpu);
            seen.cpu = cpu;
            true
        });
        used
    }
}

/// The shares of all services.
pub(super) struct Shares {
    fair: Option<Fair>,
    services: Mutex<HashMap<ServiceName, Weak<Share>>>,
    looked: Mutex<Looked>,
}

struct Looked {
    at: Instant,
    cpu: Duration,
}

impl Looked {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            cpu: process_time(),
        }
    }
}

impl Shares {
    /// Shares of nobody yet. Without a pool, requests stay where they are.
    pub(super) fn new(fair: Option<Fair>) -> Self {
        Self {
            fair,
            services: Mutex::default(),
            looked: Mutex::new(Looked::now()),
        }
    }

    /// The share of a service, with one more revision that it is used by.
    pub(super) fn of(&self, service: &ServiceName, metrics: &Arc<RevisionMetrics>) -> Arc<Share> {
        let mut services = self.services.lock();
        services.retain(|_, share| share.strong_count() > 0);
        let known = services.get(service).and_then(Weak::upgrade);
        let share = known.unwrap_or_else(|| {
            let share = Arc::new(Share {
                member: self.fair.as_ref().map(|fair| Arc::new(fair.join())),
                exceeded: AtomicBool::new(false),
                revisions: Mutex::default(),
            });
            services.insert(service.clone(), Arc::downgrade(&share));
            share
        });
        share.revisions.lock().push(Seen {
            metrics: Arc::downgrade(metrics),
            cpu: metrics.cpu(),
        });
        share
    }

    /// Looks who has had how much since the last look.
    pub(super) fn look(&self) {
        let (elapsed, busy) = {
            let mut looked = self.looked.lock();
            let now = Looked::now();
            let elapsed = now.at.duration_since(looked.at);
            let busy = now.cpu.saturating_sub(looked.cpu);
            *looked = now;
            (elapsed, busy)
        };
        let shares: Vec<Arc<Share>> = self.services.lock().values().filter_map(Weak::upgrade).collect();
        let used: Vec<Duration> = shares.iter().map(|share| share.used()).collect();
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let most = most(&used, busy, elapsed, cores);
        for (share, used) in shares.iter().zip(used) {
            let exceeded = most.is_some_and(|most| used > most);
            if share.is_exceeded() != exceeded {
                share.exceeded.store(exceeded, Ordering::Relaxed);
            }
        }
    }
}

/// The most that a service may have had in `elapsed`, if there is such a bound: the process used `busy`, and each service so
/// much of it.
fn most(used: &[Duration], busy: Duration, elapsed: Duration, cores: usize) -> Option<Duration> {
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    let is_short = busy > elapsed.saturating_mul(cores) * 3 / 4;
    // Who has had a hundredth of a core takes part.
    let active = used.iter().filter(|used| **used > elapsed / 100).count();
    if !is_short || active < 2 {
        return None;
    }
    let active = u32::try_from(active).unwrap_or(u32::MAX);
    let equal = used.iter().sum::<Duration>() / active;
    Some(equal * 5 / 4)
}

/// The CPU time of the whole process.
fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn nobody_exceeds_a_share_who_is_alone_or_leaves_time() {
        let (busy, idle) = (100 * MS, 60 * MS);
        assert_eq!(most(&[90 * MS], busy, 50 * MS, 2), None, "alone");
        assert_eq!(
            most(&[90 * MS, MS / 10], busy, 50 * MS, 2),
            None,
            "as good as alone"
        );
        assert_eq!(most(&[50 * MS, 10 * MS], idle, 50 * MS, 2), None, "time is left");
        assert_eq!(most(&[], busy, 50 * MS, 2), None);
    }

    #[test]
    fn who_has_had_clearly_more_than_an_equal_part_exceeds_it() {
        let most = most(&[80 * MS, 10 * MS], 100 * MS, 50 * MS, 2);
        assert_eq!(most, Some(45 * MS * 5 / 4));
        let equal = super::most(&[30 * MS, 31 * MS, 29 * MS], 100 * MS, 50 * MS, 2);
        assert!(equal.is_some_and(|most| most > 31 * MS), "{equal:?}");
    }
}
