//! One revision of a service, and the leases of it.
//!
//! What bounds it: as many leases at once as the service's `concurrency`; as many requests waiting for one as its `queue`,
//! each for at most its `queue_timeout`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::{Callee, NoPlace, Place, Places, Program};
use crate::model::{Limits, RevisionId, ServiceName};
use crate::telemetry::metrics::{InFlight, RevisionMetrics, Verdict};

/// One immutable version of a service: component, grants and limits, ready to run.
pub struct Revision {
    service: ServiceName,
    id: RevisionId,
    program: Arc<Program>,
    places: Places,
    metrics: Arc<RevisionMetrics>,
    /// Closed when the last holder is gone.
    alive: watch::Sender<()>,
}

impl Revision {
    /// A revision that nobody has leased yet.
    pub fn new(
        service: ServiceName,
        id: RevisionId,
        program: Program,
        metrics: Arc<RevisionMetrics>,
    ) -> Self {
        let limits = program.limits();
        let places = Places::new(limits.concurrency, limits.queue, limits.queue_timeout);
        Self {
            service,
            id,
            program: Arc::new(program),
            places,
            metrics,
            alive: watch::Sender::new(()),
        }
    }

    /// Ends when nobody has the revision any more: no generation, no request, no call. It keeps nothing alive.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut alive = self.alive.subscribe();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// The service that it is a version of.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// What tells it from all others.
    pub fn id(&self) -> RevisionId {
        self.id
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        self.program.limits()
    }

    /// What runs.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// How many requests and calls it works for now, its whole `concurrency` at most.
    pub fn busy(&self) -> u64 {
        let places = u64::from(self.limits().concurrency.get());
        places.saturating_sub(self.places.free())
    }

    /// How many requests and calls wait for a place, its `queue` at most.
    pub fn waiting(&self) -> u64 {
        self.places.waiting()
    }

    /// Its figures.
    pub fn metrics(&self) -> &Arc<RevisionMetrics> {
        &self.metrics
    }

    /// A lease, as soon as there is room for one more request.
    pub async fn lease(self: &Arc<Self>) -> Result<Lease, NoPlace> {
        self.take(None).await?;
        Ok(Lease::new(self.clone()))
    }

    async fn take(&self, deadline: Option<Instant>) -> Result<(), NoPlace> {
        let taken = self.places.take(deadline).await;
        taken.inspect_err(|_| self.metrics.turned_away())
    }
}

impl Callee for Revision {
    fn program(&self) -> &Arc<Program> {
        &self.program
    }

    fn try_enter(self: Arc<Self>) -> Option<Box<dyn Place>> {
        if self.places.try_take() {
            Some(Box::new(Lease::new(self)))
        } else {
            None
        }
    }

    fn enter(self: Arc<Self>, deadline: Instant) -> BoxFuture<'static, Result<Box<dyn Place>, NoPlace>> {
        async move {
            self.take(Some(deadline)).await?;
            let place: Box<dyn Place> = Box::new(Lease::new(self));
            Ok(place)
        }
        .boxed()
    }
}

/// A call of a contract holds a lease too, and is none of the requests that are counted by status.
impl Place for Lease {
    fn leave(mut self: Box<Self>) {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.call_ended();
        }
    }
}

/// One of the places that a revision has for requests, until the last holder drops it.
pub struct Permit {
    revision: Arc<Revision>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.revision.places.give_back();
    }
}

/// What a request holds of a revision, from routing until the last byte of the response body.
pub struct Lease {
    permit: Arc<Permit>,
    in_flight: Option<InFlight>,
}

impl Lease {
    fn new(revision: Arc<Revision>) -> Self {
        let in_flight = Some(revision.metrics.begin());
        Self {
            permit: Arc::new(Permit { revision }),
            in_flight,
        }
    }

    /// The revision.
    pub fn revision(&self) -> &Arc<Revision> {
        &self.permit.revision
    }

    /// The request's place, for a guest that still works when its response has ended: the place is free when both are done.
    pub fn permit(&self) -> Arc<Permit> {
        self.permit.clone()
    }

    /// Counts the request as answered; without it a dropped lease counts as cancelled.
    pub fn finish(mut self, status: http::StatusCode, duration: Duration, verdict: Verdict) {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.finish(status, duration, verdict);
        }
    }
}
