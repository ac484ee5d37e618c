//! What a manifest and its files say, beside what was published: service by service, whose word counts.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::{RolloutError, Rollouts, Won};
use crate::host::prepare::{Edition, Given, Piece, Progress, Read, at_once};
use crate::host::{Error, diff};
use crate::model::ServiceName;
use crate::service::journal::{Applied, AppliedService, Origin, Published};

/// Whether what the files say may be what is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// Then nothing needs to be loaded.
    MayBeKept,
    /// Nothing is there; everything needs to be loaded.
    MustBeLoaded,
}

/// What the manifest and its files come to, beside what was published.
pub(super) struct Aligned {
    /// What needs to be linked.
    pub(super) pieces: BTreeMap<ServiceName, Arc<Piece>>,
    pub(super) applied: Applied,
    pub(super) won: BTreeMap<ServiceName, Won>,
    pub(super) warnings: Vec<String>,
}

impl Rollouts {
    /// Compares what the manifest and its files say with what they said when they were last applied, service by service: what is
    /// new is loaded from them, what is not stays what was published.
    pub(super) async fn align(
        &self,
        edition: &Arc<Edition>,
        published: Option<&Published>,
        files: Files,
        progress: &Progress,
    ) -> Result<Aligned, RolloutError> {
        let before = match published {
            Some(published) if published.applied.manifest != edition.digest() => {
                // Without it, every entry counts as new.
                self.edition_of_before(&published.applied.manifest, &edition.app)
                    .await
                    .ok()
            }
            _ => None,
        };
        let known = Known {
            published,
            before,
            files,
        };
        // Boxed, since a closure over borrowed items is not general enough for a task.
        let services = edition.app.services.keys();
        let aligning: Vec<_> = services
            .map(|name| self.align_one(edition, name, &known, progress).boxed())
            .collect();
        let aligned: Vec<One> = stream::iter(aligning)
            .buffer_unordered(at_once())
            .try_collect()
            .await?;
        let mut all = Aligned {
            pieces: BTreeMap::new(),
            applied: Applied {
                manifest: edition.digest(),
                services: BTreeMap::new(),
            },
            won: BTreeMap::new(),
            warnings: Vec::new(),
        };
        for one in aligned {
            if let Some(says) = one.says {
                all.applied.services.insert(one.name.clone(), says);
            }
            if let Some(piece) = one.piece {
                all.pieces.insert(one.name.clone(), piece);
            }
            all.warnings.extend(one.warnings);
            all.won.insert(one.name, one.won);
        }
        all.warnings.sort();
        Ok(all)
    }

    async fn align_one(
        &self,
        edition: &Arc<Edition>,
        name: &ServiceName,
        known: &Known<'_>,
        progress: &Progress,
    ) -> Result<One, RolloutError> {
        let preparing = &self.inner.preparing;
        let published = known.published;
        let present = published.and_then(|published| published.services.get(name));
        let applied = published
            .and_then(|published| published.applied.services.get(name))
            .copied();
        let is_same_entry = known.is_same_entry(edition, name);
        let read = match preparing.read(edition, name, Given::File).await {
            Ok(read) => Some(read),
            // A file that was cleaned away says nothing new of a service that is published.
            Err(Error::ReadComponent { source, .. })
                if is_same_entry
                    && present.is_some()
                    && applied.is_some()
                    && source.kind() == io::ErrorKind::NotFound =>
            {
                None
            }
            Err(error) => return Err(error.into()),
        };
        let mut warnings = read.as_ref().map(Read::warnings).unwrap_or_default();
        if read.is_none() {
            warnings.push(format!(
                "service `{name}`: its component file is gone; what was published last is served"
            ));
        }
        let says = read.as_ref().map_or(applied, |read| Some(read.says()));
        let (Some(recorded), true) = (present, says == applied) else {
            // Without the file there is what was applied, and that is the same.
            let Some(read) = read else {
                return Err(RolloutError::Lost);
            };
            let piece = preparing.piece(read, Origin::Manifest, progress).await?;
            return Ok(One {
                name: name.clone(),
                piece: Some(piece),
                says,
                won: Won::Files,
                warnings,
            });
        };
        let won = match recorded.origin {
            Origin::Manifest if is_same_entry => Won::Both,
            Origin::Deploy if is_same_entry => Won::Deploy,
            Origin::Rollback if is_same_entry => Won::Rollback,
            Origin::Manifest => Won::Files,
            Origin::Deploy | Origin::Rollback => Won::Manifest,
        };
        let origin = match won {
            // No rollback made it.
            Won::Manifest => Origin::Deploy,
            _ => recorded.origin,
        };
        let is_recorded = |read: &Read| {
            let says = read.says();
            says.component == recorded.component && says.files == recorded.files
        };
        let piece = match read {
            _ if is_same_entry && known.files == Files::MayBeKept => None,
            // The file that is there spares a look at what is stored, and may do without it.
            Some(read) if is_recorded(&read) && (!is_same_entry || recorded.manifest == edition.digest()) => {
                Some(preparing.piece(read, origin, progress).await?)
            }
            // A rollback may have brought back an entry of before.
            _ if is_same_entry => {
                let entry = self.edition_at(&recorded.manifest, edition).await?;
                Some(self.recalled(&entry, name, recorded, origin, progress).await?)
            }
            // The entry is the new manifest's, the component the published one, and so are its files.
            _ => Some(self.recalled(edition, name, recorded, origin, progress).await?),
        };
        Ok(One {
            name: name.clone(),
            piece,
            says,
            won,
            warnings,
        })
    }
}

/// What a manifest and its files are compared with.
struct Known<'a> {
    published: Option<&'a Published>,
    /// The manifest that was applied last, if that is another.
    before: Option<Arc<Edition>>,
    files: Files,
}

impl Known<'_> {
    /// Whether the manifest says of a service what the one that was applied last said.
    fn is_same_entry(&self, edition: &Edition, name: &ServiceName) -> bool {
        let Some(published) = self.published else {
            return false;
        };
        published.applied.manifest == edition.digest()
            || self
                .before
                .as_ref()
                .is_some_and(|before| diff::is_same_entry(&before.app, &edition.app, name))
    }
}

/// One service of [`Aligned`].
struct One {
    name: ServiceName,
    piece: Option<Arc<Piece>>,
    says: Option<AppliedService>,
    won: Won,
    warnings: Vec<String>,
}
