//! By what a client is told from others, and the lot that it draws.
//!
//! Invariant: the same client draws the same lot for the same rollout, on every host, in every version and
//! after every start. So what is hashed here never changes; another way to do it would need another
//! [`DOMAIN`], and moves every client.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::COOKIE;
use sha2::{Digest as _, Sha256};

use crate::model::{Sticky, WHOLE};

/// Begins all that is hashed here, so that no other hash in the host has the same input.
const DOMAIN: &[u8] = b"midplane-canary-1";

/// What a client is held to its choice by. Values of different kinds are never the same, even if they read
/// the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// The value of the header.
    Header(&'a [u8]),
    /// The value of the cookie, in the quotes that it may have.
    Cookie(&'a [u8]),
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first half of an IPv6 address: the network. In the other half clients put what they like, and
    /// change it as often as they like (RFC 8981).
    V6([u8; 8]),
}

impl<'a> Key<'a> {
    /// The key of a request from `client`: the first header of the name, or the first cookie, if it is there
    /// and not empty; else the address. An IPv4 address that is written as IPv6 is an IPv4 address.
    pub fn of(sticky: &Sticky, headers: &'a HeaderMap, client: IpAddr) -> Self {
        let named = match sticky {
            Sticky::Client => None,
            Sticky::Header(name) => headers.get(name).map(|value| Self::Header(value.as_bytes())),
            Sticky::Cookie(name) => cookie(headers, name.as_bytes()).map(Self::Cookie),
        };
        match named {
            Some(key @ (Self::Header(value) | Self::Cookie(value))) if !value.is_empty() => key,
            _ => Self::address(client),
        }
    }

    fn address(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [network @ .., _, _, _, _, _, _, _, _] = address.octets();
                Self::V6(network)
            }
        }
    }

    /// The lot that it draws for a rollout, from 0 to 9,999, each as likely as the others and independent of
    /// those for other rollouts. Who draws less than a weight has that is the share of the weight: it only
    /// grows with the weight.
    ///
    /// Nothing secret goes in. Who may choose the key may try until it is among the chosen; the answers would
    /// tell anyway.
    pub fn lot(&self, rollout: u64) -> u16 {
        let (kind, value): (u8, &[u8]) = match self {
            Self::Header(value) => (0, value),
            Self::Cookie(value) => (1, value),
            Self::V4(address) => (2, address),
            Self::V6(network) => (3, network),
        };
        // All before the value is of a fixed length, so no two inputs run together.
        let hash: [u8; 32] = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update(rollout.to_le_bytes())
            .chain_update([kind])
            .chain_update(value)
            .finalize()
            .into();
        let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = hash;
        let number = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        // Of 2^64 numbers the remainder favours a few lots by less than one in 10^15.
        u16::try_from(number % u64::from(WHOLE)).unwrap_or_default()
    }
}

