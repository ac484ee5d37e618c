//! From the queue to whoever receives spans: batches, second attempts, the end.
//!
//! One task sends one batch at a time, when there is enough or the oldest has waited for an interval. While the
//! receiver cannot be reached the task waits and the queue fills up; nothing else notices. Bounds: the queue, a
//! batch, its attempts, the time of an attempt and the wait before the next, and the end as a whole.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::future::BoxFuture;
use thiserror::Error;
use tokio::sync::watch;

use super::{
    id::random,
    queue::{Counts, Finished, Queue},
    sampler::Sampler,
    span::SpanData,
};

/// The most spans that wait.
const MAX_WAITING: usize = 8192;

/// The most spans of a batch; as many wake the exporter.
const MAX_BATCH: usize = 512;

/// How long a span waits for others.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often a batch is sent at most.
const MAX_ATTEMPTS: u32 = 5;

/// The wait before the second attempt, doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between two attempts, whatever the receiver asks for.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The least time between two lines of the log about a receiver that fails.
const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// The port: sends spans to whoever receives them. One attempt a call; when to try again is decided here.
pub trait SpanExporter: Send + Sync {
    /// Sends a batch. Dropping the future gives the attempt up.
    fn export<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Accepted, ExportError>>;
}

/// Spans to send.
#[derive(Debug)]
pub struct Batch {
    spans: Vec<Finished>,
    clock: Clock,
}

impl Batch {
    fn new(spans: Vec<Finished>) -> Self {
        Self {
            spans,
            clock: Clock::read(),
        }
    }

    /// The spans, in no order.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = &SpanData> {
        self.spans.iter().map(|span| &**span)
    }

    /// What the wall clock said at `at`, in nanoseconds of Unix time.
    #[must_use]
    pub fn unix_nanos(&self, at: Instant) -> u64 {
        self.clock.unix_nanos(at)
    }
}

/// One reading of both clocks. Spans read the monotonic one alone; since a batch is seconds old at most, what
/// the wall clock said follows from the difference.
#[derive(Clone, Copy, Debug)]
struct Clock {
    monotonic: Instant,
    unix: Duration,
}

