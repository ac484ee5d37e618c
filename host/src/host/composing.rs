//! The component of a service as it runs: the file of the manifest, with its dependencies composed into it.
//!
//! An import that the manifest links explicitly stays an import, whatever dependency is declared for it beside: the link
//! outranks it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Error, linking};
use crate::adapter::download::Downloads;
use crate::compose::{self, Denied, Part, Satisfied};
use crate::engine;
use crate::manifest::{App, Dependency, DependencySource, Service};
use crate::model::{DependencyName, Digest, InterfaceName};

/// A component that is ready to be compiled.
pub struct Composed {
    /// Its bytes: those of the file where nothing was composed.
    pub bytes: Vec<u8>,
    /// The imports that dependencies satisfy.
    pub satisfied: Vec<Satisfied>,
    /// What dependencies import and do not inherit: it answers as if nothing were granted.
    pub denied: Vec<Denied>,
    /// The dependencies that links outrank.
    pub outranked: Vec<DependencyName>,
}

/// Components that were fetched, by digest.
pub type Fetched = BTreeMap<Digest, Vec<u8>>;

/// Fetches the dependencies of a service that are given by URL and whose imports no link has. `downloads` is asked only if there are any.
pub async fn fetch(
    service: &Service,
    downloads: impl Fn() -> Result<Downloads, Error>,
) -> Result<Fetched, Error> {
    let mut fetched = Fetched::new();
    for dependency in &service.dependencies {
        if let DependencySource::Url { url, digest } = &dependency.source {
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

/// Reads the component of a service and composes its dependencies into it. Blocks.
pub fn component(app: &App, service: &Service, fetched: &Fetched) -> Result<Composed, Error> {
    let bytes = read(service)?;
    let mut parts = Vec::new();
    for dependency in &service.dependencies {
        parts.push(Part {
            name: dependency.name.clone(),
            bytes: part(app, service, dependency, fetched)?,
            export: dependency.export.clone(),
            inherit: dependency.inherit.clone(),
        });
    }
    let linked = |import: &str| {
        InterfaceName::parse(import).is_ok_and(|import| linking::declaration(service, &import).is_some())
    };
    let composition = compose::compose(&bytes, &parts, &linked).map_err(|source| Error::Compose {
        service: service.name.clone(),
        source,
    })?;
    Ok(Composed {
        satisfied: composition.satisfied,
        denied: composition.denied,
        outranked: composition.unused,
        bytes: composition.bytes.into_owned(),
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

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
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
