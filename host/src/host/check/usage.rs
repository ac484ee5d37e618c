//! What an app has and does not use: grants without an import, services that nobody reaches, settings for nobody. And guests
//! whose parts do not belong together.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;

use super::anatomy::Anatomy;
use super::finding::Finding;
use super::graph::{Graph, LinkCallee, RouteTarget};
use crate::host::runtime_config::RuntimeConfig;
use crate::host::{limits, prepare};
use crate::manifest::{App, DependencySource, Service};
use crate::model::{Inherit, Inheritable, ServiceName};

/// The version of `wit-bindgen` that spin-sdk 7 uses, and what to write for it.
const SDK_GENERATOR: (u64, u64, &str) = (0, 57, "0.57.1");

/// What can go out over a grant of outbound hosts.
const OUTBOUND: [&str; 6] = ["outbound-http", "sockets", "redis", "postgres", "mysql", "mqtt"];

/// Grants of `service` that its component has no import for.
pub(super) fn unused_grants(service: &Service, anatomy: &Anatomy, findings: &mut Vec<Finding>) {
    let capabilities = anatomy.capabilities();
    let mut warn = |what: String, needs: &[&str], part: Inheritable| {
        let used = capabilities.iter().any(|capability| needs.contains(capability));
        // For Spin a grant may stand here that only a dependency uses.
        if !used && !is_inherited(service, part) {
            let message = format!(
                "service `{}` is granted {what}, and its component imports nothing that could use it",
                service.name
            );
            let hint = format!("remove it from `{}`", part.as_str());
            findings.push(Finding::warning(Some(&service.name), message, Some(hint)));
        }
    };
    for label in &service.key_value_stores {
        let what = format!("the key-value store `{label}`");
        warn(what, &["key-value"], Inheritable::KeyValueStores);
    }
    for label in &service.sqlite_databases {
        let what = format!("the SQLite database `{label}`");
        warn(what, &["sqlite"], Inheritable::SqliteDatabases);
    }
    if !service.allowed_outbound_hosts.is_empty() {
        warn(
            "outbound hosts".into(),
            &OUTBOUND,
            Inheritable::AllowedOutboundHosts,
        );
    }
    if !service.variables.is_empty() {
        warn("variables".into(), &["variables"], Inheritable::Variables);
    }
    if !service.files.is_empty() {
        warn("files".into(), &["files"], Inheritable::Files);
    }
}

fn is_inherited(service: &Service, part: Inheritable) -> bool {
    service
        .dependencies
        .iter()
        .any(|dependency| match &dependency.inherit {
            Inherit::All => true,
            Inherit::Some(parts) => parts.contains(&part),
            Inherit::Nothing => false,
        })
}

/// Variables of the app that no service reads.
pub(super) fn unused_variables(app: &App, findings: &mut Vec<Finding>) {
    let templates = app.services.values().flat_map(|service| {
        let hosts = service.allowed_outbound_hosts.iter().map(|host| &host.template);
        service.variables.values().chain(hosts)
    });
    let used: BTreeSet<&str> = templates
        .flat_map(|template| template.variables().map(|name| name.as_str()))
        .collect();
    for name in app.variables.keys().filter(|name| !used.contains(name.as_str())) {
        let message = format!("the variable `{name}` of the app is used by no service");
        let hint =
            format!("remove it, or give it to a service: `variables = {{ {name} = \"{{{{ {name} }}}}\" }}`");
        findings.push(Finding::warning(None, message, Some(hint)));
    }
}

/// Places in the runtime configuration for labels that no service has.
pub(super) fn unused_places(app: &App, config: &RuntimeConfig, findings: &mut Vec<Finding>) {
    let lines = prepare::unused_labels(app, config).into_iter();
    findings.extend(lines.map(|message| Finding::warning(None, message, None)));
}

/// Limits that something tighter makes senseless.
pub(super) fn limits_without_effect(app: &App, config: &RuntimeConfig, findings: &mut Vec<Finding>) {
    let lines = limits::without_effect(app, config).into_iter();
    findings.extend(lines.map(|message| Finding::warning(None, message, None)));
}

/// Services that no client's request can come to, by no way.
pub(super) fn unreachable(app: &App, graph: &Graph) -> BTreeSet<ServiceName> {
    let mut edges: BTreeMap<&ServiceName, Vec<&ServiceName>> = BTreeMap::new();
    for link in &graph.links {
        if let LinkCallee::Service(callee) = &link.callee {
            edges.entry(&link.caller).or_default().push(callee);
        }
    }
    for host in &graph.hosts {
        edges.entry(&host.service).or_default().extend(&host.chained);
    }
    for service in app.services.values() {
        let composed = service
            .dependencies
            .iter()
            .filter_map(|dependency| match &dependency.source {
                DependencySource::Component(name) => Some(name),
                DependencySource::Path(_) | DependencySource::Url { .. } => None,
            });
        edges.entry(&service.name).or_default().extend(composed);
    }
    let mut open: Vec<&ServiceName> = graph
        .routes
        .iter()
        .filter_map(|route| match &route.target {
            RouteTarget::Service(service) if route.route.is_some() => Some(service),
            _ => None,
        })
        .collect();
    let mut reached: BTreeSet<&ServiceName> = BTreeSet::new();
    while let Some(service) = open.pop() {
        if reached.insert(service) {
            open.extend(edges.get(service).into_iter().flatten());
        }
    }
    let services = app.services.keys();
    services.filter(|name| !reached.contains(name)).cloned().collect()
}

/// Core modules that have the asynchronous runtimes of several binding generators in them.
///
/// Such a guest is built and served without a complaint: the runtimes share the current task, so that calls are answered. But
/// each has its own queue of tasks, and what is started with `spawn` of the one that does not drive the handler never runs:
/// the handler waits for it in vain, or traps.
pub(super) fn generators(name: &ServiceName, anatomy: &Anatomy, findings: &mut Vec<Finding>) {
    for generators in anatomy.generators.iter().filter(|versions| versions.len() > 1) {
        let versions: Vec<String> = generators
            .iter()
            .map(|version| format!("`wit-bindgen` {version}"))
            .collect();
        let message = format!(
            "service `{name}` has the asynchronous runtimes of {} binding generators in it: {}. Tasks that one of them \
             spawns never run under the other",
            versions.len(),
            versions.join(" and ")
        );
        findings.push(Finding::warning(
            Some(name),
            message,
            Some(one_generator(generators)),
        ));
    }
}

fn one_generator(generators: &BTreeSet<Version>) -> String {
    let (major, minor, version) = SDK_GENERATOR;
    let has_sdk = generators
        .iter()
        .any(|generator| (generator.major, generator.minor) == (major, minor));
    if has_sdk {
        format!(
            "write `wit-bindgen = \"{version}\"` in the Cargo.toml of the guest, which is what spin-sdk 7 uses, or generate \
             with `spin_sdk::wit_bindgen`; `cargo tree -i wit-bindgen` shows who wants another"
        )
    } else {
        "build the guest with one version of `wit-bindgen`; `cargo tree -i wit-bindgen` shows who wants which"
            .into()
    }
}
