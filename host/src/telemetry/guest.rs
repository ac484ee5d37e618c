//! What a guest writes to standard output and standard error, as lines.
//!
//! [`GuestOutput`] takes bytes as they come, and gives whole lines to the caller. What bounds it: a line
//! ([`MAX_LINE`]), the bytes and the lines of a request ([`MAX_BYTES`], [`MAX_LINES`]), and the end of
//! standard error that is kept for the report of a panic ([`TAIL`]). It does no I/O and knows no request; the
//! caller logs.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// The most bytes of one line; the rest of a longer one is dropped and marked.
const MAX_LINE: usize = 8 * 1024;
/// The most bytes that one request may log on one stream.
const MAX_BYTES: usize = 1024 * 1024;
/// The most lines that one request may log on one stream.
const MAX_LINES: usize = 10_000;
/// How much of the end of standard error is kept for [`GuestOutput::panic_message`].
const TAIL: usize = 4 * 1024;

const CUT: &str = "… line cut";
const DROPPED: &str = "… more output dropped";

/// A guest's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Splits one stream of one guest into lines.
#[derive(Debug)]
pub struct GuestOutput {
    stream: Stream,
    /// The line that has begun and not ended.
    partial: Vec<u8>,
    /// The line that has begun was cut: what follows up to its end is dropped.
    skipping: bool,
    bytes_left: usize,
    lines_left: usize,
    dropped_lines: u64,
    /// The end of standard error; longer than `TAIL` between two trims.
    tail: Vec<u8>,
}

impl GuestOutput {
    /// An empty stream. It allocates nothing before the guest writes.
    #[must_use]
    pub const fn new(stream: Stream) -> Self {
        Self {
            stream,
            partial: Vec::new(),
            skipping: false,
            bytes_left: MAX_BYTES,
            lines_left: MAX_LINES,
            dropped_lines: 0,
            tail: Vec::new(),
        }
    }

    /// Which stream it is.
    #[must_use]
    pub const fn stream(&self) -> Stream {
        self.stream
    }

    /// Takes what the guest wrote and gives `emit` every line that is complete, without its line break. Bytes
    /// that are no UTF-8 are replaced. Escaping is the log's matter.
    pub fn write(&mut self, bytes: &[u8], mut emit: impl FnMut(&str)) {
        self.keep_tail(bytes);
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.end_line(line, &mut emit);
            rest = after.get(1..).unwrap_or_default();
        }
        self.extend(rest, &mut emit);
    }

    /// Ends the request: emits the line that has begun, if any, and makes the stream ready for the next
    /// request of the same instance. Call [`panic_message`](Self::panic_message) and
    /// [`dropped_lines`](Self::dropped_lines) before.
    pub fn finish(&mut self, mut emit: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            self.end_line(&[], &mut emit);
        }
        self.skipping = false;
        self.bytes_left = MAX_BYTES;
        self.lines_left = MAX_LINES;
        self.dropped_lines = 0;
        self.tail.clear();
    }

    /// One more request is served by the instance beside those that are: it may log as much as one may.
    pub fn allow_another(&mut self) {
        self.bytes_left = MAX_BYTES;
        self.lines_left = MAX_LINES;
    }

    /// How many lines of this request were dropped because it wrote too much.
    #[must_use]
    pub const fn dropped_lines(&self) -> u64 {
        self.dropped_lines
    }

    /// The message of the last Rust panic at the end of standard error, in one line: where, then what. `None`
    /// for standard output and when there is no such message.
    #[must_use]
    pub fn panic_message(&self) -> Option<String> {
        if self.tail.is_empty() {
            return None;
        }
        let tail = String::from_utf8_lossy(&self.tail);
        // `thread 'main' panicked at src/lib.rs:3:5:`, the message on the next lines, then a note.
        let (_, report) = tail.rsplit_once("panicked at ")?;
        let report = report.split("\nnote: ").next().unwrap_or(report);
        let mut lines = report.lines().map(str::trim).filter(|line| !line.is_empty());
        let place = lines.next()?.trim_end_matches(':');
        let message = lines.collect::<Vec<_>>().join(" ");
        Some(match message.as_str() {
            "" => format!("panicked at {place}"),
            message => format!("panicked at {place}: {message}"),
        })
    }

    /// Adds the last part of a line and emits the line.
    fn end_line(&mut self, last: &[u8], emit: &mut impl FnMut(&str)) {
        if self.skipping {
            self.skipping = false;
        } else if self.partial.is_empty() && last.len() <= MAX_LINE {
            // The common case: a line in one write, nothing is copied.
            self.emit(last, emit);
        } else {
            self.extend(last, emit);
            if !std::mem::take(&mut self.skipping) {
                let line = std::mem::take(&mut self.partial);
                self.emit(&line, emit);
                self.partial = line;
                self.partial.clear();
            }
        }
    }

    /// Adds to the line that has begun; emits it as soon as it is too long.
    fn extend(&mut self, part: &[u8], emit: &mut impl FnMut(&str)) {
        if self.skipping || part.is_empty() {
            return;
        }
        if self.bytes_left == 0 || self.lines_left == 0 {
            // Nothing of it can be logged. It counts as a line, and the first such line says so.
            self.skipping = true;
            self.emit(&[], emit);
            return;
        }
        let room = MAX_LINE - self.partial.len();
        match part.get(..room) {
            Some(fitting) if part.len() > room => {
                self.partial.extend_from_slice(fitting);
                let mut line = std::mem::take(&mut self.partial);
                line.truncate(whole_letters(&line));
                line.extend_from_slice(CUT.as_bytes());
                self.emit(&line, emit);
                self.skipping = true;
            }
            _ => self.partial.extend_from_slice(part),
        }
    }

    fn emit(&mut self, line: &[u8], emit: &mut impl FnMut(&str)) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let within = self.lines_left > 0 && line.len() < self.bytes_left;
        if within {
            self.lines_left -= 1;
            self.bytes_left -= line.len() + 1;
            emit(&as_text(line));
        } else {
            if self.dropped_lines == 0 {
                emit(DROPPED);
            }
            self.bytes_left = 0;
            self.dropped_lines += 1;
        }
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        if self.stream == Stream::Stdout {
            return;
        }
        let start = bytes.len().saturating_sub(TAIL);
        self.tail
            .extend_from_slice(bytes.get(start..).unwrap_or_default());
        // Trimmed at twice the size, so that many small writes do not each move the whole tail.
        if self.tail.len() > 2 * TAIL {
            let surplus = self.tail.len() - TAIL;
            self.tail.drain(..surplus);
        }
    }
}

fn as_text(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line)
}

/// The length of `line` without a letter at its end that the cut has split.
fn whole_letters(line: &[u8]) -> usize {
    match std::str::from_utf8(line) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => line.len(),
    }
}
