//! The app as one JSON object. Its fields are a promise: they may become more, they keep their names and meanings.
//!
//! `app`, `version`, `data_scope` (`app` or `per-service`); `ok` (whether `up` would take the app); `findings`; `services`;
//! `routes`; `links`; `data`; `outbound_hosts`. What is not known, because a component could not be read, is `null`; where
//! the manifest itself, or what it is looked at with, could not be read, that is the one finding and the lists are empty.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::Failure;
use super::text::{data_kind, link_kind};
use crate::host::check::{
    Checked, ComponentFacts, EdgeScope, Finding, Graph, LinkCallee, LinkEdge, RouteTarget, Severity,
};
use crate::telemetry::harmless_json;

/// One app.
#[derive(Default, Serialize)]
struct Document<'a> {
    app: Option<&'a str>,
    version: Option<&'a str>,
    data_scope: Option<String>,
    /// Nothing was found that `up` would refuse.
    ok: bool,
    findings: Vec<FindingObject<'a>>,
    services: Vec<ServiceObject<'a>>,
    routes: Vec<RouteObject<'a>>,
    links: Vec<LinkObject<'a>>,
    data: Vec<DataObject<'a>>,
    outbound_hosts: Vec<HostObject<'a>>,
}

#[derive(Serialize)]
struct FindingObject<'a> {
    /// `error` or `warning`.
    severity: &'static str,
    /// Whose it is; `null` for the app.
    service: Option<&'a str>,
    /// `FILE:LINE:COLUMN` of what is wrong with the manifest, where that is all that there is to say.
    location: Option<String>,
    message: &'a str,
    causes: &'a [String],
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct ServiceObject<'a> {
    service: &'a str,
    component: Option<ComponentObject<'a>>,
    /// What is not the default, by its key, as the manifest has it.
    limits: BTreeMap<&'static str, &'a str>,
    /// Likewise.
    instances: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct ComponentObject<'a> {
    /// `sha256:…` of what runs, with its dependencies composed into it.
    digest: String,
    bytes: usize,
    /// `0.2`, `0.3`, or `null` for none.
    wasi: Option<&'a str>,
    /// `plain` or `concurrent`.
    engine: &'static str,
    /// Whether it answers HTTP.
    http: bool,
    capabilities: &'a [&'static str],
    /// Interfaces of the host that it imports.
    imports: &'a [String],
    exports: &'a [String],
}

#[derive(Serialize)]
struct RouteObject<'a> {
    /// `null` for a private one.
    route: Option<&'a str>,
    service: Option<&'a str>,
    /// Of a static response.
    status: Option<u16>,
}

#[derive(Serialize)]
struct LinkObject<'a> {
    caller: &'a str,
    /// The service that answers; `null` for a composed file or URL.
    callee: Option<&'a str>,
    /// The file or URL that is composed in; `null` for a service.
    component: Option<&'a str>,
    import: &'a str,
    /// `explicit`, `automatic` or `composed`.
    kind: &'static str,
    functions: Vec<FunctionObject<'a>>,
    /// The link's own deadline; `null` for that of the callee.
    timeout_ms: Option<u128>,
    /// The link's own bound; `null` for that of the callee.
    concurrency: Option<u32>,
}

#[derive(Serialize)]
struct FunctionObject<'a> {
    name: &'a str,
    signature: &'a str,
    #[serde(rename = "async")]
    is_async: bool,
}

#[derive(Serialize)]
struct DataObject<'a> {
    service: &'a str,
    /// `key-value` or `sqlite`.
    kind: &'static str,
    label: &'a str,
    /// `service`, `app` or `file`.
    scope: &'static str,
    /// Where the scope is `file`.
    path: Option<String>,
}

#[derive(Serialize)]
struct HostObject<'a> {
    service: &'a str,
    host: &'a str,
    /// The services that it stands for, where it is service chaining.
    services: Vec<&'a str>,
}

/// Prints the app on one line.
pub(super) fn print(checked: &Checked) -> anyhow::Result<String> {
    line(&document(checked))
}

/// Prints on one line that there is no app to look at, and why.
pub(super) fn refused(failure: &Failure) -> anyhow::Result<String> {
    let (message, location, hint) = match failure.error.downcast_ref() {
        Some(error @ crate::manifest::Error::Invalid(diagnostic)) => (
            diagnostic.fault.to_string(),
            Some(diagnostic.location.to_string()),
            error.hint(),
        ),
        _ => (failure.error.to_string(), None, failure.hint.clone()),
    };
    let mut causes: Vec<String> = failure.error.chain().skip(1).map(ToString::to_string).collect();
    // A transparent error says the same as its source.
    causes.retain(|cause| *cause != message);
    causes.dedup();
    let document = Document {
        findings: vec![FindingObject {
            severity: "error",
            service: None,
            location,
            message: &message,
            causes: &causes,
            hint: hint.as_deref(),
        }],
        ..Document::default()
    };
    line(&document)
}

/// On one line, harmless on a terminal.
fn line(document: &Document<'_>) -> anyhow::Result<String> {
    let mut text = harmless_json(&serde_json::to_string(document)?);
    text.push('\n');
    Ok(text)
}

