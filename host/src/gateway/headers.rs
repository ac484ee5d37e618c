//! The request head as a guest sees it: the authority in its place, Spin's headers, and nothing that a client made up.
//!
//! Source: spinframework.dev, "HTTP trigger", request information.

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version, header};

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
pub(super) fn head_size(uri: &Uri, headers: &HeaderMap) -> usize {
    let path = uri.path_and_query().map_or(1, |path| path.as_str().len());
    headers.iter().fold(path, |size, (name, value)| {
        size + name.as_str().len() + value.len() + 4
    })
}

/// The authority that a request is for: of its URI if it has one (RFC 9112 §3.2.2), else of its `Host`.
///
/// A request for a name below `.spin.internal` is taken as one for the listener: those names are for services only.
pub(super) fn authority(
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
    listener: &str,
) -> Result<Authority, GatewayError> {
    let bad = |detail: &'static str| GatewayError::BadRequest {
        detail: detail.into(),
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("The request has more than one Host header."));
    }
    let authority = match (uri.authority(), host) {
        (Some(authority), _) => authority.clone(),
        (None, Some(host)) if host.is_empty() => return Err(bad("The Host header is empty.")),
        (None, Some(host)) => Authority::from_maybe_shared(Bytes::copy_from_slice(host.as_bytes()))
            .map_err(|_| bad("The Host header is not a valid host."))?,
        // RFC 9112 §3.2.
        (None, None) if version == Version::HTTP_11 => return Err(bad("The request has no Host header.")),
        (None, None) => return listener.parse().map_err(|_| bad("The request names no host.")),
    };
    if authority.as_str().contains('@') {
        return Err(bad("The host must not carry user information."));
    }
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
mod tests {
    use super::*;

    fn host(values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::HOST, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_uri_outranks_the_host_header() {
        let uri = Uri::from_static("http://a.example/x");
        let authority =
            authority(Version::HTTP_11, &uri, &host(&["b.example"]), "127.0.0.1:3000").expect("valid");
        assert_eq!(authority.as_str(), "a.example");
    }

    #[test]
    fn a_request_from_outside_never_has_an_internal_name() {
        for name in ["auth.spin.internal", "AUTH.Spin.Internal:80", "a.spin.internal."] {
            let authority = authority(
                Version::HTTP_11,
                &Uri::from_static("/"),
                &host(&[name]),
                "127.0.0.1:3000",
            )
            .expect("valid");
            assert_eq!(authority.as_str(), "127.0.0.1:3000", "{name}");
        }
    }

    #[test]
    fn ambiguous_and_broken_hosts_are_refused() {
        for values in [&["a", "b"][..], &[""], &["a b"], &["user@a"]] {
            let refused = authority(
                Version::HTTP_11,
                &Uri::from_static("/"),
                &host(values),
                "127.0.0.1:3000",
            );
            assert!(refused.is_err(), "{values:?}");
        }
    }

    #[test]
    fn only_an_old_request_may_name_no_host() {
        let none = HeaderMap::new();
        let uri = Uri::from_static("/");
        assert!(authority(Version::HTTP_11, &uri, &none, "127.0.0.1:3000").is_err());
        let listener =
            authority(Version::HTTP_10, &uri, &none, "127.0.0.1:3000").expect("HTTP/1.0 has no Host");
        assert_eq!(listener.as_str(), "127.0.0.1:3000");
    }
}
