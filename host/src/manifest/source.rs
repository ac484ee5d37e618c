//! The text of a manifest as people see it: lines, columns, and the line that a caret points at.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::error::{MAX_SHOWN, printable};

/// Columns are counted up to here, so that a manifest of one huge line costs no quadratic time.
const MAX_COLUMN: usize = 10_000;

/// A place in a manifest, shown as `file:line:column`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file, as the user named it.
    pub file: Arc<Path>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One line of the file and the part of it that a caret points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    line: usize,
    text: String,
    /// Characters before the caret.
    before: usize,
    /// Carets, at least one.
    carets: usize,
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        // A tab stays a tab, so that the caret stands below what it points at.
        let indent: String = self
            .text
            .chars()
            .take(self.before)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.text)?;
        write!(f, "{gutter} | {indent}{}", "^".repeat(self.carets))
    }
}

/// The text of a manifest, able to tell lines and columns of byte offsets.
pub(super) struct Source<'t> {
    text: &'t str,
    file: Arc<Path>,
    line_starts: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str, file: &Path) -> Self {
        let breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Self {
            text,
            file: Arc::from(file),
            line_starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    /// Where `span` starts.
    pub(super) fn location(&self, span: &Range<usize>) -> Location {
        let (line, before, _) = self.line_of(span.start);
        let column = before.chars().take(MAX_COLUMN).count() + 1;
        Location {
            file: Arc::clone(&self.file),
            line,
            column,
        }
    }

    /// The line of `span`, with what `span` marks in it.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        let (line, before, after) = self.line_of(span.start);
        let width = span.end.saturating_sub(span.start).min(after.len());
        // Of a long line only the surroundings are shown.
        let lead = before.chars().rev().take(MAX_SHOWN / 2).count();
        let head: String = before
            .chars()
            .rev()
            .take(lead)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        let tail: String = after.chars().take(MAX_SHOWN - lead).collect();
        let carets = after
            .get(..width)
            .map_or(1, |marked| marked.chars().take(MAX_SHOWN - lead).count());
        Excerpt {
            line,
            text: printable(&(head + &tail)),
            before: lead,
            carets: carets.max(1),
        }
    }

    /// Number of the line that holds `offset`, the line's text before it and from it on.
    fn line_of(&self, offset: usize) -> (usize, &'t str, &'t str) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        let after = self
            .text
            .get(offset..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        (line, before, after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_keeps_tabs_and_hides_control_characters() {
        let source = Source::new("ok = 1\n\tkey\u{1b}x = 2\n", Path::new("spin.toml"));
        assert_eq!(source.location(&(8..11)).to_string(), "spin.toml:2:2");
        assert_eq!(
            source.excerpt(&(8..11)).to_string(),
            "  |\n2 | \tkey\u{fffd}x = 2\n  | \t^^^"
        );
    }

    #[test]
    fn a_long_line_is_shown_around_the_fault() {
        let text = format!("a = \"{}\" # end\n", "é".repeat(5_000));
        let source = Source::new(&text, Path::new("m"));
        for span in [0..1, 2_000..text.len(), text.len() - 2..text.len()] {
            let shown = source.excerpt(&span).to_string();
            assert!(
                shown.lines().all(|line| line.chars().count() <= MAX_SHOWN + 8),
                "{shown}"
            );
            assert!(shown.contains('^'));
        }
    }

    #[test]
    fn offsets_beyond_the_text_stay_in_it() {
        let source = Source::new("é", Path::new("m"));
        for start in 0..5 {
            let location = source.location(&(start..start + 1));
            assert_eq!(location.line, 1);
            assert!(location.column <= 2);
            assert!(source.excerpt(&(start..9)).to_string().contains('^'));
        }
        assert_eq!(
            Source::new("", Path::new("m")).location(&(7..9)).to_string(),
            "m:1:1"
        );
    }
}
