//! The messages of the protocol that are used here, with the field numbers of its definition, which are fixed
//! since version 1.0 (<https://github.com/open-telemetry/opentelemetry-proto>), and how spans become such.

use prost::{Enumeration, Message, Oneof};

use crate::telemetry::trace::attribute::{Attribute, Value, key};
use crate::telemetry::trace::{Batch, SpanData, SpanKind, SpanStatus};

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_spans: Vec<ResourceSpans>,
}

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<PartialSuccess>,
}

/// `opentelemetry.proto.collector.trace.v1.ExportTracePartialSuccess`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected_spans: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

/// `google.rpc.Status`, the body of a refusal.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Refusal {
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// `opentelemetry.proto.trace.v1.ResourceSpans`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_spans: Vec<ScopeSpans>,
}

/// `opentelemetry.proto.resource.v1.Resource`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

/// `opentelemetry.proto.trace.v1.ScopeSpans`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub(super) spans: Vec<Span>,
}

/// `opentelemetry.proto.common.v1.InstrumentationScope`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Scope {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

/// `opentelemetry.proto.trace.v1.Span`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(super) trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(super) name: String,
    #[prost(enumeration = "Kind", tag = "6")]
    pub(super) kind: i32,
    #[prost(fixed64, tag = "7")]
    pub(super) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    pub(super) end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")]
    pub(super) dropped_attributes_count: u32,
    #[prost(message, optional, tag = "15")]
    pub(super) status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    pub(super) flags: u32,
}

/// `opentelemetry.proto.trace.v1.Span.SpanKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(super) enum Kind {
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// `opentelemetry.proto.trace.v1.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(enumeration = "StatusCode", tag = "3")]
    pub(super) code: i32,
}

/// `opentelemetry.proto.trace.v1.Status.StatusCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(super) enum StatusCode {
    Unset = 0,
    Ok = 1,
    Error = 2,
}

/// `opentelemetry.proto.common.v1.KeyValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

/// `opentelemetry.proto.common.v1.AnyValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "AnyKind", tags = "1, 2, 3")]
    pub(super) value: Option<AnyKind>,
}

/// The kinds of values that are sent.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum AnyKind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
}

impl KeyValue {
    pub(super) fn text(key: &str, text: impl Into<String>) -> Self {
        Self::new(key, AnyKind::Text(text.into()))
    }

    fn new(key: &str, value: AnyKind) -> Self {
        Self {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
        }
    }
}

impl From<&Attribute> for KeyValue {
    fn from((key, value): &Attribute) -> Self {
        let value = match value {
            Value::Static(text) => AnyKind::Text((*text).to_owned()),
            Value::Shared(text) => AnyKind::Text(text.to_string()),
            Value::Text(text) => AnyKind::Text(text.to_string()),
            Value::Service(name) => AnyKind::Text(name.as_str().to_owned()),
            Value::Revision(id) => AnyKind::Text(id.to_string()),
            Value::Request(id) => AnyKind::Text(id.to_string()),
            Value::Int(number) => AnyKind::Int(*number),
            Value::Bool(value) => AnyKind::Bool(*value),
        };
        Self::new(key, value)
    }
}

impl Span {
    /// The message of one span of `batch`.
    pub(super) fn of(span: &SpanData, batch: &Batch) -> Self {
        let mut attributes: Vec<KeyValue> = span.attributes().map(KeyValue::from).collect();
        let status = match &span.status {
            SpanStatus::Unset => None,
            SpanStatus::Error(kind) => {
                attributes.push(KeyValue::text(key::ERROR_TYPE, &**kind));
                Some(Status {
                    code: StatusCode::Error.into(),
                })
            }
        };
        let kind = match span.kind {
            SpanKind::Internal => Kind::Internal,
            SpanKind::Server => Kind::Server,
            SpanKind::Client => Kind::Client,
            SpanKind::Producer => Kind::Producer,
            SpanKind::Consumer => Kind::Consumer,
        };
        Self {
            trace_id: span.context.trace_id.to_bytes().to_vec(),
            span_id: span.context.span_id.to_bytes().to_vec(),
            trace_state: span
                .state
                .as_ref()
                .map(|state| state.as_str().to_owned())
                .unwrap_or_default(),
            parent_span_id: span
                .parent
                .map(|parent| parent.to_bytes().to_vec())
                .unwrap_or_default(),
            name: span.name.as_str().to_owned(),
            kind: kind.into(),
            start_time_unix_nano: batch.unix_nanos(span.started),
            end_time_unix_nano: batch.unix_nanos(span.ended),
            attributes,
            dropped_attributes_count: span.dropped_attributes,
            status,
            flags: span.context.sampled.into(),
        }
    }
}
