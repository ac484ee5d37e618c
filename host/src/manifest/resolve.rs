//! From the manifest as written to the [`App`]: every check that needs more than one key. Here is what concerns the
//! app as a whole; `service` and `trigger` do their tables, `response` the static responses, `probe` the probes,
//! `limits` what bounds a service, `connection`, `link` and `dependency` what services have to do with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::app::{App, DependencySource, HttpTrigger, Service, TriggerTarget, VariableDeclaration};
use super::error::{Fault, Warning, shorten};
use super::raw;
use super::read::{Entries, Result, fail};
use super::source::Source;
use crate::model::{AppName, DataScope, Digest, NameError, ServiceName, VariableName};

mod connection;
mod cycle;
mod dependency;
mod limits;
mod link;
mod probe;
mod response;
mod service;
mod trigger;

/// The app that `raw` describes.
pub(super) fn app(raw: raw::Manifest, source: &Source<'_>, text: &str, file: &Path) -> Result<App> {
    let name = raw.application.name;
    let name = parse_name(&name, "the name of the app", AppName::parse)?;
    let data = raw
        .application
        .tool
        .data
        .as_ref()
        .map_or(Ok(DataScope::default()), data_scope)?;
    // Alone, too: they are wrong where they stand, and not in each service that they are for.
    let tool = &raw.application.tool;
    let defaults = limits::limits(&tool.limits, &raw::Limits::default())?;
    limits::instances(&tool.instances, &raw::Instances::default(), &defaults)?;
    let variables = variables(raw.variables)?;
    let dir = file.parent().unwrap_or_else(|| Path::new("")).to_owned();
    let mut resolver = Resolver {
        source,
        dir: &dir,
        variables: &variables,
        limits: &raw.application.tool.limits,
        instances: &raw.application.tool.instances,
        services: BTreeMap::new(),
        connections: Vec::new(),
        warnings: Vec::new(),
    };
    for (id, component) in raw.components.0 {
        let name = parse_name(&id, "the id of the component", ServiceName::parse)?;
        let service = resolver.service(name.clone(), component)?;
        resolver.services.insert(name, service);
    }
    let triggers = resolver.triggers(raw.http_triggers)?;
    resolver.connect()?;
    resolver.warn_unreachable(&triggers);
    resolver.warn_dangling_chains();
    let triggers = resolver.drop_replaced(triggers);
    let Resolver {
        services, warnings, ..
    } = resolver;
    Ok(App {
        name,
        version: raw.application.version.unwrap_or_default(),
        description: raw.application.description,
        data,
        variables,
        services,
        triggers,
        dir,
        file: file.to_owned(),
        digest: Digest::of(text.as_bytes()),
        text: super::app::Text::new(text),
        warnings,
    })
}

/// A value that breaks a rule.
fn invalid<T>(
    what: impl Into<String>,
    reason: impl Into<String>,
    hint: Option<&str>,
    span: Range<usize>,
) -> Result<T> {
    fail(
        Fault::Invalid {
            what: what.into(),
            reason: reason.into(),
            hint: hint.map(str::to_owned),
        },
        span,
    )
}

fn parse_name<T>(
    name: &Spanned<String>,
    what: &str,
    parse: impl Fn(&str) -> std::result::Result<T, NameError>,
) -> Result<T> {
    parse(name.get_ref()).or_else(|error| {
        let what = format!("{what} {:?}", shorten(name.get_ref()));
        let hint = match &error {
            NameError::Separator { wanted, found } => Some(format!(
                "write `{}`",
                shorten(&name.get_ref().replace(*found, &wanted.to_string()))
            )),
            NameError::MixedCase { .. } | NameError::UpperCase { .. } => {
                Some(format!("write `{}`", shorten(&name.get_ref().to_lowercase())))
            }
            _ => None,
        };
        invalid(what, error.to_string(), hint.as_deref(), name.span())
    })
}

fn data_scope(written: &Spanned<String>) -> Result<DataScope> {
    let scopes = [DataScope::PerService, DataScope::App];
    let scope = scopes
        .into_iter()
        .find(|scope| scope.to_string() == *written.get_ref());
    scope.map_or_else(
        || {
            let what = format!("`data = {:?}`", shorten(written.get_ref()));
            let hint =
                "write \"per-service\" (each service has its own stores) or \"app\" (one store per label)";
            invalid(what, "there is no such scope of data", Some(hint), written.span())
        },
        Ok,
    )
}

