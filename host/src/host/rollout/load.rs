//! Loading what a change is about: components that were uploaded or lie in files, and revisions of before.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::{About, RolloutError, Rollouts};
use crate::host::prepare::{Edition, Given, Piece, Progress, Step as Preparation, at_once};
use crate::manifest::{self, App};
use crate::model::{Digest, ServiceName};
use crate::service::journal::{AppliedService, Origin, Recorded};

/// Where a component is.
pub(in crate::host) enum Source {
    /// It was uploaded.
    Uploaded(Digest),
    /// In a file.
    File(PathBuf),
}

/// A component of a deploy that is ready to be linked.
pub(super) struct Loaded {
    pub(super) piece: Arc<Piece>,
    /// What the files of the service say, if they say just this.
    pub(super) on_disk: Option<AppliedService>,
}

impl Rollouts {
    /// Keeps a component for a deploy.
    pub(in crate::host) async fn store(&self, component: Bytes) -> Result<Digest, RolloutError> {
        let content = self.inner.preparing.content().clone();
        let stored = self
            .inner
            .tasks
            .blocking("store", move || content.put(&component))
            .await
            .map_err(|_| RolloutError::Stopping)?
            .map_err(RolloutError::Store)?;
        let digest = stored.digest();
        self.inner.uploads.lock().add(stored);
        self.inner.sweep.notify_one();
        Ok(digest)
    }

    /// Reads, stores and compiles the components of a deploy, as many at once as there are cores.
    pub(super) async fn load(
        &self,
        edition: &Arc<Edition>,
        services: &BTreeMap<ServiceName, Source>,
    ) -> Result<Vec<Loaded>, RolloutError> {
        let progress = self.progress();
        // Boxed, since a closure over borrowed items is not general enough for a task.
        let loading: Vec<_> = services
            .iter()
            .map(|(name, source)| self.load_one(edition, name, source, &progress).boxed())
            .collect();
        stream::iter(loading)
            .buffer_unordered(at_once())
            .try_collect()
            .await
    }

    async fn load_one(
        &self,
        edition: &Arc<Edition>,
        name: &ServiceName,
        source: &Source,
        progress: &Progress,
    ) -> Result<Loaded, RolloutError> {
        self.tell_preparing(name);
        let bytes = self.bytes(name, source).await?;
        let (digest, label) = match source {
            Source::Uploaded(digest) => (Some(*digest), format!("sha256:{}", digest.short())),
            Source::File(path) => (None, path.display().to_string()),
        };
        let given = Given::Bytes { bytes, digest, label };
        let preparing = &self.inner.preparing;
        let read = preparing.read(edition, name, given).await?;
        let on_disk = preparing.is_on_disk(&read).await.then(|| read.says());
        let piece = preparing.piece(read, Origin::Deploy, progress).await?;
        Ok(Loaded { piece, on_disk })
    }

    async fn bytes(&self, name: &ServiceName, source: &Source) -> Result<Bytes, RolloutError> {
        let content = self.inner.preparing.content().clone();
        match source {
            Source::Uploaded(digest) => {
                let digest = *digest;
                if !self.inner.uploads.lock().has(&digest) && !content.contains(&digest) {
                    return Err(RolloutError::NoComponent(digest));
                }
                let bytes = self.inner.tasks.blocking("read", move || content.get(&digest));
                let bytes = bytes.await.map_err(|_| RolloutError::Stopping)?;
                bytes.map(Bytes::from).map_err(RolloutError::Store)
            }
            Source::File(path) => {
                let (service, file) = (name.clone(), path.clone());
                let read = self.inner.tasks.blocking("read", move || {
                    crate::host::composing::read_file(&file).map_err(|source| {
                        crate::host::Error::ReadComponent {
                            service,
                            path: file,
                            buildable: false,
                            source,
                        }
                    })
                });
                let bytes = read.await.map_err(|_| RolloutError::Stopping)??;
                Ok(bytes.into())
            }
        }
    }

