//! What stands between two services: the [`Link`] finds the callee in the caller's generation and lets a call in.
//!
//! Every call has a deadline, which is never later than its caller's; a place of the callee, and one of the link if the link
//! has a bound of its own; and a bounded depth. What bounds a wait: the callee's queue and the call's deadline.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use futures::future::FutureExt;
use tokio::time::Instant;

use super::ResolvedLink;
use crate::engine::{
    CallError, Callee, Entering, Gate, Hold, NoPlace, Passage, Place, Places, RequestContext,
};
use crate::model::{Limits, ServiceName};
use crate::telemetry::metrics::{LinkCall, LinkMetrics, LinkOutcome};
use crate::telemetry::trace::{CallSite, Span, SpanStatus, Tracer};

/// How a caller may use a callee.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// How long a call may take, if less than the callee's own limit.
    pub timeout: Option<Duration>,
    /// How many calls may run over this link at once, if fewer than the callee takes.
    pub concurrency: Option<NonZeroU32>,
}

/// An import of one service, bound to the service that answers it.
pub struct Link {
    callee: ServiceName,
    timeout: Option<Duration>,
    places: Option<Arc<Places>>,
    metrics: Arc<LinkMetrics>,
    tracer: Tracer,
    sites: BTreeMap<String, Arc<CallSite>>,
}

impl Link {
    /// Binds what `link` resolved, under `policy`.
    pub fn new(link: &ResolvedLink, policy: Policy, metrics: Arc<LinkMetrics>, tracer: Tracer) -> Self {
        let places = policy.concurrency.map(|concurrency| {
            let limits = Limits::default();
            Arc::new(Places::new(concurrency, limits.queue, limits.queue_timeout))
        });
        let site = |function: &String| {
            let site = CallSite::new(&link.caller, &link.callee, &link.import, function);
            (function.clone(), site)
        };
        Self {
            callee: link.callee.clone(),
            timeout: policy.timeout,
            places,
            metrics,
            tracer,
            sites: link.functions.keys().map(site).collect(),
        }
    }

    fn span(&self, caller: &RequestContext, function: &str, started: Clock) -> Span {
        if !self.tracer.is_enabled() {
            return Span::unrecorded(caller.trace);
        }
        match self.sites.get(function) {
            Some(site) => self.tracer.call(site, caller.trace, started),
            None => Span::unrecorded(caller.trace),
        }
    }

    /// The callee, and the request as it will be there.
    fn aim(&self, caller: &Arc<RequestContext>, crossing: &mut Crossing) -> Result<Aimed, CallError> {
        let callee = caller
            .callees
            .callee(&self.callee)
            .ok_or_else(|| CallError::Missing(self.callee.clone()))?;
        let limits = callee.program().limits();
        let limit = limits.timeout;
        let timeout = self.timeout.map_or(limit, |timeout| timeout.min(limit));
        crossing.span.callee_revision(callee.program().revision());
        let now = Instant::from_std(crossing.started);
        let mut context = caller.next_call(self.callee.clone(), limits, timeout, now)?;
        context.trace = crossing.span.context();
        let deadline = context.ends_at();
        if deadline <= context.progress.started() {
            return Err(CallError::TimedOut(Duration::ZERO));
        }
        Ok(Aimed {
            callee,
            context: Arc::new(context),
            deadline,
        })
    }
}

/// A callee, and the request as it will be there.
struct Aimed {
    callee: Arc<dyn Callee>,
    context: Arc<RequestContext>,
    deadline: Instant,
}

impl Gate for Link {
    fn callee(&self) -> &ServiceName {
        &self.callee
    }

