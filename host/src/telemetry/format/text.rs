//! A line for people: `12:03:04.123Z INFO  catalog  message key=value`. Guest output is
//! `12:03:04.123Z catalog 0123456789abcdef │ text`, with `stderr │` for standard error; a request reads
//! `GET /path 200 1.25ms`. Only a backtrace goes on over further lines, indented by four.

use std::fmt::Write;

use tracing::Level;

use super::{MESSAGE, Record, Style, Value, time::Timestamp};
use crate::telemetry::{escape::push_text, field, target};

const DIM: &str = "2";
const CYAN: &str = "36";

pub(super) fn write(record: &Record<'_>, style: Style, line: &mut String) {
    let mut pen = Pen { line, style };
    let clock = Timestamp::of(record.time).clock();
    pen.paint(DIM, |line| {
        let _ = write!(line, "{clock}");
    });
    pen.line.push(' ');
    match record.target {
        target::GUEST => pen.guest(record),
        target::ACCESS => pen.access(record),
        _ => pen.event(record),
    }
}

/// A line in the making. Writing to a string does not fail, so results of `write!` are dropped.
struct Pen<'a> {
    line: &'a mut String,
    style: Style,
}

impl Pen<'_> {
    fn guest(&mut self, record: &Record<'_>) {
        self.subject(record);
        if let Some(id) = record.fields.text(field::REQUEST_ID) {
            self.paint(DIM, |line| {
                line.push(' ');
                push_text(line, id);
            });
        }
        if record.fields.text(field::STREAM) == Some("stderr") {
            self.paint("31", |line| line.push_str(" stderr"));
        }
        self.paint(DIM, |line| line.push_str(" │ "));
        push_text(self.line, record.fields.text(MESSAGE).unwrap_or_default());
    }

    fn access(&mut self, record: &Record<'_>) {
        const SHOWN: [&str; 5] = [
            MESSAGE,
            field::METHOD,
            field::PATH,
            field::STATUS,
            field::DURATION_MS,
        ];
        self.head(record);
        let mut gap = "";
        for name in SHOWN.iter().skip(1) {
            if let Some(value) = record.fields.get(name) {
                self.line.push_str(gap);
                self.bare(&value);
                gap = " ";
            }
        }
        self.line.push_str("ms");
        self.fields(record, &SHOWN);
    }

    fn event(&mut self, record: &Record<'_>) {
        self.head(record);
        if record.target == target::FAILURE
            && let Some(kind) = record.fields.text(field::KIND)
        {
            push_text(self.line, kind);
            self.line.push_str(": ");
        }
        push_text(self.line, record.fields.text(MESSAGE).unwrap_or_default());
        match record.target {
            target::FAILURE => self.fields(record, &[MESSAGE, field::KIND, field::BACKTRACE]),
            _ => self.fields(record, &[MESSAGE, field::BACKTRACE]),
        }
        for frame in record.fields.text(field::BACKTRACE).unwrap_or_default().lines() {
            self.line.push_str("\n    ");
            push_text(self.line, frame);
        }
    }

    /// `INFO  catalog  `.
    fn head(&mut self, record: &Record<'_>) {
        let color = match record.level {
            Level::ERROR => "31",
            Level::WARN => "33",
            Level::INFO => "32",
            Level::DEBUG => "34",
            Level::TRACE => "35",
        };
        self.paint(color, |line| {
            let _ = write!(line, "{:<5}", record.level.as_str());
        });
        self.line.push(' ');
        self.subject(record);
        self.line.push_str("  ");
    }

    /// The service; lines about none bear the module of the host, or the name of the foreign crate.
    fn subject(&mut self, record: &Record<'_>) {
        let subject = record.fields.text(field::SERVICE).unwrap_or_else(|| {
            let path = record.target.strip_prefix("midplane::").unwrap_or(record.target);
            path.split("::").next().unwrap_or(path)
        });
        self.paint(CYAN, |line| push_text(line, subject));
    }

    /// ` key=value` for all fields but the service and `shown`.
    fn fields(&mut self, record: &Record<'_>, shown: &[&str]) {
        for (name, value) in record.fields.iter() {
            if name == field::SERVICE || shown.contains(&name) {
                continue;
            }
            self.line.push(' ');
            self.paint(DIM, |line| {
                push_text(line, name);
                line.push('=');
            });
            match value {
                Value::Text(text) if needs_quotes(text) => {
                    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
                    self.line.push('"');
                    push_text(self.line, &quoted);
                    self.line.push('"');
                }
                value => self.bare(&value),
            }
        }
    }

    fn bare(&mut self, value: &Value<'_>) {
        match value {
            Value::Text(text) => push_text(self.line, text),
            Value::Number(number) => {
                let _ = write!(self.line, "{number}");
            }
            Value::Bool(value) => {
                let _ = write!(self.line, "{value}");
            }
        }
    }

    fn paint(&mut self, color: &str, write: impl FnOnce(&mut String)) {
        match self.style {
            Style::Plain => write(self.line),
            Style::Colored => {
                let _ = write!(self.line, "\u{1b}[{color}m");
                write(self.line);
                self.line.push_str("\u{1b}[0m");
            }
        }
    }
}

/// Whether `key=text` would be misread.
pub(in crate::telemetry) fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.contains(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '='))
}
