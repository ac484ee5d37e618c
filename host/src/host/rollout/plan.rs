//! What a change would make of the state: which services are linked anew, whether all contracts fit, what may newly be
//! touched, and whether what is new lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::state::{Members, Share, State, routes};
use super::{Ask, RolloutError, Rollouts};
use crate::admin::api;
use crate::gateway::probe;
use crate::host::Error;
use crate::host::grants::{self, GrantDiff};
use crate::host::linking::{self, LinkErrors};
use crate::host::prepare::{Edition, Member, Piece};
use crate::link::{self, ResolvedLink};
use crate::manifest::TriggerTarget;
use crate::model::{Digest, RevisionId, ServiceName};
use crate::service::canary::MAX_CANARIES;
use crate::service::journal::Change;

/// Instances that are there before the first request.
const WARM: usize = 1;

/// Revisions that were linked for a state that is not the current one any more: good still where nothing of theirs changed.
#[derive(Default)]
pub(super) struct Ready {
    members: Members,
    /// Those that have lived and answered their probe.
    proven: BTreeSet<ServiceName>,
}

/// What a change would make of the state.
pub(super) struct Planned {
    /// The services that there would be.
    names: BTreeSet<ServiceName>,
    /// Those that would be made of something else, with the same revision or another.
    members: Members,
    /// Those that would have another revision.
    pub(super) fresh: BTreeSet<ServiceName>,
    pub(super) warnings: Vec<String>,
    pub(super) ready: Ready,
}

/// What happens to one service.
#[derive(Debug, Clone)]
pub(in crate::host) struct Shift {
    pub(in crate::host) service: ServiceName,
    pub(in crate::host) from: Option<RevisionId>,
    pub(in crate::host) to: Option<RevisionId>,
    pub(in crate::host) component: Option<Digest>,
    /// What it may newly touch, and what no more.
    pub(in crate::host) difference: GrantDiff,
}

impl Shift {
    /// As the journal keeps it.
    pub(super) fn recorded(&self) -> Change {
        Change {
            service: self.service.clone(),
            from: self.from,
            to: self.to,
            component: self.component,
        }
    }

    /// As the API tells it.
    pub(in crate::host) fn shown(&self) -> api::Change {
        api::Change {
            service: self.service.to_string(),
            from: self.from.map(|revision| revision.to_string()),
            to: self.to.map(|revision| revision.to_string()),
            component: self.component.map(|component| format!("sha256:{component}")),
            new_grants: self.difference.new.clone(),
            lost_grants: self.difference.lost.clone(),
        }
    }
}

impl Rollouts {
    /// Resolves and checks the contracts of all services as they would be, and links those that would be other.
    pub(super) async fn plan(
        &self,
        state: &Arc<State>,
        ask: &Arc<Ask>,
        ready: Ready,
    ) -> Result<Planned, RolloutError> {
        let (this, state, ask) = (self.clone(), state.clone(), ask.clone());
        let planned = self
            .inner
            .tasks
            .blocking("link", move || this.planned(&state, &ask, ready));
        planned.await.map_err(|_| RolloutError::Lost)?
    }

