//! What a service printed and how it failed, kept for the test that runs it.
//!
//! The host says these through `tracing`. A request of a test is polled with a subscriber of its own, which keeps what is about
//! guests and passes everything on to whatever subscriber the test has.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::telemetry::{field, target};

/// How many lines are kept: the last ones.
const MAX_LINES: usize = 10_000;

/// A line of the log of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it comes from.
    pub source: LogSource,
    /// What it says. A failure has its Wasm frames below it, one a line.
    pub text: String,
}

/// Where a line of a log comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// The guest printed it on standard output.
    Stdout,
    /// The guest printed it on standard error.
    Stderr,
    /// The guest failed.
    Failure,
    /// The host warns of something that the guest did, such as a call that is not granted.
    Host,
}

/// The text, after where it comes from.
impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            LogSource::Stdout => "stdout",
            LogSource::Stderr => "stderr",
            LogSource::Failure => "failure",
            LogSource::Host => "host",
        };
        write!(f, "{source}: {}", self.text)
    }
}

/// The lines of one service.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    /// How many there were before those that are kept.
    forgotten: usize,
}

impl Log {
    pub(super) fn lines(&self) -> Vec<LogLine> {
        self.0.lock().kept.iter().cloned().collect()
    }

    /// What was said after the first `before` lines ([`said`](Self::said)), for an error.
    pub(super) fn since(&self, before: usize) -> String {
        const MAX_SHOWN: usize = 50;
        let lines = self.0.lock();
        let new = before.saturating_sub(lines.forgotten);
        lines
            .kept
            .iter()
            .skip(new.max(lines.kept.len().saturating_sub(MAX_SHOWN)))
            .map(|line| format!("\n  {}", line.to_string().replace('\n', "\n    ")))
            .collect()
    }

    /// How many lines there were, with those that are no longer kept.
    pub(super) fn said(&self) -> usize {
        let lines = self.0.lock();
        lines.forgotten + lines.kept.len()
    }

    fn push(&self, line: LogLine) {
        let mut lines = self.0.lock();
        if lines.kept.len() == MAX_LINES {
            lines.kept.pop_front();
            lines.forgotten += 1;
        }
        lines.kept.push_back(line);
    }

    /// A subscriber that keeps lines here, in front of the present one.
    pub(super) fn dispatch(&self) -> Dispatch {
        Dispatch::new(Keeper {
            log: self.clone(),
            next: tracing::dispatcher::get_default(Dispatch::clone),
        })
    }
}

struct Keeper {
    log: Log,
    next: Dispatch,
}

impl Keeper {
    fn keeps(metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && (matches!(metadata.target(), target::GUEST | target::FAILURE)
                || (metadata.target().starts_with("midplane::") && *metadata.level() <= Level::WARN))
    }
}

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::keeps(metadata) || self.next.enabled(metadata)
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The next one may change its mind.
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        // The next one has its own say about this.
        Some(tracing::level_filters::LevelFilter::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        if Self::keeps(metadata) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let source = match (metadata.target(), fields.stream.as_str()) {
                (target::FAILURE, _) => LogSource::Failure,
                (target::GUEST, "stdout") => LogSource::Stdout,
                (target::GUEST, _) => LogSource::Stderr,
                _ => LogSource::Host,
            };
            let mut text = fields.message;
            if !fields.backtrace.is_empty() {
                text.push('\n');
                text.push_str(&fields.backtrace);
            }
            self.log.push(LogLine { source, text });
        }
        if self.next.enabled(metadata) {
            self.next.event(event);
        }
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.next.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.next.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.next.record_follows_from(span, follows);
    }

    fn enter(&self, span: &Id) {
        self.next.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.next.exit(span);
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.next.clone_span(span)
    }

    fn try_close(&self, span: Id) -> bool {
        self.next.try_close(span)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    stream: String,
    backtrace: String,
}

impl Fields {
    fn place(&mut self, field: &Field) -> Option<&mut String> {
        match field.name() {
            "message" => Some(&mut self.message),
            field::STREAM => Some(&mut self.stream),
            field::BACKTRACE => Some(&mut self.backtrace),
            _ => None,
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(place) = self.place(field) {
            value.clone_into(place);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(place) = self.place(field) {
            *place = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::dispatcher::with_default;

    use super::*;

    #[test]
    fn a_line_is_kept_and_passed_on() {
        let (outer, inner) = (Log::default(), Log::default());
        with_default(&outer.dispatch(), || {
            with_default(&inner.dispatch(), || {
                tracing::info!(target: target::GUEST, message = "hello", { field::STREAM } = "stdout");
                tracing::error!(target: target::FAILURE, message = "it trapped", { field::BACKTRACE } = "frames");
                tracing::warn!(target: "midplane::capability", "denied");
                tracing::info!(target: "midplane::gateway", "not about the guest");
                tracing::warn!(target: "elsewhere", "not about the host");
            });
        });
        let lines: Vec<String> = inner.lines().iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            ["stdout: hello", "failure: it trapped\nframes", "host: denied"]
        );
        assert_eq!(outer.lines(), inner.lines());
    }

    #[test]
    fn only_so_many_lines_are_kept() {
        let log = Log::default();
        for number in 0..=MAX_LINES {
            log.push(LogLine {
                source: LogSource::Stdout,
                text: number.to_string(),
            });
        }
        assert_eq!(log.lines().len(), MAX_LINES);
        assert_eq!(log.said(), MAX_LINES + 1);
        assert_eq!(
            log.lines().first().map(|line| line.text.clone()),
            Some("1".to_owned())
        );
        assert_eq!(log.since(MAX_LINES), format!("\n  stdout: {MAX_LINES}"));
        assert_eq!(log.since(log.said()), "");
        assert_eq!(log.since(0).lines().count(), 51, "an empty one, and the last 50");
    }
}
