//! The request head as a guest sees it: the authority in its place, Spin's headers, and nothing that a client made up.
//!
//! Source: spinframework.dev, "HTTP trigger", request information.

use std::net::Ipv6Addr;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};

use super::respond::GatewayError;
use crate::model::route::RoutePattern;
use crate::service::router::Match;

const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");
const PATH_MATCH: &str = "spin-path-match-";

/// What chained requests are addressed to; no request from outside may be.
pub(super) const INTERNAL_SUFFIX: &str = ".spin.internal";

/// The size of a head as the listener counts it, in bytes.
pub(super) fn head_size(method: &Method, uri: &Uri, headers: &HeaderMap) -> usize {
    let path = uri.path_and_query().map_or(1, |path| path.as_str().len());
    let line = method.as_str().len() + path;
    headers.iter().fold(line, |size, (name, value)| {
        size + name.as_str().len() + value.len() + 4
    })
}

/// Refuses a body whose end two readers could see in two places (RFC 9112 §6.1): the one transfer coding that this listener
/// decodes is `chunked`, once. Hyper takes whatever ends in it, and would hand on what the other codings made of the body.
pub(super) fn framing(headers: &HeaderMap) -> Result<(), GatewayError> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    Err(bad("The one transfer coding that is understood is chunked."))
}

/// The authority that a request is for: of its URI if it has one (RFC 9112 §3.2.2), else of its `Host`. One `Host` there must
/// be in HTTP/1.1 all the same, and in HTTP/2 it must agree with the URI (RFC 9113 §8.3.1).
///
/// A request for a name below `.spin.internal` is taken as one for the listener: those names are for services only.
pub(super) fn authority(
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
    listener: &str,
) -> Result<Authority, GatewayError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().map(host).transpose()?;
    if hosts.next().is_some() {
        return Err(bad("The request has more than one Host header."));
    }
    if let Some(scheme) = uri.scheme()
        && *scheme != Scheme::HTTP
        && *scheme != Scheme::HTTPS
    {
        return Err(bad("The request's scheme is neither http nor https."));
    }
    if uri.authority().is_some() && uri.scheme().is_none() {
        // RFC 9112 §3.2.3: only CONNECT has such a target.
        return Err(bad("The request's target is a host and has no path."));
    }
    let authority = match (uri.authority(), host) {
        (Some(authority), host) => {
            check(authority)?;
            match host {
                Some(host) if version == Version::HTTP_2 && !are_same(uri.scheme(), authority, &host) => {
                    return Err(bad("The Host header differs from the request's authority."));
                }
                None if version == Version::HTTP_11 => return Err(bad(NO_HOST)),
                Some(_) | None => authority.clone(),
            }
        }
        (None, Some(host)) => host,
        (None, None) if version < Version::HTTP_11 => {
            return listener.parse().map_err(|_| bad("The request names no host."));
        }
        // RFC 9112 §3.2, RFC 9113 §8.3.1.
        (None, None) => return Err(bad(NO_HOST)),
    };
    if authority
        .host()
        .to_ascii_lowercase()
        .trim_end_matches('.')
        .ends_with(INTERNAL_SUFFIX)
    {
        return listener.parse().map_err(|_| bad("The request names no host."));
    }
    Ok(authority)
}

const NO_HOST: &str = "The request has no Host header.";

fn bad(detail: &'static str) -> GatewayError {
    GatewayError::BadRequest {
        detail: detail.into(),
    }
}

/// The authority in a `Host` header.
fn host(value: &HeaderValue) -> Result<Authority, GatewayError> {
    if value.is_empty() {
        return Err(bad("The Host header is empty."));
    }
    let authority = Authority::from_maybe_shared(Bytes::copy_from_slice(value.as_bytes()))
        .map_err(|_| bad("The Host header is not a valid host."))?;
    check(&authority)?;
    Ok(authority)
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2) and no more, without percent-encoding.
fn check(authority: &Authority) -> Result<(), GatewayError> {
    if authority.as_str().contains('@') {
        return Err(bad("The host must not carry user information."));
    }
    let host = authority.host();
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_of_a_name),
    };
    let is_port = match authority.as_str().strip_prefix(host) {
        Some("") => true,
        Some(rest) => rest.strip_prefix(':').is_some_and(|port| {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            digits && (port.is_empty() || port.parse::<u16>().is_ok())
        }),
        None => false,
    };
    if is_host && is_port {
        return Ok(());
    }
    Err(bad("The request's host is not a valid one."))
}

/// `unreserved` and `sub-delims` of RFC 3986.
fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// Whether both name the same host and port, one of them perhaps without saying the port that the scheme has anyway.
fn are_same(scheme: Option<&Scheme>, one: &Authority, other: &Authority) -> bool {
    let usual = if scheme == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other)
}

/// The URI with scheme and authority, as a guest's interface needs it.
pub(super) fn absolute(uri: &Uri, authority: &Authority) -> Result<Uri, GatewayError> {
    let path = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(authority.clone())
        .path_and_query(path)
        .build()
        .map_err(|_| GatewayError::BadRequest {
            detail: "The request's target is not valid.".into(),
        })
}

/// Puts Spin's headers in, in place of whatever the client sent under their names.
pub(super) fn inject<T>(
    headers: &mut HeaderMap,
    url: &Uri,
    found: &Match<'_, T>,
    client: &HeaderValue,
) -> Result<(), GatewayError> {
    remove_forged(headers);
    let pattern: &RoutePattern = found.pattern;
    set(headers, PATH_INFO, found.trailing)?;
    set(headers, FULL_URL, &url.to_string())?;
    set(headers, MATCHED_ROUTE, pattern.matched_route())?;
    headers.insert(BASE_PATH, HeaderValue::from_static("/"));
    set(headers, RAW_COMPONENT_ROUTE, pattern.raw())?;
    set(headers, COMPONENT_ROUTE, pattern.component_route())?;
    headers.insert(CLIENT_ADDR, client.clone());
    for (name, value) in found.segments() {
        let name = format!("{PATH_MATCH}{}", name.to_ascii_lowercase().replace('_', "-"));
        let Ok(name) = HeaderName::try_from(name) else {
            continue;
        };
        set(headers, name, value)?;
    }
    Ok(())
}

/// The same for a request of one service to another: it has passed no route.
pub(super) fn inject_chained(
    headers: &mut HeaderMap,
    url: &Uri,
    client: &HeaderValue,
) -> Result<(), GatewayError> {
    remove_forged(headers);
    set(headers, PATH_INFO, url.path())?;
    set(headers, FULL_URL, &url.to_string())?;
    headers.insert(MATCHED_ROUTE, HeaderValue::from_static("/..."));
    headers.insert(BASE_PATH, HeaderValue::from_static("/"));
    headers.insert(RAW_COMPONENT_ROUTE, HeaderValue::from_static("/..."));
    headers.insert(COMPONENT_ROUTE, HeaderValue::from_static("/"));
    headers.insert(CLIENT_ADDR, client.clone());
    Ok(())
}

/// The fixed ones are overwritten; these could be others than the route's.
fn remove_forged(headers: &mut HeaderMap) {
    let forged: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(PATH_MATCH))
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), GatewayError> {
    let value = HeaderValue::try_from(value).map_err(|_| GatewayError::BadRequest {
        detail: "The request's target is not valid.".into(),
    })?;
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests;
