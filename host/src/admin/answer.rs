//! Requests to the admin listener and their answers. No I/O; errors are problems (RFC 9457).

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, RETRY_AFTER},
    uri::Authority,
};
use http_body_util::Full;
use serde::Serialize;

use super::{AdminState, Readiness};
use crate::telemetry::metrics::CONTENT_TYPE as OPENMETRICS;

const TEXT: &str = "text/plain; charset=utf-8";
const PROBLEM: &str = "application/problem+json";
const ALLOWED: &str = "GET, HEAD";

/// A request that is refused.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    NoHost,
    ForeignHost,
    NotFound,
    MethodNotAllowed,
}

#[derive(Serialize)]
struct Problem {
    title: &'static str,
    status: u16,
    detail: &'static str,
}

/// The answer to `request`. What it has of a body is not read.
pub(super) fn to<B>(request: &Request<B>, state: &AdminState) -> Response<Full<Bytes>> {
    let mut response = match granted(request) {
        Ok(Resource::Ready) => readiness(*state.ready.borrow()),
        Ok(Resource::Metrics) => answer(StatusCode::OK, OPENMETRICS, state.metrics.encode()),
        Err(refusal) => refusal.answer(),
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // For HEAD hyper keeps the length and leaves the body out.
    response
}

enum Resource {
    Ready,
    Metrics,
}

fn granted<B>(request: &Request<B>) -> Result<Resource, Refusal> {
    // A target in absolute form outranks the header (RFC 9112, section 3.2.2).
    let host = match request.uri().authority() {
        Some(authority) => authority.clone(),
        None => host_header(request)?,
    };
    if !is_own(&host) {
        return Err(Refusal::ForeignHost);
    }
    let resource = match request.uri().path() {
        "/ready" => Resource::Ready,
        "/metrics" => Resource::Metrics,
        _ => return Err(Refusal::NotFound),
    };
    match *request.method() {
        Method::GET | Method::HEAD => Ok(resource),
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// The one `Host` header.
fn host_header<B>(request: &Request<B>) -> Result<Authority, Refusal> {
    let mut values = request.headers().get_all(HOST).iter();
    match (values.next(), values.next()) {
        (Some(host), None) => Authority::try_from(host.as_bytes()).map_err(|_| Refusal::NoHost),
        _ => Err(Refusal::NoHost),
    }
}

/// Whether an authority can only mean a machine that was meant: an address, or the name that always means
/// this one (RFC 6761, section 6.3). With more than a host and a port it means nothing.
fn is_own(authority: &Authority) -> bool {
    let host = authority.host();
    let port = authority.as_str().strip_prefix(host).unwrap_or("?");
    let own_name = host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok()
        || host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    own_name
        && (port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|port| port.parse::<u16>().is_ok()))
}

fn readiness(readiness: Readiness) -> Response<Full<Bytes>> {
    match readiness {
        Readiness::Ready => answer(StatusCode::OK, TEXT, "ready\n"),
        Readiness::Starting => unavailable("starting\n"),
        Readiness::Draining => unavailable("draining\n"),
    }
}

fn unavailable(state: &'static str) -> Response<Full<Bytes>> {
    let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, state);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

impl Refusal {
    fn answer(self) -> Response<Full<Bytes>> {
        let (status, title, detail) = match self {
            Self::NoHost => (
                StatusCode::BAD_REQUEST,
                "Bad request",
                "The request needs one valid Host header.",
            ),
            Self::ForeignHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "Misdirected request",
                "The admin listener answers to an IP address or to localhost in the Host header.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "There are /ready and /metrics.",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Method not allowed",
                "Use GET or HEAD.",
            ),
        };
        let problem = Problem {
            title,
            status: status.as_u16(),
            detail,
        };
        // Strings and a number always serialise.
        let mut response = answer(status, PROBLEM, serde_json::to_vec(&problem).unwrap_or_default());
        if let Self::MethodNotAllowed = self {
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(ALLOWED));
        }
        response
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
