//! The changes of single services that can be asked for, up to where they are linked: deploy, rollback, promote, abort.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::back;
use super::load::Source;
use super::plan::touched;
use super::state::{Members, State};
use super::{About, Ask, Done, Failed, RolloutError, Rollouts, Shift, Step, entry};
use crate::host::grants::GrantDiff;
use crate::host::prepare::Piece;
use crate::model::{ServiceName, Sticky, Weight};
use crate::service::journal::{Action, JournalError, Outcome};

/// A deploy that is asked for.
pub(in crate::host) struct Deploy {
    pub(in crate::host) services: BTreeMap<ServiceName, Source>,
    /// For a share of requests, held by what is said; by their clients where nothing is.
    pub(in crate::host) canary: Option<(Weight, Option<Sticky>)>,
    pub(in crate::host) allow_new_grants: bool,
    pub(in crate::host) drain: Duration,
}

/// Why the host takes candidates back by itself.
pub(in crate::host) struct TakenBack {
    pub(in crate::host) rollout: u64,
    pub(in crate::host) cause: String,
}

impl Rollouts {
    /// Rolls new components out, all at the same instant.
    pub(in crate::host) async fn deploy(&self, deploy: Deploy, by: String) -> Result<Done, Failed> {
        let begun = Instant::now();
        let names: BTreeSet<_> = deploy.services.keys().cloned().collect();
        if names.is_empty() {
            return Err(RolloutError::Invalid {
                detail: "a deploy needs at least one service".into(),
                hint: None,
            }
            .into());
        }
        self.known(&names)?;
        let _turn = self.inner.queue.services(&names).await?;
        // It may have been taken out of the manifest meanwhile.
        self.known(&names)?;
        Step::Received.reached();
        // The state is not held while components are loaded: what others replace is not to wait for that.
        let edition = self.state().edition.clone();
        let action = match deploy.canary {
            None => Action::Deploy,
            Some(_) => Action::Canary,
        };
        let loaded = match self.load(&edition, &deploy.services).await {
            Ok(loaded) => loaded,
            Err(error) => {
                let concerned = error.services();
                let state = self.state();
                let names = names.iter();
                let names = names.filter(|name| concerned.is_empty() || concerned.contains(*name));
                let changes: Vec<_> = names.map(|name| unknown(&state, name)).collect();
                drop(state);
                return Err(self
                    .record_failure(action, &by, &changes, begun.elapsed(), error)
                    .await);
            }
        };
        let pieces = loaded
            .iter()
            .map(|loaded| (loaded.piece.service.name.clone(), loaded.piece.clone()))
            .collect();
        let on_disk = loaded
            .iter()
            .filter_map(|loaded| Some((loaded.piece.service.name.clone(), loaded.on_disk?)))
            .collect();
        drop(loaded);
        if let Some(done) = self.already_candidates(&pieces, &deploy, &by, begun).await? {
            return Ok(done);
        }
        let ask = Ask {
            action,
            by,
            pieces,
            edition: None,
            applied: None,
            on_disk,
            canary: deploy
                .canary
                .map(|(weight, sticky)| (weight, sticky.unwrap_or_default())),
            allow_new_grants: deploy.allow_new_grants,
            dry_run: false,
            drain: deploy.drain,
            begun,
        };
        self.roll(ask, Vec::new()).await
    }

    /// Brings a revision of before back: the one that starts with `wanted`, or the last one that was current before.
    pub(in crate::host) async fn rollback(
        &self,
        service: ServiceName,
        wanted: Option<String>,
        allow_new_grants: bool,
        drain: Duration,
        by: String,
    ) -> Result<Done, Failed> {
        let begun = Instant::now();
        let names = BTreeSet::from([service.clone()]);
        self.known(&names)?;
        let _turn = self.inner.queue.services(&names).await?;
        self.known(&names)?;
        Step::Received.reached();
        let (edition, present) = {
            let state = self.state();
            if state.share(&service).is_some() {
                return Err(has_candidate(&service).into());
            }
            let present = state.members.get(&service);
            let present = present.map(|member| member.recorded());
            (state.edition.clone(), present)
        };
        let journal = self.inner.journal.clone();
        let of = service.clone();
        let past = self.inner.tasks.blocking("journal", move || {
            Ok::<_, JournalError>((
                journal.past(Some(&of))?,
                journal.entries(Some(&of), None, back::LOOKED_AT)?,
            ))
        });
        let (past, entries) = past
            .await
            .map_err(|_| RolloutError::Lost)?
            .map_err(RolloutError::Journal)?;
        let before = present
            .as_ref()
            .and_then(|present| back::before(&service, present, &past, &entries));
        let meant = back::chosen(&service, &past, before, wanted.as_deref())?;
        let change = Shift {
            service: service.clone(),
            from: present.map(|present| present.revision),
            to: Some(meant.revision),
            component: Some(meant.component),
            difference: GrantDiff::default(),
        };
        self.tell_preparing(&service);
        let piece = match self.recall(&edition, &service, &meant).await {
            Ok(piece) => piece,
            Err(error) => {
                return Err(self
                    .record_failure(Action::Rollback, &by, &[change], begun.elapsed(), error)
                    .await);
            }
        };
        let ask = Ask {
            action: Action::Rollback,
            by,
            pieces: BTreeMap::from([(service, piece)]),
            edition: None,
            applied: None,
            on_disk: BTreeMap::new(),
            canary: None,
            allow_new_grants,
            dry_run: false,
            drain,
            begun,
        };
        self.roll(ask, Vec::new()).await
    }

