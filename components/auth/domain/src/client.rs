//! Who is at the other end of a connection, as far as throttling cares.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A network that attempts are counted for: an IPv4 address, or the /64 of an IPv6 address, which is what one
/// customer of a provider usually has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client(String);

impl Client {
    /// Reads an address with or without a port, as hosts report the peer of a connection. Anything else, and no
    /// address at all, is one common client.
    pub fn from_peer(peer: Option<&str>) -> Self {
        let address = peer.and_then(|peer| {
            let peer = peer.trim();
            peer.parse::<SocketAddr>()
                .map(|socket| socket.ip())
                .or_else(|_| peer.parse())
                .ok()
        });
        Self(match address.map(|address: IpAddr| address.to_canonical()) {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let network = address.to_bits() & (u128::MAX << 64);
                format!("{}/64", Ipv6Addr::from_bits(network))
            }
            None => "unknown".to_owned(),
        })
    }

    /// The network as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_does_not_count() {
        assert_eq!(Client::from_peer(Some("192.0.2.7:51234")).as_str(), "192.0.2.7");
        assert_eq!(Client::from_peer(Some("192.0.2.7")).as_str(), "192.0.2.7");
        assert_eq!(
            Client::from_peer(Some("[2001:db8::1]:443")).as_str(),
            "2001:db8::/64"
        );
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let a = Client::from_peer(Some("2001:db8:1:2:aaaa::1"));
        assert_eq!(a, Client::from_peer(Some("[2001:db8:1:2:bbbb::9]:1")));
        assert_ne!(a, Client::from_peer(Some("2001:db8:1:3::1")));
        assert_eq!(Client::from_peer(Some("::ffff:192.0.2.7")).as_str(), "192.0.2.7");
    }

    #[test]
    fn what_is_no_address_is_one_common_client() {
        for peer in [None, Some(""), Some("nonsense"), Some("999.1.1.1:1")] {
            assert_eq!(Client::from_peer(peer).as_str(), "unknown");
        }
    }
}
