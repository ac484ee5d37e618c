//! What goes along with a request on every hop: who it is, how long it may take, and the generation it is pinned to.
//!
//! The generation itself is out of sight here: a hop to another service goes through the port [`Chain`], which a higher
//! module implements over the generation that the request entered by.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{Body, Failure};
use crate::model::ServiceName;
use crate::telemetry::RequestId;

/// The deepest chain of services that one request may make.
pub const MAX_DEPTH: u8 = 16;

/// The port through which a guest's request reaches another service of the same app in process.
pub trait Chain: Send + Sync {
    /// Lets whoever `to` names, as the caller's generation knows it, answer `request`.
    fn call(
        &self,
        to: Hop,
        request: http::Request<Body>,
        caller: &RequestContext,
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
    /// The chain is deeper than [`MAX_DEPTH`].
    #[error("the request has passed through {MAX_DEPTH} services already")]
    TooDeep,
    /// The service has no HTTP handler.
    #[error("service `{0}` exports no HTTP handler")]
    NoHandler(ServiceName),
    /// The callee failed; it has been logged there.
    #[error("the called service failed")]
    Failed(#[source] Failure),
}

/// The context of one request at one service.
pub struct RequestContext {
    /// The id that all log lines of this request share, over all hops.
    pub id: RequestId,
    /// How many services the request has passed through before this one.
    pub depth: u8,
    /// The client's address, as the listener saw it.
    pub client: SocketAddr,
    /// When the caller stops waiting; never later than the caller's own deadline.
    pub deadline: Option<Instant>,
    /// The way to other services of the same generation.
    pub chain: Arc<dyn Chain>,
    /// How far this hop has come.
    pub progress: Progress,
}

impl RequestContext {
    /// The context of a request as it enters by the listener.
    pub fn entering(id: RequestId, client: SocketAddr, chain: Arc<dyn Chain>) -> Self {
        Self {
            id,
            depth: 0,
            client,
            deadline: None,
            chain,
            progress: Progress::new(),
        }
    }

    /// The context of the next hop, or `None` where the chain is too deep.
    pub fn next_hop(&self, timeout: Duration) -> Option<Self> {
        let depth = self.depth.checked_add(1).filter(|depth| *depth < MAX_DEPTH)?;
        Some(Self {
            id: self.id,
            depth,
            client: self.client,
            deadline: Some(self.progress.deadline(timeout, self.deadline)),
            chain: self.chain.clone(),
            progress: Progress::new(),
        })
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

/// Until when a request may go on: its time counts from when a byte of a body last moved, the request's before the head
/// (for at most [`MAX_UPLOAD`]), any afterwards.
pub struct Progress {
    started: Instant,
    head_sent: AtomicBool,
    /// Milliseconds between `started` and the last byte that moved.
    moved: AtomicU64,
    request_bytes: AtomicU64,
    waiting_for_client: AtomicBool,
    body_fault: AtomicU8,
    failed: AtomicBool,
}

impl Progress {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            head_sent: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
            waiting_for_client: AtomicBool::new(false),
            body_fault: AtomicU8::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// When the request arrived here.
    pub fn started(&self) -> Instant {
        self.started
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

    /// Notes that the guest failed, before its Wasm store goes and with it the ends of its streams.
    pub fn failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Whether the guest failed.
    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
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

#[cfg(test)]
mod tests {
    use super::*;

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
