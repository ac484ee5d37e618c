//! The admin listener: whether the host is ready (`GET /ready`) and its figures (`GET /metrics`).
//!
//! It speaks HTTP/1.1, one request a connection, and is bounded for itself (`MAX_CONNECTIONS`, `MAX_HEAD`,
//! `MAX_EXCHANGE`): whatever its clients do, the gateway keeps its share of the host. It answers until the
//! host has drained, so that a balancer can see the drain. Against DNS rebinding it answers only requests
//! whose `Host` is an IP address or `localhost`: a page in a browser can make a name of its own point here,
//! and no address.

mod answer;
pub mod api;
pub mod control;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use crate::{
    shutdown::{Task, Tasks},
    telemetry::Metrics,
};

/// The most connections at a time; further ones wait in the system's queue.
const MAX_CONNECTIONS: usize = 64;
/// The most bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// The longest time from accepting a connection to the end of the response.
const MAX_EXCHANGE: Duration = Duration::from_secs(10);
/// The pause after a failure to accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether the host takes requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// Not every service is published yet.
    #[default]
    Starting,
    /// Every service is published.
    Ready,
    /// The host is stopping.
    Draining,
}

/// What the admin listener shows.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// The readiness of the host. When its sender is gone, the last value stays.
    pub ready: watch::Receiver<Readiness>,
    /// The figures of the host.
    pub metrics: Metrics,
}

/// Answers on `listener` as a background task of `tasks`, until the host has drained or the task is aborted.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn serve(listener: TcpListener, state: AdminState, tasks: &Tasks) -> Task<()> {
    let connections = tasks.clone();
    tasks.background("admin", accept(listener, Arc::new(state), connections))
}

async fn accept(listener: TcpListener, state: Arc<AdminState>, tasks: Tasks) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // Before accepting, so that a client over the limit waits in the system's queue and holds no
        // descriptor.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = Arc::clone(&state);
                tasks.background("admin-connection", async move {
                    connection(stream, &state).await;
                    drop(slot);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the admin listener cannot accept"
                );
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, state: &AdminState) {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer::to(&request, state)) });
    let exchange = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_EXCHANGE)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that is too slow or speaks nonsense is no event for the log.
    let _ = timeout(MAX_EXCHANGE, exchange).await;
}

/// Whether accepting failed because of the connection that was to be accepted, and the next one may do
/// better.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
