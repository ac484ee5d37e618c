//! A service and those that it links to, made into one component for platforms without live links.

use std::collections::{BTreeMap, BTreeSet};

use super::anatomy::{self, Anatomy};
use super::finding::Finding;
use super::{Components, Options, components};
use crate::compose::{self, ComposeError, FusedLink};
use crate::host::Error;
use crate::manifest::App;
use crate::model::ServiceName;
use crate::shutdown::Tasks;

/// One component made of several.
#[derive(Debug)]
pub struct Fused {
    /// The component.
    pub bytes: Vec<u8>,
    /// The services in it, the one that was asked for first, each with the bytes of its own component.
    pub parts: Vec<(ServiceName, usize)>,
    /// The links that became a part of it.
    pub links: Vec<FusedLink>,
    /// What somebody must still provide.
    pub imports: Vec<String>,
    /// Where it can run.
    pub home: Home,
}

/// Where a component can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// Wherever there is WASI and its HTTP: it answers HTTP and imports nothing else.
    Wasi,
    /// On Spin and on Midplane: it answers HTTP and imports what only these have.
    Spin,
    /// Nowhere by itself: it answers no HTTP.
    Library,
}

/// A service cannot be made into one component with those that it links to.
#[derive(Debug, thiserror::Error)]
pub enum FusionError {
    /// The app has no such service.
    #[error("the app has no service `{service}`")]
    UnknownService {
        /// The name.
        service: ServiceName,
        /// The services that it has.
        services: Vec<ServiceName>,
    },
    /// The engines that read components cannot be set up.
    #[error(transparent)]
    Host(#[from] Box<Error>),
    /// Something that the service needs is not there, or does not fit.
    #[error("`{service}` cannot be composed with what it links to")]
    Findings {
        /// The service.
        service: ServiceName,
        /// What is wrong with it, or with one that it links to.
        findings: Vec<Finding>,
    },
    /// The components do not make one.
    #[error("`{service}` cannot be composed with what it links to")]
    Compose {
        /// The service.
        service: ServiceName,
        /// Why not.
        source: ComposeError,
    },
}

impl FusionError {
    /// What its reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownService { services, .. } => {
                let names: Vec<String> = services.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("its services are {}", names.join(", ")))
            }
            Self::Host(error) => error.hint(),
            Self::Findings { .. } => None,
            Self::Compose { source, .. } => source.hint(),
        }
    }
}

/// Fuses `root` with the services that it links to, and those that they link to. What is wrong with other services of the app
/// does not matter.
///
/// # Errors
/// [`FusionError`].
pub async fn fuse(
    app: &App,
    root: &ServiceName,
    options: &Options,
    tasks: &Tasks,
) -> Result<Fused, FusionError> {
    if !app.services.contains_key(root) {
        return Err(FusionError::UnknownService {
            service: root.clone(),
            services: app.services.keys().cloned().collect(),
        });
    }
    let mut findings = Vec::new();
    let Components { loaded, links, .. } = components(app, options, tasks, &mut findings)
        .await
        .map_err(Box::new)?;
    // Services that the root reaches. A link that could not be made leads to a finding of its caller, which is reached.
    let mut reached = BTreeSet::new();
    let mut open = vec![root];
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            let own = links.iter().filter(|link| link.caller == *name);
            open.extend(own.map(|link| &link.callee));
            let declared = app
                .services
                .get(name)
                .into_iter()
                .flat_map(|service| service.links.values());
            open.extend(declared.map(|link| &link.service));
        }
    }
    let open_imports = unserved(&loaded, &links, &reached);
    findings.retain(|finding| {
        finding.is_error()
            && finding.service.as_ref().is_none_or(|service| {
                // Whoever could not be loaded may be the one that exports what is missing.
                reached.contains(service)
                    || (open_imports && !loaded.iter().any(|component| component.name == *service))
            })
    });
    if !findings.is_empty() {
        return Err(FusionError::Findings {
            service: root.clone(),
            findings,
        });
    }
    let components: BTreeMap<String, Vec<u8>> = loaded
        .iter()
        .filter(|component| reached.contains(&component.name))
        .map(|component| (component.name.to_string(), component.bytes.clone()))
        .collect();
    let links: Vec<FusedLink> = links
        .iter()
        .filter(|link| reached.contains(&link.caller))
        .map(|link| FusedLink {
            caller: link.caller.to_string(),
            import: link.import.to_string(),
            callee: link.callee.to_string(),
            export: link.export.to_string(),
        })
        .collect();
    let bytes = compose::fuse(root.as_str(), &components, &links).map_err(|source| FusionError::Compose {
        service: root.clone(),
        source,
    })?;
    let imports = anatomy::demands(&bytes);
    let linked: BTreeSet<&str> = links.iter().map(|link| link.callee.as_str()).collect();
    let parts = loaded
        .iter()
        .filter(|component| component.name == *root || linked.contains(component.name.as_str()));
    let mut parts: Vec<_> = parts
        .map(|component| (component.name.clone(), component.bytes.len()))
        .collect();
    parts.sort_by_key(|(name, _)| name != root);
    Ok(Fused {
        home: home(&Anatomy::of(&bytes), &imports),
        bytes,
        parts,
        links,
        imports,
    })
}

/// Whether a reached service imports a contract that no link serves.
fn unserved(
    loaded: &[super::Loaded],
    links: &[crate::link::ResolvedLink],
    reached: &BTreeSet<&ServiceName>,
) -> bool {
    let mut callers = loaded
        .iter()
        .filter(|component| reached.contains(&component.name));
    callers.any(|caller| {
        let mut imports = caller.contracts.imports.iter();
        imports.any(|import| {
            // Types alone need nobody.
            if import.functions.is_empty() && import.items.is_empty() {
                return false;
            }
            let mut own = links.iter().filter(|link| link.caller == caller.name);
            !own.any(|link| link.import == import.interface)
        })
    })
}

/// What `wasmtime serve` provides.
const SERVED: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

fn home(anatomy: &Anatomy, imports: &[String]) -> Home {
    let handler = anatomy.exports.iter().any(|name| {
        name.starts_with("wasi:http/incoming-handler@") || name.starts_with("wasi:http/handler@")
    });
    if !handler {
        Home::Library
    } else if imports
        .iter()
        .all(|name| SERVED.iter().any(|package| name.starts_with(package)))
    {
        Home::Wasi
    } else {
        Home::Spin
    }
}