    fn planned(&self, state: &State, ask: &Ask, mut ready: Ready) -> Result<Planned, RolloutError> {
        let preparing = &self.inner.preparing;
        let pieces = pieces(state, ask);
        let contracts: Vec<_> = pieces.values().map(|piece| piece.contracts.clone()).collect();
        let resolution = linking::links(&contracts).map_err(|error| match error {
            Error::Links(errors) => RolloutError::Contracts(errors),
            error => error.into(),
        })?;
        let mut warnings: Vec<String> = resolution.warnings.iter().map(linking::told).collect();
        let mut names = BTreeSet::new();
        let mut members = Members::new();
        let mut fresh = BTreeSet::new();
        for (name, piece) in pieces {
            let links: Vec<ResolvedLink> = resolution
                .links
                .iter()
                .filter(|link| link.caller == name)
                .cloned()
                .collect();
            let present = state.members.get(&name);
            names.insert(name.clone());
            if let Some(member) = present
                && Arc::ptr_eq(&member.piece, &piece)
                && are_same(&member.links, &links)
            {
                continue;
            }
            let parts = preparing.parts(&piece, &links)?;
            let same = |member: &&Arc<Member>| member.revision.id() == parts.id;
            let member = if let Some(member) = present.filter(same) {
                Member::again(member, &piece, links)
            } else {
                // Whoever only looks may see what would come after that.
                if let Some(share) = state.share(&name).filter(|_| !ask.dry_run) {
                    return Err(RolloutError::Busy {
                        detail: format!("`{name}` would be linked anew, and it has a candidate"),
                        hint: format!(
                            "`midplane promote {name}` or `midplane abort {name}` first (rollout {})",
                            share.rollout
                        ),
                    });
                }
                fresh.insert(name.clone());
                match ready.members.get(&name).filter(same) {
                    Some(member) => member.clone(),
                    None => {
                        ready.proven.remove(&name);
                        preparing.member(&piece, parts, links)?
                    }
                }
            };
            members.insert(name, member);
        }
        let edition = ask.edition.as_ref().unwrap_or(&state.edition);
        for trigger in &edition.app.triggers {
            if let TriggerTarget::Service(service) = &trigger.target
                && members
                    .get(service)
                    .or_else(|| state.members.get(service))
                    .is_some_and(|member| !member.revision.program().has_handler())
            {
                let (service, location) = (service.clone(), trigger.location.clone());
                return Err(Error::NoHandler { service, location }.into());
            }
        }
        for member in fresh.iter().filter_map(|name| members.get(name)) {
            if member.piece.service.probe.is_some() && !member.revision.program().has_handler() {
                return Err(RolloutError::NothingToProbe {
                    service: member.piece.service.name.clone(),
                    location: member.piece.service.location.to_string(),
                });
            }
        }
        beside_candidates(state, &members, &fresh)?;
        if ask.canary.is_some() && state.canaries.len() >= MAX_CANARIES && !fresh.is_empty() {
            return Err(RolloutError::Busy {
                detail: format!("there are {MAX_CANARIES} rollouts with candidates already"),
                hint: "promote or abort one of them first".into(),
            });
        }
        if let Some(edition) = &ask.edition {
            warnings.extend(preparing.warnings(&edition.app));
        }
        ready.members = fresh
            .iter()
            .filter_map(|name| Some((name.clone(), members.get(name)?.clone())))
            .collect();
        Ok(Planned {
            names,
            members,
            fresh,
            warnings,
            ready,
        })
    }

