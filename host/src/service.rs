//! Services and their revisions: what is served now, and how a request gets hold of it.
//!
//! The running app is one immutable [`Generation`] behind one pointer, the [`Registry`]'s. A request takes the generation
//! once, at entry, and everything that it meets afterwards comes from there. A request holds a [`Lease`] of the revision that
//! serves it until the last byte of its response. This module knows no listener and no HTTP.

pub mod canary;
mod generation;
mod identity;
pub mod journal;
mod revision;
pub mod router;

pub use generation::{Generation, Registry, Target, View};
pub use identity::Identity;
pub use revision::{Lease, Permit, Revision};

#[cfg(test)]
mod tests;
