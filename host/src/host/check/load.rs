//! The components of an app, read, composed, compiled and looked into: all of them, however many of them fail.

use std::num::NonZero;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use super::anatomy::Anatomy;
use super::finding::Finding;
use super::shelf::Shelf;
use super::{Options, finding_of};
use crate::adapter::blocking::{Blocking, BlockingSettings};
use crate::adapter::download::{DownloadSettings, Downloads};
use crate::compose::Satisfied;
use crate::engine::{self, Compiled, Engines};
use crate::host::composing::{self, Fetched};
use crate::host::prepare::{DOWNLOAD, http_client};
use crate::host::{Error, linking};
use crate::link::ServiceContracts;
use crate::manifest::App;
use crate::model::ServiceName;
use crate::shutdown::Tasks;

/// A component that could be compiled.
pub(super) struct Loaded {
    /// Whose it is.
    pub name: ServiceName,
    /// Its bytes, with its dependencies composed into it.
    pub bytes: Vec<u8>,
    /// The imports that dependencies satisfy.
    pub satisfied: Vec<Satisfied>,
    /// What it is made of.
    pub anatomy: Anatomy,
    /// Its code.
    pub compiled: Compiled,
    /// What it imports from others and exports to them.
    pub contracts: ServiceContracts,
}

/// Loads every component of `app`, as many at once as there are cores. What fails is a finding, and the rest goes on.
pub(super) async fn load(
    app: &App,
    options: &Options,
    shelf: &Shelf,
    tasks: &Tasks,
    findings: &mut Vec<Finding>,
) -> Vec<Loaded> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let app = &Arc::new(app.clone());
    let components = stream::iter(app.services.values()).map(|service| async move {
        let name = service.name.clone();
        let loaded = async {
            let fetched = composing::fetch(service, tasks, || downloads(options, shelf, tasks)).await?;
            let (app, name) = (app.clone(), name.clone());
            let engines = shelf.engines.clone();
            let job = tasks.blocking("check", move || component(&app, &name, &fetched, &engines));
            job.await.map_err(|_| Error::Interrupted {
                service: service.name.clone(),
            })?
        };
        let loaded = loaded.await;
        (name, loaded)
    });
    let mut components = std::pin::pin!(components.buffer_unordered(cores));
    let mut loaded = Vec::new();
    let mut failed = Vec::new();
    while let Some((name, component)) = components.next().await {
        match component {
            Ok(component) => loaded.push(component),
            Err(error) => failed.push((name, error)),
        }
    }
    loaded.sort_by(|one, other| one.name.cmp(&other.name));
    failed.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, error) in failed {
        findings.push(finding_of(Some(&name), &error));
    }
    loaded
}

/// Reads, composes and compiles one component. Blocks.
fn component(app: &App, name: &ServiceName, fetched: &Fetched, engines: &Engines) -> Result<Loaded, Error> {
    let Some(service) = app.services.get(name) else {
        return Err(Error::Interrupted {
            service: name.clone(),
        });
    };
    let (bytes, composed) = composing::component(app, service, fetched)?;
    let compiles = || tracing::info!(service = name.as_str(), kib = bytes.len() / 1024, "compiling");
    let compiled = engines.load(&bytes, &compiles).map_err(|source| Error::Compile {
        service: name.clone(),
        component: service.source.display().to_string(),
        source,
    })?;
    let contracts = linking::contracts(service, &compiled)?;
    Ok(Loaded {
        name: name.clone(),
        anatomy: Anatomy::of(&bytes),
        bytes,
        satisfied: composed.satisfied,
        compiled,
        contracts,
    })
}

/// Where dependencies are fetched to.
fn downloads(options: &Options, shelf: &Shelf, tasks: &Tasks) -> Result<Downloads, Error> {
    let settings = DownloadSettings {
        max_bytes: engine::MAX_COMPONENT_BYTES as u64,
        patience: DOWNLOAD,
    };
    Ok(Downloads::open(
        shelf.downloads.clone(),
        Arc::new(http_client(&options.runtime_config, tasks)?),
        Blocking::new(BlockingSettings::default()),
        settings,
    )?)
}
