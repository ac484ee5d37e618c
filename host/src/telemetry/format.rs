//! How a line looks: [`text`](text::write) for people, [`json`](json::write) for machines. Pure: a record in,
//! a line out.

mod json;
#[cfg(test)]
mod tests;
mod text;
mod time;

use std::time::SystemTime;

use tracing::Level;

pub(super) use self::text::needs_quotes;
pub(super) use self::time::Timestamp;
use super::layer::{Fields, Value};

/// The format and, of text, its style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text(Style),
    Json,
}

/// Whether text carries colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Colored,
}

/// One event.
pub(super) struct Record<'a> {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) fields: &'a Fields,
}

/// The field that holds the text of an event; `tracing` gives it this name.
pub(super) const MESSAGE: &str = "message";

impl Format {
    /// Appends the line of `record` with its newline.
    pub(super) fn write(self, record: &Record<'_>, line: &mut String) {
        match self {
            Self::Text(style) => text::write(record, style, line),
            Self::Json => json::write(record, line),
        }
        line.push('\n');
    }
}
