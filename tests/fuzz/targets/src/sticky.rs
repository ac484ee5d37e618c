//! By what clients of a canary are told apart: headers and cookies as they come, in any shape.
//!
//! The first line says by what, the second from which address, the others are headers.

use std::net::{IpAddr, Ipv4Addr};

use http::header::COOKIE;
use midplane::model::{Sticky, WHOLE, Weight};
use midplane::service::canary::Key;

use crate::Target;
use crate::input::{first_line, header_map, text};

pub(crate) const TARGET: Target = Target {
    name: "sticky",
    run: sticky,
    cases: 8_000,
    words: &[
        "client",
        "header:x-user",
        "cookie:id",
        "\ncookie: id=1; a=b",
        "\nx-user: u",
        "; ",
        "=",
        "id=",
        "\"",
        "::1",
        "%",
        "10%",
    ],
};

/// Finds the key of a request, and what it draws.
pub fn sticky(data: &[u8]) -> bool {
    let text = text(data);
    let (by, rest) = first_line(&text);
    let (address, lines) = first_line(rest);
    if let Ok(weight) = Weight::parse(by) {
        assert!((1..WHOLE).contains(&weight.hundredths()));
        assert_eq!(Weight::parse(&weight.to_string()), Ok(weight));
    }
    let Ok(sticky) = Sticky::parse(by) else {
        return false;
    };
    assert_eq!(Sticky::parse(&sticky.to_string()), Ok(sticky.clone()));
    let address = address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let headers = header_map(lines);
    let key = Key::of(&sticky, &headers, address);
    assert!(key.lot(1) < WHOLE);
    assert_eq!(key.lot(7), Key::of(&sticky, &headers, address).lot(7));
    let value = match &sticky {
        Sticky::Client => None,
        Sticky::Header(name) => headers.get(name).map(|value| value.as_bytes().to_vec()),
        Sticky::Cookie(name) => {
            let lines: Vec<&[u8]> = headers
                .get_all(COOKIE)
                .iter()
                .map(|line| line.as_bytes())
                .collect();
            cookie(&lines.join(&b';'), name.as_bytes())
        }
    };
    match (key, value.filter(|value| !value.is_empty())) {
        (Key::Header(found) | Key::Cookie(found), Some(value)) => assert_eq!(found, value),
        (Key::V4(_) | Key::V6(_), None) => {}
        (key, value) => panic!("{key:?}, and by hand {value:?}"),
    }
    true
}

fn cookie(line: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    for pair in line.split(|byte| *byte == b';') {
        let pair = pair.trim_ascii();
        let equals = pair.iter().position(|byte| *byte == b'=');
        if equals.is_some_and(|equals| &pair[..equals] == name) {
            return Some(pair[name.len() + 1..].to_vec());
        }
    }
    None
}
