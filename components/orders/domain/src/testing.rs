//! The world in memory, for tests: partners, a repository, a clock and ids, all of whose calls can go wrong.
//!
//! A [`Plan`] says which call goes wrong and how; dying is a call that never answers, after which the test
//! drops the future, as a host does with a guest. With yields, every call waits once before it happens, so
//! that a test can play any order of events between several futures. Single-threaded.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests: a failure is their result"
)]

mod memory;
pub mod suite;
mod warehouse;

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::item::{Items, ProductId};
use crate::key::Key;
use crate::order::{Customer, OrderId};
use crate::policy::Policy;
use crate::port::{Caller, Clock, Ids};
use crate::service::Shop;
use crate::time::Timestamp;

pub use memory::Memory;
pub use warehouse::Warehouse;

/// 2026-01-01T12:00:00Z, in milliseconds.
pub const NOON: u64 = 1_767_268_800_000;

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not happen, and says so.
    Refused,
    /// It happens, and its answer is lost.
    Unanswered,
    /// Whoever called dies before it happens.
    DieBefore,
    /// Whoever called dies after it happened.
    DieAfter,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Refused, Self::Unanswered, Self::DieBefore, Self::DieAfter];
}

/// An error that means: worth another try.
pub trait Transient {
    /// The error.
    fn transient() -> Self;
}

/// Which call goes wrong. Clones are the same plan.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    calls: Rc<Cell<usize>>,
    fault: Rc<Cell<Option<(usize, Fault)>>>,
    yields: Rc<Cell<bool>>,
}

impl Plan {
    /// The call of this number, counted from 1 from now on, goes wrong. No other does.
    pub fn fail(&self, call: usize, fault: Fault) {
        self.calls.set(0);
        self.fault.set(Some((call, fault)));
    }

    /// No call goes wrong. Counts anew.
    pub fn heal(&self) {
        self.calls.set(0);
        self.fault.set(None);
    }

    /// How many calls there were since the last [`Plan::fail`] or [`Plan::heal`].
    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    /// Whether every call waits once before it happens.
    pub fn yields(&self, yields: bool) {
        self.yields.set(yields);
    }

    pub(crate) async fn call<T, E: Transient>(&self, effect: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if self.yields.get() {
            let mut waited = false;
            std::future::poll_fn(|_| {
                if std::mem::replace(&mut waited, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
        let call = self.calls.get() + 1;
        self.calls.set(call);
        match self.fault.get().filter(|(at, _)| *at == call) {
            None => effect(),
            Some((_, Fault::Refused)) => Err(E::transient()),
            Some((_, Fault::Unanswered)) => effect().and_then(|_| Err(E::transient())),
            Some((_, Fault::DieBefore)) => std::future::pending().await,
            Some((_, Fault::DieAfter)) => {
                let _ = effect();
                std::future::pending().await
            }
        }
    }
}

/// Polls a future once.
pub fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The output of a future, or `None` when it died. Not for plans with yields.
pub fn run<F: Future>(future: F) -> Option<F::Output> {
    match poll(std::pin::pin!(future)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A clock that stands still until it is set, and ids that count up. Clones are the same.
#[derive(Debug, Clone)]
pub struct SetTime {
    now: Rc<Cell<u64>>,
    ids: Rc<Cell<u32>>,
}

impl Default for SetTime {
    fn default() -> Self {
        Self {
            now: Rc::new(Cell::new(NOON)),
            ids: Rc::default(),
        }
    }
}

impl SetTime {
    /// Goes on by this many seconds.
    pub fn pass(&self, seconds: u64) {
        self.now.set(self.now.get() + seconds * 1000);
    }

    /// Goes back by this many seconds.
    pub fn go_back(&self, seconds: u64) {
        self.now.set(self.now.get() - seconds * 1000);
    }
}

impl Clock for SetTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.get())
    }
}

impl Ids for SetTime {
    fn order(&self, now: Timestamp) -> OrderId {
        self.ids.set(self.ids.get() + 1);
        let mut random = [0; 10];
        random[6..].copy_from_slice(&self.ids.get().to_be_bytes());
        OrderId::new(now, &random)
    }
}

/// A shop over a repository, in the hands of a test.
#[derive(Debug, Clone)]
pub struct Bench<R> {
    /// The repository.
    pub orders: R,
    /// The other services.
    pub warehouse: Warehouse,
    /// The clock.
    pub time: SetTime,
    /// What goes wrong.
    pub plan: Plan,
}

impl Default for Bench<Memory> {
    fn default() -> Self {
        let (plan, time) = (Plan::default(), SetTime::default());
        Self {
            orders: Memory::new(&plan),
            warehouse: Warehouse::new(&plan, &time),
            time,
            plan,
        }
    }
}

impl<R: crate::port::Orders + Clone> Bench<R> {
    /// Over a repository whose calls do not go wrong.
    pub fn over(orders: R) -> Self {
        let (plan, time) = (Plan::default(), SetTime::default());
        Self {
            orders,
            warehouse: Warehouse::new(&plan, &time),
            time,
            plan,
        }
    }

    /// The shop: as it comes up again after a crash, it remembers nothing.
    pub fn shop(&self) -> Shop<Warehouse, R, SetTime> {
        let policy = Policy::new(60, 3600).unwrap();
        Shop::new(
            self.warehouse.clone(),
            self.orders.clone(),
            self.time.clone(),
            policy,
        )
    }
}

/// Somebody without any role.
pub fn buyer(name: &str) -> Caller {
    Caller {
        customer: Customer(name.to_owned()),
        admin: false,
    }
}

/// An administrator.
pub fn admin() -> Caller {
    Caller {
        customer: Customer("admin".to_owned()),
        admin: true,
    }
}

/// A key.
pub fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

/// The product of a number.
pub fn product(number: u8) -> ProductId {
    ProductId::parse(&format!("018f5b0c-0000-7000-8000-0000000000{number:02x}")).unwrap()
}

/// So many pieces of the products of these numbers.
pub fn items(items: &[(u8, i64)]) -> Items {
    let items: Vec<_> = items.iter().map(|(p, q)| (product(*p).to_string(), *q)).collect();
    Items::parse(
        items
            .iter()
            .map(|(product, quantity)| (product.as_str(), *quantity)),
    )
    .unwrap()
}
