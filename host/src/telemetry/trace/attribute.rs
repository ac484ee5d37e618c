//! What a span says about itself: names and values. The names stand here, so that every span has the same.

use std::sync::Arc;

use crate::{
    model::{RevisionId, ServiceName},
    telemetry::RequestId,
};

/// The longest text of a value, in bytes. Longer ones are cut.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The names of attributes: those of OpenTelemetry's semantic conventions for HTTP and RPC
/// (<https://opentelemetry.io/docs/specs/semconv/>), and ours.
pub mod key {
    /// The request method; `_OTHER` for one that the conventions do not list.
    pub const HTTP_METHOD: &str = "http.request.method";
    /// The method as it came, where [`HTTP_METHOD`] is `_OTHER`.
    pub const HTTP_METHOD_ORIGINAL: &str = "http.request.method_original";
    /// The route that matched, as the manifest writes it.
    pub const HTTP_ROUTE: &str = "http.route";
    /// The status code of the response.
    pub const HTTP_STATUS: &str = "http.response.status_code";
    /// The path of the request without its query, which may hold secrets.
    pub const URL_PATH: &str = "url.path";
    /// `http`.
    pub const URL_SCHEME: &str = "url.scheme";
    /// What kind of failure it was: a status code, or a name of ours such as `timeout`.
    pub const ERROR_TYPE: &str = "error.type";
    /// `wit`.
    pub const RPC_SYSTEM: &str = "rpc.system";
    /// The interface, with its package and version.
    pub const RPC_SERVICE: &str = "rpc.service";
    /// The function.
    pub const RPC_METHOD: &str = "rpc.method";
    /// The id that the log lines of the request share.
    pub const REQUEST_ID: &str = "midplane.request_id";
    /// The service that answered the request.
    pub const SERVICE: &str = "midplane.service";
    /// The revision of that service.
    pub const REVISION: &str = "midplane.revision";
    /// The service that calls.
    pub const CALLER: &str = "midplane.caller";
    /// The service that is called.
    pub const CALLEE: &str = "midplane.callee";
    /// The revision of the service that is called.
    pub const CALLEE_REVISION: &str = "midplane.callee.revision";
}

/// A name with its value.
pub type Attribute = (&'static str, Value);

/// The value of an attribute. Every kind is cheap to make and to drop, texts of unknown length apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text that is part of the program.
    Static(&'static str),
    /// A text that was prepared before.
    Shared(Arc<str>),
    /// A text of the moment, of at most [`MAX_TEXT_BYTES`].
    Text(Box<str>),
    /// A number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// The name of a service.
    Service(ServiceName),
    /// The short id of a revision.
    Revision(RevisionId),
    /// The id of a request.
    Request(RequestId),
}

impl Value {
    /// A copy of `text`, cut at [`MAX_TEXT_BYTES`].
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(bounded(text).into())
    }
}

/// The beginning of `text`, at most [`MAX_TEXT_BYTES`] of whole characters.
pub(super) fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES))
        .unwrap_or_default()
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<ServiceName> for Value {
    fn from(service: ServiceName) -> Self {
        Self::Service(service)
    }
}

impl From<RevisionId> for Value {
    fn from(revision: RevisionId) -> Self {
        Self::Revision(revision)
    }
}

impl From<RequestId> for Value {
    fn from(request: RequestId) -> Self {
        Self::Request(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(Value::text("ä"), Value::Text("ä".into()));
        let long = format!("x{}", "ä".repeat(MAX_TEXT_BYTES));
        let Value::Text(cut) = Value::text(&long) else {
            unreachable!("it is a text")
        };
        assert_eq!(cut.len(), MAX_TEXT_BYTES - 1);
        assert!(long.starts_with(&*cut));
    }
}
