//! Histories made by chance, as a host that does everything right could make them, and with one wrong record in them.

use midplane_storm::check::Kind;
use midplane_storm::record::{Ending, Exchange, Outcome, Swap};

use super::{answer, assert_only, exchange, judge, swap};

/// A revision that no history has.
const NEVER: u32 = 999_999;

/// Numbers that look like chance and are the same each time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What a host that does everything right could make: every change takes force at one instant within its call, every request
/// is answered by what was in force at one instant before its head. Revisions come back.
fn history(chance: &mut Chance) -> (Vec<Swap>, Vec<Exchange>) {
    let mut swaps = vec![swap(0, 1, 0, 0)];
    let mut in_force = vec![(0, 1)];
    let mut now = 0;
    for call in 1..=40 {
        let begin = now + 1 + chance.below(50);
        let end = begin + chance.below(30);
        now = end;
        let revision = 1 + u32::try_from(chance.below(6)).expect("it is small");
        let bad = chance.below(4) == 0;
        if !bad {
            in_force.push((begin + chance.below(end - begin + 1), revision));
        }
        swaps.push(Swap {
            bad,
            outcome: if bad { Outcome::Refused } else { Outcome::Published },
            ..swap(call, if bad { NEVER } else { revision }, begin, end)
        });
    }
    let exchanges = (0..200)
        .map(|request| {
            let begin = chance.below(now + 50);
            let head = begin + chance.below(60);
            let entered = begin + chance.below(head - begin + 1);
            let current = in_force.iter().rev().find(|(since, _)| *since <= entered);
            let revision = current.map_or(1, |(_, revision)| *revision);
            exchange(request, revision, begin, head)
        })
        .collect();
    (swaps, exchanges)
}

#[test]
fn histories_of_a_right_host_pass_and_one_wrong_record_in_them_is_found() {
    let mut found = 0;
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let (swaps, mut exchanges) = history(&mut chance);
        let report = judge(swaps.clone(), exchanges.clone(), 200);
        assert!(report.is_clean(), "seed {seed}: {report}");

        let place = usize::try_from(chance.below(200)).expect("it is small");
        let wrong = &mut exchanges[place];
        let kind = match chance.below(7) {
            0 => {
                wrong.ending = answer(NEVER);
                Kind::Unpublished
            }
            1 => {
                wrong.ending = Ending::Whole { revision: 1, also: 2 };
                Kind::Mixed
            }
            2 => {
                wrong.ending = Ending::Broken;
                Kind::Failed
            }
            3 => {
                exchanges.remove(place);
                Kind::Missing
            }
            4 => {
                let copy = exchanges[place];
                exchanges.push(copy);
                Kind::Duplicate
            }
            // A revision that was current at another time, and not when this request was there.
            _ => match misplaced(&swaps, wrong) {
                Some(revision) => {
                    wrong.ending = answer(revision);
                    found += 1;
                    let report = judge(swaps, exchanges, 200);
                    let outdated = report.count(Kind::Stale) + report.count(Kind::Early);
                    assert_eq!(outdated, 1, "seed {seed}: {report}");
                    continue;
                }
                None => continue,
            },
        };
        let report = judge(swaps, exchanges, 200);
        assert_only(&report, kind, 1);
    }
    assert!(found > 20, "revisions out of their time were tried {found} times");
}

/// A revision that had no right to answer this request, found without the judge: from each call that published it to the end
/// of the next call that published anything is another time than that of the request.
fn misplaced(swaps: &[Swap], exchange: &Exchange) -> Option<u32> {
    let published: Vec<_> = swaps
        .iter()
        .filter(|swap| swap.outcome == Outcome::Published)
        .collect();
    (1..=6).find(|revision| {
        let mut had_a_time = false;
        let overlaps = published.iter().enumerate().any(|(place, swap)| {
            let replaced = published.get(place + 1).map_or(u64::MAX, |next| next.end);
            had_a_time |= swap.revision == *revision;
            swap.revision == *revision && swap.begin <= exchange.head && replaced >= exchange.begin
        });
        had_a_time && !overlaps
    })
}
