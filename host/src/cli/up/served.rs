//! What `midplane up` prints once it serves, in lines for people or as one JSON object for scripts.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use crate::host::{Host, RolloutError};
use crate::manifest::{TriggerRoute, TriggerTarget};

/// What is served, to be printed.
#[derive(Serialize)]
pub(super) struct Served {
    base_url: String,
    admin_url: Option<String>,
    app: String,
    state_dir: PathBuf,
    routes: Vec<Route>,
    services: Vec<Service>,
    /// Why what the manifest and its files say is not served.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[derive(Serialize)]
struct Route {
    route: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    wildcard: bool,
}

#[derive(Serialize)]
struct Service {
    service: String,
    revision: String,
    /// Whose word it goes by: `files`, `unchanged`, `deploy`, `rollback` or `last published`.
    by: &'static str,
    compiled: bool,
    data: Vec<Data>,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Link {
    interface: String,
    service: String,
}

#[derive(Serialize)]
struct Data {
    kind: &'static str,
    label: String,
    path: PathBuf,
}

impl Served {
    /// What `host` serves.
    pub(super) fn new(host: &Host) -> Self {
        let app = host.app();
        let base_url = format!("http://{}", host.address());
        let routes = app
            .triggers
            .iter()
            .filter_map(|trigger| {
                let TriggerRoute::Path(pattern) = &trigger.route else {
                    return None;
                };
                Some(Route {
                    route: pattern.raw().to_owned(),
                    url: format!("{base_url}{}", pattern.component_route()),
                    service: match &trigger.target {
                        TriggerTarget::Service(service) => Some(service.to_string()),
                        TriggerTarget::Static(_) => None,
                    },
                    wildcard: pattern.is_wildcard(),
                })
            })
            .collect();
        let services = host
            .services()
            .iter()
            .map(|summary| Service {
                service: summary.service.to_string(),
                revision: summary.revision.to_string(),
                by: host.won(&summary.service).as_str(),
                compiled: summary.compiled.is_some(),
                data: summary
                    .data
                    .iter()
                    .map(|place| Data {
                        kind: place.kind,
                        label: place.label.to_string(),
                        path: place.path.clone(),
                    })
                    .collect(),
                links: summary
                    .links
                    .iter()
                    .map(|link| Link {
                        interface: link.import.to_string(),
                        service: link.callee.to_string(),
                    })
                    .collect(),
            })
            .collect();
        Self {
            base_url,
            admin_url: host.admin().map(|address| format!("http://{address}")),
            app: app.name.to_string(),
            state_dir: host.state_dir().path().to_owned(),
            routes,
            services,
            refused: host.refused().map(RolloutError::text),
        }
    }

    /// Lines for people; if `quiet`, only where.
    pub(super) fn plain(&self, quiet: bool) -> String {
        let mut text = format!("Serving {}\n", self.base_url);
        if quiet {
            return text;
        }
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _infallible = text.write_fmt(line);
            text.push('\n');
        };
        if !self.routes.is_empty() {
            line(format_args!("Available Routes:"));
        }
        for route in &self.routes {
            let wildcard = if route.wildcard { " (wildcard)" } else { "" };
            let who = route.service.as_deref().unwrap_or("static response");
            line(format_args!("  {who}: {}{wildcard}", route.url));
        }
        if !self.services.is_empty() {
            line(format_args!("Services:"));
        }
        for service in &self.services {
            line(format_args!(
                "  {}: revision {} ({})",
                service.service, service.revision, service.by
            ));
        }
        if let Some(refused) = &self.refused {
            line(format_args!("Refused: {refused}"));
        }
        if self.services.iter().any(|service| !service.links.is_empty()) {
            line(format_args!("Links:"));
        }
        for service in &self.services {
            for link in &service.links {
                let Service { service, .. } = service;
                line(format_args!("  {service} → {}: {}", link.service, link.interface));
            }
        }
        if self.services.iter().any(|service| !service.data.is_empty()) {
            line(format_args!("Data:"));
        }
        for service in &self.services {
            for data in &service.data {
                line(format_args!(
                    "  {}: {} `{}` in {}",
                    service.service,
                    data.kind,
                    data.label,
                    data.path.display()
                ));
            }
        }
        if let Some(admin) = &self.admin_url {
            line(format_args!("Admin: {admin}/ready and {admin}/metrics"));
        }
        text
    }

    /// One line of JSON.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        let mut text = serde_json::to_string(self).context("cannot print what is served")?;
        text.push('\n');
        Ok(text)
    }
}
