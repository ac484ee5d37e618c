//! Candidates: who meets them, and whether they do as well as the current revisions.
//!
//! Pure: no I/O and no clock. Invariants: a client is chosen by what it is, not by chance, so it meets the
//! same revision at every request as long as the weight stays, and never goes back while the weight rises;
//! candidates of one rollout are chosen together, for all hops of a request.

mod judge;
mod key;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

pub use judge::{Judge, Judges, Settings, Sides, Verdict};
pub use key::Key;

use super::Revision;
use crate::model::{ServiceName, Sticky, Weight};

/// How many rollouts may have candidates at the same time.
pub const MAX_CANARIES: usize = 16;

/// The candidates of one rollout, which get requests together.
#[derive(Clone)]
pub struct Canary {
    /// The number of the rollout, by which its clients are told from those of others.
    pub rollout: u64,
    /// Their share.
    pub weight: Weight,
    /// By what a client is held to its choice.
    pub sticky: Sticky,
    /// The candidates.
    pub services: BTreeMap<ServiceName, Arc<Revision>>,
}

/// Which canaries a request meets: bit `n` is set where it meets the `n`th one, of the first
/// [`MAX_CANARIES`].
///
/// Costs one hash for each canary, and nothing where there is none.
pub fn choose(canaries: &[Canary], headers: &HeaderMap, client: IpAddr) -> u64 {
    let mut chosen = 0;
    for (index, canary) in canaries.iter().take(MAX_CANARIES).enumerate() {
        let lot = Key::of(&canary.sticky, headers, client).lot(canary.rollout);
        if lot < canary.weight.hundredths() {
            chosen |= 1 << index;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http::HeaderValue;

    use super::*;

    const ALL_BUT_FEW: u16 = 9_999;

    fn canary(rollout: u64, hundredths: u16, sticky: &str) -> Canary {
        Canary {
            rollout,
            weight: Weight::new(hundredths).unwrap(),
            sticky: Sticky::parse(sticky).unwrap(),
            services: BTreeMap::new(),
        }
    }

    fn client(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    #[test]
    fn without_canaries_nothing_is_chosen() {
        assert_eq!(choose(&[], &HeaderMap::new(), client(1)), 0);
    }

    #[test]
    fn each_canary_chooses_by_its_own_weight_key_and_rollout() {
        let canaries = [
            canary(1, 2_000, "client"),
            canary(2, 2_000, "client"),
            canary(3, 5_000, "header:x-user"),
        ];
        let mut headers = HeaderMap::new();
        headers.insert("x-user", HeaderValue::from_static("ada"));
        let mut met = [0; 3];
        for number in 0..1_000 {
            let chosen = choose(&canaries, &headers, client(number));
            for (index, canary) in canaries.iter().enumerate() {
                let alone = choose(std::slice::from_ref(canary), &headers, client(number));
                assert_eq!(chosen >> index & 1, alone);
                met[index] += alone;
            }
            assert_eq!(chosen >> 3, 0);
        }
        assert!(
            (130..270).contains(&met[0]) && (130..270).contains(&met[1]),
            "{met:?}"
        );
        // One user, wherever the requests come from.
        assert!(met[2] == 0 || met[2] == 1_000, "{met:?}");
    }

    #[test]
    fn who_is_chosen_stays_chosen_while_the_weight_rises() {
        for number in 0..1_000 {
            let choices = [1, 100, 1_000, 5_000, ALL_BUT_FEW].map(|hundredths| {
                choose(
                    &[canary(9, hundredths, "client")],
                    &HeaderMap::new(),
                    client(number),
                )
            });
            assert!(choices.is_sorted(), "{choices:?}");
        }
    }

    #[test]
    fn no_more_than_the_first_sixteen_are_met() {
        let canaries: Vec<_> = (0..70)
            .map(|rollout| canary(rollout, ALL_BUT_FEW, "client"))
            .collect();
        let met = (0..100).fold(0, |met, number| {
            met | choose(&canaries, &HeaderMap::new(), client(number))
        });
        assert_eq!(met, (1 << MAX_CANARIES) - 1);
    }
}
