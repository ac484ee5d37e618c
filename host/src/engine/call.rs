//! One call of a contract's function: a callee's instance does what a caller's import asks for.
//!
//! A plain `func` is called inline, in the caller's poll: the caller is a fiber that waits. An `async func` is left to the
//! request's [`Nursery`](super::nursery::Nursery). Either way the callee runs in the task of whoever asked first, so that
//! dropping it stops the whole chain. A callee that fails is logged here, once, as its own failure.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::oneshot;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use wasmtime::component::{Accessor, ComponentNamedList, Func, Lift, Lower, TypedFunc, Val};

use super::context::RequestContext;
use super::export::Wanted;
use super::failure::{LastWords, Report};
use super::foreign::Hold;
use super::guest::Guest;
use super::interrupt::Raised;
use super::program::{Instance, Program, Use};
use super::run::within_cpu;
use super::{Failure, NoPlace, TooDeep};
use crate::model::ServiceName;
use crate::telemetry::metrics::CallOutcome;

/// A call that was let in.
pub struct Passage {
    /// What runs.
    pub callee: Arc<Program>,
    /// The request at the callee; its deadline is the call's.
    pub context: Arc<RequestContext>,
    /// What the call holds until it ends.
    pub hold: Box<dyn Hold>,
}

/// Why a call of another service's function has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The callee trapped, panicked, ended itself or ran out of memory.
    #[error("it trapped")]
    Trapped,
    /// It did not answer before the deadline.
    #[error("it gave no answer within {0:?}")]
    TimedOut(Duration),
    /// It took more CPU time than it may.
    #[error("it took more than {0:?} of CPU time")]
    OutOfCpu(Duration),
    /// What it returned, or was given, is larger than what may pass.
    #[error(
        "a value is too large to pass: some 128 MiB of strings and bytes, or 3 million values, as which each byte of a nested \
         list counts"
    )]
    TooLarge,
    /// It has no free place for a call.
    #[error("it is overloaded: {0}")]
    Overloaded(#[source] NoPlace),
    /// Arguments of other calls take up all that there is for them.
    #[error("too many large arguments are on their way between services")]
    Congested,
    /// No instance could be had.
    #[error("it is overloaded: no instance is free")]
    NoInstance,
    /// Its instances have taken all of its memory.
    #[error("it is overloaded: its instances have taken all of its memory")]
    OutOfMemory,
    /// It could not be instantiated.
    #[error("it could not be instantiated")]
    NotInstantiated,
    /// The generation has no such service.
    #[error("this app has no service `{0}`")]
    Missing(ServiceName),
    /// The revision that serves now has no such function.
    #[error("it exports no such function")]
    NoFunction,
    /// The chain of services is too long.
    #[error(transparent)]
    TooDeep(#[from] TooDeep),
    /// The caller works for no request, so nobody waits for an answer.
    #[error("calls can be made only while a request is served")]
    NoRequest,
    /// What answers in place of a service said no.
    #[error("{0}")]
    Refused(String),
    /// Its revision was replaced, and the time for calls to finish is over.
    #[error("its revision was replaced, and the time for calls to finish is over")]
    Interrupted,
    /// Nobody waits for the answer any more.
    #[error("nobody waits for its answer any more")]
    Abandoned,
    /// The host itself failed.
    #[error("the host failed")]
    Host,
}

impl CallError {
    fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Trapped => Self::Trapped,
            Failure::TooMuchCopied => Self::TooLarge,
            Failure::TimedOut(limit) => Self::TimedOut(*limit),
            Failure::OutOfCpu(limit) => Self::OutOfCpu(*limit),
            Failure::NoInstance => Self::NoInstance,
            Failure::OutOfMemory { .. } => Self::OutOfMemory,
            Failure::NotInstantiated => Self::NotInstantiated,
            Failure::Interrupted => Self::Interrupted,
            Failure::NoResponse
            | Failure::NoHandler
            | Failure::ResponseTooLarge { .. }
            | Failure::BodyTooLarge { .. }
            | Failure::BodyBroken
            | Failure::BodyTooSlow { .. }
            | Failure::Host => Self::Host,
        }
    }

    /// Whether the callee is to blame. Arguments that are too large are not told from results.
    fn is_of_callee(&self) -> bool {
        match self {
            Self::Trapped
            | Self::TimedOut(_)
            | Self::OutOfCpu(_)
            | Self::TooLarge
            | Self::NotInstantiated
            | Self::NoFunction => true,
            Self::Overloaded(_)
            | Self::Congested
            | Self::NoInstance
            | Self::OutOfMemory
            | Self::Missing(_)
            | Self::TooDeep(_)
            | Self::NoRequest
            | Self::Refused(_)
            | Self::Interrupted
            | Self::Abandoned
            | Self::Host => false,
        }
    }
}

