//! The catalog's domain: what is for sale, at what price, and how much of it is promised to whom.
//!
//! Pure: no I/O, no clock, no randomness of its own. What it needs of the world stands in [`port`]; what it
//! offers is [`Catalog`], the use cases over those ports. Values are validated once, when they are made: a
//! [`product::Details`], a [`money::Money`] or a [`reservation::Lines`] that exists is within its bounds.
//!
//! Invariants, held by every store that passes the `suite` (feature `testing`):
//! - what is held of a product never exceeds what is on hand, so neither stock nor availability goes below
//!   zero;
//! - a reservation holds all of its lines or none;
//! - repeating an operation on a reservation repeats its answer.

#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod money;
pub mod page;
pub mod port;
pub mod product;
pub mod reservation;
pub mod seed;
mod service;
#[cfg(any(test, feature = "testing"))]
pub mod suite;
pub mod tag;
pub mod text;
pub mod time;
pub mod violation;

pub use service::{Catalog, Error, Reserved};
