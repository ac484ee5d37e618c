//! How long one exchange may take: so long for its head, so long for its response, and in between what its handler allows.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The time of one exchange, shared by its connection and its handler.
pub(super) struct Exchange {
    limit: Duration,
    /// When the connection is cut; `None` while the handler, or the stream that it answered with, bounds itself.
    deadline: Mutex<Option<Instant>>,
}

impl Exchange {
    /// Begins now: the head must be there within `limit`, and the response be taken within `limit`.
    pub(super) fn begin(limit: Duration) -> Self {
        Self {
            limit,
            deadline: Mutex::new(Some(Instant::now() + limit)),
        }
    }

    /// The head is there. From now on the handler bounds itself.
    pub(super) fn handle(&self) {
        *self.deadline.lock() = None;
    }

    /// The response is there, and its time begins.
    pub(super) fn respond(&self) {
        *self.deadline.lock() = Some(Instant::now() + self.limit);
    }

    /// Ends when the exchange has taken too long. Dropping it loses nothing.
    pub(super) async fn overdue(&self) {
        loop {
            let now = Instant::now();
            let deadline = *self.deadline.lock();
            match deadline {
                Some(deadline) if deadline <= now => return,
                Some(deadline) => sleep_until(deadline).await,
                // A deadline that is set from here on is later than that.
                None => sleep_until(now + self.limit).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join;
    use tokio::time::sleep;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn only_the_head_and_the_response_are_timed() {
        let begun = Instant::now();
        let exchange = Exchange::begin(LIMIT);
        let handler = async {
            sleep(LIMIT / 2).await;
            exchange.handle();
            sleep(LIMIT * 100).await;
            exchange.respond();
        };
        join(handler, exchange.overdue()).await;
        let slack = Duration::from_millis(10);
        assert!(begun.elapsed() >= LIMIT * 101 + LIMIT / 2);
        assert!(begun.elapsed() < LIMIT * 101 + LIMIT / 2 + slack);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_is_overdue() {
        let begun = Instant::now();
        Exchange::begin(LIMIT).overdue().await;
        assert!(begun.elapsed() >= LIMIT && begun.elapsed() < LIMIT * 2);
    }
}
