//! The head of a request as a guest sees it: one authority, and Spin's headers as nobody can forge them.
//!
//! The first line is the target of the request, the second a route, the third the client; the others are headers.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue, Uri, Version};
use midplane::gateway::fuzzing::{absolute, authority, inject, inject_chained};
use midplane::model::outbound_host::Host;
use midplane::model::route::RoutePattern;

use crate::Target;
use crate::input::{first_line, header_map, text};

pub(crate) const TARGET: Target = Target {
    name: "headers",
    run: headers,
    cases: 8_000,
    words: &[
        "/",
        "/a",
        "/:id",
        "/...",
        ".:x",
        "http://",
        "host: ",
        "\nhost: a.spin.internal",
        "\nspin-path-match-id: forged",
        "\nspin-full-url: forged",
        "\nspin-client-addr: forged",
        "@",
        "%0d%0a",
        "%00",
        "?",
        "#",
        ":80",
        "[::1]",
        "\u{e9}",
        "*",
    ],
};

const LISTENER: &str = "127.0.0.1:3000";
const MATCH: &str = "spin-path-match-";
const FIXED: [&str; 7] = [
    "spin-path-info",
    "spin-full-url",
    "spin-matched-route",
    "spin-base-path",
    "spin-raw-component-route",
    "spin-component-route",
    "spin-client-addr",
];

/// Settles the authority of a request and injects Spin's headers.
pub fn headers(data: &[u8]) -> bool {
    let text = text(data);
    let (target, rest) = first_line(&text);
    let (route, rest) = first_line(rest);
    let (client, lines) = first_line(rest);
    let Ok(uri) = target.parse::<Uri>() else {
        return false;
    };
    let mut taken = false;
    let given = header_map(lines);
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        let Ok(authority) = authority(version, &uri, &given, LISTENER) else {
            continue;
        };
        assert!(!authority.as_str().contains('@'), "{authority}");
        let host = Host::parse(authority.host());
        assert!(
            host.is_err() || host.is_ok_and(|host| host.internal_service().is_none()),
            "{authority} is for services only"
        );
        let Ok(url) = absolute(&uri, &authority) else {
            continue;
        };
        assert_eq!(url.authority(), Some(&authority));
        assert_eq!(url.scheme_str(), Some("http"));
        assert_eq!(url.query(), uri.query());
        injected(&url, route, client, &given);
        taken = true;
    }
    taken
}

fn injected(url: &Uri, route: &str, client: &str, given: &HeaderMap) {
    let Ok(client) = HeaderValue::from_bytes(client.as_bytes()) else {
        return;
    };
    let mut chained = given.clone();
    if inject_chained(&mut chained, url, &client).is_ok() {
        assert_head(&chained, given, url, &client, &BTreeSet::new());
    }
    let Ok(route) = RoutePattern::parse(route) else {
        return;
    };
    let mut routed = given.clone();
    if inject(&mut routed, url, &route, &client) == Ok(true) {
        let names = route
            .names()
            .map(|name| name.to_ascii_lowercase().replace('_', "-"));
        assert_head(&routed, given, url, &client, &names.collect());
        assert_eq!(
            routed["spin-raw-component-route"].as_bytes(),
            route.raw().as_bytes()
        );
    }
}

fn assert_head(
    head: &HeaderMap,
    given: &HeaderMap,
    url: &Uri,
    client: &HeaderValue,
    names: &BTreeSet<String>,
) {
    for name in FIXED {
        assert_eq!(head.get_all(name).iter().count(), 1, "{name}");
    }
    assert_eq!(&head["spin-client-addr"], client);
    assert_eq!(head["spin-full-url"].as_bytes(), url.to_string().as_bytes());
    let matched = head.keys().filter_map(|name| name.as_str().strip_prefix(MATCH));
    assert_eq!(matched.map(str::to_owned).collect::<BTreeSet<_>>(), *names);
    for (name, value) in head {
        let broken = value
            .as_bytes()
            .iter()
            .any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        assert!(!broken, "{name}: {value:?} would end its line");
        let is_spins = FIXED.contains(&name.as_str()) || name.as_str().starts_with(MATCH);
        assert!(is_spins || given.contains_key(name), "{name} came from nowhere");
    }
    let kept = given
        .iter()
        .filter(|(name, _)| !FIXED.contains(&name.as_str()) && !name.as_str().starts_with(MATCH));
    for (name, value) in kept {
        assert!(
            head.get_all(name).iter().any(|there| there == value),
            "{name} was lost"
        );
    }
}
