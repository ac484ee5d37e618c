//! Whether a candidate does worse than the current revision, by what both have served meanwhile.
//!
//! Pure: the caller brings the time and the counters, at each tick. Both sides are compared over the same
//! stretches of time: the last second, so that a new fault shows at once; the last ten, so that a smaller one
//! does too; and all the time since the candidate got its share. What bounds it: a ring of at most [`MARKS`]
//! readings of the counters for each service.
//!
//! In a stretch the candidate is worse where at least [`Settings::failures`] of its requests failed, and
//!
//! - the lower bound of its failure rate is above the upper bound of the current revision's by more than
//!   [`Settings::tolerance`]. Where nothing failed at the current revision in the stretch, or nothing was
//!   asked of it, this does not speak against what it did in all the time, and the upper bound of that will
//!   do too. Or
//! - most of its requests failed, and nothing has failed at the current revision in all the time. So a broken
//!   candidate goes at its fifth failure, even with few or no requests to compare with. Where there are none
//!   at all, a fault of something that both depend on is taken for the candidate's.
//!
//! Where both fail alike, the candidate stays. A request counts when it ends: one that hangs says nothing
//! until its time is over. Failures of one client, who meets only one side, look like failures of that side.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::model::{RevisionId, ServiceName};
use crate::telemetry::metrics::Tally;

/// The most readings that one judge keeps.
const MARKS: usize = 128;

/// The counters of both sides, read at about the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sides {
    /// The candidate's.
    pub candidate: Tally,
    /// The current revision's.
    pub current: Tally,
}

impl Sides {
    fn since(self, earlier: Self) -> Self {
        Self {
            candidate: self.candidate.since(earlier.candidate),
            current: self.current.since(earlier.current),
        }
    }
}

/// How strict a judge is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// No verdict rests on fewer failures than these.
    pub failures: u64,
    /// How likely each bound of a failure rate may be wrong at one look. There are about a million looks a
    /// day: bounds that are wrong in one case of a hundred take healthy candidates back within the hour.
    pub doubt: f64,
    /// By how much the candidate may fail more often, as a fraction of its requests.
    pub tolerance: f64,
    /// The shorter one of the two last stretches of time that are looked at.
    pub recent: Duration,
    /// The longer one.
    pub window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failures: 5,
            doubt: 1e-6,
            tolerance: 0.01,
            recent: Duration::from_secs(1),
            window: Duration::from_secs(10),
        }
    }
}

/// What is to become of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it so far.
    Keep,
    /// It does worse than the current revision.
    RollBack {
        /// Why, for people.
        cause: String,
    },
}

/// A reading of the counters.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    sides: Sides,
}

/// Compares one candidate with the current revision of its service, for as long as the share of neither
/// changes: with another weight another judge begins.
#[derive(Debug)]
pub struct Judge {
    settings: Settings,
    current: RevisionId,
    start: Mark,
    /// Readings, the oldest first: one that is at least as old as the longest stretch, if there is one, and
    /// those after it.
    marks: VecDeque<Mark>,
}

impl Judge {
    /// Begins to compare with the revision `current`. What the counters say at the instant `at` is before its
    /// time.
    pub fn new(settings: Settings, current: RevisionId, at: Instant, sides: Sides) -> Self {
        let start = Mark { at, sides };
        Self {
            settings,
            current,
            start,
            marks: VecDeque::from([start]),
        }
    }

    /// Looks at what the counters say at the instant `at`. To be called about every 100 ms, in the order of
    /// time.
    pub fn judge(&mut self, at: Instant, sides: Sides) -> Verdict {
        let now = Mark { at, sides };
        let starts = [
            self.before(at, self.settings.recent),
            self.before(at, self.settings.window),
            self.start,
        ];
        let cause = starts.into_iter().find_map(|from| self.compare(from, now));
        self.keep(now);
        match cause {
            Some(cause) => Verdict::RollBack { cause },
            None => Verdict::Keep,
        }
    }

    /// The last reading that is at least as old as `stretch`; the first one where none is.
    fn before(&self, at: Instant, stretch: Duration) -> Mark {
        let younger = self
            .marks
            .partition_point(|mark| at.saturating_duration_since(mark.at) >= stretch);
        let mark = younger.checked_sub(1).and_then(|index| self.marks.get(index));
        *mark.unwrap_or(&self.start)
    }

    /// Why the candidate is worse in the time between two readings; `None` if it is not.
    fn compare(&self, from: Mark, now: Mark) -> Option<String> {
        let Sides { candidate, current } = now.sides.since(from.sides);
        if candidate.failed < self.settings.failures {
            return None;
        }
        let whole = now.sides.current.since(self.start.sides.current);
        if self.is_worse(candidate, current) {
            return Some(self.cause(candidate, current, [from, from, now]));
        }
        let unbroken =
            whole.failed == 0 && candidate.failed > candidate.served.saturating_sub(candidate.failed);
        if unbroken || (current.failed == 0 && self.is_worse(candidate, whole)) {
            return Some(self.cause(candidate, whole, [self.start, from, now]));
        }
        None
    }

