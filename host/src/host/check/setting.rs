//! What an app needs that is no code: values of its variables, hosts that may be reached, places of its data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::{Options, finding_of};
use crate::adapter::sqlite::{Kind, SqliteDataError};
use crate::adapter::variables::{self, ResolvedVariables};
use crate::host::runtime_config::{KeyValueBackend, SqliteBackend};
use crate::host::{Error, limits};
use crate::manifest::{AllowedHost, App, Service};
use crate::model::outbound_host::AllowedHosts;
use crate::model::{Label, ServiceName};

/// Checks the settings. Gives back the outbound hosts of each service, as far as they can be told.
pub(super) fn check(app: &App, options: &Options, findings: &mut Vec<Finding>) -> Vec<(ServiceName, String)> {
    let providers = &options.runtime_config.variables_providers;
    let environment = |name: &str| std::env::var(name).ok();
    let variables = match variables::resolve(app, &options.variables, providers, environment) {
        Ok(variables) => Some(variables),
        Err(error) => {
            findings.push(finding_of(None, &Error::Variables(error)));
            None
        }
    };
    let mut hosts = Vec::new();
    for service in app.services.values() {
        if let Err(error) = limits::of(service, &options.runtime_config) {
            findings.push(finding_of(Some(&service.name), &error));
        }
        if let Some(Err(source)) = variables.as_ref().map(|known| known.service_variables(service)) {
            let error = Error::Unresolved {
                service: service.name.clone(),
                source,
            };
            findings.push(finding_of(Some(&service.name), &error));
        }
        for host in &service.allowed_outbound_hosts {
            let text = variables
                .as_ref()
                .and_then(|known| allowed_host(service, host, known, findings))
                .unwrap_or_else(|| host.template.to_string());
            hosts.push((service.name.clone(), text));
        }
    }
    data(app, options, findings);
    hosts
}

fn allowed_host(
    service: &Service,
    host: &AllowedHost,
    variables: &ResolvedVariables,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    let resolved = if variables.is_secret(&host.template) {
        Err(Error::SecretHost {
            location: host.location.clone(),
        })
    } else {
        variables
            .resolve_template(&host.template)
            .map_err(|source| Error::Unresolved {
                service: service.name.clone(),
                source,
            })
    };
    let parsed = resolved.and_then(|entry| match AllowedHosts::parse([&entry]) {
        Ok(_) => Ok(entry),
        Err(source) => Err(Error::AllowedHost {
            location: host.location.clone(),
            source,
        }),
    });
    match parsed {
        Ok(entry) => Some(entry),
        Err(error) => {
            findings.push(finding_of(Some(&service.name), &error));
            None
        }
    }
}

/// One file cannot be a database and a key-value store. Only the runtime configuration can make it both.
fn data(app: &App, options: &Options, findings: &mut Vec<Finding>) {
    let config = &options.runtime_config;
    let mut kinds: BTreeMap<PathBuf, Kind> = BTreeMap::new();
    let mut bind = |service: &Service, label: &Label, kind: Kind, path: &Path| {
        let failed = match std::path::absolute(path) {
            Ok(path) if *kinds.entry(path.clone()).or_insert(kind) != kind => {
                SqliteDataError::TwoKinds { path }
            }
            Ok(_) => return,
            Err(source) => SqliteDataError::NoAbsolutePath {
                path: path.to_owned(),
                source,
            },
        };
        let error = Error::Data {
            service: service.name.clone(),
            label: label.to_string(),
            source: failed,
        };
        findings.push(finding_of(Some(&service.name), &error));
    };
    for service in app.services.values() {
        for label in &service.key_value_stores {
            if let Some(KeyValueBackend::Spin { path }) = config.key_value_stores.get(label) {
                bind(service, label, Kind::KeyValue, path);
            }
        }
        for label in &service.sqlite_databases {
            if let Some(SqliteBackend::Spin { path }) = config.sqlite_databases.get(label) {
                bind(service, label, Kind::Sqlite, path);
            }
        }
    }
}
