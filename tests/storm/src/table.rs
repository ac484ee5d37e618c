//! The figures as tables in Markdown.

use std::fmt;

use crate::check::Kind;
use crate::figures::{Figures, Row, Times};
use crate::plan::Plan;
use crate::record::Change;
use crate::storm::Aftermath;

/// The tables of a storm.
pub struct Table<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// What came of it.
    pub figures: &'a Figures,
    /// What is known beside.
    pub aftermath: &'a Aftermath,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.phases(f)?;
        self.requests(f)?;
        self.ways(f)?;
        self.swaps(f)?;
        self.rest(f)
    }
}

impl Table<'_> {
    fn phases(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| phase | requests | errors | wrong revision | published | refused | p50 | p99 | max | memory after |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        let names = self.plan.phases.iter().map(|phase| phase.name.as_str());
        for (number, (row, name)) in self
            .figures
            .rows
            .iter()
            .zip(names.chain(["the last ones"]))
            .enumerate()
        {
            if row.requests == 0 {
                continue;
            }
            let memory = self.aftermath.memory.get(number + 1);
            writeln!(
                f,
                "| {name} | {} | {} | {} | {} | {} | {} | {} |",
                row.requests,
                row.errors,
                row.wrong,
                row.published,
                row.refused,
                spread(&row.times),
                memory.map_or_else(|| "–".to_owned(), |bytes| mebibytes(*bytes))
            )?;
        }
        let sum = |of: fn(&Row) -> u64| self.figures.rows.iter().map(of).sum::<u64>();
        writeln!(
            f,
            "| all | {} | {} | {} | {} | {} | | | | {} |\n",
            sum(|row| row.requests),
            sum(|row| row.errors),
            sum(|row| row.wrong),
            sum(|row| row.published),
            sum(|row| row.refused),
            self.aftermath
                .memory_at_rest
                .map_or_else(|| "–".to_owned(), mebibytes)
        )
    }

    /// Without the phases that rush: what waits for a worker there says nothing of the host.
    fn requests(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| requests on schedule | count | p50 | p99 | max |\n| --- | --- | --- | --- | --- |"
        )?;
        for (name, change) in [
            ("steady", Change::Nothing),
            ("while services are deployed", Change::Deploy),
            ("while manifests are applied", Change::Apply),
        ] {
            let mut times = Times::default();
            for (row, phase) in self.figures.rows.iter().zip(&self.plan.phases) {
                if phase.change == change && !phase.rush {
                    times.add_all(&row.times);
                }
            }
            writeln!(f, "| {name} | {} | {} |", times.count(), spread(&times))?;
        }
        writeln!(f)
    }

    fn ways(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| way | requests | failed or wrong |\n| --- | --- | --- |")?;
        for (way, requests, bad) in &self.figures.ways {
            writeln!(f, "| {} | {requests} | {bad} |", way.as_str())?;
        }
        writeln!(f)
    }

    fn swaps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut drain = Times::default();
        for took in self.aftermath.drains.iter().filter_map(|drain| drain.took) {
            drain.add((took * 1000.0) as u64);
        }
        writeln!(
            f,
            "| swap | count | p50 | p99 | max |\n| --- | --- | --- | --- | --- |"
        )?;
        let swaps = &self.figures.swaps;
        for (name, times) in [
            ("whole call", &swaps.call),
            ("prepare", &swaps.prepare),
            ("sync of the journal", &swaps.sync),
            ("publish", &swaps.publish),
            ("drain", &drain),
        ] {
            writeln!(f, "| {name} | {} | {} |", times.count(), spread(times))?;
        }
        writeln!(f)
    }

    fn rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.figures.report;
        let interrupted: u64 = self.aftermath.drains.iter().map(|drain| drain.interrupted).sum();
        writeln!(
            f,
            "{:.0} requests a second on schedule. Sent {}, whole and right answers {}, dropped {}, answered by a revision that \
             was retired before {}. Interrupted while draining {interrupted}, still draining {}, connections closed by the \
             host {}.",
            self.aftermath.rate,
            report.sent,
            report.whole,
            report.count(Kind::Missing) + report.count(Kind::Failed),
            report.count(Kind::Stale),
            self.aftermath.undrained,
            self.aftermath.closed
        )?;
        if let (Some(before), Some(after)) = (self.aftermath.memory.first(), self.aftermath.memory_at_rest) {
            writeln!(
                f,
                "Resident memory of the host: {} before, {} after {} swaps and {} refusals, at rest.",
                mebibytes(*before),
                mebibytes(after),
                report.published,
                report.refused
            )?;
        }
        Ok(())
    }
}

/// Three cells.
fn spread(times: &Times) -> String {
    if times.count() == 0 {
        return "– | – | –".to_owned();
    }
    [times.at(50.0), times.at(99.0), times.max()]
        .map(time)
        .join(" | ")
}

/// Microseconds, with a unit that suits them.
pub fn time(micros: u64) -> String {
    let value = micros as f64;
    match micros {
        ..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.2} ms", value / 1e3),
        _ => format!("{:.2} s", value / 1e6),
    }
}

/// Bytes as whole mebibytes.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
