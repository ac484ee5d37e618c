//! Rollouts: the way from what somebody asks for to what requests meet.
//!
//! A change is prepared beside what is served (`read`, compile, link, warm, probe), and then published in one instant: the
//! journal is synced, and one pointer is set. Whatever goes wrong before leaves everything as it was. Changes of one service
//! follow each other ([`queue`]); changes of different services are prepared side by side, and one that was prepared against a
//! state that is not the current one any more is linked and checked anew. What was replaced drains ([`drain`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

mod align;
mod apply;
mod back;
mod change;
mod done;
mod drain;
mod error;
mod events;
mod load;
mod plan;
mod queue;
mod start;
mod state;
mod step;
mod sweep;
mod time;
mod upload;
mod vigil;

pub use error::RolloutError;
pub use start::Won;
pub use step::Step;

pub(super) use apply::Apply;
pub(super) use change::Deploy;
pub(super) use done::{Done, Failed};
pub(super) use drain::Drains;
pub(super) use events::{About, Events};
pub(super) use load::Source;
pub(super) use start::Started;
pub(super) use state::State;
pub(super) use time::millis;

use super::prepare::{Edition, Member, Piece, Preparing};
use crate::model::{ServiceName, Sticky, Weight};
use crate::service::Registry;
use crate::service::journal::{Action, Applied, AppliedService, Entry, Journal, JournalError, Outcome};
use crate::shutdown::Tasks;
use crate::telemetry::metrics::RolloutOutcome;
use change::unknown;
use plan::{Ready, Shift};
use queue::Queue;
use upload::Uploads;

/// How long requests may take to leave what was replaced, if nobody says otherwise.
pub(super) const DRAIN: Duration = Duration::from_secs(300);
/// The longest that somebody may say.
pub(super) const MAX_DRAIN: Duration = Duration::from_secs(3600);

/// How often a change is prepared beside others before it makes them wait.
const PATIENCE: usize = 3;

/// Everything that changes what an app serves. Clones are handles to the same.
#[derive(Clone)]
pub(super) struct Rollouts {
    inner: Arc<Inner>,
}

struct Inner {
    preparing: Preparing,
    journal: Arc<dyn Journal>,
    registry: Arc<Registry>,
    state: ArcSwap<State>,
    /// Held from the last look at the state until the next one is published.
    commit: Arc<tokio::sync::Mutex<()>>,
    queue: Queue,
    events: Events,
    drains: Drains,
    uploads: Mutex<Uploads>,
    /// Wakes who removes what nobody needs.
    sweep: Notify,
    /// Wakes who watches candidates.
    vigil: Notify,
    tasks: Tasks,
}

/// A change that is asked for, its services loaded.
struct Ask {
    action: Action,
    by: String,
    /// The services that shall be other than they are.
    pieces: BTreeMap<ServiceName, Arc<Piece>>,
    /// The manifest that is to be in force from now on: its services and no others.
    edition: Option<Arc<Edition>>,
    applied: Option<Applied>,
    /// The services whose files say just what is deployed: a start then finds nothing new in them.
    on_disk: BTreeMap<ServiceName, AppliedService>,
    canary: Option<(Weight, Sticky)>,
    allow_new_grants: bool,
    /// Only look.
    dry_run: bool,
    drain: Duration,
    begun: Instant,
}

/// What was published, and how long that took.
struct Publication {
    entry: u64,
    publish: Duration,
    sync: Duration,
}

impl Rollouts {
    /// What is published.
    pub(super) fn state(&self) -> Arc<State> {
        self.inner.state.load_full()
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.inner.registry
    }

    pub(super) fn events(&self) -> &Events {
        &self.inner.events
    }

    pub(super) fn drains(&self) -> &Drains {
        &self.inner.drains
    }

    pub(super) fn journal(&self) -> &Arc<dyn Journal> {
        &self.inner.journal
    }

    /// Closes the data. Nothing uses it any more.
    pub(super) async fn close(&self) {
        self.inner.preparing.close().await;
    }

    /// Makes a change whose services are loaded, from linking on. `differences` is what there is to tell besides.
    async fn roll(&self, ask: Ask, differences: Vec<String>) -> Result<Done, Failed> {
        let ask = Arc::new(ask);
        match self.try_roll(&ask, differences).await {
            Ok(done) => Ok(done),
            // Whoever only looks leaves no trace.
            Err(error) if ask.dry_run => Err(error.into()),
            Err(error) => Err(self.not_done(&ask, error).await),
        }
    }

