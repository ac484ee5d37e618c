//! The figures of the host, in the OpenMetrics text format. Names and labels are an interface, kept by the
//! table:
//!
//! | name | type | labels | what it counts |
//! | --- | --- | --- | --- |
//! | `midplane_requests` | counter | app, service, revision, status | requests answered, by status class (`2xx` …) |
//! | `midplane_errors` | counter | app, service, revision, reason | requests that a revision failed to serve |
//! | `midplane_calls` | counter | app, service, revision, outcome | calls of contracts that a revision `answered` or `failed` at |
//! | `midplane_request_duration_seconds` | histogram | app, service, revision | from the head of a request to the end of its response |
//! | `midplane_requests_in_flight` | gauge | app, service, revision | requests begun and not ended |
//! | `midplane_instances` | gauge | app, service, revision | Wasm instances alive, idle ones included |
//! | `midplane_instantiations` | counter | app, service, revision, kind | requests that got a `fresh` or a `reused` instance |
//! | `midplane_linear_memory_bytes` | gauge | app, service, revision | linear memory of the instances alive |
//! | `midplane_cpu_seconds` | counter | app, service, revision | time spent running guest code |
//! | `midplane_traps` | counter | app, service, revision | instances that trapped |
//! | `midplane_outbound_requests` | counter | app, service, revision, outcome | HTTP requests of guests: `answered`, `failed`, `denied` |
//! | `midplane_memory_refusals` | counter | app, service, revision | growths of a memory or a table that a limit did not let happen |
//! | `midplane_descriptor_refusals` | counter | app, service, revision | sockets and files that a guest was not let open |
//! | `midplane_slot_refusals` | counter | app, service, revision | instances that the share of pool slots did not let come up |
//! | `midplane_data_refusals` | counter | app, service, revision, reason | operations on data that a bound ended: `full`, `too_large` … |
//! | `midplane_guest_log_lines_dropped` | counter | app, service, revision | lines over the bound of a request |
//! | `midplane_link_calls` | counter | app, caller, callee, interface, outcome | calls over a link: `answered`, `trap`, `timeout`, `overload` … |
//! | `midplane_link_call_duration_seconds` | histogram | app, caller, callee, interface | from the call to its end, waits included |
//! | `midplane_link_calls_in_flight` | gauge | app, caller, callee, interface | calls begun and not ended |
//! | `midplane_rejections` | counter | reason | requests refused before they reached a revision |
//! | `midplane_connections` | gauge | | client connections open |
//! | `midplane_rollouts` | counter | outcome | changes of what is served: `published`, `refused`, `failed`, `rolled_back` |
//! | `midplane_uploads` | counter | outcome | components that were sent to the host: `stored`, `refused` |
//! | `midplane_compile_cache_lookups` | counter | result | compiled code asked of the cache: `hit`, `miss` |
//! | `midplane_compile_seconds` | counter | | time spent compiling components |
//! | `midplane_log_lines_dropped` | counter | | log lines lost because their reader was too slow |
//! | `midplane_spans` | counter | outcome | spans of traces: `exported`, `dropped` |
//! | `midplane_process_resident_memory_bytes` | gauge | | memory of the host process in RAM |
//! | `midplane_process_open_fds` | gauge | | file descriptors open |
//! | `midplane_process_max_fds` | gauge | | file descriptors allowed |
//! | `midplane_process_start_time_seconds` | gauge | | when the host started, Unix time |
//! | `midplane_build` | info | version | the version of the host |
//!
//! As OpenMetrics wants it, samples of a counter end in `_total`, those of an info in `_info`. Labels are
//! bounded by the live revisions and links and by enums. A revision or a link resolves its handle once, and a
//! request then touches atomics only; the series go when the handle is dropped. Process figures are read
//! from `/proc`, and are missing elsewhere.

mod encode;
mod histogram;
mod link;
mod process;
mod revision;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use prometheus_client::{encoding::text, registry::Registry};

pub use self::{
    link::{LinkCall, LinkMetrics, LinkOutcome},
    revision::{
        CallOutcome, DataRefusal, ErrorReason, InFlight, Instantiation, LiveInstance, OutboundOutcome,
        RevisionMetrics, Tally, Verdict,
    },
};
use super::{DroppedLines, trace::SpanCounts};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All figures of one host. Clones are handles to the same figures.
#[derive(Clone)]
pub struct Metrics {
    host: Arc<Host>,
    registry: Arc<Registry>,
}

struct Host {
    started: SystemTime,
    /// Sorted, so that the output is; names of the app, of the service and of the revision.
    revisions: Mutex<BTreeMap<(String, String, String), Weak<RevisionMetrics>>>,
    links: Mutex<BTreeMap<LinkKey, Weak<LinkMetrics>>>,
    rejections: [AtomicU64; ErrorReason::ALL.len()],
    rollouts: [AtomicU64; RolloutOutcome::ALL.len()],
    uploads: [AtomicU64; UploadOutcome::ALL.len()],
    connections: AtomicI64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    compile_nanos: AtomicU64,
    log: OnceLock<DroppedLines>,
    spans: OnceLock<SpanCounts>,
}

