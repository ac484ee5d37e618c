//! Accepts connections and serves HTTP/1.1 and HTTP/2 (prior knowledge) on them.
//!
//! What bounds a connection: a place among `max_connections`, a time for each request head, a time in which the client must
//! take some of what is ready for it, and for HTTP/2 the number of streams and the size of a header list. On drain it finishes
//! the requests that it has and closes.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use http::HeaderValue;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::stall::StallGuard;
use super::{Gateway, forward, pace};
use crate::model::Seldom;
use crate::shutdown::Tasks;
use crate::telemetry::RequestId;

/// What one connection tells each of its requests.
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) header: HeaderValue,
}

/// Accepts until the host drains.
pub async fn serve(listener: TcpListener, gateway: Arc<Gateway>) {
    let places = Arc::new(Semaphore::new(gateway.settings.max_connections));
    let builder = Arc::new(builder(&gateway));
    let mut trouble = Trouble::default();
    loop {
        // Cancel-safe: neither a permit nor a connection is lost, since nothing is accepted while waiting for a permit
        // and `accept` is cancel-safe.
        let accepted = tokio::select! {
            biased;
            () = gateway.tasks.draining() => return,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, address, place)) => {
                trouble.is_over();
                let connection = connection(stream, address, place, gateway.clone(), builder.clone());
                gateway.tasks.spawn("connection", connection);
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => trouble.wait(&error).await,
        }
    }
}

/// What keeps a listener from accepting: mostly a lack of file descriptors, which lasts until connections end. Attempts are
/// spaced out, up to a second, so that they take no CPU time, and only some of them are told of.
#[derive(Default)]
struct Trouble {
    back_off: Duration,
    told: Seldom,
}

impl Trouble {
    fn is_over(&mut self) {
        self.back_off = Duration::ZERO;
    }

    /// Lets time pass before the next attempt.
    async fn wait(&mut self, error: &io::Error) {
        self.back_off = (self.back_off * 2).clamp(Duration::from_millis(10), Duration::from_secs(1));
        if let Some(times) = self.told.note(Instant::now()) {
            tracing::error!(error = %error, times, retry_in = ?self.back_off, "cannot accept connections");
        }
        tokio::time::sleep(self.back_off).await;
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, place))
}

/// The client gave up before it was accepted; the listener is fine.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn builder(gateway: &Gateway) -> auto::Builder<TrackedExecutor> {
    let settings = &gateway.settings;
    let mut builder = auto::Builder::new(TrackedExecutor {
        tasks: gateway.tasks.clone(),
        write_timeout: settings.write_timeout,
    });
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        // Twice the head, so that one that is too long can mostly be told so by a problem.
        .max_buf_size((settings.max_head_bytes * 2).max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(u32::try_from(settings.max_head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(20)
        .adaptive_window(true)
        .keep_alive_interval(Some(settings.head_timeout))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
    gateway: Arc<Gateway>,
    builder: Arc<auto::Builder<TrackedExecutor>>,
) {
    // A small answer must not wait for the acknowledgement of the last one.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "TCP_NODELAY could not be set");
    }
    let _open = gateway.metrics.connection();
    let Ok(header) = HeaderValue::try_from(address.to_string()) else {
        return;
    };
    let client = Arc::new(Client { address, header });
    let io = TokioIo::new(StallGuard::new(
        stream,
        gateway.settings.head_timeout,
        gateway.settings.write_timeout,
    ));
    let tasks = gateway.tasks.clone();
    let service = service_fn(move |request| {
        let gateway = gateway.clone();
        let client = client.clone();
        async move {
            let (id, method) = (RequestId::next(), request.method().clone());
            let answered = forward::answer(gateway.clone(), client, id, request);
            let answered = AssertUnwindSafe(answered).catch_unwind().await;
            Ok::<_, Infallible>(answered.unwrap_or_else(|_| forward::panicked(&gateway, id, &method)))
        }
    });
    let mut served = pin!(builder.serve_connection(io, service));
    // Cancel-safe: the connection is polled again after the drain has begun.
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        () = tasks.draining() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(client = %address, error = %error, "a connection ended with an error");
    }
    drop(place);
}

/// Runs the streams of an HTTP/2 connection as tracked tasks, so that one connection can use every core.
#[derive(Clone)]
struct TrackedExecutor {
    tasks: Tasks,
    write_timeout: Duration,
}

impl<F> Executor<F> for TrackedExecutor
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.tasks.spawn("stream", pace::keep(future, self.write_timeout));
    }
}

#[cfg(test)]
mod tests;
