//! One destination host and its normal form.

use std::fmt;
use std::net::IpAddr;

/// What every service of the app is called inside of it: `<service>` before this suffix.
pub const INTERNAL_SUFFIX: &str = ".spin.internal";

/// The longest host name, in bytes (RFC 1035).
pub const MAX_HOST_BYTES: usize = 253;

/// Where to: an address, or a name that is not resolved yet. In normal form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address that was named as such.
    Ip(IpAddr),
    /// A name, in lower-case ASCII without a dot at its end.
    Domain(Box<str>),
}

/// Why a text is not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("the host is missing")]
    Empty,
    /// More than [`MAX_HOST_BYTES`].
    #[error("a host name has at most {MAX_HOST_BYTES} bytes, this one has {bytes}")]
    TooLong {
        /// Length of the refused text.
        bytes: usize,
    },
    /// `::1` where `[::1]` is wanted, or brackets around something else.
    #[error("an IPv6 address stands in brackets, as in `[::1]`, and brackets hold nothing else")]
    Ipv6,
    /// A space, a percent sign, an empty label, a number that is no address …
    #[error("{text:?} is neither a host name nor an address")]
    Invalid {
        /// The refused text.
        text: String,
    },
}

impl Host {
    /// Brings a host to its normal form. Non-ASCII names become punycode (UTS 46).
    ///
    /// # Errors
    /// [`HostError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.len() > 4 * MAX_HOST_BYTES {
            return Err(HostError::TooLong { bytes: text.len() });
        }
        let invalid = || HostError::Invalid {
            text: String::from(text),
        };
        if text.contains('%') {
            return Err(invalid());
        }
        if text.starts_with('[') != text.ends_with(']') || (!text.starts_with('[') && text.contains(':')) {
            return Err(HostError::Ipv6);
        }
        let dotless = text.strip_suffix('.').unwrap_or(text);
        match url::Host::parse(dotless) {
            Ok(url::Host::Ipv4(ip)) => Ok(Self::Ip(ip.into())),
            Ok(url::Host::Ipv6(ip)) => Ok(Self::from(IpAddr::V6(ip))),
            Ok(url::Host::Domain(name)) if name.len() > MAX_HOST_BYTES => {
                Err(HostError::TooLong { bytes: name.len() })
            }
            Ok(url::Host::Domain(name)) if name.split('.').any(str::is_empty) => Err(invalid()),
            Ok(url::Host::Domain(name)) => Ok(Self::Domain(name.into())),
            Err(_) if text.starts_with('[') => Err(HostError::Ipv6),
            Err(_) => Err(invalid()),
        }
    }

    /// Whether this is the app itself: `self`, or `self.alt` for clients that refuse a name of one label.
    pub fn is_self(&self) -> bool {
        matches!(self, Self::Domain(name) if is_self(name))
    }

    /// The service that `<service>.spin.internal` names, in lower case.
    pub fn internal_service(&self) -> Option<&str> {
        match self {
            Self::Domain(name) => name.strip_suffix(INTERNAL_SUFFIX),
            Self::Ip(_) => None,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip.to_canonical())
    }
}

/// As in a URL: an IPv6 address has its brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Domain(name) => f.write_str(name),
        }
    }
}

fn is_self(name: &str) -> bool {
    matches!(name, "self" | "self.alt")
}
