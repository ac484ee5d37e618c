//! What spans say, who their parents are, and what becomes of them.

use http::{HeaderMap, HeaderValue, StatusCode};

use super::*;
use crate::{
    model::{Digest, InterfaceName, RevisionId, ServiceName},
    telemetry::metrics::LinkOutcome,
};

/// Nothing is sent by the tests of this file.
struct Nowhere;

impl SpanExporter for Nowhere {
    fn export<'a>(&'a self, _: &'a Batch) -> futures::future::BoxFuture<'a, Result<Accepted, ExportError>> {
        unreachable!("no exporter runs")
    }
}

/// A tracer whose spans stay in its queue.
fn tracer(sampler: Sampler) -> Tracer {
    let (pipeline, _never_run) = Pipeline::new(sampler, Arc::new(Nowhere), Duration::from_secs(1));
    Tracer(Some(pipeline))
}

fn finished(tracer: &Tracer) -> Vec<queue::Finished> {
    tracer.0.as_ref().unwrap().queue.take(usize::MAX)
}

fn one(tracer: &Tracer) -> SpanData {
    let mut spans = finished(tracer);
    assert_eq!(spans.len(), 1);
    *spans.pop().unwrap()
}

fn attributes(span: &SpanData) -> Vec<(&'static str, String)> {
    let text = |value: &attribute::Value| match value {
        attribute::Value::Static(text) => (*text).to_owned(),
        attribute::Value::Shared(text) => text.to_string(),
        attribute::Value::Text(text) => text.to_string(),
        attribute::Value::Int(number) => number.to_string(),
        attribute::Value::Bool(value) => value.to_string(),
        attribute::Value::Service(name) => name.as_str().to_owned(),
        attribute::Value::Revision(id) => id.to_string(),
        attribute::Value::Request(id) => id.to_string(),
    };
    span.attributes()
        .map(|(key, value)| (*key, text(value)))
        .collect()
}

fn incoming(flags: &str) -> Incoming {
    let mut headers = HeaderMap::new();
    let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
    headers.insert("traceparent", HeaderValue::try_from(parent).unwrap());
    headers.insert("tracestate", HeaderValue::from_static("a=1"));
    Incoming::read(&headers)
}

fn start<'a>(method: &'a Method, path: &'a str, incoming: &'a Incoming) -> RequestStart<'a> {
    RequestStart {
        method,
        path,
        id: RequestId::next(),
        incoming,
        started: Instant::now(),
    }
}

fn site() -> Arc<CallSite> {
    CallSite::new(
        &ServiceName::parse("orders").unwrap(),
        &ServiceName::parse("catalog").unwrap(),
        &InterfaceName::parse("shop:catalog/products@1.0.0").unwrap(),
        "get",
    )
}

#[test]
fn a_request_is_described_by_the_conventions() {
    let tracer = tracer(Sampler::default());
    let incoming = incoming("01");
    let request = start(&Method::GET, "/products/7?token=hunter2", &incoming);
    let mut span = tracer.request(&request);
    let context = span.context().unwrap();
    let revision = RevisionId::new(Digest::of(b"x"));
    span.route(&"/products/:id");
    span.served_by(&ServiceName::parse("catalog").unwrap(), revision);
    span.response(StatusCode::OK);
    let ended = request.started + Duration::from_millis(3);
    span.end_at(SpanStatus::of_response(StatusCode::OK), ended);

    let span = one(&tracer);
    let parent = incoming.context.unwrap();
    assert_eq!((span.context, span.parent), (context, Some(parent.span_id)));
    assert_eq!(context.trace_id, parent.trace_id);
    assert_ne!(context.span_id, parent.span_id);
    assert_eq!(span.state, incoming.state);
    assert_eq!(
        (span.name.as_str(), span.kind),
        ("GET /products/:id", SpanKind::Server)
    );
    assert_eq!((span.started, span.ended), (request.started, ended));
    assert_eq!(span.status, SpanStatus::Unset);
    assert_eq!(
        attributes(&span),
        [
            ("http.request.method", "GET".to_owned()),
            ("url.scheme", "http".to_owned()),
            ("url.path", "/products/7".to_owned()),
            ("midplane.request_id", request.id.to_string()),
            ("http.route", "/products/:id".to_owned()),
            ("midplane.service", "catalog".to_owned()),
            ("midplane.revision", revision.to_string()),
            ("http.response.status_code", "200".to_owned()),
        ]
    );
}

#[test]
fn methods_that_the_conventions_do_not_list_make_no_names() {
    let tracer = tracer(Sampler::default());
    let method = Method::from_bytes(b"BREW").unwrap();
    tracer
        .request(&start(&method, "/", &Incoming::default()))
        .end(SpanStatus::Unset);
    let span = one(&tracer);
    assert_eq!((span.name.as_str(), span.parent), ("HTTP", None));
    let attributes = attributes(&span);
    assert!(attributes.contains(&("http.request.method", "_OTHER".to_owned())));
    assert!(attributes.contains(&("http.request.method_original", "BREW".to_owned())));
}

