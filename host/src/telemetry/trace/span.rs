//! Spans: what happened from when to when within a trace, and how it ended.
//!
//! A [`Span`] always ends: by [`Span::end`], or, when it is dropped before, as cancelled. While it is recorded
//! it is one allocation that moves into the queue as it is; while it is not, it is a context and nothing else.
//! Bounds: [`MAX_ATTRIBUTES`], and the bytes of a text.

use std::{borrow::Cow, fmt, sync::Arc, time::Instant};

use http::{Method, StatusCode};

use super::{
    attribute::{Attribute, Value, bounded, key},
    context::{TraceContext, TraceState},
    export::Pipeline,
    id::SpanId,
};
use crate::{
    model::{InterfaceName, RevisionId, ServiceName},
    telemetry::{RequestId, metrics::LinkOutcome},
};

/// The most attributes that a span gets besides those of its [`CallSite`]. What comes after is counted.
pub const MAX_ATTRIBUTES: usize = 32;

/// Room for what a request sets, so that it is allocated once.
const USUAL_ATTRIBUTES: usize = 10;

/// What part a span plays between two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// None: work within one side.
    Internal,
    /// It answers a request.
    Server,
    /// It waits for the answer of another.
    Client,
    /// It leaves a message for later.
    Producer,
    /// It takes such a message.
    Consumer,
}

/// How a span ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Without an error of ours: what OpenTelemetry calls *unset*.
    #[default]
    Unset,
    /// With an error of this type, a word such as `timeout` that has few different values.
    Error(Cow<'static, str>),
}

impl SpanStatus {
    /// The status of a request that was answered so: only 5xx are errors of the side that answers.
    #[must_use]
    pub fn of_response(status: StatusCode) -> Self {
        match status.is_server_error() {
            true => Self::Error(Cow::Owned(status.as_str().to_owned())),
            false => Self::Unset,
        }
    }

    /// The status of a call over a link that ended so.
    #[must_use]
    pub const fn of_call(outcome: LinkOutcome) -> Self {
        match outcome {
            LinkOutcome::Answered => Self::Unset,
            other => Self::Error(Cow::Borrowed(other.as_str())),
        }
    }

    fn bounded(self) -> Self {
        match self {
            Self::Error(Cow::Owned(text)) if bounded(&text).len() < text.len() => {
                Self::Error(Cow::Owned(bounded(&text).to_owned()))
            }
            other => other,
        }
    }
}

/// The name of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanName {
    /// Part of the program.
    Static(&'static str),
    /// Prepared before, or made for this span.
    Shared(Arc<str>),
}

impl SpanName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl From<&'static str> for SpanName {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<Arc<str>> for SpanName {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

/// What the calls of one function over one link have in common. It is made once, when the link is.
#[derive(Debug)]
pub struct CallSite {
    name: Arc<str>,
    attributes: [Attribute; 5],
}

impl CallSite {
    /// The calls of `function` of `interface`, from `caller` to `callee`. Spans are named
    /// `package/interface.function`, without the version.
    #[must_use]
    pub fn new(
        caller: &ServiceName,
        callee: &ServiceName,
        interface: &InterfaceName,
        function: &str,
    ) -> Arc<Self> {
        let name = format!("{}/{}.{function}", interface.package(), interface.interface());
        Arc::new(Self {
            name: name.into(),
            attributes: [
                (key::RPC_SYSTEM, Value::Static("wit")),
                (key::RPC_SERVICE, Value::Shared(interface.to_string().into())),
                (key::RPC_METHOD, Value::Shared(function.into())),
                (key::CALLER, Value::Service(caller.clone())),
                (key::CALLEE, Value::Service(callee.clone())),
            ],
        })
    }
}

/// A span that ended, for the exporter.
#[derive(Debug)]
pub struct SpanData {
    /// Its place in its trace.
    pub context: TraceContext,
    /// The span that it is part of.
    pub parent: Option<SpanId>,
    /// What other systems said about the trace.
    pub state: Option<TraceState>,
    /// What it is.
    pub name: SpanName,
    /// Its part between two sides.
    pub kind: SpanKind,
    /// When it began.
    pub started: Instant,
    /// When it ended.
    pub ended: Instant,
    /// How it ended.
    pub status: SpanStatus,
    /// How many attributes were over [`MAX_ATTRIBUTES`].
    pub dropped_attributes: u32,
    pub(super) site: Option<Arc<CallSite>>,
    pub(super) attributes: Vec<Attribute>,
}

impl SpanData {
    pub(super) fn new(
        name: SpanName,
        kind: SpanKind,
        context: TraceContext,
        parent: Option<TraceContext>,
        started: Instant,
    ) -> Self {
        Self {
            context,
            parent: parent.map(|parent| parent.span_id),
            state: None,
            name,
            kind,
            started,
            ended: started,
            status: SpanStatus::Unset,
            dropped_attributes: 0,
            site: None,
            attributes: Vec::new(),
        }
    }

