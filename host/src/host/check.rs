//! What a start would refuse, found without one: [`check`] reads, composes, compiles and links all that an app is made of and
//! starts nothing. [`fuse`] makes a service and those that it links to into one component.
//!
//! Hides where compiled code is kept meanwhile. Invariants: no port, no lock, no data; every fault is found that can be seen
//! beside the others; what a start would log as a warning is a finding too. *Bounds*: those of a start.
//!
//! *Absent*: instances, requests, and how findings are printed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, ready};

mod anatomy;
mod draw;
mod finding;
mod fusion;
mod graph;
mod load;
mod setting;
mod shelf;
mod usage;

pub use finding::{Finding, Severity};
pub use fusion::{Fused, FusionError, Home, fuse};
pub use graph::{
    ComponentFacts, DataEdge, DataKind, EdgeScope, FunctionFacts, Graph, HostEdge, LinkCallee, LinkEdge,
    LinkKind, RouteEdge, RouteTarget, ServiceNode,
};

use super::Error;
use super::runtime_config::RuntimeConfig;
use crate::adapter::files;
use crate::engine::{CallError, CompileError, Foreign, Stub, Target, Value};
use crate::link::{self, LinkError, Resolution, ResolvedLink};
use crate::manifest::{App, Location, TriggerTarget};
use crate::model::ServiceName;
use crate::shutdown::Tasks;
use load::Loaded;
use shelf::Shelf;

/// What the operator asks for, apart from the app itself.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the next start has its state, if not beside the manifest.
    pub state_dir: Option<PathBuf>,
    /// Where compiled code is kept, if not in the state directory.
    pub cache_dir: Option<PathBuf>,
    /// The runtime configuration.
    pub runtime_config: RuntimeConfig,
    /// Variables given on the command line.
    pub variables: BTreeMap<String, String>,
}

/// An app that was looked at.
#[derive(Debug)]
pub struct Checked {
    /// What was found, errors first.
    pub findings: Vec<Finding>,
    /// What the app is made of, as far as it could be read.
    pub graph: Graph,
}

/// Looks at an app as a start would, and starts nothing.
pub async fn check(app: &App, options: &Options, tasks: &Tasks) -> Checked {
    let mut findings = Vec::new();
    let hosts = setting::check(app, options, &mut findings);
    let (loaded, links) = match components(app, options, tasks, &mut findings).await {
        Ok(Components { shelf, loaded, links }) => {
            for component in &loaded {
                host_imports(app, component, &links, &shelf, &mut findings);
            }
            (loaded, links)
        }
        Err(error) => {
            findings.push(finding_of(None, &error));
            (Vec::new(), Vec::new())
        }
    };
    staged_files(app, tasks, &mut findings).await;
    handlers(app, &loaded, &mut findings);
    for component in &loaded {
        if let Some(service) = app.services.get(&component.name) {
            usage::unused_grants(service, &component.anatomy, &mut findings);
        }
        usage::generators(&component.name, &component.anatomy, &mut findings);
    }
    usage::unused_variables(app, &mut findings);
    usage::unused_places(app, &options.runtime_config, &mut findings);
    usage::limits_without_effect(app, &options.runtime_config, &mut findings);
    let graph = draw::draw(app, &options.runtime_config, &loaded, &links, hosts);
    reach(app, &graph, &mut findings);
    // Stable: otherwise in the order in which a start would have met them.
    findings.sort_by_key(|finding| finding.severity);
    Checked { findings, graph }
}

/// The components of an app, and the links between them.
struct Components {
    shelf: Shelf,
    loaded: Vec<Loaded>,
    links: Vec<ResolvedLink>,
}

/// Loads the components and links them, as far as either can be done.
async fn components(
    app: &App,
    options: &Options,
    tasks: &Tasks,
    findings: &mut Vec<Finding>,
) -> Result<Components, Error> {
    let shelf = Shelf::open(app, options)?;
    let loaded = load::load(app, options, &shelf, tasks, findings).await;
    let contracts: Vec<_> = loaded
        .iter()
        .map(|component| component.contracts.clone())
        .collect();
    let Resolution {
        links,
        errors,
        warnings,
    } = link::resolve(&contracts);
    let missing: BTreeSet<&ServiceName> = {
        let loaded: BTreeSet<_> = loaded.iter().map(|component| &component.name).collect();
        app.services
            .keys()
            .filter(|name| !loaded.contains(name))
            .collect()
    };
    for error in errors.iter().filter(|error| !is_owed_to(error, &missing)) {
        findings.push(Finding::error(Some(error.caller()), error, error.hint()));
    }
    for warning in &warnings {
        let (link::LinkWarning::Silent { caller, .. } | link::LinkWarning::Unused { caller, .. }) = warning;
        findings.push(Finding::warning(
            Some(caller),
            warning.to_string(),
            warning.hint(),
        ));
    }
    Ok(Components { shelf, loaded, links })
}