    /// Loads a revision of before as it was.
    pub(super) async fn recall(
        &self,
        edition: &Arc<Edition>,
        name: &ServiceName,
        recorded: &Recorded,
    ) -> Result<Arc<Piece>, RolloutError> {
        let unmakable = |source: Box<dyn std::error::Error + Send + Sync>| RolloutError::Unmakable {
            service: name.clone(),
            revision: recorded.revision.to_string(),
            source,
        };
        let edition = self
            .edition_at(&recorded.manifest, edition)
            .await
            .map_err(|error| unmakable(error.into()))?;
        let origin = Origin::Rollback;
        self.recalled(&edition, name, recorded, origin, &self.progress())
            .await
            .map_err(|error| unmakable(error.into()))
    }

    /// The manifest of a digest: `edition`, if it is that.
    pub(super) async fn edition_at(
        &self,
        digest: &Digest,
        edition: &Arc<Edition>,
    ) -> Result<Arc<Edition>, RolloutError> {
        if *digest == edition.digest() {
            return Ok(edition.clone());
        }
        self.edition_of_before(digest, &edition.app).await
    }

    /// The manifest of a digest, as the file of the app.
    pub(super) async fn edition_of_before(
        &self,
        digest: &Digest,
        app: &Arc<App>,
    ) -> Result<Arc<Edition>, RolloutError> {
        let (content, digest, file) = (self.inner.preparing.content().clone(), *digest, app.file.clone());
        let text = self.inner.tasks.blocking("read", move || content.get(&digest));
        let text = text
            .await
            .map_err(|_| RolloutError::Stopping)?
            .map_err(RolloutError::Store)?;
        let text = String::from_utf8_lossy(&text);
        let app = manifest::parse(&text, &file).map_err(RolloutError::Manifest)?;
        Ok(self.inner.preparing.edition_of_before(app)?)
    }

    /// Loads a revision of before with the manifest entry of `edition`.
    pub(super) async fn recalled(
        &self,
        edition: &Arc<Edition>,
        name: &ServiceName,
        recorded: &Recorded,
        origin: Origin,
        progress: &Progress,
    ) -> Result<Arc<Piece>, RolloutError> {
        let preparing = &self.inner.preparing;
        let read = preparing.reread(edition, name, recorded).await?;
        Ok(preparing.piece(read, origin, progress).await?)
    }

    /// Loads revisions of before, each with the manifest entry that it had.
    pub(super) async fn recalled_all(
        &self,
        edition: &Arc<Edition>,
        services: &BTreeMap<ServiceName, Recorded>,
        progress: &Progress,
    ) -> Result<BTreeMap<ServiceName, Arc<Piece>>, RolloutError> {
        let mut pieces = BTreeMap::new();
        for (name, recorded) in services {
            let edition = self.edition_at(&recorded.manifest, edition).await?;
            let piece = self
                .recalled(&edition, name, recorded, recorded.origin, progress)
                .await?;
            pieces.insert(name.clone(), piece);
        }
        Ok(pieces)
    }

    pub(super) fn edition(&self, app: App) -> Result<Arc<Edition>, RolloutError> {
        Ok(self.inner.preparing.edition(app)?)
    }

    pub(super) fn tell_preparing(&self, service: &ServiceName) {
        self.inner.events.tell(
            "preparing",
            About {
                service: Some(service.to_string()),
                ..About::default()
            },
        );
    }

    pub(super) fn progress(&self) -> Progress {
        let events = self.inner.events.clone();
        Arc::new(move |step| {
            if let Preparation::Compiles { service, bytes } = step {
                tracing::info!(service = service.as_str(), kib = bytes / 1024, "compiling");
                events.tell(
                    "compiling",
                    About {
                        service: Some(service.to_string()),
                        detail: format!("{} KiB", bytes / 1024),
                        ..About::default()
                    },
                );
            }
        })
    }
}
