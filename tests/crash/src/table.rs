//! The figures as tables in Markdown.

use std::fmt;
use std::time::Duration;

use crate::app::Sharing;
use crate::deploy;
use crate::judge::{Count, Fault};
use crate::storm::Outcome;

/// The tables of a storm.
pub struct Table<'a>(pub &'a Outcome);

/// What a row is about: by whom, into what.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    service: &'static str,
    store: &'static str,
}

const ROWS: [Row; 5] = [
    row("key-value, WASI 0.2", "p2-", "key-value"),
    row("key-value, WASI 0.3", "p3-", "key-value"),
    row("SQLite, WASI 0.2", "p2-", "sqlite"),
    row("SQLite, WASI 0.3", "p3-", "sqlite"),
    row("deploys", "", deploy::STORE),
];

const fn row(name: &'static str, service: &'static str, store: &'static str) -> Row {
    Row { name, service, store }
}

impl Row {
    fn has(self, store: &str, key: &str) -> bool {
        store.ends_with(self.store) && key.starts_with(self.service)
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.0;
        writeln!(
            f,
            "| writes | data | sent | acknowledged | refused | lost | wrong |\n\
             | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        for row in ROWS {
            for sharing in Sharing::ALL {
                let mut sum = Count::default();
                let of = outcome.counts.iter().filter(|(of, ..)| *of == sharing);
                for (_, _, _, count) in of.filter(|(_, store, key, _)| row.has(store, key)) {
                    sum.sent += count.sent;
                    sum.acknowledged += count.acknowledged;
                    sum.refused += count.refused;
                }
                let violations = outcome
                    .violations
                    .iter()
                    .filter(|(of, violation)| *of == sharing && row.has(&violation.store, &violation.key));
                let (lost, wrong): (Vec<_>, Vec<_>) =
                    violations.partition(|(_, violation)| violation.fault == Fault::Lost);
                writeln!(
                    f,
                    "| {} | {} | {} | {} | {} | {} | {} |",
                    row.name,
                    sharing.as_str(),
                    sum.sent,
                    sum.acknowledged,
                    sum.refused,
                    lost.len(),
                    wrong.len()
                )?;
            }
        }
        let mut starts = outcome.starts.clone();
        starts.sort_unstable();
        writeln!(
            f,
            "\n| kills | of them while deploying | while starting | databases checked | damaged | restarts | failed | \
             restart p50 | p99 | other faults |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        writeln!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            outcome.kills + outcome.starting,
            outcome.deploying,
            outcome.starting,
            outcome.checked,
            outcome.damaged.len(),
            outcome.starts.len() + outcome.failed_starts.len(),
            outcome.failed_starts.len(),
            time(percentile(&starts, 50)),
            time(percentile(&starts, 99)),
            outcome.remarks.len(),
        )?;
        for (sharing, violation) in &outcome.violations {
            writeln!(f, "{}: {violation}", sharing.as_str())?;
        }
        let others = [&outcome.damaged, &outcome.failed_starts, &outcome.remarks];
        others
            .into_iter()
            .flatten()
            .try_for_each(|text| writeln!(f, "{text}"))
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied()
}

fn time(time: Option<Duration>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| format!("{} ms", time.as_millis()))
}
