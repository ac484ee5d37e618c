//! What is fuzzed: one function for each surface that takes bytes from somebody else.
//!
//! Each takes any bytes and panics if a property of its surface does not hold. They run in two ways: `cargo fuzz` (the folder
//! above) feeds them without end, and the tests of this crate feed them the committed corpus with a bounded number of changes
//! to it, which are the same each time.

mod bench;
#[cfg(test)]
mod bounded;
mod input;

mod access;
mod admin;
mod allowed_hosts;
mod contract;
mod headers;
mod journal;
mod manifest;
mod quantity;
mod router;
mod runtime_config;
mod sticky;
mod template;
mod value_bridge;

pub use access::access;
pub use admin::admin;
pub use allowed_hosts::allowed_hosts;
pub use contract::contract;
pub use headers::headers;
pub use journal::journal;
pub use manifest::manifest;
pub use quantity::quantity;
pub use router::router;
pub use runtime_config::runtime_config;
pub use sticky::sticky;
pub use template::template;
pub use value_bridge::value_bridge;

/// One function of this crate.
pub struct Target {
    /// What it is called, and its folder in the corpus.
    pub name: &'static str,
    /// The function. Says whether the input was taken, and not refused before anything could be said of it.
    pub run: fn(&[u8]) -> bool,
    /// How many changed inputs a test gives it.
    pub cases: usize,
    /// What changed inputs are made of, besides the corpus.
    pub words: &'static [&'static str],
}

/// All of them.
pub const TARGETS: [Target; 13] = [
    access::TARGET,
    admin::TARGET,
    allowed_hosts::TARGET,
    contract::TARGET,
    headers::TARGET,
    journal::TARGET,
    manifest::TARGET,
    quantity::TARGET,
    router::TARGET,
    runtime_config::TARGET,
    sticky::TARGET,
    template::TARGET,
    value_bridge::TARGET,
];
