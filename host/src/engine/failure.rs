//! Why a request that reached a guest got no whole response, and what an error of Wasmtime means.

use std::fmt::Write as _;
use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode as ErrorCode2;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode as ErrorCode3;

use super::account::NoMemory;
use super::context::{BodyFault, Fault, RequestContext};
use super::guest::Guest;
use super::limiter::Denial;
use super::program::Program;
use super::warm::WarmError;
use crate::model::Limits;
use crate::telemetry::metrics::ErrorReason;
use crate::telemetry::{self, FailureKind, GuestFailure, Origin};

/// The longest backtrace that is kept, in bytes.
const MAX_BACKTRACE_BYTES: usize = 16 * 1024;

/// Why there is no (whole) response. It has been logged where it happened; this tells the caller what to answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The guest trapped or panicked.
    #[error("the guest trapped")]
    Trapped,
    /// More was to be copied between the guest and the host than one call may.
    #[error("too much was to be copied between the guest and the host")]
    TooMuchCopied,
    /// The guest returned without a response, or with an error code in place of one.
    #[error("the guest gave no response")]
    NoResponse,
    /// The guest was still at it when its time was over.
    #[error("the guest took longer than {0:?}")]
    TimedOut(Duration),
    /// The guest took more CPU time than a request may.
    #[error("the guest took more than {0:?} of CPU time")]
    OutOfCpu(Duration),
    /// The guest's response is longer than the service may make one.
    #[error("the response body is larger than {limit} bytes")]
    ResponseTooLarge {
        /// What the service may send, in bytes.
        limit: u64,
    },
    /// The client sent a larger body than the service takes.
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge {
        /// What the service takes, in bytes.
        limit: u64,
    },
    /// The body that the client sent ended before its end, or is malformed.
    #[error("the request body is broken")]
    BodyBroken,
    /// The client sent nothing of the body that the guest waited for.
    #[error("no more of the request body came within {limit:?}")]
    BodyTooSlow {
        /// How long the guest waited.
        limit: Duration,
    },
    /// No instance could be had now.
    #[error("no instance is free")]
    NoInstance,
    /// The memory of the service is all taken.
    #[error("the instances of the service have taken all of its {limit} bytes of memory")]
    OutOfMemory {
        /// What they may have together, in bytes.
        limit: u64,
    },
    /// The component could not be instantiated.
    #[error("the component could not be instantiated")]
    NotInstantiated,
    /// The component has no HTTP handler.
    #[error("the component exports no HTTP handler")]
    NoHandler,
    /// Its revision was replaced, and the time for requests to finish is over.
    #[error("its revision was replaced, and the time for requests to finish is over")]
    Interrupted,
    /// The host itself failed while it worked for this request.
    #[error("the host failed")]
    Host,
}

impl Failure {
    /// Whose fault it is, as far as the guest is concerned.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Trapped
            | Self::TooMuchCopied
            | Self::NoResponse
            | Self::TimedOut(_)
            | Self::OutOfCpu(_)
            | Self::ResponseTooLarge { .. }
            | Self::NotInstantiated
            | Self::NoHandler => Fault::Guest,
            Self::Interrupted => Fault::Interrupted,
            Self::BodyTooLarge { .. }
            | Self::BodyBroken
            | Self::BodyTooSlow { .. }
            | Self::NoInstance
            | Self::OutOfMemory { .. }
            | Self::Host => Fault::Elsewhere,
        }
    }

    /// What a fault of the request's body means.
    pub(super) fn of_body(fault: BodyFault, limits: &Limits) -> Self {
        match fault {
            BodyFault::TooLarge => Self::BodyTooLarge {
                limit: limits.request_body,
            },
            BodyFault::TooSlow => Self::BodyTooSlow {
                limit: limits.timeout,
            },
            BodyFault::Broken => Self::BodyBroken,
        }
    }
}

