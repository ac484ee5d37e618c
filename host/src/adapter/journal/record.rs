//! Records as they lie in the file: JSON, with digests as hexadecimal digits and times as microseconds.
//!
//! Names, digests and shares are checked as they are read, so that what is read is valid or an error. A field that is not
//! known is an error too: the version of the file says what there can be.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::model::{Digest, RevisionId, ServiceName, Sticky, Weight};
use crate::service::journal;
use crate::service::journal::{Action, Origin, Outcome};

/// 64 hexadecimal digits.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hex(Digest);

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        hex.0.to_string()
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Digest::from_hex(&text)
            .map(Self)
            .ok_or("a digest is not 64 hexadecimal digits")
    }
}

impl From<RevisionId> for Hex {
    fn from(revision: RevisionId) -> Self {
        Self(*revision.digest())
    }
}

/// The name of a service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Name(ServiceName);

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_str().to_owned()
    }
}

impl TryFrom<String> for Name {
    type Error = crate::model::NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        ServiceName::parse(&text).map(Self)
    }
}

/// Hundredths of a percent.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
struct Share(Weight);

impl From<Share> for u16 {
    fn from(share: Share) -> Self {
        share.0.hundredths()
    }
}

impl TryFrom<u16> for Share {
    type Error = &'static str;

