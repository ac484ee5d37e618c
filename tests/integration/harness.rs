//! Starts the real binary on free ports and talks to it from outside.
//!
//! Every test has its own host, application folder and state; only compiled guests are shared, through a cache
//! that is keyed by content. Nothing here waits for time to pass: it waits for a line, an answer or an exit, each
//! with a bound after which the test fails and shows what the host said.

mod build;
mod client;
mod host;
mod log;
mod upstream;

use std::time::Duration;

pub use build::{binary, cache_folder, component, fixture, fixtures_folder, workshop, workspace};
pub use client::{Answer, Body, BodySender, Connection, Protocol, empty, full, raw, streamed};
pub use host::{Builder, Finished, TestHost, program};
pub use log::Line;
pub use upstream::Upstream;

/// How long anything may take before a test gives up on it: far more than a slow machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Awaits with [`PATIENCE`].
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("gave up waiting for {what}"),
    }
}

/// Asks again and again until the answer is yes, yielding in between.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    soon(what, async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
