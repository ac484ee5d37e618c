//! The figures of one revision: atomics that the request path reaches without a lookup, and guards that count
//! down what they counted up, however a request or an instance ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;

use super::histogram::{Histogram, REQUESTS, nanos};

/// Declares an enum whose variants are the values of a label.
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The value of the label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The place in [`Self::ALL`].
            pub(super) const fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(super) use label;

label! {
    /// Why a request failed; the same reasons before and after it reached a revision.
    ErrorReason {
        /// The guest trapped or panicked.
        Trap = "trap",
        /// The guest ended without a response.
        NoResponse = "no_response",
        /// The wall-clock limit was met.
        Timeout = "timeout",
        /// The limit of CPU time was met.
        CpuTime = "cpu_time",
        /// The memory of the service was all taken.
        Memory = "memory",
        /// The response exceeds its limit.
        ResponseTooLarge = "response_too_large",
        /// No instance became free in time.
        Overload = "overload",
        /// The revision was replaced, and the time for requests to finish was over.
        Interrupted = "interrupted",
        /// The client left before the end of the response.
        Cancelled = "cancelled",
        /// The request's body exceeds its limit.
        BodyTooLarge = "body_too_large",
        /// The request's head exceeds its limit.
        HeadersTooLarge = "headers_too_large",
        /// The request is malformed.
        BadRequest = "bad_request",
        /// No route matches.
        NotFound = "not_found",
        /// The method is not one that the host passes on.
        MethodNotAllowed = "method_not_allowed",
        /// The host itself failed.
        Internal = "internal",
    }
}

label! {
    /// Where the instance of a request came from.
    Instantiation {
        /// It was made for this request.
        Fresh = "fresh",
        /// It had served before.
        Reused = "reused",
    }
}

label! {
    /// What became of an HTTP request of a guest.
    OutboundOutcome {
        /// The other side answered, whatever the status.
        Answered = "answered",
        /// No connection, or no answer in time.
        Failed = "failed",
        /// The manifest does not allow the host.
        Denied = "denied",
    }
}

label! {
    /// How a call of a contract's function ended at the revision that was called.
    CallOutcome {
        /// It returned, whatever it returned.
        Answered = "answered",
        /// It trapped, took too long, could not be instantiated, or has no such function.
        Failed = "failed",
    }
}

label! {
    /// Why an operation on the data of a service did not come to its end.
    DataRefusal {
        /// The database or the store has its size, or the disk is full.
        Full = "full",
        /// A key, a value, a batch or a result is larger than it may be.
        TooLarge = "too_large",
        /// It took longer than it may.
        Timeout = "timeout",
        /// The request had no CPU time left.
        CpuTime = "cpu_time",
        /// Others had the lock, the connections or the disk for too long.
        Busy = "busy",
    }
}

/// What a request says about the revision that it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The revision answered it.
    Served,
    /// The revision failed at it, or answered with a status of 5xx.
    Failed,
    /// Nothing: the client is at fault, or the host is, or the revision was replaced.
    Excused,
}

/// What a revision was asked for so far, and how much of it it failed at: what a canary is judged by. Requests and calls that
/// say nothing about it ([`Verdict::Excused`]) are in neither number, and so are those that were cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were answered, calls that ended, and those of both that found no place.
    pub served: u64,
    /// Of these: answers of 5xx; requests and calls that trapped, took too long, had no response or could not be instantiated,
    /// be it after their answer; and those that found no place, since a revision that is too slow runs out of places.
    pub failed: u64,
}