    async fn try_roll(&self, ask: &Arc<Ask>, differences: Vec<String>) -> Result<Done, RolloutError> {
        let inner = &self.inner;
        let mut ready = Ready::default();
        for attempt in 0.. {
            // After some attempts the others wait.
            let mut commit = None;
            if attempt >= PATIENCE {
                commit = Some(inner.commit.clone().lock_owned().await);
            }
            let state = self.state();
            let mut planned = self.plan(&state, ask, ready).await?;
            Step::Linked.reached();
            let changes = planned.changes(&state);
            let is_unchanged = planned.is_nothing(&state, ask);
            if is_unchanged || ask.dry_run {
                let done = Done {
                    outcome: if is_unchanged { "unchanged" } else { "planned" },
                    generation: state.generation,
                    entry: None,
                    changes,
                    differences,
                    warnings: planned.warnings,
                    prepare: ask.begun.elapsed(),
                    publish: Duration::ZERO,
                    sync: Duration::ZERO,
                };
                drop(commit);
                if is_unchanged && !ask.dry_run && state.would_apply(ask.applied.as_ref(), &ask.on_disk) {
                    self.note_applied(state.generation, ask).await?;
                }
                return Ok(done);
            }
            planned.check_grants(&changes, ask)?;
            // While instances are made and probes answered, the state is let go: what others replace is not to wait for that.
            let generation = state.generation;
            let next = planned.next(&state, ask);
            drop(state);
            self.warm(&planned).await?;
            Step::Warmed.reached();
            self.probe(&mut planned, next, ask).await?;
            Step::Probed.reached();
            let prepare = ask.begun.elapsed();
            let commit = match commit {
                Some(commit) => commit,
                None => inner.commit.clone().lock_owned().await,
            };
            let state = self.state();
            if state.generation != generation {
                ready = planned.ready;
                continue;
            }
            if inner.tasks.is_draining() {
                return Err(RolloutError::Stopping);
            }
            let next = planned.next(&state, ask);
            let note = match &ask.canary {
                Some((weight, sticky)) => Some(share(*weight, sticky)),
                None => (!differences.is_empty()).then(|| differences.join("; ")),
            };
            let entry = entry(ask.action, &ask.by, &changes, Outcome::Published, note, prepare);
            let warnings = planned.warnings;
            let published = self.publish(&state, next, entry, ask.drain).await?;
            drop(commit);
            return Ok(Done {
                outcome: "published",
                generation: generation + 1,
                entry: Some(published.entry),
                changes,
                differences,
                warnings,
                prepare,
                publish: published.publish,
                sync: published.sync,
            });
        }
        Err(RolloutError::Lost)
    }

    /// Records and publishes `next` in place of `state`. The caller holds the commit lock.
    async fn publish(
        &self,
        state: &Arc<State>,
        next: State,
        mut entry: Entry,
        drain: Duration,
    ) -> Result<Publication, RolloutError> {
        let inner = &self.inner;
        let begun = Instant::now();
        Step::Committing.reached();
        let generation = Arc::new(next.generation());
        entry.generation = Some(next.generation);
        entry.at = SystemTime::now();
        // The pointer is set by the thread that has synced the journal: no wait comes between the two.
        let (journal, registry) = (inner.journal.clone(), inner.registry.clone());
        let outcome = counted(entry.outcome);
        let record = next.published();
        let committed = inner.tasks.blocking("journal", move || {
            let number = journal.publish(&record, &entry)?;
            Step::Committed.reached();
            let synced = begun.elapsed();
            registry.publish(generation);
            Ok::<_, JournalError>((number, synced, begun.elapsed()))
        });
        let (number, sync, publish) = committed.await.map_err(|_| RolloutError::Lost)??;
        inner.preparing.metrics().rollout(outcome);
        let now = SystemTime::now();
        for member in next.everyone() {
            // One that stays was published before.
            let _known = member.published.set(now);
        }
        let rollout = next.generation;
        let about = |member: &Arc<Member>| {
            let revision = &member.revision;
            About::revision(revision.service(), &revision.id().to_string(), rollout, number)
        };
        let came: Vec<_> = state.replaced(&next).into_iter().map(about).collect();
        let replaced: Vec<_> = next
            .replaced(state)
            .into_iter()
            .map(|member| member.revision.clone())
            .collect();
        inner.state.store(Arc::new(next));
        inner.vigil.notify_one();
        Step::Published.reached();
        for about in came {
            inner.events.tell("published", about);
        }
        self.drain(replaced, drain, rollout, number, publish);
        Ok(Publication {
            entry: number,
            publish,
            sync,
        })
    }