    /// Whether the bounds of both rates are apart.
    fn is_worse(&self, candidate: Tally, current: Tally) -> bool {
        let Settings { doubt, tolerance, .. } = self.settings;
        // Each rate lies within its bounds, which take longer to find.
        candidate.rate() > current.rate() + tolerance
            && bound(candidate, doubt, 0.0) > bound(current, doubt, 1.0) + tolerance
    }

    /// The text for people: what the candidate did between two readings, and what the current revision did
    /// from `since` on.
    fn cause(&self, candidate: Tally, current: Tally, [since, from, now]: [Mark; 3]) -> String {
        let span = |from: Mark| format!("{:.1} s", now.at.saturating_duration_since(from.at).as_secs_f64());
        let (revision, took) = (self.current, span(from));
        let failed = format!(
            "{} of {} requests failed ({})",
            candidate.failed,
            candidate.served,
            candidate.percent()
        );
        let against = format!(
            "{} of {} ({}) at revision {revision}",
            current.failed,
            current.served,
            current.percent()
        );
        if current.served == 0 {
            format!("{failed} within {took}, and revision {revision} had none to compare with")
        } else if since.at == from.at {
            format!("{failed} against {against} within {took}")
        } else {
            format!("{failed} within {took} against {against} within {}", span(since))
        }
    }

    /// Keeps a reading for later stretches to begin at, and forgets those that none can begin at any more.
    fn keep(&mut self, now: Mark) {
        let longest = self.settings.window.max(self.settings.recent);
        let age = |mark: &Mark| now.at.saturating_duration_since(mark.at);
        // Room for those of the longest stretch, for one before it, and for one to spare.
        let spacing = longest / (MARKS as u32 - 2);
        if self.marks.back().is_none_or(|last| age(last) >= spacing) {
            self.marks.push_back(now);
        }
        while self.marks.len() > MARKS || self.marks.get(1).is_some_and(|second| age(second) >= longest) {
            self.marks.pop_front();
        }
    }
}

/// The judges of candidates that come and go together: where one is worse, all go.
#[derive(Debug)]
pub struct Judges(BTreeMap<ServiceName, Judge>);

impl Judges {
    /// Begins to compare each service's candidate with the revision that is named, as [`Judge::new`] does.
    pub fn new(
        settings: Settings,
        at: Instant,
        services: impl IntoIterator<Item = (ServiceName, RevisionId, Sides)>,
    ) -> Self {
        let judge = |(service, current, sides)| (service, Judge::new(settings, current, at, sides));
        Self(services.into_iter().map(judge).collect())
    }

    /// Looks at the counters of all services, which `sides` reads, as [`Judge::judge`] does. The cause names
    /// the service; of several that are worse it is the first one by name.
    pub fn judge(&mut self, at: Instant, mut sides: impl FnMut(&ServiceName) -> Sides) -> Verdict {
        let mut verdict = Verdict::Keep;
        for (service, judge) in &mut self.0 {
            // Each one keeps its readings, also when another has spoken.
            let one = judge.judge(at, sides(service));
            if let (Verdict::Keep, Verdict::RollBack { cause }) = (&verdict, one) {
                verdict = Verdict::RollBack {
                    cause: format!("`{service}`: {cause}"),
                };
            }
        }
        verdict
    }
}

/// The lower bound of the true rate of failures, for an `end` of 0, or the upper one, for an `end` of 1; it
/// is wrong with a probability of at most `doubt` (Chernoff's bound of binomial tails: for `n` served and a
/// rate `q` among them it is where `n · divergence(q, bound)` is the logarithm of `1 / doubt`). It holds for
/// few requests and few failures too, where a bound that takes a normal distribution for granted is far too
/// sure. Where nothing was served it is the end.
fn bound(tally: Tally, doubt: f64, end: f64) -> f64 {
    if tally.served == 0 {
        return end;
    }
    let rate = tally.rate();
    let most = -doubt.ln() / tally.served as f64;
    // The divergence grows from the rate towards either end. Halved so often, what is left is less than any
    // tolerance.
    let (mut inside, mut outside) = (rate, end);
    for _ in 0..40 {
        let middle = f64::midpoint(inside, outside);
        if divergence(rate, middle) < most {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    outside
}

/// The relative entropy of two coins that fall with the probabilities `rate` and `other`.
fn divergence(rate: f64, other: f64) -> f64 {
    let part = |rate: f64, other: f64| {
        if rate > 0.0 {
            rate * (rate / other).ln()
        } else {
            0.0
        }
    };
    part(rate, other) + part(1.0 - rate, 1.0 - other)
}

#[cfg(test)]
mod tests;
