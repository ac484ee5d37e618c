//! What a guest may use beyond its own memory: one module per capability.
//!
//! A capability has three parts: what it is granted ([`Grants`], made when a revision is prepared), the port through which
//! it reaches the world outside (implemented in [`crate::adapter`]), and the WIT interface that the guest sees. Deny by default:
//! a grant is checked before the port is called, and what is not granted is not there.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::ServiceName;

pub mod key_value;
pub mod outbound_http;
pub mod sqlite;
pub mod variables;

/// Everything that one revision of a service may use.
pub struct Grants {
    /// Environment variables, names and values.
    pub environment: Vec<(String, String)>,
    /// The directory that is the guest's file system, read-only; `None` for none.
    pub files: Option<PathBuf>,
    /// Variables of the app, resolved.
    pub variables: variables::Variables,
    /// Key-value stores by label.
    pub key_value: key_value::KeyValue,
    /// Databases by label.
    pub sqlite: sqlite::Sqlite,
    /// Where the guest may send requests, and what its sockets may reach.
    pub outbound_http: Arc<outbound_http::OutboundHttp>,
    /// What sends them.
    pub http_client: Arc<dyn outbound_http::HttpClient>,
}

/// Tells the operator, once per occurrence, what line of the manifest would have allowed a denied call.
///
/// The WIT errors of most interfaces have no room for it.
fn denied(service: &ServiceName, what: &str, line: &str) {
    tracing::warn!(
        service = service.as_str(),
        "denied: {what} is not granted; to grant it, write in the manifest:  [component.{service}]  {line}"
    );
}
