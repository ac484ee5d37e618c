//! Putting a manifest in force.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::align::Files;
use super::change::unknown;
use super::{Ask, Done, Failed, RolloutError, Rollouts, Step};
use crate::host::diff;
use crate::manifest;
use crate::service::journal::Action;

/// A manifest that is to be put in force.
pub(in crate::host) struct Apply {
    pub(in crate::host) manifest: PathBuf,
    pub(in crate::host) dry_run: bool,
    pub(in crate::host) allow_new_grants: bool,
    pub(in crate::host) drain: Duration,
}

impl Rollouts {
    /// Puts a manifest in force: what it and the files that it names say, as far as it is not what they said before.
    pub(in crate::host) async fn apply(&self, apply: Apply, by: String) -> Result<Done, Failed> {
        let begun = Instant::now();
        let dry_run = apply.dry_run;
        // Before its turn: reading takes as long as the file system lets it.
        let manifest = apply.manifest;
        let app = self
            .inner
            .tasks
            .blocking("manifest", move || manifest::load(&manifest));
        let app = app.await.map_err(|_| RolloutError::Stopping)?;
        let app = match app.map_err(RolloutError::Manifest) {
            Ok(app) => app,
            Err(error) if dry_run => return Err(error.into()),
            Err(error) => {
                return Err(self
                    .record_failure(Action::Apply, &by, &[], begun.elapsed(), error)
                    .await);
            }
        };
        // Whoever only looks holds up nobody.
        let _turn = match dry_run {
            true => None,
            false => Some(self.inner.queue.app().await?),
        };
        Step::Received.reached();
        let mut warnings: Vec<String> = app.warnings.iter().map(ToString::to_string).collect();
        let (published, differences) = {
            let state = self.state();
            let name = &state.edition.app.name;
            if app.name != *name {
                return Err(RolloutError::Invalid {
                    detail: format!(
                        "the manifest is of the app `{}`, and this host serves `{name}`",
                        app.name
                    ),
                    hint: Some(
                        "an app goes by the name under [application]; `midplane up` serves another one"
                            .into(),
                    ),
                }
                .into());
            }
            if !state.canaries.is_empty() {
                let names = state.canaries.iter().flat_map(|share| share.members.keys());
                let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
                let detail = format!(
                    "a manifest is for the whole app, and there are candidates of {}",
                    names.join(", ")
                );
                if !dry_run {
                    return Err(RolloutError::Busy {
                        detail,
                        hint: "`midplane promote` or `midplane abort` them first".into(),
                    }
                    .into());
                }
                warnings.push(format!("it would be refused now: {detail}"));
            }
            (state.published(), diff::differences(&state.edition.app, &app))
        };
        let aligned = match self.edition(app) {
            Ok(edition) => {
                let progress = self.progress();
                let aligned = self
                    .align(&edition, Some(&published), Files::MayBeKept, &progress)
                    .await;
                aligned.map(|aligned| (edition, aligned))
            }
            Err(error) => Err(error),
        };
        let (edition, aligned) = match aligned {
            Ok(aligned) => aligned,
            Err(error) if dry_run => return Err(error.into()),
            Err(error) => {
                let state = self.state();
                let concerned = error.services();
                let changes: Vec<_> = concerned.iter().map(|name| unknown(&state, name)).collect();
                drop(state);
                return Err(self
                    .record_failure(Action::Apply, &by, &changes, begun.elapsed(), error)
                    .await);
            }
        };
        warnings.extend(aligned.warnings);
        let ask = Ask {
            action: Action::Apply,
            by,
            pieces: aligned.pieces,
            edition: Some(edition),
            applied: Some(aligned.applied),
            on_disk: BTreeMap::new(),
            canary: None,
            allow_new_grants: apply.allow_new_grants,
            dry_run,
            drain: apply.drain,
            begun,
        };
        let mut done = self.roll(ask, differences).await?;
        warnings.append(&mut done.warnings);
        done.warnings = warnings;
        Ok(done)
    }
}
