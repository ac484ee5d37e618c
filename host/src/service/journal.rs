//! The journal: what is published, by which changes it came to be, and what revisions can be made again.
//!
//! The port [`Journal`] is implemented by an adapter. Invariants: [`Journal::publish`] returns only when its record would
//! survive a loss of power; after any crash [`Journal::published`] is a state that was published as a whole. Everything in
//! a record is named by content: components, files and manifests lie beside the journal, addressed by their digests.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::model::{Digest, RevisionId, ServiceName, Sticky, Weight};

/// What an app serves, as it can be published again after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The number of the generation.
    pub generation: u64,
    /// The manifest that the routes are from.
    pub manifest: Digest,
    /// The current revision of each service.
    pub services: BTreeMap<ServiceName, Recorded>,
    /// The candidates, by rollout.
    pub canaries: Vec<RecordedCanary>,
    /// What the manifest and the files that it names said when they were last applied.
    pub applied: Applied,
}

/// A revision, as it can be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its identity.
    pub revision: RevisionId,
    /// Its component, with dependencies composed in.
    pub component: Digest,
    /// The component file as it was given, before dependencies were composed in.
    pub source: Digest,
    /// Its files, if it has any.
    pub files: Option<Digest>,
    /// The manifest that its entry is from.
    pub manifest: Digest,
    /// How it came to be.
    pub origin: Origin,
}

/// How a revision came to be the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the manifest and the file that it names.
    Manifest,
    /// By a deploy.
    Deploy,
    /// By a rollback.
    Rollback,
}

/// The candidates of one rollout, which get requests together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCanary {
    /// The number of the rollout, by which clients are told apart.
    pub rollout: u64,
    /// Their share.
    pub weight: Weight,
    /// By what a client is held to its choice.
    pub sticky: Sticky,
    /// The candidates.
    pub services: BTreeMap<ServiceName, Recorded>,
}

/// What the manifest and the files that it names said: as long as they say the same, a start changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The manifest.
    pub manifest: Digest,
    /// The component and the files of each service.
    pub services: BTreeMap<ServiceName, AppliedService>,
}

/// What the files of one service said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedService {
    /// The component, with dependencies composed in.
    pub component: Digest,
    /// The files that the guest sees.
    pub files: Option<Digest>,
}

/// One line of the journal: a change, or one that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 1 on; given by the journal.
    pub number: u64,
    /// When it was written.
    pub at: SystemTime,
    /// Who asked for it, as they said.
    pub by: String,
    /// What was asked for.
    pub action: Action,
    /// What it is about, service by service.
    pub changes: Vec<Change>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, where it was not done as asked; otherwise what there is to say of it: a share of requests, what differs in a manifest.
    pub cause: Option<String>,
    /// The generation that it made.
    pub generation: Option<u64>,
    /// From the request to the beginning of the commit.
    pub prepare: Duration,
    /// How it ended; `None` as long as the old revisions have not.
    pub drain: Option<Drained>,
}

/// What a change did to one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The service.
    pub service: ServiceName,
    /// What served before; nothing for a service that is new.
    pub from: Option<RevisionId>,
    /// What serves, or was to serve, afterwards; nothing for a service that is gone, or where it was not known yet.
    pub to: Option<RevisionId>,
    /// The component of that.
    pub component: Option<Digest>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A start of the host with something new in the manifest or in its files.
    Start,
    /// A deploy, at once for everyone.
    Deploy,
    /// A deploy for a share of requests, or another share.
    Canary,
    /// A candidate is to become current.
    Promote,
    /// A candidate is to go.
    Abort,
    /// A revision of before is to be current again.
    Rollback,
    /// A manifest is to be in force.
    Apply,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was published.
    Published,
    /// It was not let in: the input is to blame.
    Refused,
    /// It could not be done: the host or its disk is to blame.
    Failed,
    /// The host took a candidate back, since it did worse.
    RolledBack,
}

/// How a change ended, which is known only after its entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// From the beginning of the commit until new requests met it, the journal's sync included.
    pub publish: Duration,
    /// From the publication until the last request had left them.
    pub took: Duration,
    /// How many requests and calls were interrupted, since their time to finish was over.
    pub interrupted: u64,
}

/// A revision that was current, or a candidate, at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The service.
    pub service: ServiceName,
    /// How to make it again.
    pub recorded: Recorded,
    /// When it was last published.
    pub published: SystemTime,
}

/// The journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the journal {what}")]
pub struct JournalError {
    /// What failed: `cannot be written`, for example.
    pub what: String,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where the state of an app is kept. All calls block.
pub trait Journal: Send + Sync {
    /// What was published last; `None` before the first publication.
    ///
    /// # Errors
    /// [`JournalError`], also when a record cannot be understood.
    fn published(&self) -> Result<Option<Published>, JournalError>;

    /// Records, in one step, that `published` is in force by the change of `entry`. Gives back the entry's number.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing was recorded.
    fn publish(&self, published: &Published, entry: &Entry) -> Result<u64, JournalError>;

    /// Records something that changed nothing. Gives back the entry's number.
    ///
    /// # Errors
    /// [`JournalError`].
    fn note(&self, entry: &Entry) -> Result<u64, JournalError>;

    /// Records how what entry `number` replaced has ended.
    ///
    /// # Errors
    /// [`JournalError`].
    fn drained(&self, number: u64, drained: Drained) -> Result<(), JournalError>;

    /// Entries, the newest first: of one service or of all, older than `before`, `limit` of them at most.
    ///
    /// # Errors
    /// [`JournalError`].
    fn entries(
        &self,
        service: Option<&ServiceName>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Entry>, JournalError>;

    /// The revisions of a service that can be made again, or of all services: the last published first, those of now among
    /// them.
    ///
    /// # Errors
    /// [`JournalError`].
    fn past(&self, service: Option<&ServiceName>) -> Result<Vec<Past>, JournalError>;

    /// Forgets all but the last `revisions` revisions of each service (never one of those of now) and the last `entries` entries.
    ///
    /// # Errors
    /// [`JournalError`].
    fn prune(&self, revisions: usize, entries: usize) -> Result<(), JournalError>;
}
