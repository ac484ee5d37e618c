//! The outbound HTTP client: one pool of connections for the whole host, HTTP/1.1 and HTTP/2, with TLS.
//!
//! Owns connecting (names, addresses, TLS), the pool, and the waiting times; hides hyper and rustls. Reads no
//! proxy settings from the environment and follows no redirect.
//!
//! One pool may serve every service, because a connection out of it gives a service nothing that a new one
//! would not:
//! - the grant is for scheme, host and port. It is checked for each request before [`HttpClient::send`], and
//!   the pool is keyed by the very same three: the host is brought to its normal form here as it is there, so
//!   no spelling of it leads to another key than the one that was granted;
//! - blocked networks hold for all services alike. They are checked after name resolution, on the address
//!   that is then connected, so that each connection in the pool is to an address that every service may
//!   reach;
//! - no connection carries an identity of a service: no client certificate, no cookie, no authentication.
//!
//! Bounds: connections and name lookups in all, idle connections per host and their age, every wait, the head
//! of a response. Bodies are streamed and never gathered.

mod body;
mod connect;
mod error;
mod tls;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, Either, select};
use http::header::{
    CONNECTION, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::TokioTimer;
use tokio::time::Instant;

use self::body::TimedBody;
use self::connect::Connector;
pub use self::connect::{Resolve, SystemResolver};
pub use self::tls::TlsSetupError;
use crate::capability::outbound_http::{Body, ClientOptions, HttpClient, HttpClientError};
use crate::model::outbound_host::{BlockedNetworks, Host};

/// The largest head of a response, in bytes.
const MAX_RESPONSE_HEAD_BYTES: usize = 128 * 1024;

/// Headers that speak about one connection, and are the client's own business (RFC 9110, 7.6.1).
const CONNECTION_HEADERS: [HeaderName; 9] = [
    CONNECTION,
    HOST,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What an operator may set (`[outbound_networking]`, `[outbound_http]`, `[[client_tls]]`).
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses that no service may reach.
    pub blocked: BlockedNetworks,
    /// The longest that any request waits. Guests may ask for less.
    pub ceiling: ClientOptions,
    /// Connections at one time, idle ones included.
    pub max_connections: usize,
    /// Idle connections that are kept for each scheme, host and port; 0 turns pooling off.
    pub max_idle_per_host: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Certificates, in DER, of authorities that are trusted besides those of the operating system.
    pub extra_roots: Vec<Vec<u8>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            blocked: BlockedNetworks::default(),
            ceiling: ClientOptions::default(),
            max_connections: 1024,
            max_idle_per_host: 32,
            idle_timeout: Duration::from_secs(30),
            extra_roots: Vec::new(),
        }
    }
}

/// Starts the tasks that drive connections and lookups, so that whoever tracks tasks can track these.
#[derive(Clone)]
pub struct Spawner(Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>);

impl Spawner {
    /// Tasks are given to `spawn`, which must start each of them on a tokio runtime.
    pub fn new(spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.0)(Box::pin(task));
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

/// The client. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct PooledClient {
    client: hyper_util::client::legacy::Client<Connector, Body>,
    ceiling: ClientOptions,
}

impl PooledClient {
    /// Loads the certificate authorities of the operating system and starts with an empty pool. A system
    /// without any is no error: requests by `https` then fail, and say so.
    ///
    /// # Errors
    /// [`TlsSetupError`] if one of `extra_roots` is no certificate.
    pub fn load(settings: Settings, spawner: Spawner) -> Result<Self, TlsSetupError> {
        let resolver = SystemResolver::new(spawner.clone());
        Self::with_resolver(settings, spawner, Arc::new(resolver))
    }