    /// Makes the candidate of a service current, with all that share its requests, or gives them another share.
    pub(in crate::host) async fn promote(
        &self,
        service: ServiceName,
        weight: Option<Weight>,
        drain: Duration,
        by: String,
    ) -> Result<Done, Failed> {
        let begun = Instant::now();
        let (names, rollout) = self.sharing(&service)?;
        let _turn = self.inner.queue.services(&names).await?;
        Step::Received.reached();
        {
            let state = self.state();
            if let (Some(weight), Some(share)) = (weight, state.share(&service))
                && share.weight == weight
            {
                return Ok(Done::unchanged(&state, begun));
            }
        }
        let done = self.with_share(&service, Some(rollout), begun, drain, |next, at| match weight {
            Some(weight) => made_of_share(next, at, weight, by),
            None => promoted(next, at, by),
        });
        done.await.map_err(Failed::from)
    }

    /// Takes the candidate of a service back, with all that share its requests. `why` is there where the host does so by itself.
    pub(in crate::host) async fn abort(
        &self,
        service: ServiceName,
        by: String,
        why: Option<TakenBack>,
    ) -> Result<Done, Failed> {
        let begun = Instant::now();
        let rollout = why.as_ref().map(|why| why.rollout);
        // What is under way for these services was prepared against a state that is then no more, and looks again: an abort
        // need not wait for its turn.
        let done = self.with_share(&service, rollout, begun, super::DRAIN, |next, at| {
            next.canaries.remove(at);
            Made {
                action: Action::Abort,
                by,
                outcome: match why {
                    None => Outcome::Published,
                    Some(_) => Outcome::RolledBack,
                },
                cause: why.map(|why| why.cause),
            }
        });
        done.await.map_err(Failed::from)
    }

    /// What is asked for may be what candidates are already: then only their share is another, or they become current.
    async fn already_candidates(
        &self,
        pieces: &BTreeMap<ServiceName, Arc<Piece>>,
        deploy: &Deploy,
        by: &str,
        begun: Instant,
    ) -> Result<Option<Done>, Failed> {
        let state = self.state();
        let mut shares = pieces.keys().filter_map(|name| Some((name, state.share(name)?)));
        let Some((service, share)) = shares.next() else {
            return Ok(None);
        };
        let is_same = share.members.len() == pieces.len()
            && share.members.iter().all(|(name, member)| {
                pieces
                    .get(name)
                    .is_some_and(|piece| piece.compiled.digest() == member.piece.compiled.digest())
            });
        if !is_same {
            return Err(has_candidate(service).into());
        }
        let rollout = Some(share.rollout);
        let is_held_otherwise = deploy
            .canary
            .as_ref()
            .and_then(|(_, sticky)| sticky.as_ref())
            .is_some_and(|sticky| *sticky != share.sticky);
        if is_held_otherwise {
            // Clients would change sides.
            return Err(RolloutError::Busy {
                detail: format!("requests are held to their choice by {} already", share.sticky),
                hint: "leave `sticky` out, or abort the candidate and deploy it anew".into(),
            }
            .into());
        }
        let service = service.clone();
        let weight = deploy.canary.as_ref().map(|(weight, _)| *weight);
        if weight == Some(share.weight) {
            return Ok(Some(Done::unchanged(&state, begun)));
        }
        drop(state);
        let by = by.to_owned();
        let done = self
            .with_share(&service, rollout, begun, deploy.drain, |next, at| match weight {
                None => promoted(next, at, by),
                Some(weight) => made_of_share(next, at, weight, by),
            })
            .await?;
        Ok(Some(done))
    }