    /// All attributes, each name once.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        let site = self.site.iter().flat_map(|site| &site.attributes);
        site.chain(&self.attributes)
    }

    fn set(&mut self, key: &'static str, value: Value) {
        if let Some((_, old)) = self.attributes.iter_mut().find(|(known, _)| *known == key) {
            *old = value;
        } else if self.attributes.len() < MAX_ATTRIBUTES {
            self.attributes.push((key, value));
        } else {
            self.dropped_attributes = self.dropped_attributes.saturating_add(1);
        }
    }

    /// What is known of a request when it begins.
    pub(super) fn set_request(&mut self, method: &Method, path: &str, id: RequestId) {
        self.attributes.reserve_exact(USUAL_ATTRIBUTES);
        let name = method_name(method);
        self.set(key::HTTP_METHOD, Value::Static(name.unwrap_or("_OTHER")));
        if name.is_none() {
            self.set(key::HTTP_METHOD_ORIGINAL, Value::text(method.as_str()));
        }
        self.set(key::URL_SCHEME, Value::Static("http"));
        let path = path.split('?').next().unwrap_or_default();
        self.set(key::URL_PATH, Value::text(path));
        self.set(key::REQUEST_ID, Value::Request(id));
        self.name = SpanName::Static(name.unwrap_or("HTTP"));
    }

    pub(super) fn set_site(&mut self, site: &Arc<CallSite>) {
        self.name = SpanName::Shared(Arc::clone(&site.name));
        self.site = Some(Arc::clone(site));
    }
}

/// The methods of the conventions.
fn method_name(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE",
    ];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

/// A span that has begun. Dropped before its end it counts as cancelled.
#[must_use = "a span that is dropped at once was cancelled at once"]
pub struct Span {
    context: Option<TraceContext>,
    recording: Option<(Box<SpanData>, Arc<Pipeline>)>,
}

impl Span {
    /// A span that nobody records. What comes after it belongs to `context`, if to any trace.
    pub const fn unrecorded(context: Option<TraceContext>) -> Self {
        Self {
            context,
            recording: None,
        }
    }

    pub(super) fn recorded(data: Box<SpanData>, pipeline: Arc<Pipeline>) -> Self {
        Self {
            context: Some(data.context),
            recording: Some((data, pipeline)),
        }
    }

    /// What the next hop is told: the parent of its spans. Without tracing it is what the request brought
    /// along.
    #[must_use]
    pub const fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// Whether anything that is set has a reader.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Sets an attribute; a second value replaces the first.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some((data, _)) = &mut self.recording {
            data.set(key, value.into());
        }
    }

    /// Sets an attribute to a copy of `text`, cut at [`MAX_TEXT_BYTES`](super::attribute::MAX_TEXT_BYTES).
    pub fn set_text(&mut self, key: &'static str, text: &str) {
        if let Some((data, _)) = &mut self.recording {
            data.set(key, Value::text(text));
        }
    }

    /// The request matched this route, which is named with its method from now on.
    pub fn route(&mut self, route: &dyn fmt::Display) {
        if let Some((data, _)) = &mut self.recording {
            let mut text = data.name.as_str().to_owned();
            text.push(' ');
            let before = text.len();
            // Writing to a string does not fail unless the route does.
            let _ = fmt::Write::write_fmt(&mut text, format_args!("{route}"));
            data.set(
                key::HTTP_ROUTE,
                Value::text(text.get(before..).unwrap_or_default()),
            );
            data.name = SpanName::Shared(bounded(&text).into());
        }
    }

    /// This service, in this revision, serves the request.
    pub fn served_by(&mut self, service: &ServiceName, revision: RevisionId) {
        if let Some((data, _)) = &mut self.recording {
            data.set(key::SERVICE, Value::Service(service.clone()));
            data.set(key::REVISION, Value::Revision(revision));
        }
    }

    /// The call reached this revision of the callee.
    pub fn callee_revision(&mut self, revision: RevisionId) {
        self.set(key::CALLEE_REVISION, revision);
    }

    /// The request was answered with this status.
    pub fn response(&mut self, status: StatusCode) {
        self.set(key::HTTP_STATUS, i64::from(status.as_u16()));
    }

    /// Ends the span now.
    pub fn end(mut self, status: SpanStatus) {
        if self.is_recording() {
            self.finish(status, Instant::now());
        }
    }

    /// Ends the span at a time that was read already.
    pub fn end_at(mut self, status: SpanStatus, ended: Instant) {
        self.finish(status, ended);
    }

    fn finish(&mut self, status: SpanStatus, ended: Instant) {
        if let Some((mut data, pipeline)) = self.recording.take() {
            data.status = status.bounded();
            data.ended = ended;
            pipeline.put(data);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.is_recording() {
            self.finish(SpanStatus::Error(Cow::Borrowed("cancelled")), Instant::now());
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span")
            .field("context", &self.context)
            .field("recorded", &self.is_recording())
            .finish()
    }
}
