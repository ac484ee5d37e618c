//! The one place where errors of the gateway become responses.
//!
//! The client reads a problem (RFC 9457, `application/problem+json`): what went wrong from its side, what it
//! can do, and the id under which the log tells the rest. The log reads the error's own text, which names
//! limits and causes. Nothing of a guest's failure reaches the client.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::Full;
use serde::Serialize;
use thiserror::Error;

use crate::telemetry::{RequestId, metrics::ErrorReason};

/// Why a request gets no response of a guest. The display text is for the log.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GatewayError {
    /// No route of the app matches.
    #[error("no route matches")]
    NotFound,
    /// The gateway does not pass this method on, or the host's own resource does not have it.
    #[error("the method is not allowed")]
    MethodNotAllowed {
        /// The methods that are, as the `Allow` header lists them.
        allow: &'static str,
    },
    /// The body of the request is larger than the service takes.
    #[error("the request's body exceeds {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The head of the request is larger than the gateway takes.
    #[error("the request's head exceeds {limit} bytes")]
    HeadersTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The request is malformed.
    #[error("bad request: {detail}")]
    BadRequest {
        /// What is wrong with it, in words for the client: no data of the request in it.
        detail: Cow<'static, str>,
    },
    /// The guest trapped, panicked or exceeded its memory.
    #[error("the guest failed")]
    GuestFailed,
    /// The guest ended without a response.
    #[error("the guest ended without a response")]
    NoResponse,
    /// No instance of the service became free in time.
    #[error("the service is at its limit of concurrent requests")]
    Overloaded {
        /// When it is worth to try again; at least a second is sent.
        retry_after: Duration,
    },
    /// The revision that the request began with was replaced, and the time for requests to finish is over.
    #[error("its revision was replaced, and the time for requests to finish is over")]
    Interrupted,
    /// The client sent none of the request's body for too long.
    #[error("no more of the request's body came within {limit:?}")]
    RequestTimeout {
        /// How long the service waited.
        limit: Duration,
    },
    /// The guest gave no response within its wall-clock limit.
    #[error("no response within {limit:?}")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The guest took more CPU time than a request may.
    #[error("the guest took more CPU time than a request may")]
    CpuTime,
    /// The guest's response is longer than the service may make one.
    #[error("the response is larger than the service may make one")]
    ResponseTooLarge,
    /// The host itself failed.
    #[error("the host failed")]
    Internal,
}

/// What the client gets to know of an error.
struct Answer {
    status: StatusCode,
    /// The last part of the problem's type, `urn:midplane:problem:…`.
    kind: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    request_id: String,
}

impl GatewayError {
    /// The status code of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.answer().status
    }

    /// The reason under which the metrics count it.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::NotFound => ErrorReason::NotFound,
            Self::MethodNotAllowed { .. } => ErrorReason::MethodNotAllowed,
            Self::BodyTooLarge { .. } => ErrorReason::BodyTooLarge,
            Self::HeadersTooLarge { .. } => ErrorReason::HeadersTooLarge,
            Self::BadRequest { .. } => ErrorReason::BadRequest,
            Self::GuestFailed => ErrorReason::Trap,
            Self::NoResponse => ErrorReason::NoResponse,
            Self::Overloaded { .. } => ErrorReason::Overload,
            Self::Interrupted => ErrorReason::Interrupted,
            Self::Timeout { .. } => ErrorReason::Timeout,
            Self::RequestTimeout { .. } => ErrorReason::BadRequest,
            Self::CpuTime => ErrorReason::CpuTime,
            Self::ResponseTooLarge => ErrorReason::ResponseTooLarge,
            Self::Internal => ErrorReason::Internal,
        }
    }

    fn answer(&self) -> Answer {
        let (status, kind, title, detail) = match self {
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not-found",
                "Not found",
                "No service of this application answers at this path.".into(),
            ),
            Self::MethodNotAllowed { allow } => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
                format!("Use one of: {allow}.").into(),
            ),
            Self::BodyTooLarge { limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "Body too large",
                format!("The body of the request may have {limit} bytes at most.").into(),
            ),
            Self::HeadersTooLarge { limit } => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "Headers too large",
                format!("The head of the request may have {limit} bytes at most.").into(),
            ),
            Self::BadRequest { detail } => {
                (StatusCode::BAD_REQUEST, "bad-request", "Bad request", detail.clone())
            }
            Self::GuestFailed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "guest-failed",
                "The service failed",
                "The service failed while it handled the request. Its operator finds the cause under the request id."
                    .into(),
            ),
            Self::NoResponse => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "no-response",
                "The service did not respond",
                "The service ended without a response. Its operator finds the cause under the request id.".into(),
            ),
            Self::Overloaded { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "The service is overloaded",
                "The service handles as many requests as it may. Try again later.".into(),
            ),
            Self::Interrupted => (
                StatusCode::SERVICE_UNAVAILABLE,
                "interrupted",
                "The service was replaced",
                "The service's revision was replaced, and the time for requests to finish is over. Try again.".into(),
            ),
            Self::RequestTimeout { limit } => (
                StatusCode::REQUEST_TIMEOUT,
                "request-timeout",
                "The request took too long",
                format!("No more of the request's body came within {limit:?}.").into(),
            ),
            Self::Timeout { limit } => (
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                "The service took too long",
                format!("The service gave no response within {limit:?}.").into(),
            ),
            Self::CpuTime => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "cpu-time",
                "The service computed too long",
                "The service took more CPU time than one request may. Its operator finds more under the request id."
                    .into(),
            ),
            Self::ResponseTooLarge => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "response-too-large",
                "The response is too large",
                "The response is larger than the service may make one. Its operator finds more under the request id."
                    .into(),
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Internal error",
                "The host failed to handle the request. Its operator finds the cause under the request id.".into(),
            ),
        };
        Answer {
            status,
            kind,
            title,
            detail,
        }
    }
}

/// The response to a request that met `error`. `method` is the request's: a response to `HEAD` has the
/// headers of the one to `GET` and no body (RFC 9110, section 9.3.2).
#[must_use]
pub fn respond(error: &GatewayError, request_id: RequestId, method: &Method) -> Response<Full<Bytes>> {
    let answer = error.answer();
    let problem = Problem {
        r#type: format!("urn:midplane:problem:{}", answer.kind),
        title: answer.title,
        status: answer.status.as_u16(),
        detail: &answer.detail,
        request_id: request_id.to_string(),
    };
    // Strings and a number always serialise; without a body the status would still be right.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let length = body.len();
    let body = if method == Method::HEAD {
        Full::default()
    } else {
        Full::new(Bytes::from(body))
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match error {
        GatewayError::MethodNotAllowed { allow } => {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        GatewayError::Overloaded { retry_after } => {
            headers.insert(RETRY_AFTER, seconds(*retry_after));
        }
        // What replaced it serves already.
        GatewayError::Interrupted => {
            headers.insert(RETRY_AFTER, seconds(Duration::ZERO));
        }
        GatewayError::NotFound
        | GatewayError::BodyTooLarge { .. }
        | GatewayError::HeadersTooLarge { .. }
        | GatewayError::BadRequest { .. }
        | GatewayError::GuestFailed
        | GatewayError::NoResponse
        | GatewayError::Timeout { .. }
        | GatewayError::RequestTimeout { .. }
        | GatewayError::CpuTime
        | GatewayError::ResponseTooLarge
        | GatewayError::Internal => {}
    }
    response
}

/// Whole seconds, rounded up, at least one.
fn seconds(wait: Duration) -> HeaderValue {
    let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    HeaderValue::from(whole.max(1))
}