/// What a function is called with, and how.
pub(super) trait Call: Send {
    /// What comes back.
    type Output: Send + 'static;
    /// The function, ready to be called.
    type Function: Copy + Send + Sync + 'static;

    /// Makes a function ready to be called.
    fn ready(function: Func, instance: &mut Instance) -> wasmtime::Result<Self::Function>;

    /// Calls a function that cannot wait but by its host calls.
    fn inline(
        self,
        function: Self::Function,
        instance: &mut Instance,
    ) -> impl Future<Output = wasmtime::Result<Self::Output>> + Send;

    /// Calls a function within the event loop of its Wasm store.
    fn concurrent(
        self,
        function: Self::Function,
        accessor: &Accessor<Guest>,
    ) -> impl Future<Output = wasmtime::Result<Self::Output>> + Send;
}

/// A call of types that are known when the host is built: the fast kind.
pub(super) struct Typed<P, R> {
    params: P,
    results: PhantomData<fn() -> R>,
}

impl<P, R> Typed<P, R> {
    pub(super) fn new(params: P) -> Self {
        Self {
            params,
            results: PhantomData,
        }
    }
}

impl<P, R> Call for Typed<P, R>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    type Output = R;
    type Function = TypedFunc<P, R>;

    fn ready(function: Func, instance: &mut Instance) -> wasmtime::Result<Self::Function> {
        function.typed(&instance.store)
    }

    async fn inline(self, function: Self::Function, instance: &mut Instance) -> wasmtime::Result<R> {
        function.call_async(&mut instance.store, self.params).await
    }

    async fn concurrent(self, function: Self::Function, accessor: &Accessor<Guest>) -> wasmtime::Result<R> {
        function.call_concurrent(accessor, self.params).await
    }
}

/// A call of any types, whose values are the caller's.
pub(super) struct InPlace<'a> {
    pub(super) params: &'a [Val],
    /// Where the result goes, if there is one.
    pub(super) results: &'a mut [Val],
}

impl Call for InPlace<'_> {
    type Output = ();
    type Function = Func;

    fn ready(function: Func, _: &mut Instance) -> wasmtime::Result<Func> {
        Ok(function)
    }

    async fn inline(self, function: Func, instance: &mut Instance) -> wasmtime::Result<()> {
        function
            .call_async(&mut instance.store, self.params, self.results)
            .await
    }

    async fn concurrent(self, function: Func, accessor: &Accessor<Guest>) -> wasmtime::Result<()> {
        function
            .call_concurrent(accessor, self.params, self.results)
            .await
    }
}

/// A call of any types, each value told apart when it passes. Its cost grows with the number of values: a byte in a list is
/// one.
pub(super) struct Dynamic {
    pub(super) params: Vec<Val>,
    /// 0 or 1.
    pub(super) results: usize,
}

impl Call for Dynamic {
    type Output = Vec<Val>;
    type Function = Func;

    fn ready(function: Func, _: &mut Instance) -> wasmtime::Result<Func> {
        Ok(function)
    }

    async fn inline(self, function: Func, instance: &mut Instance) -> wasmtime::Result<Vec<Val>> {
        let mut results = vec![Val::Bool(false); self.results];
        function
            .call_async(&mut instance.store, &self.params, &mut results)
            .await?;
        Ok(results)
    }

    async fn concurrent(self, function: Func, accessor: &Accessor<Guest>) -> wasmtime::Result<Vec<Val>> {
        let mut results = vec![Val::Bool(false); self.results];
        function
            .call_concurrent(accessor, &self.params, &mut results)
            .await?;
        Ok(results)
    }
}

