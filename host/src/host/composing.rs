//! The component of a service as it runs: the file of the manifest, with its dependencies composed into it.
//!
//! An import that the manifest links explicitly stays an import, whatever dependency is declared for it beside: the link
//! outranks it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;

use super::{Error, linking};
use crate::adapter::download::Downloads;
use crate::compose::{self, ComposeError, Denied, Part, Satisfied};
use crate::engine;
use crate::manifest::{App, Dependency, DependencySource, Service};
use crate::model::{DependencyName, Digest, InterfaceName};
use crate::shutdown::Tasks;

/// A component that is ready to be compiled.
pub struct Composed {
    /// Its bytes, if something was composed; otherwise those of the file are the component.
    pub bytes: Option<Vec<u8>>,
    /// The imports that dependencies satisfy.
    pub satisfied: Vec<Satisfied>,
    /// What dependencies import and do not inherit: it answers as if nothing were granted.
    pub denied: Vec<Denied>,
    /// The dependencies that links outrank.
    pub outranked: Vec<DependencyName>,
}

/// Components that were fetched, by digest.
pub type Fetched = BTreeMap<Digest, Vec<u8>>;

/// Fetches the dependencies of a service that are given by URL, unless links have all their imports. `downloads` is asked
/// only if there are any.
pub async fn fetch(
    service: &Service,
    tasks: &Tasks,
    downloads: impl Fn() -> Result<Downloads, Error>,
) -> Result<Fetched, Error> {
    if !service.dependencies.iter().any(is_remote) {
        return Ok(Fetched::new());
    }
    let reader = service.clone();
    let bytes = tasks.blocking("read component", move || read(&reader));
    let bytes = bytes.await.map_err(|_| Error::Interrupted {
        service: service.name.clone(),
    })??;
    fetch_for(service, bytes.into(), tasks, downloads).await
}

/// As [`fetch`], for a component of the service that is not that of its file.
pub(super) async fn fetch_for(
    service: &Service,
    component: Bytes,
    tasks: &Tasks,
    downloads: impl Fn() -> Result<Downloads, Error>,
) -> Result<Fetched, Error> {
    let mut fetched = Fetched::new();
    if !service.dependencies.iter().any(is_remote) {
        return Ok(fetched);
    }
    let reader = service.clone();
    let wanted = tasks.blocking("read component", move || wanted(&reader, &component));
    let wanted = wanted.await.map_err(|_| Error::Interrupted {
        service: service.name.clone(),
    })??;
    for (dependency, wanted) in service.dependencies.iter().zip(wanted) {
        if let DependencySource::Url { url, digest } = &dependency.source
            && wanted
        {
            let bytes = downloads()?.load(url.as_str(), *digest).await;
            let bytes = bytes.map_err(|source| Error::Download {
                service: service.name.clone(),
                source,
            })?;
            fetched.insert(*digest, bytes);
        }
    }
    Ok(fetched)
}

fn is_remote(dependency: &Dependency) -> bool {
    matches!(dependency.source, DependencySource::Url { .. })
}

/// Whether a link of the manifest has the import.
fn is_linked(service: &Service, import: &str) -> bool {
    InterfaceName::parse(import).is_ok_and(|import| linking::declaration(service, &import).is_some())
}

fn not_composed(service: &Service, source: ComposeError) -> Error {
    Error::Compose {
        service: service.name.clone(),
        source,
    }
}

/// Which dependencies of a service have something to serve, in their order.
fn wanted(service: &Service, bytes: &[u8]) -> Result<Vec<bool>, Error> {
    let names: Vec<DependencyName> = service
        .dependencies
        .iter()
        .map(|dependency| dependency.name.clone())
        .collect();
    compose::wanted(bytes, &names, &|import| is_linked(service, import))
        .map_err(|source| not_composed(service, source))
}

/// Reads the component of a service and composes its dependencies into it: the bytes of what comes out, and what there is to
/// tell of it. Blocks.
pub fn component(app: &App, service: &Service, fetched: &Fetched) -> Result<(Vec<u8>, Composed), Error> {
    let bytes = read(service)?;
    let mut composed = compose_into(app, service, &bytes, fetched)?;
    let bytes = composed.bytes.take().unwrap_or(bytes);
    Ok((bytes, composed))
}

/// Composes the dependencies of a service into a component of it. Blocks.
pub(super) fn compose_into(
    app: &App,
    service: &Service,
    bytes: &[u8],
    fetched: &Fetched,
) -> Result<Composed, Error> {
    let mut parts = Vec::new();
    let mut outranked = Vec::new();
    for (dependency, wanted) in service.dependencies.iter().zip(wanted(service, bytes)?) {
        if !wanted {
            outranked.push(dependency.name.clone());
            continue;
        }
        parts.push(Part {
            name: dependency.name.clone(),
            bytes: part(app, service, dependency, fetched)?,
            export: dependency.export.clone(),
            inherit: dependency.inherit.clone(),
        });
    }
    let composition = compose::compose(bytes, &parts, &|import| is_linked(service, import))
        .map_err(|source| not_composed(service, source))?;
    Ok(Composed {
        satisfied: composition.satisfied,
        denied: composition.denied,
        outranked,
        bytes: match composition.bytes {
            Cow::Borrowed(_) => None,
            Cow::Owned(bytes) => Some(bytes),
        },
    })
}

fn part(app: &App, service: &Service, dependency: &Dependency, fetched: &Fetched) -> Result<Vec<u8>, Error> {
    match &dependency.source {
        DependencySource::Path(path) => read_file(path).map_err(|source| Error::ReadDependency {
            service: service.name.clone(),
            dependency: Box::new(dependency.name.clone()),
            path: path.clone(),
            source,
        }),
        DependencySource::Component(other) => match app.services.get(other) {
            Some(other) => read(other),
            // The manifest was checked for this.
            None => Err(Error::Interrupted {
                service: service.name.clone(),
            }),
        },
        DependencySource::Url { digest, .. } => {
            fetched.get(digest).cloned().ok_or_else(|| Error::Interrupted {
                service: service.name.clone(),
            })
        }
    }
}

/// Reads the file of a service's component. Blocks.
pub fn read(service: &Service) -> Result<Vec<u8>, Error> {
    read_file(&service.source).map_err(|source| Error::ReadComponent {
        service: service.name.clone(),
        path: service.source.clone(),
        buildable: service.build.is_some(),
        source,
    })
}

pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    if metadata.len() > engine::MAX_COMPONENT_BYTES as u64 {
        let text = format!(
            "it has {} bytes, more than the {} that are taken",
            metadata.len(),
            engine::MAX_COMPONENT_BYTES
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    std::fs::read(path)
}
