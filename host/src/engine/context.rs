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

/// What can be wrong with a request's body: the client's fault, whatever the guest makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyFault {
    /// It is longer than the service takes.
    TooLarge = 1,
    /// It ended before its end, or is not framed as HTTP wants it.
    Broken = 2,
}

/// Until when a request may go on: before the head its whole time counts, afterwards the time since a byte last moved.
pub struct Progress {
    started: Instant,
    head_sent: AtomicBool,
    /// Milliseconds between `started` and the last byte that moved.
    moved: AtomicU64,
    request_bytes: AtomicU64,
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

    /// Notes what is wrong with the body that the client sends.
    pub fn body_failed(&self, fault: BodyFault) {
        self.body_fault.store(fault as u8, Ordering::Release);
    }

    /// What is wrong with the body that the client sends, if anything.
    pub fn body_fault(&self) -> Option<BodyFault> {
        match self.body_fault.load(Ordering::Acquire) {
            1 => Some(BodyFault::TooLarge),
            2 => Some(BodyFault::Broken),
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
        let from = if self.is_head_sent() {
            self.started + Duration::from_millis(self.moved.load(Ordering::Relaxed))
        } else {
            self.started
        };
        let own = from + timeout;
        match outer {
            Some(outer) if !self.is_head_sent() => own.min(outer),
            _ => own,
        }
    }
}
