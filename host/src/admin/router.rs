//! What there is at the admin listener, and the way of a request: whom it is for, who asks, what, and how it is answered.
//!
//! The committed document of the API is held against [`ROUTES`] by a test.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::answer::{self, Body, JSON, whole};
use super::change::{self, Change};
use super::control::Control;
use super::problem::Fault;
use super::read::{self, Read};
use super::request::Query;
use super::stream::{self, Stream};
use super::{Exchange, Server, guard, request};
use crate::model::ServiceName;
use crate::telemetry::metrics::CONTENT_TYPE as OPENMETRICS;

/// The document of the API (OpenAPI 3.1).
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// A method that something here is asked by. HEAD goes wherever GET does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Put,
    Post,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Ready,
    Metrics,
    Document,
    Read(Read),
    Stream(Stream),
    Change(Change),
}

/// A path, and what it is asked by. Segments in braces stand for names.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) verbs: &'static [Verb],
    pub(super) endpoint: Endpoint,
}

const GET: &[Verb] = &[Verb::Get];
const POST: &[Verb] = &[Verb::Post];

const fn route(path: &'static str, verbs: &'static [Verb], endpoint: Endpoint) -> Route {
    Route {
        path,
        verbs,
        endpoint,
    }
}

/// Everything that there is. No path stands here twice.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    route("/ready", GET, Endpoint::Ready),
    route("/metrics", GET, Endpoint::Metrics),
    route("/v1/openapi.json", GET, Endpoint::Document),
    route("/v1/apps", GET, Endpoint::Read(Read::Apps)),
    route("/v1/apps/{app}", GET, Endpoint::Read(Read::App)),
    route("/v1/apps/{app}/services", GET, Endpoint::Read(Read::Services)),
    route("/v1/apps/{app}/routes", GET, Endpoint::Read(Read::Routes)),
    route("/v1/apps/{app}/links", GET, Endpoint::Read(Read::Links)),
    route("/v1/apps/{app}/history", GET, Endpoint::Read(Read::History)),
    route("/v1/apps/{app}/events", GET, Endpoint::Stream(Stream::Events)),
    route("/v1/apps/{app}/components", &[Verb::Put, Verb::Post], Endpoint::Change(Change::Store)),
    route("/v1/apps/{app}/deploy", POST, Endpoint::Change(Change::Deploy)),
    route("/v1/apps/{app}/apply", POST, Endpoint::Change(Change::Apply)),
    route("/v1/apps/{app}/services/{service}", GET, Endpoint::Read(Read::Service)),
    route("/v1/apps/{app}/services/{service}/revisions", GET, Endpoint::Read(Read::Revisions)),
    route("/v1/apps/{app}/services/{service}/history", GET, Endpoint::Read(Read::ServiceHistory)),
    route("/v1/apps/{app}/services/{service}/logs", GET, Endpoint::Stream(Stream::Logs)),
    route("/v1/apps/{app}/services/{service}/deploy", POST, Endpoint::Change(Change::DeployOne)),
    route("/v1/apps/{app}/services/{service}/canary", POST, Endpoint::Change(Change::Canary)),
    route("/v1/apps/{app}/services/{service}/promote", POST, Endpoint::Change(Change::Promote)),
    route("/v1/apps/{app}/services/{service}/abort", POST, Endpoint::Change(Change::Abort)),
    route("/v1/apps/{app}/services/{service}/rollback", POST, Endpoint::Change(Change::Rollback)),
    route("/v1/apps/{app}/services/{service}/drain", POST, Endpoint::Change(Change::Drain)),
];

/// The names in a path, as they are written there.
#[derive(Default)]
pub(super) struct Segments<'a> {
    pub(super) app: Option<&'a str>,
    pub(super) service: Option<&'a str>,
}

/// A request that was let in and found its way.
pub(super) struct Call<'a> {
    pub(super) server: &'a Server,
    pub(super) control: Arc<dyn Control>,
    /// Nothing for what is asked of the whole app.
    service: Option<ServiceName>,
    pub(super) query: Query,
    pub(super) headers: &'a http::HeaderMap,
    /// Only the head of the response is wanted.
    pub(super) head_only: bool,
}

impl Call<'_> {
    /// The service in the path.
    pub(super) fn service(&self) -> Result<ServiceName, Fault> {
        self.service.clone().ok_or(Fault::NoApiResource)
    }
}