/// Calls a plain `func`, inline.
pub(super) async fn inline<C: Call>(
    passage: Passage,
    wanted: &Wanted,
    call: C,
) -> Result<C::Output, CallError> {
    let Passage {
        callee,
        context,
        mut hold,
    } = passage;
    let mut slot = None;
    let ended = {
        // Each future is pinned where it is made: passed on by value it would be there twice, and each call as much larger.
        let worked = pin!(async {
            let (instance, function) = take::<C>(&callee, &mut slot, &context, wanted).await?;
            call.inline(function, instance)
                .await
                .map_err(|error| Stopped::Failed(Report::of_call(&error)))
        });
        let worked = pin!(within_cpu(worked, &callee, &context));
        // Whoever abandons an inline call drops it.
        within(&callee, &context, worked, |_| Waiting::Yes).await
    };
    let result = conclude(&callee, &context, slot, ended);
    match &result {
        Ok(_) => callee.metrics.called(CallOutcome::Answered),
        Err(error) if error.is_of_callee() => callee.metrics.called(CallOutcome::Failed),
        Err(_) => {}
    }
    hold.ended(result.as_ref().err());
    result
}

/// Calls an `async func`, in the nursery of the request. The answer goes to `answer` as soon as it is there; the guest may
/// work on until the call's time is over. Nobody waiting for the answer any more means that the call is cancelled.
pub(super) async fn concurrent<C: Call + 'static>(
    passage: Passage,
    wanted: Arc<Wanted>,
    call: C,
    answer: oneshot::Sender<Result<C::Output, CallError>>,
) {
    let Passage {
        callee,
        context,
        hold,
    } = passage;
    // Who answers takes it; until then it is watched whether anybody waits.
    let answer = Mutex::new(Some(answer));
    let hold = Mutex::new(hold);
    let mut slot = None;
    let ended = {
        let worked = pin!(async {
            let (instance, function) = take::<C>(&callee, &mut slot, &context, &wanted).await?;
            let (answer, hold) = (&answer, &hold);
            instance
                .store
                .run_concurrent(async |accessor| {
                    let output = call.concurrent(function, accessor).await?;
                    let waiting = answer.lock().take();
                    if let Some(answer) = waiting {
                        hold.lock().ended(None);
                        callee.metrics.called(CallOutcome::Answered);
                        // Nobody waits any more when the caller is gone.
                        let _gone = answer.send(Ok(output));
                    }
                    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                    wasmtime::Result::Ok(())
                })
                .await
                .flatten()
                .map_err(|error| Stopped::Failed(Report::of_call(&error)))
        });
        let worked = pin!(within_cpu(worked, &callee, &context));
        let waiting = |cx: &mut Context<'_>| match &mut *answer.lock() {
            Some(answer) => match answer.poll_canceled(cx) {
                Poll::Ready(()) => Waiting::NoMore,
                Poll::Pending => Waiting::Yes,
            },
            None => Waiting::Answered,
        };
        within(&callee, &context, worked, waiting).await
    };
    let Err(error) = conclude(&callee, &context, slot, ended) else {
        return;
    };
    match answer.into_inner() {
        None if error.is_of_callee() => callee.metrics.failed_afterwards(),
        None => {}
        // What nobody waits for is dropped without an end: it counts as cancelled.
        Some(_) if error == CallError::Abandoned => {}
        Some(answer) => {
            if error.is_of_callee() {
                callee.metrics.called(CallOutcome::Failed);
            }
            hold.into_inner().ended(Some(&error));
            // Nobody waits any more when the caller is gone.
            let _gone = answer.send(Err(error));
        }
    }
}

/// Why a callee did not come to its end.
enum Stopped {
    /// It has no such function.
    NoFunction,
    /// Nobody waits for its answer.
    Abandoned,
    /// It failed.
    Failed(Report),
}

impl From<Report> for Stopped {
    fn from(report: Report) -> Self {
        Self::Failed(report)
    }
}

