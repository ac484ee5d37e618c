//! Which revision a rollback means.

use super::RolloutError;
use crate::model::{RevisionId, ServiceName};
use crate::service::journal::{Action, Entry, Outcome, Past, Recorded};

/// Entries of the journal in which the revision of before is looked for.
pub(super) const LOOKED_AT: usize = 10_000;

/// The revision that was current before `present` became so, or before one that was made of the same: the environment of a
/// host may give one and the same code another identity.
pub(super) fn before(
    service: &ServiceName,
    present: &Recorded,
    past: &[Past],
    entries: &[Entry],
) -> Option<RevisionId> {
    let changes = entries
        .iter()
        .filter(|entry| entry.outcome == Outcome::Published)
        // These leave alone what is current.
        .filter(|entry| !matches!(entry.action, Action::Canary | Action::Abort))
        .flat_map(|entry| &entry.changes)
        .filter(|change| change.service == *service && change.from != change.to);
    let is_same = |revision: RevisionId| {
        let past = past.iter().find(|past| past.recorded.revision == revision);
        past.is_some_and(|past| {
            past.recorded.component == present.component
                && past.recorded.files == present.files
                && past.recorded.manifest == present.manifest
        })
    };
    let mut at = present.revision;
    for change in changes {
        if change.to == Some(at) {
            at = change.from?;
            if !is_same(at) {
                return Some(at);
            }
        }
    }
    None
}

/// The revision that a rollback means: the one that starts with `wanted`, or `before`.
pub(super) fn chosen(
    service: &ServiceName,
    past: &[Past],
    before: Option<RevisionId>,
    wanted: Option<&str>,
) -> Result<Recorded, RolloutError> {
    let there = || {
        let names: Vec<_> = past
            .iter()
            .map(|past| past.recorded.revision.to_string())
            .collect();
        format!("the revisions that can be brought back are {}", names.join(", "))
    };
    let is_meant = |past: &&Past| match wanted {
        None => Some(past.recorded.revision) == before,
        Some(wanted) => past.recorded.revision.digest().to_string().starts_with(wanted),
    };
    let found: Vec<&Past> = past.iter().filter(is_meant).collect();
    match (found.as_slice(), wanted) {
        ([one], _) => Ok(one.recorded.clone()),
        ([], None) => Err(RolloutError::NotFound {
            detail: match before {
                None => format!("nothing was current before in `{service}`"),
                Some(before) => format!(
                    "revision {before} of `{service}`, which was current before, is not kept any more"
                ),
            },
            hint: (!past.is_empty()).then(there),
        }),
        ([], Some(wanted)) => Err(RolloutError::NotFound {
            detail: format!("`{service}` has no revision `{wanted}` that can be brought back"),
            hint: Some(there()),
        }),
        (_, wanted) => Err(RolloutError::Invalid {
            detail: format!(
                "`{}` is the beginning of several revisions",
                wanted.unwrap_or_default()
            ),
            hint: Some(there()),
        }),
    }
}
