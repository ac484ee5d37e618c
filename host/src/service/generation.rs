//! What is served at one instant, and the pointer to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Revision;
use super::router::Router;
use crate::engine::{Callee, Callees};
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

/// One immutable snapshot of the app: its routes and the revision of each of its services.
pub struct Generation {
    app: AppName,
    number: u64,
    routes: Router<Target>,
    services: BTreeMap<ServiceName, Arc<Revision>>,
}

impl Generation {
    /// A snapshot. Generations of an app are numbered from 1.
    pub fn new(
        app: AppName,
        number: u64,
        routes: Router<Target>,
        services: BTreeMap<ServiceName, Arc<Revision>>,
    ) -> Self {
        Self {
            app,
            number,
            routes,
            services,
        }
    }

    /// The app.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its routes.
    pub fn routes(&self) -> &Router<Target> {
        &self.routes
    }

    /// The revision of a service.
    pub fn revision(&self, service: &ServiceName) -> Option<&Arc<Revision>> {
        self.services.get(service)
    }

    /// All revisions.
    pub fn revisions(&self) -> impl Iterator<Item = &Arc<Revision>> {
        self.services.values()
    }
}

impl Callees for Generation {
    fn callee(&self, service: &ServiceName) -> Option<Arc<dyn Callee>> {
        let revision: Arc<dyn Callee> = self.services.get(service)?.clone();
        Some(revision)
    }
}

/// The one pointer to what is served now.
pub struct Registry {
    current: ArcSwap<Generation>,
}

impl Registry {
    /// Starts with `generation`.
    pub fn new(generation: Generation) -> Self {
        Self {
            current: ArcSwap::from_pointee(generation),
        }
    }

    /// What is served now. A request calls this once.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// From now on requests get `generation`; those that run keep theirs.
    pub fn publish(&self, generation: Generation) {
        self.current.store(Arc::new(generation));
    }
}
