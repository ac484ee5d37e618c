//! From the contracts of an app's services to the links between them: what a start and `midplane check` share.
//!
//! The manifest says which links are wanted, the components say what they import and export, [`crate::link`] says whether that
//! fits. Nothing here runs.

use std::sync::Arc;

use super::Error;
use crate::engine::{Compiled, Foreign, Target};
use crate::link::{
    self, ExplicitLink, Link, LinkError, LinkWarning, Policy, Resolution, ResolvedLink, ServiceContracts,
};
use crate::manifest::{App, LinkDeclaration, Service};
use crate::model::InterfaceName;
use crate::service::Identity;
use crate::telemetry::Metrics;
use crate::telemetry::trace::Tracer;

/// What belongs to the host: what it does not have of these, no service provides either.
const OF_THE_HOST: [&str; 3] = ["wasi:", "spin:", "fermyon:spin/"];

/// Whether an import is the host's to provide.
pub fn is_of_the_host(import: &str) -> bool {
    OF_THE_HOST.iter().any(|prefix| import.starts_with(prefix))
}

/// What a service imports and exports, and what its manifest entry says of links.
pub fn contracts(service: &Service, compiled: &Compiled) -> Result<ServiceContracts, Error> {
    let unreadable = |source| Error::Contracts {
        service: service.name.clone(),
        source,
    };
    let component = compiled.component();
    let imports = link::imports(component, &is_of_the_host).map_err(unreadable)?;
    let exports = link::exports(component).map_err(unreadable)?;
    Ok(ServiceContracts {
        name: service.name.clone(),
        imports: imports.contracts,
        other_imports: imports.others,
        sync_only: exports.sync_only,
        exports: exports.contracts,
        links: service
            .links
            .iter()
            .map(|(import, declared)| {
                let link = ExplicitLink {
                    service: declared.service.clone(),
                    location: declared.location.to_string(),
                };
                (import.clone(), link)
            })
            .collect(),
    })
}

/// The links of an app, or why it cannot have them.
pub fn links(services: &[ServiceContracts]) -> Result<Resolution, Error> {
    let resolution = link::resolve(services);
    if resolution.errors.is_empty() {
        Ok(resolution)
    } else {
        Err(Error::Links(LinkErrors(resolution.errors)))
    }
}

/// The declaration in the manifest that an import is linked by: of its very version, or of its track.
pub fn declaration<'a>(service: &'a Service, import: &InterfaceName) -> Option<&'a LinkDeclaration> {
    service.links.get(import).or_else(|| {
        service
            .links
            .iter()
            .find(|(key, _)| key.serves(import) || import.serves(key))
            .map(|(_, declared)| declared)
    })
}

/// What a service imports from others by `links`, which are its own, as its code is linked with it; each link becomes part of the service's identity.
pub(super) fn foreign(
    app: &str,
    service: &Service,
    links: &[ResolvedLink],
    metrics: &Metrics,
    tracer: &Tracer,
    identity: &mut Identity,
) -> Vec<Foreign> {
    let declared = links.iter();
    declared
        .map(|link| {
            let policy = declaration(service, &link.import).map_or_else(Policy::default, |declared| Policy {
                timeout: declared.timeout,
                concurrency: declared.concurrency,
            });
            identity.add_value("link", &link.import.to_string(), link.callee.as_str());
            identity.add("policy", format!("{policy:?}").as_bytes());
            let metrics = metrics.link(
                app,
                service.name.as_str(),
                link.callee.as_str(),
                &link.import.to_string(),
            );
            Foreign {
                interface: link.import.clone(),
                target: Target::Service(Arc::new(Link::new(link, policy, metrics, tracer.clone()))),
            }
        })
        .collect()
}

/// What the links of a service say and cannot have, since the callee's own limits are tighter: a line for each.
pub(super) fn without_effect(service: &Service, app: &App) -> Vec<String> {
    let mut lines = Vec::new();
    for (import, declared) in &service.links {
        let LinkDeclaration {
            service: callee,
            location,
            ..
        } = declared;
        let Some(limits) = app.services.get(callee).map(|callee| &callee.limits) else {
            continue;
        };
        if let Some(timeout) = declared.timeout
            && timeout > limits.timeout
        {
            lines.push(format!(
                "{location}: `timeout = {timeout:?}` of the link to `{import}` has no effect: `{callee}` may take {:?}",
                limits.timeout
            ));
        }
        if let Some(concurrency) = declared.concurrency
            && concurrency > limits.concurrency
        {
            lines.push(format!(
                "{location}: `concurrency = {concurrency}` of the link to `{import}` has no effect: `{callee}` takes {} \
                 calls at once",
                limits.concurrency
            ));
        }
    }
    lines
}

/// What works and is most likely not meant, as one line.
pub(super) fn told(warning: &LinkWarning) -> String {
    let text = warning.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ")
}

/// Why the services of an app cannot be linked, all reasons at once.
#[derive(Debug)]
pub struct LinkErrors(pub Vec<LinkError>);

impl LinkErrors {
    /// What to do about it, if there is one thing to do.
    pub fn hint(&self) -> Option<String> {
        match self.0.as_slice() {
            [one] => one.hint(),
            _ => None,
        }
    }
}

impl std::error::Error for LinkErrors {}

impl std::fmt::Display for LinkErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(f, "{one}");
        }
        write!(f, "{} imports cannot be linked", self.0.len())?;
        for error in &self.0 {
            write!(f, "\n  - {}", error.to_string().replace('\n', "\n    "))?;
            if let Some(hint) = error.hint() {
                write!(f, "\n    hint: {}", hint.replace('\n', "\n    "))?;
            }
        }
        Ok(())
    }
}
