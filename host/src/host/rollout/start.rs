//! What a start serves: what was published last, unless the manifest or the files that it names say something new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::align::{Aligned, Files};
use super::plan::Ready;
use super::state::{Share, State};
use super::{Ask, DRAIN, Drains, Events, RolloutError, Rollouts, Shift, Step, entry};
use crate::host::Error;
use crate::host::grants::GrantDiff;
use crate::host::prepare::{Edition, Preparing, Progress, ServiceSummary, Step as Preparation};
use crate::model::ServiceName;
use crate::service::Registry;
use crate::service::journal::{Action, Journal, Outcome, Published, RecordedCanary};
use crate::shutdown::Tasks;

/// Whose word a service goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Won {
    /// The files', which say something that was not applied before.
    Files,
    /// The files' and what was published last: they agree.
    Both,
    /// A deploy's: the files say what they said before it.
    Deploy,
    /// A rollback's: the files say what they said before it.
    Rollback,
    /// The component's of a deploy or a rollback, and the manifest's, which says something new.
    Manifest,
    /// What was published last: what the files say was refused.
    Published,
}

impl Won {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Both => "unchanged",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Manifest => "manifest, with the component that was deployed",
            Self::Published => "last published",
        }
    }
}

/// What a start has to tell.
pub(in crate::host) struct Started {
    pub(in crate::host) services: Vec<ServiceSummary>,
    pub(in crate::host) won: BTreeMap<ServiceName, Won>,
    /// Why what the files say is not served.
    pub(in crate::host) refused: Option<RolloutError>,
}

impl Rollouts {
    /// Publishes what is to be served.
    pub(in crate::host) async fn start(
        preparing: Preparing,
        journal: Arc<dyn Journal>,
        edition: Arc<Edition>,
        tasks: Tasks,
        progress: &Progress,
    ) -> Result<(Self, Started), Error> {
        let mut state = State::empty(edition.clone());
        let reader = journal.clone();
        let published = tasks.blocking("journal", move || reader.published()).await;
        let published = published.map_err(|_| Error::Stopping)?.map_err(Error::Journal)?;
        state.generation = published.as_ref().map_or(0, |published| published.generation);
        let this = Self {
            inner: Arc::new(super::Inner {
                preparing,
                journal,
                registry: Arc::new(Registry::new(state.generation())),
                state: ArcSwap::from_pointee(state),
                commit: Arc::default(),
                queue: super::Queue::default(),
                events: Events::default(),
                drains: Drains::default(),
                uploads: parking_lot::Mutex::default(),
                sweep: tokio::sync::Notify::new(),
                vigil: tokio::sync::Notify::new(),
                tasks,
            }),
        };
        let started = match (
            this.begin(&edition, published.as_ref(), progress).await,
            &published,
        ) {
            (Ok(started), _) => started,
            (Err(error), None) => return Err(error.into()),
            // Whoever breaks a file does not take down what is served.
            (Err(error), Some(published)) => match this.fall_back(&edition, published, progress).await {
                Ok(mut started) => {
                    tracing::error!(
                        "what the manifest and its files say is not served, but what was published last: {}",
                        error.text()
                    );
                    let failed = this
                        .record_failure(Action::Start, "up", &[], Duration::ZERO, error)
                        .await;
                    started.refused = Some(failed.error);
                    started
                }
                Err(second) => {
                    tracing::error!(
                        "what was published last cannot be served either: {}",
                        second.text()
                    );
                    return Err(error.into());
                }
            },
        };
        for service in &started.services {
            progress(Preparation::Prepared(service.clone()));
        }
        // What a host left that was killed is removed beside the first requests.
        this.inner.sweep.notify_one();
        let background = this.clone();
        this.inner.tasks.background("sweep", background.sweeper());
        let background = this.clone();
        this.inner.tasks.background("canaries", background.vigil());
        Ok((this, started))
    }

    /// Serves what the files say where they say something new, and what was published last otherwise.
    async fn begin(
        &self,
        edition: &Arc<Edition>,
        published: Option<&Published>,
        progress: &Progress,
    ) -> Result<Started, RolloutError> {
        let begun = Instant::now();
        let aligned = self
            .align(edition, published, Files::MustBeLoaded, progress)
            .await?;
        for warning in &aligned.warnings {
            tracing::warn!("{warning}");
        }
        let is_new = published.is_none_or(|published| {
            published.applied != aligned.applied
                || aligned
                    .won
                    .values()
                    .any(|won| matches!(won, Won::Files | Won::Manifest))
        });
        self.serve(edition, aligned, published, is_new, begun).await
    }

    /// Serves what was published last, whatever the files say.
    async fn fall_back(
        &self,
        edition: &Arc<Edition>,
        published: &Published,
        progress: &Progress,
    ) -> Result<Started, RolloutError> {
        let begun = Instant::now();
        let before = self.edition_at(&published.manifest, edition).await?;
        let pieces = self.recalled_all(&before, &published.services, progress).await?;
        let aligned = Aligned {
            won: pieces.keys().map(|name| (name.clone(), Won::Published)).collect(),
            pieces,
            applied: published.applied.clone(),
            warnings: Vec::new(),
        };
        self.serve(&before, aligned, Some(published), false, begun).await
    }