    /// Publishes what `make` makes of the state, which gets the place of the candidates that `service` belongs to: those of
    /// `rollout`, if that is said.
    async fn with_share(
        &self,
        service: &ServiceName,
        rollout: Option<u64>,
        begun: Instant,
        drain: Duration,
        make: impl FnOnce(&mut State, usize) -> Made,
    ) -> Result<Done, RolloutError> {
        let commit = self.inner.commit.clone().lock_owned().await;
        if self.inner.tasks.is_draining() {
            return Err(RolloutError::Stopping);
        }
        let state = self.state();
        let at = state
            .canaries
            .iter()
            .position(|share| {
                share.members.contains_key(service) && rollout.is_none_or(|rollout| share.rollout == rollout)
            })
            .ok_or_else(|| no_candidate(service))?;
        let share = state.canaries.get(at);
        let number = share.map(|share| share.rollout);
        let members = share.map(|share| share.members.clone());
        let mut next = State::clone(&state);
        next.generation += 1;
        let made = make(&mut next, at);
        let changes = shifts(&state, &next, &members.unwrap_or_default());
        let prepare = begun.elapsed();
        let generation = next.generation;
        let cause = made.cause.clone();
        let entry = entry(made.action, &made.by, &changes, made.outcome, made.cause, prepare);
        let action = made.action;
        let published = self.publish(&state, next, entry, drain).await?;
        drop(commit);
        let event = match (action, made.outcome) {
            (Action::Canary, _) => "share",
            (Action::Promote, _) => "promoted",
            (_, Outcome::RolledBack) => "rolled-back",
            (_, _) => "aborted",
        };
        for change in &changes {
            let candidate = match action {
                Action::Abort => change.from,
                _ => change.to,
            };
            self.inner.events.tell(
                event,
                About {
                    rollout: number,
                    service: Some(change.service.to_string()),
                    revision: candidate.map(|revision| revision.to_string()),
                    entry: Some(published.entry),
                    detail: cause.clone().unwrap_or_default(),
                    ..About::default()
                },
            );
        }
        Ok(Done {
            outcome: "published",
            generation,
            entry: Some(published.entry),
            changes,
            differences: Vec::new(),
            warnings: Vec::new(),
            prepare,
            publish: published.publish,
            sync: published.sync,
        })
    }

    fn known(&self, names: &BTreeSet<ServiceName>) -> Result<(), RolloutError> {
        let state = self.state();
        match names.iter().find(|name| !state.members.contains_key(*name)) {
            None => Ok(()),
            Some(name) => {
                let there: Vec<_> = state.members.keys().map(ServiceName::as_str).collect();
                Err(RolloutError::NotFound {
                    detail: format!("the app has no service `{name}`"),
                    hint: Some(format!(
                        "its services are {}; a new one comes with the manifest: `midplane apply`",
                        there.join(", ")
                    )),
                })
            }
        }
    }

    /// The services whose candidates share the requests of this one's, and the number of their rollout.
    fn sharing(&self, service: &ServiceName) -> Result<(BTreeSet<ServiceName>, u64), RolloutError> {
        self.known(&BTreeSet::from([service.clone()]))?;
        let state = self.state();
        let share = state.share(service).ok_or_else(|| no_candidate(service))?;
        Ok((share.members.keys().cloned().collect(), share.rollout))
    }
}

/// Gives the candidates at a place another share.
fn made_of_share(next: &mut State, at: usize, weight: Weight, by: String) -> Made {
    let mut cause = None;
    if let Some(share) = next.canaries.get_mut(at) {
        share.weight = weight;
        cause = Some(super::share(weight, &share.sticky));
    }
    Made {
        action: Action::Canary,
        by,
        outcome: Outcome::Published,
        cause,
    }
}

/// Makes the candidates at a place current.
fn promoted(next: &mut State, at: usize, by: String) -> Made {
    let share = next.canaries.remove(at);
    next.members.extend(share.members);
    Made {
        action: Action::Promote,
        by,
        outcome: Outcome::Published,
        cause: None,
    }
}

/// What was made of candidates.
struct Made {
    action: Action,
    by: String,
    outcome: Outcome,
    cause: Option<String>,
}

/// What happens to services whose candidates get another share, become current or go.
fn shifts(state: &State, next: &State, members: &Members) -> Vec<Shift> {
    members
        .iter()
        .map(|(name, candidate)| {
            let before = state.members.get(name);
            let after = match next.share(name) {
                Some(_) => Some(candidate),
                None => next.members.get(name),
            };
            Shift {
                service: name.clone(),
                // One that goes leaves the current one alone.
                from: match next.members.get(name) {
                    Some(stays)
                        if next.share(name).is_none()
                            && before.is_some_and(|before| Arc::ptr_eq(before, stays)) =>
                    {
                        Some(candidate.revision.id())
                    }
                    _ => before.map(|member| member.revision.id()),
                },
                to: after.map(|member| member.revision.id()),
                component: after.map(|member| member.piece.compiled.digest()),
                difference: after.map(|after| touched(before, after)).unwrap_or_default(),
            }
        })
        .collect()
}

/// A change of a service that did not come far enough to be known.
pub(super) fn unknown(state: &State, name: &ServiceName) -> Shift {
    Shift {
        service: name.clone(),
        from: state.members.get(name).map(|member| member.revision.id()),
        to: None,
        component: None,
        difference: GrantDiff::default(),
    }
}

fn has_candidate(service: &ServiceName) -> RolloutError {
    RolloutError::Busy {
        detail: format!("`{service}` has a candidate"),
        hint: format!("`midplane promote {service}` or `midplane abort {service}` first"),
    }
}

fn no_candidate(service: &ServiceName) -> RolloutError {
    RolloutError::NotFound {
        detail: format!("`{service}` has no candidate"),
        hint: Some(format!("`midplane status {service}` shows what it has")),
    }
}
