//! From the fields of an event to lines of a service. Events without a service are none of the tail's.

use std::fmt::Write as _;

use super::{Draft, Tail, TailStream};
use crate::telemetry::format::{MESSAGE, needs_quotes};
use crate::telemetry::layer::{Fields, Value};
use crate::telemetry::{RequestId, field, target};

/// What stands in the line already, or has a place of its own in it.
const TAKEN: [&str; 5] = [
    MESSAGE,
    field::SERVICE,
    field::REVISION,
    field::REQUEST_ID,
    field::BACKTRACE,
];

impl Tail {
    /// Keeps the event with `fields`, if it is about a service.
    pub(in crate::telemetry) fn record(&self, event_target: &str, fields: &Fields, scratch: &mut String) {
        let Some(service) = fields.text(field::SERVICE) else {
            return;
        };
        let message = fields.text(MESSAGE).unwrap_or_default();
        let stream = match (event_target, fields.text(field::STREAM)) {
            (target::GUEST, Some("stderr")) => TailStream::Stderr,
            (target::GUEST, _) => TailStream::Stdout,
            _ => TailStream::Host,
        };
        let draft = Draft {
            service,
            revision: fields.text(field::REVISION).unwrap_or_default(),
            stream,
            request_id: fields.text(field::REQUEST_ID).and_then(RequestId::parse),
        };
        if stream != TailStream::Host {
            self.put(draft, [message]);
            return;
        }
        scratch.clear();
        let is_failure = event_target == target::FAILURE;
        if is_failure && let Some(kind) = fields.text(field::KIND) {
            scratch.push_str(kind);
            scratch.push_str(": ");
        }
        scratch.push_str(message);
        for (name, value) in fields.iter() {
            let taken = TAKEN.contains(&name) || (is_failure && name == field::KIND);
            if !taken {
                push_field(scratch, name, &value);
            }
        }
        // A message of several lines becomes several, as frames do.
        let frames = fields.text(field::BACKTRACE).unwrap_or_default().lines();
        let frames: Vec<String> = frames.map(|frame| format!("    {frame}")).collect();
        self.put(draft, scratch.lines().chain(frames.iter().map(String::as_str)));
    }
}

/// ` key=value`.
fn push_field(text: &mut String, name: &str, value: &Value<'_>) {
    // Writing to a string does not fail.
    let _infallible = match value {
        Value::Text(value) if needs_quotes(value) => write!(text, " {name}={value:?}"),
        Value::Text(value) => write!(text, " {name}={value}"),
        Value::Number(value) => write!(text, " {name}={value}"),
        Value::Bool(value) => write!(text, " {name}={value}"),
    };
}
