//! What one service may reach: the entries of `allowed_outbound_hosts`, their syntax and their match.

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use super::default_port;
use super::host::{Host, HostError, INTERNAL_SUFFIX};

/// What one service may reach. Empty, it allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<AllowedHost>);

/// An entry of `allowed_outbound_hosts` that is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} is no outbound host")]
pub struct AllowedHostError {
    /// The entry as it was given.
    pub entry: String,
    /// What is wrong with it.
    #[source]
    pub problem: AllowedHostProblem,
}

/// What is wrong with an entry of `allowed_outbound_hosts`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowedHostProblem {
    /// Spin 1's way to allow everything.
    #[error("`insecure:allow-all` belongs to manifest version 1: write `*://*:*` to allow every host")]
    InsecureAllowAll,
    /// `example.com`.
    #[error("it does not start with a scheme, as in `https://example.com` or `*://example.com:443`")]
    NoScheme,
    /// `h ttp://`, `{http,https}://`.
    #[error("{scheme:?} is not a scheme: write one, such as `https`, or `*` for any (one entry per scheme)")]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// `user@`.
    #[error("it holds a user name or password: they are no part of a grant")]
    UserInfo,
    /// Anything after the host and port but a slash.
    #[error("it has a path, query or fragment: a grant covers the whole host")]
    Path,
    /// Not a host.
    #[error("its host is wrong")]
    Host(#[from] HostError),
    /// `a.*.com`, `*.10.0.0.1`.
    #[error("`*` stands for a whole host or, as in `*.example.com`, for what comes before a domain")]
    Wildcard,
    /// `10.0.0.0/33`.
    #[error("`/{prefix}` is not the prefix length of an address range: 0 to 32 for IPv4, 0 to 128 for IPv6")]
    Cidr {
        /// What stands after the slash.
        prefix: String,
    },
    /// Not a port.
    #[error(
        "{port:?} is not a port: write 1 to 65535, `*`, or a range such as `8000..9000` (without its end)"
    )]
    Port {
        /// What stands after the colon.
        port: String,
    },
    /// `9000..8000`.
    #[error("the port range `{range}` is empty: it runs from the first port up to but without the second")]
    EmptyPortRange {
        /// The range.
        range: String,
    },
    /// `ftp://example.com`, `*://example.com`.
    #[error("the scheme `{scheme}` has no port of its own: add one, as in `:443`, or `:*` for any")]
    NoDefaultPort {
        /// The scheme.
        scheme: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AllowedHost {
    scheme: SchemePattern,
    host: HostPattern,
    port: PortPattern,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SchemePattern {
    Any,
    /// In lower case.
    Exactly(Box<str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Any,
    Myself,
    Exactly(Host),
    /// The domain without `*.`; the domain itself is not covered.
    Below(Box<str>),
    Network(IpNet),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PortPattern {
    Any,
    /// Half-open; in `u32` so that 65535 can be in it.
    Within(Range<u32>),
}

impl AllowedHosts {
    /// Parses `allowed_outbound_hosts`, its templates already resolved.
    ///
    /// # Errors
    /// [`AllowedHostError`] names the first wrong entry and what is wrong with it.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, AllowedHostError> {
        let parse = |entry: S| {
            let entry = entry.as_ref();
            AllowedHost::parse(entry.trim()).map_err(|problem| AllowedHostError {
                entry: String::from(entry),
                problem,
            })
        };
        entries.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing at all is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any entry is for this scheme, if only by `*`.
    pub fn has_scheme(&self, scheme: &str) -> bool {
        self.0.iter().any(|allowed| allowed.scheme.covers(scheme))
    }

    /// Whether any entry is for this scheme and every host.
    pub fn has_every_host(&self, scheme: &str) -> bool {
        self.0
            .iter()
            .any(|allowed| allowed.scheme.covers(scheme) && matches!(allowed.host, HostPattern::Any))
    }

    /// Whether a request to this destination is granted. `self` is asked for by [`Self::allows_self`].
    pub fn check(&self, scheme: &str, host: &Host, port: u16) -> bool {
        let granted = |allowed: &AllowedHost| {
            allowed.scheme.covers(scheme) && allowed.host.covers(host) && allowed.port.covers(port)
        };
        self.0.iter().any(granted)
    }

    /// Whether a connection to this address is granted to a guest that named the address and not a host. A
    /// socket has no scheme of its own: give `*`, which only grants of any scheme cover.
    pub fn check_address(&self, scheme: &str, ip: IpAddr, port: u16) -> bool {
        self.check(scheme, &Host::from(ip), port)
    }

    /// Whether the service may call its own app: an entry for `self`, or for any host, by HTTP.
    pub fn allows_self(&self) -> bool {
        let granted = |allowed: &AllowedHost| {
            (allowed.scheme.covers("http") || allowed.scheme.covers("https"))
                && matches!(allowed.host, HostPattern::Any | HostPattern::Myself)
        };
        self.0.iter().any(granted)
    }

    /// Whether the service may call another one of its app at `http://<service>.spin.internal`.
    pub fn allows_internal(&self, service: &str) -> bool {
        Host::parse(&format!("{service}{INTERNAL_SUFFIX}")).is_ok_and(|host| self.check("http", &host, 80))
    }
}

impl AllowedHost {
    fn parse(entry: &str) -> Result<Self, AllowedHostProblem> {
        let Some((scheme, rest)) = entry.split_once("://") else {
            let allow_all = entry == "insecure:allow-all";
            return Err(if allow_all {
                AllowedHostProblem::InsecureAllowAll
            } else {
                AllowedHostProblem::NoScheme
            });
        };
        let scheme_pattern = SchemePattern::parse(scheme)?;
        if rest.contains('@') {
            return Err(AllowedHostProblem::UserInfo);
        }
        if rest.contains(['?', '#', '\\']) {
            return Err(AllowedHostProblem::Path);
        }
        let host_end = match rest.find(']') {
            Some(bracket) if rest.starts_with('[') => bracket + 1,
            _ => rest.find([':', '/']).unwrap_or(rest.len()),
        };
        let (host, rest) = rest.split_at_checked(host_end).unwrap_or((rest, ""));
        let (prefix, rest) = split_prefix(rest);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return Err(AllowedHostProblem::Path);
        }
        let host = HostPattern::parse(host, prefix)?;
        let port = match rest.strip_prefix(':') {
            Some(port) if port.contains(':') => return Err(HostError::Ipv6.into()),
            Some(port) => PortPattern::parse(port)?,
            None if !rest.is_empty() => return Err(HostError::Ipv6.into()),
            None if host == HostPattern::Myself => PortPattern::Any,
            None => match default_port(scheme) {
                Some(port) => PortPattern::from(port),
                None => {
                    return Err(AllowedHostProblem::NoDefaultPort {
                        scheme: String::from(scheme),
                    });
                }
            },
        };
        Ok(Self {
            scheme: scheme_pattern,
            host,
            port,
        })
    }
}

/// Splits the `/24` of an address range off what follows the host. A slash that no digit follows is not one.
fn split_prefix(rest: &str) -> (Option<&str>, &str) {
    let Some(after) = rest.strip_prefix('/') else {
        return (None, rest);
    };
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    match after.split_at_checked(digits) {
        Some((prefix, rest)) if !prefix.is_empty() => (Some(prefix), rest),
        _ => (None, rest),
    }
}

impl SchemePattern {
    fn parse(scheme: &str) -> Result<Self, AllowedHostProblem> {
        let letter_first = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        match scheme {
            "*" => Ok(Self::Any),
            _ if letter_first && scheme.chars().all(valid) => {
                Ok(Self::Exactly(scheme.to_ascii_lowercase().into()))
            }
            _ => Err(AllowedHostProblem::Scheme {
                scheme: String::from(scheme),
            }),
        }
    }

    fn covers(&self, scheme: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => scheme.eq_ignore_ascii_case(wanted),
        }
    }
}

impl HostPattern {
    fn parse(text: &str, prefix: Option<&str>) -> Result<Self, AllowedHostProblem> {
        if let Some(prefix) = prefix {
            let Ok(Host::Ip(ip)) = Host::parse(text) else {
                return Err(AllowedHostProblem::Path);
            };
            let wrong = || AllowedHostProblem::Cidr {
                prefix: String::from(prefix),
            };
            let length = prefix.parse::<u8>().map_err(|_| wrong())?;
            return IpNet::new(ip, length)
                .map(|network| Self::Network(network.trunc()))
                .map_err(|_| wrong());
        }
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(domain) = text.strip_prefix("*.") {
            return match Host::parse(domain)? {
                Host::Domain(domain) if !domain.contains('*') => Ok(Self::Below(domain)),
                _ => Err(AllowedHostProblem::Wildcard),
            };
        }
        match Host::parse(text)? {
            host if host.is_self() => Ok(Self::Myself),
            Host::Domain(domain) if domain.contains('*') => Err(AllowedHostProblem::Wildcard),
            host => Ok(Self::Exactly(host)),
        }
    }

    fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exactly(wanted), host) => wanted == host,
            (Self::Below(domain), Host::Domain(name)) => name
                .strip_suffix(&**domain)
                .is_some_and(|before| before.len() > 1 && before.ends_with('.')),
            (Self::Network(network), Host::Ip(ip)) => network.contains(ip),
            (Self::Below(_), Host::Ip(_)) | (Self::Network(_), Host::Domain(_)) | (Self::Myself, _) => false,
        }
    }
}

impl PortPattern {
    fn parse(text: &str) -> Result<Self, AllowedHostProblem> {
        if text == "*" {
            return Ok(Self::Any);
        }
        // `u32::from_str` would take a plus sign.
        let number = |digits: &str, highest: u32| {
            let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits
                .parse::<u32>()
                .ok()
                .filter(|number| valid && (1..=highest).contains(number));
            number.ok_or_else(|| AllowedHostProblem::Port {
                port: String::from(text),
            })
        };
        let highest = u32::from(u16::MAX);
        let Some((start, end)) = text.split_once("..") else {
            let port = number(text, highest)?;
            return Ok(Self::Within(port..port + 1));
        };
        let range = number(start, highest)?..number(end, highest + 1)?;
        if range.is_empty() {
            return Err(AllowedHostProblem::EmptyPortRange {
                range: String::from(text),
            });
        }
        Ok(Self::Within(range))
    }

    fn covers(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Within(range) => range.contains(&u32::from(port)),
        }
    }
}

impl From<u16> for PortPattern {
    fn from(port: u16) -> Self {
        Self::Within(u32::from(port)..u32::from(port) + 1)
    }
}