/// Whether a link may only be missing because a component could not be loaded.
fn is_owed_to(error: &LinkError, missing: &BTreeSet<&ServiceName>) -> bool {
    match error {
        LinkError::UnknownService { service, .. } => missing.contains(service),
        LinkError::NoExporter { .. } => !missing.is_empty(),
        _ => false,
    }
}

/// Never called: what is linked to it is only looked at.
struct Nobody;

impl Stub for Nobody {
    fn call(&self, _: &str, _: Vec<Value>) -> BoxFuture<'static, Result<Option<Value>, CallError>> {
        ready(Err(CallError::Host)).boxed()
    }
}

/// What a component imports from the host must be there, in the shape that it expects, and its instances must be able to do what
/// the manifest asks of them.
fn host_imports(
    app: &App,
    component: &Loaded,
    links: &[ResolvedLink],
    shelf: &Shelf,
    findings: &mut Vec<Finding>,
) {
    let contracts = &component.contracts;
    // What cannot be linked was told already, and would only hide what the host lacks.
    let is_linked = |import: &_| {
        let mut own = links.iter().filter(|link| link.caller == component.name);
        own.any(|link| link.import == *import)
    };
    let foreign = contracts
        .imports
        .iter()
        .filter(|contract| contract.items.is_empty() || is_linked(&contract.interface))
        .map(|contract| Foreign {
            interface: contract.interface.clone(),
            target: Target::Stub(Arc::new(Nobody)),
        })
        .collect();
    let Some(service) = app.services.get(&component.name) else {
        return;
    };
    let linked = shelf.engines.link(&component.compiled, foreign);
    let checked = linked.and_then(|code| code.check(&service.limits, &service.instances));
    let Err(source) = checked else {
        return;
    };
    if let CompileError::UnknownImport { import, .. } = &source {
        let mut contracts_told = contracts
            .imports
            .iter()
            .map(|contract| contract.interface.to_string());
        if contracts.other_imports.contains(import) || contracts_told.any(|told| told == *import) {
            return;
        }
    }
    let error = Error::Compile {
        service: component.name.clone(),
        component: service.source.display().to_string(),
        source,
    };
    findings.push(finding_of(Some(&component.name), &error));
}

/// The files of services, which a start would copy.
async fn staged_files(app: &App, tasks: &Tasks, findings: &mut Vec<Finding>) {
    for service in app.services.values().filter(|service| !service.files.is_empty()) {
        let (dir, own) = (app.dir.clone(), service.clone());
        let name = Some(&service.name);
        match tasks
            .blocking("check files", move || files::survey(&dir, &own))
            .await
        {
            Ok(Ok(warnings)) => {
                findings.extend(
                    warnings
                        .into_iter()
                        .map(|text| Finding::warning(name, text, None)),
                );
            }
            Ok(Err(source)) => {
                let error = Error::Files {
                    service: service.name.clone(),
                    source,
                };
                findings.push(finding_of(name, &error));
            }
            Err(_) => findings.push(finding_of(
                name,
                &Error::Interrupted {
                    service: service.name.clone(),
                },
            )),
        }
    }
}

/// A trigger leads to a service that answers HTTP.
fn handlers(app: &App, loaded: &[Loaded], findings: &mut Vec<Finding>) {
    for trigger in &app.triggers {
        let TriggerTarget::Service(name) = &trigger.target else {
            continue;
        };
        let component = loaded.iter().find(|component| component.name == *name);
        if component.is_some_and(|component| !component.compiled.has_handler()) {
            let error = Error::NoHandler {
                service: name.clone(),
                location: trigger.location.clone(),
            };
            findings.push(finding_of(Some(name), &error));
        }
    }
}

/// What the manifest says of itself, and who is reached by nobody. The manifest alone cannot tell the latter, since links may
/// go without saying.
fn reach(app: &App, graph: &Graph, findings: &mut Vec<Finding>) {
    let of_a_service =
        |location: &Location| app.services.values().any(|service| service.location == *location);
    let warnings = app
        .warnings
        .iter()
        .filter(|warning| !of_a_service(&warning.location));
    findings.extend(warnings.map(|warning| Finding::warning(None, warning.to_string(), None)));
    // While links are missing it is not known.
    if findings.iter().any(Finding::is_error) {
        return;
    }
    for name in usage::unreachable(app, graph) {
        let message = format!(
            "service `{name}` is reached by nobody: no route leads to it, and no service that is reached links to it or \
             calls it"
        );
        let hint = format!("give it a `[[trigger.http]]` with `component = \"{name}\"`, or remove it");
        findings.push(Finding::warning(Some(&name), message, Some(hint)));
    }
}

/// A host error as a finding.
fn finding_of(service: Option<&ServiceName>, error: &Error) -> Finding {
    Finding::error(service, error, error.hint())
}

#[cfg(test)]
mod tests;
