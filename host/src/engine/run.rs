//! How a program answers one request.
//!
//! [`Program::handle`] starts the guest in the caller's task and waits for the response head. What drives the guest goes into
//! the response's body, see [`super::body`]. A guest that fails is logged here, once, before its Wasm store is dropped.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;
use http_body_util::BodyExt;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p3::Request as Request3;
use wasmtime_wasi_http::{FieldMap, WasiHttpView};

use super::body::{Driver, GuestResponse, RequestBody, Work};
use super::clock::TICK;
use super::context::{BodyFault, Fault, RequestContext};
use super::failure::{LastWords, Report};
use super::moving::Moving;
use super::program::{Drive, Handler, Instance, Program, Use};
use super::{Body, BodyError, Failure, fair};
use crate::model::Limits;
use crate::shutdown::Task;
use crate::telemetry::metrics::RevisionMetrics;

type Head = http::Response<Body>;

impl Program {
    /// Lets the guest answer. The request's URI must carry scheme and authority.
    ///
    /// The response's body drives the guest; dropping it (or this future) before its end cancels the guest. `hold` is
    /// dropped when the guest is done, which may be after the end of the response.
    pub async fn handle<B, H>(
        self: Arc<Self>,
        request: http::Request<B>,
        context: Arc<RequestContext>,
        drive: Drive,
        hold: H,
    ) -> Result<http::Response<Body>, Failure>
    where
        H: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        BodyError: From<B::Error>,
    {
        if !self.has_handler() {
            return Err(Failure::NoHandler);
        }
        if request.method() == http::Method::HEAD {
            context.progress.asks_for_head();
        }
        let limits = self.limits.clone();
        let limit = limits.request_body;
        let request = request.map(|body| RequestBody::new(body, limit, context.clone()).boxed_unsync());
        if self.sessions.is_some() {
            return self.handle_in_session(request, context, Box::new(hold)).await;
        }
        let program = self.clone();
        let (head, waiting) = oneshot::channel();
        let mut work = {
            let share = self.share.clone();
            let guest = work(self, request, context.clone(), head);
            let held = Box::pin(async move {
                let _held_until_the_guest_is_done = hold;
                guest.await
            });
            Work(Moving::new(held, share))
        };
        match drive {
            Drive::Inline => {
                let mut waiting = waiting;
                let (head, done) = poll_fn(|cx| {
                    let done = match work.poll_unpin(cx) {
                        Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                        polled => polled.is_ready(),
                    };
                    poll_head(&mut waiting, &context, &limits, done, cx).map_ok(|head| (head, done))
                })
                .await?;
                let driver = if done { Driver::Done } else { Driver::Inline(work) };
                GuestResponse::response(head, driver, context, program).await
            }
            Drive::Task => {
                let mut task = AbortOnDrop(Some(program.tasks.spawn("guest", work)));
                let mut waiting = waiting;
                let head = poll_fn(|cx| {
                    if let Some(task) = &mut task.0
                        && let Poll::Ready(ended) = Pin::new(task).poll(cx)
                    {
                        // The head, if there is one, was sent before the end.
                        return match ended {
                            Ok(Err(failure)) => Poll::Ready(Err(failure)),
                            Ok(Ok(())) => poll_head(&mut waiting, &context, &limits, true, cx)
                                .map_ok(|head| (head, true)),
                            Err(_) => {
                                context.progress.failed(Fault::Elsewhere);
                                Poll::Ready(Err(Failure::Host))
                            }
                        };
                    }
                    poll_head(&mut waiting, &context, &limits, false, cx).map_ok(|head| (head, false))
                })
                .await;
                let (head, done) = head?;
                let driver = match task.0.take() {
                    Some(task) if !done => Driver::Spawned(task),
                    _ => Driver::Done,
                };
                GuestResponse::response(head, driver, context, program).await
            }
        }
    }
}

fn poll_head(
    waiting: &mut oneshot::Receiver<Head>,
    context: &RequestContext,
    limits: &Limits,
    done: bool,
    cx: &mut Context<'_>,
) -> Poll<Result<Head, Failure>> {
    if let Some(fault) = context.progress.body_fault() {
        // Whatever the guest makes of the part that it got.
        return Poll::Ready(Err(Failure::of_body(fault, limits)));
    }
    match waiting.poll_unpin(cx) {
        Poll::Ready(Ok(head)) => Poll::Ready(Ok(head)),
        Poll::Ready(Err(_never_sent)) if done => Poll::Ready(Err(Failure::NoResponse)),
        // A guest that threw its chance to answer away is reported when it ends.
        Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
    }
}

