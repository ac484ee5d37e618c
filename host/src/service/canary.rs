//! Candidates: which requests meet them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use super::Revision;
use crate::model::{ServiceName, Sticky, Weight};

/// Rollouts with candidates at once.
pub const MAX_CANARIES: usize = 16;

/// The candidates of one rollout.
pub struct Canary {
    /// The number of the rollout.
    pub rollout: u64,
    /// Their share.
    pub weight: Weight,
    /// By what a request is held to its choice.
    pub sticky: Sticky,
    /// The candidates.
    pub services: BTreeMap<ServiceName, Arc<Revision>>,
}

/// Chosen.
pub fn choose(_canaries: &[Canary], _headers: &HeaderMap, _client: IpAddr) -> u64 {
    0
}
