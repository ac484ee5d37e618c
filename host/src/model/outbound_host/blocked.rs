//! Addresses that no service may reach, whatever its grants say (`[outbound_networking] block_networks`).
//!
//! Invariant: an IPv4 address is blocked in each form in which IPv6 can carry it (mapped, compatible, NAT64,
//! 6to4), since a host or its network may translate those back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What `private` stands for: everything that is not a public unicast address (IANA special-purpose
/// registries).
const PRIVATE_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this host, unspecified
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT, RFC 6598
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, cloud metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays, deprecated
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
];

const PRIVATE_V6: [(Ipv6Addr, u8); 10] = [
    (Ipv6Addr::UNSPECIFIED, 128),
    (Ipv6Addr::LOCALHOST, 128),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48), // NAT64 inside of one network, RFC 8215
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),     // discard
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),    // protocol assignments, Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),     // unique local
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),    // link-local
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),    // site-local, deprecated
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),     // multicast
];

/// Networks that are out of reach for every service of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockedNetworks(Vec<IpNet>);

/// An entry of `block_networks` that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{entry:?} is no network: write `private`, an address, or a range such as `10.0.0.0/8` or `fd00::/8`"
)]
pub struct BlockedNetworkError {
    /// The entry as it was given.
    pub entry: String,
}

impl BlockedNetworks {
    /// Parses `block_networks`: `private`, addresses, and ranges in CIDR notation.
    ///
    /// # Errors
    /// [`BlockedNetworkError`] names the first wrong entry.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, BlockedNetworkError> {
        let mut networks = Vec::new();
        for entry in entries {
            let entry = entry.as_ref();
            let network = || {
                entry
                    .parse::<IpNet>()
                    .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from))
            };
            if entry == "private" {
                networks.extend(private());
            } else if let Ok(network) = network() {
                networks.push(canonical(network));
            } else {
                return Err(BlockedNetworkError {
                    entry: String::from(entry),
                });
            }
        }
        Ok(Self(networks))
    }

    /// Whether no service may connect to this address.
    pub fn blocks(&self, ip: IpAddr) -> bool {
        let blocked = |ip: IpAddr| self.0.iter().any(|network| network.contains(&ip));
        match ip {
            IpAddr::V4(_) => blocked(ip),
            IpAddr::V6(v6) => blocked(ip) || carried(v6).is_some_and(|v4| blocked(IpAddr::V4(v4))),
        }
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn private() -> impl Iterator<Item = IpNet> {
    let v4 = PRIVATE_V4
        .into_iter()
        .map(|(ip, prefix)| Ipv4Net::new(ip, prefix).map(IpNet::from));
    let v6 = PRIVATE_V6
        .into_iter()
        .map(|(ip, prefix)| Ipv6Net::new(ip, prefix).map(IpNet::from));
    v4.chain(v6).filter_map(Result::ok)
}

/// A range of IPv4-mapped IPv6 addresses is the IPv4 range that it maps.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    let v4 = mapped.and_then(|(ip, prefix)| Ipv4Net::new(ip, prefix).ok());
    v4.map_or(network, IpNet::from).trunc()
}

/// The IPv4 address that an IPv6 address carries, if it is of a kind that does.
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(v4(high, low)),
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(entries: &[&str]) -> BlockedNetworks {
        BlockedNetworks::parse(entries).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn private_covers_every_address_that_is_not_public_unicast() {
        let private = blocked(&["private"]);
        assert_eq!(
            private.0.len(),
            PRIVATE_V4.len() + PRIVATE_V6.len(),
            "a constant above is no network"
        );
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:7f00:1::",
        ] {
            assert!(private.blocks(ip(address)), "{address} should be blocked");
        }
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(!private.blocks(ip(address)), "{address} should not be blocked");
        }
    }

    #[test]
    fn ranges_and_single_addresses() {
        let listed = blocked(&["10.1.2.3/8", "1.2.3.4", "2001:4860::/32", "::ffff:9.0.0.0/104"]);
        for address in [
            "10.9.9.9",
            "1.2.3.4",
            "2001:4860:1::",
            "9.1.1.1",
            "::ffff:9.1.1.1",
            "::ffff:1.2.3.4",
        ] {
            assert!(listed.blocks(ip(address)), "{address} should be blocked");
        }
        for address in ["11.0.0.0", "1.2.3.5", "127.0.0.1", "2001:4861::", "::1"] {
            assert!(!listed.blocks(ip(address)), "{address} should not be blocked");
        }
        assert!(!BlockedNetworks::default().blocks(ip("127.0.0.1")));
        assert!(BlockedNetworks::default().is_empty());
    }

    #[test]
    fn a_wrong_entry_is_named() {
        for entry in [
            "",
            "Private",
            "10.0.0.0/33",
            "10.0.0/8",
            "example.com",
            "[::1]",
            "10.0.0.0/8 ",
        ] {
            assert_eq!(
                BlockedNetworks::parse([entry]),
                Err(BlockedNetworkError {
                    entry: String::from(entry)
                })
            );
        }
    }
}
