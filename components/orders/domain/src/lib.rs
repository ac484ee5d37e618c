//! The orders' domain: what was bought, by whom, at what price, and the saga that turns a request into stock
//! that has left.
//!
//! Pure: no I/O, no clock, no randomness of its own. What it needs of the world stands in [`port`]; what it
//! offers is [`Shop`], the use cases over those ports. Values are validated once, when they are made.
//!
//! # The saga
//!
//! An order and its stock are in two databases, and the host may be killed between any two steps. So each
//! step is written down before the next one begins, each call to the stock may be repeated (the reservation's
//! id is the order's), and whoever comes by next goes on from what is written. The order's status moves by
//! compare-and-set only, so that two who come by at once do no harm.
//!
//! ```text
//!   pending ──► reserved ──► confirmed
//!    │  │  │       │  │          │
//!    │  │  │       │  └──────────┤ a buyer cancels: in time, if it is confirmed
//!    │  │  └───────┼─────────────┤
//!    │  │          │             └──► cancelling ──► cancelled
//!    │  └──────────┴─► expired     its reservation ran out, or the order's time did
//!    └───────────────► rejected    less in stock than asked for
//! ```
//!
//! What is committed in stock is decided here: only an order that is `reserved` is committed, and from there
//! it goes to `confirmed`, to `expired` once the reservation is known to be given back, or through
//! `cancelling`, which takes back what was committed. What breaks off leaves this behind:
//!
//! | broken off after | order | reservation | who comes by next |
//! | --- | --- | --- | --- |
//! | nothing was written | none | none | the buyer, with the same key: a new order |
//! | the order was written | pending | none | reserves; too late: it is `expired` |
//! | reserving | pending | held | reserves again, which repeats the answer; too late: releases, `expired` |
//! | a shortage was found | pending | none | asks again, and may even succeed; else it is `rejected` |
//! | `reserved` was written | reserved | held | commits; too late: releases, `expired` |
//! | committing | reserved | committed | commits again, which repeats the answer: `confirmed` |
//! | `confirmed` was written | confirmed | committed | nothing to do: the key answers with the order |
//! | `cancelling` was written | cancelling | any | cancels the reservation, whatever it is: `cancelled` |
//! | cancelling the reservation | cancelling | released | the same again |
//! | releasing, too late | pending, reserved | released | finds it released: `expired` |
//! | reserving an order that is over | rejected, expired, cancelled | held | nobody: it runs out by itself |
//!
//! Whoever comes by: a repeated `place` with the key, [`Shop::order`] and [`Shop::cancel`] for their one
//! order, and [`Shop::sweep`], which follows every request, for some of those whose time is over, longest over
//! first. So from one reservation's lifetime after the last crash on, each request leaves fewer in between
//! than it found, and none as soon as the stock answers. An order whose stock fails is left to its buyer for a
//! while, and one that came to nothing is forgotten with its key.
//!
//! A lease keeps others from doing the same work at the same time; it is a courtesy and no lock, runs out by
//! itself, and nothing rests on it.

pub mod item;
pub mod key;
pub mod order;
pub mod page;
pub mod policy;
pub mod port;
mod saga;
mod service;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod violation;

pub use service::{Error, Placed, Shop};
