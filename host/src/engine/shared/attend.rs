//! The task of a session: it has the instance, hands it requests, and sees to it that each of them ends.
//!
//! What is polled here, in turn: the event loop of the Wasm store with all requests in it, and the calls to other services that
//! each of them has left in its nursery. Times are watched outside of the event loop, which stands still as long as a guest
//! computes or waits for a call that holds its Wasm store.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, Sleep};
use wasmtime::component::Accessor;
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::{FieldMap, WasiHttpView};

use super::Listed;
use super::session::{Arrival, Head, Record, Review, Session, Vacancy};
use crate::engine::Failure;
use crate::engine::context::{BodyFault, Fault, RequestContext};
use crate::engine::failure::{LastWords, Report};
use crate::engine::guest::Guest;
use crate::engine::interrupt::Raised;
use crate::engine::moving::Moving;
use crate::engine::nursery::{MAX_ROUNDS, Rest};
use crate::engine::program::{Handler, Instance, Program, Use};
use crate::engine::run::{host_panic, informational, timed};
use crate::telemetry::metrics::Instantiation;

/// What ended a session.
enum Ended {
    /// The guest is at rest, and nobody has come.
    Rested,
    /// Nobody is left for whom the instance could be worth keeping.
    Spent,
    /// All of its requests end.
    Failed(Report),
    /// The guest works on past the time of its last request.
    Overran(Arc<RequestContext>),
}

/// Attends to a session until it ends, and to what becomes of its instance.
pub(super) async fn attend(listed: Listed, waiting: Option<Instance>) {
    let (program, session) = (&*listed.program, &listed.session);
    let mut slot = waiting;
    let mut calls = Vec::new();
    let ended = AssertUnwindSafe(run(program, session, &mut slot, &mut calls))
        .catch_unwind()
        .await;
    let ended = ended.unwrap_or_else(|panic| Ended::Failed(host_panic(&panic)));
    let report = match ended {
        Ended::Rested => {
            for mut rest in calls {
                if !rest.is_done() {
                    // Callees that work on after they have answered take up their own places, not the caller's.
                    let rest = Moving::new(Box::pin(rest.drive()), program.share.clone());
                    drop(program.tasks.spawn("calls", rest));
                }
            }
            if let Some(mut instance) = slot {
                instance.store.data_mut().end();
                if let Some(served) = session.served_well() {
                    program.checkin_after(instance, Use::Request, served);
                }
            }
            return;
        }
        Ended::Spent => return,
        Ended::Overran(context) => {
            let report = Report::timed_out(program.limits.timeout);
            if context.progress.failed(report.fault()) {
                program.metrics.failed_afterwards();
            }
            report.log(program, &context, last_words(&mut slot));
            return;
        }
        Ended::Failed(report) => report,
    };
    let failed = session.fail();
    let last_words = last_words(&mut slot);
    conclude(program, failed, report, last_words);
    // The Wasm store goes only now, and with it the ends of the guest's streams, and the calls of its requests.
    drop(slot);
}

fn last_words(slot: &mut Option<Instance>) -> LastWords {
    slot.as_mut()
        .map(|instance| LastWords::of(instance.store.data_mut()))
        .unwrap_or_default()
}

/// Logs that these requests ended by one cause, and tells whoever waits for them.
fn conclude(program: &Program, failed: Vec<Record>, report: Report, last_words: LastWords) {
    let mut blamed = Vec::new();
    let mut told = Vec::new();
    for record in failed {
        let progress = &record.context.progress;
        // The client's fault, not the guest's: it is answered, not reported.
        let of_client = progress.body_fault().filter(|_| !progress.is_head_sent());
        let fault = match of_client {
            Some(_) => Fault::Elsewhere,
            // It took longer, but with a response that nobody takes any more.
            None if report.is_timeout() && progress.is_waiting_for_reader() => Fault::Elsewhere,
            None => report.fault(),
        };
        if progress.failed(fault) {
            program.metrics.failed_afterwards();
        }
        match of_client {
            Some(fault) => told.push((record, Some(Failure::of_body(fault, &program.limits)))),
            None => {
                blamed.push(record.context.clone());
                told.push((record, None));
            }
        }
    }
    let failure = match blamed.is_empty() {
        true => Failure::Host,
        false => report.log_for(program, blamed.iter().map(|context| &**context), last_words),
    };
    for (mut record, of_client) in told {
        if let Some(answer) = record.answer.take() {
            // Nobody waits any more when the client is gone.
            let _gone = answer.send(Err(of_client.unwrap_or_else(|| failure.clone())));
        }
        record.reader.wake();
    }
}

