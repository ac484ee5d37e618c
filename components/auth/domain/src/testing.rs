//! What tests stand on: an in-memory [`Store`], a clock and randomness that do as they are told, and the [`suite`]
//! that every store has to pass.

mod memory;
pub mod suite;

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub use memory::Memory;

use crate::port::RandomError;
use crate::{Clock, Random, Timestamp};

/// A clock that stands still until it is told to go on. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct StoppedClock(Rc<Cell<Timestamp>>);

impl StoppedClock {
    /// Stopped at this time.
    pub fn at(now: Timestamp) -> Self {
        Self(Rc::new(Cell::new(now)))
    }

    /// Goes on by so much.
    pub fn advance(&self, duration: Duration) {
        self.0.set(self.0.get().plus(duration));
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        self.0.get()
    }
}

/// Counts up instead of being random: no two fills of eight bytes or more are alike. Clones count on
/// together.
#[derive(Debug, Clone, Default)]
pub struct Counting(Rc<Cell<u64>>);

impl Counting {
    /// Counts on from here plus `steps`.
    pub fn skip(&self, steps: u64) {
        self.0.set(self.0.get() + steps);
    }
}

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.0.set(self.0.get() + 1);
        let count = self.0.get().to_be_bytes();
        for (byte, fresh) in bytes.iter_mut().rev().zip(count.iter().rev().cycle()) {
            *byte = *fresh;
        }
        Ok(())
    }
}

/// The output of a future that never has to wait, as all futures over stores in memory are.
pub fn ready<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a store in memory is always ready"),
    }
}
