//! The last lines of each service: what its guests printed, their failures, and what the host said about it.
//!
//! [`Tail`] is filled by the log's layer, whatever the log's filter shows, and read by the admin API. What bounds it: the
//! lines and bytes of a service ([`MAX_LINES`], [`MAX_BYTES`]), a line ([`MAX_LINE`]), the services ([`MAX_SERVICES`]), and
//! what waits for a follower ([`FOLLOWED`]). A line costs a look into a table that is shared for reading, and the lock of
//! its own service, which is held for as long as copying takes at most. Texts are kept as they were written: whoever shows
//! them makes them harmless ([`harmless`](super::harmless)).

mod read;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};
use tokio::sync::broadcast;

use super::{RequestId, Stream};

/// The most lines that are kept of a service.
const MAX_LINES: usize = 1000;
/// The most bytes of text that are kept of a service.
const MAX_BYTES: usize = 256 * 1024;
/// The most bytes of one line; the rest is cut and marked.
const MAX_LINE: usize = 8 * 1024;
/// The most services of which lines are kept. Of more, the one that was silent for longest is forgotten.
const MAX_SERVICES: usize = 1024;
/// The most lines that wait for a follower who is slow. It loses the oldest, and is told how many.
const FOLLOWED: usize = 1024;
/// The most identities of revisions that a service keeps for sharing them among lines.
const SHARED_REVISIONS: usize = 4;

const CUT: &str = "…";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailLine {
    /// When it was logged.
    pub at: SystemTime,
    /// The service that it is of.
    pub service: Arc<str>,
    /// The revision of that service as it is shown; empty for a line of the host that is about none.
    pub revision: Arc<str>,
    /// Where it comes from.
    pub stream: TailStream,
    /// The request that it belongs to.
    pub request_id: Option<RequestId>,
    /// One line without its end, otherwise as it was written.
    pub text: Arc<str>,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailStream {
    /// A guest's standard output.
    Stdout,
    /// A guest's standard error.
    Stderr,
    /// The host: a failure of a guest, or anything else that concerns the service.
    Host,
}

impl TailStream {
    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => Stream::Stdout.as_str(),
            Self::Stderr => Stream::Stderr.as_str(),
            Self::Host => "host",
        }
    }
}

/// The last lines of each service. Clones are handles to the same lines.
#[derive(Clone, Default)]
pub struct Tail {
    services: Arc<RwLock<HashMap<Arc<str>, Arc<Ring>>>>,
}

/// A line before it is kept.
#[derive(Clone, Copy)]
pub(super) struct Draft<'a> {
    pub(super) service: &'a str,
    pub(super) revision: &'a str,
    pub(super) stream: TailStream,
    pub(super) request_id: Option<RequestId>,
}

impl Tail {
    /// Without a line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The last lines of `service`, the oldest first.
    #[must_use]
    pub fn lines(&self, service: &str) -> Vec<TailLine> {
        let ring = self.services.read().get(service).cloned();
        ring.map_or_else(Vec::new, |ring| ring.state.lock().copy())
    }

    /// The last lines of `service`, and all that come after them: none is missing between the two, and none is in both. A
    /// receiver that falls behind gets [`Lagged`](broadcast::error::RecvError::Lagged) and goes on with the oldest line
    /// that still waits; it is closed when the service is forgotten.
    ///
    /// The name takes a place among the services, so the caller makes sure that there is such a service.
    #[must_use]
    pub fn follow(&self, service: &str) -> (Vec<TailLine>, broadcast::Receiver<TailLine>) {
        let ring = self.ring(service);
        let mut state = ring.state.lock();
        let lines = state.copy();
        let followers = state
            .followers
            .get_or_insert_with(|| broadcast::Sender::new(FOLLOWED));
        (lines, followers.subscribe())
    }

    /// Keeps `texts`, with no line of the same service in between.
    pub(super) fn put<'t>(&self, draft: Draft<'_>, texts: impl IntoIterator<Item = &'t str>) {
        let ring = self.ring(draft.service);
        let mut state = ring.state.lock();
        let at = SystemTime::now();
        let revision = state.revision(draft.revision);
        for text in texts {
            state.put(TailLine {
                at,
                service: Arc::clone(&ring.service),
                revision: Arc::clone(&revision),
                stream: draft.stream,
                request_id: draft.request_id,
                text: bounded(text),
            });
        }
    }

    /// The lines of `service`, of which there may be none yet.
    fn ring(&self, service: &str) -> Arc<Ring> {
        if let Some(ring) = self.services.read().get(service) {
            return Arc::clone(ring);
        }
        let mut services = self.services.write();
        if let Some(ring) = services.get(service) {
            return Arc::clone(ring);
        }
        if services.len() >= MAX_SERVICES
            && let Some(silent) = services.values().min_by_key(|ring| ring.state.lock().last)
        {
            let silent = Arc::clone(&silent.service);
            services.remove(&silent);
        }
        let ring = Arc::new(Ring::new(service));
        services.insert(Arc::clone(&ring.service), Arc::clone(&ring));
        ring
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail")
            .field("services", &self.services.read().len())
            .finish_non_exhaustive()
    }
}

/// The lines of one service.
struct Ring {
    service: Arc<str>,
    state: Mutex<State>,
}

struct State {
    lines: VecDeque<TailLine>,
    /// Of the texts of `lines`.
    bytes: usize,
    /// When the last line came, or the service.
    last: SystemTime,
    /// The last identities, each kept once for all its lines.
    revisions: VecDeque<Arc<str>>,
    /// There from the first follower until a line finds that there is none any more.
    followers: Option<broadcast::Sender<TailLine>>,
}

impl Ring {
    fn new(service: &str) -> Self {
        Self {
            service: service.into(),
            state: Mutex::new(State {
                lines: VecDeque::new(),
                bytes: 0,
                last: SystemTime::now(),
                revisions: VecDeque::new(),
                followers: None,
            }),
        }
    }
}

impl State {
    fn copy(&self) -> Vec<TailLine> {
        self.lines.iter().cloned().collect()
    }

    fn put(&mut self, line: TailLine) {
        self.last = line.at;
        self.bytes += line.text.len();
        // Under the lock, so that a new follower has this line either from here or from the lines.
        if let Some(followers) = &self.followers
            && followers.send(line.clone()).is_err()
        {
            self.followers = None;
        }
        self.lines.push_back(line);
        while (self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES)
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.text.len();
        }
    }

    fn revision(&mut self, shown: &str) -> Arc<str> {
        if let Some(known) = self.revisions.iter().find(|known| &***known == shown) {
            return Arc::clone(known);
        }
        let new: Arc<str> = bounded(shown);
        if self.revisions.len() == SHARED_REVISIONS {
            self.revisions.pop_front();
        }
        self.revisions.push_back(Arc::clone(&new));
        new
    }
}

fn bounded(text: &str) -> Arc<str> {
    if text.len() <= MAX_LINE {
        return text.into();
    }
    let kept = text.floor_char_boundary(MAX_LINE - CUT.len());
    format!("{}{CUT}", text.get(..kept).unwrap_or_default()).into()
}
