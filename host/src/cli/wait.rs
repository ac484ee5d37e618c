//! What `--wait` waits for: until requests have left what was replaced, or until it is decided what becomes of a candidate.
//!
//! The events of the host say when to look; what is decided is read from the journal and from what is served, so that an
//! event that was missed, or a host that was restarted meanwhile, changes nothing. Between two looks there is at most one
//! [`TICK`]. Waiting has no end of its own: the host bounds a drain, people decide about a candidate, Ctrl-C is always there.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::client::{Client, ClientError, Events};
use super::table::duration;
use super::{Exit, Failure};
use crate::admin::api::{Entry, Event, Outcome, Problem};

/// The longest time without a look.
const TICK: Duration = Duration::from_secs(1);
/// How many entries of the journal may have been written between two looks.
const RECENT: usize = 100;

/// How revisions that were replaced have ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drained {
    /// Milliseconds until the last request had left; unknown if the host was restarted meanwhile.
    took: Option<f64>,
    /// Requests and calls that were interrupted.
    interrupted: u64,
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CanaryEnd {
    /// It is the current revision.
    Promoted,
    /// The host took it back.
    RolledBack(String),
    /// Somebody took it back.
    Aborted(String),
    /// Another change has taken its place.
    Replaced,
}

impl Drained {
    /// For people.
    pub(super) fn told(&self) -> String {
        let after = self
            .took
            .map_or_else(String::new, |took| format!(" after {}", duration(took)));
        match self.interrupted {
            0 => format!("all requests have left the old revisions{after}\n"),
            1 => format!("the old revisions are gone{after}: 1 request was interrupted\n"),
            many => format!("the old revisions are gone{after}: {many} requests were interrupted\n"),
        }
    }
}

impl CanaryEnd {
    /// What a command prints, or fails with.
    pub(super) fn verdict(self, service: &str, revision: &str) -> Result<String, Failure> {
        let (message, hint, exit) = match self {
            Self::Promoted => {
                return Ok(format!(
                    "{service}: candidate {revision} is the current revision\n"
                ));
            }
            Self::RolledBack(cause) => {
                let cause = match cause.as_str() {
                    "" => String::new(),
                    cause => format!(": {cause}"),
                };
                (
                    format!("the host took candidate {revision} of {service} back{cause}"),
                    Some(format!(
                        "`midplane logs {service} --revision {revision}` shows what it said"
                    )),
                    Exit::RolledBack,
                )
            }
            Self::Aborted(by) => (
                format!("candidate {revision} of {service} was taken back by {by}"),
                None,
                Exit::Failed,
            ),
            Self::Replaced => (
                format!("another change has taken the place of candidate {revision} of {service}"),
                Some(format!("`midplane history {service}` shows which")),
                Exit::Failed,
            ),
        };
        Err(Failure {
            error: anyhow::Error::msg(message),
            hint,
            exit,
        })
    }
}

/// Waits until requests have left all that `outcome` replaced. `None` if that is nothing.
pub(super) async fn drained(client: &Client, outcome: &Outcome) -> Result<Option<Drained>, ClientError> {
    let replaced: Vec<(&str, &str)> = outcome
        .changes
        .iter()
        .filter_map(|change| Some((change.service.as_str(), change.from.as_deref()?)))
        .collect();
    let (Some(number), false) = (outcome.entry, replaced.is_empty()) else {
        return Ok(None);
    };
    tracing::info!("waiting until requests have left the old revisions");
    let mut watch = Watch::new(client);
    let mut looked_in_vain = false;
    loop {
        let entries = client.history(None, Some(number + 1), 1).await?;
        if let Some(entry) = entries.iter().find(|entry| entry.number == number)
            && let Some(took) = entry.drain_ms
        {
            return Ok(Some(Drained {
                took: Some(took),
                interrupted: entry.interrupted.unwrap_or_default(),
            }));
        }
        // A host that was restarted has nothing left to drain, and never writes it down. One that has just drained may
        // be about to: only the second look counts.
        let status = client.status().await?;
        let drains = status.services.iter().any(|service| {
            let is_left = |revision: &str| replaced.contains(&(service.service.as_str(), revision));
            service
                .draining
                .iter()
                .any(|draining| is_left(&draining.revision))
        });
        if !drains && looked_in_vain {
            return Ok(Some(Drained {
                took: None,
                interrupted: 0,
            }));
        }
        looked_in_vain = !drains;
        if looked_in_vain {
            sleep(TICK).await;
            continue;
        }
        loop {
            match watch.next().await? {
                Some(event) if event.event != "retired" => {}
                _ => break,
            }
        }
    }
}

