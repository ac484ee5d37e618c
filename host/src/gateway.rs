//! The way in: connections, the router, and the services behind it.
//!
//! A connection becomes requests, a request takes the current generation, finds its route there, leases the revision and lets
//! its program answer. Errors become responses in one place, [`respond`]. This module never sees Wasmtime.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::service::Registry;
use crate::shutdown::Tasks;
use crate::telemetry::Metrics;
use crate::telemetry::trace::Tracer;

mod chain;
mod connection;
mod forward;
#[doc(hidden)]
pub mod fuzzing;
mod headers;
pub mod local;
mod pace;
pub mod probe;
pub mod respond;
mod stall;
mod tracked;
mod well_known;

pub use connection::serve;

/// The fixed bounds of the listener.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Connections at once; further ones wait in the system's queue.
    pub max_connections: usize,
    /// The request head as a client may send it, in bytes: names, values and 4 bytes for each field, and the path.
    pub max_head_bytes: usize,
    /// From the connection's (or the last response's) end to the end of a request's head.
    pub head_timeout: Duration,
    /// How long a client may take no byte of a response that is ready for it.
    pub write_timeout: Duration,
    /// Streams at once on one HTTP/2 connection.
    pub max_streams: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_head_bytes: 32 * 1024,
            head_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            max_streams: 256,
        }
    }
}

/// What every request on a listener shares.
pub struct Gateway {
    registry: Arc<Registry>,
    metrics: Metrics,
    tracer: Tracer,
    tasks: Tasks,
    settings: Settings,
    /// The listener's address, as the authority of requests that name no host of their own.
    authority: String,
}

impl Gateway {
    /// `address` is where the listener is bound.
    pub fn new(
        registry: Arc<Registry>,
        metrics: Metrics,
        tracer: Tracer,
        tasks: Tasks,
        settings: Settings,
        address: SocketAddr,
    ) -> Arc<Self> {
        Arc::new(Self {
            registry,
            metrics,
            tracer,
            tasks,
            settings,
            authority: address.to_string(),
        })
    }
}