/// The answer to one request, whatever it is.
pub(super) async fn answer(
    server: &Server,
    peer: IpAddr,
    request: Request<Incoming>,
    exchange: &Exchange,
) -> Response<Body> {
    exchange.handle();
    let mut response = respond(server, peer, request).await.unwrap_or_else(Fault::answer);
    answer::finish(&mut response);
    if let Body::Whole(_) = response.body() {
        exchange.respond();
    }
    // For HEAD hyper keeps the length and leaves the body out.
    response
}

async fn respond(server: &Server, peer: IpAddr, request: Request<Incoming>) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let found = find(path);
    let host = guard::host(&parts.uri, &parts.headers)?;
    let needs_token = match found.as_ref().map(|(route, _)| route.endpoint) {
        Some(Endpoint::Ready | Endpoint::Document) => false,
        Some(Endpoint::Metrics) => !guard::is_here(peer),
        Some(Endpoint::Read(_) | Endpoint::Stream(_) | Endpoint::Change(_)) => true,
        None => is_api(path),
    };
    if is_api(path) {
        guard::origin(&parts.headers, &host)?;
    }
    if needs_token {
        guard::token(&parts.headers, &server.state.token)?;
    }
    let Some((route, segments)) = found else {
        return Err(if is_api(path) {
            Fault::NoApiResource
        } else {
            Fault::NoResource
        });
    };
    if !route.takes(&parts.method) {
        return Err(Fault::MethodNotAllowed(route.allowed()));
    }
    let call = || -> Result<Call<'_>, Fault> {
        let control = server.state.control.borrow().clone().ok_or(Fault::Starting)?;
        is_served(control.as_ref(), &segments)?;
        Ok(Call {
            server,
            service: segments.service.map(request::service).transpose()?,
            query: Query::parse(parts.uri.query())?,
            headers: &parts.headers,
            head_only: parts.method == Method::HEAD,
            control,
        })
    };
    match route.endpoint {
        Endpoint::Ready => Ok(answer::readiness(*server.state.ready.borrow())),
        Endpoint::Metrics => Ok(whole(StatusCode::OK, OPENMETRICS, server.state.metrics.encode())),
        Endpoint::Document => Ok(whole(StatusCode::OK, JSON, DOCUMENT)),
        Endpoint::Read(read) => read::answer(read, call()?).await,
        Endpoint::Stream(stream) => stream::answer(stream, call()?),
        Endpoint::Change(change) => change::answer(change, call()?, body).await,
    }
}

/// Whether a path is of the API, and not of what needs no token.
fn is_api(path: &str) -> bool {
    path.strip_prefix("/v1")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_served(control: &dyn Control, segments: &Segments<'_>) -> Result<(), Fault> {
    let Some(segment) = segments.app else {
        return Ok(());
    };
    let (asked, served) = (request::app(segment)?, control.app());
    if asked.as_str() == served {
        return Ok(());
    }
    let asked = asked.to_string();
    Err(Fault::OtherApp { served, asked })
}

pub(super) fn find(path: &str) -> Option<(&'static Route, Segments<'_>)> {
    ROUTES
        .iter()
        .find_map(|route| Some((route, segments(route.path, path)?)))
}

/// The names in `path` if it is one of `pattern`. Other segments must be as they are, without percent-encoding.
fn segments<'a>(pattern: &str, path: &'a str) -> Option<Segments<'a>> {
    let mut names = Segments::default();
    let mut given = path.split('/');
    for wanted in pattern.split('/') {
        let given = given.next()?;
        match wanted {
            "{app}" if !given.is_empty() => names.app = Some(given),
            "{service}" if !given.is_empty() => names.service = Some(given),
            wanted if wanted == given => {}
            _ => return None,
        }
    }
    given.next().is_none().then_some(names)
}

impl Route {
    pub(super) fn takes(&self, method: &Method) -> bool {
        let verb = match *method {
            Method::GET | Method::HEAD => Verb::Get,
            Method::PUT => Verb::Put,
            Method::POST => Verb::Post,
            _ => return false,
        };
        self.verbs.contains(&verb)
    }

    /// The value of `Allow`.
    pub(super) fn allowed(&self) -> String {
        let names = self.verbs.iter().map(|verb| match verb {
            Verb::Get => "GET, HEAD",
            Verb::Put => "PUT",
            Verb::Post => "POST",
        });
        names.collect::<Vec<_>>().join(", ")
    }
}
