//! Candidates that are worse, as bad, or merely unlucky; and properties of the judge.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::Digest;

const TICK: Duration = Duration::from_millis(100);

fn current() -> RevisionId {
    RevisionId::new(Digest::of(b"current"))
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

fn tally(failed: u64, served: u64) -> Tally {
    Tally { served, failed }
}

/// A judge, its clock, and the counters so far.
struct Trial {
    judge: Judge,
    at: Instant,
    sides: Sides,
}

impl Trial {
    /// With counters that began long before.
    fn new() -> Self {
        let sides = Sides {
            candidate: tally(7, 19),
            current: tally(900, 1_000_000),
        };
        let at = Instant::now();
        Self {
            judge: Judge::new(Settings::default(), current(), at, sides),
            at,
            sides,
        }
    }

    /// What the judge says after one more tick, in which each side failed and served so many.
    fn tick(&mut self, candidate: (u64, u64), current: (u64, u64)) -> Verdict {
        self.at += TICK;
        for (tally, (failed, served)) in [
            (&mut self.sides.candidate, candidate),
            (&mut self.sides.current, current),
        ] {
            tally.failed += failed;
            tally.served += served;
        }
        self.judge.judge(self.at, self.sides)
    }

    /// The number of the tick, from 1 on, at which the candidate goes; `None` if it is kept for `ticks` ones
    /// alike.
    fn rolled_back_at(&mut self, ticks: usize, candidate: (u64, u64), current: (u64, u64)) -> Option<usize> {
        (1..=ticks).find(|_| self.tick(candidate, current) != Verdict::Keep)
    }

    fn keeps(&mut self, ticks: usize, candidate: (u64, u64), current: (u64, u64)) {
        assert_eq!(self.rolled_back_at(ticks, candidate, current), None);
    }
}

fn cause(verdict: Verdict) -> String {
    match verdict {
        Verdict::RollBack { cause } => cause,
        Verdict::Keep => panic!("it was kept"),
    }
}

#[test]
fn a_broken_candidate_goes_at_its_fifth_failure_whatever_the_other_side_gets() {
    for current in [0, 1, 3, 10, 450, 100_000] {
        assert_eq!(
            Trial::new().rolled_back_at(100, (1, 1), (0, current)),
            Some(5),
            "{current}"
        );
    }
}

#[test]
fn a_broken_candidate_goes_at_its_fifth_failure_even_if_the_other_side_fails_now_and_then() {
    let mut trial = Trial::new();
    // One in a hundred.
    trial.keeps(600, (0, 0), (1, 100));
    assert_eq!(trial.rolled_back_at(100, (1, 1), (1, 100)), Some(5));
}

#[test]
fn the_cause_says_what_was_compared() {
    let mut trial = Trial::new();
    trial.keeps(2, (2, 2), (0, 150));
    assert_eq!(
        cause(trial.tick((1, 1), (0, 150))),
        format!(
            "5 of 5 requests failed (100 %) against 0 of 450 (0 %) at revision {} within 0.3 s",
            current()
        )
    );

    let alone = cause(Trial::new().tick((5, 7), (0, 0)));
    assert_eq!(
        alone,
        format!(
            "5 of 7 requests failed (71.43 %) within 0.1 s, and revision {} had none to compare with",
            current()
        )
    );

    // The other side has not been asked for a minute, and had been good enough before.
    let mut trial = Trial::new();
    trial.keeps(100, (0, 5), (1, 80));
    trial.keeps(600, (0, 5), (0, 0));
    trial.keeps(1, (4, 5), (0, 0));
    trial.keeps(1, (5, 5), (0, 0));
    let cause = cause(trial.tick((5, 5), (0, 0)));
    assert!(
        cause.starts_with("14 of 50 requests failed (28 %) within 1.0 s against 100 of 8000 (1.25 %)"),
        "{cause}"
    );
    assert!(cause.ends_with("within 70.3 s"), "{cause}");
}

#[test]
fn where_both_fail_alike_the_candidate_stays() {
    for (failed, served) in [(1, 1), (10, 10), (5, 10), (1, 100), (0, 10)] {
        for times in [1, 9, 99] {
            Trial::new().keeps(1_000, (failed, served), (failed * times, served * times));
        }
    }
}

#[test]
fn what_breaks_down_for_both_is_not_the_candidates_fault() {
    let mut trial = Trial::new();
    trial.keeps(600, (0, 10), (0, 90));
    trial.keeps(600, (10, 10), (90, 90));
    trial.keeps(600, (0, 10), (0, 90));
}

#[test]
fn a_long_good_history_does_not_hide_a_new_fault() {
    for (candidate, current) in [(10, 10), (10, 90), (1, 9), (100, 900)] {
        let mut trial = Trial::new();
        trial.keeps(36_000, (0, candidate), (0, current));
        let ticks = trial
            .rolled_back_at(100, (candidate, candidate), (0, current))
            .unwrap();
        assert!(ticks <= 10, "{ticks} ticks with {candidate} against {current}");
    }
}

#[test]
fn a_fault_that_does_not_go_away_is_found_by_all_the_time() {
    // Too few requests for any ten seconds to tell: one a second, of which each tenth fails.
    let mut trial = Trial::new();
    let rolled_back = (0..6_000).find(|tick| {
        let candidate = (u64::from(tick % 100 == 0), u64::from(tick % 10 == 0));
        trial.tick(candidate, (0, 1)) != Verdict::Keep
    });
    assert!((500..3_000).contains(&rolled_back.unwrap()), "{rolled_back:?}");
}

#[test]
fn two_percent_against_none_goes_once_there_is_evidence() {
    // 1,000 requests a second, 10 % of them to the candidate.
    let mut trial = Trial::new();
    let rolled_back = (0..6_000).find(|tick| {
        let candidate = (u64::from(tick % 5 == 0), 10);
        trial.tick(candidate, (0, 90)) != Verdict::Keep
    });
    // 2 % against at most 1 %, the tolerance: some 40 s.
    assert!((100..600).contains(&rolled_back.unwrap()), "{rolled_back:?}");
}

#[test]
fn half_a_percent_more_is_tolerated() {
    let mut trial = Trial::new();
    for tick in 0..36_000_u64 {
        let verdict = trial.tick((u64::from(tick % 20 == 0), 10), (0, 90));
        assert_eq!(verdict, Verdict::Keep, "{tick}");
    }
}

#[test]
fn fewer_than_five_failures_say_nothing() {
    let mut trial = Trial::new();
    trial.keeps(1, (4, 4), (0, 1_000_000));
    trial.keeps(1_000, (0, 0), (0, 1_000_000));
}

#[test]
fn the_readings_are_bounded_however_often_and_seldom_it_looks() {
    for step in [0, 1, 7, 99, 100, 101, 10_000] {
        let mut trial = Trial::new();
        for _ in 0..2_000 {
            trial.at += Duration::from_millis(step);
            trial.sides.candidate.served += 1;
            trial.judge.judge(trial.at, trial.sides);
            assert!(trial.judge.marks.len() <= MARKS);
            // The longest stretch begins no more than one step, or one distance between readings, before its
            // time.
            let from = trial.judge.before(trial.at, Duration::from_secs(10));
            let whole = trial.at - trial.judge.start.at;
            let stretch = trial.at - from.at;
            let most = Duration::from_secs(10) + Duration::from_millis(step.max(80) + step);
            assert!(
                stretch >= whole.min(Duration::from_secs(10)) && stretch <= most,
                "{stretch:?}"
            );
        }
    }
}

#[test]
fn a_set_goes_with_the_first_service_that_is_worse() {
    let services = ["catalog", "orders"].map(name);
    let at = Instant::now();
    let listed = services
        .clone()
        .map(|service| (service, current(), Sides::default()));
    let mut judges = Judges::new(Settings::default(), at, listed);
    let good = Sides {
        candidate: tally(0, 10),
        current: tally(0, 90),
    };
    let bad = Sides {
        candidate: tally(5, 5),
        ..good
    };
    assert_eq!(judges.judge(at + TICK, |_| good), Verdict::Keep);
    let verdict = judges.judge(
        at + 2 * TICK,
        |service| if *service == services[1] { bad } else { good },
    );
    let cause = cause(verdict);
    assert!(
        cause.starts_with("`orders`: 5 of 5 requests failed (100 %) against 0 of 90"),
        "{cause}"
    );
}

/// Numbers that are the same in each run (Steele, Lea and Flood 2014).
struct Noise(u64);

impl Noise {
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number of events of which `mean` are expected (Knuth).
    fn events(&mut self, mean: f64) -> u64 {
        let end = (-mean).exp();
        let mut product = self.fraction();
        let mut events = 0;
        while product > end {
            product *= self.fraction();
            events += 1;
        }
        events
    }

    /// One tick of a side that serves `mean` requests in it, of which the share `rate` fails.
    fn tick(&mut self, mean: f64, rate: f64) -> (u64, u64) {
        let failed = self.events(mean * rate);
        (failed, failed + self.events(mean * (1.0 - rate)))
    }
}

/// How many of `seeds` candidates that fail as often as the current revision are taken back within `ticks`.
fn unlucky(seeds: u64, ticks: u64, each_second: f64, weight: f64, rate: f64) -> usize {
    let is_unlucky = |seed: u64| {
        let (mut noise, mut trial) = (Noise(seed), Trial::new());
        let mean = each_second / 10.0;
        (0..ticks).any(|_| {
            let candidate = noise.tick(mean * weight, rate);
            trial.tick(candidate, noise.tick(mean * (1.0 - weight), rate)) != Verdict::Keep
        })
    };
    (0..seeds).filter(|seed| is_unlucky(*seed)).count()
}

/// Of 210 simulated days (2 to 1,000 requests a second, weights of 1 % to 90 %, failure rates of 0.1 % to 50
/// %), one took the candidate back: in its first second, with half of all requests failing, before anything
/// had failed at the other side. With intervals for a normal distribution at 2.58 standard deviations nearly
/// every day with a failure rate of 1 % or more did.
#[test]
fn a_day_of_noise_takes_no_candidate_back() {
    assert_eq!(unlucky(1, 864_000, 100.0, 0.1, 0.01), 0);
}

#[test]
fn an_hour_of_noise_takes_no_candidate_back_in_any_traffic() {
    for (each_second, weight) in [(5.0, 0.1), (10.0, 0.5), (20.0, 0.9), (100.0, 0.5), (300.0, 0.01)] {
        for rate in [0.001, 0.01, 0.1] {
            let unlucky = unlucky(1, 36_000, each_second, weight, rate);
            assert_eq!(unlucky, 0, "{each_second} a second, weight {weight}, {rate} fail");
        }
    }
}

/// A tick's failures and requests.
fn some() -> impl Strategy<Value = (u64, u64)> {
    (0..20_u64, 0..20_u64).prop_map(|(failed, good)| (failed, failed + good))
}

proptest! {
    #[test]
    fn a_candidate_that_does_no_worse_in_any_tick_stays(ticks in vec((some(), 0..=20_u64), 1..300)) {
        let mut trial = Trial::new();
        for ((failed, served), fewer) in ticks {
            let verdict = trial.tick((failed.saturating_sub(fewer), served), (failed, served));
            prop_assert_eq!(verdict, Verdict::Keep);
        }
    }

    #[test]
    fn a_candidate_with_four_failures_stays(ticks in vec((0..20_u64, some()), 4..100), place in 0..4_usize) {
        let mut trial = Trial::new();
        for (index, (served, current)) in ticks.into_iter().enumerate() {
            let failed = if index == place { 4 } else { 0 };
            prop_assert_eq!(trial.tick((failed, failed + served), current), Verdict::Keep);
        }
    }

    #[test]
    fn more_failures_are_never_better(
        (failed, served) in some(),
        current in some(),
        scale in 1..100_u64,
        more in 1..20_u64,
    ) {
        let candidate = (failed * scale, served * scale);
        let mut trial = Trial::new();
        let few = trial.tick(candidate, current);
        let worse = Trial::new().tick((candidate.0 + more, candidate.1 + more), current);
        prop_assert!(few == Verdict::Keep || worse != Verdict::Keep);
    }

    #[test]
    fn no_counters_are_too_odd(readings in vec(any::<[u64; 4]>(), 1..50), steps in vec(0..20_000_u64, 50)) {
        let mut trial = Trial::new();
        for ([a, b, c, d], step) in readings.into_iter().zip(steps) {
            trial.at += Duration::from_millis(step);
            let sides = Sides { candidate: tally(a, b), current: tally(c, d) };
            if let Verdict::RollBack { cause } = trial.judge.judge(trial.at, sides) {
                prop_assert!(!cause.contains("NaN") && !cause.contains("inf"), "{}", cause);
            }
        }
    }

    /// The bounds hold the rate, come nearer with more requests, and are wrong as seldom as they say: for a
    /// rate at the upper bound so few failures would be that unlikely.
    #[test]
    fn bounds_are_where_they_say(failed in 0..50_u64, good in 0..50_u64, doubt in 1e-9..0.5_f64) {
        let (few, many) = (tally(failed, failed + good), tally(failed * 10, (failed + good) * 10));
        let (lower, upper) = (bound(few, doubt, 0.0), bound(few, doubt, 1.0));
        prop_assert!(0.0 <= lower && lower <= few.rate() && few.rate() <= upper && upper <= 1.0);
        prop_assert!(lower <= bound(many, doubt, 0.0) + 1e-9 || few.served == 0);
        prop_assert!(bound(many, doubt, 1.0) <= upper + 1e-9 || few.served == 0);
        // The tails of the binomial distribution, summed up exactly.
        let (mut up_to, mut from) = (0.0, 0.0);
        for count in 0..=few.served {
            let ways = (0..count).map(|i| ((few.served - i) as f64 / (i + 1) as f64).ln()).sum::<f64>();
            let chance = |rate: f64| {
                (ways + count as f64 * rate.ln() + (few.served - count) as f64 * (1.0 - rate).ln()).exp()
            };
            if count <= failed && upper < 1.0 { up_to += chance(upper); }
            if count >= failed && lower > 0.0 { from += chance(lower); }
        }
        prop_assert!(up_to <= doubt * 1.000_001 && from <= doubt * 1.000_001, "{} {}", up_to, from);
    }
}
