//! Removing what no revision needs: components, manifests, files, compiled code, and old entries of the journal.
//!
//! It runs in the background, when something may have become useless and at most every [`PAUSE`].

use std::time::{Duration, Instant};

use super::{Rollouts, Step};
use crate::host::prepare::{Kept, Quiet};
use crate::service::journal::JournalError;

/// Revisions of each service that a rollback can bring back.
pub(super) const REVISIONS: usize = 16;
/// Entries of the journal.
const ENTRIES: usize = 10_000;
/// From one sweep to the next.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether uploads are to be forgotten.
const LOOK: Duration = Duration::from_secs(60);
/// So many times a sweep waits for a moment in which nobody loads anything; then who loads waits for it.
const MISSES: u32 = 10;

impl Rollouts {
    /// Something may have become useless.
    pub(in crate::host) fn may_sweep(&self) {
        self.inner.sweep.notify_one();
    }

    /// Sweeps whenever there may be something to sweep.
    pub(super) async fn sweeper(self) {
        let mut misses = 0;
        loop {
            let asked = tokio::time::timeout(LOOK, self.inner.sweep.notified()).await;
            let is_forgotten = self.inner.uploads.lock().forget(Instant::now());
            if asked.is_err() && !is_forgotten {
                continue;
            }
            let preparing = &self.inner.preparing;
            let quiet = match preparing.try_quiet() {
                Some(quiet) => quiet,
                None if misses < MISSES => {
                    misses += 1;
                    self.inner.sweep.notify_one();
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                None => preparing.quiet().await,
            };
            misses = 0;
            self.sweep(quiet).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Removes what neither a revision of now nor one that can be brought back needs, nor what is being loaded.
    async fn sweep(&self, quiet: Quiet) {
        let journal = self.inner.journal.clone();
        let kept = self.inner.tasks.blocking("journal", move || {
            journal.prune(REVISIONS, ENTRIES)?;
            let mut kept = Kept::default();
            for past in journal.past(None)? {
                kept.components.insert(past.recorded.component);
                kept.files.extend(past.recorded.files);
                kept.manifests.insert(past.recorded.manifest);
            }
            if let Some(published) = journal.published()? {
                kept.manifests.insert(published.manifest);
            }
            Ok::<_, JournalError>(kept)
        });
        let kept = match kept.await {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what no revision needs stays"
                );
                return;
            }
            // The host is stopping.
            Err(_) => return,
        };
        Step::Retiring.reached();
        self.inner.preparing.sweep(quiet, &kept).await;
        Step::Retired.reached();
    }
}
