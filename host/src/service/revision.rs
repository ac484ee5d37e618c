//! One revision of a service, and the leases of it.
//!
//! What bounds it: as many leases at once as the service's `concurrency`; as many requests waiting for one as its `queue`,
//! each for at most its `queue_timeout`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::engine::Program;
use crate::model::{Limits, RevisionId, ServiceName};
use crate::telemetry::metrics::{InFlight, RevisionMetrics};

/// One immutable version of a service: component, grants and limits, ready to run.
pub struct Revision {
    service: ServiceName,
    id: RevisionId,
    program: Arc<Program>,
    permits: Semaphore,
    waiting: AtomicU32,
    metrics: Arc<RevisionMetrics>,
}

/// Why a request gets no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// As many requests wait as may.
    #[error("{waiting} requests are waiting for the service already")]
    QueueFull {
        /// How many.
        waiting: u32,
    },
    /// None of the running requests ended in time.
    #[error("no request of the service ended within {waited:?}")]
    TooLong {
        /// How long the request waited.
        waited: Duration,
    },
}

impl Revision {
    /// A revision that nobody has leased yet.
    pub fn new(
        service: ServiceName,
        id: RevisionId,
        program: Program,
        metrics: Arc<RevisionMetrics>,
    ) -> Self {
        let permits = Semaphore::new(program.limits().concurrency.get() as usize);
        Self {
            service,
            id,
            program: Arc::new(program),
            permits,
            waiting: AtomicU32::new(0),
            metrics,
        }
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

    /// Its figures.
    pub fn metrics(&self) -> &Arc<RevisionMetrics> {
        &self.metrics
    }

    /// A lease, as soon as there is room for one more request.
    pub async fn lease(self: &Arc<Self>) -> Result<Lease, LeaseError> {
        if let Ok(permit) = self.permits.try_acquire() {
            permit.forget();
            return Ok(Lease::new(self.clone()));
        }
        let limits = self.limits();
        let _place = Place::take(&self.waiting, limits.queue)?;
        match tokio::time::timeout(limits.queue_timeout, self.permits.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                Ok(Lease::new(self.clone()))
            }
            // The semaphore is never closed; were it, nothing could be leased any more either.
            Ok(Err(_)) | Err(_) => Err(LeaseError::TooLong {
                waited: limits.queue_timeout,
            }),
        }
    }
}

/// A place in the queue.
struct Place<'a>(&'a AtomicU32);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicU32, queue: u32) -> Result<Self, LeaseError> {
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < queue).then_some(waiting + 1)
            })
            .map(|_| Self(waiting))
            .map_err(|waiting| LeaseError::QueueFull { waiting })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One of the places that a revision has for requests, until the last holder drops it.
pub struct Permit {
    revision: Arc<Revision>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.revision.permits.add_permits(1);
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
    pub fn finish(mut self, status: http::StatusCode, duration: Duration) {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.finish(status, duration);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_takes_no_more_than_its_bound() {
        let waiting = AtomicU32::new(0);
        let first = Place::take(&waiting, 2);
        let second = Place::take(&waiting, 2);
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(
            Place::take(&waiting, 2),
            Err(LeaseError::QueueFull { waiting: 2 })
        ));
        drop(first);
        assert!(Place::take(&waiting, 2).is_ok());
    }
}
