//! The figures of one link between two services: atomics that a call reaches without a lookup, and a guard that
//! counts a call down however it ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    histogram::{CALLS, Histogram},
    revision::{add, label},
};

label! {
    /// How a call over a link ended. An error that the callee returned as its result is an answer.
    LinkOutcome {
        /// The callee returned, whatever it returned.
        Answered = "answered",
        /// The callee trapped.
        Trap = "trap",
        /// The time of the call was over.
        Timeout = "timeout",
        /// The callee took more CPU time than it may.
        CpuTime = "cpu_time",
        /// No place at the callee became free in time.
        Overload = "overload",
        /// The caller did not wait for the end.
        Cancelled = "cancelled",
        /// The callee's revision was replaced, and the time for calls to finish was over.
        Interrupted = "interrupted",
        /// The chain of calls is too deep.
        TooDeep = "too_deep",
        /// The generation of the request has no such callee.
        Missing = "missing",
        /// The call was not made for another reason.
        Refused = "refused",
    }
}

/// The figures of one link, of all functions of its interface.
#[derive(Debug)]
pub struct LinkMetrics {
    pub(super) calls: [AtomicU64; LinkOutcome::ALL.len()],
    pub(super) duration: Histogram<{ CALLS.len() }>,
    pub(super) in_flight: AtomicI64,
}

impl LinkMetrics {
    pub(super) fn new() -> Self {
        Self {
            calls: Default::default(),
            duration: Histogram::new(&CALLS),
            in_flight: AtomicI64::new(0),
        }
    }

    /// Counts a call as in flight until the guard ends it.
    #[must_use = "the call is in flight as long as the guard lives"]
    pub fn begin(self: &Arc<Self>) -> LinkCall {
        self.in_flight.fetch_add(1, Relaxed);
        LinkCall {
            metrics: Arc::clone(self),
            ended: false,
        }
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.load(Relaxed)).unwrap_or(0)
    }
}

/// One call in flight. Dropped without [`finish`](Self::finish) it counts as cancelled, and its time as that of
/// no call.
#[derive(Debug)]
pub struct LinkCall {
    metrics: Arc<LinkMetrics>,
    ended: bool,
}

impl LinkCall {
    /// Counts the call as ended: `duration` runs from the call of the import, waits included.
    pub fn finish(mut self, outcome: LinkOutcome, duration: Duration) {
        self.ended = true;
        add(&self.metrics.calls, outcome.index());
        self.metrics.duration.observe(duration);
    }
}

impl Drop for LinkCall {
    fn drop(&mut self) {
        self.metrics.in_flight.fetch_sub(1, Relaxed);
        if !self.ended {
            add(&self.metrics.calls, LinkOutcome::Cancelled.index());
        }
    }
}
