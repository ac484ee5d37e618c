//! What goes along with a request on every hop: who it is, how long it may take, and the generation it is pinned to.
//!
//! The generation itself is out of sight here: a hop to another service goes through the port [`Chain`], which a higher
//! module implements over the generation that the request entered by.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use tokio::time::Instant;

use super::nursery::Nursery;
use super::place::NoPlace;
use super::{Body, Failure, Program};
use crate::model::{Limits, ServiceName};
use crate::telemetry::RequestId;
use crate::telemetry::metrics::Verdict;
use crate::telemetry::trace::{TraceContext, TraceState};

/// What a caller keeps of its time when a callee may have the rest.
const KEPT: Duration = Duration::from_millis(5);

/// The port through which a guest's request reaches another service of the same app in process.
pub trait Chain: Send + Sync {
    /// Lets whoever `to` names, as the caller's generation knows it, answer `request`.
    fn call(
        &self,
        to: Hop,
        request: http::Request<Body>,
        caller: &Arc<RequestContext>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, ChainError>>;
}

/// Where a hop within the app goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hop {
    /// To a service by its name; a private route is enough.
    Service(ServiceName),
    /// To whatever the app's routes say, as if the request had come from outside.
    App,
}

/// Why a hop to another service gave no response.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The generation has no service of that name.
    #[error("this app has no service `{0}`")]
    UnknownService(ServiceName),
    /// No route of the app leads to a service at this path.
    #[error("no route of this app leads to a service at this path")]
    NoRoute,
    /// The chain is deeper than the called service allows.
    #[error(transparent)]
    TooDeep(#[from] TooDeep),
    /// The service has no HTTP handler.
    #[error("service `{0}` exports no HTTP handler")]
    NoHandler(ServiceName),
    /// The callee failed; it has been logged there.
    #[error("the called service failed")]
    Failed(#[source] Failure),
}

/// The request has passed through as many services as the one that it shall reach next allows (its `call_depth`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request has passed through {passed} services already, and `call_depth` of `{service}` is {limit}"
)]
pub struct TooDeep {
    /// Where it shall go.
    pub service: ServiceName,
    /// The services of its way so far.
    pub passed: u32,
    /// How many these may be, `service` included.
    pub limit: NonZeroU32,
}

/// The port through which a linked function finds the service that answers it, as the request's generation knows it.
pub trait Callees: Send + Sync {
    /// The current revision of `service`; `None` if the generation has no such service.
    fn callee(&self, service: &ServiceName) -> Option<Arc<dyn Callee>>;

    /// Tells whether two requests see the same. It holds for as long as either of the two is alive.
    fn sight(&self) -> Sight;
}

/// What a request sees: a generation, by its address, and which candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Where the generation lies in memory.
    pub generation: usize,
    /// The candidates that the request meets; 0 for none.
    pub chosen: u64,
}

/// One revision, as a callee.
pub trait Callee: Send + Sync {
    /// What runs.
    fn program(&self) -> &Arc<Program>;

    /// A place for one more call, if there is one now.
    fn try_enter(self: Arc<Self>) -> Option<Box<dyn Place>>;

    /// A place for one more call, as soon as there is one and not after `deadline`.
    fn enter(self: Arc<Self>, deadline: Instant) -> BoxFuture<'static, Result<Box<dyn Place>, NoPlace>>;
}

/// A place of a callee that one call has. Dropping it without leaving counts as cancelled.
pub trait Place: Send {
    /// The call has ended.
    fn leave(self: Box<Self>);
}

/// The context of one request at one service.
pub struct RequestContext {
    /// The id that all log lines of this request share, over all hops.
    pub id: RequestId,
    /// The service that works for it here.
    pub service: ServiceName,
    /// How long that service may take.
    pub limit: Duration,
    /// How many services the request has passed through before this one.
    pub depth: u32,
    /// The client's address, as the listener saw it.
    pub client: SocketAddr,
    /// When the caller stops waiting; never later than the caller's own deadline.
    pub deadline: Option<Instant>,
    /// The span that what happens here is part of, if the request belongs to a trace.
    pub trace: Option<TraceContext>,
    /// What others have to say of that trace.
    pub trace_state: Option<TraceState>,
    /// The way to other services of the same generation, over HTTP.
    pub chain: Arc<dyn Chain>,
    /// The services of the same generation, as callees of contracts.
    pub callees: Arc<dyn Callees>,
    /// The request that this one came from, at the service that sent it on.
    pub caller: Option<Arc<RequestContext>>,
    /// Where calls to `async func` contracts are driven.
    pub(super) nursery: Arc<Nursery>,
    /// CPU time that this hop has taken, in nanoseconds.
    cpu: AtomicU64,
    /// How far this hop has come.
    pub progress: Progress,
}

