//! Who may ask at the admin listener: no name can be made to point there, and no page of another origin is let in.
//!
//! The first line is the target of the request, the others are headers.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{HOST, ORIGIN};
use midplane::admin::fuzzing::{host, origin};

use crate::Target;
use crate::input::{first_line, header_map, text};

pub(crate) const TARGET: Target = Target {
    name: "access",
    run: access,
    cases: 8_000,
    words: &[
        "\nhost: localhost:1",
        "\nhost: 127.0.0.1",
        "\nhost: [::1]:3001",
        "\norigin: http://localhost:1",
        "\norigin: null",
        "evil.example",
        "@",
        ":",
        ".",
        "0x7f.1",
        "2130706433",
        "%5b",
        "[",
        "]",
        "LOCALHOST",
        "http://",
        "#",
        "\\",
    ],
};

/// Checks `Host` and `Origin`.
pub fn access(data: &[u8]) -> bool {
    let text = text(data);
    let (target, lines) = first_line(&text);
    let Ok(target) = target.parse::<http::Uri>() else {
        return false;
    };
    let headers = header_map(lines);
    let Ok(own) = host(&target, &headers) else {
        return false;
    };

    let name = own.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    assert!(
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<Ipv4Addr>().is_ok()
            || address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        "{name} is no address"
    );
    assert!(!own.as_str().contains('@'), "{own}");
    if target.authority().is_none() {
        assert_eq!(headers.get_all(HOST).iter().count(), 1);
    }

    let origins: Vec<_> = headers.get_all(ORIGIN).iter().collect();
    let wanted = format!("http://{own}");
    let is_own = match origins.as_slice() {
        [] => true,
        [one] => {
            one.as_bytes().eq_ignore_ascii_case(wanted.as_bytes()) && one.as_bytes().starts_with(b"http://")
        }
        _ => false,
    };
    assert_eq!(origin(&headers, &own).is_ok(), is_own, "{origins:?} at {own}");
    true
}