struct AbortOnDrop(Option<Task<Result<(), Failure>>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Runs the guest to its end, within its time, and logs how it failed if it did.
async fn work(
    program: Arc<Program>,
    request: http::Request<Body>,
    context: Arc<RequestContext>,
    head: oneshot::Sender<Head>,
) -> Result<(), Failure> {
    let limit = program.limits.timeout;
    let mut instance = None;
    let report = {
        let served = pin!(serve(&program, &mut instance, request, &context, head));
        let served = pin!(within_cpu(served, &program, &context));
        // The calls to other services that the guest makes are driven beside it.
        let served = AssertUnwindSafe(context.nursery.drive(served)).catch_unwind();
        tokio::select! {
            // Cancel-safe: the loser is dropped with everything it holds, and so is the Wasm store below.
            biased;
            served = served => match served {
                Ok(Ok(((), rest))) => {
                    if let Some(rest) = rest {
                        // Callees that work on after they have answered take up their own places, not the caller's.
                        let rest = Moving::new(Box::pin(rest.drive()), program.share.clone());
                        drop(program.tasks.spawn("calls", rest));
                    }
                    None
                }
                Ok(Err(report)) => Some(report),
                Err(panic) => Some(host_panic(&panic)),
            },
            () = watchdog(&context, limit) => {
                if context.progress.is_waiting_for_client() {
                    context.progress.body_failed(BodyFault::TooSlow);
                }
                Some(Report::timed_out(limit))
            }
            // Within a block, so that a guest that does not wait does not come this far.
            () = async { program.interrupt.raised().await } => Some(Report::interrupted()),
        }
    };
    let Some(report) = report else {
        if let Some(mut instance) = instance {
            instance.store.data_mut().end();
            program.checkin(instance, Use::Request);
        }
        return Ok(());
    };
    // The client's fault, not the guest's: it is answered, not reported.
    let of_client = context
        .progress
        .body_fault()
        .filter(|_| !context.progress.is_head_sent());
    let fault = match of_client {
        Some(_) => Fault::Elsewhere,
        // It took longer, but with a response that nobody takes any more.
        None if report.is_timeout() && context.progress.is_waiting_for_reader() => Fault::Elsewhere,
        None => report.fault(),
    };
    if context.progress.failed(fault) {
        program.metrics.failed_afterwards();
    }
    let last_words = instance
        .as_mut()
        .map(|instance| LastWords::of(instance.store.data_mut()))
        .unwrap_or_default();
    if let Some(fault) = of_client {
        return Err(Failure::of_body(fault, &program.limits));
    }
    let failure = report.log(&program, &context, last_words);
    // The Wasm store goes only now, and with it the ends of the guest's streams.
    drop(instance);
    Err(failure)
}

async fn serve(
    program: &Program,
    slot: &mut Option<Instance>,
    request: http::Request<Body>,
    context: &Arc<RequestContext>,
    head: oneshot::Sender<Head>,
) -> Result<(), Report> {
    let instance = slot.insert(program.checkout(Use::Request).await?);
    let handler = instance.handler(program.code()?)?;
    let Instance { store, .. } = instance;
    store.data_mut().begin(context.clone());
    match handler {
        Handler::Incoming(proxy) => {
            let failed = |error: wasmtime::Error| Report::of_call(&error);
            let mut http = store.data_mut().http();
            let request = http.new_incoming_request(Scheme::Http, request).map_err(failed)?;
            let (error, mut refused) = oneshot::channel();
            let answering = context.clone();
            let out = http
                .new_response_outparam_from_callback(move |result| match result {
                    Ok(response) if response.status().is_informational() => {
                        let _gone = error.send(informational(response.status()));
                    }
                    Ok(response) => {
                        answering.progress.head_sent();
                        // Nobody waits any more when the client is gone.
                        let _gone = head.send(response);
                    }
                    Err(code) => {
                        let _gone = error.send(format!("the handler returned the error {code:?}"));
                    }
                })
                .map_err(failed)?;
            proxy
                .wasi_http_incoming_handler()
                .call_handle(&mut *store, request, out)
                .await
                .map_err(failed)?;
            match refused.try_recv() {
                Ok(Some(reason)) => Err(Report::no_response(reason)),
                _ if context.progress.is_head_sent() => Ok(()),
                _ => Err(Report::no_response(
                    "the handler returned without setting a response",
                )),
            }
        }
        Handler::Handler(service) => {
            let ran = store
                .run_concurrent(async |accessor| {
                    let (parts, body) = request.into_parts();
                    let headers = accessor
                        .with(|mut access| FieldMap::new_immutable(access.get().http().hooks, parts.headers));
                    let uri = parts.uri.into_parts();
                    let (request, sent) = Request3::new(
                        parts.method,
                        uri.scheme,
                        uri.authority,
                        uri.path_and_query,
                        headers,
                        None,
                        body,
                    );
                    let response = match service.handle(accessor, request).await {
                        Err(error) => return Err(Report::of_call(&error)),
                        Ok(Err(code)) => {
                            return Err(Report::no_response(format!(
                                "the handler returned the error {code:?}"
                            )));
                        }
                        Ok(Ok(response)) => response,
                    };
                    let response = accessor
                        .with(|access| response.into_http(access, sent))
                        .map_err(|error| Report::of_call(&error))?;
                    if response.status().is_informational() {
                        return Err(Report::no_response(informational(response.status())));
                    }
                    context.progress.head_sent();
                    // Nobody waits any more when the client is gone.
                    let _gone = head.send(response);
                    // The host may fill the body, from a file or a socket, with no task of the guest beside it. It needs this
                    // event loop for that.
                    context.progress.until_response_is_taken().await;
                    // The guest goes on until whatever it does afterwards is done.
                    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                    Ok(())
                })
                .await;
            ran.unwrap_or_else(|error| Err(Report::of_call(&error)))
        }
    }
}

/// A final response cannot have such a status (RFC 9110 §15.2).
pub(super) fn informational(status: http::StatusCode) -> String {
    format!(
        "the handler answered with the informational status {}, which is no final one",
        status.as_u16()
    )
}

/// Ends when the request's time is over.
async fn watchdog(context: &RequestContext, limit: Duration) {
    loop {
        let deadline = context.progress.deadline(limit, context.deadline);
        if tokio::time::Instant::now() >= deadline {
            return;
        }
        tokio::time::sleep_until(deadline).await;
    }
}

pub(super) fn host_panic(panic: &Box<dyn std::any::Any + Send>) -> Report {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Report::host(format!("the host panicked while it served the request: {text}"))
}

/// The most that one poll outside of the fair pool is charged. A guest has a tick there; what goes beyond that is mostly the
/// system's, which had something else to run.
const MAX_TURN: Duration = TICK.saturating_mul(2);

thread_local! {
    /// How much of the time of the poll that runs now went to calls of other services.
    static ELSEWHERE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The time by which guests are charged. On a thread of the fair pool, which others interrupt, it is that of the thread itself;
/// anywhere else a guest runs for a tick at most, and the clock that is cheap to read will do (see [`MAX_TURN`]).
fn time() -> Duration {
    static ZERO: LazyLock<Instant> = LazyLock::new(Instant::now);
    match fair::is_fair_thread() {
        true => fair::thread_time(),
        false => ZERO.elapsed(),
    }
}

/// Charges the time that a future is polled to the revision and the request, less what calls to other services took of it, and
/// ends it once the request has had more than it may.
pub(super) async fn within_cpu<T, E: From<Report>>(
    mut future: Pin<&mut impl Future<Output = Result<T, E>>>,
    program: &Program,
    context: &RequestContext,
) -> Result<T, E> {
    let limit = program.limits.cpu_time;
    poll_fn(|cx| {
        let (polled, took) = timed(future.as_mut(), cx);
        program.metrics.add_cpu(took);
        // Who has come to the end has come to the end. A guest that computes is polled anew for each slice.
        if context.spend(took) > limit && polled.is_pending() {
            return Poll::Ready(Err(Report::out_of_cpu(limit).into()));
        }
        polled
    })
    .await
}

/// Charges the time that a future is polled to the revision, less what calls to other services took of it. `None` if that is
/// more than `limit`.
pub(super) async fn charged_up_to<F: Future>(
    limit: Duration,
    mut future: Pin<&mut F>,
    metrics: &RevisionMetrics,
) -> Option<F::Output> {
    let mut spent = Duration::ZERO;
    poll_fn(|cx| {
        let (polled, took) = timed(future.as_mut(), cx);
        metrics.add_cpu(took);
        spent += took;
        match polled {
            Poll::Pending if spent > limit => Poll::Ready(None),
            polled => polled.map(Some),
        }
    })
    .await
}

/// Polls, and tells how long that took, less what calls to other services took of it.
pub(super) fn timed<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> (Poll<F::Output>, Duration) {
    let outer = ELSEWHERE.replace(Duration::ZERO);
    let started = time();
    let polled = future.poll(cx);
    let took = time().saturating_sub(started);
    let own = took.saturating_sub(ELSEWHERE.get());
    ELSEWHERE.set(outer + took);
    match fair::is_fair_thread() {
        true => (polled, own),
        false => (polled, own.min(MAX_TURN)),
    }
}
