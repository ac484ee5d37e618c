//! Outbound HTTP: the grant check, and the port to whatever sends the request.
//!
//! Owns what a service may call ([`OutboundHttp`]) and the errors of a call. Hides nothing of `wasi:http`:
//! the engine maps [`HttpClientError`] and [`Denied`] onto its error codes, one to one.
//!
//! Invariants: [`OutboundHttp::authorize`] comes before [`HttpClient::send`]; the client itself refuses
//! addresses that are blocked for the whole host, after name resolution; it follows no redirect, since the
//! target of one would need a grant of its own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::uri::Authority;
use http_body_util::combinators::UnsyncBoxBody;

use crate::model::outbound_host::{
    AllowedHosts, BlockedNetworks, Host, HostError, INTERNAL_SUFFIX, default_port, manifest_line,
};

/// The body of a request or response, with its trailers. An error of a request's body becomes that of the
/// call.
pub type Body = UnsyncBoxBody<Bytes, HttpClientError>;

/// The port: sends requests and gives back responses, both streamed.
pub trait HttpClient: Send + Sync {
    /// Sends a request, whose URI is absolute, and resolves when the head of the response is there. Dropping
    /// the future, or later the body of the response, ends the exchange.
    fn send(
        &self,
        request: http::Request<Body>,
        options: ClientOptions,
    ) -> BoxFuture<'static, Result<http::Response<Body>, HttpClientError>>;
}

/// How long a guest is willing to wait (`wasi:http` request options). The client has ceilings of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientOptions {
    /// Until there is a connection: name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From then on until the head of the response.
    pub first_byte_timeout: Duration,
    /// Until the next piece of the response's body, each time the guest waits for one.
    pub between_bytes_timeout: Duration,
}

impl Default for ClientOptions {
    /// 10 s, 60 s, 60 s.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(60),
            between_bytes_timeout: Duration::from_secs(60),
        }
    }
}

impl ClientOptions {
    /// The shorter of each pair of times.
    pub fn at_most(self, ceiling: Self) -> Self {
        Self {
            connect_timeout: self.connect_timeout.min(ceiling.connect_timeout),
            first_byte_timeout: self.first_byte_timeout.min(ceiling.first_byte_timeout),
            between_bytes_timeout: self.between_bytes_timeout.min(ceiling.between_bytes_timeout),
        }
    }
}

/// Why a call failed, by the error codes of `wasi:http/types`. The texts are for logs and for
/// `internal-error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpClientError {
    /// `DNS-timeout`.
    #[error("the name was not resolved in time")]
    DnsTimeout,
    /// `DNS-error`.
    #[error("the name could not be resolved: {reason}")]
    DnsError {
        /// What the resolver said.
        reason: String,
    },
    /// `destination-not-found`: no such service inside of the app.
    #[error("there is no such destination")]
    DestinationNotFound,
    /// `destination-unavailable`: it cannot be reached, for a reason that has no code of its own.
    #[error("the destination cannot be reached: {reason}")]
    DestinationUnavailable {
        /// What the operating system said.
        reason: String,
    },
    /// `destination-IP-prohibited`.
    #[error("the address {ip} is blocked for every service of this host (`block_networks`)")]
    DestinationIpProhibited {
        /// The address, or the first of several.
        ip: IpAddr,
    },
    /// `destination-IP-unroutable`.
    #[error("there is no route to the destination")]
    DestinationIpUnroutable,
    /// `connection-refused`.
    #[error("the connection was refused")]
    ConnectionRefused,
    /// `connection-terminated`: closed by the other side before the head of a response.
    #[error("the connection was closed before there was a response")]
    ConnectionTerminated,
    /// `connection-timeout`.
    #[error("no connection was made in time")]
    ConnectionTimeout,
    /// `connection-read-timeout`: too long a pause within the body of a response.
    #[error("no more of the response came in time")]
    ConnectionReadTimeout,
    /// `connection-limit-reached`.
    #[error("the host has as many outbound connections as it allows")]
    ConnectionLimitReached,
    /// `TLS-protocol-error`.
    #[error("TLS failed: {reason}")]
    TlsProtocol {
        /// What the TLS library said.
        reason: String,
    },
    /// `TLS-certificate-error`.
    #[error("the certificate is not trusted: {reason}")]
    TlsCertificate {
        /// What the TLS library said.
        reason: String,
    },
    /// `TLS-alert-received`.
    #[error("the other side ended TLS with alert {id} ({message})")]
    TlsAlertReceived {
        /// The number of the alert (RFC 8446, 6).
        id: u8,
        /// Its name.
        message: String,
    },
    /// `HTTP-request-method-invalid`: `CONNECT`, which would be a tunnel out of the sandbox.
    #[error("the method cannot be used")]
    HttpRequestMethodInvalid,
    /// `HTTP-request-URI-invalid`.
    #[error("the URI of the request is not an absolute one of `http` or `https`")]
    HttpRequestUriInvalid,
    /// `HTTP-request-body-size`: the guest's body is not as long as it declared.
    #[error("the body of the request is not as long as it was declared")]
    HttpRequestBodySize,
    /// `HTTP-response-incomplete`: it ended within its body.
    #[error("the response ended before its end")]
    HttpResponseIncomplete,
    /// `HTTP-response-header-section-size`.
    #[error("the head of the response is too large")]
    HttpResponseHeaderSectionSize,
    /// `HTTP-response-timeout`: no head of a response.
    #[error("there was no response in time")]
    HttpResponseTimeout,
    /// `HTTP-protocol-error`.
    #[error("the exchange broke the rules of HTTP: {reason}")]
    HttpProtocol {
        /// What the HTTP library said.
        reason: String,
    },
    /// `internal-error`.
    #[error("{reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}