fn document(checked: &Checked) -> Document<'_> {
    let Graph {
        app,
        version,
        data_scope,
        services,
        routes,
        links,
        data,
        hosts,
    } = &checked.graph;
    Document {
        app: Some(app),
        version: Some(version),
        data_scope: Some(data_scope.to_string()),
        ok: !checked.findings.iter().any(Finding::is_error),
        findings: checked.findings.iter().map(finding).collect(),
        services: services
            .iter()
            .map(|service| ServiceObject {
                service: service.name.as_str(),
                component: service.component.as_ref().map(component),
                limits: set(&service.limits),
                instances: set(&service.instances),
            })
            .collect(),
        routes: routes
            .iter()
            .map(|route| {
                let (service, status) = match &route.target {
                    RouteTarget::Service(service) => (Some(service.as_str()), None),
                    RouteTarget::Static(status) => (None, Some(*status)),
                };
                RouteObject {
                    route: route.route.as_deref(),
                    service,
                    status,
                }
            })
            .collect(),
        links: links.iter().map(link).collect(),
        data: data
            .iter()
            .map(|edge| {
                let (scope, path) = match &edge.scope {
                    EdgeScope::Service => ("service", None),
                    EdgeScope::App => ("app", None),
                    EdgeScope::File(path) => ("file", Some(path.display().to_string())),
                };
                DataObject {
                    service: edge.service.as_str(),
                    kind: data_kind(edge.kind),
                    label: edge.label.as_str(),
                    scope,
                    path,
                }
            })
            .collect(),
        outbound_hosts: hosts
            .iter()
            .map(|edge| HostObject {
                service: edge.service.as_str(),
                host: &edge.host,
                services: edge.chained.iter().map(|service| service.as_str()).collect(),
            })
            .collect(),
    }
}

fn set<'a>(settings: &'a [(&'static str, String)]) -> BTreeMap<&'static str, &'a str> {
    let settings = settings.iter();
    settings.map(|(key, value)| (*key, value.as_str())).collect()
}

fn finding(finding: &Finding) -> FindingObject<'_> {
    FindingObject {
        severity: match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        service: finding.service.as_ref().map(|service| service.as_str()),
        location: None,
        message: &finding.message,
        causes: &finding.causes,
        hint: finding.hint.as_deref(),
    }
}

fn component(facts: &ComponentFacts) -> ComponentObject<'_> {
    ComponentObject {
        digest: format!("sha256:{}", facts.digest),
        bytes: facts.bytes,
        wasi: facts.wasi.as_deref(),
        engine: if facts.concurrent { "concurrent" } else { "plain" },
        http: facts.handler,
        capabilities: &facts.capabilities,
        imports: &facts.imports,
        exports: &facts.exports,
    }
}

fn link(link: &LinkEdge) -> LinkObject<'_> {
    let (callee, component) = match &link.callee {
        LinkCallee::Service(service) => (Some(service.as_str()), None),
        LinkCallee::Component { name, .. } => (None, Some(name.as_str())),
    };
    LinkObject {
        caller: link.caller.as_str(),
        callee,
        component,
        import: &link.import,
        kind: link_kind(link.kind),
        functions: link
            .functions
            .iter()
            .map(|function| FunctionObject {
                name: &function.name,
                signature: &function.signature,
                is_async: function.is_async,
            })
            .collect(),
        timeout_ms: link.timeout.map(|timeout| timeout.as_millis()),
        concurrency: link.concurrency.map(std::num::NonZero::get),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(failure: Failure) -> serde_json::Value {
        let text = refused(&failure).unwrap();
        assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_the_one_finding() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("spin.toml");
        std::fs::write(
            &file,
            "spin_manifest_version = 2\n[application]\nname = \"x\"\nversoin = \"1\"\n",
        )
        .unwrap();
        let object = value(crate::manifest::load(&file).unwrap_err().into());
        assert_eq!(object["ok"], false);
        assert_eq!(object["app"], serde_json::Value::Null);
        assert_eq!(object["services"], serde_json::json!([]));
        let [finding] = &object["findings"].as_array().unwrap()[..] else {
            panic!("{object}")
        };
        let message = finding["message"].as_str().unwrap();
        assert!(message.starts_with("unknown key `versoin`"), "{message}");
        assert!(
            finding["location"].as_str().unwrap().ends_with("spin.toml:4:1"),
            "{finding}"
        );
        assert!(
            finding["hint"].as_str().unwrap().contains("`version`"),
            "{finding}"
        );
        assert_eq!(finding["severity"], "error");
    }

    #[test]
    fn other_reasons_are_told_with_their_causes_and_their_hint() {
        let error = anyhow::Error::from(std::io::Error::other("inner")).context("outer");
        let object = value(Failure {
            error,
            hint: Some("do this".into()),
            exit: crate::cli::Exit::Failed,
        });
        assert_eq!(
            object["findings"],
            serde_json::json!([{
                "severity": "error", "service": null, "location": null, "message": "outer",
                "causes": ["inner"], "hint": "do this",
            }])
        );
    }
}
