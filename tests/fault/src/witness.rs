//! When the machine itself stood still.
//!
//! What runs in a virtual machine loses its cores now and then, for milliseconds, to whatever else the hypervisor runs. No
//! host can answer then, and a p99 of a second or two consists of such moments. A thread on each core, which precedes
//! everything else there (`SCHED_FIFO`), sleeps briefly again and again and notes when it wakes too late. Requests that were
//! under way at such a time are set aside, and counted.
//!
//! It is not proof that nothing here was to blame: where the kernel is not preemptible, a long system call of the host, such as
//! one that unmaps much memory, keeps such a thread waiting too. So the table shows how many were set aside in quiet and under
//! the fault: many more under the fault are a fault to look into, not noise.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// How long a thread sleeps.
const STEP: Duration = Duration::from_micros(500);

/// What it may be late without a note: timers and interrupts have their time.
const SLACK: Duration = Duration::from_micros(500);

/// The priorities of the witnesses and of what measures.
const WITNESS: u8 = 20;
const MEASURING: u8 = 10;

/// The most moments that are noted.
const MAX_NOTES: usize = 100_000;

/// The moments at which cores stood still, each from when to when.
#[derive(Debug, Default)]
pub struct Stillness(Vec<(Instant, Instant)>);

impl Stillness {
    /// Whether a core stood still at some time between these.
    pub fn touches(&self, from: Instant, to: Instant) -> bool {
        // By their ends, which are in order once it is whole.
        let first = self.0.partition_point(|(_, end)| *end < from);
        self.0[first..].iter().any(|(begin, _)| *begin <= to)
    }
}

/// Threads that look, until [`Self::end`].
pub struct Witness<'scope>(Vec<ScopedJoinHandle<'scope, Vec<(Instant, Instant)>>>);

impl<'scope> Witness<'scope> {
    /// Starts a thread on each core. `None` where threads may not have such a priority (`CAP_SYS_NICE`): nothing is set aside
    /// then.
    pub fn start<'env>(
        scope: &'scope thread::Scope<'scope, 'env>,
        is_over: &'scope AtomicBool,
    ) -> Option<Self> {
        let cores = core_affinity::get_core_ids()?;
        let threads = cores.into_iter().map(|core| {
            scope.spawn(
                move || match core_affinity::set_for_current(core) && precede(WITNESS) {
                    true => look(is_over),
                    false => Vec::new(),
                },
            )
        });
        may_precede().then(|| Self(threads.collect()))
    }

    /// What they saw. They end once the flag is set.
    pub fn end(self) -> Stillness {
        let notes = self.0.into_iter().filter_map(|thread| thread.join().ok());
        let mut notes: Vec<_> = notes.flatten().collect();
        notes.sort_by_key(|(_, end)| *end);
        Stillness(notes)
    }
}

/// Lets this thread, which measures, precede what is measured, as if it were on another machine.
pub fn precede_others() -> bool {
    precede(MEASURING)
}

/// Whether threads may have such a priority.
fn may_precede() -> bool {
    thread::spawn(precede_others).join().unwrap_or_default()
}

fn precede(priority: u8) -> bool {
    let Ok(priority) = ThreadPriorityValue::try_from(priority) else {
        return false;
    };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(priority),
        policy,
    )
    .is_ok()
}

fn look(is_over: &AtomicBool) -> Vec<(Instant, Instant)> {
    let mut notes = Vec::new();
    let mut last = Instant::now();
    while !is_over.load(Ordering::Relaxed) && notes.len() < MAX_NOTES {
        thread::sleep(STEP);
        let now = Instant::now();
        if now - last > STEP + SLACK {
            notes.push((last, now));
        }
        last = now;
    }
    notes
}