/// An instance of the callee that works for `context`, and the function that is wanted of it.
async fn take<'a, C: Call>(
    callee: &Program,
    slot: &'a mut Option<Instance>,
    context: &Arc<RequestContext>,
    wanted: &Wanted,
) -> Result<(&'a mut Instance, C::Function), Stopped> {
    let position = callee.position(wanted).ok_or(Stopped::NoFunction)?;
    let instance = slot.insert(callee.checkout(Use::Call).await?);
    instance.store.data_mut().begin(context.clone());
    if let Some(function) = instance.functions.get(position) {
        return Ok((instance, function));
    }
    let function = instance
        .export(callee.code()?, position)
        .ok_or(Stopped::NoFunction)?;
    let function = C::ready(function, instance).map_err(|error| Stopped::Failed(Report::of_call(&error)))?;
    instance.functions.keep(position, function);
    Ok((instance, function))
}

pin_project! {
    /// What ends a call that does not end by itself.
    struct Alarm<'a> {
        #[pin]
        raised: Raised<'a>,
        #[pin]
        time: Sleep,
    }
}

/// What ended a call.
enum Ended {
    Interrupted,
    TooLate,
}

impl Future for Alarm<'_> {
    type Output = Ended;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let this = self.project();
        match this.raised.poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ended::Interrupted),
            Poll::Pending => this.time.poll(cx).map(|()| Ended::TooLate),
        }
    }
}

/// Waits for `work` until the call's deadline, or until the callee is interrupted. Neither is looked at before the work waits
/// for something.
async fn within<T>(
    callee: &Program,
    context: &RequestContext,
    mut work: Pin<&mut impl Future<Output = Result<T, Stopped>>>,
    mut waiting: impl FnMut(&mut Context<'_>) -> Waiting,
) -> Result<T, Stopped> {
    let mut alarm: Option<Pin<Box<Alarm<'_>>>> = None;
    poll_fn(|cx| {
        // Cancel-safe: the work is dropped with everything that it holds.
        if let Poll::Ready(ended) = work.as_mut().poll(cx) {
            return Poll::Ready(ended);
        }
        let waiting = waiting(cx);
        if waiting == Waiting::NoMore {
            return Poll::Ready(Err(Stopped::Abandoned));
        }
        let ends_at = context.deadline.unwrap_or_else(|| context.ends_at());
        let alarm = alarm.get_or_insert_with(|| {
            Box::pin(Alarm {
                raised: callee.interrupt.raised(),
                time: tokio::time::sleep_until(ends_at),
            })
        });
        alarm.as_mut().poll(cx).map(|ended| {
            if let Ended::Interrupted = ended {
                return Err(Stopped::Failed(Report::interrupted()));
            }
            let limit = whole_millis(ends_at.saturating_duration_since(context.progress.started()));
            Err(Stopped::Failed(match waiting {
                Waiting::Answered => Report::overran(limit),
                Waiting::Yes | Waiting::NoMore => Report::call_timed_out(limit),
            }))
        })
    })
    .await
}

/// Whether somebody waits for the answer of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Yes,
    /// The caller is gone.
    NoMore,
    /// The caller has it, and the callee works on.
    Answered,
}

/// A limit as it was set, without what was lost on the way to the clock.
fn whole_millis(time: Duration) -> Duration {
    let millis = time.as_micros().div_ceil(1_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Lets the instance go, back to the others or for good.
fn conclude<T>(
    callee: &Program,
    context: &RequestContext,
    slot: Option<Instance>,
    ended: Result<T, Stopped>,
) -> Result<T, CallError> {
    let mut slot = slot;
    let stopped = match ended {
        Ok(output) => {
            if let Some(mut instance) = slot {
                instance.store.data_mut().end();
                callee.checkin(instance, Use::Call);
            }
            return Ok(output);
        }
        Err(stopped) => stopped,
    };
    let report = match stopped {
        Stopped::NoFunction => return Err(CallError::NoFunction),
        // The instance goes as one does whose client has left.
        Stopped::Abandoned => return Err(CallError::Abandoned),
        Stopped::Failed(report) => report,
    };
    let last_words = slot
        .as_mut()
        .map(|instance| LastWords::of(instance.store.data_mut()))
        .unwrap_or_default();
    let failure = report.log(callee, context, last_words);
    Err(CallError::of(&failure))
}