    /// As [`Self::load`], with names resolved by `resolver`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_resolver(
        settings: Settings,
        spawner: Spawner,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, TlsSetupError> {
        let ceiling = settings.ceiling;
        let mut builder = hyper_util::client::legacy::Client::builder(spawner);
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(settings.max_idle_per_host)
            .pool_idle_timeout(settings.idle_timeout)
            .http1_max_buf_size(MAX_RESPONSE_HEAD_BYTES)
            .http2_max_header_list_size(u32::try_from(MAX_RESPONSE_HEAD_BYTES).unwrap_or(u32::MAX))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10));
        let tls = tls::load(&settings.extra_roots)?;
        let connector = Connector::new(
            resolver,
            settings.blocked,
            tls,
            ceiling.connect_timeout,
            settings.max_connections,
        );
        Ok(Self {
            client: builder.build(connector),
            ceiling,
        })
    }

    /// Waits for the connection and for the head, each for as long as it may take.
    async fn exchange(
        self,
        request: Request<Body>,
        options: ClientOptions,
    ) -> Result<Response<Body>, HttpClientError> {
        let options = options.at_most(self.ceiling);
        let mut request = prepare(request)?;
        let mut connection = capture_connection(&mut request);
        let mut response = pin!(self.client.request(request));
        let connected = pin!(async move {
            connection.wait_for_connection_metadata().await;
        });
        // Both futures are kept, whichever is ready first, so nothing is lost by waiting for either.
        let first = tokio::time::timeout(options.connect_timeout, select(&mut response, connected)).await;
        let response = match first {
            Err(_) => return Err(HttpClientError::ConnectionTimeout),
            Ok(Either::Left((response, _))) => response,
            Ok(Either::Right(_)) => tokio::time::timeout(options.first_byte_timeout, response)
                .await
                .map_err(|_| HttpClientError::HttpResponseTimeout)?,
        };
        let response = response.map_err(|error| error::of_exchange(&error))?;
        Ok(response.map(|body| TimedBody::new(body, options.between_bytes_timeout).boxed_unsync()))
    }
}

impl HttpClient for PooledClient {
    fn send(
        &self,
        request: Request<Body>,
        options: ClientOptions,
    ) -> BoxFuture<'static, Result<Response<Body>, HttpClientError>> {
        Box::pin(self.clone().exchange(request, options))
    }
}

/// Makes of the guest's request the one that is sent: an absolute URI with the host in normal form, and no
/// header that speaks about the connection.
fn prepare(request: Request<Body>) -> Result<Request<Body>, HttpClientError> {
    let (mut head, body) = request.into_parts();
    if head.method == Method::CONNECT {
        return Err(HttpClientError::HttpRequestMethodInvalid);
    }
    head.uri = absolute(&head.uri).ok_or(HttpClientError::HttpRequestUriInvalid)?;
    if head
        .uri
        .host()
        .and_then(|host| Host::parse(host).ok())
        .is_none_or(|host| is_inside(&host))
    {
        return Err(HttpClientError::DestinationNotFound);
    }
    head.version = Version::HTTP_11;
    remove_connection_headers(&mut head.headers);
    Ok(Request::from_parts(head, body))
}

/// The URI with its host in normal form and without the port that its scheme implies.
fn absolute(uri: &Uri) -> Option<Uri> {
    let scheme = uri
        .scheme()
        .filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS)?;
    let authority = uri.authority()?;
    let host = Host::parse(authority.host()).ok()?;
    let default_port = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    // What is left of the authority is a port or nothing; a user name would stand before the host.
    let authority = match authority.as_str().strip_prefix(authority.host())? {
        "" | ":" => host.to_string(),
        _ => match authority.port_u16()? {
            port if port == default_port => host.to_string(),
            port => format!("{host}:{port}"),
        },
    };
    let path = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::builder()
        .scheme(scheme.clone())
        .authority(authority)
        .path_and_query(path)
        .build()
        .ok()
}

/// Whether this names the app or one of its services, which no name server knows and no request here should
/// ask for.
fn is_inside(host: &Host) -> bool {
    host.is_self() || host.internal_service().is_some()
}

fn remove_connection_headers(headers: &mut HeaderMap) {
    for name in CONNECTION_HEADERS {
        headers.remove(name);
    }
    if headers
        .get(TE)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"trailers"))
    {
        headers.remove(TE);
    }
}

/// When `patience` from now has passed; a year from now if that is more than clocks can tell.
fn deadline(patience: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(patience)
        .unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 60 * 60))
}

#[cfg(test)]
mod tests;
