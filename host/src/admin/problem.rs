//! Everything that is refused, and the problem (RFC 9457) that the client reads: the one place where errors become responses.

use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::answer::{Body, retry_soon, whole};
use super::api::Problem;
use super::control::{Refusal, RefusalKind};

const PROBLEM: &str = "application/problem+json";

/// Why a request does not get what it asks for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("The request needs one valid Host header.")]
    NoHost,
    #[error("The admin listener answers to an IP address or to localhost in the Host header.")]
    ForeignHost,
    #[error("A page from elsewhere may not use the admin API: its Origin is not that of the admin listener.")]
    ForeignOrigin,
    #[error("The admin API needs `Authorization: Bearer TOKEN`.")]
    NoToken,
    #[error("The token is not the one of this host.")]
    WrongToken,
    #[error("There are /ready, /metrics, /v1/apps and what /v1/openapi.json describes.")]
    NoResource,
    #[error(
        "Under /v1 there are openapi.json, apps, apps/{{app}} with services, routes, links, history, events, components, \
         deploy and apply, and apps/{{app}}/services/{{service}} with revisions, history, logs, deploy, canary, promote, \
         abort, rollback and drain."
    )]
    NoApiResource,
    #[error("Use {0}.")]
    MethodNotAllowed(String),
    #[error("The body must be of the type {0}.")]
    MediaType(&'static str),
    #[error("The body has more than {0} bytes.")]
    TooLarge(usize),
    #[error("The body did not come: no byte of it for {0} s, or not all of it in time.")]
    Slow(u64),
    #[error("The body broke off.")]
    Broken,
    #[error("{0}")]
    Invalid(String),
    #[error("This host serves the app `{served}`, not `{asked}`.")]
    OtherApp { served: String, asked: String },
    #[error("The host is starting: nothing is served yet.")]
    Starting,
    #[error("The host is stopping: no stream begins any more.")]
    Stopping,
    #[error("There are {0} streams of events and logs already, and no more at a time.")]
    Streams(usize),
    #[error("There are {0} changes under way already, and no more at a time.")]
    Changes(usize),
    #[error("There are {0} uploads under way already, and no more at a time.")]
    Uploads(usize),
    #[error("The host did not come to it within {0} s.")]
    Late(u64),
    #[error("The answer cannot be written.")]
    Unwritable(#[source] serde_json::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Fault {
    /// Something in the request cannot be meant.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::Invalid(detail.into())
    }

    pub(super) fn answer(self) -> Response<Body> {
        let (status, title) = self.status();
        let mut problem = Problem {
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
            kind: self.kind().map(str::to_owned),
            hint: self.hint().map(str::to_owned),
            new_grants: Vec::new(),
            entry: None,
        };
        let allowed = match self {
            Self::Refused(refusal) => {
                problem.hint = refusal.hint;
                problem.new_grants = refusal.new_grants;
                problem.entry = refusal.entry;
                None
            }
            Self::MethodNotAllowed(methods) => HeaderValue::try_from(methods).ok(),
            _ => None,
        };
        // Texts and numbers always serialise.
        let mut response = whole(status, PROBLEM, serde_json::to_vec(&problem).unwrap_or_default());
        if let Some(allowed) = allowed {
            response.headers_mut().insert(ALLOW, allowed);
        }
        match status {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Bearer realm=\"midplane\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            StatusCode::SERVICE_UNAVAILABLE => retry_soon(&mut response),
            _ => {}
        }
        response
    }

    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoHost | Self::Broken | Self::Invalid(_) => (StatusCode::BAD_REQUEST, "Bad request"),
            Self::ForeignHost => (StatusCode::MISDIRECTED_REQUEST, "Misdirected request"),
            Self::ForeignOrigin => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::NoToken | Self::WrongToken => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::NoResource | Self::NoApiResource | Self::OtherApp { .. } => {
                (StatusCode::NOT_FOUND, "Not found")
            }
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Self::MediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "Content too large"),
            Self::Slow(_) => (StatusCode::REQUEST_TIMEOUT, "Request timeout"),
            Self::Starting => (StatusCode::SERVICE_UNAVAILABLE, "Starting"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "Stopping"),
            Self::Streams(_) | Self::Changes(_) | Self::Uploads(_) | Self::Late(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "Busy")
            }
            Self::Unwritable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Failed"),
            Self::Refused(refusal) => match refusal.kind {
                RefusalKind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
                RefusalKind::Invalid => (StatusCode::BAD_REQUEST, "Bad request"),
                RefusalKind::Busy => (StatusCode::CONFLICT, "Busy"),
                RefusalKind::Refused => (StatusCode::UNPROCESSABLE_ENTITY, "Refused"),
                RefusalKind::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Failed"),
                RefusalKind::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "Stopping"),
            },
        }
    }

    /// The kind that a program goes by; none for what is wrong with the HTTP request itself.
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::NoHost
            | Self::ForeignHost
            | Self::ForeignOrigin
            | Self::NoToken
            | Self::WrongToken
            | Self::NoResource
            | Self::NoApiResource
            | Self::MethodNotAllowed(_)
            | Self::MediaType(_)
            | Self::TooLarge(_)
            | Self::Slow(_)
            | Self::Broken => None,
            Self::Invalid(_) => Some(RefusalKind::Invalid.as_str()),
            Self::OtherApp { .. } => Some(RefusalKind::NotFound.as_str()),
            Self::Starting => Some("starting"),
            Self::Stopping => Some(RefusalKind::Stopping.as_str()),
            Self::Streams(_) | Self::Changes(_) | Self::Uploads(_) | Self::Late(_) => {
                Some(RefusalKind::Busy.as_str())
            }
            Self::Unwritable(_) => Some(RefusalKind::Failed.as_str()),
            Self::Refused(refusal) => Some(refusal.kind.as_str()),
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoToken | Self::WrongToken => Some(
                "The token is in the file `admin.token` of the host's state directory, readable by its owner.",
            ),
            _ => None,
        }
    }
}