/// The labels of a link.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct LinkKey {
    app: String,
    caller: String,
    callee: String,
    interface: String,
}

revision::label! {
    /// How a change of what is served ended.
    RolloutOutcome {
        /// Requests meet it.
        Published = "published",
        /// It was not let in: what was asked for is to blame.
        Refused = "refused",
        /// It could not be done: the host or its disk is to blame.
        Failed = "failed",
        /// The host took a candidate back, since it did worse.
        RolledBack = "rolled_back",
    }
}

revision::label! {
    /// What became of a component that was sent to the host.
    UploadOutcome {
        /// It is kept.
        Stored = "stored",
        /// It is not: it was too large or too slow, or there was no room.
        Refused = "refused",
    }
}

/// What the cache of compiled code had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheLookup {
    /// The code was there and usable.
    Hit,
    /// It must be compiled.
    Miss,
}

impl Metrics {
    /// Figures of a host that starts now.
    #[must_use]
    pub fn new() -> Self {
        let host = Arc::new(Host {
            started: SystemTime::now(),
            revisions: Mutex::default(),
            links: Mutex::default(),
            rejections: Default::default(),
            rollouts: Default::default(),
            uploads: Default::default(),
            connections: AtomicI64::new(0),
            cache_hits: AtomicU64::new(0),
            cache_misses: AtomicU64::new(0),
            compile_nanos: AtomicU64::new(0),
            log: OnceLock::new(),
            spans: OnceLock::new(),
        });
        let mut registry = Registry::with_prefix("midplane");
        registry.register_collector(Box::new(Arc::clone(&host)));
        Self {
            host,
            registry: Arc::new(registry),
        }
    }

    /// The figures of one revision: the same handle as long as anyone holds it. Its series are shown until
    /// the last handle is dropped.
    #[must_use]
    pub fn revision(&self, app: &str, service: &str, revision: &str) -> Arc<RevisionMetrics> {
        let mut revisions = self.host.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (app.to_owned(), service.to_owned(), revision.to_owned());
        if let Some(live) = revisions.get(&key).and_then(Weak::upgrade) {
            return live;
        }
        revisions.retain(|_, known| known.strong_count() > 0);
        let fresh = Arc::new(RevisionMetrics::default());
        revisions.insert(key, Arc::downgrade(&fresh));
        fresh
    }

    /// The figures of one link: the same handle as long as anyone holds it. Its series are shown until the last
    /// handle is dropped.
    #[must_use]
    pub fn link(&self, app: &str, caller: &str, callee: &str, interface: &str) -> Arc<LinkMetrics> {
        let mut links = self.host.links.lock().unwrap_or_else(PoisonError::into_inner);
        let key = LinkKey {
            app: app.to_owned(),
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            interface: interface.to_owned(),
        };
        if let Some(live) = links.get(&key).and_then(Weak::upgrade) {
            return live;
        }
        links.retain(|_, known| known.strong_count() > 0);
        let fresh = Arc::new(LinkMetrics::new());
        links.insert(key, Arc::downgrade(&fresh));
        fresh
    }

    /// Counts a request that was refused before it reached a revision.
    pub fn rejected(&self, reason: ErrorReason) {
        if let Some(count) = self.host.rejections.get(reason.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a change of what is served that ended.
    pub fn rollout(&self, outcome: RolloutOutcome) {
        revision::add(&self.host.rollouts, outcome.index());
    }

    /// Counts a component that was sent to the host.
    pub fn upload(&self, outcome: UploadOutcome) {
        revision::add(&self.host.uploads, outcome.index());
    }

    /// Counts a client connection as open until the guard is dropped.
    #[must_use = "the connection counts as long as the guard lives"]
    pub fn connection(&self) -> OpenConnection {
        self.host.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(&self.host))
    }

    /// Counts a look into the cache of compiled code.
    pub fn cache_lookup(&self, lookup: CacheLookup) {
        let count = match lookup {
            CacheLookup::Hit => &self.host.cache_hits,
            CacheLookup::Miss => &self.host.cache_misses,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds the time that compiling a component took.
    pub fn compiled(&self, took: Duration) {
        self.host
            .compile_nanos
            .fetch_add(histogram::nanos(took), Ordering::Relaxed);
    }

    /// Shows the lines that the log dropped. The first call counts.
    pub fn watch_log(&self, dropped: DroppedLines) {
        let _ = self.host.log.set(dropped);
    }

    /// Shows what became of spans. The first call counts.
    pub fn watch_spans(&self, counts: SpanCounts) {
        let _ = self.host.spans.set(counts);
    }

    /// All figures as OpenMetrics text, see [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail, and nothing else in the encoder does for text.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Counts as an open connection until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<Host>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
