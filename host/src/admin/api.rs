//! What passes over the admin API, in either direction: JSON as the OpenAPI document describes it.
//!
//! Names, digests and times are texts here: a client reads what a newer host writes. Fields that a document does not have
//! are refused in requests and ignored in answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /v1/apps`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Apps {
    /// The apps that this host serves.
    pub apps: Vec<String>,
}

/// `GET /v1/apps/{app}`: what is served now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub app: String,
    /// Where it is served, with the scheme.
    pub url: String,
    /// The number of the generation, which grows with each change.
    pub generation: u64,
    /// The digest of the manifest that the routes are from, `sha256:…`.
    pub manifest: String,
    /// Its services, by name.
    pub services: Vec<Service>,
}

/// `GET /v1/apps/{app}/services`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Services {
    /// The services, by name.
    pub services: Vec<Service>,
}

/// `GET /v1/apps/{app}/services/{service}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub service: String,
    /// The current revision.
    pub current: Revision,
    /// The revision that gets a share of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
    /// Revisions that are current no more and still serve requests that began before.
    #[serde(default)]
    pub draining: Vec<Draining>,
    /// The routes that lead to it.
    #[serde(default)]
    pub routes: Vec<String>,
}

/// One revision of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Its identity, 12 hexadecimal digits.
    pub revision: String,
    /// The digest of its component, `sha256:…`: with dependencies composed in.
    pub component: String,
    /// `manifest`, `deploy` or `rollback`: how it came to be.
    pub origin: String,
    /// When it was last published, RFC 3339.
    pub published_at: String,
    /// Requests and calls that it works for now.
    #[serde(default)]
    pub in_flight: u64,
    /// Requests and calls since the host has it, failed ones among them.
    #[serde(default)]
    pub served: u64,
    /// Those of them that failed.
    #[serde(default)]
    pub failed: u64,
    /// What it uses, and how much of it it may; nothing for one that is kept to be brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What a revision uses of its limits now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests and calls that it may work for at once.
    pub concurrency: u64,
    /// Requests and calls that wait for a place.
    pub waiting: u64,
    /// How many of them may.
    pub queue: u64,
    /// Instances that are alive, idle ones too.
    pub instances: u64,
    /// Linear memory of all its instances, in bytes.
    pub memory_bytes: u64,
    /// How much that may be, in bytes.
    pub memory_limit_bytes: u64,
    /// CPU time since the host has it, in seconds.
    pub cpu_seconds: f64,
    /// How much of it each request may take, in seconds.
    pub cpu_limit_seconds: f64,
    /// Its databases and key-value stores.
    #[serde(default)]
    pub data: Vec<DataUsage>,
}

/// A database or a key-value store of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataUsage {
    /// `sqlite` or `key-value`.
    pub kind: String,
    /// The label in the manifest.
    pub label: String,
    /// The size of its file, in bytes; 0 before it is first used. What is committed and not yet in it is not counted.
    pub bytes: u64,
    /// To what size the service can make it grow, in bytes.
    pub limit_bytes: u64,
}

/// A revision with a share of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The revision.
    pub revision: Revision,
    /// Its share, such as `10%`.
    pub weight: String,
    /// By what requests are held to their choice: `client`, `header:NAME` or `cookie:NAME`.
    pub sticky: String,
    /// The number of the rollout. Candidates of one number get the same requests.
    pub rollout: u64,
}

/// A revision that was replaced and has requests left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draining {
    /// Its identity.
    pub revision: String,
    /// Requests and calls left.
    pub in_flight: u64,
    /// When it was replaced, RFC 3339.
    pub since: String,
    /// When what is left is interrupted, RFC 3339.
    pub until: String,
}

/// `GET /v1/apps/{app}/services/{service}/revisions`: what a rollback can bring back, the last published first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revisions {
    /// The revisions.
    pub revisions: Vec<Revision>,
}

/// `GET /v1/apps/{app}/routes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routes {
    /// The routes, in the order of the manifest.
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Its pattern.
    pub route: String,
    /// The service that it leads to; nothing for a response of the manifest's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// `GET /v1/apps/{app}/links`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Links {
    /// The links.
    pub links: Vec<Link>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Who calls.
    pub caller: String,
    /// Who answers.
    pub callee: String,
    /// What the caller imports.
    pub import: String,
    /// What the callee exports for it.
    pub export: String,
    /// Whether the manifest names it, or the callee is the only one that can answer.
    pub explicit: bool,
}

/// `GET /v1/apps/{app}/history` and `…/services/{service}/history`, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Entries of the journal.
    pub entries: Vec<Entry>,
    /// What to give as `before` for the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number.
    pub number: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Who, as they said.
    pub by: String,
    /// `start`, `deploy`, `canary`, `promote`, `abort`, `rollback` or `apply`.
    pub action: String,
    /// `published`, `refused`, `failed` or `rolled back`.
    pub outcome: String,
    /// Why, where it was not done as asked; otherwise what there is to say of it: a share of requests, what differs in a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The generation that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// What it is about.
    pub changes: Vec<Change>,
    /// Milliseconds of preparing.
    pub prepare_ms: f64,
    /// Milliseconds of publishing, the sync of the journal included; there as soon as what was replaced has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_ms: Option<f64>,
    /// Milliseconds until the last request had left what was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_ms: Option<f64>,
    /// Requests and calls that were interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<u64>,
}

