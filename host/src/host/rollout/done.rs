//! What a change came to.

use std::time::{Duration, Instant};

use super::plan::Shift;
use super::state::State;
use super::{RolloutError, millis};
use crate::admin::api;

/// What a change came to.
pub(in crate::host) struct Done {
    pub(in crate::host) outcome: &'static str,
    pub(in crate::host) generation: u64,
    pub(in crate::host) entry: Option<u64>,
    pub(in crate::host) changes: Vec<Shift>,
    pub(in crate::host) differences: Vec<String>,
    pub(in crate::host) warnings: Vec<String>,
    pub(in crate::host) prepare: Duration,
    pub(in crate::host) publish: Duration,
    pub(in crate::host) sync: Duration,
}

/// A change that was not made, with the entry that tells of it.
pub(in crate::host) struct Failed {
    pub(in crate::host) error: RolloutError,
    pub(in crate::host) entry: Option<u64>,
}

impl From<RolloutError> for Failed {
    fn from(error: RolloutError) -> Self {
        Self { error, entry: None }
    }
}

impl Done {
    /// What there was stays.
    pub(super) fn unchanged(state: &State, begun: Instant) -> Self {
        Self {
            outcome: "unchanged",
            generation: state.generation,
            entry: None,
            changes: Vec::new(),
            differences: Vec::new(),
            warnings: Vec::new(),
            prepare: begun.elapsed(),
            publish: Duration::ZERO,
            sync: Duration::ZERO,
        }
    }

    /// As the API tells it.
    pub(in crate::host) fn shown(&self) -> api::Outcome {
        api::Outcome {
            outcome: self.outcome.to_owned(),
            generation: self.generation,
            entry: self.entry,
            changes: self.changes.iter().map(Shift::shown).collect(),
            differences: self.differences.clone(),
            warnings: self.warnings.clone(),
            prepare_ms: millis(self.prepare),
            publish_ms: millis(self.publish),
            sync_ms: millis(self.sync),
        }
    }
}
