//! What a journal comes to in figures: how many requests each phase had and how long they took, and how long changes took.

use std::io;

use hdrhistogram::Histogram;

use crate::check::{Judge, Kind, Report};
use crate::journal::Journal;
use crate::record::{Exchange, Outcome, Record, Span, Swap, Way};

pub use crate::table::{Table, mebibytes, time};

/// The longest time that is told apart, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// A distribution of times, in microseconds.
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

impl Times {
    fn new() -> Self {
        // The bounds are constants that the crate takes, with three significant digits.
        match Histogram::new_with_bounds(1, LONGEST, 3) {
            Ok(histogram) => Self(histogram),
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Another one. Less than a microsecond is one.
    pub fn add(&mut self, micros: u64) {
        self.0.saturating_record(micros.max(1));
    }

    /// All of others as well.
    pub fn add_all(&mut self, others: &Self) {
        // The bounds are the same.
        let added = self.0.add(&others.0);
        debug_assert!(added.is_ok());
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time, in microseconds, that so many percent do not exceed.
    pub fn at(&self, percent: f64) -> u64 {
        self.0.value_at_percentile(percent)
    }

    /// The longest, in microseconds.
    pub fn max(&self) -> u64 {
        self.0.max()
    }
}

/// What one phase came to.
#[derive(Default)]
pub struct Row {
    /// Requests that were to start in it.
    pub requests: u64,
    /// Those of them without a whole answer.
    pub errors: u64,
    /// Those that were answered by a revision that had no business to.
    pub wrong: u64,
    /// Changes that were published.
    pub published: u64,
    /// Changes that were refused as they should be.
    pub refused: u64,
    /// From when they were to start until the whole answer, without those that take as long as they are told.
    pub times: Times,
}

/// How long published changes took.
#[derive(Default)]
pub struct Swaps {
    /// The call, as its caller sees it.
    pub call: Times,
    /// Preparing.
    pub prepare: Times,
    /// Syncing the journal.
    pub sync: Times,
    /// Publishing, without the sync.
    pub publish: Times,
}

/// All figures of a journal.
pub struct Figures {
    /// One for each phase, in order, and one for what was sent between the last one and the end.
    pub rows: Vec<Row>,
    /// Changes.
    pub swaps: Swaps,
    /// Requests by the way they went, with those that failed or were wrong.
    pub ways: [(Way, u64, u64); Way::ALL.len()],
    /// What the judge says.
    pub report: Report,
}

/// Reads a journal twice: for the changes and phases, then for the requests.
///
/// # Errors
/// Those of the journal.
pub fn of(journal: &Journal) -> io::Result<Figures> {
    let (mut swaps, mut spans, mut sent) = (Vec::new(), Vec::new(), 0);
    for record in journal.records()? {
        match record? {
            Record::Swap(swap) => swaps.push(swap),
            Record::Phase(span) => spans.push(span),
            Record::Sent(number) => sent = number,
            Record::Exchange(_) => {}
        }
    }
    spans.sort_by_key(|span| span.begin);
    let mut figures = Figures {
        rows: (0..=spans.len()).map(|_| Row::default()).collect(),
        swaps: Swaps::default(),
        ways: Way::ALL.map(|way| (way, 0, 0)),
        report: Report::default(),
    };
    figures.add_swaps(&swaps, &spans);
    let mut judge = Judge::new(&swaps);
    for record in journal.records()? {
        if let Record::Exchange(exchange) = record? {
            let kind = judge.exchange(&exchange).map(|violation| violation.kind());
            figures.add_exchange(&exchange, kind, &spans);
        }
    }
    figures.report = judge.finish(sent);
    Ok(figures)
}

impl Figures {
    fn add_swaps(&mut self, swaps: &[Swap], spans: &[Span]) {
        let mut last = 0;
        for swap in swaps {
            // One that is about several tracks has a record for each, one after another.
            if swap.call == last {
                continue;
            }
            last = swap.call;
            let row = place(spans, swap.begin);
            match swap.outcome {
                Outcome::Published => {
                    self.rows[row].published += 1;
                    self.swaps.call.add((swap.end - swap.begin) / 1000);
                    self.swaps.prepare.add(u64::from(swap.prepare));
                    self.swaps.sync.add(u64::from(swap.sync));
                    self.swaps.publish.add(u64::from(swap.publish));
                }
                Outcome::Refused => self.rows[row].refused += 1,
                Outcome::RefusedOtherwise | Outcome::Unknown => {}
            }
        }
    }

    fn add_exchange(&mut self, exchange: &Exchange, violation: Option<Kind>, spans: &[Span]) {
        let row = &mut self.rows[place(spans, exchange.scheduled)];
        row.requests += 1;
        match violation {
            None => {}
            Some(Kind::Stale | Kind::Early | Kind::Unpublished | Kind::Mixed) => row.wrong += 1,
            Some(_) => row.errors += 1,
        }
        if !exchange.is_slow() {
            row.times
                .add(exchange.end.saturating_sub(exchange.scheduled) / 1000);
        }
        for (way, requests, bad) in &mut self.ways {
            if *way == exchange.way {
                *requests += 1;
                *bad += u64::from(violation.is_some());
            }
        }
    }
}

/// The phase of a time; the one after the last for what is later.
fn place(spans: &[Span], time: u64) -> usize {
    spans.partition_point(|span| span.end <= time)
}
