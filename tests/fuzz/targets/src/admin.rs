//! The admin API: paths, queries, names and bodies of every change.
//!
//! The first line is a method and a path with its query, the second says who asks, the rest is the body.

use http::{HeaderMap, HeaderValue, Method};
use midplane::admin::fuzzing::{CHANGES, actor, change, route, routes, service, takes, upload};
use midplane::model::{Sticky, Weight};

use crate::Target;
use crate::input::{first_line, text};

pub(crate) const TARGET: Target = Target {
    name: "admin",
    run: admin,
    cases: 6_000,
    words: &[
        "/v1/apps",
        "/shop",
        "/services/",
        "/deploy",
        "/canary",
        "%2f",
        "%00",
        "//",
        "?canary=10%25",
        "&sticky=client",
        "&drain_timeout=NaN",
        "{\"services\":",
        "{\"path\":\"/x.wasm\"}",
        "\"weight\":\"10%\"",
        "\"drain_timeout\":1e400",
        "\"revision\":\"0a\"",
        "\"manifest\":\"/x\"",
        "null",
        "PUT ",
        "POST ",
        "\u{202e}",
        "\u{1b}[31m",
    ],
};

/// Finds the route of a request and reads what it says.
pub fn admin(data: &[u8]) -> bool {
    let text = text(data);
    let (request, rest) = first_line(&text);
    let (by, body) = first_line(rest);
    let (method, target) = request.split_once(' ').unwrap_or(("GET", request));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    routed(method, path);
    if let Ok(options) = upload(query) {
        if let Some(canary) = &options.canary {
            Weight::parse(&canary.weight).expect("a weight was checked");
            if let Some(sticky) = &canary.sticky {
                Sticky::parse(sticky).expect("what holds requests was checked");
            }
        }
        assert!(
            options
                .drain_timeout
                .is_none_or(|seconds| (0.0..=3600.0).contains(&seconds))
        );
    }
    if let Ok(value) = HeaderValue::from_bytes(by.as_bytes()) {
        let headers: HeaderMap = [(http::HeaderName::from_static("midplane-actor"), value)]
            .into_iter()
            .collect();
        if let Ok(shown) = actor(&headers) {
            assert!(!shown.is_empty());
            assert_eq!(shown.chars().find(|c| c.is_control()), None, "{shown:?}");
        }
    }
    let mut taken = body.is_empty() && route(path).is_some();
    for (kind, name) in CHANGES.iter().enumerate() {
        let Ok(written) = change(kind, body.as_bytes()) else {
            continue;
        };
        taken = true;
        let again = change(kind, &written).unwrap_or_else(|error| panic!("{name}: {error}"));
        // A number may lose its last digits once, when it is first read.
        if !body.contains("drain_timeout") {
            assert_eq!(again, written, "{}", CHANGES[kind]);
        }
    }
    taken
}

fn routed(method: &str, path: &str) {
    let given: Vec<&str> = path.split('/').collect();
    let fits = |pattern: &str| {
        let wanted: Vec<&str> = pattern.split('/').collect();
        wanted.len() == given.len()
            && wanted.iter().zip(&given).all(|(wanted, given)| match *wanted {
                "{app}" | "{service}" => !given.is_empty(),
                wanted => wanted == *given,
            })
    };
    let found = route(path);
    assert_eq!(
        found.map(|(pattern, ..)| pattern),
        routes().find(|pattern| fits(pattern)),
        "{path}"
    );
    let Some((pattern, app, named)) = found else {
        return;
    };
    assert_eq!(app.is_some(), pattern.contains("{app}"));
    assert_eq!(named.is_some(), pattern.contains("{service}"));
    if let Some(Ok(name)) = named.map(service) {
        // Whatever its spelling was, the name is one that needs none.
        assert_eq!(service(name.as_str()).as_ref(), Ok(&name));
    }
    if let Ok(method) = method.parse::<Method>() {
        let (allowed, taken) = takes(path, &method).expect("there is a route");
        assert_eq!(
            taken,
            allowed.split(", ").any(|name| name == method.as_str()),
            "{method} {path}"
        );
    }
}
