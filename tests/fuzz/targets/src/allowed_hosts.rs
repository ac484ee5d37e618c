//! Outbound hosts: the grants against a matcher on texts, every spelling of an address, and blocked networks.
//!
//! The last line is a scheme, a host and a port, those before are entries of `allowed_outbound_hosts`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use midplane::capability::outbound_http::{OutboundHttp, Target as Way};
use midplane::model::outbound_host::{AllowedHosts, BlockedNetworks, Host, default_port};

use crate::Target;
use crate::input::text;

pub(crate) const TARGET: Target = Target {
    name: "allowed_hosts",
    run: allowed_hosts,
    cases: 10_000,
    words: &[
        "http://",
        "https://",
        "*://",
        "tcp://",
        "*",
        "*.",
        "example.com",
        "self",
        ".spin.internal",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "0177.1",
        ":80",
        ":8000..9000",
        "/8",
        "/",
        "@",
        ".",
        "%2e",
        "\u{ff0e}",
        "xn--",
        "ⓔxample",
        "\n",
    ],
};

const MAX_ENTRIES: usize = 8;

/// Checks destinations against grants.
pub fn allowed_hosts(data: &[u8]) -> bool {
    let text = text(data);
    let (entries, destination) = text.rsplit_once('\n').unwrap_or(("", &text));
    let entries: Vec<&str> = entries.split('\n').take(MAX_ENTRIES).collect();
    let mut parts = destination.split(' ');
    let (scheme, written) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let port = parts.next().and_then(|port| port.parse().ok()).unwrap_or(80);
    if let Some(octets) = data.first_chunk::<4>() {
        assert_spellings(Ipv4Addr::from(*octets));
    }
    let Ok(host) = Host::parse(written) else {
        return false;
    };
    assert_eq!(
        Host::parse(&host.to_string()).as_ref(),
        Ok(&host),
        "no normal form"
    );

    let valid: Vec<&str> = entries
        .iter()
        .copied()
        .filter(|entry| AllowedHosts::parse([entry]).is_ok())
        .collect();
    assert_eq!(
        AllowedHosts::parse(&entries).is_ok(),
        valid.len() == entries.len()
    );
    let granted = AllowedHosts::parse(&valid).expect("each of them is valid");
    let by_hand = valid
        .iter()
        .any(|entry| covers(entry.trim(), scheme, &host, port));
    assert_eq!(
        granted.check(scheme, &host, port),
        by_hand,
        "{scheme} {host} {port} by {valid:?}"
    );
    assert!(!AllowedHosts::default().check(scheme, &host, port));
    authorized(&granted, scheme, written, port);
    !valid.is_empty()
}

/// A request goes out only where the grants say so, whatever its authority looks like.
fn authorized(granted: &AllowedHosts, scheme: &str, written: &str, port: u16) {
    let Ok(authority) = format!("{written}:{port}").parse::<http::uri::Authority>() else {
        return;
    };
    let service = OutboundHttp::new(granted.clone(), BlockedNetworks::default());
    let Ok(way) = service.authorize(scheme, Some(&authority)) else {
        return;
    };
    assert!(
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"),
        "{scheme}"
    );
    assert!(!authority.as_str().contains('@'), "{authority}");
    let host = Host::parse(authority.host()).expect("an authorized host is one");
    match way {
        Way::Myself => assert!(host.is_self() && granted.allows_self()),
        Way::Internal(_) => assert!(host.internal_service().is_some() && granted.check(scheme, &host, port)),
        Way::External => {
            assert!(host.internal_service().is_none() && !host.is_self());
            assert!(granted.check(scheme, &host, port), "{scheme}://{authority}");
        }
    }
}

/// Whether one valid entry covers a destination.
fn covers(entry: &str, scheme: &str, host: &Host, port: u16) -> bool {
    let Some((wanted_scheme, rest)) = entry.split_once("://") else {
        return false;
    };
    let end = match rest.find(']') {
        Some(bracket) if rest.starts_with('[') => bracket + 1,
        _ => rest.find([':', '/']).unwrap_or(rest.len()),
    };
    let (wanted, mut tail) = rest.split_at(end);
    let mut prefix = None;
    if let Some(after) = tail.strip_prefix('/') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            prefix = after[..digits].parse::<u32>().ok();
            tail = &after[digits..];
        }
    }
    let is_self = Host::parse(wanted).is_ok_and(|host| host.is_self());
    let fits_port = match tail.trim_end_matches('/').strip_prefix(':') {
        None => is_self || default_port(wanted_scheme) == Some(port),
        Some("*") => true,
        Some(range) => match range.split_once("..") {
            None => range.parse() == Ok(port),
            Some((start, end)) => {
                let (start, end): (u32, u32) = (start.parse().expect("valid"), end.parse().expect("valid"));
                (start..end).contains(&u32::from(port))
            }
        },
    };
    let fits_host = match (prefix, wanted.strip_prefix("*.")) {
        (Some(prefix), _) => within(wanted, prefix, host),
        (None, _) if wanted == "*" => true,
        (None, Some(domain)) => {
            let below = format!(".{}", Host::parse(domain).expect("valid"));
            matches!(host, Host::Domain(name) if name.ends_with(&below) && name.len() > below.len())
        }
        (None, None) => !is_self && Host::parse(wanted).as_ref() == Ok(host),
    };
    (wanted_scheme == "*" || wanted_scheme.eq_ignore_ascii_case(scheme)) && fits_host && fits_port
}

/// Whether the first bits of two addresses of one family are the same.
fn within(network: &str, prefix: u32, host: &Host) -> bool {
    let (Ok(Host::Ip(network)), Host::Ip(ip)) = (Host::parse(network), host) else {
        return false;
    };
    let (difference, bits) = match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => (u128::from(network.to_bits() ^ ip.to_bits()), 32),
        (IpAddr::V6(network), IpAddr::V6(ip)) => (network.to_bits() ^ ip.to_bits(), 128),
        _ => return false,
    };
    difference.checked_shr(bits - prefix).unwrap_or(0) == 0
}

/// An address is the same host in whichever notation, and blocked in each form in which IPv6 can carry it.
fn assert_spellings(ip: Ipv4Addr) {
    let (number, [a, b, c, d]) = (ip.to_bits(), ip.octets());
    let low = number & 0xff_ffff;
    for spelling in [
        format!("{ip}"),
        format!("{ip}."),
        format!("{number}"),
        format!("0x{number:x}"),
        format!("0X{number:X}."),
        format!("0{number:o}"),
        format!("{a}.{low}"),
        format!("0x{a:x}.0{b:o}.{c}.0x{d:X}"),
        format!("[::ffff:{ip}]"),
    ] {
        assert_eq!(Host::parse(&spelling), Ok(Host::Ip(ip.into())), "{spelling}");
    }
    let private = BlockedNetworks::parse(["private"]).expect("it is a word of its own");
    if private.blocks(ip.into()) {
        let [high, low] = [(number >> 16) as u16, number as u16];
        for carried in [
            ip.to_ipv6_mapped(),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        ] {
            assert!(private.blocks(carried.into()), "{carried} carries {ip}");
        }
    }
    let lone = BlockedNetworks::parse([ip.to_string()]).expect("an address is a network");
    assert!(lone.blocks(ip.into()) && lone.blocks(ip.to_ipv6_mapped().into()));
}
