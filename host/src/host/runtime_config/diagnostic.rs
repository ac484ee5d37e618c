//! A fault of the runtime configuration as people see it: place, line, caret, hint.
//!
//! Invariant: of the file only what helps is shown. Quoted texts beside the fault are masked, and a line that may hold
//! secrets is shown up to its first `=`.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::manifest::{Fault, Location};

/// No shown line is longer, in characters.
const MAX_SHOWN: usize = 120;
/// Columns are counted up to here.
const MAX_COLUMN: usize = 10_000;

/// One fault of a runtime configuration, at its place. `Display` prints message, line, caret and hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {fault}\n{excerpt}{}", Hint(fault.hint()))]
pub struct Diagnostic {
    /// Where it is.
    pub location: Location,
    /// What it is.
    pub fault: Fault,
    excerpt: Excerpt,
}

struct Hint(Option<String>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

impl Diagnostic {
    /// `fault` at `span` of `text`, with its line; quoted texts are masked that are not part of `span`.
    pub(super) fn new(fault: Fault, text: &str, file: &Path, span: &Range<usize>) -> Box<Self> {
        let line = Line::of(text, span.start);
        let shown = if line.in_long_string {
            String::new()
        } else {
            mask(
                line.text,
                &(span.start.saturating_sub(line.start)..span.end.saturating_sub(line.start)),
            )
        };
        Self::build(fault, file, &line, &shown, span)
    }

    /// The same without any value of the line.
    pub(super) fn without_values(fault: Fault, text: &str, file: &Path, span: &Range<usize>) -> Box<Self> {
        let line = Line::of(text, span.start);
        let shown = match line.text.split_once('=') {
            _ if line.in_long_string => String::new(),
            Some((key, _)) => format!("{key}= …"),
            None if line.text.trim_start().starts_with('[') => line.text.to_owned(),
            None => String::new(),
        };
        Self::build(fault, file, &line, &shown, span)
    }

    fn build(fault: Fault, file: &Path, line: &Line<'_>, shown: &str, span: &Range<usize>) -> Box<Self> {
        let marked = line.text.get(line.before.len()..).unwrap_or_default();
        let width = span.end.saturating_sub(span.start).min(marked.len());
        let carets = marked.get(..width).map_or(1, |marked| marked.chars().count());
        let before = line.before.chars().count().min(shown.chars().count());
        // Of a long line only the surroundings are shown.
        let skipped = before.saturating_sub(MAX_SHOWN / 2);
        let text: String = shown
            .chars()
            .skip(skipped)
            .take(MAX_SHOWN)
            .map(printable)
            .collect();
        let before = before - skipped;
        let room = text.chars().count().saturating_sub(before).max(1);
        Box::new(Self {
            location: Location {
                file: Arc::from(file),
                line: line.number,
                column: line.before.chars().take(MAX_COLUMN).count() + 1,
            },
            fault,
            excerpt: Excerpt {
                line: line.number,
                text,
                before,
                carets: carets.clamp(1, room),
            },
        })
    }
}

/// A tab stays a tab; what else drives a terminal does not reach it.
fn printable(c: char) -> char {
    if c.is_control() && c != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

/// `line` with `*` for each character of a quoted text that is not within `kept`.
fn mask(line: &str, kept: &Range<usize>) -> String {
    let mut masked = String::with_capacity(line.len());
    let mut open = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        let closes = open == Some(c) && !escaped;
        match open {
            Some(_) if !closes && !kept.contains(&at) => masked.push('*'),
            _ => masked.push(c),
        }
        if closes {
            open = None;
        } else if open.is_none() && matches!(c, '"' | '\'') {
            open = Some(c);
        }
        escaped = open == Some('"') && c == '\\' && !escaped;
    }
    masked
}

/// The line of a byte offset.
struct Line<'t> {
    number: usize,
    /// Offset of its first byte.
    start: usize,
    text: &'t str,
    /// Its text before the offset.
    before: &'t str,
    /// It seems to start within a text of several lines.
    in_long_string: bool,
}

impl<'t> Line<'t> {
    fn of(text: &'t str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let head = text.get(..offset).unwrap_or_default();
        let start = head.rfind('\n').map_or(0, |at| at + 1);
        let lines_before = text.get(..start).unwrap_or_default();
        let odd = |quotes: &str| lines_before.matches(quotes).count() % 2 == 1;
        Self {
            number: lines_before.matches('\n').count() + 1,
            start,
            text: text
                .get(start..)
                .and_then(|rest| rest.lines().next())
                .unwrap_or_default(),
            before: text.get(start..offset).unwrap_or_default(),
            in_long_string: odd("\"\"\"") || odd("'''"),
        }
    }
}

/// One line of the file and the part of it that a caret points at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    line: usize,
    text: String,
    /// Characters before the caret.
    before: usize,
    carets: usize,
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let indent = self.text.chars().take(self.before);
        let indent: String = indent.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.text)?;
        write!(f, "{gutter} | {indent}{}", "^".repeat(self.carets))
    }
}