/// What a change does to one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The service.
    pub service: String,
    /// The revision of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The revision of afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The digest of its component, `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// What it may newly touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_grants: Vec<String>,
    /// What it may touch no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_grants: Vec<String>,
}

/// `PUT /v1/apps/{app}/components`: a component is stored and not used yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Its digest, `sha256:…`, by which a deploy names it.
    pub component: String,
}

/// `POST /v1/apps/{app}/deploy`: one service, or several that change at the same instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The new component of each service.
    pub services: BTreeMap<String, Source>,
    /// For a share of requests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// What the new revisions may newly touch is wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_new_grants: bool,
    /// How long requests may take to leave the old revisions, in seconds; 300 if not said, 3,600 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<f64>,
}

/// `POST /v1/apps/{app}/services/{service}/deploy` with a body of JSON: the component is stored already, or is a file.
/// Exactly one of `component` and `path` is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployOne {
    /// It was uploaded: `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// A file on the host's machine, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// For a share of requests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// As in [`Deploy`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_new_grants: bool,
    /// As in [`Deploy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<f64>,
}

/// Where the component of a deploy is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Source {
    /// It was uploaded: `sha256:…`.
    Component(String),
    /// A file on the host's machine, absolute.
    Path(String),
}

/// A share of requests: of a deploy, or `POST /v1/apps/{app}/services/{service}/canary`, which gives a candidate another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Such as `10%`.
    pub weight: String,
    /// `client` (if not said), `header:NAME` or `cookie:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<String>,
}

/// `POST /v1/apps/{app}/services/{service}/promote`: the candidate becomes current, or gets another share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// Only to this share, such as `50%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// As in [`Deploy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<f64>,
}

/// `POST /v1/apps/{app}/services/{service}/rollback`: a revision of before becomes current.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Which, by its identity or the beginning of it; the one that was current before, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What it may touch that the current one may not is wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_new_grants: bool,
    /// As in [`Deploy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<f64>,
}

/// `POST /v1/apps/{app}/apply`: a manifest is put in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The manifest on the host's machine, absolute.
    pub manifest: String,
    /// Only tell what would change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What services may newly touch is wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_new_grants: bool,
    /// As in [`Deploy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<f64>,
}

/// `POST /v1/apps/{app}/services/{service}/drain`: what is left on replaced revisions is interrupted now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrainedNow {
    /// Requests and calls that were interrupted.
    pub interrupted: u64,
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `published`, `unchanged`, or `planned` for a dry run.
    pub outcome: String,
    /// The generation that is served now.
    pub generation: u64,
    /// The number of the journal's entry; nothing where nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// The services that changed.
    pub changes: Vec<Change>,
    /// What changes besides, a line for each: routes, limits, links, variables (of secrets only the name).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// What is allowed and most likely not meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Milliseconds of preparing.
    pub prepare_ms: f64,
    /// Milliseconds of publishing, the sync of the journal included.
    pub publish_ms: f64,
    /// Milliseconds of that sync.
    pub sync_ms: f64,
}

/// `GET /v1/apps/{app}/events`: one server-sent event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, which `Last-Event-ID` goes on from. Counted from 1 since the host started.
    pub id: u64,
    /// When, RFC 3339.
    pub at: String,
    /// The rollout that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<u64>,
    /// The service that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// `preparing`, `compiling`, `published`, `share`, `promoted`, `aborted`, `rolled-back`, `refused`, `failed`, `draining`,
    /// `retired`.
    pub event: String,
    /// The revision that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The entry of the journal, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// More, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// For `retired`: requests and calls that were interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<u64>,
}

/// The data of the server-sent event `lagged`: the reader was too slow, and goes on with what comes next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lagged {
    /// How many events it missed.
    pub lost: u64,
}

/// `GET /v1/apps/{app}/services/{service}/logs`: one line, as JSON in a line of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, RFC 3339.
    pub at: String,
    /// The revision that it is of; empty where it is about what is none yet, such as a component that is compiled.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// `stdout`, `stderr` or `host`.
    pub stream: String,
    /// The request that it belongs to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// The text.
    pub text: String,
}

/// A problem (RFC 9457), with media type `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem, in a few words.
    pub title: String,
    /// The status code.
    pub status: u16,
    /// What went wrong.
    pub detail: String,
    /// `refused`, `busy`, `invalid`, `not-found`, `failed`, `stopping` or `starting`; nothing for what is wrong with the
    /// HTTP request itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What the new revisions would newly touch, where that is why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_grants: Vec<String>,
    /// The number of the journal's entry, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
}
