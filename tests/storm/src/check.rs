//! The judge: from the journal of a storm alone, says what was wrong. It knows nothing of how requests are sent and services
//! are swapped.
//!
//! A revision of a track may answer from the beginning of the call that published it to the end of the call that replaced it.
//! A request enters between its beginning and the head of its answer; so the revision that it tells must have a window that
//! overlaps with that time. One whose windows all ended before the request began is *stale*: this is what deploys promise
//! never to happen.

mod window;

use std::collections::BTreeMap;
use std::fmt;

use crate::record::{Ending, Exchange, Outcome, Record, Swap, Track};
use window::Windows;

/// How many violations are kept whole. The others are counted.
const KEPT: usize = 100;

/// Something that must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// The revision had been replaced when the request began.
    Stale {
        /// The request.
        exchange: Exchange,
        /// When its last window before the request ended.
        replaced: u64,
    },
    /// The revision answered before anybody asked for it to be published.
    Early(Exchange),
    /// The revision was never published.
    Unpublished(Exchange),
    /// One answer tells two revisions.
    Mixed(Exchange),
    /// Not 200, not whole, or nothing.
    Failed(Exchange),
    /// A request was sent, and nobody knows what became of it.
    Missing(u32),
    /// A request has two answers, or was never sent.
    Duplicate(Exchange),
    /// A change that was to be refused was not, or not for its reason, or the other way round.
    Swapped(Swap),
    /// A change began before the one before it was over, so that their order is unknown.
    Overlap(Swap),
}

/// The kinds of violations, in the order of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the variant of `Violation` by the same name")]
pub enum Kind {
    Stale,
    Early,
    Unpublished,
    Mixed,
    Failed,
    Missing,
    Duplicate,
    Swapped,
    Overlap,
}

impl Violation {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Stale { .. } => Kind::Stale,
            Self::Early(_) => Kind::Early,
            Self::Unpublished(_) => Kind::Unpublished,
            Self::Mixed(_) => Kind::Mixed,
            Self::Failed(_) => Kind::Failed,
            Self::Missing(_) => Kind::Missing,
            Self::Duplicate(_) => Kind::Duplicate,
            Self::Swapped(_) => Kind::Swapped,
            Self::Overlap(_) => Kind::Overlap,
        }
    }
}

/// What a journal comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests that were sent.
    pub sent: u64,
    /// Whole answers of a revision that was allowed to answer.
    pub whole: u64,
    /// Changes that were published, the start of the host apart; a call that is about several tracks counts once.
    pub published: u64,
    /// Changes that were refused as they should be.
    pub refused: u64,
    /// How many violations there are of each kind.
    pub counts: BTreeMap<Kind, u64>,
    /// The first hundred.
    pub violations: Vec<Violation>,
}

impl Report {
    /// How many violations there are of a kind.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// Whether nothing is wrong: every request that was sent has one whole and right answer.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty() && self.sent == self.whole
    }

    fn add(&mut self, violation: Violation) {
        *self.counts.entry(violation.kind()).or_default() += 1;
        if self.violations.len() < KEPT {
            self.violations.push(violation);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} requests sent, {} whole and right answers; {} changes published, {} refused as they should be",
            self.sent, self.whole, self.published, self.refused
        )?;
        for (kind, count) in &self.counts {
            writeln!(f, "{count} violations: {kind:?}")?;
        }
        for violation in &self.violations {
            writeln!(f, "  {violation:?}")?;
        }
        Ok(())
    }
}

/// Judges a journal, record by record, once all its swaps are known.
pub struct Judge {
    windows: BTreeMap<Track, Windows>,
    /// A bit for each request that there was a record of.
    seen: Vec<u64>,
    report: Report,
}

impl Judge {
    /// Takes the swaps, in any order.
    pub fn new(swaps: &[Swap]) -> Self {
        let mut report = Report::default();
        let mut windows = BTreeMap::new();
        for track in Track::ALL {
            let mut swaps: Vec<_> = swaps.iter().filter(|swap| swap.track == track).copied().collect();
            swaps.sort_by_key(|swap| swap.begin);
            for pair in swaps.windows(2) {
                if pair[1].begin < pair[0].end {
                    report.add(Violation::Overlap(pair[1]));
                }
            }
            windows.insert(track, Windows::new(&swaps));
        }
        let mut calls: BTreeMap<u32, Swap> = BTreeMap::new();
        for swap in swaps.iter().filter(|swap| swap.call > 0) {
            calls.entry(swap.call).or_insert(*swap);
        }
        for swap in calls.into_values() {
            match (swap.outcome, swap.bad) {
                (Outcome::Published, false) => report.published += 1,
                (Outcome::Refused, true) => report.refused += 1,
                _ => report.add(Violation::Swapped(swap)),
            }
        }
        Self {
            windows,
            seen: Vec::new(),
            report,
        }
    }

    /// Judges a request.
    pub fn exchange(&mut self, exchange: &Exchange) -> Option<Violation> {
        let violation = self.violation(exchange);
        match violation {
            Some(violation) => self.report.add(violation),
            None => self.report.whole += 1,
        }
        violation
    }

    fn violation(&mut self, exchange: &Exchange) -> Option<Violation> {
        let request = exchange.request as usize;
        let (word, bit) = (request / 64, 1 << (request % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            return Some(Violation::Duplicate(*exchange));
        }
        self.seen[word] |= bit;
        let Ending::Whole { revision, also } = exchange.ending else {
            return Some(Violation::Failed(*exchange));
        };
        if revision != also {
            return Some(Violation::Mixed(*exchange));
        }
        let windows = self.windows.get(&exchange.track)?;
        match windows.judge(revision, exchange.begin, exchange.head) {
            window::Verdict::Allowed => None,
            window::Verdict::Never => Some(Violation::Unpublished(*exchange)),
            window::Verdict::Early => Some(Violation::Early(*exchange)),
            window::Verdict::Replaced(replaced) => Some(Violation::Stale {
                exchange: *exchange,
                replaced,
            }),
        }
    }

    /// Ends with the number of requests that were sent.
    pub fn finish(mut self, sent: u32) -> Report {
        self.report.sent = u64::from(sent);
        let is_seen = |request: u32| {
            let word = self.seen.get(request as usize / 64);
            word.is_some_and(|word| word & (1 << (request % 64)) != 0)
        };
        let missing: Vec<u32> = (0..sent).filter(|request| !is_seen(*request)).collect();
        let seen: u64 = self.seen.iter().map(|word| u64::from(word.count_ones())).sum();
        let known = u64::from(sent) - missing.len() as u64;
        for request in missing {
            self.report.add(Violation::Missing(request));
        }
        // Answers to what nobody sent.
        if seen > known {
            *self.report.counts.entry(Kind::Duplicate).or_default() += seen - known;
        }
        self.report
    }
}

/// Judges a whole journal.
pub fn check(records: &[Record]) -> Report {
    let swaps: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Swap(swap) => Some(*swap),
            _ => None,
        })
        .collect();
    let mut judge = Judge::new(&swaps);
    let mut sent = 0;
    for record in records {
        match record {
            Record::Exchange(exchange) => drop(judge.exchange(exchange)),
            Record::Sent(number) => sent = *number,
            Record::Swap(_) | Record::Phase(_) => {}
        }
    }
    judge.finish(sent)
}
