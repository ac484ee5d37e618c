//! From a URI to a connection: a place under the limit, the name, the addresses, TCP, TLS, within one
//! deadline.
//!
//! Invariant: an address is checked against the blocked networks after name resolution and is itself what is
//! connected, so that no second resolution can put another in its place.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::tls::Tls;
use super::{Spawner, deadline, error};
use crate::capability::outbound_http::HttpClientError;
use crate::model::outbound_host::{BlockedNetworks, Host};

/// Name lookups at one time: each holds a thread for as long as the system's resolver takes.
const MAX_LOOKUPS: usize = 64;

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// How long an attempt is alone before the next address is tried beside it (RFC 8305, 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// The addresses of `name`, best first, with `port`.
    fn resolve(&self, name: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The operating system's resolver (`getaddrinfo`).
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
    spawner: Spawner,
}

impl SystemResolver {
    /// A resolver whose lookups run on `spawner`, since one that nobody waits for any more still has to end.
    pub fn new(spawner: Spawner) -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            spawner,
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let (name, lookups, spawner) = (
            String::from(name),
            Arc::clone(&self.lookups),
            self.spawner.clone(),
        );
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let (answer, answered) = tokio::sync::oneshot::channel();
            spawner.spawn(async move {
                let found = tokio::net::lookup_host((name, port)).await;
                drop(permit);
                // Nobody listens once the request has been given up.
                let _ = answer.send(found.map(|addresses| addresses.take(MAX_ADDRESSES).collect()));
            });
            answered.await.map_err(io::Error::other)?
        })
    }
}

/// Makes connections for the pool.
#[derive(Clone)]
pub(super) struct Connector(Arc<Shared>);

struct Shared {
    resolver: Arc<dyn Resolve>,
    blocked: BlockedNetworks,
    tls: Tls,
    timeout: Duration,
    places: Arc<Semaphore>,
}

impl Connector {
    pub(super) fn new(
        resolver: Arc<dyn Resolve>,
        blocked: BlockedNetworks,
        tls: Tls,
        timeout: Duration,
        max_connections: usize,
    ) -> Self {
        let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
        Self(Arc::new(Shared {
            resolver,
            blocked,
            tls,
            timeout,
            places,
        }))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TcpConnection>;
    type Error = HttpClientError;
    type Future = BoxFuture<'static, Result<Self::Response, HttpClientError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.connect(&uri).await })
    }
}

impl Shared {
    async fn connect(&self, uri: &Uri) -> Result<MaybeHttpsStream<TcpConnection>, HttpClientError> {
        let deadline = deadline(self.timeout);
        let host = uri.host().and_then(|host| Host::parse(host).ok());
        let host = host.ok_or(HttpClientError::HttpRequestUriInvalid)?;
        let tls = match &self.tls {
            _ if uri.scheme() != Some(&Scheme::HTTPS) => None,
            Some(config) => Some(TlsConnector::from(Arc::clone(config))),
            None => return Err(no_roots()),
        };
        let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });

        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(HttpClientError::ConnectionLimitReached);
        };
        let addresses = self.addresses(&host, port, deadline).await?;
        let stream = timeout_at(deadline, connect_first(addresses)).await;
        let stream = stream.map_err(|_| HttpClientError::ConnectionTimeout)??;
        let tcp = TcpConnection {
            stream: TokioIo::new(stream),
            _place: place,
        };

        let Some(tls) = tls else {
            return Ok(MaybeHttpsStream::Http(tcp));
        };
        let name = server_name(&host)?;
        let stream = timeout_at(deadline, tls.connect(name, TokioIo::new(tcp))).await;
        let stream = stream
            .map_err(|_| HttpClientError::ConnectionTimeout)?
            .map_err(|error| error::of_handshake(&error))?;
        Ok(MaybeHttpsStream::Https(TokioIo::new(stream)))
    }

    /// The addresses to try: those of the host that are not blocked. All blocked is prohibited, none is an
    /// error.
    async fn addresses(
        &self,
        host: &Host,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, HttpClientError> {
        let mut addresses = match host {
            Host::Ip(ip) => vec![SocketAddr::new(*ip, port)],
            Host::Domain(name) => timeout_at(deadline, self.resolver.resolve(name, port))
                .await
                .map_err(|_| HttpClientError::DnsTimeout)?
                .map_err(|error| HttpClientError::DnsError {
                    reason: error.to_string(),
                })?,
        };
        addresses.truncate(MAX_ADDRESSES);
        let first = addresses.first().map(SocketAddr::ip);
        let ip = first.ok_or_else(|| HttpClientError::DnsError {
            reason: String::from("no addresses"),
        })?;
        addresses.retain(|address| !self.blocked.blocks(address.ip()));
        if addresses.is_empty() {
            return Err(HttpClientError::DestinationIpProhibited { ip });
        }
        Ok(addresses)
    }
}

fn no_roots() -> HttpClientError {
    let reason = "this system has no certificate authorities: install its `ca-certificates`, or name a \
                  file of them in SSL_CERT_FILE, and start the host again";
    HttpClientError::TlsCertificate {
        reason: String::from(reason),
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, HttpClientError> {
    match host {
        Host::Ip(ip) => Ok(ServerName::from(*ip)),
        Host::Domain(name) => {
            ServerName::try_from(String::from(&**name)).map_err(|_| HttpClientError::HttpRequestUriInvalid)
        }
    }
}

/// Connects to whichever address answers first, the families by turns (RFC 8305). The error is that of the
/// last one to fail.
async fn connect_first(addresses: Vec<SocketAddr>) -> Result<TcpStream, HttpClientError> {
    let mut waiting = by_turns(addresses);
    let mut attempts = FuturesUnordered::new();
    let mut failed = HttpClientError::DestinationIpUnroutable;
    loop {
        if let Some(address) = waiting.pop_front() {
            attempts.push(connect_one(address));
        }
        tokio::select! {
            // Both are cancel-safe: attempts stay in the set, and the delay simply begins anew.
            attempt = attempts.next() => match attempt {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failed = error::of_connect(&error),
                None => return Err(failed),
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if !waiting.is_empty() => {}
        }
    }
}

async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Orders addresses so that the families take turns, beginning with that of the first.
fn by_turns(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let turns = std::iter::from_fn(|| match (first.next(), second.next()) {
        (None, None) => None,
        pair => Some(pair),
    });
    turns
        .flat_map(|(one, other)| one.into_iter().chain(other))
        .collect()
}

/// A TCP connection with its place under the limit, which is free again when the connection is dropped.
pub(super) struct TcpConnection {
    stream: TokioIo<TcpStream>,
    _place: OwnedSemaphorePermit,
}

impl Connection for TcpConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for TcpConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for TcpConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }
}
