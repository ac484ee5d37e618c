//! How an HTTP/2 client keeps up with its response.
//!
//! On HTTP/2 a client that grants no window stops one stream and not the connection, so no write ever waits. Here the
//! task of a stream watches how long the last piece of the body has not been taken, and ends the stream when that is too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static PACE: Arc<Pace>;
}

/// Since when the client of one stream has had something to take.
pub(super) struct Pace {
    started: Instant,
    /// Milliseconds after `started`, plus one; 0 when the client has taken everything.
    waiting_since: AtomicU64,
}

impl Pace {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            waiting_since: AtomicU64::new(0),
        }
    }

    /// The pace of the stream whose task this is; `None` on a connection without streams.
    pub(super) fn of_this_stream() -> Option<Arc<Self>> {
        PACE.try_with(Arc::clone).ok()
    }

    /// A piece of the body was handed on.
    pub(super) fn given(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.waiting_since
            .store(elapsed.saturating_add(1), Ordering::Relaxed);
    }

    /// The next piece is asked for, so the last one is on its way.
    pub(super) fn asked(&self) {
        self.waiting_since.store(0, Ordering::Relaxed);
    }

    fn waited(&self) -> Option<Duration> {
        let since = self.waiting_since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(
            self.started
                .elapsed()
                .saturating_sub(Duration::from_millis(since)),
        )
    }

    /// Ends when the client has not taken the last piece for `limit`.
    async fn stalled(&self, limit: Duration) {
        loop {
            let left = match self.waited() {
                None => limit,
                Some(waited) if waited >= limit => return,
                Some(waited) => limit - waited,
            };
            tokio::time::sleep(left).await;
        }
    }
}

/// Runs the task of one stream for as long as its client keeps up.
pub(super) async fn keep<F: Future>(stream: F, limit: Duration) {
    let pace = Arc::new(Pace::new());
    // Cancel-safe: a stream that is given up is reset when its future is dropped.
    tokio::select! {
        biased;
        _ = PACE.scope(pace.clone(), stream) => {}
        () = pace.stalled(limit) => {
            tracing::debug!(limit = ?limit, "a client took nothing of its response for too long");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_stream_whose_client_takes_nothing_ends() {
        let begun = Instant::now();
        let stuck = async {
            Pace::of_this_stream().expect("in a stream").given();
            std::future::pending::<()>().await;
        };
        keep(stuck, LIMIT).await;
        assert!(begun.elapsed() >= LIMIT && begun.elapsed() < LIMIT * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_its_guest_goes_on() {
        let quiet = async {
            let pace = Pace::of_this_stream().expect("in a stream");
            pace.given();
            pace.asked();
            tokio::time::sleep(LIMIT * 10).await;
            pace.given();
        };
        let begun = Instant::now();
        keep(quiet, LIMIT).await;
        assert_eq!(begun.elapsed(), LIMIT * 10);
    }
}
