//! What a watch says, in the log: lines about a service bear its name.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use super::super::Failure;
use crate::model::ServiceName;

/// The most bytes of a build's output that are kept.
const MAX_OUTPUT: usize = 256 * 1024;

/// The end of what a build says, to be shown if it fails.
#[derive(Default)]
pub(super) struct Output {
    lines: VecDeque<String>,
    bytes: usize,
    /// Lines that were not kept.
    dropped: usize,
}

impl Output {
    /// The lines, with a note of how many are missing before them.
    fn into_lines(self) -> impl Iterator<Item = String> {
        let note = (self.dropped > 0).then(|| format!("… {} lines before", self.dropped));
        note.into_iter().chain(self.lines)
    }
}

/// Each write is one line or several whole ones, as [`build`](super::super::build) writes them.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let (first, rest) = match text.split_once('\n') {
            Some((first, rest)) => (first, Some(rest)),
            None => (&*text, None),
        };
        self.extend(first);
        if let Some(rest) = rest {
            for line in rest.split('\n') {
                self.lines.push_back(String::new());
                self.extend(line);
            }
        }
        while self.bytes > MAX_OUTPUT
            && self.lines.len() > 1
            && let Some(line) = self.lines.pop_front()
        {
            self.bytes -= line.len();
            self.dropped += 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    /// Adds to the line that has begun.
    fn extend(&mut self, text: &str) {
        match self.lines.back_mut() {
            Some(line) => line.push_str(text),
            None => self.lines.push_back(text.to_owned()),
        }
        self.bytes += text.len();
    }
}

/// A build begins.
pub(super) fn building(service: &ServiceName, why: &str) {
    tracing::info!(service = service.as_str(), "changed ({why}): building");
}

/// A build ended well.
pub(super) fn built(service: &ServiceName, took: Duration) {
    tracing::info!(service = service.as_str(), "built in {took:.1?}");
}

/// A build of `services` failed.
pub(super) fn build_failed(services: &[ServiceName], failure: &Failure, output: Output) {
    if let Some(first) = services.first() {
        for line in output.into_lines().filter(|line| !line.is_empty()) {
            tracing::warn!(service = first.as_str(), "{line}");
        }
    }
    for service in services {
        tell(Some(service), failure);
        tracing::warn!(
            service = service.as_str(),
            "the build failed; the revision of before goes on serving"
        );
    }
}

/// A change was published, or there was none to publish.
pub(super) fn done(text: &str) {
    for line in text.lines() {
        tracing::info!("{line}");
    }
}

/// A change of `services` was not let in.
pub(super) fn not_swapped<'s>(services: impl IntoIterator<Item = &'s ServiceName>, failure: &Failure) {
    tell(None, failure);
    for service in services {
        tracing::warn!(
            service = service.as_str(),
            "not swapped; the revision of before goes on serving"
        );
    }
}

/// Services that were not let in before are not now.
pub(super) fn still_not_swapped<'s>(services: impl IntoIterator<Item = &'s ServiceName>, failure: &Failure) {
    for service in services {
        tracing::info!(service = service.as_str(), "still not swapped: {}", failure.error);
    }
}

/// The app stays as it is.
pub(super) fn not_applied(failure: &Failure) {
    tell(None, failure);
    tracing::warn!("the change of the app is not in force; what was served goes on being served");
}

/// The manifest says what it said before it could not be read.
pub(super) fn readable_again() {
    tracing::info!("the manifest is in order again, and the same as before");
}

/// Not all files are watched any more.
pub(super) fn not_watched(failure: &Failure) {
    tell(None, failure);
    tracing::warn!("some files are not watched");
}

/// The causes of a failure, and what to do about it.
fn tell(service: Option<&ServiceName>, failure: &Failure) {
    let service = service.map(ServiceName::as_str);
    let mut last = String::new();
    for cause in failure.error.chain() {
        let cause = cause.to_string();
        // A transparent error says the same as its source.
        if cause != last {
            for line in cause.lines() {
                tracing::warn!(service, "{line}");
            }
        }
        last = cause;
    }
    if let Some(hint) = &failure.hint {
        tracing::warn!(service, "hint: {hint}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_output_is_kept() {
        let mut output = Output::default();
        let line = "x".repeat(1023);
        for _ in 0..MAX_OUTPUT / 1024 * 2 {
            writeln!(output, "{line}").unwrap();
        }
        write!(output, "the ").unwrap();
        writeln!(output, "end").unwrap();
        assert!(output.bytes <= MAX_OUTPUT);
        let dropped = output.dropped;
        let lines: Vec<String> = output.into_lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines[0], format!("… {dropped} lines before"));
        assert_eq!(lines.last().unwrap(), "the end");
        assert_eq!(lines.len() - 2 + dropped, MAX_OUTPUT / 1024 * 2);
    }
}
