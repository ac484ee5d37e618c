//! What the host says about itself: log lines, access records, what guests print, metrics, and traces.
//!
//! Every line of the log passes through here, so the names of its fields stand in one place ([`field`]),
//! hostile text is made harmless in one place, and every line has a bound. Lines go to standard error through
//! a bounded queue and a thread of its own: a slow terminal delays no request, it costs lines, which are
//! counted. Standard output belongs to the commands. The other modules of the host use the macros of
//! `tracing` and the functions below.

mod escape;
mod event;
mod format;
mod guest;
mod layer;
pub mod metrics;
mod request_id;
mod sink;
mod tail;
#[cfg(test)]
mod tests;
pub mod trace;

use std::io::{self, BufWriter, IsTerminal};

use thiserror::Error;
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt};

pub use self::{
    event::{
        AccessRecord, FailureKind, GuestFailure, Origin, ResponseEnd, access, access_enabled, guest_failure,
        guest_line,
    },
    guest::{GuestOutput, Stream},
    metrics::Metrics,
    request_id::RequestId,
    tail::{Tail, TailLine, TailStream},
    trace::Tracer,
};
use self::{
    format::{Format, Style},
    layer::LogLayer,
    sink::Sink,
};

/// `text` of any number of lines, as it may be shown on a terminal: names in components and files can hold anything.
#[must_use]
pub fn harmless(text: &str) -> String {
    escape::lines(text)
}

/// A JSON text, as it may be shown on a terminal; it means what it meant.
#[must_use]
pub fn harmless_json(text: &str) -> String {
    escape::json(text)
}

/// A time in UTC as RFC 3339 has it, to the millisecond.
#[must_use]
pub fn timestamp(time: std::time::SystemTime) -> String {
    format::Timestamp::of(time).to_string()
}

/// The names of the fields of log lines, the same in both formats.
pub mod field {
    /// The services by which a request came to the one that failed.
    pub const CHAIN: &str = "chain";
    /// The id that all lines of one request share; also in problem responses.
    pub const REQUEST_ID: &str = "request_id";
    /// The service that a line is about.
    pub const SERVICE: &str = "service";
    /// The revision of that service.
    pub const REVISION: &str = "revision";
    /// `stdout` or `stderr`, on lines that a guest printed.
    pub const STREAM: &str = "stream";
    /// What kind of failure a guest met, see [`FailureKind`](super::FailureKind).
    pub const KIND: &str = "kind";
    /// The Wasm frames of a failure, one a line.
    pub const BACKTRACE: &str = "backtrace";
    /// The request method.
    pub const METHOD: &str = "method";
    /// The path of the request without its query.
    pub const PATH: &str = "path";
    /// The status code of the response.
    pub const STATUS: &str = "status";
    /// From the first byte of the request's head to the last of the response's body, in milliseconds.
    pub const DURATION_MS: &str = "duration_ms";
    /// Bytes of the request's body.
    pub const REQUEST_BYTES: &str = "request_bytes";
    /// Bytes of the response's body.
    pub const RESPONSE_BYTES: &str = "response_bytes";
    /// `complete`, or `cut` when the response ended before its body did.
    pub const END: &str = "end";
    /// The address of the client.
    pub const CLIENT: &str = "client";
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub const PROTOCOL: &str = "protocol";
}

/// The targets that a log filter can name, besides the modules of the host (`midplane::gateway` …).
pub mod target {
    /// The access log.
    pub const ACCESS: &str = "midplane::access";
    /// What guests print.
    pub const GUEST: &str = "midplane::guest";
    /// Guests that trapped, panicked or ran out of time.
    pub const FAILURE: &str = "midplane::failure";
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: a short line an event, times in UTC.
    #[default]
    Text,
    /// For machines: one JSON object a line, its fields flat.
    Json,
}

/// Whether text lines are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set (<https://no-color.org>) or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to log, and how.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The format of a line.
    pub format: LogFormat,
    /// Only warnings and errors, and nothing of what guests print.
    pub quiet: bool,
    /// Targets and levels such as `info,midplane::gateway=debug`. It replaces the default levels and `quiet`.
    pub filter: Option<String>,
    /// One line a request, whatever the levels are.
    pub access_log: bool,
    /// Colours, of text only.
    pub color: Color,
}

/// Why the log could not be set up.
#[derive(Debug, Error)]
pub enum Error {
    /// The filter is not a list of `level` and `target=level`.
    #[error("`{filter}` is not a log filter")]
    Filter {
        /// The offending text.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The thread that writes the lines could not be started.
    #[error("cannot start the thread of the log")]
    Thread(#[source] io::Error),
    /// Another subscriber is installed in this process.
    #[error("the log is already set up")]
    AlreadySet(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Keeps the log alive. Dropping it writes the lines that still wait, for at most a second; those logged
/// later come out when there is time.
#[derive(Debug)]
pub struct Guard {
    sink: Sink,
    tail: Tail,
}

impl Guard {
    /// A reader of how many lines were dropped, for [`Metrics::watch_log`].
    #[must_use]
    pub fn dropped_lines(&self) -> DroppedLines {
        DroppedLines(self.sink.clone())
    }

    /// The last lines of each service, whatever the options show of them.
    #[must_use]
    pub fn tail(&self) -> Tail {
        self.tail.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.sink.flush();
    }
}

/// Reads how many log lines were dropped because the log's reader was too slow.
#[derive(Clone, Debug)]
pub struct DroppedLines(Sink);

impl DroppedLines {
    /// The number of lines since the start.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.dropped()
    }
}

/// Sets up the log of this process, on standard error.
///
/// # Errors
/// When the filter does not parse, the process has a log already, or no thread can be started.
pub fn init(options: &LogOptions) -> Result<Guard, Error> {
    let targets = targets(options)?;
    let sink = Sink::start(BufWriter::with_capacity(64 * 1024, io::stderr())).map_err(Error::Thread)?;
    let guard = Guard {
        sink: sink.clone(),
        tail: Tail::new(),
    };
    let layer = LogLayer::new(format(options), move |line| sink.put(line)).filtered(targets, guard.tail());
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).map_err(Error::AlreadySet)?;
    Ok(guard)
}

fn format(options: &LogOptions) -> Format {
    let colored = match options.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
                || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
            !refused && io::stderr().is_terminal()
        }
    };
    match options.format {
        LogFormat::Text if colored => Format::Text(Style::Colored),
        LogFormat::Text => Format::Text(Style::Plain),
        LogFormat::Json => Format::Json,
    }
}

fn targets(options: &LogOptions) -> Result<Targets, Error> {
    let targets = match &options.filter {
        Some(filter) => filter.parse().map_err(|source| Error::Filter {
            filter: filter.clone(),
            source,
        })?,
        None if options.quiet => Targets::new()
            .with_default(Level::WARN)
            .with_target(target::GUEST, LevelFilter::OFF),
        None => Targets::new()
            .with_default(Level::WARN)
            .with_target("midplane", Level::INFO),
    };
    let access = match options.access_log {
        true => LevelFilter::INFO,
        false => LevelFilter::OFF,
    };
    // A filter may name the target itself.
    let named = options
        .filter
        .as_deref()
        .is_some_and(|filter| filter.contains(target::ACCESS));
    if named && !options.access_log {
        return Ok(targets);
    }
    Ok(targets.with_target(target::ACCESS, access))
}
