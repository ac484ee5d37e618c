//! What a host logged, one JSON object a line.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
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
    /// Lines that are no JSON, as a panic of the host makes them; the first few.
    pub strange: Vec<String>,
}

/// Reads a log.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> anyhow::Result<Log> {
    let mut log = Log::default();
    let mut told = HashSet::new();
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    for line in BufReader::new(file).split(b'\n') {
        log.add(&String::from_utf8_lossy(&line?), &mut told);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_kind_and_each_is_to_be_told_once() {
        let failure = |kind: &str, id: &str| {
            format!(r#"{{"target":"midplane::failure","kind":"{kind}","service":"a","request_id":"{id}"}}"#)
        };
        let mut log = Log::default();
        let mut told = HashSet::new();
        let lines = [
            failure("trap", "1"),
            failure("trap", "2"),
            failure("memory", "2"),
            r#"{"target":"midplane::guest","message":"thread panicked"}"#.to_owned(),
            "thread 'worker' panicked at src/x.rs:1:2:".to_owned(),
        ];
        for line in lines {
            log.add(&line, &mut told);
        }
        assert_eq!(
            log.failures,
            [("memory".to_owned(), 1), ("trap".to_owned(), 2)].into()
        );
        assert_eq!((log.repeated, log.strange.len()), (1, 1));
    }
}
