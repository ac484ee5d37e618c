//! What a host logged, one JSON object a line.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// The most lines that are kept of those that nobody should see.
const MAX_STRANGE: usize = 5;

/// What a log came to.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Failures of guests, by kind.
    pub failures: BTreeMap<String, u64>,
    /// Requests about which a failure of one service was told more than once.
    pub repeated: u64,
    /// Lines that say one of the things that were looked for.
    pub said: u64,
    /// Lines that are no JSON, as a panic of the host makes them; the first few.
    pub strange: Vec<String>,
}

/// Reads a log, and counts the lines in which one of `wanted` stands.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path, wanted: &[&str]) -> anyhow::Result<Log> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(of(BufReader::new(file), wanted)?)
}

/// The same of lines from anywhere.
///
/// # Errors
/// If they cannot be read.
pub fn of(lines: impl BufRead, wanted: &[&str]) -> io::Result<Log> {
    let mut log = Log::default();
    let mut told = HashSet::new();
    for line in lines.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        log.said += u64::from(wanted.iter().any(|wanted| line.contains(wanted)));
        log.add(&line, &mut told);
    }
    Ok(log)
}

impl Log {
    fn add(&mut self, line: &str, told: &mut HashSet<(String, String)>) {
        // Most lines are not about failures, and there may be millions.
        if line.starts_with('{') && !line.contains("midplane::failure") {
            return;
        }
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            if self.strange.len() < MAX_STRANGE {
                self.strange.push(line.to_owned());
            }
            return;
        };
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("target") != "midplane::failure" {
            return;
        }
        *self.failures.entry(text("kind").to_owned()).or_default() += 1;
        let about = (text("service").to_owned(), text("request_id").to_owned());
        if !about.1.is_empty() && !told.insert(about) {
            self.repeated += 1;
        }
    }
}
