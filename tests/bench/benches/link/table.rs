//! The figures of one run, and how they compare.

use std::fmt;

/// The way that is no way of this host.
pub const HTTP: &str = "HTTP, native axum";

/// What one case took on one way; all times are nanoseconds of one call.
#[derive(Debug, Clone)]
pub struct Row {
    pub case: &'static str,
    pub way: String,
    /// The way to compare with.
    pub composed: Option<&'static str>,
    pub mean: f64,
    pub median: f64,
    /// The 99th percentile.
    pub high: f64,
}

/// All rows.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Extend<Row> for Table {
    fn extend<I: IntoIterator<Item = Row>>(&mut self, rows: I) {
        self.0.extend(rows);
    }
}

impl Table {
    fn row(&self, case: &str, way: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.case == case && row.way == way)
    }

    /// How often the median fits into that of HTTP. Bytes are bytes there, however the contract wraps them.
    fn faster_than_http(&self, row: &Row) -> Option<f64> {
        let case = row.case.trim_start_matches("checked-");
        let http = self.row(case.trim_start_matches("nested-"), HTTP)?;
        (row.way != HTTP).then_some(http.median / row.median)
    }

    /// How often the mean of the same call, composed, fits into the mean: a composed call takes less than its part of
    /// reading the clock, which the median has.
    fn slower_than_composed(&self, row: &Row) -> Option<f64> {
        let composed = self.row(row.case, row.composed?)?;
        Some(row.mean / composed.mean)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "| case | way | mean | p50 | p99 | faster than HTTP (p50) | slower than composed (mean) |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- |")?;
        for row in &self.0 {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.case,
                row.way,
                time(row.mean),
                time(row.median),
                time(row.high),
                times(self.faster_than_http(row)),
                times(self.slower_than_composed(row))
            )?;
        }
        Ok(())
    }
}

fn time(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        1e3..1e6 => format!("{:.2} µs", nanos / 1e3),
        _ => format!("{:.2} ms", nanos / 1e6),
    }
}

fn times(ratio: Option<f64>) -> String {
    match ratio {
        None => "–".to_owned(),
        Some(ratio @ ..1.0) => format!("{ratio:.2} ×"),
        Some(ratio @ ..10.0) => format!("{ratio:.1} ×"),
        Some(ratio) => format!("{ratio:.0} ×"),
    }
}