impl Tally {
    /// What was added since `earlier`. Counters that were not read at the same instant may disagree for a
    /// moment: a failure counts as served too.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let failed = self.failed.saturating_sub(earlier.failed);
        Self {
            served: self.served.saturating_sub(earlier.served).max(failed),
            failed,
        }
    }

    /// The share of failures, from 0 to 1.
    #[must_use]
    pub fn rate(self) -> f64 {
        match self.served {
            0 => 0.0,
            served => self.failed as f64 / served as f64,
        }
    }

    /// The share of failures, for people: `1.11 %`.
    #[must_use]
    pub fn percent(self) -> String {
        let text = format!("{:.2}", self.rate() * 100.0);
        format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

pub(super) const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The figures of one revision of one service.
#[derive(Debug, Default)]
pub struct RevisionMetrics {
    pub(super) requests: [AtomicU64; STATUS_CLASSES.len()],
    pub(super) duration: Histogram<{ REQUESTS.len() }>,
    pub(super) in_flight: AtomicI64,
    pub(super) errors: [AtomicU64; ErrorReason::ALL.len()],
    pub(super) instances: AtomicI64,
    pub(super) instantiations: [AtomicU64; Instantiation::ALL.len()],
    pub(super) memory: AtomicI64,
    pub(super) cpu_nanos: AtomicU64,
    pub(super) traps: AtomicU64,
    pub(super) outbound: [AtomicU64; OutboundOutcome::ALL.len()],
    pub(super) memory_refusals: AtomicU64,
    pub(super) descriptor_refusals: AtomicU64,
    pub(super) slot_refusals: AtomicU64,
    pub(super) data_refusals: [AtomicU64; DataRefusal::ALL.len()],
    pub(super) log_lines_dropped: AtomicU64,
    pub(super) calls: [AtomicU64; CallOutcome::ALL.len()],
    served: AtomicU64,
    failed: AtomicU64,
}

impl RevisionMetrics {
    /// Counts a request as in flight until the guard ends it.
    #[must_use = "the request is in flight as long as the guard lives"]
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight {
            metrics: Arc::clone(self),
            ended: false,
        }
    }

    /// How many requests are in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.load(Relaxed)).unwrap_or(0)
    }

    /// How many instances are alive, idle ones too.
    #[must_use]
    pub fn instances(&self) -> u64 {
        u64::try_from(self.instances.load(Relaxed)).unwrap_or(0)
    }

    /// The linear memory of all instances together, in bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        u64::try_from(self.memory.load(Relaxed)).unwrap_or(0)
    }

    /// The time that was spent running guest code.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_nanos.load(Relaxed))
    }

    /// Counts a request that the revision failed to serve.
    pub fn error(&self, reason: ErrorReason) {
        add(&self.errors, reason.index());
    }

    /// Counts a call of a contract's function that ended. One that says nothing about the revision is not counted.
    pub fn called(&self, outcome: CallOutcome) {
        add(&self.calls, outcome.index());
        self.tell(match outcome {
            CallOutcome::Answered => Verdict::Served,
            CallOutcome::Failed => Verdict::Failed,
        });
    }

    /// Counts a failure at a request or a call that was counted as answered already: the guest worked on for it.
    pub fn failed_afterwards(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// Counts a request or a call that found no place at the revision.
    pub fn turned_away(&self) {
        self.tell(Verdict::Failed);
    }

    /// What it was asked for so far, and how much of it it failed at.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let failed = self.failed.load(Relaxed);
        let served = self.served.load(Relaxed);
        Tally {
            served,
            // What is counted between the two loads must not make more failures than requests.
            failed: failed.min(served),
        }
    }

    fn tell(&self, verdict: Verdict) {
        if verdict == Verdict::Excused {
            return;
        }
        self.served.fetch_add(1, Relaxed);
        if verdict == Verdict::Failed {
            self.failed.fetch_add(1, Relaxed);
        }
    }

    /// Counts an instance that trapped.
    pub fn trap(&self) {
        self.traps.fetch_add(1, Relaxed);
    }

    /// Counts a request that got its instance.
    pub fn instantiated(&self, kind: Instantiation) {
        add(&self.instantiations, kind.index());
    }

    /// Counts an instance as alive until the guard is dropped.
    #[must_use = "the instance counts as long as the guard lives"]
    pub fn instance(self: &Arc<Self>) -> LiveInstance {
        self.instances.fetch_add(1, Relaxed);
        LiveInstance {
            metrics: Arc::clone(self),
            memory: 0,
        }
    }

    /// Adds time spent running guest code.
    pub fn add_cpu(&self, time: Duration) {
        self.cpu_nanos.fetch_add(nanos(time), Relaxed);
    }

    /// Counts an HTTP request of the guest.
    pub fn outbound(&self, outcome: OutboundOutcome) {
        add(&self.outbound, outcome.index());
    }

    /// Counts a socket or a file that the guest was not let open.
    pub fn descriptor_refused(&self) {
        self.descriptor_refusals.fetch_add(1, Relaxed);
    }

    /// Counts an instance that the share of pool slots did not let come up.
    pub fn slot_refused(&self) {
        self.slot_refusals.fetch_add(1, Relaxed);
    }

    /// Counts an operation on data that a bound ended.
    pub fn data_refused(&self, reason: DataRefusal) {
        add(&self.data_refusals, reason.index());
    }

    /// Adds lines that [`GuestOutput`](crate::telemetry::GuestOutput) dropped.
    pub fn log_lines_dropped(&self, lines: u64) {
        self.log_lines_dropped.fetch_add(lines, Relaxed);
    }
}

/// Counts one more at `index`.
pub(super) fn add(counts: &[AtomicU64], index: usize) {
    if let Some(count) = counts.get(index) {
        count.fetch_add(1, Relaxed);
    }
}

/// One request in flight. Dropped without [`finish`](Self::finish) it counts as cancelled.
#[derive(Debug)]
pub struct InFlight {
    metrics: Arc<RevisionMetrics>,
    ended: bool,
}

impl InFlight {
    /// Counts the request as answered: `duration` runs from its head to the end of the response's body.
    pub fn finish(mut self, status: StatusCode, duration: Duration, verdict: Verdict) {
        self.ended = true;
        self.metrics.tell(verdict);
        let class = usize::from(status.as_u16() / 100).clamp(1, STATUS_CLASSES.len()) - 1;
        add(&self.metrics.requests, class);
        self.metrics.duration.observe(duration);
    }

    /// It was a call of a contract, which has ended; see [`RevisionMetrics::called`].
    pub fn call_ended(mut self) {
        self.ended = true;
    }

    /// The figures of the revision that serves the request.
    #[must_use]
    pub fn revision(&self) -> &Arc<RevisionMetrics> {
        &self.metrics
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.metrics.in_flight.fetch_sub(1, Relaxed);
        if !self.ended {
            self.metrics.error(ErrorReason::Cancelled);
        }
    }
}

/// One instance that is alive, with its linear memory.
#[derive(Debug)]
pub struct LiveInstance {
    metrics: Arc<RevisionMetrics>,
    memory: i64,
}

impl LiveInstance {
    /// The linear memory of the instance is now `bytes`, all its memories together.
    pub fn set_memory(&mut self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics
            .memory
            .fetch_add(bytes.wrapping_sub(self.memory), Relaxed);
        self.memory = bytes;
    }

    /// A limit did not let a memory or a table grow.
    pub fn refuse_memory(&self) {
        self.metrics.memory_refusals.fetch_add(1, Relaxed);
    }
}

impl Drop for LiveInstance {
    fn drop(&mut self) {
        self.metrics.instances.fetch_sub(1, Relaxed);
        self.metrics.memory.fetch_sub(self.memory, Relaxed);
    }
}