    fn enter(&self, caller: &Arc<RequestContext>, function: &str) -> Entering {
        let started = Clock::now();
        let mut crossing = Crossing {
            started,
            call: Some(self.metrics.begin()),
            span: self.span(caller, function, started),
            of_link: None,
            place: None,
        };
        let Aimed {
            callee,
            context,
            deadline,
        } = match self.aim(caller, &mut crossing) {
            Ok(aimed) => aimed,
            Err(error) => {
                crossing.ended(Some(&error));
                return Entering::Now(Err(error));
            }
        };
        if crossing.try_take(self.places.as_ref())
            && let Some(place) = callee.clone().try_enter()
        {
            crossing.place = Some(place);
            return Entering::Now(Ok(crossing.passage(&callee, context)));
        }
        let places = self.places.clone();
        Entering::Later(
            async move {
                match crossing.wait(places.as_ref(), &callee, deadline).await {
                    Ok(()) => Ok(crossing.passage(&callee, context)),
                    Err(busy) => {
                        let error = CallError::Overloaded(busy);
                        crossing.ended(Some(&error));
                        Err(error)
                    }
                }
            }
            .boxed(),
        )
    }

    fn refused(&self, error: &CallError) {
        self.metrics.begin().finish(outcome(Some(error)), Duration::ZERO);
    }
}

/// What one call holds on its way through a link. Dropped before its end it counts as cancelled.
struct Crossing {
    started: Clock,
    call: Option<LinkCall>,
    span: Span,
    /// A place of the link, which is given back.
    of_link: Option<Arc<Places>>,
    /// A place of the callee.
    place: Option<Box<dyn Place>>,
}

impl Crossing {
    fn try_take(&mut self, places: Option<&Arc<Places>>) -> bool {
        match places {
            None => true,
            Some(places) if places.try_take() => {
                self.of_link = Some(places.clone());
                true
            }
            Some(_) => false,
        }
    }

    async fn wait(
        &mut self,
        places: Option<&Arc<Places>>,
        callee: &Arc<dyn Callee>,
        deadline: Instant,
    ) -> Result<(), NoPlace> {
        if let Some(places) = places
            && self.of_link.is_none()
        {
            places.take(Some(deadline)).await?;
            self.of_link = Some(places.clone());
        }
        self.place = Some(callee.clone().enter(deadline).await?);
        Ok(())
    }

    fn passage(self, callee: &Arc<dyn Callee>, context: Arc<RequestContext>) -> Passage {
        Passage {
            callee: callee.program().clone(),
            context,
            hold: Box::new(self),
        }
    }
}

impl Hold for Crossing {
    fn ended(&mut self, error: Option<&CallError>) {
        let Some(call) = self.call.take() else {
            return;
        };
        let outcome = outcome(error);
        let ended = Clock::now();
        call.finish(outcome, ended.saturating_duration_since(self.started));
        let span = std::mem::replace(&mut self.span, Span::unrecorded(None));
        span.end_at(SpanStatus::of_call(outcome), ended);
    }
}

impl Drop for Crossing {
    fn drop(&mut self) {
        if let Some(place) = self.place.take()
            && self.call.is_none()
        {
            place.leave();
        }
        if let Some(places) = &self.of_link {
            places.give_back();
        }
    }
}

/// What a call counts as. An error that the callee returned as its result is an answer.
fn outcome(error: Option<&CallError>) -> LinkOutcome {
    match error {
        None => LinkOutcome::Answered,
        Some(CallError::Trapped) => LinkOutcome::Trap,
        Some(CallError::TimedOut(_)) => LinkOutcome::Timeout,
        Some(CallError::OutOfCpu(_)) => LinkOutcome::CpuTime,
        Some(
            CallError::Overloaded(_) | CallError::NoInstance | CallError::OutOfMemory | CallError::Congested,
        ) => LinkOutcome::Overload,
        Some(CallError::Interrupted) => LinkOutcome::Interrupted,
        Some(CallError::TooDeep(_)) => LinkOutcome::TooDeep,
        Some(CallError::Missing(_) | CallError::NoFunction) => LinkOutcome::Missing,
        Some(
            CallError::NotInstantiated
            | CallError::TooLarge
            | CallError::NoRequest
            | CallError::Refused(_)
            | CallError::Abandoned
            | CallError::Host,
        ) => LinkOutcome::Refused,
    }
}