    /// Records that what the files say is what is served, without a change of anything.
    async fn note_applied(&self, generation: u64, ask: &Ask) -> Result<(), RolloutError> {
        let _commit = self.inner.commit.lock().await;
        let state = self.state();
        if state.generation != generation {
            // Something else was published meanwhile; the next start compares again.
            return Ok(());
        }
        let mut next = State::clone(&state);
        next.apply(ask.applied.as_ref(), &ask.on_disk);
        let (journal, record) = (self.inner.journal.clone(), next.published());
        let cause = Some("the files say what is served".into());
        let mut entry = entry(
            ask.action,
            &ask.by,
            &[],
            Outcome::Published,
            cause,
            ask.begun.elapsed(),
        );
        entry.generation = Some(next.generation);
        let noted = self
            .inner
            .tasks
            .blocking("journal", move || journal.publish(&record, &entry));
        noted.await.map_err(|_| RolloutError::Lost)??;
        self.inner.state.store(Arc::new(next));
        Ok(())
    }

    /// Records and tells that a change was not made.
    async fn not_done(&self, ask: &Ask, error: RolloutError) -> Failed {
        let state = self.state();
        let concerned = error.services();
        // It may be about services that were left alone, such as a caller of what was asked for.
        let is_known = ask.pieces.keys().any(|name| concerned.contains(name));
        let pieces = ask.pieces.iter();
        let pieces = pieces.filter(|(name, _)| !is_known || concerned.contains(*name));
        let changes = pieces.map(|(name, piece)| Shift {
            component: Some(piece.compiled.digest()),
            ..unknown(&state, name)
        });
        let changes: Vec<_> = changes.collect();
        let prepare = ask.begun.elapsed();
        self.record_failure(ask.action, &ask.by, &changes, prepare, error)
            .await
    }

    async fn record_failure(
        &self,
        action: Action,
        by: &str,
        changes: &[Shift],
        prepare: Duration,
        error: RolloutError,
    ) -> Failed {
        // What it had stored is nobody's now.
        self.inner.sweep.notify_one();
        let Some(outcome) = error.outcome() else {
            return error.into();
        };
        self.inner.preparing.metrics().rollout(counted(outcome));
        let text = error.text();
        let entry = entry(action, by, changes, outcome, Some(text.clone()), prepare);
        let journal = self.inner.journal.clone();
        let noted = self
            .inner
            .tasks
            .blocking("journal", move || journal.note(&entry))
            .await;
        let number = match noted {
            Ok(Ok(number)) => Some(number),
            Ok(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a change that was not made is not in the journal"
                );
                None
            }
            Err(_) => None,
        };
        let event = match outcome {
            Outcome::Failed => "failed",
            _ => "refused",
        };
        for change in changes {
            let service = change.service.as_str();
            tracing::warn!(service, "{event}: {text}");
            self.inner.events.tell(
                event,
                About {
                    service: Some(service.to_owned()),
                    entry: number,
                    detail: text.clone(),
                    ..About::default()
                },
            );
        }
        Failed { error, entry: number }
    }
}

/// As what a change is counted that ends so.
fn counted(outcome: Outcome) -> RolloutOutcome {
    match outcome {
        Outcome::Published => RolloutOutcome::Published,
        Outcome::Refused => RolloutOutcome::Refused,
        Outcome::Failed => RolloutOutcome::Failed,
        Outcome::RolledBack => RolloutOutcome::RolledBack,
    }
}

/// An entry of the journal that has no number yet.
fn entry(
    action: Action,
    by: &str,
    changes: &[Shift],
    outcome: Outcome,
    cause: Option<String>,
    prepare: Duration,
) -> Entry {
    Entry {
        number: 0,
        at: SystemTime::now(),
        by: by.to_owned(),
        action,
        changes: changes.iter().map(Shift::recorded).collect(),
        outcome,
        cause,
        generation: None,
        prepare,
        drain: None,
    }
}

/// What the journal says of a share of requests.
fn share(weight: Weight, sticky: &Sticky) -> String {
    format!("{weight} of requests, by {sticky}")
}