/// What a guest left behind that tells why it failed.
#[derive(Default)]
pub(super) struct LastWords {
    /// What its panic said on standard error.
    pub(super) panic: Option<String>,
    /// The limit that it ran into when it asked for more.
    pub(super) denied: Option<Denial>,
}

impl LastWords {
    /// What an instance leaves behind whose request is over.
    pub(super) fn of(guest: &mut Guest) -> Self {
        let denied = guest.limiter.take_denied();
        Self {
            panic: guest.end(),
            denied,
        }
    }
}

/// What a failure is reported with.
pub(super) struct Report {
    kind: FailureKind,
    failure: Failure,
    message: String,
    backtrace: String,
    /// Of an instance that never came up.
    last_words: Option<LastWords>,
}

impl Report {
    fn new(kind: FailureKind, failure: Failure, message: impl Into<String>) -> Self {
        Self {
            kind,
            failure,
            message: message.into(),
            backtrace: String::new(),
            last_words: None,
        }
    }

    pub(super) fn timed_out(limit: Duration) -> Self {
        let message = format!("no progress within {limit:?}; the instance was dropped");
        Self::new(FailureKind::Timeout, Failure::TimedOut(limit), message)
    }

    /// Of a request whose instance works for others too.
    pub(super) fn timed_out_beside_others(limit: Duration) -> Self {
        let message = format!("no progress within {limit:?}; its instance takes no more requests");
        Self::new(FailureKind::Timeout, Failure::TimedOut(limit), message)
    }

    pub(super) fn call_timed_out(limit: Duration) -> Self {
        let message = format!("no answer within {limit:?}; the instance was dropped");
        Self::new(FailureKind::Timeout, Failure::TimedOut(limit), message)
    }

    pub(super) fn overran(limit: Duration) -> Self {
        let message = format!(
            "has answered, and was still at work {limit:?} after it was called; the instance was dropped"
        );
        Self::new(FailureKind::Timeout, Failure::TimedOut(limit), message)
    }

    pub(super) fn out_of_cpu(limit: Duration) -> Self {
        let message =
            format!("took more than its {limit:?} of CPU time (`cpu_time`); the instance was dropped");
        Self::new(FailureKind::CpuTime, Failure::OutOfCpu(limit), message)
    }

    pub(super) fn interrupted() -> Self {
        let message =
            "its revision was replaced and the time for requests to finish is over; the instance was dropped";
        Self::new(FailureKind::Interrupted, Failure::Interrupted, message)
    }