impl RequestContext {
    /// The context of a request as it enters by the listener, at the service that its route leads to.
    pub fn entering(
        id: RequestId,
        client: SocketAddr,
        service: ServiceName,
        limit: Duration,
        chain: Arc<dyn Chain>,
        callees: Arc<dyn Callees>,
    ) -> Self {
        Self {
            id,
            service,
            limit,
            depth: 0,
            client,
            deadline: None,
            trace: None,
            trace_state: None,
            chain,
            callees,
            caller: None,
            nursery: Arc::default(),
            cpu: AtomicU64::new(0),
            progress: Progress::new(),
        }
    }

    /// The context of an HTTP request to another service with these limits.
    ///
    /// # Errors
    /// The chain is too deep for that service.
    pub fn next_hop(self: &Arc<Self>, service: ServiceName, limits: &Limits) -> Result<Self, TooDeep> {
        // It is driven by a task of its own, and so are its calls.
        self.next(service, limits, self.ends_at(), Arc::default(), Instant::now())
    }

    /// The context of a call to another service with these limits that began at `now` and may take `timeout`.
    ///
    /// # Errors
    /// The chain is too deep for that service.
    pub fn next_call(
        self: &Arc<Self>,
        service: ServiceName,
        limits: &Limits,
        timeout: Duration,
        now: Instant,
    ) -> Result<Self, TooDeep> {
        let ends_at = self.ends_at();
        // The caller keeps a little of its time for what it does about a callee that takes too long; and so the deepest of a
        // chain that hangs is the first to be given up, and named.
        let kept = (ends_at.saturating_duration_since(now) / 4).min(KEPT);
        let deadline = (ends_at - kept).min(now + timeout);
        self.next(service, limits, deadline, self.nursery.clone(), now)
    }

    fn next(
        self: &Arc<Self>,
        service: ServiceName,
        limits: &Limits,
        deadline: Instant,
        nursery: Arc<Nursery>,
        now: Instant,
    ) -> Result<Self, TooDeep> {
        let depth = self.depth.saturating_add(1);
        if depth >= limits.call_depth.get() {
            return Err(TooDeep {
                service,
                passed: depth,
                limit: limits.call_depth,
            });
        }
        Ok(Self {
            id: self.id,
            service,
            limit: limits.timeout,
            depth,
            client: self.client,
            deadline: Some(deadline),
            trace: self.trace,
            trace_state: self.trace_state.clone(),
            chain: self.chain.clone(),
            callees: self.callees.clone(),
            caller: Some(self.clone()),
            nursery,
            cpu: AtomicU64::new(0),
            progress: Progress::since(now),
        })
    }

    /// Adds CPU time that was taken for this hop. How much that is by now.
    pub(super) fn spend(&self, took: Duration) -> Duration {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.cpu.fetch_add(took, Ordering::Relaxed).saturating_add(took))
    }

    /// CPU time that was taken for this hop.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu.load(Ordering::Relaxed))
    }

    /// When the request is over here if nothing moves until then.
    pub fn ends_at(&self) -> Instant {
        self.progress.deadline(self.limit, self.deadline)
    }

    /// The services that the request passed through, this one last: `orders → catalog`.
    pub fn path(&self) -> String {
        let mut names = vec![self.service.as_str()];
        let mut at = &self.caller;
        while let Some(caller) = at {
            names.push(caller.service.as_str());
            at = &caller.caller;
        }
        names.reverse();
        names.join(" → ")
    }
}

/// How long an upload may put off the end of a request that has no response yet.
const MAX_UPLOAD: Duration = Duration::from_secs(300);

/// What can be wrong with a request's body: the client's fault, whatever the guest makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyFault {
    /// It is longer than the service takes.
    TooLarge = 1,
    /// It ended before its end, or is not framed as HTTP wants it.
    Broken = 2,
    /// The client sent none of it for as long as a request may take.
    TooSlow = 3,
}

/// Whose fault it is that a request did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// The guest's: it trapped, took too long, or gave no response.
    Guest = 1,
    /// The host's or the client's.
    Elsewhere = 2,
    /// Nobody's: the revision was replaced, and the time for requests to finish was over.
    Interrupted = 3,
}

/// The request was accounted for, see [`Progress::settle`].
const SETTLED: u8 = 1 << 2;
/// It counts as one that the guest failed at.
const BLAMED: u8 = 1 << 3;

