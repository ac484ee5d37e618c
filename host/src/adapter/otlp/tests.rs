//! The exporter against a receiver on the loopback interface, behind the tracer and the pooled client that a host
//! has. The receiver decodes what it gets.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::Instant;

use http::Method;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::message::{AnyKind, AnyValue, Kind, PartialSuccess, Span};
use super::*;
use crate::adapter::http_client::{PooledClient, Spawner};
use crate::model::{Digest, InterfaceName, RevisionId, ServiceName};
use crate::shutdown::Tasks;
use crate::telemetry::RequestId;
use crate::telemetry::metrics::LinkOutcome;
use crate::telemetry::trace::{self, CallSite, RequestStart, SpanKind, SpanStatus, TraceContext, Tracer};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Seen {
    head: http::request::Parts,
    message: ExportRequest,
}

/// A receiver that answers as it was told, with an empty 200 when it was told nothing more.
#[derive(Default)]
struct Receiver {
    answers: Mutex<VecDeque<Response<Full<Bytes>>>>,
    seen: Mutex<Vec<Seen>>,
    changed: Notify,
}

impl Receiver {
    async fn serve(answers: impl IntoIterator<Item = Response<Full<Bytes>>>) -> (Arc<Self>, String) {
        let receiver = Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            ..Self::default()
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&receiver);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| Arc::clone(&shared).take(request));
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        (receiver, format!("http://{address}"))
    }

    async fn take(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let message = ExportRequest::decode(body.collect().await.unwrap().to_bytes()).unwrap();
        self.seen.lock().unwrap().push(Seen { head, message });
        self.changed.notify_one();
        let answer = self.answers.lock().unwrap().pop_front();
        Ok(answer.unwrap_or_default())
    }

    /// Until so many requests were seen.
    async fn seen(&self, requests: usize) {
        let enough = async {
            while self.seen.lock().unwrap().len() < requests {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap();
    }

    /// All spans of all requests.
    fn spans(&self) -> Vec<Span> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .flat_map(|seen| &seen.message.resource_spans)
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| scope.spans.clone())
            .collect()
    }
}

fn settings(pairs: &[(&str, &str)]) -> TraceSettings {
    let lookup = |name: &str| {
        let found = pairs.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    TraceSettings::from_env("shop", "1.0.0", lookup).unwrap().unwrap()
}

/// A tracer with everything that a host puts behind it.
fn tracer(settings: &TraceSettings, tasks: &Tasks) -> Tracer {
    let spawning = tasks.clone();
    let spawner = Spawner::new(move |task| drop(spawning.background("otlp", task)));
    let client = PooledClient::load(client_settings(settings, Vec::new()), spawner).unwrap();
    let exporter = OtlpExporter::new(Arc::new(client), settings);
    Tracer::exporting(settings.sampler, Arc::new(exporter), settings.timeout, tasks)
}

fn at(endpoint: &str) -> TraceSettings {
    settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)])
}

fn answer(status: u16, header: (&'static str, &'static str)) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(header.0, header.1)
        .body(Full::default())
        .unwrap()
}

fn text(key: &str, text: &str) -> KeyValue {
    KeyValue::text(key, text)
}

fn counts(tracer: &Tracer) -> (u64, u64) {
    (tracer.counts().exported(), tracer.counts().dropped())
}