    pub(super) fn no_response(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NoResponse, Failure::NoResponse, message)
    }

    pub(super) fn response_too_large(limit: u64) -> Self {
        let message = format!(
            "the response body is larger than {limit} bytes (`response_body`): what came beyond them was not sent; the \
             instance was dropped"
        );
        let failure = Failure::ResponseTooLarge { limit };
        Self::new(FailureKind::ResponseTooLarge, failure, message)
    }

    pub(super) fn host(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Host, Failure::Host, message)
    }

    /// What an error of a call into the guest means.
    pub(super) fn of_call(error: &wasmtime::Error) -> Self {
        if let Some(code) = error.downcast_ref::<ErrorCode3>() {
            return Self::no_response(format!("the handler returned the error {code:?}"));
        }
        if let Some(code) = error.downcast_ref::<ErrorCode2>() {
            return Self::no_response(format!("the handler returned the error {code:?}"));
        }
        let (kind, message) = if let Some(trap) = error.downcast_ref::<Trap>() {
            (FailureKind::Trap, trap.to_string())
        } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
            (FailureKind::Exit, format!("the guest ended itself: {exit}"))
        } else {
            (FailureKind::Trap, error.root_cause().to_string())
        };
        // Wasmtime has no type for this one.
        let failure = match message.starts_with("too much data is being copied") {
            true => Failure::TooMuchCopied,
            false => Failure::Trapped,
        };
        Self {
            kind,
            failure,
            message,
            backtrace: backtrace(error),
            last_words: None,
        }
    }

    /// There is no memory for a fresh instance.
    pub(super) fn out_of_memory(none: NoMemory) -> Self {
        let NoMemory { limit, waited } = none;
        let waited = match waited.as_millis() {
            0 => String::new(),
            millis => format!(" after {millis} ms"),
        };
        let message = format!(
            "no memory for another instance{waited}: the instances of the service have taken their {limit} bytes, the \
             limit `memory`"
        );
        Self::new(FailureKind::Memory, Failure::OutOfMemory { limit }, message)
    }

    /// A program that has `own` instances may have no other now.
    pub(super) fn over_share(own: u64) -> Self {
        let message = format!(
            "no pool slot is left for another instance: the service has {own}, and the last ones are for those who have fewer"
        );
        Self::new(FailureKind::Overload, Failure::NoInstance, message)
    }

    /// What an error of an instantiation means.
    pub(super) fn of_instantiation(error: &wasmtime::Error) -> Self {
        if error.is::<PoolConcurrencyLimitError>() {
            let message = format!("no pool slot is free: {}", error.root_cause());
            return Self::new(FailureKind::Host, Failure::NoInstance, message);
        }
        if error.is::<Trap>() {
            return Self {
                failure: Failure::NotInstantiated,
                ..Self::of_call(error)
            };
        }
        Self {
            kind: FailureKind::Host,
            failure: Failure::NotInstantiated,
            message: format!("the component could not be instantiated: {error:#}"),
            backtrace: backtrace(error),
            last_words: None,
        }
    }

    /// With what an instance left behind that never came up.
    pub(super) fn with_last_words(self, last_words: LastWords) -> Self {
        Self {
            last_words: Some(last_words),
            ..self
        }
    }

    /// What it means for a program that is being warmed.
    pub(super) fn into_warm_error(mut self) -> WarmError {
        if let Failure::OutOfCpu(limit) = self.failure {
            return WarmError::OutOfCpu { limit };
        }
        let is_busy = self.is_for_lack_of_room();
        let (_, reason) = self.outcome(LastWords::default());
        match is_busy {
            true => WarmError::NoInstance { reason },
            false => WarmError::NotInstantiated {
                reason,
                backtrace: self.backtrace,
            },
        }
    }

    /// Whose fault it is.
    pub(super) fn fault(&self) -> Fault {
        self.failure.fault()
    }

    /// Whether it took too long.
    pub(super) fn is_timeout(&self) -> bool {
        matches!(self.failure, Failure::TimedOut(_))
    }

    /// Whether all that is missing is a free pool slot.
    pub(super) fn is_no_instance(&self) -> bool {
        matches!(self.failure, Failure::NoInstance)
    }

    /// Whether others are to have the pool slots that are left.
    pub(super) fn is_over_share(&self) -> bool {
        self.is_no_instance() && self.kind == FailureKind::Overload
    }

    /// Whether all that is missing is memory, which other instances of the service have.
    pub(super) fn is_out_of_memory(&self) -> bool {
        matches!(self.failure, Failure::OutOfMemory { .. })
    }

    /// Whether there is no room for one more instance now, which says nothing about the guest.
    pub(super) fn is_for_lack_of_room(&self) -> bool {
        self.is_no_instance() || self.is_out_of_memory()
    }

    /// What ended the guest, and the line that says so.
    fn outcome(&mut self, last_words: LastWords) -> (FailureKind, String) {
        let LastWords { panic, denied } = self.last_words.take().unwrap_or(last_words);
        let message = std::mem::take(&mut self.message);
        if self.kind == FailureKind::Interrupted {
            return (self.kind, message);
        }
        let panicked = panic.is_some();
        let message = panic.unwrap_or(message);
        match (self.kind, denied) {
            (FailureKind::Trap, Some(denial)) => (FailureKind::Memory, format!("{message} ({denial})")),
            // What it has from the start is more than it may have.
            (FailureKind::Host, Some(denial)) if matches!(self.failure, Failure::NotInstantiated) => {
                (FailureKind::Memory, format!("{message} ({denial})"))
            }
            (FailureKind::Trap, None) if panicked => (FailureKind::Panic, message),
            (kind, _) => (kind, message),
        }
    }

    /// Logs it, once, and counts it.
    pub(super) fn log(self, program: &Program, context: &RequestContext, last_words: LastWords) -> Failure {
        self.log_for(program, [context], last_words)
    }

    /// The same where one instance worked for several requests: each has its line and its error, what the guest did counts
    /// once.
    pub(super) fn log_for<'a>(
        mut self,
        program: &Program,
        contexts: impl IntoIterator<Item = &'a RequestContext>,
        last_words: LastWords,
    ) -> Failure {
        let (kind, message) = self.outcome(last_words);
        let Self {
            failure, backtrace, ..
        } = self;
        let reason = match &failure {
            Failure::Trapped | Failure::TooMuchCopied | Failure::NotInstantiated => ErrorReason::Trap,
            Failure::NoResponse | Failure::NoHandler => ErrorReason::NoResponse,
            Failure::TimedOut(_) => ErrorReason::Timeout,
            Failure::OutOfCpu(_) => ErrorReason::CpuTime,
            Failure::ResponseTooLarge { .. } => ErrorReason::ResponseTooLarge,
            Failure::BodyTooLarge { .. } => ErrorReason::BodyTooLarge,
            Failure::BodyBroken | Failure::BodyTooSlow { .. } => ErrorReason::BadRequest,
            Failure::NoInstance => ErrorReason::Overload,
            Failure::OutOfMemory { .. } => ErrorReason::Memory,
            Failure::Interrupted => ErrorReason::Interrupted,
            Failure::Host => ErrorReason::Internal,
        };
        // Nothing of the guest ran where there was no memory for it.
        if matches!(
            kind,
            FailureKind::Trap | FailureKind::Panic | FailureKind::Memory | FailureKind::Exit
        ) && !matches!(failure, Failure::OutOfMemory { .. })
        {
            program.metrics.trap();
        }
        for context in contexts {
            program.metrics.error(reason);
            if matches!(failure, Failure::Interrupted) {
                program.interrupt.count();
            }
            let chain = context.caller.is_some().then(|| context.path());
            telemetry::guest_failure(&GuestFailure {
                origin: Origin {
                    service: program.service.as_str(),
                    revision: &program.revision,
                    request_id: Some(context.id),
                },
                kind,
                message: &message,
                chain: chain.as_deref(),
                backtrace: &backtrace,
            });
        }
        failure
    }
}