    async fn serve(
        &self,
        edition: &Arc<Edition>,
        aligned: Aligned,
        published: Option<&Published>,
        is_new: bool,
        begun: Instant,
    ) -> Result<Started, RolloutError> {
        let state = self.state();
        let ask = Arc::new(Ask {
            action: Action::Start,
            by: "up".into(),
            pieces: aligned.pieces,
            edition: Some(edition.clone()),
            applied: Some(aligned.applied),
            on_disk: BTreeMap::new(),
            canary: None,
            allow_new_grants: true,
            dry_run: false,
            drain: DRAIN,
            begun,
        });
        let mut planned = self.plan(&state, &ask, Ready::default()).await?;
        Step::Linked.reached();
        for warning in &planned.warnings {
            tracing::warn!("{warning}");
        }
        let mut next = planned.next(&state, &ask);
        if is_new {
            self.warm(&planned).await?;
            Step::Warmed.reached();
            self.probe(&mut planned, next.clone(), &ask).await?;
            Step::Probed.reached();
        }
        let is_lost = match published {
            Some(published) => self.restore(&mut next, published, &aligned.won).await,
            None => false,
        };
        let changes = began(published, &next);
        let services = next
            .members
            .values()
            .map(|member| member.summary.clone())
            .collect();
        if is_new || is_lost || !changes.is_empty() {
            let cause = is_lost.then(|| "candidates were given up".to_owned());
            let entry = entry(
                Action::Start,
                "up",
                &changes,
                Outcome::Published,
                cause,
                begun.elapsed(),
            );
            let _commit = self.inner.commit.lock().await;
            self.publish(&state, next, entry, DRAIN).await?;
        } else {
            next.generation = state.generation;
            self.inner.registry.publish(next.generation());
            self.since(&next).await?;
            self.inner.state.store(Arc::new(next));
        }
        Ok(Started {
            services,
            won: aligned.won,
            refused: None,
        })
    }

    /// Makes the candidates of before again, but for those of services whose files say something new. Whether some are not
    /// there any more.
    async fn restore(
        &self,
        next: &mut State,
        published: &Published,
        won: &BTreeMap<ServiceName, Won>,
    ) -> bool {
        let mut is_lost = false;
        for canary in &published.canaries {
            let outdone = canary.services.keys().find(|name| {
                won.get(*name)
                    .is_none_or(|won| matches!(won, Won::Files | Won::Manifest))
            });
            if let Some(name) = outdone {
                is_lost = true;
                let names: Vec<_> = canary.services.keys().map(ServiceName::as_str).collect();
                let service = name.as_str();
                tracing::warn!(
                    service,
                    "the candidates of {} are given up: the files of {name} say something new",
                    names.join(", ")
                );
                continue;
            }
            match self.restored(next, canary).await {
                Ok(share) => next.canaries.push(share),
                Err(error) => {
                    is_lost = true;
                    let names: Vec<_> = canary.services.keys().map(ServiceName::as_str).collect();
                    tracing::warn!(
                        "the candidates of {} cannot be made again: {}",
                        names.join(", "),
                        error.text()
                    );
                }
            }
        }
        is_lost
    }

    async fn restored(&self, next: &State, canary: &RecordedCanary) -> Result<Share, RolloutError> {
        let pieces = self
            .recalled_all(&next.edition, &canary.services, &self.progress())
            .await?;
        let ask = Ask {
            action: Action::Start,
            by: "up".into(),
            pieces,
            edition: None,
            applied: None,
            on_disk: BTreeMap::new(),
            canary: Some((canary.weight, canary.sticky.clone())),
            allow_new_grants: true,
            dry_run: false,
            drain: DRAIN,
            begun: Instant::now(),
        };
        let planned = self
            .plan(&Arc::new(next.clone()), &Arc::new(ask), Ready::default())
            .await?;
        Ok(Share {
            rollout: canary.rollout,
            weight: canary.weight,
            sticky: canary.sticky.clone(),
            members: planned.into_fresh(),
        })
    }

    /// Since when revisions are published that were so before the start.
    async fn since(&self, next: &State) -> Result<(), RolloutError> {
        let journal = self.inner.journal.clone();
        let past = self
            .inner
            .tasks
            .blocking("journal", move || journal.past(None))
            .await;
        for past in past.map_err(|_| RolloutError::Lost)?? {
            for member in next.everyone() {
                if *member.revision.service() == past.service
                    && member.revision.id() == past.recorded.revision
                {
                    let _known = member.published.set(past.published);
                }
            }
        }
        Ok(())
    }
}

/// What a start changes of what was published.
fn began(published: Option<&Published>, next: &State) -> Vec<Shift> {
    let empty = BTreeMap::new();
    let before = published.map_or(&empty, |published| &published.services);
    let fresh = next.members.iter().filter_map(|(name, member)| {
        let from = before.get(name).map(|recorded| recorded.revision);
        let to = Some(member.revision.id());
        (from != to).then(|| Shift {
            service: name.clone(),
            from,
            to,
            component: Some(member.piece.compiled.digest()),
            difference: GrantDiff::default(),
        })
    });
    let removed = before
        .iter()
        .filter(|(name, _)| !next.members.contains_key(*name));
    let removed = removed.map(|(name, recorded)| Shift {
        service: name.clone(),
        from: Some(recorded.revision),
        to: None,
        component: None,
        difference: GrantDiff::default(),
    });
    fresh.chain(removed).collect()
}
