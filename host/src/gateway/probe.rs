//! Asking one revision, published or not, whether it works: the request goes to it and not by a route.
//!
//! What bounds it: the probe's own time, in which also the wait for a place counts, the limits of the service, and
//! [`MAX_RESPONSE_BYTES`] of response. The revision's metrics count the request as they count every other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::LengthLimitError;

use super::headers::{self, INTERNAL_SUFFIX};
use super::local::{self, LocalError};
use super::respond::GatewayError;
use crate::model::{Probe, ServiceName};
use crate::service::{Revision, View};

#[cfg(test)]
mod tests;

/// The longest response to a probe, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// How much of a body is shown, in bytes.
const MAX_SHOWN_BYTES: usize = 200;

/// Why a revision has not shown that it works.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It gave another status.
    #[error("the probe {probe} answered {}, not {wanted}; {body}", status.as_u16())]
    Status {
        /// Method and path.
        probe: String,
        /// The status.
        status: StatusCode,
        /// What would have been right.
        wanted: Wanted,
        /// What came with it.
        body: ShownBody,
    },
    /// The body has not in it what it must have.
    #[error("the probe {probe} answered {} without {wanted:?} in the body; {body}", status.as_u16())]
    Body {
        /// Method and path.
        probe: String,
        /// The status, which was right.
        status: StatusCode,
        /// What was looked for.
        wanted: String,
        /// What came instead.
        body: ShownBody,
    },
    /// The answer did not end.
    #[error("the probe {probe} answered {} with more than {MAX_RESPONSE_BYTES} bytes", status.as_u16())]
    TooLong {
        /// Method and path.
        probe: String,
        /// The status.
        status: StatusCode,
    },
    /// There was no whole answer in time.
    #[error("the probe {probe} was not answered within {limit:?}")]
    TimedOut {
        /// Method and path.
        probe: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The guest failed, the host did, or the service's limits were in the way. What a guest's failure was is in the log.
    #[error("the probe {probe} got no whole answer")]
    Failed {
        /// Method and path.
        probe: String,
        /// Why.
        source: LocalError,
    },
}

/// The status that a probe wants, as a message has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted(Option<StatusCode>);

impl Wanted {
    fn is_met_by(self, status: StatusCode) -> bool {
        self.0
            .map_or_else(|| status.is_success(), |wanted| wanted == status)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, "{}", status.as_u16()),
            None => f.write_str("200 to 299"),
        }
    }
}

/// The beginning of a body, as a message has it: no control character in it gets to a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownBody {
    start: String,
    is_cut: bool,
}

impl ShownBody {
    fn of(body: &[u8]) -> Self {
        let start = body.get(..MAX_SHOWN_BYTES).unwrap_or(body);
        // A character that the cut goes through is left out.
        let end = match std::str::from_utf8(start) {
            Err(error) if start.len() < body.len() && error.error_len().is_none() => error.valid_up_to(),
            _ => start.len(),
        };
        Self {
            start: String::from_utf8_lossy(start.get(..end).unwrap_or(start)).into_owned(),
            is_cut: start.len() < body.len(),
        }
    }
}

impl fmt::Display for ShownBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.start.is_empty() {
            return f.write_str("its body is empty");
        }
        write!(f, "body: {:?}{}", self.start, if self.is_cut { "…" } else { "" })
    }
}

/// Sends `probe` to `revision`, and judges the answer. What the revision itself asks of other services, they answer as
/// `view` has them.
///
/// # Errors
/// [`ProbeError`] for every answer but the one that the probe wants, and for none. The guest is stopped when the time is over.
pub async fn probe(view: &View, revision: &Arc<Revision>, probe: &Probe) -> Result<(), ProbeError> {
    let shown = probe.to_string();
    let answered = async {
        let request = request(revision.service(), probe)?;
        local::send(view, revision, request, MAX_RESPONSE_BYTES).await
    };
    let response = match tokio::time::timeout(probe.timeout, answered).await {
        Ok(answered) => answered.map_err(|error| failed(shown.clone(), error))?,
        Err(_) => {
            return Err(ProbeError::TimedOut {
                probe: shown,
                limit: probe.timeout,
            });
        }
    };
    judge(probe, &response)
}

/// The request as a guest sees it: one of another service, since it has passed no route.
fn request(service: &ServiceName, probe: &Probe) -> Result<Request<Bytes>, GatewayError> {
    let url = url(service, &probe.path).map_err(|_| GatewayError::BadRequest {
        detail: "The request's target is not valid.".into(),
    })?;
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = probe.method.clone();
    *request.headers_mut() = probe.headers.clone();
    headers::inject_chained(request.headers_mut(), &url, &local::client()?)?;
    *request.uri_mut() = url;
    Ok(request)
}

fn url(service: &ServiceName, path: &PathAndQuery) -> Result<Uri, http::Error> {
    Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(format!("{service}{INTERNAL_SUFFIX}"))
        .path_and_query(path.clone())
        .build()
}

fn failed(probe: String, error: LocalError) -> ProbeError {
    match error {
        LocalError::Body { status, source } if source.is::<LengthLimitError>() => {
            ProbeError::TooLong { probe, status }
        }
        source => ProbeError::Failed { probe, source },
    }
}

fn judge(probe: &Probe, response: &Response<Bytes>) -> Result<(), ProbeError> {
    let (status, body) = (response.status(), response.body());
    let wanted = Wanted(probe.status);
    if !wanted.is_met_by(status) {
        return Err(ProbeError::Status {
            probe: probe.to_string(),
            status,
            wanted,
            body: ShownBody::of(body),
        });
    }
    match &probe.body_contains {
        Some(text) if !contains(body, text.as_bytes()) => Err(ProbeError::Body {
            probe: probe.to_string(),
            status,
            wanted: text.clone(),
            body: ShownBody::of(body),
        }),
        _ => Ok(()),
    }
}

/// Both lengths are bounded, and with them the time that this takes.
fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}
