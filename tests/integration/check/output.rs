//! What `check` shows of an app: aligned lines, one JSON object, a picture.

use std::collections::BTreeSet;

use serde_json::{Value, json as object};

use super::{app, json, route, run, service};
use crate::harness::Builder;

/// A caller with a link of its own policy, its callee, data and somebody outside.
fn small_shop() -> Builder {
    app(&[
        "[application.tool.midplane]\ndata = \"per-service\"\n".into(),
        service("caller", "link-caller-p2"),
        "allowed_outbound_hosts = [\"https://example.com\", \"http://data.spin.internal\"]\n".into(),
        "[component.caller.tool.midplane.links]\n\"link:values/plain@1.0.0\" = { service = \"callee\", timeout = \"250ms\", concurrency = 7 }\n"
            .into(),
        route("/...", "caller"),
        service("callee", "link-callee-p3"),
        service("data", "data-p2"),
        "key_value_stores = [\"default\"]\n".into(),
        route("/data/:id", "data"),
        "[[trigger.http]]\nroute = \"/gone\"\nstatic_response = { status_code = 410 }\n".into(),
    ])
}

/// Without what differs from build to build.
fn without_build(mut object: Value) -> Value {
    for service in object["services"].as_array_mut().expect("services are a list") {
        let component = &mut service["component"];
        let digest = component["digest"]
            .as_str()
            .expect("a digest is a text")
            .to_owned();
        assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
        assert!(
            component["bytes"].as_u64().is_some_and(|bytes| bytes > 1000),
            "{component}"
        );
        for (key, value) in [("digest", Value::Null), ("bytes", Value::Null)] {
            component[key] = value;
        }
        for key in ["imports", "exports"] {
            let names = component[key].as_array().expect("names are a list");
            assert!(names.iter().all(Value::is_string), "{names:?}");
            component[key] = Value::Null;
        }
    }
    object
}

#[tokio::test]
async fn the_json_object_keeps_its_fields() {
    let (mut shown, finished) = json(&small_shop(), &[]).await;
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert_eq!(finished.stderr, "");
    let functions = shown["links"][0]["functions"].take();
    let of_string = functions.as_array().and_then(|functions| {
        let mut functions = functions.iter();
        functions
            .find(|function| function["name"] == "of-string")
            .cloned()
    });
    assert_eq!(
        of_string,
        Some(object!({"name": "of-string", "signature": "func(value: string) -> string", "async": false}))
    );
    let findings = shown["findings"].take();
    for finding in findings.as_array().expect("findings are a list") {
        let keys: BTreeSet<_> = finding
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys,
            BTreeSet::from(["severity", "service", "message", "causes", "hint", "location"])
        );
        assert_eq!(finding["severity"], "warning");
    }
    let component = |wasi: &str, engine: &str, http: bool, capabilities: &[&str]| {
        object!({
            "digest": null, "bytes": null, "wasi": wasi, "engine": engine, "http": http,
            "capabilities": capabilities, "imports": null, "exports": null
        })
    };
    let shown = without_build(shown);
    let callee = shown["services"][0]["component"]["wasi"].clone();
    assert_eq!(
        shown,
        object!({
            "app": "shop", "version": "1.2.3", "data_scope": "per-service", "ok": true, "findings": null,
            "services": [
                {"service": "callee", "component": {
                    "digest": null, "bytes": null, "wasi": callee, "engine": "concurrent", "http": false,
                    "capabilities": [], "imports": null, "exports": null
                }, "limits": {}, "instances": {}},
                {"service": "caller", "component": component("0.2", "plain", true, &[]), "limits": {}, "instances": {}},
                {
                    "service": "data", "component": component("0.2", "plain", true, &["key-value", "sqlite", "variables"]),
                    "limits": {}, "instances": {}
                },
            ],
            "routes": [
                {"route": "/...", "service": "caller", "status": null},
                {"route": "/data/:id", "service": "data", "status": null},
                {"route": "/gone", "service": null, "status": 410},
            ],
            "links": [{
                "caller": "caller", "callee": "callee", "component": null, "import": "link:values/plain@1.0.0",
                "kind": "explicit", "functions": null, "timeout_ms": 250, "concurrency": 7
            }],
            "data": [{"service": "data", "kind": "key-value", "label": "default", "scope": "service", "path": null}],
            "outbound_hosts": [
                {"service": "caller", "host": "https://example.com", "services": []},
                {"service": "caller", "host": "http://data.spin.internal", "services": ["data"]},
            ],
        })
    );
}