/// Until when a request may go on: its time counts from when a byte of a body last moved, the request's before the head
/// (for at most [`MAX_UPLOAD`]), any afterwards.
pub struct Progress {
    started: Instant,
    asks_for_head: AtomicBool,
    head_sent: AtomicBool,
    /// Milliseconds between `started` and the last byte that moved.
    moved: AtomicU64,
    request_bytes: AtomicU64,
    waiting_for_client: AtomicBool,
    waiting_for_reader: AtomicBool,
    body_fault: AtomicU8,
    response: ResponseEnd,
    /// The [`Fault`], [`SETTLED`] and [`BLAMED`]: all that has to be known of a request to count it once.
    end: AtomicU8,
}

/// Whether the body of a response is over, and who waits for that.
#[derive(Debug, Default)]
struct ResponseEnd {
    is_over: AtomicBool,
    waiting: AtomicWaker,
}

impl Progress {
    fn new() -> Self {
        Self::since(Instant::now())
    }

    fn since(started: Instant) -> Self {
        Self {
            started,
            asks_for_head: AtomicBool::new(false),
            head_sent: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
            waiting_for_client: AtomicBool::new(false),
            waiting_for_reader: AtomicBool::new(false),
            body_fault: AtomicU8::new(0),
            response: ResponseEnd::default(),
            end: AtomicU8::new(0),
        }
    }

    /// When the request arrived here.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Notes that the request is a `HEAD`.
    pub(super) fn asks_for_head(&self) {
        self.asks_for_head.store(true, Ordering::Relaxed);
    }

    /// Whether a response with that status ends with its head, whatever length that announces (RFC 9110, 6.4.1).
    pub(super) fn ends_with_head(&self, status: http::StatusCode) -> bool {
        self.asks_for_head.load(Ordering::Relaxed)
            || matches!(
                status,
                http::StatusCode::NO_CONTENT | http::StatusCode::NOT_MODIFIED
            )
    }

    /// Notes that the response head was handed on.
    pub fn head_sent(&self) {
        self.moved();
        self.head_sent.store(true, Ordering::Release);
    }

    /// Whether the response head was handed on.
    pub fn is_head_sent(&self) -> bool {
        self.head_sent.load(Ordering::Acquire)
    }

    /// Notes that a byte of a body moved.
    pub fn moved(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(elapsed, Ordering::Relaxed);
    }

