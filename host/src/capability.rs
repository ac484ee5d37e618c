//! What a guest may use beyond its own memory: one module per capability.
//!
//! A capability has three parts: what it is granted ([`Grants`], made when a revision is prepared), the port through which
//! it reaches the world outside (implemented in [`crate::adapter`]), and the WIT interface that the guest sees. Deny by default:
//! a grant is checked before the port is called, and what is not granted is not there.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::quantity::bytes_text;
use crate::model::{RevisionId, ServiceName};
use crate::telemetry::{RequestId, field};

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
    /// What tells it the time; `None` for the system's clocks.
    pub clock: Option<Arc<dyn Clock>>,
}

/// The port for the time that a guest reads, in place of the system's clocks. Waiting is not part of it.
pub trait Clock: Send + Sync {
    /// The time since the Unix epoch.
    fn wall(&self) -> Duration;
    /// The time since some moment; it never goes back.
    fn monotonic(&self) -> Duration;
}

/// Why a database or a key-value store cannot grow. The text is written for the guest, after the word that it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// It would exceed what its service may have of it, in bytes: the limit `database_size`.
    OfService(u64),
    /// It would exceed what the host lets any have, in bytes: `max_database_size` of the runtime configuration.
    OfHost(u64),
    /// The disk, or the host's part of it, is full.
    OnDisk,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfService(limit) => write!(
                f,
                "it may take {}, the `database_size` of this service; delete from it, or raise that limit",
                bytes_text(*limit)
            ),
            Self::OfHost(limit) => write!(
                f,
                "it may take {}, as much as any on this host; delete from it, or have the operator raise \
                 `max_database_size`",
                bytes_text(*limit)
            ),
            Self::OnDisk => f.write_str(
                "the disk has no room for more, whatever its `database_size`; have the operator free some of it",
            ),
        }
    }
}

/// Denied calls of one instance that are logged for one request; a guest that asks in a loop must not flood the log.
const MAX_DENIALS: u32 = 16;

/// Tells the operator what line of the manifest would have allowed a denied call, since the WIT errors of most interfaces
/// have no room for it.
pub struct Denials {
    service: ServiceName,
    revision: RevisionId,
    request: Option<RequestId>,
    logged: u32,
}

impl Denials {
    /// Of an instance that serves no request yet.
    pub fn new(service: ServiceName, revision: RevisionId) -> Self {
        Self {
            service,
            revision,
            request: None,
            logged: 0,
        }
    }

    /// What is denied from now on belongs to this request.
    pub fn begin(&mut self, request: RequestId) {
        self.request = Some(request);
        self.logged = 0;
    }

    /// One more request is served beside those that are: what is denied from now on may belong to any of them.
    pub fn begin_another(&mut self) {
        self.request = None;
        self.logged = 0;
    }

    /// Logs that `what` was denied, with the line for the service's table in the manifest that would grant it.
    pub fn denied(&mut self, what: &str, line: &str) {
        let service = &self.service;
        self.log(&format!(
            "denied: {what} is not granted; to grant it, write below [component.{service}]:  {line}"
        ));
    }

    /// Logs a refusal that says itself what would allow it.
    pub fn refused(&mut self, reason: &dyn fmt::Display) {
        self.log(&format!("an outbound request was denied: {reason}"));
    }

    /// Logs a bound that the guest met, which it was told in the interface's own way.
    pub fn bounded(&mut self, what: &dyn fmt::Display) {
        self.log(&format!("a bound was met: {what}"));
    }

    fn log(&mut self, message: &str) {
        self.logged = self.logged.saturating_add(1);
        let message = match self.logged {
            ..MAX_DENIALS => message,
            MAX_DENIALS => "further denied calls of this request are not logged",
            _ => return,
        };
        tracing::warn!(
            { field::SERVICE } = self.service.as_str(),
            { field::REVISION } = %self.revision,
            { field::REQUEST_ID } = self.request.map(tracing::field::display),
            message = message,
        );
    }
}