/// The value of the first cookie of a name, in all `Cookie` headers: HTTP/2 may send one for each (RFC 9113
/// §8.2.3). Read as a user agent writes it (RFC 6265 §4.2.1, §5.4): of two cookies with one name it sends the
/// one with the longer path first. What does not look like a cookie is passed over. The scan is bounded by
/// what a request's head may have.
fn cookie<'a>(headers: &'a HeaderMap, name: &[u8]) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"=")?;
        Some(value)
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::model::Weight;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    const OF_CLIENT: Key<'static> = Key::V4([192, 0, 2, 7]);

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn sticky(text: &str) -> Sticky {
        Sticky::parse(text).unwrap()
    }

    #[test]
    fn a_header_counts_by_its_first_value() {
        let headers = headers(&[("x-user", "ada"), ("x-user", "eve")]);
        let key = Key::of(&sticky("header:X-User"), &headers, CLIENT);
        assert_eq!(key, Key::Header(b"ada"));
    }

    #[test]
    fn without_a_value_the_address_counts() {
        let headers = headers(&[("x-user", ""), ("cookie", "session=; user")]);
        for text in [
            "client",
            "header:x-user",
            "header:x-other",
            "cookie:session",
            "cookie:user",
            "cookie:other",
        ] {
            assert_eq!(Key::of(&sticky(text), &headers, CLIENT), OF_CLIENT, "{text}");
        }
    }

    #[test]
    fn a_cookie_is_found_in_any_header_and_kept_as_it_stands() {
        for (lines, value) in [
            (&["session=1"] as &[&str], Some("1")),
            (&["a=b; session=1; c=d"], Some("1")),
            (&["a=b", "session=1"], Some("1")),
            (&["session=1; session=2", "session=3"], Some("1")),
            (&["session=\"1 2\"; a=b"], Some("\"1 2\"")),
            (&["session=a=b="], Some("a=b=")),
            (&["a=b;session=1\t ;c=d"], Some("1")),
            (&[" ;; session ; =1; session=1"], Some("1")),
            // Case counts, and a part of a name is no name.
            (&["Session=1; xsession=1; sessionx=1; ession=1"], None),
            (&["a=session=1"], None),
            (&[""], None),
            (&[], None),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
            let headers = headers(&lines);
            let key = Key::of(&sticky("cookie:session"), &headers, CLIENT);
            let expected = value.map_or(OF_CLIENT, |value| Key::Cookie(value.as_bytes()));
            assert_eq!(key, expected, "{lines:?}");
        }
    }

    #[test]
    fn an_ipv6_client_counts_by_its_network_and_a_mapped_one_as_ipv4() {
        let of = |text: &str| Key::address(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), OF_CLIENT);
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }

    #[test]
    fn the_same_bytes_of_another_kind_are_another_key() {
        let kinds = [
            Key::Header(b"\x7f\0\0\x01"),
            Key::Cookie(b"\x7f\0\0\x01"),
            Key::V4([127, 0, 0, 1]),
        ];
        let lots = kinds.map(|key| [0, 1, 2, 3].map(|rollout| key.lot(rollout)));
        assert_ne!(lots[0], lots[1]);
        assert_ne!(lots[0], lots[2]);
        assert_ne!(lots[1], lots[2]);
    }

    /// Other numbers here would mean that an update of the host moves clients between revisions.
    #[test]
    fn lots_stay_what_they_are() {
        let lots = [
            Key::Header(b"ada").lot(1),
            Key::Header(b"ada").lot(2),
            Key::Cookie(b"ada").lot(1),
            OF_CLIENT.lot(1),
            Key::V6([0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2]).lot(u64::MAX),
        ];
        assert_eq!(lots, [5956, 7623, 2940, 230, 5222]);
    }

    #[test]
    fn the_share_of_many_clients_is_the_weight() {
        const CLIENTS: u32 = 100_000;
        let addresses =
            || (0..CLIENTS).map(|number| Key::address(Ipv4Addr::from(0x0a00_0000 + number).into()));
        let users: Vec<_> = (0..CLIENTS).map(|number| format!("user-{number}")).collect();
        for hundredths in [1, 100, 1_000, 5_000, 9_900] {
            let share = f64::from(hundredths) / f64::from(WHOLE);
            let expected = share * f64::from(CLIENTS);
            // Five standard deviations.
            let bound = 5.0 * (expected * (1.0 - share)).sqrt();
            let chosen =
                |lots: &mut dyn Iterator<Item = u16>| lots.filter(|lot| *lot < hundredths).count() as f64;
            for rollout in [1, 2, 0x0123_4567_89ab_cdef] {
                let by_address = chosen(&mut addresses().map(|key| key.lot(rollout)));
                let by_name = chosen(&mut users.iter().map(|user| Key::Header(user.as_bytes()).lot(rollout)));
                for count in [by_address, by_name] {
                    assert!(
                        (count - expected).abs() < bound,
                        "{count} for {expected} at {rollout}"
                    );
                }
            }
        }
    }

    /// Who is in for 10 % of one rollout is in for 10 % of the next as everybody else is.
    #[test]
    fn rollouts_choose_independently() {
        let in_both = (0..100_000_u32)
            .map(|number| Key::V4(number.to_le_bytes()))
            .filter(|key| key.lot(7) < 1_000 && key.lot(8) < 1_000)
            .count();
        assert!((850..1_150).contains(&in_both), "{in_both}");
    }

    proptest! {
        #[test]
        fn nobody_flips_back_while_the_weight_rises(value in ".{0,40}", rollout: u64, mut weights: [u16; 6]) {
            weights.sort_unstable();
            let lot = Key::Header(value.as_bytes()).lot(rollout);
            prop_assert!(lot < WHOLE);
            let weights = weights.into_iter().filter_map(Weight::new);
            let choices: Vec<_> = weights.map(|weight| lot < weight.hundredths()).collect();
            prop_assert!(choices.is_sorted());
        }

        #[test]
        fn any_cookies_are_read_without_a_fault(
            line in "[ -~\t]{0,80}",
            name in "[a-z;=]{1,3}",
            address: u128,
        ) {
            let headers = headers(&[("cookie", &line)]);
            let key = Key::of(&Sticky::Cookie(name), &headers, Ipv6Addr::from(address).into());
            if let Key::Cookie(value) = key {
                prop_assert!(!value.is_empty() && !value.contains(&b';'));
            }
        }

        #[test]
        fn a_cookie_among_others_is_found(
            before in proptest::collection::vec("[a-z]{1,4}=[a-z]{0,4}", 0..4),
            value in "[!#-+--:<-\\[\\]-~]{1,20}",
            after in proptest::collection::vec("[A-Za-z]{1,4}=[a-z]{0,4}", 0..4),
        ) {
            let mine = format!("Session={value}");
            let pairs: Vec<_> = before.into_iter().chain([mine]).chain(after).collect();
            let joined = headers(&[("cookie", &pairs.join("; "))]);
            let crumbs: Vec<_> = pairs.iter().map(|pair| ("cookie", pair.as_str())).collect();
            for headers in [joined, headers(&crumbs)] {
                let key = Key::of(&sticky("cookie:Session"), &headers, CLIENT);
                prop_assert_eq!(key, Key::Cookie(value.as_bytes()));
            }
        }
    }
}
