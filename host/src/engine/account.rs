//! The memory that all instances of one revision share, to the byte.
//!
//! What bounds it: so many bytes; at most so many requests that wait for some of them, each for a bounded time, first come first
//! served. Instances that only wait between requests go before anybody waits or is denied. A guest that runs and grows is
//! ahead of those who wait for a fresh instance: it would fail where they only lose time. *Invariant*: what was taken is given
//! back by the drop of what holds it, however an instance ends.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::channel::oneshot;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::idle::Idle;
use crate::model::Limits;

/// The account of one revision.
pub(super) struct Account {
    limit: u64,
    queue: usize,
    patience: Duration,
    /// Whose memory can be had back at once.
    idle: Weak<Idle>,
    /// How many are in the line.
    waiting: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    free: u64,
    /// What a fresh instance needs, as far as it is known: more than any needed yet it is not.
    initial: u64,
    line: VecDeque<Waiter>,
    next: u64,
}

struct Waiter {
    number: u64,
    needs: u64,
    granted: oneshot::Sender<Portion>,
}

/// There is no memory for a fresh instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoMemory {
    /// What all instances may have together, in bytes.
    pub(super) limit: u64,
    /// How long was waited for some of it.
    pub(super) waited: Duration,
}

impl Account {
    /// The account of a program whose fresh instances need `initial` bytes or more.
    pub(super) fn new(limits: &Limits, initial: u64, idle: &Arc<Idle>) -> Arc<Self> {
        Arc::new(Self {
            limit: limits.memory,
            queue: usize::try_from(limits.queue).unwrap_or(usize::MAX),
            patience: limits.queue_timeout,
            idle: Arc::downgrade(idle),
            waiting: AtomicUsize::new(0),
            state: Mutex::new(State {
                free: limits.memory,
                initial,
                line: VecDeque::new(),
                next: 0,
            }),
        })
    }

    /// What all instances may have together, in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// What is taken, in bytes.
    pub(super) fn used(&self) -> u64 {
        self.limit.saturating_sub(self.state.lock().free)
    }

    /// Until when somebody waits who begins now.
    pub(super) fn patience(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// An instance waits now that has worked. It goes if somebody waits for its memory.
    pub(super) fn instance_waits(&self) {
        // Either who waits sees the instance, or this sees who waits: each looks after it has made itself seen.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.drop_idle();
        }
    }

    /// Fresh instances need so much, as one of them has shown.
    pub(super) fn learn(&self, initial: u64) {
        let mut state = self.state.lock();
        state.initial = state.initial.max(initial);
    }

    /// What a fresh instance needs, if it is there now or where instances that wait make room.
    pub(super) fn try_reserve(self: &Arc<Self>) -> Result<Portion, NoMemory> {
        loop {
            {
                let mut state = self.state.lock();
                let initial = state.initial;
                if state.line.is_empty() && state.take(initial) {
                    return Ok(self.portion(initial));
                }
            }
            if !self.drop_idle() {
                return Err(self.none());
            }
        }
    }

    /// What a fresh instance needs, as soon as it is there, and not after `until`.
    pub(super) async fn reserve(self: &Arc<Self>, until: Instant) -> Result<Portion, NoMemory> {
        if let Ok(portion) = self.try_reserve() {
            return Ok(portion);
        }
        let begun = Instant::now();
        let (number, mut granted) = self.queue()?;
        let _place = Place {
            account: self,
            number,
        };
        fence(Ordering::SeqCst);
        // What was given back between the look and the place in the line.
        self.give_back(0);
        // What came to wait since.
        loop {
            match granted.try_recv() {
                Ok(Some(portion)) => return Ok(portion),
                Ok(None) if self.drop_idle() => {}
                Ok(None) | Err(_) => break,
            }
        }
        // Cancel-safe: a waiter that is dropped leaves the line, and what was granted to it meanwhile goes back.
        match tokio::time::timeout_at(until, granted).await {
            Ok(Ok(portion)) => Ok(portion),
            // Who grants never goes without granting; did he, nothing could be had either.
            Ok(Err(_)) | Err(_) => Err(self.none_after(until.saturating_duration_since(begun))),
        }
    }

    /// A place in the line.
    fn queue(&self) -> Result<(u64, oneshot::Receiver<Portion>), NoMemory> {
        let mut state = self.state.lock();
        if state.line.len() >= self.queue {
            return Err(self.none());
        }
        let (granted, receiver) = oneshot::channel();
        let number = state.next;
        state.next = number.wrapping_add(1);
        let needs = state.initial;
        state.line.push_back(Waiter {
            number,
            needs,
            granted,
        });
        self.waiting.store(state.line.len(), Ordering::Relaxed);
        Ok((number, receiver))
    }

    /// Takes `bytes` for a guest that runs and has `owned` already, if they are there or where instances that wait make room.
    fn take(&self, owned: u64, bytes: u64) -> bool {
        // Nobody's going helps one that wants more than there is.
        if owned.saturating_add(bytes) > self.limit {
            return false;
        }
        loop {
            if self.state.lock().take(bytes) {
                return true;
            }
            if !self.drop_idle() {
                return false;
            }
        }
    }

    fn drop_idle(&self) -> bool {
        self.idle.upgrade().is_some_and(|idle| idle.drop_oldest())
    }

