//! Where finished spans wait for the exporter. Putting one in never waits: over the bound it is dropped and
//! counted. Threads put into shards of their own, so that they share no lock.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::span::SpanData;

/// The shards; threads beyond as many share.
const SHARDS: usize = 16;

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// What became of spans since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
}

/// Reads what became of spans, for [`Metrics::watch_spans`](crate::telemetry::Metrics::watch_spans). Without
/// tracing there are none.
#[derive(Clone, Debug, Default)]
pub struct SpanCounts(pub(super) Option<Arc<Counts>>);

impl SpanCounts {
    /// Spans that the receiver took.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.0.as_ref().map_or(0, |counts| counts.exported.load(Relaxed))
    }

    /// Spans that were lost: the queue was full, or the receiver did not take them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |counts| counts.dropped.load(Relaxed))
    }
}

impl Counts {
    pub(super) fn add_exported(&self, spans: u64) {
        self.exported.fetch_add(spans, Relaxed);
    }

    pub(super) fn add_dropped(&self, spans: u64) {
        self.dropped.fetch_add(spans, Relaxed);
    }
}

/// A span that ended, where it was allocated when it began: it is handed on and never copied.
pub(super) type Finished = Box<SpanData>;

/// On a cache line of its own, so that threads do not slow each other down.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Vec<Finished>>);

pub(super) struct Queue {
    shards: [Shard; SHARDS],
    len: AtomicUsize,
    capacity: usize,
    /// The length at which the exporter is woken.
    enough: usize,
    closed: AtomicBool,
    wake: Notify,
    counts: Arc<Counts>,
}

impl Queue {
    pub(super) fn new(capacity: usize, enough: usize) -> Self {
        Self {
            shards: Default::default(),
            len: AtomicUsize::new(0),
            capacity,
            enough: enough.min(capacity),
            closed: AtomicBool::new(false),
            wake: Notify::new(),
            counts: Arc::default(),
        }
    }

    pub(super) fn put(&self, span: Finished) {
        if self.is_closed() {
            return self.counts.add_dropped(1);
        }
        let before = self.len.fetch_add(1, AcqRel);
        if before >= self.capacity {
            self.len.fetch_sub(1, AcqRel);
            return self.counts.add_dropped(1);
        }
        if let Some(shard) = self.shards.get(shard_of_thread()) {
            shard.0.lock().push(span);
        }
        // Whoever reaches the mark wakes the exporter; those behind need not.
        if before + 1 == self.enough {
            self.wake.notify_one();
        }
    }

    /// Takes at most `most` spans; fewer only if there are no more.
    pub(super) fn take(&self, most: usize) -> Vec<Finished> {
        let mut taken = Vec::with_capacity(most.min(self.len.load(Acquire)));
        for shard in &self.shards {
            let room = most - taken.len();
            if room == 0 {
                break;
            }
            let mut waiting = shard.0.lock();
            let count = room.min(waiting.len());
            taken.extend(waiting.drain(..count));
        }
        self.len.fetch_sub(taken.len(), AcqRel);
        taken
    }

    /// Whether a batch can be filled.
    pub(super) fn has_enough(&self) -> bool {
        self.len.load(Acquire) >= self.enough
    }

    /// Resolves when there is enough for a batch, or the queue was closed. Dropping it loses nothing: a wake-up
    /// that nobody waits for is kept for the next.
    pub(super) async fn wait(&self) {
        self.wake.notified().await;
    }

    /// From now on every span is dropped; those that wait can still be taken.
    pub(super) fn close(&self) {
        self.closed.store(true, Release);
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    pub(super) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }
}

fn shard_of_thread() -> usize {
    THREAD.with(|thread| {
        let number = thread.get().unwrap_or_else(|| {
            let number = NEXT_THREAD.fetch_add(1, Relaxed);
            thread.set(Some(number));
            number
        });
        number % SHARDS
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use futures::FutureExt as _;

    use super::*;
    use crate::telemetry::trace::{
        SpanKind, TraceContext,
        id::{SpanId, TraceId},
    };

    fn span() -> Finished {
        let context = TraceContext {
            trace_id: TraceId::next(),
            span_id: SpanId::next(),
            sampled: true,
        };
        Box::new(SpanData::new(
            "span".into(),
            SpanKind::Internal,
            context,
            None,
            Instant::now(),
        ))
    }

    fn dropped(queue: &Queue) -> u64 {
        SpanCounts(Some(Arc::clone(queue.counts()))).dropped()
    }

    #[test]
    fn spans_over_the_bound_are_dropped_and_counted_until_there_is_room() {
        let queue = Queue::new(3, 2);
        for _ in 0..5 {
            queue.put(span());
        }
        assert_eq!(dropped(&queue), 2);
        assert_eq!(queue.take(2).len(), 2);
        queue.put(span());
        assert_eq!(queue.take(10).len(), 2);
        assert_eq!(queue.take(10).len(), 0);
        assert_eq!(dropped(&queue), 2);
    }

    #[test]
    fn the_exporter_is_woken_when_there_is_enough_even_if_it_was_busy() {
        let queue = Queue::new(10, 3);
        queue.put(span());
        queue.put(span());
        assert!(queue.wait().now_or_never().is_none());
        queue.put(span());
        queue.put(span());
        assert!(queue.wait().now_or_never().is_some());
        assert!(queue.wait().now_or_never().is_none());
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_takes_no_more() {
        let queue = Queue::new(10, 3);
        queue.put(span());
        queue.close();
        assert!(queue.wait().now_or_never().is_some());
        queue.put(span());
        assert_eq!(dropped(&queue), 1);
        assert_eq!(queue.take(10).len(), 1);
    }

    #[test]
    fn no_span_is_lost_between_threads() {
        let queue = Arc::new(Queue::new(100_000, 100_000));
        let threads: Vec<_> = (0..20)
            .map(|_| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || (0..1000).for_each(|_| queue.put(span())))
            })
            .collect();
        let mut ids = std::collections::HashSet::new();
        let mut take = |queue: &Queue| ids.extend(queue.take(777).iter().map(|span| span.context.span_id));
        for thread in threads {
            take(&queue);
            thread.join().unwrap();
        }
        for _ in 0..27 {
            take(&queue);
        }
        assert_eq!(ids.len(), 20_000);
        assert_eq!(queue.len.load(Acquire), 0);
    }
}