    fn try_from(hundredths: u16) -> Result<Self, Self::Error> {
        Weight::new(hundredths)
            .map(Self)
            .ok_or("a weight is none or all of the requests")
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Header(http::HeaderName);

impl From<Header> for String {
    fn from(header: Header) -> Self {
        header.0.as_str().to_owned()
    }
}

impl TryFrom<String> for Header {
    type Error = http::header::InvalidHeaderName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        http::HeaderName::try_from(text).map(Self)
    }
}

/// Microseconds; what does not fit is cut.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Micros(u64);

impl From<Duration> for Micros {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Micros> for Duration {
    fn from(micros: Micros) -> Self {
        Self::from_micros(micros.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", remote = "Origin")]
enum OriginRecord {
    Manifest,
    Deploy,
    Rollback,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", remote = "Action")]
enum ActionRecord {
    Start,
    Deploy,
    Canary,
    Promote,
    Abort,
    Rollback,
    Apply,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", remote = "Outcome")]
enum OutcomeRecord {
    Published,
    Refused,
    Failed,
    RolledBack,
}

/// The name of a cookie.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Cookie(String);

impl From<Cookie> for String {
    fn from(cookie: Cookie) -> Self {
        cookie.0
    }
}

impl TryFrom<String> for Cookie {
    type Error = crate::model::StickyError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Sticky::parse(&format!("cookie:{name}")).map(|_| Self(name))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StickyRecord {
    Client,
    Header(Header),
    Cookie(Cookie),
}

impl From<&Sticky> for StickyRecord {
    fn from(sticky: &Sticky) -> Self {
        match sticky {
            Sticky::Client => Self::Client,
            Sticky::Header(name) => Self::Header(Header(name.clone())),
            Sticky::Cookie(name) => Self::Cookie(Cookie(name.clone())),
        }
    }
}

impl From<StickyRecord> for Sticky {
    fn from(record: StickyRecord) -> Self {
        match record {
            StickyRecord::Client => Self::Client,
            StickyRecord::Header(name) => Self::Header(name.0),
            StickyRecord::Cookie(name) => Self::Cookie(name.0),
        }
    }
}

/// A revision, as it can be made again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recorded {
    revision: Hex,
    component: Hex,
    source: Hex,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<Hex>,
    manifest: Hex,
    #[serde(with = "OriginRecord")]
    origin: Origin,
}

impl From<&journal::Recorded> for Recorded {
    fn from(recorded: &journal::Recorded) -> Self {
        Self {
            revision: recorded.revision.into(),
            component: Hex(recorded.component),
            source: Hex(recorded.source),
            files: recorded.files.map(Hex),
            manifest: Hex(recorded.manifest),
            origin: recorded.origin,
        }
    }
}

impl From<Recorded> for journal::Recorded {
    fn from(record: Recorded) -> Self {
        Self {
            revision: RevisionId::new(record.revision.0),
            component: record.component.0,
            source: record.source.0,
            files: record.files.map(|files| files.0),
            manifest: record.manifest.0,
            origin: record.origin,
        }
    }
}

type Services = BTreeMap<Name, Recorded>;

fn to_records(services: &BTreeMap<ServiceName, journal::Recorded>) -> Services {
    let records = services.iter();
    records
        .map(|(name, recorded)| (Name(name.clone()), recorded.into()))
        .collect()
}

fn from_records(records: Services) -> BTreeMap<ServiceName, journal::Recorded> {
    let services = records.into_iter();
    services.map(|(name, record)| (name.0, record.into())).collect()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Canary {
    rollout: u64,
    weight: Share,
    sticky: StickyRecord,
    services: Services,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Applied {
    manifest: Hex,
    services: BTreeMap<Name, AppliedService>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppliedService {
    component: Hex,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<Hex>,
}

/// What is published.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    generation: u64,
    manifest: Hex,
    services: Services,
    canaries: Vec<Canary>,
    applied: Applied,
}

impl From<&journal::Published> for Published {
    fn from(published: &journal::Published) -> Self {
        let applied = published.applied.services.iter().map(|(name, service)| {
            let record = AppliedService {
                component: Hex(service.component),
                files: service.files.map(Hex),
            };
            (Name(name.clone()), record)
        });
        let canaries = published.canaries.iter().map(|canary| Canary {
            rollout: canary.rollout,
            weight: Share(canary.weight),
            sticky: (&canary.sticky).into(),
            services: to_records(&canary.services),
        });
        Self {
            generation: published.generation,
            manifest: Hex(published.manifest),
            services: to_records(&published.services),
            canaries: canaries.collect(),
            applied: Applied {
                manifest: Hex(published.applied.manifest),
                services: applied.collect(),
            },
        }
    }
}

impl From<Published> for journal::Published {
    fn from(record: Published) -> Self {
        let applied = record.applied.services.into_iter().map(|(name, record)| {
            let service = journal::AppliedService {
                component: record.component.0,
                files: record.files.map(|files| files.0),
            };
            (name.0, service)
        });
        let canaries = record.canaries.into_iter().map(|record| journal::RecordedCanary {
            rollout: record.rollout,
            weight: record.weight.0,
            sticky: record.sticky.into(),
            services: from_records(record.services),
        });
        Self {
            generation: record.generation,
            manifest: record.manifest.0,
            services: from_records(record.services),
            canaries: canaries.collect(),
            applied: journal::Applied {
                manifest: record.applied.manifest.0,
                services: applied.collect(),
            },
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    service: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Hex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Hex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    component: Option<Hex>,
}

/// How what an entry replaced has ended.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Drained {
    publish_us: Micros,
    took_us: Micros,
    interrupted: u64,
}

impl From<journal::Drained> for Drained {
    fn from(drained: journal::Drained) -> Self {
        Self {
            publish_us: drained.publish.into(),
            took_us: drained.took.into(),
            interrupted: drained.interrupted,
        }
    }
}

impl From<Drained> for journal::Drained {
    fn from(record: Drained) -> Self {
        Self {
            publish: record.publish_us.into(),
            took: record.took_us.into(),
            interrupted: record.interrupted,
        }
    }
}

/// An entry without what has a column of its own: number, time and drain.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    by: String,
    #[serde(with = "ActionRecord")]
    action: Action,
    changes: Vec<Change>,
    #[serde(with = "OutcomeRecord")]
    outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    prepare_us: Micros,
}

/// The longest cause that is kept, in bytes.
pub const MAX_CAUSE_BYTES: usize = 16 * 1024;

/// The longest name of who asked that is kept, in bytes.
pub const MAX_BY_BYTES: usize = 256;

impl From<&journal::Entry> for Entry {
    fn from(entry: &journal::Entry) -> Self {
        let changes = entry.changes.iter().map(|change| Change {
            service: Name(change.service.clone()),
            from: change.from.map(Hex::from),
            to: change.to.map(Hex::from),
            component: change.component.map(Hex),
        });
        Self {
            by: cut(&entry.by, MAX_BY_BYTES),
            action: entry.action,
            changes: changes.collect(),
            outcome: entry.outcome,
            cause: entry.cause.as_deref().map(|cause| cut(cause, MAX_CAUSE_BYTES)),
            generation: entry.generation,
            prepare_us: entry.prepare.into(),
        }
    }
}

impl Entry {
    /// The whole entry.
    pub(super) fn with(self, number: u64, at: SystemTime, drain: Option<journal::Drained>) -> journal::Entry {
        let changes = self.changes.into_iter().map(|record| journal::Change {
            service: record.service.0,
            from: record.from.map(|hex| RevisionId::new(hex.0)),
            to: record.to.map(|hex| RevisionId::new(hex.0)),
            component: record.component.map(|hex| hex.0),
        });
        journal::Entry {
            number,
            at,
            by: self.by,
            action: self.action,
            changes: changes.collect(),
            outcome: self.outcome,
            cause: self.cause,
            generation: self.generation,
            prepare: self.prepare_us.into(),
            drain,
        }
    }
}

/// At most `max` bytes of a text; `…` ends one that was longer.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let kept = text.floor_char_boundary(max.saturating_sub('…'.len_utf8()));
    let mut cut = text.get(..kept).unwrap_or_default().to_owned();
    cut.push('…');
    cut
}

/// Microseconds since 1970, rounded down; what does not fit is the nearest that does.
pub(super) fn to_micros(at: SystemTime) -> i64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(error) => {
            let before = error.duration().as_nanos().div_ceil(1000);
            i64::try_from(before).map_or(i64::MIN, |before| -before)
        }
    }
}

/// The time so many microseconds after 1970, if the system can tell it.
pub(super) fn from_micros(micros: i64) -> Option<SystemTime> {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}