    fn portion(self: &Arc<Self>, bytes: u64) -> Portion {
        Portion {
            account: self.clone(),
            bytes,
        }
    }

    /// There is none now.
    pub(super) fn none(&self) -> NoMemory {
        self.none_after(Duration::ZERO)
    }

    fn none_after(&self, waited: Duration) -> NoMemory {
        NoMemory {
            limit: self.limit,
            waited,
        }
    }

    /// Takes `bytes` back, and grants what those need who wait, in their order.
    fn give_back(self: &Arc<Self>, bytes: u64) {
        let mut bytes = bytes;
        loop {
            let first = {
                let mut state = self.state.lock();
                state.free = state.free.saturating_add(bytes);
                let first = state.first_that_fits();
                self.waiting.store(state.line.len(), Ordering::Relaxed);
                first
            };
            let Some(first) = first else { return };
            // Who is gone meanwhile needs nothing.
            bytes = match first.granted.send(self.portion(first.needs)) {
                Ok(()) => 0,
                Err(unwanted) => unwanted.into_bytes(),
            };
        }
    }
}

impl State {
    fn take(&mut self, bytes: u64) -> bool {
        match self.free.checked_sub(bytes) {
            Some(free) => {
                self.free = free;
                true
            }
            None => false,
        }
    }

    fn first_that_fits(&mut self) -> Option<Waiter> {
        let needs = self.line.front()?.needs;
        if self.take(needs) {
            self.line.pop_front()
        } else {
            None
        }
    }
}

/// A place in the line, until it is left.
struct Place<'a> {
    account: &'a Arc<Account>,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let was_first = {
            let mut state = self.account.state.lock();
            match state.line.iter().position(|waiter| waiter.number == self.number) {
                Some(position) => {
                    drop(state.line.remove(position));
                    self.account.waiting.store(state.line.len(), Ordering::Relaxed);
                    position == 0
                }
                None => false,
            }
        };
        // Who comes next may need less.
        if was_first {
            self.account.give_back(0);
        }
    }
}

/// What one instance has of the account.
pub(super) struct Portion {
    account: Arc<Account>,
    bytes: u64,
}

impl Portion {
    /// The account that it is of.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// Makes it `bytes` large, if it is smaller. Returns whether it could be had.
    pub(super) fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 && !self.account.take(self.bytes, more) {
            return false;
        }
        self.bytes = self.bytes.max(bytes);
        true
    }

    /// Gives back what is more than `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            self.bytes = bytes;
            self.account.give_back(less);
        }
    }

    fn into_bytes(mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.account.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn account(memory: u64, queue: u32, initial: u64) -> Arc<Account> {
        let limits = Limits {
            memory,
            queue,
            queue_timeout: Duration::from_secs(1),
            ..Limits::default()
        };
        Account::new(&limits, initial, &Arc::new(Idle::new(Duration::ZERO)))
    }

    #[test]
    fn what_is_dropped_is_given_back_to_the_byte() {
        let account = account(100, 0, 7);
        let mut portion = account.try_reserve().unwrap();
        assert_eq!(account.used(), 7);
        assert!(portion.grow_to(90) && portion.grow_to(5) && !portion.grow_to(101));
        assert_eq!(account.used(), 90);
        let mut other = account.try_reserve().unwrap();
        assert!(!other.grow_to(11) && other.grow_to(10));
        portion.shrink_to(20);
        assert_eq!(account.used(), 30);
        drop(portion);
        drop(other);
        assert_eq!(account.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_served_in_their_order() {
        let account = account(100, 2, 60);
        let first = account.try_reserve().unwrap();
        let until = account.patience();
        let mut large = Box::pin(account.reserve(until));
        assert!(large.as_mut().now_or_never().is_none());
        account.state.lock().initial = 30;
        let mut small = Box::pin(account.reserve(until));
        assert!(
            small.as_mut().now_or_never().is_none(),
            "it fits, and is not first"
        );
        let turned_away = account.reserve(until).await.err();
        let none = |waited| NoMemory { limit: 100, waited };
        assert_eq!(turned_away, Some(none(Duration::ZERO)), "two wait already");
        drop(first);
        let (large, small) = (large.await.unwrap(), small.await.unwrap());
        assert_eq!((large.bytes, small.bytes, account.used()), (60, 30, 90));
        let waited = account.reserve(account.patience()).await.err();
        assert_eq!(waited, Some(none(Duration::from_secs(1))));
        drop((large, small));
        assert_eq!(account.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_line_holds_nobody_up() {
        let account = account(100, 8, 60);
        let first = account.try_reserve().unwrap();
        let until = account.patience();
        let mut large = Box::pin(account.reserve(until));
        assert!(large.as_mut().now_or_never().is_none());
        account.state.lock().initial = 40;
        let mut small = Box::pin(account.reserve(until));
        assert!(small.as_mut().now_or_never().is_none());
        drop(large);
        let small = small.now_or_never().unwrap().unwrap();
        assert_eq!(account.used(), 100);
        // Granted, and gone before it was taken.
        let mut late = Box::pin(account.reserve(until));
        assert!(late.as_mut().now_or_never().is_none());
        drop(first);
        drop(late);
        drop(small);
        assert_eq!(account.used(), 0);
    }
}