    /// Notes that the guest took so many bytes of the request's body.
    pub fn received(&self, bytes: u64) {
        self.request_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many bytes of the request's body the guest took.
    pub fn request_bytes(&self) -> u64 {
        self.request_bytes.load(Ordering::Relaxed)
    }

    /// Notes whether the guest waits for more of the request's body.
    pub fn waits_for_client(&self, waits: bool) {
        self.waiting_for_client.store(waits, Ordering::Relaxed);
    }

    /// Whether the guest waits for more of the request's body.
    pub fn is_waiting_for_client(&self) -> bool {
        self.waiting_for_client.load(Ordering::Relaxed)
    }

    /// Notes whether the response waits for who reads it, who has a part of it and has not asked for more.
    pub fn waits_for_reader(&self, waits: bool) {
        self.waiting_for_reader.store(waits, Ordering::Relaxed);
    }

    /// Whether the response waits for who reads it.
    pub fn is_waiting_for_reader(&self) -> bool {
        self.waiting_for_reader.load(Ordering::Relaxed)
    }

    /// Notes what is wrong with the body that the client sends.
    pub fn body_failed(&self, fault: BodyFault) {
        self.body_fault.store(fault as u8, Ordering::Release);
    }

    /// What is wrong with the body that the client sends, if anything.
    pub fn body_fault(&self) -> Option<BodyFault> {
        match self.body_fault.load(Ordering::Acquire) {
            1 => Some(BodyFault::TooLarge),
            2 => Some(BodyFault::Broken),
            3 => Some(BodyFault::TooSlow),
            _ => None,
        }
    }

    /// Notes that nobody takes any more of the response's body: it was given out whole, or is not wanted.
    pub fn response_taken(&self) {
        self.response.is_over.store(true, Ordering::Release);
        self.response.waiting.wake();
    }

    /// Ends when nobody takes any more of the response's body.
    pub async fn until_response_is_taken(&self) {
        poll_fn(|cx| {
            self.response.waiting.register(cx.waker());
            match self.response.is_over.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Notes that the guest came to no good end, before its Wasm store goes and with it the ends of its streams. True if that
    /// is its fault, and comes too late for the request, which was [settled](Self::settle) as one that went well.
    pub fn failed(&self, fault: Fault) -> bool {
        let before = self.end.fetch_or(fault as u8, Ordering::AcqRel);
        fault == Fault::Guest && before & (SETTLED | BLAMED) == SETTLED
    }

    /// Whether the guest came to no good end.
    pub fn is_failed(&self) -> bool {
        self.fault().is_some()
    }

    /// Whose fault it is that the guest came to no good end, if it did.
    pub fn fault(&self) -> Option<Fault> {
        fault(self.end.load(Ordering::Acquire))
    }

    /// Takes the request as over, answered with that status, whole or in part, and says what it counts as. A fault of the
    /// client's that was answered before the guest could counts for nothing.
    pub fn settle(&self, status: http::StatusCode) -> Verdict {
        let blamed = if status.is_server_error() { BLAMED } else { 0 };
        let before = self.end.fetch_or(SETTLED | blamed, Ordering::AcqRel);
        match fault(before) {
            Some(Fault::Guest) => Verdict::Failed,
            Some(Fault::Elsewhere | Fault::Interrupted) => Verdict::Excused,
            None if self.body_fault().is_some() && !self.is_head_sent() => Verdict::Excused,
            None if blamed != 0 => Verdict::Failed,
            None => Verdict::Served,
        }
    }

    /// When the request is over if nothing moves until then.
    pub fn deadline(&self, timeout: Duration, outer: Option<Instant>) -> Instant {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        let from = self.started
            + if self.is_head_sent() {
                moved
            } else {
                moved.min(MAX_UPLOAD)
            };
        let own = from + timeout;
        match outer {
            Some(outer) if !self.is_head_sent() => own.min(outer),
            _ => own,
        }
    }
}

fn fault(end: u8) -> Option<Fault> {
    match end & !(SETTLED | BLAMED) {
        0 => None,
        1 => Some(Fault::Guest),
        2 => Some(Fault::Elsewhere),
        _ => Some(Fault::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_request_counts_once_whichever_comes_first_its_end_or_its_failure() {
        let ok = StatusCode::OK;
        let began = Progress::new;
        assert_eq!(began().settle(ok), Verdict::Served);
        assert_eq!(began().settle(StatusCode::NOT_FOUND), Verdict::Served);
        assert_eq!(began().settle(StatusCode::BAD_GATEWAY), Verdict::Failed);
        for (fault, verdict) in [
            (Fault::Guest, Verdict::Failed),
            (Fault::Elsewhere, Verdict::Excused),
            (Fault::Interrupted, Verdict::Excused),
        ] {
            let progress = began();
            assert!(!progress.failed(fault), "it is not over yet");
            assert_eq!(progress.fault(), Some(fault));
            assert_eq!(progress.settle(StatusCode::SERVICE_UNAVAILABLE), verdict);
        }
        for (status, fault, late) in [
            (ok, Fault::Guest, true),
            (ok, Fault::Elsewhere, false),
            (ok, Fault::Interrupted, false),
            // It was counted as a failure by its status.
            (StatusCode::BAD_GATEWAY, Fault::Guest, false),
        ] {
            let progress = began();
            progress.settle(status);
            assert_eq!(progress.failed(fault), late, "{status} {fault:?}");
        }
        let clients = began();
        clients.body_failed(BodyFault::TooLarge);
        assert_eq!(clients.settle(StatusCode::PAYLOAD_TOO_LARGE), Verdict::Excused);
    }

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_goes_on_puts_the_end_off_but_not_for_ever() {
        let progress = Progress::new();
        let begun = progress.started();
        assert_eq!(progress.deadline(TIMEOUT, None), begun + TIMEOUT);
        tokio::time::advance(Duration::from_secs(20)).await;
        progress.moved();
        assert_eq!(progress.deadline(TIMEOUT, None), begun + Duration::from_secs(50));
        tokio::time::advance(Duration::from_secs(600)).await;
        progress.moved();
        assert_eq!(progress.deadline(TIMEOUT, None), begun + MAX_UPLOAD + TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_callee_has_no_more_time_than_its_caller() {
        let progress = Progress::new();
        let outer = progress.started() + Duration::from_secs(5);
        assert_eq!(progress.deadline(TIMEOUT, Some(outer)), outer);
        tokio::time::advance(Duration::from_secs(4)).await;
        progress.head_sent();
        assert_eq!(
            progress.deadline(TIMEOUT, Some(outer)),
            progress.started() + Duration::from_secs(34)
        );
    }
}
