//! How much of the machine each service has had of late, and which of them have had more than their share.
//!
//! The epoch clock looks every [`WINDOW`]. Only where the machine is short of CPU time and several services want it does
//! anybody exceed a share: who then has had clearly more than an equal part starts its requests in the
//! [fair pool](super::fair), behind those of everybody else. A service that is alone, or a machine with time left, never
//! sees any of this.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::ClockId;

use super::fair::{Fair, Member};
use crate::model::ServiceName;
use crate::telemetry::metrics::RevisionMetrics;

/// How often it is looked who has had how much.
pub(super) const WINDOW: Duration = Duration::from_millis(20);

/// For how many looks a service counts as active that has had some time: one that is asked once a second has neighbours too.
const MEMORY: u32 = 50;

/// For how many looks a service is taken to hold threads up that did so again.
const COARSE: u32 = 500;

/// The same where it did so once.
const COARSE_AT_FIRST: u32 = 10;

/// The share of one service, of all its revisions together.
pub(super) struct Share {
    member: Option<Arc<Member>>,
    exceeded: AtomicBool,
    revisions: Mutex<Vec<Seen>>,
    /// For how many more looks it counts as active.
    active: AtomicU32,
    /// For how many more looks its requests are taken to hold threads up.
    coarse: AtomicU32,
    /// For how many more looks it is remembered that one did.
    warned: AtomicU32,
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

    /// Whether requests of the service go to the fair pool: it has had more than its share, or holds up the threads it runs on.
    pub(super) fn is_behind(&self) -> bool {
        self.has_had_more() || self.coarse.load(Ordering::Relaxed) > 0
    }

    /// Whether the service has had more than its share.
    pub(super) fn has_had_more(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn set_exceeded(&self, exceeded: bool) {
        self.exceeded.store(exceeded, Ordering::Relaxed);
    }

    /// Notes that one poll of a request of this service held its thread up for longer than guests may compute: the host did
    /// something for it that no tick ends, such as finding the lines of a backtrace or dropping all that it had.
    ///
    /// Once is nothing: first instances and first connections take longer than all that follow.
    pub(super) fn held_up(&self) {
        let looks = match self.warned.swap(COARSE, Ordering::Relaxed) {
            0 => COARSE_AT_FIRST,
            _ => COARSE,
        };
        self.coarse.fetch_max(looks, Ordering::Relaxed);
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

    /// Whether it has had any time within [`MEMORY`] looks, given what it has had since the last one.
    fn is_active(&self, used: Duration) -> bool {
        let left = match used.is_zero() {
            true => self.active.load(Ordering::Relaxed).saturating_sub(1),
            false => MEMORY,
        };
        self.active.store(left, Ordering::Relaxed);
        left > 0
    }

    /// One more look has passed.
    fn pass(&self) {
        for looks in [&self.coarse, &self.warned] {
            // It may be set anew meanwhile, which is then lost: the next time counts.
            let left = looks.load(Ordering::Relaxed);
            if left > 0 {
                looks.store(left - 1, Ordering::Relaxed);
            }
        }
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
                active: AtomicU32::new(0),
                coarse: AtomicU32::new(0),
                warned: AtomicU32::new(0),
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
        let active = shares.iter().zip(&used);
        let active = active.filter(|(share, used)| share.is_active(**used)).count();
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let most = most(&used, active, busy, elapsed, cores);
        for (share, used) in shares.iter().zip(used) {
            share.pass();
            let exceeded = most.is_some_and(|most| used > most);
            if share.exceeded.load(Ordering::Relaxed) != exceeded {
                share.exceeded.store(exceeded, Ordering::Relaxed);
            }
        }
    }
}

/// The most that a service may have had in `elapsed`, if there is such a bound: the process used `busy`, and each service so
/// much of it; so many of them want some.
fn most(
    used: &[Duration],
    active: usize,
    busy: Duration,
    elapsed: Duration,
    cores: usize,
) -> Option<Duration> {
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    // Whoever else runs on the machine, clients among them, may have the other half.
    let is_short = busy > elapsed.saturating_mul(cores) / 2;
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

    fn share() -> Arc<Share> {
        Arc::new(Share {
            member: None,
            exceeded: AtomicBool::new(false),
            revisions: Mutex::default(),
            active: AtomicU32::new(0),
            coarse: AtomicU32::new(0),
            warned: AtomicU32::new(0),
        })
    }

    #[test]
    fn who_held_a_thread_up_is_behind_the_others_for_a_while() {
        let share = share();
        assert!(!share.is_behind());
        let looks = || {
            share.held_up();
            let looks = std::iter::repeat_with(|| share.pass()).take_while(|()| share.is_behind());
            looks.count() as u32 + 1
        };
        assert_eq!(looks(), COARSE_AT_FIRST);
        assert_eq!(looks(), COARSE, "it is remembered");
        assert_eq!(looks(), COARSE_AT_FIRST, "and forgotten");
    }

    #[test]
    fn nobody_exceeds_a_share_who_is_alone_or_leaves_time() {
        let (busy, idle) = (100 * MS, 49 * MS);
        assert_eq!(most(&[90 * MS], 1, busy, 50 * MS, 2), None, "alone");
        assert_eq!(
            most(&[40 * MS, 9 * MS], 2, idle, 50 * MS, 2),
            None,
            "time is left"
        );
        assert_eq!(most(&[], 0, busy, 50 * MS, 2), None);
    }

    #[test]
    fn who_has_had_clearly_more_than_an_equal_part_exceeds_it() {
        let equal = most(&[80 * MS, 10 * MS], 2, 100 * MS, 50 * MS, 2);
        assert_eq!(equal, Some(45 * MS * 5 / 4));
        let little = most(&[90 * MS, MS / 10], 2, 100 * MS, 50 * MS, 2);
        assert!(little.is_some_and(|most| most < 90 * MS), "{little:?}");
        let equal = most(&[30 * MS, 31 * MS, 29 * MS], 3, 100 * MS, 50 * MS, 2);
        assert!(equal.is_some_and(|most| most > 31 * MS), "{equal:?}");
    }

    #[test]
    fn a_service_is_active_for_a_while_after_it_has_had_time() {
        let share = share();
        assert!(!share.is_active(Duration::ZERO));
        assert!(share.is_active(MS));
        let looks = (0..100).filter(|_| share.is_active(Duration::ZERO)).count();
        assert_eq!(looks, MEMORY as usize - 1);
    }
}
