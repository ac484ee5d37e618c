//! `[component.<id>.tool.midplane.probe]`: what it means.

use std::time::Duration;

use http::{Method, StatusCode};

use super::{EVERYTHING, HEAD, parsed};
use crate::manifest::App;
use crate::model::Probe;

fn with(probe: &str) -> App {
    parsed(&format!(
        "{HEAD}[[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n\
         [component.a]\nsource = \"a.wasm\"\ntool.midplane.probe = {probe}\n"
    ))
}

fn probe(text: &str) -> Probe {
    with(text).services["a"].probe.clone().unwrap()
}

#[test]
fn every_key_of_a_probe_arrives() {
    let app = parsed(EVERYTHING);
    let probe = app.services["front-end"].probe.as_ref().unwrap();
    assert_eq!(probe.to_string(), "POST /healthz?deep=1");
    assert_eq!(probe.status, Some(StatusCode::NO_CONTENT));
    assert_eq!(probe.body_contains.as_deref(), Some("ok"));
    assert_eq!(probe.timeout, Duration::from_millis(1500));
    assert_eq!(probe.headers["x-probe"], "1");
    assert_eq!(probe.headers["accept"], "text/plain");
    assert_eq!(probe.headers.len(), 2);
    assert_eq!(app.services["worker"].probe, None);
}

#[test]
fn a_path_is_all_that_a_probe_needs() {
    let app = with("{ path = \"/\" }");
    assert_eq!(app.warnings, []);
    let probe = app.services["a"].probe.as_ref().unwrap();
    assert_eq!(*probe, Probe::get("/".parse().unwrap()));
    assert_eq!((&probe.method, probe.status), (&Method::GET, None));
    assert_eq!(probe.timeout, Duration::from_secs(5));
}

#[test]
fn the_bounds_belong_to_what_is_allowed() {
    assert_eq!(
        probe("{ path = \"/\", timeout = \"60s\" }").timeout,
        Probe::MAX_TIMEOUT
    );
    assert_eq!(
        probe("{ path = \"/\", timeout = \"1m\", method = \"HEAD\" }").method,
        Method::HEAD
    );
    assert_eq!(
        probe("{ path = \"/\", status = 599 }").status.unwrap().as_u16(),
        599
    );
    let longest = "é".repeat(Probe::MAX_BODY_CONTAINS_BYTES / 2);
    let text = format!("{{ path = \"/\", body_contains = \"{longest}\" }}");
    assert_eq!(probe(&text).body_contains.as_deref(), Some(longest.as_str()));
    let path = format!("/{}", "x".repeat(Probe::MAX_PATH_BYTES - 1));
    assert_eq!(
        probe(&format!("{{ path = \"{path}\" }}")).path.as_str(),
        path.as_str()
    );
}

#[test]
fn what_is_beyond_the_bounds_is_refused() {
    let refused = |probe: String| {
        let text = format!("{HEAD}[component.a]\nsource = \"a.wasm\"\ntool.midplane.probe = {probe}\n");
        let error = crate::manifest::parse(&text, std::path::Path::new("spin.toml")).unwrap_err();
        error.to_string()
    };
    let headers: Vec<String> = (0..=Probe::MAX_HEADERS)
        .map(|n| format!("x-{n} = \"\""))
        .collect();
    for (probe, reason) in [
        (
            format!("{{ path = \"/{}\" }}", "x".repeat(Probe::MAX_PATH_BYTES)),
            "it is longer than 1024 bytes",
        ),
        (
            format!(
                "{{ path = \"/\", body_contains = \"{}\" }}",
                "x".repeat(Probe::MAX_BODY_CONTAINS_BYTES + 1)
            ),
            "it is longer than 1024 bytes",
        ),
        (
            format!("{{ path = \"/\", headers = {{ {} }} }}", headers.join(", ")),
            "the header \"x-32\" is not valid: a probe has at most 32 of them",
        ),
    ] {
        let shown = refused(probe);
        assert!(shown.contains(reason), "{shown}");
        assert!(shown.len() < 2_000, "{shown}");
    }
}