/// Runs the instance until the session ends.
async fn run(
    program: &Program,
    session: &Arc<Session>,
    slot: &mut Option<Instance>,
    calls: &mut Vec<Rest>,
) -> Ended {
    let limit = program.limits.timeout;
    let mut served = pin!(serve(program, session, slot));
    let cpu_time = program.limits.cpu_time;
    let mut raised: Option<Pin<Box<Raised<'_>>>> = None;
    let mut clock = Clock(None);
    poll_fn(|cx| {
        session.watch(cx.waker());
        let mut rounds = 0;
        loop {
            let (polled, took) = timed(served.as_mut(), cx);
            program.metrics.add_cpu(took);
            let is_over = session.spend(took) > cpu_time;
            if let Poll::Ready(ended) = polled {
                return Poll::Ready(match ended {
                    Ok(()) => Ended::Rested,
                    Err(report) => Ended::Failed(report),
                });
            }
            if is_over {
                return Poll::Ready(Ended::Failed(Report::out_of_cpu(cpu_time)));
            }
            let new = session.take_nurseries();
            calls.extend(new.iter().map(|nursery| nursery.open()));
            drop(new);
            let mut went_on = false;
            for rest in calls.iter_mut() {
                went_on |= rest.poll(cx);
            }
            if !went_on {
                break;
            }
            rounds += 1;
            if rounds == MAX_ROUNDS {
                cx.waker().wake_by_ref();
                break;
            }
        }
        calls.retain(|rest| !rest.is_orphaned());
        let raised = raised.get_or_insert_with(|| Box::pin(program.interrupt.raised()));
        if raised.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ended::Failed(Report::interrupted()));
        }
        loop {
            let now = Instant::now();
            for record in session.overdue(limit, now) {
                time_out(program, record, limit);
            }
            match session.review(limit, now) {
                Review::Spent => return Poll::Ready(Ended::Spent),
                Review::Overran(context) => return Poll::Ready(Ended::Overran(context)),
                Review::Until(next) if clock.poll(next, cx).is_pending() => return Poll::Pending,
                Review::Until(_) => {}
            }
        }
    })
    .await
}

/// Answers a request that is over its time, or whose body is wrong; the others go on.
fn time_out(program: &Program, record: Record, limit: Duration) {
    let progress = &record.context.progress;
    if progress.body_fault().is_none() && progress.is_waiting_for_client() {
        progress.body_failed(BodyFault::TooSlow);
    }
    let report = Report::timed_out_beside_others(limit);
    conclude(program, vec![record], report, LastWords::default());
}

/// Wakes the task when the next request is over its time.
struct Clock(Option<Pin<Box<Sleep>>>);

impl Clock {
    fn poll(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if sleep.deadline() != until {
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(cx)
    }
}

/// Serves requests as they come, until the guest is at rest and nobody has come.
async fn serve(program: &Program, session: &Arc<Session>, slot: &mut Option<Instance>) -> Result<(), Report> {
    if program.is_interrupted() {
        return Err(Report::interrupted());
    }
    let instance = match slot {
        Some(instance) => instance,
        None => {
            let instance = Box::pin(program.instantiate()).await?;
            program.metrics.instantiated(Instantiation::Fresh);
            slot.insert(instance)
        }
    };
    let Handler::Handler(service) = instance.handler(program.code()?)? else {
        return Err(Report::host(
            "an instance that serves one request at once was to serve several",
        ));
    };
    let Instance { store, .. } = instance;
    store.data_mut().attend(session.clone());
    let ran = store
        .run_concurrent(async |accessor| {
            let mut serving = FuturesUnordered::new();
            poll_fn(|cx| {
                loop {
                    while let Some(arrival) = session.next_arrival() {
                        serving.push(answer(program, accessor, &service, session, arrival));
                    }
                    match serving.poll_next_unpin(cx) {
                        Poll::Ready(Some(Ok(()))) => continue,
                        Poll::Ready(Some(Err(report))) => return Poll::Ready(Err(report)),
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(None) => {}
                    }
                    // The guest goes on until its bodies and whatever it does afterwards are done.
                    if accessor.poll_no_interesting_tasks(cx).is_pending() {
                        return Poll::Pending;
                    }
                    match session.close_if_nobody_is_there() {
                        Vacancy::Came => {}
                        Vacancy::Seated => return Poll::Pending,
                        Vacancy::Closed => return Poll::Ready(Ok(())),
                    }
                }
            })
            .await
        })
        .await;
    ran.unwrap_or_else(|error| Err(Report::of_call(&error)))
}

/// Lets the guest answer one request. An error ends the instance; one of the handler's own ends the request.
async fn answer(
    program: &Program,
    accessor: &Accessor<Guest>,
    service: &Service,
    session: &Session,
    arrival: Arrival,
) -> Result<(), Report> {
    let Arrival {
        key,
        request,
        context,
        is_first,
    } = arrival;
    let failed = |error: wasmtime::Error| Report::of_call(&error);
    let handle = service.wasi_http_handler().func_handle();
    let (call, sent) = accessor
        .with(|mut access| {
            let guest: &mut Guest = access.get();
            guest.begin_in_session(&context, is_first);
            let (parts, body) = request.into_parts();
            let headers = FieldMap::new_immutable(guest.http().hooks, parts.headers);
            let uri = parts.uri.into_parts();
            let (request, sent) = Request::new(
                parts.method,
                uri.scheme,
                uri.authority,
                uri.path_and_query,
                headers,
                None,
                body,
            );
            let request = guest.http().table.push(request)?;
            let call = handle.start_call_concurrent(&mut access, (request,))?;
            session.began(call.task(), context);
            wasmtime::Result::Ok((call, sent))
        })
        .map_err(failed)?;
    let (answered,) = handle
        .finish_call_concurrent(accessor, call)
        .await
        .map_err(failed)?;
    let refused = match answered {
        Ok(response) => {
            let response: Head = accessor
                .with(|mut access| {
                    let response = access.get().http().table.delete(response)?;
                    response.into_http(access, sent)
                })
                .map_err(failed)?;
            if !response.status().is_informational() {
                session.answer(key, response);
                return Ok(());
            }
            informational(response.status())
        }
        Err(code) => format!("the handler returned the error {code:?}"),
    };
    if let Some(record) = session.give_up(key) {
        conclude(
            program,
            vec![record],
            Report::no_response(refused),
            LastWords::default(),
        );
    }
    Ok(())
}
