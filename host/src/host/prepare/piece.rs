//! A service's component and manifest entry, loaded.

use std::num::NonZero;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Edition, Kept, Preparing, Progress, Step};
use crate::adapter::content::Pin;
use crate::adapter::files::{self, Staged};
use crate::engine::{Compiled, Origin as CodeOrigin};
use crate::host::composing::{self, Composed};
use crate::host::rollout::Step as Reached;
use crate::host::{Error, linking};
use crate::link::ServiceContracts;
use crate::manifest::Service;
use crate::model::{Digest, ServiceName};
use crate::service::journal::{AppliedService, Origin, Recorded};
use crate::telemetry::metrics::CacheLookup;

/// Where the component of a service comes from.
#[derive(Debug, Clone)]
pub(in crate::host) enum Given {
    /// The file that the manifest names.
    File,
    /// These bytes.
    Bytes {
        bytes: Bytes,
        /// Their digest, if it is known.
        digest: Option<Digest>,
        /// What messages call them.
        label: String,
    },
}

/// A component as it is to be compiled, and the files of its service.
pub(in crate::host) struct Read {
    edition: Arc<Edition>,
    service: Service,
    label: String,
    bytes: Bytes,
    source: Digest,
    /// The length of the file as it was given, in bytes.
    given: u64,
    component: Digest,
    staged: Option<Staged>,
    _staging: tokio::sync::OwnedRwLockReadGuard<()>,
}

impl Read {
    /// What is allowed and most likely not meant.
    pub(in crate::host) fn warnings(&self) -> Vec<String> {
        let staged = self.staged.iter().flat_map(|staged| &staged.warnings);
        staged
            .map(|warning| format!("service `{}`: {warning}", self.service.name))
            .collect()
    }

    /// What the files of the service say.
    pub(in crate::host) fn says(&self) -> AppliedService {
        AppliedService {
            component: self.component,
            files: self.staged.as_ref().map(|staged| staged.digest),
        }
    }
}

/// A service's component and manifest entry, loaded: everything that a revision is made of but its links. What it needs on disk
/// stays there as long as it lives.
pub(in crate::host) struct Piece {
    /// Whose entry it is.
    pub(in crate::host) edition: Arc<Edition>,
    /// The entry.
    pub(in crate::host) service: Service,
    /// What messages call its component.
    pub(in crate::host) label: String,
    pub(in crate::host) compiled: Compiled,
    pub(in crate::host) staged: Option<Staged>,
    /// The component file as it was given.
    pub(in crate::host) source: Digest,
    pub(in crate::host) contracts: ServiceContracts,
    pub(in crate::host) origin: Origin,
    _pins: [Pin; 2],
}

/// The pieces that live.
#[derive(Default)]
pub(super) struct Alive(Mutex<Vec<Weak<Piece>>>);

impl Alive {
    fn add(&self, piece: &Arc<Piece>) {
        let mut pieces = self.0.lock();
        pieces.retain(|piece| piece.strong_count() > 0);
        pieces.push(Arc::downgrade(piece));
    }

    pub(super) fn keep(&self, kept: &mut Kept) {
        for piece in self.0.lock().iter().filter_map(Weak::upgrade) {
            kept.components.insert(piece.compiled.digest());
            kept.manifests.insert(piece.edition.digest());
            kept.files
                .extend(piece.staged.as_ref().map(|staged| staged.digest));
        }
    }
}

impl Preparing {
    /// Reads the component of a service, composes its dependencies into it, and stages its files.
    pub(in crate::host) async fn read(
        &self,
        edition: &Arc<Edition>,
        name: &ServiceName,
        given: Given,
    ) -> Result<Read, Error> {
        let interrupted = || Error::Interrupted {
            service: name.clone(),
        };
        let service = edition.app.services.get(name).ok_or_else(interrupted)?.clone();
        let fetched = match &given {
            Given::File => composing::fetch(&service, &self.tasks, || self.downloads()).await?,
            Given::Bytes { bytes, .. } => {
                composing::fetch_for(&service, bytes.clone(), &self.tasks, || self.downloads()).await?
            }
        };
        let staging = self.staging.clone().read_owned().await;
        let (edition, root) = (edition.clone(), self.files.clone());
        let job = move || {
            let (given, known, label) = match given {
                Given::File => {
                    let label = service.source.display().to_string();
                    (Bytes::from(composing::read(&service)?), None, label)
                }
                Given::Bytes { bytes, digest, label } => (bytes, digest, label),
            };
            let source = known.unwrap_or_else(|| Digest::of(&given));
            let Composed { bytes, denied, .. } =
                composing::compose_into(&edition.app, &service, &given, &fetched)?;
            for denied in denied {
                tracing::debug!(
                    service = service.name.as_str(),
                    "dependency `{}` does not inherit `{}`",
                    denied.part,
                    denied.import
                );
            }
            let staged = files::stage(&edition.app.dir, &service, &root).map_err(|source| Error::Files {
                service: service.name.clone(),
                source,
            })?;
            let length = given.len() as u64;
            let (component, bytes) = match bytes {
                None => (source, given),
                Some(bytes) => (Digest::of(&bytes), bytes.into()),
            };
            Reached::Composed.reached();
            Ok(Read {
                edition,
                label,
                component,
                bytes,
                source,
                given: length,
                staged,
                service,
                _staging: staging,
            })
        };
        let read = self.tasks.blocking("prepare", job).await;
        read.map_err(|_| interrupted())?
    }

