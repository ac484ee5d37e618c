//! The port through which the admin API looks at the host and changes it.

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::broadcast;

use super::api;
use crate::model::ServiceName;

/// What cannot be done, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Whose matter it is.
    pub kind: RefusalKind,
    /// What went wrong, for people.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What the new revisions would newly touch, where that is why.
    pub new_grants: Vec<String>,
    /// The number of the journal's entry, if there is one.
    pub entry: Option<u64>,
}

/// Whose matter a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// There is no such app, service, revision, component or candidate. Status 404.
    NotFound,
    /// The request says something that cannot be meant. Status 400.
    Invalid,
    /// Other changes of the service are under way, or its state does not allow this one. Status 409.
    Busy,
    /// The gate did not let it in: contract, grants, component, probe. Status 422.
    Refused,
    /// The host or its disk failed. Status 500.
    Failed,
    /// The host is stopping. Status 503.
    Stopping,
}

impl RefusalKind {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Invalid => "invalid",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
        }
    }
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(kind: RefusalKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            hint: None,
            new_grants: Vec::new(),
            entry: None,
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What was told already, and what is told from now on. A receiver that falls behind loses the oldest.
pub struct Feed<T> {
    /// What was told already, the oldest first.
    pub past: Vec<T>,
    /// What follows; `None` where nothing is to follow.
    pub next: Option<broadcast::Receiver<T>>,
}

/// What is done with the app of a host. Changes go on to their end even when nobody waits for the answer any more.
pub trait Control: Send + Sync {
    /// The name of the app.
    fn app(&self) -> String;

    /// What is served now.
    fn status(&self) -> BoxFuture<'static, Result<api::App, Refusal>>;

    /// The routes that are in force.
    fn routes(&self) -> api::Routes;

    /// The links between the current revisions.
    fn links(&self) -> api::Links;

    /// Entries of the journal, the newest first: of one service or of all, older than `before`, `limit` at most.
    fn history(
        &self,
        service: Option<ServiceName>,
        before: Option<u64>,
        limit: usize,
    ) -> BoxFuture<'static, Result<api::History, Refusal>>;

    /// The revisions of a service that a rollback can bring back.
    fn revisions(&self, service: ServiceName) -> BoxFuture<'static, Result<api::Revisions, Refusal>>;

    /// Keeps a component for a deploy.
    fn store(&self, component: Bytes) -> BoxFuture<'static, Result<api::Stored, Refusal>>;

    /// Rolls new components out. After it has returned, no request that enters meets what was replaced.
    fn deploy(&self, deploy: api::Deploy, by: String) -> BoxFuture<'static, Result<api::Outcome, Refusal>>;

    /// Puts a manifest in force.
    fn apply(&self, apply: api::Apply, by: String) -> BoxFuture<'static, Result<api::Outcome, Refusal>>;

    /// Makes a candidate current, or gives it another share; with it all candidates of the same rollout.
    fn promote(
        &self,
        service: ServiceName,
        promote: api::Promote,
        by: String,
    ) -> BoxFuture<'static, Result<api::Outcome, Refusal>>;

    /// Takes a candidate back; with it all candidates of the same rollout.
    fn abort(&self, service: ServiceName, by: String) -> BoxFuture<'static, Result<api::Outcome, Refusal>>;

    /// Brings a revision of before back.
    fn rollback(
        &self,
        service: ServiceName,
        rollback: api::Rollback,
        by: String,
    ) -> BoxFuture<'static, Result<api::Outcome, Refusal>>;

    /// Interrupts what is left on the replaced revisions of a service.
    fn drain(&self, service: ServiceName) -> BoxFuture<'static, Result<api::DrainedNow, Refusal>>;

    /// Events of rollouts, from the one after `after` on, or only those to come.
    fn events(&self, after: Option<u64>) -> Feed<api::Event>;

    /// Log lines of a service, or of one of its revisions (the first digits of its identity).
    ///
    /// # Errors
    /// [`RefusalKind::NotFound`] where the app has no such service.
    fn logs(&self, service: &ServiceName, follow: bool) -> Result<Feed<api::LogLine>, Refusal>;
}