#[tokio::test]
async fn spans_arrive_with_their_ids_parents_times_and_attributes() {
    let (receiver, endpoint) = Receiver::serve([]).await;
    let tasks = Tasks::new();
    let settings = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ]);
    let tracer = tracer(&settings, &tasks);

    let mut headers = HeaderMap::new();
    let caller = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    caller.write(None, &mut headers);
    headers.insert("tracestate", HeaderValue::from_static("a=1"));
    let incoming = trace::Incoming::read(&headers);
    let id = RequestId::next();
    let started = Instant::now();
    let before = SystemTime::now();
    let mut request = tracer.request(&RequestStart {
        method: &Method::POST,
        path: "/orders",
        id,
        incoming: &incoming,
        started,
    });
    let orders = ServiceName::parse("orders").unwrap();
    let catalog = ServiceName::parse("catalog").unwrap();
    let interface = InterfaceName::parse("shop:catalog/products@1.0.0").unwrap();
    let site = CallSite::new(&orders, &catalog, &interface, "get");
    let mut call = tracer.call(&site, request.context(), started + Duration::from_millis(1));
    let revision = RevisionId::new(Digest::of(b"catalog"));
    call.callee_revision(revision);
    let ended = started + Duration::from_millis(2);
    call.end_at(SpanStatus::of_call(LinkOutcome::Trap), ended);
    request.response(StatusCode::BAD_GATEWAY);
    let context = request.context().unwrap();
    request.end_at(SpanStatus::of_response(StatusCode::BAD_GATEWAY), ended);
    assert!(tracer.close(PATIENCE).await);
    assert_eq!(counts(&tracer), (2, 0));

    let seen = receiver.seen.lock().unwrap();
    let [Seen { head, message }] = &seen[..] else {
        panic!("one batch was expected")
    };
    assert_eq!((&head.method, head.uri.path()), (&Method::POST, "/v1/traces"));
    assert_eq!(head.headers["content-type"], "application/x-protobuf");
    assert_eq!(head.headers["authorization"], "Bearer x");
    let [resource] = &message.resource_spans[..] else {
        panic!("one resource was expected")
    };
    let described = &resource.resource.as_ref().unwrap().attributes;
    assert!(described.contains(&text("service.name", "shop")));
    assert!(described.contains(&text("service.version", "1.0.0")));
    assert!(described.contains(&text("deployment.environment.name", "test")));
    let [scope] = &resource.scope_spans[..] else {
        panic!("one scope was expected")
    };
    assert_eq!(scope.scope.as_ref().unwrap().name, "midplane");

    let get = |name: &str| scope.spans.iter().find(|span| span.name == name).unwrap();
    let (request, call) = (get("POST"), get("shop:catalog/products.get"));
    assert_eq!(request.trace_id, caller.trace_id.to_bytes());
    assert_eq!(request.span_id, context.span_id.to_bytes());
    assert_eq!(request.parent_span_id, caller.span_id.to_bytes());
    assert_eq!(request.trace_state, "a=1");
    assert_eq!((request.kind(), call.kind()), (Kind::Server, Kind::Client));
    assert_eq!((request.flags, call.flags), (1, 1));
    assert_eq!(call.trace_id, request.trace_id);
    assert_eq!(call.parent_span_id, request.span_id);
    assert_ne!(call.span_id, request.span_id);
    assert_eq!(
        call.start_time_unix_nano,
        request.start_time_unix_nano + 1_000_000
    );
    assert_eq!(call.end_time_unix_nano, request.end_time_unix_nano);
    let unix = before.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let off = u128::from(request.start_time_unix_nano).abs_diff(unix);
    assert!(off < 1_000_000_000, "the start is {off} ns from the wall clock");
    let number = KeyValue {
        key: "http.response.status_code".to_owned(),
        value: Some(AnyValue {
            value: Some(AnyKind::Int(502)),
        }),
    };
    for attribute in [
        text("http.request.method", "POST"),
        text("url.path", "/orders"),
        text("midplane.request_id", &id.to_string()),
        text("error.type", "502"),
        number,
    ] {
        assert!(
            request.attributes.contains(&attribute),
            "{attribute:?} is missing in {request:?}"
        );
    }
    for attribute in [
        text("rpc.system", "wit"),
        text("rpc.service", "shop:catalog/products@1.0.0"),
        text("rpc.method", "get"),
        text("midplane.caller", "orders"),
        text("midplane.callee", "catalog"),
        text("midplane.callee.revision", &revision.to_string()),
        text("error.type", "trap"),
    ] {
        assert!(
            call.attributes.contains(&attribute),
            "{attribute:?} is missing in {call:?}"
        );
    }
    let code = |span: &Span| span.status.as_ref().map(|status| status.code);
    assert_eq!((code(request), code(call)), (Some(2), Some(2)));
}

