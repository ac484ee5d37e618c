//! A bounded number of places, and a bounded queue for them.
//!
//! What bounds it: so many places; at most `queue` waiters beyond them, each for at most `wait`.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Places for calls or requests. Who takes one gives it back.
pub struct Places {
    free: Semaphore,
    waiting: AtomicU32,
    queue: u32,
    wait: Duration,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// As many wait as may.
    #[error("{waiting} are waiting already")]
    QueueFull {
        /// How many.
        waiting: u32,
    },
    /// No place became free in time.
    #[error("no place became free within {waited:?}")]
    TooLong {
        /// How long was waited.
        waited: Duration,
    },
}

impl Places {
    /// So many places, so many waiters, each for so long.
    pub fn new(places: NonZeroU32, queue: u32, wait: Duration) -> Self {
        let places = usize::try_from(places.get()).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            free: Semaphore::new(places.min(Semaphore::MAX_PERMITS)),
            waiting: AtomicU32::new(0),
            queue,
            wait,
        }
    }

    /// Takes a place if there is one now. It must be [given back](Self::give_back).
    #[must_use]
    pub fn try_take(&self) -> bool {
        match self.free.try_acquire() {
            Ok(permit) => {
                permit.forget();
                true
            }
            Err(_) => false,
        }
    }

    /// Takes a place as soon as there is one, and not after `deadline`. It must be [given back](Self::give_back).
    pub async fn take(&self, deadline: Option<Instant>) -> Result<(), NoPlace> {
        if self.try_take() {
            return Ok(());
        }
        let _waiter = Waiter::queue(&self.waiting, self.queue)?;
        let begun = Instant::now();
        let until = begun + self.wait;
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        // Cancel-safe: a waiter that is dropped leaves the semaphore's queue and ours.
        match tokio::time::timeout_at(until, self.free.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                Ok(())
            }
            // The semaphore is never closed; were it, nothing could be had any more either.
            Ok(Err(_)) | Err(_) => Err(NoPlace::TooLong {
                waited: until.saturating_duration_since(begun),
            }),
        }
    }

    /// How many are free.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.free.available_permits() as u64
    }

    /// How many wait for one.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed).into()
    }

    /// Gives a place back.
    pub fn give_back(&self) {
        self.free.add_permits(1);
    }
}

/// One that waits.
struct Waiter<'a>(&'a AtomicU32);

impl<'a> Waiter<'a> {
    fn queue(waiting: &'a AtomicU32, bound: u32) -> Result<Self, NoPlace> {
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < bound).then_some(waiting + 1)
            })
            .map(|_| Self(waiting))
            .map_err(|waiting| NoPlace::QueueFull { waiting })
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_takes_no_more_than_its_bound() {
        let waiting = AtomicU32::new(0);
        let first = Waiter::queue(&waiting, 2);
        let second = Waiter::queue(&waiting, 2);
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(
            Waiter::queue(&waiting, 2),
            Err(NoPlace::QueueFull { waiting: 2 })
        ));
        drop(first);
        assert!(Waiter::queue(&waiting, 2).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_beyond_the_wait_or_the_deadline() {
        let places = Places::new(NonZeroU32::MIN, 1, Duration::from_secs(1));
        assert!(places.try_take());
        assert_eq!(
            places.take(None).await,
            Err(NoPlace::TooLong {
                waited: Duration::from_secs(1)
            })
        );
        let deadline = Instant::now() + Duration::from_millis(10);
        assert_eq!(
            places.take(Some(deadline)).await,
            Err(NoPlace::TooLong {
                waited: Duration::from_millis(10)
            })
        );
        places.give_back();
        assert_eq!(places.take(None).await, Ok(()));
    }
}