    /// Reads a component again that was composed before, and takes the files that it had.
    pub(in crate::host) async fn reread(
        &self,
        edition: &Arc<Edition>,
        name: &ServiceName,
        recorded: &Recorded,
    ) -> Result<Read, Error> {
        let interrupted = || Error::Interrupted {
            service: name.clone(),
        };
        let service = edition.app.services.get(name).ok_or_else(interrupted)?.clone();
        let staging = self.staging.clone().read_owned().await;
        let (content, root) = (self.content.clone(), self.files.clone());
        let (edition, recorded) = (edition.clone(), recorded.clone());
        let job = move || {
            let bytes = content
                .get(&recorded.component)
                .map_err(|source| Error::Content {
                    service: service.name.clone(),
                    source,
                })?;
            let staged = match &recorded.files {
                None => None,
                Some(digest) => Some(files::staged(&root, digest).ok_or_else(|| Error::FilesGone {
                    service: service.name.clone(),
                    directory: root.join(digest.to_string()),
                })?),
            };
            Ok(Read {
                edition,
                service,
                label: format!("of revision {}", recorded.revision),
                bytes: bytes.into(),
                source: recorded.source,
                given: 0,
                component: recorded.component,
                staged,
                _staging: staging,
            })
        };
        let read = self.tasks.blocking("prepare", job).await;
        read.map_err(|_| interrupted())?
    }

    /// Whether what was read is just what the component file of the service holds.
    pub(in crate::host) async fn is_on_disk(&self, read: &Read) -> bool {
        let (file, source) = (read.service.source.clone(), read.source);
        let length = read.given;
        let compared = self.tasks.blocking("prepare", move || {
            let is_as_long =
                std::fs::metadata(&file).is_ok_and(|meta| meta.is_file() && meta.len() == length);
            is_as_long && composing::read_file(&file).is_ok_and(|bytes| Digest::of(&bytes) == source)
        });
        compared.await.unwrap_or(false)
    }

    /// Stores and compiles what was read.
    pub(in crate::host) async fn piece(
        &self,
        read: Read,
        origin: Origin,
        progress: &Progress,
    ) -> Result<Arc<Piece>, Error> {
        let name = read.service.name.clone();
        let (engines, content) = (self.engines.clone(), self.content.clone());
        let (metrics, progress) = (self.metrics.clone(), progress.clone());
        let job = move || {
            let Read {
                edition,
                service,
                label,
                bytes,
                source,
                component,
                staged,
                _staging,
                ..
            } = read;
            let stored = |source| Error::Content {
                service: service.name.clone(),
                source,
            };
            let pins = [
                content.put_known(component, &bytes).map_err(stored)?,
                content
                    .put(edition.app.text.as_str().as_bytes())
                    .map_err(stored)?,
            ];
            Reached::Stored.reached();
            let compiles = || {
                progress(Step::Compiles {
                    service: service.name.clone(),
                    bytes: bytes.len(),
                });
            };
            let compiled = engines
                .load_known(component, &bytes, &compiles)
                .map_err(|source| Error::Compile {
                    service: service.name.clone(),
                    component: label.clone(),
                    source,
                })?;
            Reached::Compiled.reached();
            match compiled.origin() {
                CodeOrigin::Cached => metrics.cache_lookup(CacheLookup::Hit),
                CodeOrigin::Compiled(took) => {
                    metrics.cache_lookup(CacheLookup::Miss);
                    metrics.compiled(took);
                }
            }
            let contracts = linking::contracts(&service, &compiled)?;
            Ok::<_, Error>((
                Piece {
                    edition,
                    service,
                    label,
                    compiled,
                    staged,
                    source,
                    contracts,
                    origin,
                    _pins: pins,
                },
                _staging,
            ))
        };
        let piece = self.tasks.blocking("compile", job).await;
        let (piece, staging) = piece.map_err(|_| Error::Interrupted { service: name })??;
        let piece = Arc::new(piece);
        self.pieces.add(&piece);
        drop(staging);
        Ok(piece)
    }
}

/// How many components are prepared at once.
pub(in crate::host) fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