/// Where an authorized request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Out, by [`HttpClient`].
    External,
    /// To the service of the same app that is named so, as the guest spelled it.
    Internal(String),
    /// To the app itself, through its own routes.
    Myself,
}

/// A request that its service may not make (`HTTP-request-denied`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No grant covers the destination.
    #[error("`{url}` is not among the allowed outbound hosts of this service; to allow it: {manifest_line}")]
    NotGranted {
        /// Scheme, host and port of the destination.
        url: String,
        /// What to write.
        manifest_line: String,
    },
    /// Neither `http` nor `https`.
    #[error("`{scheme}` is not a scheme of HTTP: use `http` or `https`")]
    Scheme {
        /// The scheme that was asked for.
        scheme: String,
    },
    /// A user name in the authority, or a port that is none.
    #[error("`{authority}` is not a host with or without a port (user names are not accepted)")]
    Authority {
        /// The authority that was asked for, without what stands before an `@`.
        authority: String,
    },
    /// A host that is none.
    #[error("`{authority}` names no host")]
    Host {
        /// The authority that was asked for.
        authority: String,
        /// What is wrong with it.
        #[source]
        problem: HostError,
    },
}

/// The capability of one service.
#[derive(Debug, Clone, Default)]
pub struct OutboundHttp {
    hosts: AllowedHosts,
    blocked: BlockedNetworks,
}

impl OutboundHttp {
    /// The capability that the manifest grants by `allowed_outbound_hosts`.
    ///
    /// `blocked` holds for sockets; the client checks its own connections.
    pub fn new(hosts: AllowedHosts, blocked: BlockedNetworks) -> Self {
        Self { hosts, blocked }
    }

    /// Whether the service may make sockets of this scheme (`tcp` or `udp`) at all.
    pub fn has_sockets(&self, scheme: &str) -> bool {
        self.hosts.has_scheme(scheme)
    }

    /// Whether the service may resolve names: a lookup tells the outside something, so only where every host may be
    /// reached by a socket. Requests by name are resolved by the host.
    pub fn may_resolve(&self) -> bool {
        self.hosts.has_every_host("tcp") || self.hosts.has_every_host("udp")
    }

    /// Whether a socket of the service may reach an address: the manifest allows it for the scheme `tcp` or `udp`, and
    /// the host does not block its network.
    pub fn allows_socket(&self, scheme: &str, address: SocketAddr) -> bool {
        self.hosts.check_address(scheme, address.ip(), address.port()) && !self.blocked.blocks(address.ip())
    }

