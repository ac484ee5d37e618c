//! The admin listener: whether the host is ready (`GET /ready`), its figures (`GET /metrics`), and the admin API under `/v1`,
//! which looks at the app and changes it through the port [`Control`].
//!
//! It speaks HTTP/1.1, one request a connection, and is bounded for itself (the constants below and those of its modules):
//! whatever its clients do, the gateway keeps its share of the host. It answers until the host has drained, so that a balancer
//! can see the drain. Against DNS rebinding it answers only requests whose `Host` is an IP address or `localhost`: a page in a
//! browser can make a name of its own point here, and no address. Whoever uses the API has the token (`admin/token.rs`), which
//! a page does not have, and is refused where a browser says that it is of another origin.

mod answer;
pub mod api;
mod body;
mod change;
mod check;
pub mod control;
mod exchange;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod problem;
mod read;
mod request;
mod router;
mod stall;
mod stream;
#[cfg(test)]
mod tests;
mod token;

use std::{
    convert::Infallible,
    fmt, io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use self::{control::Control, exchange::Exchange, stall::StallGuard};
use crate::{
    model::Seldom,
    shutdown::{Task, Tasks},
    telemetry::Metrics,
};

pub use self::token::{Token, TokenError};

/// The most connections at a time; further ones wait in the system's queue.
const MAX_CONNECTIONS: usize = 64;
/// The most connections with a stream of events or logs.
const MAX_STREAMS: usize = 32;
/// The most connections with a change. With the streams they leave some for everything else.
const MAX_CHANGES: usize = 16;
/// The most components that are in memory on their way to the host.
const MAX_UPLOADS: usize = 2;
/// The most bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// The longest time from accepting a connection to the end of the request's head, and again from the answer to its end.
/// Between the two the handler bounds itself; what is streamed may go on.
const MAX_EXCHANGE: Duration = Duration::from_secs(10);
/// The longest time in which a client takes nothing of what is written to it.
const MAX_STALL: Duration = Duration::from_secs(10);
/// How long a client that still sends is listened to after the answer, so that it gets to read it.
const LINGER: Duration = Duration::from_secs(1);
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

/// What the admin listener shows, and whom it lets change it.
#[derive(Clone)]
pub struct AdminState {
    /// The readiness of the host. When its sender is gone, the last value stays.
    pub ready: watch::Receiver<Readiness>,
    /// The figures of the host.
    pub metrics: Metrics,
    /// What looks at the app and changes it; nothing while the host starts.
    pub control: watch::Receiver<Option<Arc<dyn Control>>>,
    /// What a client of the API must know.
    pub token: Token,
    /// The most bytes of a component.
    pub max_component_bytes: usize,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState")
            .field("ready", &*self.ready.borrow())
            .field("has_control", &self.control.borrow().is_some())
            .finish_non_exhaustive()
    }
}

/// What all connections share.
struct Server {
    state: AdminState,
    tasks: Tasks,
    streams: Arc<Semaphore>,
    changes: Semaphore,
    uploads: Arc<Semaphore>,
}

impl Server {
    fn new(state: AdminState, tasks: Tasks) -> Self {
        Self {
            state,
            tasks,
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            changes: Semaphore::new(MAX_CHANGES),
            uploads: Arc::new(Semaphore::new(MAX_UPLOADS)),
        }
    }
}

/// Answers on `listener` as a background task of `tasks`, until the host has drained or the task is aborted.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn serve(listener: TcpListener, state: AdminState, tasks: &Tasks) -> Task<()> {
    let server = Server::new(state, tasks.clone());
    tasks.background("admin", accept(listener, Arc::new(server)))
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let failures = Seldom::new();
    loop {
        // Before accepting, so that a client over the limit waits in the system's queue and holds no
        // descriptor.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let of = Arc::clone(&server);
                server.tasks.background("admin-connection", async move {
                    connection(stream, peer.ip(), &of).await;
                    drop(slot);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if let Some(times) = failures.note(Instant::now()) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        times,
                        "the admin listener cannot accept"
                    );
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<S>(stream: S, peer: IpAddr, server: &Server)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut stream = StallGuard::new(stream, MAX_STALL);
    let exchange = Exchange::begin(MAX_EXCHANGE);
    let service = service_fn(|request| async {
        Ok::<_, Infallible>(router::answer(server, peer, request, &exchange).await)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_EXCHANGE)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(&mut stream), service);
    // Cancel-safe: a connection that is given up is closed. That a client is too slow or speaks nonsense is no event for the
    // log.
    let served = tokio::select! {
        biased;
        served = serving => served.is_ok(),
        () = exchange.overdue() => false,
    };
    if served {
        linger(&mut stream).await;
    }
}

/// Takes what a refused client is still sending. Without it the system would answer with a reset, which overtakes the answer.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let rest = async {
        stream.shutdown().await?;
        let mut ignored = [0; 4096];
        while stream.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever comes of it, the answer was given.
    let _ = timeout(LINGER, rest).await;
}

/// Whether accepting failed because of the connection that was to be accepted, and the next one may do
/// better.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