#[tokio::test]
async fn the_lines_for_people_are_aligned_and_have_everything() {
    let finished = run(&small_shop(), &["check"]).await;
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    let said = &finished.stdout;
    for line in [
        "  /...       → caller",
        "  /data/:id  → data",
        "  /gone      → static response 410",
        "Data (per service)",
        "  data  key-value `default`  its own",
        "  caller  → https://example.com",
        "  caller  → http://data.spin.internal  (data)",
    ] {
        assert!(said.lines().any(|own| own == line), "no line {line:?} in\n{said}");
    }
    let link = said
        .lines()
        .find(|line| line.contains("caller → callee"))
        .expect("there is a link");
    assert!(
        link.contains("  link:values/plain@1.0.0  ") && link.contains("of-string"),
        "{link}"
    );
    assert!(link.ends_with("  explicit, timeout 250ms, 7 at once"), "{link}");
    assert!(said.lines().all(|line| line == line.trim_end()), "{said}");
}

#[tokio::test]
async fn the_picture_is_a_flowchart_whose_nodes_are_all_declared() {
    let finished = run(&small_shop(), &["check", "--format", "mermaid"]).await;
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    let mut lines = finished.stdout.lines();
    assert_eq!(lines.next(), Some("flowchart LR"));
    let mut nodes = BTreeSet::new();
    let mut edges = Vec::new();
    for line in lines {
        let line = line.trim();
        match line.split_once(' ') {
            // A node has no space before its text.
            Some((first, rest)) if !first.contains('"') => {
                let (arrow, to) = rest.rsplit_once(' ').expect("an arrow leads somewhere");
                edges.push((first.to_owned(), arrow.to_owned(), to.to_owned()));
            }
            _ => {
                let (id, text) = line.split_once(['[', '(', '{']).expect("a node has a text");
                assert_eq!(text.matches('"').count(), 2, "{line}");
                assert!(id.chars().all(|c| c.is_ascii_alphanumeric()), "{line}");
                assert!(nodes.insert((id.to_owned(), line.to_owned())), "{line}");
            }
        }
    }
    let id = |node: &str| {
        let mut nodes = nodes
            .iter()
            .filter(|(id, line)| line.strip_prefix(id.as_str()) == Some(node));
        let (id, _) = nodes
            .next()
            .unwrap_or_else(|| panic!("no node {node} in\n{}", finished.stdout));
        id.clone()
    };
    let (caller, callee, data) = (id("[\"caller\"]"), id("[\"callee\"]"), id("[\"data\"]"));
    let edge = |from: &str, arrow: &str, to: &str| (from.to_owned(), arrow.to_owned(), to.to_owned());
    for wanted in [
        edge("client", "-->", &id("([\"/...\"])")),
        edge(&id("([\"/...\"])"), "-->", &caller),
        edge(&id("([\"/data/:id\"])"), "-->", &data),
        edge(&id("([\"/gone\"])"), "-->", &id("[/\"static response 410\"/]")),
        edge(&caller, "==>|\"link:values/plain@1.0.0\"|", &callee),
        edge(&data, "---", &id("[(\"key-value default\")]")),
        edge(&caller, "-.->", &id("{{\"https://example.com\"}}")),
        edge(&caller, "-.->|\"HTTP\"|", &data),
    ] {
        assert!(
            edges.contains(&wanted),
            "no edge {wanted:?} in\n{}",
            finished.stdout
        );
    }
    let declared: BTreeSet<_> = nodes.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(declared.len(), nodes.len(), "an id stands for two nodes");
    assert!(
        edges
            .iter()
            .all(|(from, _, to)| declared.contains(from.as_str()) && declared.contains(to.as_str()))
    );
}
