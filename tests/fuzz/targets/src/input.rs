//! Bytes as what a target needs: lines of text, or choices.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

/// More than this is no better input, only a slower one.
const MAX_BYTES: usize = 64 * 1024;

/// The input as text; what is not UTF-8 becomes `U+FFFD`.
pub(crate) fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&data[..data.len().min(MAX_BYTES)])
}

/// The input as the first line and what follows.
pub(crate) fn first_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// The lines that are headers, `name: value`; others are passed over.
pub(crate) fn header_map(lines: &str) -> HeaderMap {
    lines
        .split('\n')
        .filter_map(|line| line.split_once(':'))
        .filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            Some((name, HeaderValue::from_bytes(value.trim_ascii().as_bytes()).ok()?))
        })
        .collect()
}

/// Whether a diagnostic's place is inside of the text that it is about. Columns are told up to 10,001.
pub(crate) fn assert_place(text: &str, line: usize, column: usize) {
    let shown = text
        .split('\n')
        .nth(line.wrapping_sub(1))
        .unwrap_or_else(|| panic!("line {line} is not in the text"));
    let columns = shown.chars().count() + 1;
    assert!(
        (1..=columns.min(10_001)).contains(&column),
        "column {column} is not in line {line}, which has {columns}"
    );
}

/// Whether a message may go to a terminal: nothing in it drives one, and it ends somewhere.
pub(crate) fn assert_shown(message: &str) {
    let bad = message
        .chars()
        .find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(bad, None, "{message:?}");
    assert!(message.len() < 32 * 1024, "{} bytes of a message", message.len());
}

/// Choices, one after another. At the end of the bytes each is the first.
pub(crate) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                *first
            }
            None => 0,
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// A number below `end`, which is at most 256.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    pub(crate) fn bytes(&mut self, max: usize) -> Vec<u8> {
        let length = self.below(max.min(255) + 1).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken.to_vec()
    }

    pub(crate) fn string(&mut self, max: usize) -> String {
        String::from_utf8_lossy(&self.bytes(max)).into_owned()
    }
}