#[test]
fn a_call_is_described_by_its_site_and_belongs_to_the_request() {
    let tracer = tracer(Sampler::default());
    let request = tracer.start("request", SpanKind::Server, None);
    let mut call = tracer.call(&site(), request.context(), Instant::now());
    let revision = RevisionId::new(Digest::of(b"y"));
    call.callee_revision(revision);
    call.end(SpanStatus::of_call(LinkOutcome::Timeout));
    request.end(SpanStatus::of_call(LinkOutcome::Answered));
    let mut spans = finished(&tracer);
    spans.sort_by_key(|span| span.parent.is_some());
    let [request, call] = spans.try_into().unwrap();
    assert_eq!(call.parent, Some(request.context.span_id));
    assert_eq!(call.context.trace_id, request.context.trace_id);
    assert_eq!(
        (call.name.as_str(), call.kind),
        ("shop:catalog/products.get", SpanKind::Client)
    );
    assert_eq!((request.name.as_str(), request.parent), ("request", None));
    assert_eq!(request.status, SpanStatus::Unset);
    assert_eq!(call.status, SpanStatus::Error("timeout".into()));
    assert_eq!(
        attributes(&call),
        [
            ("rpc.system", "wit".to_owned()),
            ("rpc.service", "shop:catalog/products@1.0.0".to_owned()),
            ("rpc.method", "get".to_owned()),
            ("midplane.caller", "orders".to_owned()),
            ("midplane.callee", "catalog".to_owned()),
            ("midplane.callee.revision", revision.to_string()),
        ]
    );
}

#[test]
fn only_5xx_are_errors_of_the_server() {
    assert_eq!(SpanStatus::of_response(StatusCode::NOT_FOUND), SpanStatus::Unset);
    assert_eq!(
        SpanStatus::of_response(StatusCode::SERVICE_UNAVAILABLE),
        SpanStatus::Error("503".into())
    );
}

#[test]
fn a_span_that_is_dropped_was_cancelled() {
    let tracer = tracer(Sampler::default());
    let before = Instant::now();
    drop(tracer.start("work", SpanKind::Internal, None));
    let span = one(&tracer);
    assert_eq!(span.status, SpanStatus::Error("cancelled".into()));
    assert!(span.ended >= span.started && span.started >= before);
}

#[test]
fn attributes_are_bounded_in_number_and_length() {
    let tracer = tracer(Sampler::default());
    let names: Vec<&'static str> = (0..MAX_ATTRIBUTES + 3)
        .map(|index| &*Box::leak(format!("a{index}").into_boxed_str()))
        .collect();
    let mut span = tracer.start("work", SpanKind::Internal, None);
    for name in &names {
        span.set(name, 1_i64);
    }
    span.set(names[0], 2_i64);
    span.end(SpanStatus::Error("x".repeat(5000).into()));
    let span = one(&tracer);
    assert_eq!(span.attributes().count(), MAX_ATTRIBUTES);
    assert_eq!(span.dropped_attributes, 3);
    assert_eq!(attributes(&span)[0], (names[0], "2".to_owned()));
    assert_eq!(
        span.status,
        SpanStatus::Error("x".repeat(attribute::MAX_TEXT_BYTES).into())
    );
    let mut span = tracer.start("work", SpanKind::Internal, None);
    span.set_text("long", &"y".repeat(5000));
    span.route(&"z".repeat(5000));
    span.end(SpanStatus::Unset);
    let span = one(&tracer);
    assert!(
        attributes(&span)
            .iter()
            .all(|(_, text)| text.len() == attribute::MAX_TEXT_BYTES)
    );
    assert_eq!(span.name.as_str().len(), attribute::MAX_TEXT_BYTES);
}

#[test]
fn without_tracing_the_context_of_the_caller_goes_on_unchanged() {
    let tracer = Tracer::disabled();
    assert!(!tracer.is_enabled());
    let incoming = incoming("01");
    let span = tracer.request(&start(&Method::GET, "/", &incoming));
    assert_eq!(span.context(), incoming.context);
    assert!(!span.is_recording());
    let call = tracer.call(&site(), span.context(), Instant::now());
    assert_eq!(call.context(), incoming.context);
    assert_eq!(tracer.start("alone", SpanKind::Internal, None).context(), None);
    assert_eq!((tracer.counts().exported(), tracer.counts().dropped()), (0, 0));
}

#[test]
fn a_trace_that_is_not_sampled_goes_on_and_is_not_recorded() {
    let tracer = tracer(Sampler::default());
    let incoming = incoming("00");
    let mut span = tracer.request(&start(&Method::GET, "/", &incoming));
    let context = span.context().unwrap();
    assert_eq!(context.trace_id, incoming.context.unwrap().trace_id);
    assert_ne!(context.span_id, incoming.context.unwrap().span_id);
    assert!(!context.sampled && !span.is_recording());
    span.set("ignored", true);
    span.end(SpanStatus::Unset);
    assert!(finished(&tracer).is_empty());
}

#[test]
fn all_spans_of_a_trace_meet_the_same_decision() {
    let tracer = tracer(Sampler::ratio(0.5, CallerDecision::Ignored));
    let mut recorded = 0;
    for _ in 0..200 {
        let request = tracer.start("request", SpanKind::Server, None);
        let call = tracer.call(&site(), request.context(), Instant::now());
        assert_eq!(request.is_recording(), call.is_recording());
        recorded += usize::from(request.is_recording());
    }
    assert!((20..180).contains(&recorded), "{recorded}");
}