    /// Lets an instance of each new revision live.
    pub(super) async fn warm(&self, planned: &Planned) -> Result<(), RolloutError> {
        for (name, member) in planned.unproven() {
            let warm = member.revision.program().warm(WARM).await;
            warm.map_err(|source| RolloutError::Warm {
                service: name.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Asks each new revision that declares a probe, among the services as they would be.
    pub(super) async fn probe(
        &self,
        planned: &mut Planned,
        next: State,
        ask: &Ask,
    ) -> Result<(), RolloutError> {
        let number = next.generation;
        let generation = Arc::new(next.generation());
        drop(next);
        let view = match ask.canary {
            None => generation.without_candidates(),
            // The number that the candidates would have.
            Some(_) => generation.with_candidates(number),
        };
        let unproven: Vec<_> = planned
            .unproven()
            .map(|(name, member)| (name.clone(), member.clone()))
            .collect();
        for (service, member) in unproven {
            if let Some(probe) = &member.piece.service.probe {
                probe::probe(&view, &member.revision, probe)
                    .await
                    .map_err(|source| RolloutError::Probe {
                        service: service.clone(),
                        source,
                    })?;
            }
            planned.ready.proven.insert(service);
        }
        Ok(())
    }
}

impl Planned {
    fn unproven(&self) -> impl Iterator<Item = (&ServiceName, &Arc<Member>)> {
        self.fresh
            .iter()
            .filter(|name| !self.ready.proven.contains(*name))
            .filter_map(|name| Some((name, self.members.get(name)?)))
    }

    /// The revisions that would be other.
    pub(super) fn into_fresh(self) -> Members {
        self.ready.members
    }

    /// The services that would be gone.
    pub(super) fn removed<'s>(&self, state: &'s State) -> Vec<&'s ServiceName> {
        let gone = state.members.keys();
        gone.filter(|name| !self.names.contains(*name)).collect()
    }

    /// Whether it leaves everything as it is.
    pub(super) fn is_nothing(&self, state: &State, ask: &Ask) -> bool {
        let is_same_manifest = |edition: &Arc<Edition>| edition.digest() == state.edition.digest();
        self.fresh.is_empty()
            && self.removed(state).is_empty()
            && ask.edition.as_ref().is_none_or(is_same_manifest)
    }

    /// What happens to each service that would be other.
    pub(super) fn changes(&self, state: &State) -> Vec<Shift> {
        let fresh = self.fresh.iter().filter_map(|name| {
            let member = self.members.get(name)?;
            let present = state.members.get(name);
            Some(Shift {
                service: name.clone(),
                from: present.map(|present| present.revision.id()),
                to: Some(member.revision.id()),
                component: Some(member.piece.compiled.digest()),
                difference: touched(present, member),
            })
        });
        let removed = self.removed(state).into_iter().map(|name| Shift {
            service: name.clone(),
            from: state.members.get(name).map(|member| member.revision.id()),
            to: None,
            component: None,
            difference: GrantDiff::default(),
        });
        fresh.chain(removed).collect()
    }

    /// Whether nothing may newly be touched, or that is wanted. What a service touches that is new is no news.
    pub(super) fn check_grants(&self, changes: &[Shift], ask: &Ask) -> Result<(), RolloutError> {
        if ask.allow_new_grants {
            return Ok(());
        }
        let mut services = BTreeSet::new();
        let mut lines = Vec::new();
        for change in changes.iter().filter(|change| change.from.is_some()) {
            if !change.difference.new.is_empty() {
                services.insert(change.service.clone());
            }
            let new = change.difference.new.iter();
            lines.extend(new.map(|line| format!("{}: {line}", change.service)));
        }
        if lines.is_empty() {
            Ok(())
        } else {
            Err(RolloutError::NewGrants { services, lines })
        }
    }

    /// The state after the change.
    pub(super) fn next(&self, state: &State, ask: &Ask) -> State {
        let mut next = state.clone();
        next.generation += 1;
        if let Some(edition) = &ask.edition {
            next.edition = edition.clone();
            next.routes = Arc::new(routes(&edition.app));
        }
        next.apply(ask.applied.as_ref(), &ask.on_disk);
        match &ask.canary {
            None => {
                next.members.retain(|name, _| self.names.contains(name));
                next.members.extend(self.members.clone());
            }
            Some((weight, sticky)) => next.canaries.push(Share {
                rollout: next.generation,
                weight: *weight,
                sticky: sticky.clone(),
                members: self.ready.members.clone(),
            }),
        }
        next
    }
}

/// Every service as it would be: what it is made of.
fn pieces(state: &State, ask: &Ask) -> BTreeMap<ServiceName, Arc<Piece>> {
    let mut pieces: BTreeMap<_, _> = state
        .members
        .iter()
        .map(|(name, member)| (name.clone(), member.piece.clone()))
        .collect();
    if let Some(edition) = &ask.edition {
        pieces.retain(|name, _| edition.app.services.contains_key(name));
    }
    pieces.extend(
        ask.pieces
            .iter()
            .map(|(name, piece)| (name.clone(), piece.clone())),
    );
    pieces
}

/// Whether two sets of links of one caller lead to the same services.
fn are_same(present: &[ResolvedLink], links: &[ResolvedLink]) -> bool {
    present.len() == links.len()
        && present
            .iter()
            .zip(links)
            .all(|(one, other)| one.import == other.import && one.callee == other.callee)
}

/// Holds what is new against the candidates of other rollouts, which a request may meet beside it.
fn beside_candidates(
    state: &State,
    members: &Members,
    fresh: &BTreeSet<ServiceName>,
) -> Result<(), RolloutError> {
    let mut errors = Vec::new();
    for candidate in state.canaries.iter().flat_map(|share| share.members.values()) {
        let candidate_name = candidate.revision.service();
        for name in fresh.iter().filter(|name| *name != candidate_name) {
            let Some(member) = members.get(name) else { continue };
            errors.extend(link::check_callers(
                name,
                &member.piece.contracts.exports,
                &candidate.links,
            ));
            errors.extend(link::check_callers(
                candidate_name,
                &candidate.piece.contracts.exports,
                &member.links,
            ));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(RolloutError::Contracts(LinkErrors(errors)))
    }
}

/// What a revision may touch beside the one that it replaces. Where it replaces none, all that it may touch is new.
pub(super) fn touched(before: Option<&Arc<Member>>, after: &Member) -> GrantDiff {
    let nothing = grants::Grants::default();
    grants::diff(before.map_or(&nothing, |before| &before.touches), &after.touches)
}