impl Clock {
    fn read() -> Self {
        Self {
            monotonic: Instant::now(),
            unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    fn unix_nanos(self, at: Instant) -> u64 {
        let earlier = self.monotonic.saturating_duration_since(at);
        let later = at.saturating_duration_since(self.monotonic);
        let unix = self.unix.saturating_add(later).saturating_sub(earlier);
        u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What the receiver says of a batch that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// How many spans of it were refused all the same.
    pub rejected: u64,
    /// Why, in the receiver's words.
    pub message: String,
}

/// Why a batch was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExportError {
    /// Another attempt may succeed.
    #[error("{reason}")]
    Temporary {
        /// What went wrong.
        reason: String,
        /// How long the receiver asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Another attempt would fail too.
    #[error("{reason}")]
    Final {
        /// What went wrong.
        reason: String,
    },
}

/// What the tracer, its spans and the exporter share.
pub(super) struct Pipeline {
    pub(super) sampler: Sampler,
    pub(super) queue: Queue,
    /// Closed when the exporter is done.
    pub(super) done: watch::Receiver<()>,
}

impl Pipeline {
    /// The second half is to be run until it ends, which it does after [`Queue::close`].
    pub(super) fn new(
        sampler: Sampler,
        exporter: Arc<dyn SpanExporter>,
        timeout: Duration,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (running, done) = watch::channel(());
        let pipeline = Arc::new(Self {
            sampler,
            queue: Queue::new(MAX_WAITING, MAX_BATCH),
            done,
        });
        let export = Export {
            pipeline: Arc::clone(&pipeline),
            exporter,
            timeout,
            outage: Outage::default(),
            _running: running,
        };
        (pipeline, export.run())
    }

    pub(super) fn put(&self, span: Finished) {
        self.queue.put(span);
    }

    /// Sends what waits and ends; false if that takes longer than `patience`.
    pub(super) async fn close(&self, patience: Duration) -> bool {
        self.queue.close();
        let mut done = self.done.clone();
        // Nothing is ever sent: the end of the sender is the message.
        let ended = async move { while done.changed().await.is_ok() {} };
        tokio::time::timeout(patience, ended).await.is_ok()
    }
}

struct Export {
    pipeline: Arc<Pipeline>,
    exporter: Arc<dyn SpanExporter>,
    /// Of one attempt.
    timeout: Duration,
    outage: Outage,
    _running: watch::Sender<()>,
}

impl Export {
    async fn run(mut self) {
        let pipeline = Arc::clone(&self.pipeline);
        loop {
            if !pipeline.queue.is_closed() {
                // Woken or not, what is there is sent.
                let _ = tokio::time::timeout(INTERVAL, pipeline.queue.wait()).await;
            }
            // Read before the queue is emptied, so that nothing that was put in before stays behind.
            let closed = pipeline.queue.is_closed();
            loop {
                let spans = pipeline.queue.take(MAX_BATCH);
                if spans.is_empty() {
                    break;
                }
                self.send(Batch::new(spans)).await;
                if !closed && !pipeline.queue.has_enough() {
                    break;
                }
            }
            if closed {
                break;
            }
        }
    }

    /// Sends one batch, or drops it.
    async fn send(&mut self, batch: Batch) {
        let count = u64::try_from(batch.spans.len()).unwrap_or(u64::MAX);
        let mut fate = Fate {
            counts: Arc::clone(self.pipeline.queue.counts()),
            undecided: count,
        };
        let mut attempt = 1;
        loop {
            let answer = tokio::time::timeout(self.timeout, self.exporter.export(&batch)).await;
            let error = match answer {
                Ok(Ok(accepted)) => {
                    let rejected = accepted.rejected.min(count);
                    fate.exported(count - rejected);
                    match rejected {
                        0 => self.outage.over(),
                        _ => self.outage.failed(&format_args!(
                            "the receiver refused {rejected} of {count}: {}",
                            accepted.message
                        )),
                    }
                    self.outage.lost += rejected;
                    return;
                }
                Ok(Err(error)) => error,
                Err(_elapsed) => ExportError::Temporary {
                    reason: format!("no answer within {:?}", self.timeout),
                    retry_after: None,
                },
            };
            self.outage.failed(&error);
            let wait = match error {
                ExportError::Temporary { retry_after, .. } if attempt < MAX_ATTEMPTS => {
                    retry_after.unwrap_or_else(|| wait_before(attempt)).min(MAX_WAIT)
                }
                _ => break,
            };
            if !self.waited(wait).await {
                break;
            }
            attempt += 1;
        }
        self.outage.lost += count;
    }

    /// False once the queue is closed: then nothing waits any more, and whatever fails is given up.
    async fn waited(&self, wait: Duration) -> bool {
        let queue = &self.pipeline.queue;
        let until = tokio::time::Instant::now() + wait;
        while !queue.is_closed() {
            // A wake-up may also mean that there is enough for a batch. It is no loss if it is used up here:
            // whether there is, is asked again after this batch.
            if tokio::time::timeout_at(until, queue.wait()).await.is_err() {
                return true;
            }
        }
        false
    }
}

/// Doubles with each attempt; a random part of a half keeps hosts apart that lost their receiver together.
fn wait_before(attempt: u32) -> Duration {
    let whole = FIRST_WAIT.saturating_mul(1 << attempt.saturating_sub(1).min(8));
    let permille = u32::try_from(random() % 500).unwrap_or(0);
    whole - whole * permille / 1000
}

/// Counts spans as dropped unless they were exported, also when the task is aborted in between.
struct Fate {
    counts: Arc<Counts>,
    undecided: u64,
}

impl Fate {
    fn exported(&mut self, spans: u64) {
        self.counts.add_exported(spans);
        self.undecided -= spans.min(self.undecided);
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        self.counts.add_dropped(self.undecided);
    }
}

/// What the log was told about a receiver that fails: a line when it begins, one when it is over, and no more
/// than one beginning in [`BETWEEN_LINES`].
#[derive(Default)]
struct Outage {
    /// Whether the log knows of it.
    told: bool,
    last_told: Option<tokio::time::Instant>,
    /// Spans since the log was last told.
    lost: u64,
}

impl Outage {
    fn failed(&mut self, reason: &dyn std::fmt::Display) {
        if self.begins(tokio::time::Instant::now()) {
            tracing::warn!(
                reason = %reason,
                "spans cannot be exported; until they can, this is not said again"
            );
        }
    }

    fn over(&mut self) {
        if let Some(lost) = self.ends() {
            tracing::info!(lost, "spans are exported again");
        }
    }

    /// Whether to tell of a failure.
    fn begins(&mut self, now: tokio::time::Instant) -> bool {
        let is_early = self.last_told.is_some_and(|last| now < last + BETWEEN_LINES);
        if self.told || is_early {
            return false;
        }
        self.told = true;
        self.last_told = Some(now);
        true
    }

    /// How many spans were lost, if there is something to tell of.
    fn ends(&mut self) -> Option<u64> {
        std::mem::take(&mut self.told).then(|| std::mem::take(&mut self.lost))
    }
}

#[cfg(test)]
mod tests;
