//! What is published, with what each revision of it was made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::host::prepare::{Edition, Member};
use crate::manifest::{App, TriggerRoute, TriggerTarget};
use crate::model::route::RoutePattern;
use crate::model::{ServiceName, Sticky, Weight};
use crate::service::canary::Canary;
use crate::service::journal::{Applied, AppliedService, Published, RecordedCanary};
use crate::service::router::Router;
use crate::service::{Generation, Target};

/// The services of an app, by name.
pub(in crate::host) type Members = BTreeMap<ServiceName, Arc<Member>>;

/// What is published. It never changes; a change is another one.
#[derive(Clone)]
pub(in crate::host) struct State {
    /// The number of the generation.
    pub(in crate::host) generation: u64,
    /// The manifest that the routes are from, and with which components are deployed.
    pub(in crate::host) edition: Arc<Edition>,
    pub(in crate::host) routes: Arc<Router<Target>>,
    pub(in crate::host) members: Members,
    pub(in crate::host) canaries: Vec<Share>,
    pub(in crate::host) applied: Applied,
}

/// The candidates of one rollout.
#[derive(Clone)]
pub(in crate::host) struct Share {
    pub(in crate::host) rollout: u64,
    pub(in crate::host) weight: Weight,
    pub(in crate::host) sticky: Sticky,
    pub(in crate::host) members: Members,
}

impl State {
    /// What is there before anything was published.
    pub(super) fn empty(edition: Arc<Edition>) -> Self {
        Self {
            generation: 0,
            applied: Applied {
                manifest: edition.digest(),
                services: BTreeMap::new(),
            },
            routes: Arc::new(Router::new(Vec::new())),
            edition,
            members: Members::new(),
            canaries: Vec::new(),
        }
    }

    /// As requests meet it.
    pub(super) fn generation(&self) -> Generation {
        let revisions = |members: &Members| {
            members
                .iter()
                .map(|(name, member)| (name.clone(), member.revision.clone()))
                .collect()
        };
        let canaries = self.canaries.iter().map(|share| Canary {
            rollout: share.rollout,
            weight: share.weight,
            sticky: share.sticky.clone(),
            services: revisions(&share.members),
        });
        let app = &self.edition.app;
        Generation::new(
            app.name.clone(),
            self.generation,
            self.routes.clone(),
            revisions(&self.members),
        )
        .with_info(info(app))
        .with_canaries(canaries.collect())
    }

    /// As the journal keeps it.
    pub(super) fn published(&self) -> Published {
        let recorded = |members: &Members| {
            members
                .iter()
                .map(|(name, member)| (name.clone(), member.recorded()))
                .collect()
        };
        let canaries = self.canaries.iter().map(|share| RecordedCanary {
            rollout: share.rollout,
            weight: share.weight,
            sticky: share.sticky.clone(),
            services: recorded(&share.members),
        });
        Published {
            generation: self.generation,
            manifest: self.edition.digest(),
            services: recorded(&self.members),
            canaries: canaries.collect(),
            applied: self.applied.clone(),
        }
    }

    /// The candidate of a service, with those that share its requests.
    pub(in crate::host) fn share(&self, service: &ServiceName) -> Option<&Share> {
        self.canaries
            .iter()
            .find(|share| share.members.contains_key(service))
    }

    /// Everything that requests can meet.
    pub(super) fn everyone(&self) -> impl Iterator<Item = &Arc<Member>> {
        let candidates = self.canaries.iter().flat_map(|share| share.members.values());
        self.members.values().chain(candidates)
    }

    /// Those of `before` whose revisions nothing here leads to.
    pub(super) fn replaced<'s>(&self, before: &'s Self) -> Vec<&'s Arc<Member>> {
        let stays = |member: &Arc<Member>| {
            self.everyone()
                .any(|other| Arc::ptr_eq(&other.revision, &member.revision))
        };
        before.everyone().filter(|member| !stays(member)).collect()
    }

    /// Notes what the files say: all of them, or those of some services.
    pub(super) fn apply(&mut self, all: Option<&Applied>, some: &BTreeMap<ServiceName, AppliedService>) {
        if let Some(all) = all {
            self.applied = all.clone();
        }
        for (name, says) in some {
            self.applied.services.insert(name.clone(), *says);
        }
    }

    /// Whether [`Self::apply`] would change anything.
    pub(super) fn would_apply(
        &self,
        all: Option<&Applied>,
        some: &BTreeMap<ServiceName, AppliedService>,
    ) -> bool {
        all.is_some_and(|all| *all != self.applied)
            || some
                .iter()
                .any(|(name, says)| self.applied.services.get(name) != Some(says))
    }
}

/// The routes of an app.
pub(super) fn routes(app: &App) -> Router<Target> {
    let routes: Vec<(RoutePattern, Target)> = app
        .triggers
        .iter()
        .filter_map(|trigger| match &trigger.route {
            TriggerRoute::Path(pattern) => Some((pattern.clone(), target(&trigger.target))),
            TriggerRoute::Private => None,
        })
        .collect();
    Router::new(routes)
}

fn target(target: &TriggerTarget) -> Target {
    match target {
        TriggerTarget::Service(service) => Target::Service(service.clone()),
        TriggerTarget::Static(response) => Target::Static(Arc::new(response.clone())),
    }
}

/// What `/.well-known/spin/info` answers.
fn info(app: &App) -> bytes::Bytes {
    let text = serde_json::json!({
        "name": app.name.as_str(),
        "version": app.version,
        "digest": format!("sha256:{}", app.digest),
    });
    text.to_string().into()
}
