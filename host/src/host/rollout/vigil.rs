//! Watching candidates: one that does worse than the revision beside it is taken back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Rollouts;
use super::change::TakenBack;
use super::state::{Members, Share, State};
use crate::model::{ServiceName, Weight};
use crate::service::canary::{Judges, Settings, Sides, Verdict};

/// How often candidates are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Who takes a candidate back by itself, in the journal.
const WHO: &str = "midplane";

/// The judges of the candidates of one rollout, since they have their share.
struct Watched {
    weight: Weight,
    judges: Judges,
}

impl Rollouts {
    /// Looks at all candidates, as long as there are any.
    pub(super) async fn vigil(self) {
        let mut watched: BTreeMap<u64, Watched> = BTreeMap::new();
        loop {
            let state = self.state();
            if state.canaries.is_empty() {
                watched.clear();
                drop(state);
                self.inner.vigil.notified().await;
                continue;
            }
            watched.retain(|rollout, _| state.canaries.iter().any(|share| share.rollout == *rollout));
            let mut worse = None;
            for share in &state.canaries {
                if let Some(cause) = look(&state, share, &mut watched)
                    && let Some(service) = share.members.keys().next()
                {
                    worse = Some((service.clone(), share.rollout, cause));
                    break;
                }
            }
            // The state is not held while nothing happens: what it alone has could not go.
            drop(state);
            match worse {
                None => tokio::time::sleep(LOOK).await,
                Some((service, rollout, cause)) => {
                    watched.remove(&rollout);
                    self.take_back(service, rollout, cause).await;
                }
            }
        }
    }

    async fn take_back(&self, service: ServiceName, rollout: u64, cause: String) {
        tracing::warn!(service = service.as_str(), "the candidate is taken back: {cause}");
        let why = TakenBack {
            rollout,
            cause: cause.clone(),
        };
        let taken_back = self.abort(service.clone(), WHO.into(), Some(why)).await;
        match taken_back {
            Ok(_) => {}
            Err(failed) => {
                // It may have been promoted or aborted at the same moment; if not, the next look tells again.
                tracing::warn!(
                    service = service.as_str(),
                    "the candidate could not be taken back: {}",
                    failed.error.text()
                );
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Why the candidates of a rollout are to go, if they are.
fn look(state: &State, share: &Share, watched: &mut BTreeMap<u64, Watched>) -> Option<String> {
    let now = Instant::now();
    let tally = |members: &Members, service: &ServiceName| {
        let member = members.get(service);
        member
            .map(|member| member.revision.metrics().tally())
            .unwrap_or_default()
    };
    let sides = |service: &ServiceName| Sides {
        candidate: tally(&share.members, service),
        current: tally(&state.members, service),
    };
    // With another share, it begins anew.
    watched
        .entry(share.rollout)
        .and_modify(|known| {
            if known.weight != share.weight {
                *known = begin(state, share, now, sides);
            }
        })
        .or_insert_with(|| begin(state, share, now, sides));
    let known = watched.get_mut(&share.rollout)?;
    match known.judges.judge(now, sides) {
        Verdict::Keep => None,
        Verdict::RollBack { cause } => Some(cause),
    }
}

fn begin(state: &State, share: &Share, now: Instant, sides: impl Fn(&ServiceName) -> Sides) -> Watched {
    let services = share.members.keys().map(|name| {
        let current = state.members.get(name).or_else(|| share.members.get(name));
        (
            name.clone(),
            current.map(|member| member.revision.id()),
            sides(name),
        )
    });
    let services = services.filter_map(|(name, current, sides)| Some((name, current?, sides)));
    Watched {
        weight: share.weight,
        judges: Judges::new(Settings::default(), now, services),
    }
}
