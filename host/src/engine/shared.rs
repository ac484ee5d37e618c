//! Instances that serve several requests at once: where a service asks for that, its requests meet here.
//!
//! A [`Session`] is the time from the first request that an instance gets until it is at rest again; one task has the instance
//! meanwhile, and lets it wait with the others afterwards. Who comes joins the fullest session that has room, or begins one.
//!
//! Who may join: a request that entered by the listener, and whose view is the session's. A request that another service sent
//! on always begins a session of its own. A guest can hold its whole instance up with a call that waits (any of WASI 0.2, any
//! plain `func`), and if such calls could wait for requests within instances that wait in turn, services that call each other
//! could wait in a circle. As it is, whoever waits does so for a session that began later than its own.
//!
//! What bounds it: as many requests in a session as `instances.concurrency`, each for its own time; as many over the life of
//! an instance as `max_requests`; for what goes on after responses, [`MAX_LINGERING`] and the `timeout` of the last request.

use std::num::NonZeroU32;
use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::{FutureExt, poll_fn};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::task::Poll;

use super::body::{Driver, GuestResponse};
use super::context::RequestContext;
use super::moving::Moving;
use super::program::{Program, Use};
use super::{Body, Failure};
use crate::telemetry::metrics::Instantiation;

mod attend;
mod seat;
mod session;

use attend::attend;
use seat::{Seat, SeatedBody};
use session::Job;
pub(super) use session::Session;

/// Requests of one session that are answered whole, and whose guest may still work and call others for them.
const MAX_LINGERING: usize = 64;

/// The sessions of one program that take requests.
pub(super) struct Sessions {
    /// Requests at once in each.
    at_once: NonZeroU32,
    open: Mutex<Vec<Arc<Session>>>,
}

impl Sessions {
    pub(super) fn new(at_once: NonZeroU32) -> Self {
        Self {
            at_once,
            open: Mutex::default(),
        }
    }

    /// A seat for the request in a session that has room, or in a new one.
    fn enter(&self, program: &Arc<Program>, job: Job) -> Seat {
        let mut open = self.open.lock();
        let mut job = job;
        if job.context.depth == 0 {
            let sight = job.context.callees.sight();
            open.retain(|session| session.is_open());
            let fitting = open.iter().filter(|session| session.sight() == sight);
            let mut fitting: Vec<&Arc<Session>> = fitting.collect();
            fitting.sort_by_key(|session| std::cmp::Reverse(session.seated()));
            for session in fitting {
                match session.join(job) {
                    Ok(seat) => {
                        program.metrics.instantiated(Instantiation::Reused);
                        return seat;
                    }
                    // Somebody left in a way that closed it, or it is full.
                    Err(refused) => job = refused,
                }
            }
        }
        let waiting = program.take_waiting(Use::Request);
        let left = program.left(waiting.as_ref());
        let (session, seat) = Session::begin(job, self.at_once.get(), left);
        open.push(session.clone());
        drop(open);
        let listed = Listed {
            program: program.clone(),
            session,
        };
        // It is tracked; what waits for it learns of its end by the seat.
        let share = program.share.clone();
        let attended = Moving::new(Box::pin(attend(listed, waiting)), share);
        drop(program.tasks.spawn("instance", attended));
        seat
    }
}

/// A session whose task has not ended.
struct Listed {
    program: Arc<Program>,
    session: Arc<Session>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        // A session holds its requests, those their generation, and that the program: nothing may stay.
        self.session.clear();
        if let Some(sessions) = &self.program.sessions {
            sessions
                .open
                .lock()
                .retain(|session| !Arc::ptr_eq(session, &self.session));
        }
    }
}

impl Program {
    /// Lets an instance answer that may serve others meanwhile. Dropping the response's body (or this future) before its end
    /// leaves the guest alone: it cannot be stopped without the others.
    pub(super) async fn handle_in_session(
        self: Arc<Self>,
        request: http::Request<Body>,
        context: Arc<RequestContext>,
        hold: Box<dyn Send>,
    ) -> Result<http::Response<Body>, Failure> {
        let (answer, mut waiting) = oneshot::channel();
        let job = Job {
            request,
            context: context.clone(),
            answer,
            hold,
        };
        let Some(sessions) = &self.sessions else {
            return Err(Failure::Host);
        };
        let seat = sessions.enter(&self, job);
        let head = poll_fn(|cx| {
            if let Some(fault) = context.progress.body_fault() {
                // Whatever the guest makes of the part that it got.
                return Poll::Ready(Err(Failure::of_body(fault, &self.limits)));
            }
            waiting
                .poll_unpin(cx)
                .map(|answered| answered.unwrap_or(Err(Failure::Host)))
        })
        .await?;
        let head = head.map(|body| body.boxed_unsync());
        let head = SeatedBody::seat(head, seat);
        GuestResponse::response(head, Driver::Done, context, self).await
    }
}