    /// Decides whether a request may be made, and which way it goes. Without an authority it is one to the
    /// app itself, as it is with the host `self` or `self.alt`.
    ///
    /// # Errors
    /// [`Denied`] says what was asked for, and the manifest line that would allow it.
    pub fn authorize(&self, scheme: &str, authority: Option<&Authority>) -> Result<Target, Denied> {
        let Some(default_port) = default_port(scheme).filter(|_| is_http(scheme)) else {
            return Err(Denied::Scheme {
                scheme: String::from(scheme),
            });
        };
        let (host, written, port) = match authority.filter(|authority| !authority.as_str().is_empty()) {
            None => (Host::Domain("self".into()), "", default_port),
            Some(authority) => {
                let port = port(authority, default_port)?;
                let host = Host::parse(authority.host()).map_err(|problem| Denied::Host {
                    authority: authority.to_string(),
                    problem,
                })?;
                (host, authority.host(), port)
            }
        };
        let myself = host.is_self();
        let granted = if myself {
            self.hosts.allows_self()
        } else {
            self.hosts.check(scheme, &host, port)
        };
        if !granted {
            let manifest_line = manifest_line(scheme, &host, port);
            let port = if port == default_port {
                String::new()
            } else {
                format!(":{port}")
            };
            return Err(Denied::NotGranted {
                url: format!("{scheme}://{host}{port}"),
                manifest_line,
            });
        }
        Ok(match host.internal_service() {
            _ if myself => Target::Myself,
            None => Target::External,
            Some(service) => Target::Internal(as_written(service, written)),
        })
    }
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// The port of an authority that is nothing but a host and perhaps a port.
fn port(authority: &Authority, default_port: u16) -> Result<u16, Denied> {
    let text = authority.as_str();
    let refused = || {
        let authority = text.rsplit('@').next().unwrap_or_default();
        Denied::Authority {
            authority: String::from(authority),
        }
    };
    // A name of a user may begin as the host does.
    let host_and_port = Some(text).filter(|text| !text.contains('@'));
    match host_and_port.and_then(|text| text.strip_prefix(authority.host())) {
        Some("" | ":") => Ok(default_port),
        Some(_) => authority.port_u16().filter(|port| *port != 0).ok_or_else(refused),
        None => Err(refused()),
    }
}

/// Names of services may have capitals, which the normal form of a host has not.
fn as_written(service: &str, host: &str) -> String {
    let host = host.strip_suffix('.').unwrap_or(host);
    let name = host
        .len()
        .checked_sub(INTERNAL_SUFFIX.len())
        .and_then(|end| host.get(..end));
    String::from(
        name.filter(|name| name.eq_ignore_ascii_case(service))
            .unwrap_or(service),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn authorize(entries: &[&str], scheme: &str, authority: &str) -> Result<Target, Denied> {
        let authority = (!authority.is_empty()).then(|| authority.parse().unwrap());
        OutboundHttp::new(AllowedHosts::parse(entries).unwrap(), BlockedNetworks::default())
            .authorize(scheme, authority.as_ref())
    }

    #[test]
    fn a_granted_request_goes_where_its_host_says() {
        let any: &[&str] = &["*://*:*"];
        for (entries, scheme, authority, target) in [
            (
                &["https://api.example.com"][..],
                "https",
                "api.example.com",
                Target::External,
            ),
            (
                &["https://api.example.com"],
                "https",
                "API.example.com.:443",
                Target::External,
            ),
            (
                &["https://api.example.com"],
                "HTTPS",
                "api.example.com:",
                Target::External,
            ),
            (&["http://[::1]:3000"], "http", "[::1]:3000", Target::External),
            (any, "http", "10.0.0.1:1", Target::External),
            (&["http://self"], "http", "", Target::Myself),
            (&["http://self"], "http", "self", Target::Myself),
            (&["http://self"], "https", "self.alt", Target::Myself),
            (any, "http", "", Target::Myself),
            (
                &["http://*.spin.internal"],
                "http",
                "catalog.spin.internal",
                Target::Internal("catalog".into()),
            ),
            (
                &["http://API.spin.internal"],
                "http",
                "API.Spin.internal.",
                Target::Internal("API".into()),
            ),
            (
                any,
                "https",
                "catalog.spin.internal:8080",
                Target::Internal("catalog".into()),
            ),
        ] {
            assert_eq!(
                authorize(entries, scheme, authority),
                Ok(target),
                "{scheme}://{authority}"
            );
        }
    }

    #[test]
    fn a_denial_prints_the_line_that_would_allow_it() {
        for (scheme, authority, url, line) in [
            (
                "https",
                "api.example.com",
                "https://api.example.com",
                "https://api.example.com",
            ),
            (
                "https",
                "API.example.com:8443",
                "https://api.example.com:8443",
                "https://api.example.com:8443",
            ),
            ("http", "2130706433", "http://127.0.0.1", "http://127.0.0.1"),
            ("http", "", "http://self", "http://self"),
            (
                "http",
                "catalog.spin.internal",
                "http://catalog.spin.internal",
                "http://catalog.spin.internal",
            ),
        ] {
            let denied = authorize(&["http://other.example"], scheme, authority).unwrap_err();
            let manifest_line = format!("allowed_outbound_hosts = [\"{line}\"]");
            assert!(denied.to_string().ends_with(&manifest_line), "{denied}");
            assert_eq!(
                denied,
                Denied::NotGranted {
                    url: String::from(url),
                    manifest_line
                }
            );
            let target = authorize(&[line], scheme, authority);
            assert!(
                target.is_ok(),
                "{line} should allow {scheme}://{authority}: {target:?}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_denied_even_with_every_grant() {
        let any: &[&str] = &["*://*:*"];
        for authority in [
            "user@example.com",
            "user:secret@example.com:80",
            "example.com:0",
            "example.com:99999",
        ] {
            let denied = authorize(any, "http", authority).unwrap_err();
            assert!(
                matches!(denied, Denied::Authority { .. }),
                "{authority}: {denied:?}"
            );
            assert!(!denied.to_string().contains("secret"));
        }
        for authority in ["1.2.3.256", "a..b:80", ".:80"] {
            let denied = authorize(any, "http", authority).unwrap_err();
            assert!(matches!(denied, Denied::Host { .. }), "{authority}: {denied:?}");
        }
        assert_eq!(
            authorize(any, "ftp", "example.com"),
            Err(Denied::Scheme {
                scheme: String::from("ftp")
            })
        );
        assert_eq!(
            authorize(any, "redis", ""),
            Err(Denied::Scheme {
                scheme: String::from("redis")
            })
        );
    }

    #[test]
    fn a_user_named_as_the_host_is_refused_like_any_other() {
        let everything = AllowedHosts::parse(["*://*:*"]).unwrap();
        let everything = OutboundHttp::new(everything, BlockedNetworks::default());
        for text in ["a@a:1", "a-@a:1", "a:b@a:1"] {
            let authority: Authority = text.parse().unwrap();
            let refused = everything.authorize("http", Some(&authority));
            assert!(matches!(refused, Err(Denied::Authority { .. })), "{text}");
        }
    }

    proptest! {
        #[test]
        fn without_a_grant_nothing_is_allowed_and_nothing_panics(
            scheme in "(http|HTTPS|[a-z*]{0,5})",
            authority in "[a-cA-C0-9.:@%\\[\\]_-]{0,24}(\\.spin\\.internal)?(:[0-9]{0,6})?",
        ) {
            let Ok(authority) = authority.parse::<Authority>() else { return Ok(()) };
            prop_assert!(OutboundHttp::default().authorize(&scheme, Some(&authority)).is_err());
            let everything = OutboundHttp::new(AllowedHosts::parse(["*://*:*"]).unwrap(), BlockedNetworks::default());
            let allowed = everything.authorize(&scheme, Some(&authority));
            prop_assert!(!authority.as_str().contains('@') || allowed.is_err());
        }
    }
}
