//! The end of what a replaced revision still works for.
//!
//! Whoever waits for a guest waits for this too, but only from when the guest has first let its task wait: a request whose guest
//! never does pays for one look at a flag. Waiters are spread over [`SHARDS`] lists by the thread that they begin to wait on,
//! so that tasks on different workers share no lock.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// How many groups of waiters have a lock of their own.
const SHARDS: usize = 16;

/// Raised once, and never lowered.
#[derive(Default)]
pub(super) struct Interrupt {
    raised: AtomicBool,
    ended: AtomicU64,
    waiters: [Notify; SHARDS],
}

impl Interrupt {
    /// Wakes whoever waits for it. Later calls change nothing.
    pub(super) fn raise(&self) {
        if !self.raised.swap(true, Ordering::SeqCst) {
            for shard in &self.waiters {
                shard.notify_waiters();
            }
        }
    }

    pub(super) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// Resolves once it is raised, at once if it is. Dropping it loses nothing, so it may stand in a `select!`.
    pub(super) fn raised(&self) -> Raised<'_> {
        let [first, ..] = &self.waiters;
        let shard = SHARD.with(|shard| self.waiters.get(*shard)).unwrap_or(first);
        Raised {
            interrupt: self,
            woken: shard.notified(),
        }
    }

    /// Counts a request or a call that ended by it.
    pub(super) fn count(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests and calls ended by it.
    pub(super) fn counted(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The list that waiters of this thread stand in.
    static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

pin_project! {
    /// See [`Interrupt::raised`].
    pub(super) struct Raised<'a> {
        interrupt: &'a Interrupt,
        #[pin]
        woken: Notified<'a>,
    }
}

impl Future for Raised<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // It waits before the flag is read, so that being raised between the two is not missed.
        let woken = this.woken.poll(cx);
        match this.interrupt.is_raised() {
            true => Poll::Ready(()),
            false => woken,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use futures::FutureExt;

    use super::*;

    #[test]
    fn all_who_wait_are_woken_and_who_comes_later_does_not_wait() {
        const WAITERS: usize = 3 * SHARDS;
        let interrupt = Interrupt::default();
        let waiting = Barrier::new(WAITERS + 1);
        std::thread::scope(|scope| {
            for _ in 0..WAITERS {
                // Each on a thread of its own, and so in lists of all kinds.
                scope.spawn(|| {
                    let mut raised = std::pin::pin!(interrupt.raised());
                    assert!(raised.as_mut().now_or_never().is_none());
                    waiting.wait();
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.expect("a runtime").block_on(raised);
                });
            }
            waiting.wait();
            assert!(interrupt.raised().now_or_never().is_none());
            interrupt.raise();
        });
        assert!(interrupt.raised().now_or_never().is_some());
    }

    #[tokio::test]
    async fn one_that_was_made_before_and_never_polled_does_not_wait() {
        let interrupt = Interrupt::default();
        let raised = interrupt.raised();
        interrupt.raise();
        interrupt.raise();
        raised.await;
        interrupt.count();
        assert_eq!(interrupt.counted(), 1);
    }
}
