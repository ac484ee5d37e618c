//! The events that have a shape: what a guest printed, a finished request, a failed guest. Each is logged by
//! one function, so that its fields are the same wherever it comes from.

use std::{fmt, net::IpAddr, time::Duration};

use http::{Method, StatusCode, Version};
use tracing::Level;

use super::{RequestId, Stream, field, target};

/// Where a line comes from.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The name of the service.
    pub service: &'a str,
    /// The short id of the revision.
    pub revision: &'a dyn fmt::Display,
    /// The request, unless the guest is not serving one.
    pub request_id: Option<RequestId>,
}

/// Logs one line that a guest printed, see [`GuestOutput`](super::GuestOutput).
pub fn guest_line(origin: Origin<'_>, stream: Stream, text: &str) {
    let Origin {
        service,
        revision,
        request_id,
    } = origin;
    tracing::info!(
        target: target::GUEST,
        message = text,
        { field::SERVICE } = service,
        { field::REVISION } = %revision,
        { field::REQUEST_ID } = request_id.map(tracing::field::display),
        { field::STREAM } = stream.as_str(),
    );
}

/// One finished request.
#[derive(Clone, Copy)]
pub struct AccessRecord<'a> {
    /// The id of the request.
    pub request_id: RequestId,
    /// The request method.
    pub method: &'a Method,
    /// The path; a query is left out of the log, since it may hold secrets.
    pub path: &'a str,
    /// `HTTP/1.1`, `HTTP/2.0` …
    pub protocol: Version,
    /// The address that the connection comes from.
    pub client: IpAddr,
    /// The status sent.
    pub status: StatusCode,
    /// From the head of the request to the end of the response's body.
    pub duration: Duration,
    /// Bytes of the request's body that were read.
    pub request_bytes: u64,
    /// Bytes of the response's body that were sent.
    pub response_bytes: u64,
    /// How the response ended.
    pub end: ResponseEnd,
    /// The service and revision that answered, if the request reached one.
    pub answered_by: Option<(&'a str, &'a dyn fmt::Display)>,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseEnd {
    /// Its body was sent to the end.
    Complete,
    /// The guest failed, the client left or the host stopped before the end of the body.
    Cut,
}

impl ResponseEnd {
    fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Cut => "cut",
        }
    }
}

/// Whether [`access`] writes anything, so that a caller can spare itself the counting.
#[must_use]
pub fn access_enabled() -> bool {
    tracing::enabled!(target: target::ACCESS, Level::INFO)
}

/// Logs one finished request, when the access log is on.
pub fn access(record: &AccessRecord<'_>) {
    let path = record.path.split('?').next().unwrap_or_default();
    tracing::info!(
        target: target::ACCESS,
        message = "request",
        { field::SERVICE } = record.answered_by.map(|(service, _)| service),
        { field::REVISION } = record.answered_by.map(|(_, revision)| tracing::field::display(revision)),
        { field::REQUEST_ID } = %record.request_id,
        { field::METHOD } = record.method.as_str(),
        { field::PATH } = path,
        { field::STATUS } = record.status.as_u16(),
        { field::DURATION_MS } = (record.duration.as_secs_f64() * 1e6).round() / 1e3,
        { field::REQUEST_BYTES } = record.request_bytes,
        { field::RESPONSE_BYTES } = record.response_bytes,
        { field::END } = record.end.as_str(),
        { field::CLIENT } = %record.client,
        { field::PROTOCOL } = ?record.protocol,
    );
}

/// What ended a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A Wasm trap (`unreachable`, an out-of-bounds access, an exhausted stack …).
    Trap,
    /// A trap that followed a panic message on standard error.
    Panic,
    /// The wall-clock limit.
    Timeout,
    /// The limit of CPU time.
    CpuTime,
    /// The memory limit.
    Memory,
    /// Nothing: it had so many instances that the pool slots that were left are for others.
    Overload,
    /// It called `exit` with a failure.
    Exit,
    /// It ended without a response.
    NoResponse,
    /// Its response is longer than the service may make one.
    ResponseTooLarge,
    /// Nothing: its revision was replaced, and the time for requests to finish was over.
    Interrupted,
    /// Something failed in the host on behalf of the guest.
    Host,
}

impl FailureKind {
    /// The name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::CpuTime => "cpu-time",
            Self::Memory => "memory",
            Self::Overload => "overload",
            Self::Exit => "exit",
            Self::NoResponse => "no-response",
            Self::ResponseTooLarge => "response-too-large",
            Self::Interrupted => "interrupted",
            Self::Host => "host",
        }
    }
}

/// One failure of a guest. Whoever drops the failed instance logs it, once.
#[derive(Clone, Copy)]
pub struct GuestFailure<'a> {
    /// Which guest, serving what.
    pub origin: Origin<'a>,
    /// What kind of failure.
    pub kind: FailureKind,
    /// What happened, in a line: the trap, or the panic message when there is one.
    pub message: &'a str,
    /// The services by which the request came here, `orders → catalog`; `None` where it came from a client.
    pub chain: Option<&'a str>,
    /// The Wasm frames, one a line; empty when there are none.
    pub backtrace: &'a str,
}

/// Logs a failure of a guest as one event.
pub fn guest_failure(failure: &GuestFailure<'_>) {
    let Origin {
        service,
        revision,
        request_id,
    } = failure.origin;
    macro_rules! log {
        ($level:expr) => {
            tracing::event!(
                target: target::FAILURE,
                $level,
                message = failure.message,
                { field::SERVICE } = service,
                { field::REVISION } = %revision,
                { field::REQUEST_ID } = request_id.map(tracing::field::display),
                { field::KIND } = failure.kind.as_str(),
                { field::CHAIN } = failure.chain,
                { field::BACKTRACE } = Some(failure.backtrace).filter(|frames| !frames.is_empty()),
            )
        };
    }
    match failure.kind {
        // The guest did nothing wrong.
        FailureKind::Interrupted => log!(Level::WARN),
        _ => log!(Level::ERROR),
    }
}
