//! What came of one fault, judged, and the table of them.

use std::fmt;

use midplane_storm::figures::{mebibytes, time};

use crate::client::Seen;
use crate::fault::{Fault, Metric, Must, Shown};
use crate::log::Log;
use crate::neighbour::Measurement;
use crate::process::Reading;

/// Descriptors that may be open more than before: connections of clients and of the host itself that wait for further use.
pub const DESCRIPTORS: u64 = 40;

/// What the p99 of the neighbour may be, against the one when nothing else happens.
pub const RATIO: f64 = 2.0;

/// How many of the neighbour's requests may be left out of a measurement, in percent.
const SET_ASIDE: f64 = 60.0;

/// What is measured of one fault.
pub struct Row {
    /// Which one.
    pub fault: &'static Fault,
    /// What the clients of the hostile service saw; for a deploy, what came of it.
    pub seen: Seen,
    /// What the log came to.
    pub log: Log,
    /// By how much its metrics grew, in their order.
    pub growth: Vec<f64>,
    /// The neighbour, when nothing else happened.
    pub quiet: Measurement,
    /// The neighbour, while it did.
    pub stormy: Measurement,
    /// The neighbour's answer afterwards, if it was none.
    pub afterwards: Option<String>,
    /// The host, idle, before.
    pub before: Reading,
    /// The most memory that it had, in bytes.
    pub peak: u64,
    /// The host, idle again.
    pub after: Reading,
    /// Whether it came to be idle again.
    pub is_idle: bool,
}

impl Row {
    /// Everything that is not as it should be, the neighbour's times left out.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (what, measurement) in [("quiet", &self.quiet), ("under the fault", &self.stormy)] {
            if measurement.count() == 0 {
                faults.push(format!("the neighbour was not measured ({what})"));
            }
            if measurement.failed > 0 || !measurement.failures.is_empty() {
                let (failed, why) = (measurement.failed, measurement.failures.join("; "));
                faults.push(format!(
                    "{failed} requests of the neighbour failed ({what}): {why}"
                ));
            }
        }
        if let Some(why) = &self.afterwards {
            faults.push(format!("the neighbour does not answer afterwards: {why}"));
        }
        faults.extend(self.unexpected());
        if !self.is_idle {
            faults.push("requests are in flight long after the last client left".to_owned());
        }
        if self.after.anonymous > self.before.anonymous + self.fault.kept() {
            faults.push("memory did not come back to its level".to_owned());
        }
        if self.after.descriptors > self.before.descriptors + DESCRIPTORS {
            faults.push("descriptors stayed open".to_owned());
        }
        faults
    }

    /// What clients saw, the log said and the metrics counted, where it is not what must come of the fault.
    fn unexpected(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let fault = self.fault;
        for what in self
            .seen
            .keys()
            .filter(|what| !fault.seen.contains(&what.as_str()))
        {
            faults.push(format!("nobody should see `{what}`"));
        }
        let missing = fault.missing(|what| self.seen.contains_key(what));
        match fault.must {
            _ if missing.is_empty() => {}
            Must::All(_) => faults.extend(missing.iter().map(|what| format!("nobody saw `{what}`"))),
            Must::Any(_) => faults.push(format!("nobody saw any of `{}`", missing.join("`, `"))),
        }
        if self.seen.is_empty() {
            faults.push("nobody saw anything: the fault did not happen".to_owned());
        }
        let is_shown = match fault.log {
            Shown::NoFailure => self.log.failures.is_empty(),
            Shown::Failure(kinds) => kinds.iter().any(|kind| self.log.failures.contains_key(*kind)),
            Shown::Line(_) => self.log.said > 0,
        };
        if !is_shown {
            faults.push(format!("the log does not show {:?}", fault.log));
        }
        if self.log.failures.contains_key("host") {
            faults.push("the log names a failure of the host".to_owned());
        }
        if !fault.spreads() && self.log.repeated > 0 {
            faults.push(format!("{} failures are logged twice", self.log.repeated));
        }
        for line in &self.log.strange {
            faults.push(format!("the host said past its log: {line}"));
        }
        if !self.growth.iter().any(|growth| *growth > 0.0) {
            faults.push(format!("none of {:?} grew", fault.metrics));
        }
        faults
    }

    /// How the neighbour's p99 compares.
    pub fn ratio(&self) -> f64 {
        self.stormy.times.at(99.0) as f64 / self.quiet.times.at(99.0).max(1) as f64
    }

    /// As [`Self::faults`], with the neighbour's times.
    pub fn all_faults(&self) -> Vec<String> {
        let mut faults = self.faults();
        if [&self.quiet, &self.stormy]
            .iter()
            .any(|one| one.set_aside_percent() > SET_ASIDE)
        {
            faults.push("the machine stood still too often to measure anything on it".to_owned());
        }
        if self.ratio() > RATIO {
            faults.push(format!(
                "the neighbour's p99 is {:.1} × what it was",
                self.ratio()
            ));
        }
        faults
    }
}

/// Rows as a table in Markdown.
pub struct Table<'a>(pub &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault | client sees | log | metric | neighbour p50 | neighbour p99 | ratio | set aside | memory | descriptors | passed |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        for row in self.0 {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} → {} | {} → {} | {:.2} | {:.0} % → {:.0} % | {} → {} (peak {}) | {} → {} | {} |",
                row.fault.name,
                list(row.seen.iter()),
                list(row.log.failures.iter()),
                metric(row),
                time(row.quiet.times.at(50.0)),
                time(row.stormy.times.at(50.0)),
                time(row.quiet.times.at(99.0)),
                time(row.stormy.times.at(99.0)),
                row.ratio(),
                row.quiet.set_aside_percent(),
                row.stormy.set_aside_percent(),
                mebibytes(row.before.anonymous),
                mebibytes(row.after.anonymous),
                mebibytes(row.peak),
                row.before.descriptors,
                row.after.descriptors,
                if row.all_faults().is_empty() {
                    "yes"
                } else {
                    "**no**"
                },
            )?;
        }
        Ok(())
    }
}

fn list<'a>(counts: impl Iterator<Item = (&'a String, &'a u64)>) -> String {
    let counts: Vec<_> = counts.map(|(what, count)| format!("{what} × {count}")).collect();
    match counts.is_empty() {
        true => "–".to_owned(),
        false => counts.join(", "),
    }
}

/// Those that grew.
fn metric(row: &Row) -> String {
    let metrics = row.fault.metrics.iter().zip(&row.growth);
    let grown = metrics.filter(|(_, growth)| **growth > 0.0);
    let shown: Vec<_> = grown
        .map(|(Metric { name, label, .. }, growth)| match *label {
            "" => format!("`{name}` +{}", short(*growth)),
            label => format!("`{name}{{{label}}}` +{}", short(*growth)),
        })
        .collect();
    match shown.is_empty() {
        true => "–".to_owned(),
        false => shown.join(", "),
    }
}

fn short(value: f64) -> String {
    match value.fract() == 0.0 {
        true => format!("{value:.0}"),
        false => format!("{value:.2}"),
    }
}