/// One frame a line, innermost first: `symbol (file:line)`, as far as the component's build kept names.
fn backtrace(error: &wasmtime::Error) -> String {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return String::new();
    };
    let mut text = String::new();
    for (index, frame) in trace.frames().iter().enumerate() {
        if text.len() > MAX_BACKTRACE_BYTES {
            text.push_str("…\n");
            break;
        }
        let module = frame.module().name().unwrap_or("<module>");
        let symbols = frame.symbols();
        if symbols.is_empty() {
            let name = frame
                .func_name()
                .map_or_else(|| format!("<function {}>", frame.func_index()), demangled);
            let _infallible = writeln!(text, "{index:>3}: {module}!{name}");
        }
        for (depth, symbol) in symbols.iter().enumerate() {
            // Line tables alone name no function; the outermost symbol of a frame is the function itself.
            let outermost = depth + 1 == symbols.len();
            let name = symbol.name().or_else(|| frame.func_name().filter(|_| outermost));
            let name = name.map_or_else(|| "<inlined>".to_owned(), demangled);
            let _infallible = write!(text, "{index:>3}: {module}!{name}");
            if let (Some(file), Some(line)) = (symbol.file(), symbol.line()) {
                let _infallible = write!(text, " ({file}:{line})");
            }
            text.push('\n');
        }
    }
    text
}

/// Rust names without their hash.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
