//! One JSON object a line: `timestamp` (RFC 3339, UTC, milliseconds), `level`, `target`, `message`, then the
//! fields, flat. A field that bears one of those four names is written with `_` behind it.

use std::fmt::Write;

use super::{MESSAGE, Record, Value, time::Timestamp};
use crate::telemetry::escape::push_json;

pub(super) fn write(record: &Record<'_>, line: &mut String) {
    let time = Timestamp::of(record.time);
    // Writing to a string does not fail.
    let _ = write!(
        line,
        "{{\"timestamp\":\"{time}\",\"level\":\"{}\",\"target\":",
        record.level
    );
    push_json(line, record.target);
    line.push_str(",\"message\":");
    push_json(line, record.fields.text(MESSAGE).unwrap_or_default());
    for (name, value) in record.fields.iter().filter(|(name, _)| *name != MESSAGE) {
        line.push(',');
        match name {
            "timestamp" | "level" | "target" => {
                let _ = write!(line, "\"{name}_\"");
            }
            _ => push_json(line, name),
        }
        line.push(':');
        match value {
            Value::Text(text) => push_json(line, text),
            Value::Number(number) => {
                let _ = write!(line, "{number}");
            }
            Value::Bool(value) => line.push_str(if value { "true" } else { "false" }),
        }
    }
    line.push('}');
}
