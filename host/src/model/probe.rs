//! The request by which a service shows that a new revision of it works, before it is published.

use std::fmt;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};

/// What is asked of a revision before it is published, and what it must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// `GET`, `HEAD` or `POST`. No body is sent.
    pub method: Method,
    /// Begins with `/`.
    pub path: PathAndQuery,
    /// What is sent besides the headers that every request gets.
    pub headers: HeaderMap,
    /// The status that the answer must have; without one, any from 200 to 299.
    pub status: Option<StatusCode>,
    /// What the body of the answer must have in it: at most [`MAX_BODY_CONTAINS_BYTES`](Self::MAX_BODY_CONTAINS_BYTES).
    pub body_contains: Option<String>,
    /// How long the answer may take, to its last byte: more than nothing, at most [`MAX_TIMEOUT`](Self::MAX_TIMEOUT).
    pub timeout: Duration,
}

impl Probe {
    /// How long an answer may take where nothing else is said.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

    /// The longest time that an answer may be given.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(60);

    /// The longest path, in bytes.
    pub const MAX_PATH_BYTES: usize = 1024;

    /// The longest text that is looked for in a body, in bytes.
    pub const MAX_BODY_CONTAINS_BYTES: usize = 1024;

    /// The most headers.
    pub const MAX_HEADERS: usize = 32;

    /// A probe that any answer with a status of success passes.
    #[must_use]
    pub fn get(path: PathAndQuery) -> Self {
        Self {
            method: Method::GET,
            path,
            headers: HeaderMap::new(),
            status: None,
            body_contains: None,
            timeout: Self::DEFAULT_TIMEOUT,
        }
    }
}

/// `GET /healthz`.
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
