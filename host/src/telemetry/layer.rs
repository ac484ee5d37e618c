//! Turns events into lines: collects the fields of an event and of the spans around it, has the line
//! formatted and hands it to the sink, and lets the tails of services have theirs. Which events are logged is
//! decided here, since the tails see others. Values are bounded here, whoever wrote them. Buffers are kept
//! per thread.

use std::{
    cell::RefCell,
    fmt::{self, Write},
    ops::Range,
    time::SystemTime,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};
use tracing_subscriber::{Layer, filter::Targets, layer::Context, registry::LookupSpan};

use super::{
    Tail, field,
    format::{Format, MESSAGE, Record},
    target,
};

/// The most bytes of a value that are logged.
const MAX_VALUE: usize = 8 * 1024;
/// The same for a backtrace, the one value of many lines.
const MAX_BACKTRACE: usize = 32 * 1024;
/// Buffers that grew beyond this are given back.
const MAX_KEPT: usize = 64 * 1024;
/// Stands for what was cut.
const CUT: &str = "…";

thread_local! {
    static SCRATCH: RefCell<(Fields, String)> = RefCell::default();
}

/// Formats events and gives each line, its newline included, to `sink`.
pub(super) struct LogLayer<S> {
    format: Format,
    sink: S,
    filter: Option<Filter>,
}

impl<S: Fn(&[u8])> LogLayer<S> {
    /// A layer that logs every event that it sees.
    pub(super) fn new(format: Format, sink: S) -> Self {
        Self {
            format,
            sink,
            filter: None,
        }
    }

    /// Logs what `lines` lets through, and keeps in `tail` what is about a service.
    pub(super) fn filtered(self, lines: Targets, tail: Tail) -> Self {
        Self {
            filter: Some(Filter { lines, tail }),
            ..self
        }
    }
}

/// Which events are wanted, and for what.
struct Filter {
    lines: Targets,
    tail: Tail,
}

impl Filter {
    fn logs(&self, meta: &Metadata<'_>) -> bool {
        self.lines.would_enable(meta.target(), meta.level())
    }

    /// Whether the tails look at it: what the host has to say at its own level, and all that guests print.
    fn keeps(meta: &Metadata<'_>) -> bool {
        let target = meta.target();
        let own = target
            .strip_prefix("midplane")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        own && *meta.level() <= Level::INFO && target != target::ACCESS
    }
}

impl<S, C> Layer<C> for LogLayer<S>
where
    S: Fn(&[u8]) + 'static,
    C: Subscriber + for<'a> LookupSpan<'a>,
{
    /// Depends on nothing but the metadata, so that `tracing` asks once for each place in the code.
    fn enabled(&self, meta: &Metadata<'_>, _context: Context<'_, C>) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.logs(meta) || Filter::keeps(meta))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let lines = Layer::<C>::max_level_hint(&self.filter.as_ref()?.lines)?;
        Some(lines.max(LevelFilter::INFO))
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, C>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, C>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, C>) {
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => {
                let (fields, line) = &mut *scratch;
                self.log(event, &context, fields, line);
            }
            // A value that logs while it is being logged.
            Err(_busy) => self.log(event, &context, &mut Fields::default(), &mut String::new()),
        });
    }
}

impl<S: Fn(&[u8])> LogLayer<S> {
    fn log<C>(&self, event: &Event<'_>, context: &Context<'_, C>, fields: &mut Fields, line: &mut String)
    where
        C: Subscriber + for<'a> LookupSpan<'a>,
    {
        fields.clear();
        line.clear();
        event.record(fields);
        // The innermost span first: of two fields of one name the closer one counts.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.inherit(outer);
            }
        }
        let meta = event.metadata();
        if self.filter.as_ref().is_none_or(|filter| filter.logs(meta)) {
            self.format.write(
                &Record {
                    time: SystemTime::now(),
                    level: *meta.level(),
                    target: meta.target(),
                    fields,
                },
                line,
            );
            (self.sink)(line.as_bytes());
        }
        if let Some(filter) = &self.filter
            && Filter::keeps(meta)
        {
            filter.tail.record(meta.target(), fields, line);
        }
        line.shrink_to(MAX_KEPT);
        fields.text.shrink_to(MAX_KEPT);
    }
}

/// The fields of an event or span, in the order in which they were recorded.
#[derive(Default)]
pub(super) struct Fields {
    text: String,
    list: Vec<(&'static str, Stored)>,
}

#[derive(Clone)]
enum Stored {
    Text(Range<usize>),
    Number(Number),
    Bool(bool),
}

#[derive(Clone, Copy)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => value.fmt(f),
            Self::Signed(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
        }
    }
}

/// A value of a field.
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(Number),
    Bool(bool),
}

impl Fields {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        self.list.iter().map(|(name, stored)| (*name, self.value(stored)))
    }

    /// The value of `name`, if it is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Bool(_) => None,
        }
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<Value<'_>> {
        self.list
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, stored)| self.value(stored))
    }

    fn value(&self, stored: &Stored) -> Value<'_> {
        match stored {
            Stored::Text(range) => Value::Text(self.text.get(range.clone()).unwrap_or_default()),
            Stored::Number(number) => Value::Number(*number),
            Stored::Bool(value) => Value::Bool(*value),
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
    }

    fn put(&mut self, name: &'static str, stored: Stored) {
        match self.list.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = stored,
            None => self.list.push((name, stored)),
        }
    }

    fn put_text(&mut self, name: &'static str, value: fmt::Arguments<'_>) {
        let limit = if name == field::BACKTRACE {
            MAX_BACKTRACE
        } else {
            MAX_VALUE
        };
        let start = self.text.len();
        let mut bounded = Bounded {
            text: &mut self.text,
            left: limit,
        };
        // An error says that the bound was met, and spares formatting the rest.
        if bounded.write_fmt(value).is_err() {
            self.text.push_str(CUT);
        }
        let end = self.text.len();
        self.put(name, Stored::Text(start..end));
    }

    fn inherit(&mut self, outer: &Self) {
        for (name, value) in outer.iter() {
            if name == MESSAGE || self.list.iter().any(|(known, _)| *known == name) {
                continue;
            }
            match value {
                Value::Text(text) => self.put_text(name, format_args!("{text}")),
                Value::Number(number) => self.put(name, Stored::Number(number)),
                Value::Bool(value) => self.put(name, Stored::Bool(value)),
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field.name(), format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field.name(), format_args!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put_text(field.name(), format_args!("{}", Chain(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), Stored::Number(Number::Unsigned(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), Stored::Number(Number::Signed(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.put(field.name(), Stored::Number(Number::Float(value)));
        } else {
            // JSON has no such number.
            self.put_text(field.name(), format_args!("{value}"));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Stored::Bool(value));
    }
}

/// An error with its causes, which messages do not repeat.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

struct Bounded<'a> {
    text: &'a mut String,
    left: usize,
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = text
            .get(..text.floor_char_boundary(self.left))
            .unwrap_or_default();
        self.text.push_str(kept);
        self.left -= kept.len();
        if kept.len() == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}
