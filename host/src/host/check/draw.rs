//! From the manifest, the components and the links to the picture of the app.

use super::graph::{
    ComponentFacts, DataEdge, DataKind, EdgeScope, FunctionFacts, Graph, HostEdge, LinkCallee, LinkEdge,
    LinkKind, RouteEdge, RouteTarget, ServiceNode,
};
use super::load::Loaded;
use crate::host::runtime_config::{KeyValueBackend, RuntimeConfig, SqliteBackend};
use crate::host::{limits, linking};
use crate::link::ResolvedLink;
use crate::manifest::{App, DependencySource, Service, TriggerRoute, TriggerTarget};
use crate::model::outbound_host::INTERNAL_SUFFIX;
use crate::model::{DataScope, Label, ServiceName};

/// Draws the app. `hosts` has the outbound hosts of each service as far as they are known.
pub(super) fn draw(
    app: &App,
    config: &RuntimeConfig,
    loaded: &[Loaded],
    links: &[ResolvedLink],
    hosts: Vec<(ServiceName, String)>,
) -> Graph {
    let component = |name: &ServiceName| loaded.iter().find(|loaded| loaded.name == *name);
    let mut edges: Vec<LinkEdge> = links.iter().map(|link| live(app, link)).collect();
    for loaded in loaded {
        if let Some(service) = app.services.get(&loaded.name) {
            edges.extend(composed(service, loaded));
        }
    }
    edges.sort_by(|one, other| (&one.caller, &one.import).cmp(&(&other.caller, &other.import)));
    Graph {
        app: app.name.to_string(),
        version: app.version.clone(),
        data_scope: app.data,
        services: app
            .services
            .values()
            .map(|service| ServiceNode {
                name: service.name.clone(),
                component: component(&service.name).map(facts),
                // What is too much for this host is a finding.
                limits: limits::of(service, config)
                    .as_ref()
                    .unwrap_or(&service.limits)
                    .set(),
                instances: service.instances.set(),
            })
            .collect(),
        routes: routes(app),
        links: edges,
        data: app
            .services
            .values()
            .flat_map(|service| data(app, config, service))
            .collect(),
        hosts: hosts
            .into_iter()
            .map(|(service, host)| HostEdge {
                chained: chained(app, &service, &host),
                service,
                host,
            })
            .collect(),
    }
}

fn facts(loaded: &Loaded) -> ComponentFacts {
    let of_the_host = |name: &&String| linking::is_of_the_host(name);
    ComponentFacts {
        digest: loaded.compiled.digest(),
        bytes: loaded.bytes.len(),
        wasi: loaded.anatomy.wasi(),
        concurrent: loaded.compiled.is_concurrent(),
        handler: loaded.compiled.has_handler(),
        capabilities: loaded.anatomy.capabilities(),
        imports: loaded
            .anatomy
            .imports
            .iter()
            .filter(of_the_host)
            .cloned()
            .collect(),
        exports: loaded.anatomy.exports.clone(),
    }
}

fn routes(app: &App) -> Vec<RouteEdge> {
    let route = |route: &TriggerRoute| match route {
        TriggerRoute::Path(pattern) => Some(pattern.raw().to_owned()),
        TriggerRoute::Private => None,
    };
    let target = |target: &TriggerTarget| match target {
        TriggerTarget::Service(service) => RouteTarget::Service(service.clone()),
        TriggerTarget::Static(response) => RouteTarget::Static(response.status.as_u16()),
    };
    app.triggers
        .iter()
        .map(|trigger| RouteEdge {
            route: route(&trigger.route),
            target: target(&trigger.target),
        })
        .collect()
}

fn live(app: &App, link: &ResolvedLink) -> LinkEdge {
    let declared = app
        .services
        .get(&link.caller)
        .and_then(|service| linking::declaration(service, &link.import));
    LinkEdge {
        caller: link.caller.clone(),
        import: link.import.to_string(),
        callee: LinkCallee::Service(link.callee.clone()),
        kind: if link.explicit {
            LinkKind::Explicit
        } else {
            LinkKind::Automatic
        },
        functions: link
            .functions
            .iter()
            .map(|(name, function)| FunctionFacts {
                name: name.clone(),
                signature: function.to_string(),
                is_async: function.is_async,
            })
            .collect(),
        timeout: declared.and_then(|declared| declared.timeout),
        concurrency: declared.and_then(|declared| declared.concurrency),
    }
}

fn composed<'a>(service: &'a Service, loaded: &'a Loaded) -> impl Iterator<Item = LinkEdge> + 'a {
    loaded.satisfied.iter().filter_map(move |satisfied| {
        let mut dependencies = service.dependencies.iter();
        let dependency = dependencies.find(|dependency| dependency.name == satisfied.part)?;
        let callee = match &dependency.source {
            DependencySource::Component(name) => LinkCallee::Service(name.clone()),
            DependencySource::Path(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                LinkCallee::Component {
                    name: name.to_string_lossy().into_owned(),
                    source: path.to_string_lossy().into_owned(),
                }
            }
            // Without what could be a secret in it.
            DependencySource::Url { url, .. } => {
                let host = url.host_str().unwrap_or_default();
                let name = format!("{}://{host}{}", url.scheme(), url.path());
                LinkCallee::Component {
                    source: name.clone(),
                    name,
                }
            }
        };
        Some(LinkEdge {
            caller: service.name.clone(),
            import: satisfied.import.clone(),
            callee,
            kind: LinkKind::Composed,
            functions: Vec::new(),
            timeout: None,
            concurrency: None,
        })
    })
}

fn data<'a>(
    app: &'a App,
    config: &'a RuntimeConfig,
    service: &'a Service,
) -> impl Iterator<Item = DataEdge> + 'a {
    let edge = |kind, label: &Label, fixed: Option<EdgeScope>| DataEdge {
        service: service.name.clone(),
        kind,
        label: label.clone(),
        scope: fixed.unwrap_or(match app.data {
            DataScope::App => EdgeScope::App,
            DataScope::PerService => EdgeScope::Service,
        }),
    };
    let stores = service.key_value_stores.iter().map(move |label| {
        let fixed = config.key_value_stores.get(label);
        let fixed = fixed.map(|KeyValueBackend::Spin { path }| EdgeScope::File(path.clone()));
        edge(DataKind::KeyValue, label, fixed)
    });
    let databases = service.sqlite_databases.iter().map(move |label| {
        let fixed = config.sqlite_databases.get(label);
        let fixed = fixed.map(|SqliteBackend::Spin { path }| EdgeScope::File(path.clone()));
        edge(DataKind::Sqlite, label, fixed)
    });
    stores.chain(databases)
}

/// The services that an outbound host stands for: service chaining goes to `http://<service>.spin.internal`.
fn chained(app: &App, caller: &ServiceName, host: &str) -> Vec<ServiceName> {
    let Some((_, host)) = host.split_once("://") else {
        return Vec::new();
    };
    let host = host.trim_end_matches('/');
    let host = host.split(':').next().unwrap_or(host).to_ascii_lowercase();
    let Some(target) = host.strip_suffix(INTERNAL_SUFFIX) else {
        return Vec::new();
    };
    let names = app.services.keys();
    names
        .filter(|name| match target {
            "*" => *name != caller,
            target => name.as_str().eq_ignore_ascii_case(target),
        })
        .cloned()
        .collect()
}
