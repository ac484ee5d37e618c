//! Network destinations: what a service may reach (`allowed_outbound_hosts`) and what nobody may.
//!
//! Owns the syntax of the grants (Spin manifest v2), the normal form of a host, the match, and the manifest
//! line that a denial prints. [`BlockedNetworks`] is the host-wide veto on addresses. No name is resolved
//! here.
//!
//! Invariants: what no pattern covers is refused; a [`Host`] has one spelling (lower case, punycode, no dot
//! at its end, IPv4 in whichever notation as one address, IPv4-mapped IPv6 as IPv4), so a match cannot be
//! dodged by another.

mod allowed;
mod blocked;
mod host;

pub use allowed::{AllowedHostError, AllowedHostProblem, AllowedHosts};
pub use blocked::{BlockedNetworkError, BlockedNetworks};
pub use host::{Host, HostError, INTERNAL_SUFFIX, MAX_HOST_BYTES};

/// The port that a URL of this scheme means when it names none.
pub fn default_port(scheme: &str) -> Option<u16> {
    const PORTS: [(&str, u16); 9] = [
        ("http", 80),
        ("https", 443),
        ("mqtt", 1883),
        ("mqtts", 8883),
        ("mysql", 3306),
        ("postgres", 5432),
        ("postgresql", 5432),
        ("redis", 6379),
        ("rediss", 6379),
    ];
    PORTS
        .iter()
        .find(|(name, _)| scheme.eq_ignore_ascii_case(name))
        .map(|(_, port)| *port)
}

/// The manifest line that would allow a service to reach this destination.
pub fn manifest_line(scheme: &str, host: &Host, port: u16) -> String {
    if host.is_self() {
        return format!(
            "allowed_outbound_hosts = [\"{}://self\"]",
            scheme.escape_default()
        );
    }
    let port = if default_port(scheme) == Some(port) {
        String::new()
    } else {
        format!(":{port}")
    };
    format!(
        "allowed_outbound_hosts = [\"{}://{host}{port}\"]",
        scheme.escape_default()
    )
}

#[cfg(test)]
mod tests;