/// `[variables]`: as in Spin each is required or has a default, never both.
fn variables(raw: Entries<Spanned<raw::Variable>>) -> Result<BTreeMap<String, VariableDeclaration>> {
    let mut variables = BTreeMap::new();
    for (name, variable) in raw.0 {
        parse_name(&name, "the name of the variable", VariableName::parse)?;
        let raw::Variable {
            description,
            required,
            default,
            secret,
        } = variable.into_inner();
        let what = || format!("the variable `{}`", name.get_ref());
        match (required, &default) {
            (true, Some(_)) => {
                let reason = "it is `required` and has a `default`";
                return invalid(what(), reason, Some("keep one of the two"), name.span());
            }
            (false, None) => {
                let hint = "write `default = \"…\"`, or `required = true` if a value must come from outside";
                return invalid(
                    what(),
                    "it is neither `required` nor has it a `default`",
                    Some(hint),
                    name.span(),
                );
            }
            _ => {}
        }
        variables.insert(
            name.into_inner(),
            VariableDeclaration {
                required,
                default,
                secret,
                description,
            },
        );
    }
    Ok(variables)
}

struct Resolver<'a> {
    source: &'a Source<'a>,
    dir: &'a Path,
    variables: &'a BTreeMap<String, VariableDeclaration>,
    /// Those of the app.
    limits: &'a raw::Limits,
    instances: &'a raw::Instances,
    services: BTreeMap<ServiceName, Service>,
    /// What is to be resolved once all services are known, in their order.
    connections: Vec<(ServiceName, raw::Connections)>,
    warnings: Vec<Warning>,
}

impl Resolver<'_> {
    /// The service that `id` names; whoever names it is no candidate for it.
    fn declared(&self, id: &Spanned<String>, by: Option<&ServiceName>) -> Result<ServiceName> {
        if let Some((name, _)) = self.services.get_key_value(id.get_ref().as_str()) {
            return Ok(name.clone());
        }
        let candidates = self.services.keys().filter(|name| Some(*name) != by);
        fail(
            Fault::Dangling {
                kind: "component",
                name: id.get_ref().clone(),
                candidates: candidates.map(ToString::to_string).collect(),
                declare: "`[component.<id>]`",
            },
            id.span(),
        )
    }

    fn warn(&mut self, span: &Range<usize>, message: String) {
        self.warnings.push(Warning {
            location: self.source.location(span),
            message,
        });
    }

    fn warn_unreachable(&mut self, triggers: &[HttpTrigger]) {
        let triggered = triggers.iter().filter_map(|trigger| match &trigger.target {
            TriggerTarget::Service(name) => Some(name),
            TriggerTarget::Static(_) => None,
        });
        let connected = self.services.values().flat_map(|service| {
            let linked = service.links.values().map(|link| &link.service);
            let composed = service.dependencies.iter();
            linked.chain(composed.filter_map(|dependency| match &dependency.source {
                DependencySource::Component(name) => Some(name),
                DependencySource::Path(_) | DependencySource::Url { .. } => None,
            }))
        });
        let reached: BTreeSet<&ServiceName> = triggered.chain(connected).collect();
        for service in self
            .services
            .values()
            .filter(|service| !reached.contains(&service.name))
        {
            let message = format!(
                "no trigger, link or dependency names `{}`: it is reachable only by service chaining, or as \
                 the one service that exports what another imports",
                service.name
            );
            self.warnings.push(Warning {
                location: service.location.clone(),
                message,
            });
        }
        if self.services.is_empty() && triggers.is_empty() {
            self.warn(
                &(0..0),
                "the app has no component and no trigger: there is nothing to serve".to_owned(),
            );
        }
    }

    /// A grant for service chaining to a service that the app does not have.
    fn warn_dangling_chains(&mut self) {
        let mut dangling = Vec::new();
        for host in self
            .services
            .values()
            .flat_map(|service| &service.allowed_outbound_hosts)
        {
            let target = host
                .template
                .as_literal()
                .and_then(|text| text.strip_prefix("http://"));
            let target = target.and_then(|host| host.trim_end_matches('/').strip_suffix(".spin.internal"));
            if let Some(target) = target.filter(|target| *target != "*")
                && !self
                    .services
                    .keys()
                    .any(|name| name.as_str().eq_ignore_ascii_case(target))
            {
                let message = format!("there is no component `{}` to be called", shorten(target));
                dangling.push(Warning {
                    location: host.location.clone(),
                    message,
                });
            }
        }
        self.warnings.append(&mut dangling);
    }
}
