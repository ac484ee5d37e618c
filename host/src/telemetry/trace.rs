//! Traces: what a request did in which service, as spans that a receiver outside puts together.
//!
//! Owns the trace context (W3C), the spans with their names, sampling, and the way to the exporter; what is sent
//! and how is behind the port [`SpanExporter`]. The context of a trace goes along with a request even while
//! nothing is recorded. Names and attributes follow OpenTelemetry's semantic conventions; those of ours stand in
//! [`attribute::key`].
//!
//! What it costs: without tracing one branch a span; with it two readings of the clock (one of them usually made
//! already), one allocation, and a push on a list of the thread. Nothing ever waits for the exporter: what it
//! cannot take is dropped and counted.

pub mod attribute;
mod context;
mod export;
mod id;
mod queue;
mod sampler;
mod settings;
mod span;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;

use self::export::Pipeline;
pub use self::{
    context::{Incoming, TraceContext, TraceState},
    export::{Accepted, Batch, ExportError, SpanExporter},
    id::{SpanId, TraceId},
    queue::SpanCounts,
    sampler::{CallerDecision, Sampler},
    settings::{Settings as TraceSettings, SettingsError, SettingsProblem},
    span::{CallSite, MAX_ATTRIBUTES, Span, SpanData, SpanKind, SpanName, SpanStatus},
};
use super::RequestId;
use crate::shutdown::Tasks;

/// Starts spans. Clones are handles to the same exporter.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Pipeline>>);

/// A request, as it begins.
#[derive(Clone, Copy, Debug)]
pub struct RequestStart<'a> {
    /// The request method.
    pub method: &'a Method,
    /// The path; a query is left out.
    pub path: &'a str,
    /// The id that its log lines share.
    pub id: RequestId,
    /// What its headers say.
    pub incoming: &'a Incoming,
    /// When its head was there.
    pub started: Instant,
}

impl Tracer {
    /// A tracer that records nothing: every span is one branch.
    #[must_use]
    pub const fn disabled() -> Self {
        Self(None)
    }

    /// A tracer whose spans go to `exporter`, whose attempts have `timeout` each. The exporter runs as a
    /// background task of `tasks`, which are to live until [`close`](Self::close) has returned.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn exporting(
        sampler: Sampler,
        exporter: Arc<dyn SpanExporter>,
        timeout: Duration,
        tasks: &Tasks,
    ) -> Self {
        let (pipeline, export) = Pipeline::new(sampler, exporter, timeout);
        // Dropping the handle detaches the task.
        drop(tasks.background("span exporter", export));
        Self(Some(pipeline))
    }

    /// Whether spans are recorded at all.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// A reader of what became of the spans.
    #[must_use]
    pub fn counts(&self) -> SpanCounts {
        SpanCounts(
            self.0
                .as_ref()
                .map(|pipeline| Arc::clone(pipeline.queue.counts())),
        )
    }

    /// Starts a span now. Without a parent it begins a trace.
    pub fn start(&self, name: impl Into<SpanName>, kind: SpanKind, parent: Option<TraceContext>) -> Span {
        self.begin(parent, |context, parent| {
            SpanData::new(name.into(), kind, context, parent, Instant::now())
        })
    }

    /// Starts the span of a request that a client or another service sent: kind server, named by its method, and
    /// by [`Span::route`] once that is known.
    pub fn request(&self, request: &RequestStart<'_>) -> Span {
        self.begin(request.incoming.context, |context, parent| {
            let name = SpanName::Static("HTTP");
            let mut data = SpanData::new(name, SpanKind::Server, context, parent, request.started);
            data.set_request(request.method, request.path, request.id);
            data.state.clone_from(&request.incoming.state);
            data
        })
    }

    /// Starts the span of a call over a link: kind client, named by its [`CallSite`].
    pub fn call(&self, site: &Arc<CallSite>, parent: Option<TraceContext>, started: Instant) -> Span {
        self.begin(parent, |context, parent| {
            let name = SpanName::Static("call");
            let mut data = SpanData::new(name, SpanKind::Client, context, parent, started);
            data.set_site(site);
            data
        })
    }

    /// Sends the spans that wait, for at most `patience`, and records none from now on. False if some were
    /// still there when the time was over.
    pub async fn close(&self, patience: Duration) -> bool {
        match &self.0 {
            Some(pipeline) => pipeline.close(patience).await,
            None => true,
        }
    }

    fn begin(
        &self,
        parent: Option<TraceContext>,
        data: impl FnOnce(TraceContext, Option<TraceContext>) -> SpanData,
    ) -> Span {
        let Some(pipeline) = &self.0 else {
            return Span::unrecorded(parent);
        };
        let trace_id = parent.map_or_else(TraceId::next, |parent| parent.trace_id);
        let context = TraceContext {
            trace_id,
            span_id: SpanId::next(),
            sampled: pipeline.sampler.samples(parent, trace_id),
        };
        match context.sampled {
            true => Span::recorded(Box::new(data(context, parent)), Arc::clone(pipeline)),
            false => Span::unrecorded(Some(context)),
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("enabled", &self.is_enabled())
            .finish()
    }
}