/// Waits until it is decided what becomes of candidate `revision` of `service`, which entry `after` made, or which was there
/// already.
pub(super) async fn decided(
    client: &Client,
    service: &str,
    revision: &str,
    after: u64,
) -> Result<CanaryEnd, ClientError> {
    tracing::info!(
        service,
        revision,
        "waiting until the candidate is promoted or taken back"
    );
    let mut watch = Watch::new(client);
    let mut weight = None;
    let mut looked_in_vain = false;
    loop {
        let served = match client.service(service).await {
            Ok(served) => served,
            Err(error) if is_not_found(&error) => return Ok(CanaryEnd::Replaced),
            Err(error) => return Err(error),
        };
        let is_ours = served
            .candidate
            .filter(|found| found.revision.revision == revision);
        let Some(candidate) = is_ours else {
            let entries = client.history(Some(service), None, RECENT).await?;
            let mut since = entries.iter().rev().filter(|entry| entry.number > after);
            if let Some(end) = since.find_map(ended_by) {
                return Ok(end);
            }
            if served.current.revision == revision {
                return Ok(CanaryEnd::Promoted);
            }
            // The entry may be about to be written.
            if looked_in_vain {
                return Ok(CanaryEnd::Replaced);
            }
            looked_in_vain = true;
            sleep(TICK).await;
            continue;
        };
        if weight.as_ref() != Some(&candidate.weight) {
            tracing::info!(service, revision, "the candidate has {}", candidate.weight);
            weight = Some(candidate.weight);
        }
        loop {
            match watch.next().await? {
                Some(event) if event.rollout != Some(candidate.rollout) => {}
                Some(event) if event.event == "rolled-back" => {
                    return Ok(CanaryEnd::RolledBack(event.detail));
                }
                _ => break,
            }
        }
    }
}

/// What an entry of the journal means for the candidate that was there before.
fn ended_by(entry: &Entry) -> Option<CanaryEnd> {
    let cause = || entry.cause.clone().unwrap_or_default();
    match (entry.action.as_str(), entry.outcome.as_str()) {
        (_, "rolled back") => Some(CanaryEnd::RolledBack(cause())),
        ("promote", "published") => Some(CanaryEnd::Promoted),
        ("abort", "published") => Some(CanaryEnd::Aborted(entry.by.clone())),
        // Another share ends nothing.
        ("canary", _) => None,
        (_, "published") => Some(CanaryEnd::Replaced),
        _ => None,
    }
}

fn is_not_found(error: &ClientError) -> bool {
    matches!(error, ClientError::Problem(problem) if is_kind(problem, "not-found"))
}

fn is_kind(problem: &Problem, kind: &str) -> bool {
    problem.kind.as_deref() == Some(kind)
}

/// The events of a host, which are opened anew if they end.
struct Watch<'a> {
    client: &'a Client,
    events: Option<Events>,
}

impl<'a> Watch<'a> {
    fn new(client: &'a Client) -> Self {
        Self { client, events: None }
    }

    /// The next event; `None` if it is time to look: a [`TICK`] is over, or events may have been missed.
    async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        let Some(events) = &mut self.events else {
            self.events = Some(self.client.events().await?);
            // What happened until now was not told.
            return Ok(None);
        };
        match timeout(TICK, events.next()).await {
            Err(_elapsed) => Ok(None),
            Ok(Ok(Some(event))) => Ok(Some(event)),
            // The host ended them, or itself: opening them anew tells which.
            Ok(Ok(None) | Err(ClientError::Gone { .. })) => {
                self.events = None;
                sleep(TICK).await;
                Ok(None)
            }
            Ok(Err(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
