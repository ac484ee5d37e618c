//! Who may ask: the checks of `Host`, `Origin` and the token, before anything else of a request is looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderValue};

use super::problem::Fault;
use super::token::Token;

/// Whom a request is for: an address or `localhost`, so that no page in a browser can make a name of its own point here.
pub(super) fn host(target: &Uri, headers: &HeaderMap) -> Result<Authority, Fault> {
    // A target in absolute form outranks the header (RFC 9112 §3.2.2).
    let host = match target.authority() {
        Some(authority) => authority.clone(),
        None => {
            let host = only(headers, &HOST).map_err(|Several| Fault::NoHost)?;
            let host = host.ok_or(Fault::NoHost)?;
            Authority::try_from(host.as_bytes()).map_err(|_| Fault::NoHost)?
        }
    };
    if is_own(&host) {
        Ok(host)
    } else {
        Err(Fault::ForeignHost)
    }
}

/// Refuses pages of other origins (RFC 6454), those of the app itself on another port among them. Programs send none.
pub(super) fn origin(headers: &HeaderMap, host: &Authority) -> Result<(), Fault> {
    match only(headers, &ORIGIN) {
        Ok(None) => Ok(()),
        Ok(Some(origin)) => {
            let own = origin
                .as_bytes()
                .strip_prefix(b"http://")
                .is_some_and(|of| of.eq_ignore_ascii_case(host.as_str().as_bytes()));
            if own { Ok(()) } else { Err(Fault::ForeignOrigin) }
        }
        Err(Several) => Err(Fault::ForeignOrigin),
    }
}

/// Whether the request has the token (RFC 6750 §2.1).
pub(super) fn token(headers: &HeaderMap, token: &Token) -> Result<(), Fault> {
    let credentials = only(headers, &AUTHORIZATION).map_err(|Several| Fault::NoToken)?;
    let credentials = credentials.ok_or(Fault::NoToken)?.as_bytes();
    let (scheme, given) = credentials
        .split_at_checked(b"Bearer ".len())
        .ok_or(Fault::NoToken)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(Fault::NoToken);
    }
    if token.is(given.trim_ascii()) {
        Ok(())
    } else {
        Err(Fault::WrongToken)
    }
}

/// Whether a client is on this machine.
pub(super) fn is_here(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

/// There is more than one such header.
struct Several;

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Several> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Several),
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