#[tokio::test]
async fn many_spans_go_in_batches_over_one_connection_and_each_arrives_once() {
    let (receiver, endpoint) = Receiver::serve([]).await;
    let tasks = Tasks::new();
    let tracer = tracer(&at(&endpoint), &tasks);
    for _ in 0..2000 {
        tracer
            .start("span", SpanKind::Internal, None)
            .end(SpanStatus::Unset);
    }
    assert!(tracer.close(PATIENCE).await);
    assert_eq!(counts(&tracer), (2000, 0));
    let spans = receiver.spans();
    let ids: std::collections::HashSet<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    assert_eq!((spans.len(), ids.len()), (2000, 2000));
    assert!(
        spans
            .iter()
            .all(|span| span.parent_span_id.is_empty() && span.status.is_none())
    );
    assert!(receiver.seen.lock().unwrap().len() <= 5);
}

#[tokio::test]
async fn a_batch_is_sent_again_after_503_as_the_receiver_asks() {
    let statuses = [429, 502, 503, 504].map(|status| async move {
        let (receiver, endpoint) = Receiver::serve([answer(status, ("retry-after", "0"))]).await;
        let tasks = Tasks::new();
        let tracer = tracer(&at(&endpoint), &tasks);
        tracer
            .start("span", SpanKind::Internal, None)
            .end(SpanStatus::Unset);
        receiver.seen(2).await;
        assert!(tracer.close(PATIENCE).await);
        assert_eq!(counts(&tracer), (1, 0), "after {status}");
        let [first, second] = receiver.spans().try_into().unwrap();
        assert_eq!(first.span_id, second.span_id);
    });
    // At once, since each waits for an interval.
    futures::future::join_all(statuses).await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_no_answer_of_the_protocol_is_taken_as_consent() {
    let body = |bytes: Vec<u8>| {
        Response::builder()
            .header("content-type", "application/x-protobuf")
            .body(Full::from(bytes))
            .unwrap()
    };
    for response in [body(vec![b'x'; 10 * MAX_ANSWER_BYTES]), body(b"thanks".to_vec())] {
        let (_receiver, endpoint) = Receiver::serve([response]).await;
        let tasks = Tasks::new();
        let tracer = tracer(&at(&endpoint), &tasks);
        tracer
            .start("span", SpanKind::Internal, None)
            .end(SpanStatus::Unset);
        assert!(tracer.close(PATIENCE).await);
        assert_eq!(counts(&tracer), (1, 0));
    }
}

#[tokio::test]
async fn a_batch_is_dropped_after_any_other_refusal() {
    for status in [400, 401, 404, 500] {
        let (receiver, endpoint) = Receiver::serve([answer(status, ("retry-after", "0"))]).await;
        let tasks = Tasks::new();
        let tracer = tracer(&at(&endpoint), &tasks);
        tracer
            .start("span", SpanKind::Internal, None)
            .end(SpanStatus::Unset);
        assert!(tracer.close(PATIENCE).await);
        assert_eq!(
            (counts(&tracer), receiver.spans().len()),
            ((0, 1), 1),
            "after {status}"
        );
    }
}

#[tokio::test]
async fn spans_that_the_receiver_refuses_are_counted() {
    let partial = ExportResponse {
        partial_success: Some(PartialSuccess {
            rejected_spans: 2,
            error_message: "too old".to_owned(),
        }),
    };
    let response = Response::builder()
        .header("content-type", "application/x-protobuf")
        .body(Full::from(partial.encode_to_vec()))
        .unwrap();
    let (_receiver, endpoint) = Receiver::serve([response]).await;
    let tasks = Tasks::new();
    let tracer = tracer(&at(&endpoint), &tasks);
    for _ in 0..5 {
        tracer
            .start("span", SpanKind::Internal, None)
            .end(SpanStatus::Unset);
    }
    assert!(tracer.close(PATIENCE).await);
    assert_eq!(counts(&tracer), (3, 2));
}

#[tokio::test]
async fn without_a_receiver_spans_are_dropped_and_the_end_comes_at_once() {
    // Bound and not listening: connections are refused, and nobody else can take the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let tasks = Tasks::new();
    let tracer = tracer(&at(&endpoint), &tasks);
    for _ in 0..3 {
        tracer
            .start("span", SpanKind::Internal, None)
            .end(SpanStatus::Unset);
    }
    assert!(tracer.close(PATIENCE).await);
    assert_eq!(counts(&tracer), (0, 3));
    drop(socket);
}

#[test]
fn a_receiver_says_when_to_come_again_in_seconds_or_by_a_date() {
    let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    for (value, expected) in [
        ("120", Some(120)),
        ("0", Some(0)),
        ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
        ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
        ("-1", None),
        ("soon", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static(value));
        assert_eq!(
            retry_after(&headers, now),
            expected.map(Duration::from_secs),
            "{value}"
        );
    }
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}

/// Written by hand from the definition of the protocol, so that the numbers of the fields are not only held
/// against themselves.
#[test]
fn messages_have_the_numbers_of_the_definition() {
    let attribute = |value: AnyKind| KeyValue {
        key: "k".to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    };
    let message = ExportRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("r", "v")],
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(Scope {
                    name: "n".to_owned(),
                    version: "w".to_owned(),
                }),
                spans: vec![Span {
                    trace_id: vec![1; 16],
                    span_id: vec![2; 8],
                    trace_state: "s".to_owned(),
                    parent_span_id: vec![3; 8],
                    name: "x".to_owned(),
                    kind: Kind::Client.into(),
                    start_time_unix_nano: 4,
                    end_time_unix_nano: 5,
                    attributes: vec![attribute(AnyKind::Bool(true)), attribute(AnyKind::Int(6))],
                    dropped_attributes_count: 7,
                    status: Some(message::Status { code: 2 }),
                    flags: 1,
                }],
            }],
        }],
    };
    // Tag bytes are the number of the field times 8, plus 0 (varint), 1 (8 bytes), 2 (length) or 5 (4 bytes).
    let field = |number: u8, bytes: &[u8]| {
        let length = match u8::try_from(bytes.len()).unwrap() {
            short @ 0..128 => vec![short],
            // Seven bits a byte, the lower ones first.
            long => vec![long, 1],
        };
        [&[number * 8 + 2], &length[..], bytes].concat()
    };
    let status_and_flags = [&field(15, &[3 * 8, 2])[..], &[133, 1, 1, 0, 0, 0]].concat();
    let span = [
        field(1, &[1; 16]),
        field(2, &[2; 8]),
        field(3, b"s"),
        field(4, &[3; 8]),
        field(5, b"x"),
        vec![6 * 8, 3],
        [&[7 * 8 + 1, 4][..], &[0; 7]].concat(),
        [&[8 * 8 + 1, 5][..], &[0; 7]].concat(),
        field(9, &[field(1, b"k"), field(2, &[2 * 8, 1])].concat()),
        field(9, &[field(1, b"k"), field(2, &[3 * 8, 6])].concat()),
        vec![10 * 8, 7],
        status_and_flags,
    ]
    .concat();
    let scope = field(1, &[field(1, b"n"), field(2, b"w")].concat());
    let resource = field(1, &[field(1, b"r"), field(2, &field(1, b"v"))].concat());
    let scope_spans = [scope, field(2, &span)].concat();
    let resource_spans = [field(1, &resource), field(2, &scope_spans)].concat();
    assert_eq!(message.encode_to_vec(), field(1, &resource_spans));
}
