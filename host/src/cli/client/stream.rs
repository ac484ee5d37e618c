//! Answers without an end, read line by line: log lines as JSON, and server-sent events.
//!
//! Bound: a line has at most [`MAX_LINE`] bytes, an event as many; more of it is an error. Waiting for the next one may be
//! given up and begun again: nothing is lost by that.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::ClientError;
use crate::admin::api::Event;

/// The most bytes of a line, and of an event.
const MAX_LINE: usize = 1024 * 1024;

/// The lines of an answer, without their ends.
#[derive(Debug)]
pub(in crate::cli) struct Lines {
    body: Incoming,
    address: String,
    buffer: Buffer,
    ended: bool,
}

impl Lines {
    pub(super) fn new(body: Incoming, address: String) -> Self {
        Self {
            body,
            address,
            buffer: Buffer::default(),
            ended: false,
        }
    }

    /// The next line; `None` at the end. What follows the last line's end is a line, too. Cancel-safe.
    ///
    /// # Errors
    /// [`ClientError`] if the host goes away, or sends a line that is too long or no text.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(line) = self.buffer.line() {
                return self.text(line).map(Some);
            }
            if self.ended {
                let rest = self.buffer.rest();
                return if rest.is_empty() {
                    Ok(None)
                } else {
                    self.text(rest).map(Some)
                };
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(Err(source)) => {
                    return Err(ClientError::Gone {
                        address: self.address.clone(),
                        source,
                    });
                }
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.push(data);
                    }
                }
            }
            if self.buffer.is_too_long() {
                return Err(self.not_understood(format!("a line has more than {MAX_LINE} bytes")));
            }
        }
    }

    fn text(&self, line: Vec<u8>) -> Result<String, ClientError> {
        String::from_utf8(line).map_err(|error| self.not_understood(error))
    }

    /// An error about what came.
    pub(in crate::cli) fn not_understood(&self, why: impl ToString) -> ClientError {
        ClientError::NotUnderstood {
            address: self.address.clone(),
            why: why.to_string(),
        }
    }
}

/// Bytes of which the first ones are lines.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Where lines begin that were not given yet.
    start: usize,
    /// Up to where there is no end of a line.
    searched: usize,
}

impl Buffer {
    fn push(&mut self, data: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(data);
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let fresh = self.bytes.get(self.searched..)?;
        let Some(end) = fresh.iter().position(|&byte| byte == b'\n') else {
            self.searched = self.bytes.len();
            return None;
        };
        let end = self.searched + end;
        let line = self.bytes.get(self.start..end)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.start = end + 1;
        self.searched = self.start;
        Some(line)
    }

    /// Asked after [`Buffer::line`] found none.
    fn is_too_long(&self) -> bool {
        let unfinished = self.bytes.get(self.searched..).unwrap_or_default();
        let begun = self.searched - self.start;
        begun + unfinished.len() > MAX_LINE && !unfinished.contains(&b'\n')
    }

    fn rest(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.start);
        *self = Self::default();
        rest
    }
}

/// The events of rollouts, as they come. Some may be missing: a reader that is too slow loses the oldest.
#[derive(Debug)]
pub(in crate::cli) struct Events {
    lines: Lines,
    name: String,
    data: String,
}

/// The name of what is no event of a rollout: that some were lost.
const LAGGED: &str = "lagged";

impl Events {
    pub(super) fn new(lines: Lines) -> Self {
        Self {
            lines,
            name: String::new(),
            data: String::new(),
        }
    }

    /// The next event; `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// As [`Lines::next`], and for what is no event.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        // WHATWG HTML, section 9.2.6. The number of the event is in its data, too.
        while let Some(line) = self.lines.next().await? {
            if line.is_empty() {
                let data = std::mem::take(&mut self.data);
                let name = std::mem::take(&mut self.name);
                if !data.is_empty() && name != LAGGED {
                    return serde_json::from_str(&data)
                        .map(Some)
                        .map_err(|error| self.lines.not_understood(error));
                }
            } else if let Some(name) = line.strip_prefix("event:") {
                name.trim_ascii_start().clone_into(&mut self.name);
            } else if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
                if self.data.len() > MAX_LINE {
                    return Err(self
                        .lines
                        .not_understood(format!("an event has more than {MAX_LINE} bytes")));
                }
            }
        }
        // An event that is not ended by an empty line is none.
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(buffer: &mut Buffer) -> Vec<String> {
        std::iter::from_fn(|| buffer.line())
            .map(|line| String::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let text = b"one\r\n\ntwo\nrest";
        for size in 1..=text.len() {
            let mut buffer = Buffer::default();
            let mut found = Vec::new();
            for piece in text.chunks(size) {
                buffer.push(piece);
                found.extend(lines(&mut buffer));
            }
            assert_eq!(found, ["one", "", "two"], "pieces of {size}");
            assert_eq!(buffer.rest(), b"rest");
        }
    }

    #[test]
    fn only_a_line_without_an_end_is_too_long() {
        let mut buffer = Buffer::default();
        buffer.push(&[b'a'; MAX_LINE]);
        assert!(buffer.line().is_none() && !buffer.is_too_long());
        buffer.push(b"b\n");
        assert!(!buffer.is_too_long());
        assert_eq!(buffer.line().unwrap().len(), MAX_LINE + 1);
        buffer.push(&[b'a'; MAX_LINE + 1]);
        assert!(buffer.is_too_long());
        assert!(buffer.line().is_none() && buffer.is_too_long());
    }
}
