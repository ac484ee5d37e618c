//! What is served at one instant, and the pointer to it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderMap;

use super::Revision;
use super::canary::{self, Canary};
use super::router::Router;
use crate::engine::{Callee, Callees, Sight};
use crate::manifest::StaticResponse;
use crate::model::{AppName, ServiceName};

/// What a route leads to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A service.
    Service(ServiceName),
    /// A response from the manifest.
    Static(Arc<StaticResponse>),
}

/// One immutable snapshot of the app: its routes, the revision of each of its services, and the candidates that get a share
/// of requests.
pub struct Generation {
    app: AppName,
    number: u64,
    info: Bytes,
    routes: Arc<Router<Target>>,
    services: BTreeMap<ServiceName, Arc<Revision>>,
    canaries: Vec<Canary>,
}

impl Generation {
    /// A snapshot without candidates. Generations of an app are numbered from 1.
    pub fn new(
        app: AppName,
        number: u64,
        routes: impl Into<Arc<Router<Target>>>,
        services: BTreeMap<ServiceName, Arc<Revision>>,
    ) -> Self {
        Self {
            app,
            number,
            info: Bytes::new(),
            routes: routes.into(),
            services,
            canaries: Vec::new(),
        }
    }

    /// With what the information path answers, as JSON.
    #[must_use]
    pub fn with_info(mut self, info: Bytes) -> Self {
        self.info = info;
        self
    }

    /// With candidates; at most [`MAX_CANARIES`](super::canary::MAX_CANARIES) rollouts are looked at.
    #[must_use]
    pub fn with_canaries(mut self, canaries: Vec<Canary>) -> Self {
        self.canaries = canaries;
        self
    }

    /// The app.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What the information path answers, as JSON.
    pub fn info(&self) -> &Bytes {
        &self.info
    }

    /// Its routes.
    pub fn routes(&self) -> &Router<Target> {
        &self.routes
    }

    /// The current revision of a service.
    pub fn revision(&self, service: &ServiceName) -> Option<&Arc<Revision>> {
        self.services.get(service)
    }

    /// The candidates, by rollout.
    pub fn canaries(&self) -> &[Canary] {
        &self.canaries
    }

    /// All revisions, the candidates among them.
    pub fn revisions(&self) -> impl Iterator<Item = &Arc<Revision>> {
        let candidates = self.canaries.iter().flat_map(|canary| canary.services.values());
        self.services.values().chain(candidates)
    }

    /// What a request of this client sees, on all of its way.
    pub fn enter(self: Arc<Self>, headers: &HeaderMap, client: IpAddr) -> View {
        let chosen = canary::choose(&self.canaries, headers, client);
        View {
            generation: self,
            chosen,
        }
    }

    /// What a request sees that no client sent: the current revisions.
    pub fn without_candidates(self: Arc<Self>) -> View {
        View {
            generation: self,
            chosen: 0,
        }
    }

    /// What a request sees that is to meet all candidates of one rollout.
    pub fn with_candidates(self: Arc<Self>, rollout: u64) -> View {
        let at = self.canaries.iter().position(|canary| canary.rollout == rollout);
        let chosen = at.map_or(0, |at| 1_u64.checked_shl(at as u32).unwrap_or(0));
        View {
            generation: self,
            chosen,
        }
    }
}

impl Callees for Generation {
    fn callee(&self, service: &ServiceName) -> Option<Arc<dyn Callee>> {
        let revision: Arc<dyn Callee> = self.services.get(service)?.clone();
        Some(revision)
    }

    fn sight(&self) -> Sight {
        Sight {
            generation: std::ptr::from_ref(self).addr(),
            chosen: 0,
        }
    }
}

/// What one request sees of a generation: of each service the current revision, or the candidate that was chosen for the
/// request when it entered. All its hops go by it.
#[derive(Clone)]
pub struct View {
    generation: Arc<Generation>,
    /// The canaries that it meets, by their place.
    chosen: u64,
}

impl View {
    /// The generation.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// The revision of a service that this request meets.
    pub fn revision(&self, service: &ServiceName) -> Option<&Arc<Revision>> {
        if self.chosen != 0 {
            let canaries = self.generation.canaries.iter().take(canary::MAX_CANARIES);
            let candidate = canaries
                .enumerate()
                .filter(|(at, _)| self.chosen & (1 << at) != 0)
                .find_map(|(_, canary)| canary.services.get(service));
            if candidate.is_some() {
                return candidate;
            }
        }
        self.generation.revision(service)
    }

    /// As the port that links find their callees through.
    pub fn callees(&self) -> Arc<dyn Callees> {
        match self.chosen {
            // Without candidates the generation itself does, and nothing is allocated.
            0 => self.generation.clone(),
            _ => Arc::new(self.clone()),
        }
    }
}

impl Callees for View {
    fn callee(&self, service: &ServiceName) -> Option<Arc<dyn Callee>> {
        let revision: Arc<dyn Callee> = self.revision(service)?.clone();
        Some(revision)
    }

    fn sight(&self) -> Sight {
        Sight {
            chosen: self.chosen,
            ..self.generation.sight()
        }
    }
}

/// The one pointer to what is served now.
pub struct Registry {
    current: ArcSwap<Generation>,
}

impl Registry {
    /// Starts with `generation`.
    pub fn new(generation: impl Into<Arc<Generation>>) -> Self {
        Self {
            current: ArcSwap::new(generation.into()),
        }
    }

    /// What is served now. A request calls this once.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// From now on requests get `generation`; those that run keep theirs.
    pub fn publish(&self, generation: impl Into<Arc<Generation>>) {
        self.current.store(generation.into());
    }
}
