//! Traces over OTLP, as a receiver on the loopback interface gets them.

mod receiver;

use http::Request;

use super::{links, links_with};
use crate::harness::{Answer, Builder, TestHost, Upstream, empty};
use receiver::{Kind, Receiver, Span};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

const RINGS: [(&str, &str); 2] = [
    ("link-ring", "link:ring/step@1.0.0"),
    ("link-ring-p2", "link:ring/plain-step@1.0.0"),
];

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// A request that is part of a trace.
async fn ask(host: &TestHost, path: &str, flags: &str) -> Answer {
    let request = Request::get(path)
        .header("traceparent", traceparent(flags))
        .header("tracestate", "vendor=value")
        .body(empty())
        .expect("the test's path is valid");
    host.request(request).await
}

/// `a` calls `b` calls `c`.
fn ring((fixture, interface): (&str, &str)) -> Builder {
    let mut builder = TestHost::builder();
    for (name, next) in [("a", "b"), ("b", "c"), ("c", "a")] {
        builder = builder
            .service(name, fixture)
            .tables(&links(name, &[(interface, next)]));
    }
    builder.route("/...", "a")
}

fn faulty(policy: &str) -> Builder {
    let both = ["link:fault/plain@1.0.0", "link:fault/waiting@1.0.0"];
    TestHost::builder()
        .service("callee", "link-fault-callee")
        .service("caller", "link-fault-caller")
        .tables(&links_with("caller", &both, "callee", policy))
        .route("/...", "caller")
}

/// The span of the request, and those of its calls in the order in which they began.
fn sorted(mut spans: Vec<Span>) -> (Span, Vec<Span>) {
    let at = spans
        .iter()
        .position(|span| span.kind == Kind::Server)
        .expect("the request has a span");
    let request = spans.remove(at);
    assert!(spans.iter().all(|span| span.kind == Kind::Client), "{spans:?}");
    spans.sort_by_key(|span| span.started);
    (request, spans)
}

#[tokio::test]
async fn a_request_and_its_calls_are_spans_of_the_callers_trace_each_within_the_one_before() {
    for kind in RINGS {
        let receiver = Receiver::start().await;
        let host = ring(kind)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())
            .start()
            .await;
        assert_eq!(ask(&host, "/1/5", "01").await.text(), "ok 1\n");
        // What waits to be sent is sent before the end.
        host.stop().await;
        let (request, calls) = sorted(receiver.spans());
        assert_eq!(calls.len(), 2, "{kind:?}: {calls:?}");
        assert_eq!(request.parent, PARENT);
        assert_eq!(request.trace_state, "vendor=value");
        assert_eq!(request.name, "GET /...");
        for (key, value) in [
            ("http.request.method", "GET"),
            ("url.path", "/1/5"),
            ("http.response.status_code", "200"),
        ] {
            assert_eq!(request.attribute(key), value, "{request:?}");
        }
        let mut outer = &request;
        let (interface, _) = kind.1.split_once('@').expect("the interface has a version");
        for (call, (from, to)) in calls.iter().zip([("a", "b"), ("b", "c")]) {
            assert_eq!(call.parent, outer.id, "{kind:?}: {calls:?}");
            assert!(
                outer.started <= call.started && call.ended <= outer.ended,
                "{kind:?}"
            );
            assert_eq!(call.name, format!("{interface}.step"));
            for (key, value) in [
                ("rpc.service", kind.1),
                ("rpc.method", "step"),
                ("midplane.caller", from),
                ("midplane.callee", to),
            ] {
                assert_eq!(call.attribute(key), value, "{call:?}");
            }
            assert!(!call.attribute("midplane.callee.revision").is_empty());
            outer = call;
        }
        for span in calls.iter().chain([&request]) {
            assert_eq!(span.trace, TRACE);
            assert!(!span.is_error, "{span:?}");
        }
    }
}

#[tokio::test]
async fn calls_beside_each_other_have_the_same_parent() {
    let receiver = Receiver::start().await;
    let host = faulty("")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())
        .start()
        .await;
    ask(&host, "/waiting/with-error/late/10?parallel=3", "01").await;
    host.stop().await;
    let (request, calls) = sorted(receiver.spans());
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| call.parent == request.id), "{calls:?}");
}

#[tokio::test]
async fn a_call_that_fails_is_a_span_with_an_error_and_its_kind() {
    for contract in ["plain", "waiting"] {
        for (path, policy, status, error) in [
            ("with-kind/late/60000", "timeout = \"200ms\"", 200, "timeout"),
            ("with-kind/trap", "", 200, "trap"),
            ("with-kind/fail", "", 200, ""),
            ("without/trap", "", 500, "trap"),
        ] {
            let receiver = Receiver::start().await;
            let host = faulty(policy)
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())
                .start()
                .await;
            let answer = ask(&host, &format!("/{contract}/{path}"), "01").await;
            assert_eq!(answer.status, status);
            host.stop().await;
            let (request, calls) = sorted(receiver.spans());
            assert_eq!(calls.len(), 1, "{contract}/{path}");
            assert_eq!(
                calls[0].is_error,
                !error.is_empty(),
                "{contract}/{path}: {calls:?}"
            );
            assert_eq!(calls[0].attribute("error.type"), error, "{contract}/{path}");
            assert_eq!(request.is_error, status == 500, "{contract}/{path}: {request:?}");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_trace_begins_one() {
    let receiver = Receiver::start().await;
    let host = ring(RINGS[0])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())
        .start()
        .await;
    host.get("/0/0").await;
    host.get("/0/0").await;
    host.stop().await;
    let spans = receiver.spans();
    let traces: Vec<_> = spans
        .iter()
        .filter(|span| span.kind == Kind::Server)
        .map(|span| {
            assert_eq!(span.parent, "");
            span.trace.as_str()
        })
        .collect();
    assert_eq!(traces.len(), 2, "{spans:?}");
    assert_ne!(traces[0], traces[1]);
    for trace in traces {
        let of_it = spans.iter().filter(|span| span.trace == trace);
        assert_eq!(of_it.count(), 2, "the request and its call: {spans:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_where_nobody_asks_for_it() {
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str());
    let hosts: [(&str, &[(&str, &str)]); 4] = [
        ("01", &[]),
        ("01", &[endpoint, ("OTEL_SDK_DISABLED", "true")]),
        ("01", &[endpoint, ("OTEL_TRACES_EXPORTER", "none")]),
        // The caller does not record its trace, and so its part here is not recorded either.
        ("00", &[endpoint]),
    ];
    for (flags, environment) in hosts {
        let mut builder = ring(RINGS[0]);
        for (name, value) in environment {
            builder = builder.env(name, value);
        }
        let host = builder.start().await;
        assert_eq!(ask(&host, "/1/0", flags).await.text(), "ok 1\n");
        host.stop().await;
        assert_eq!(receiver.requests(), 0, "{environment:?}");
    }
}

#[tokio::test]
async fn a_variable_that_cannot_be_understood_ends_the_start_and_is_named() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let cases: [&[(&str, &str)]; 4] = [
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")],
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), endpoint],
        &[("OTEL_TRACES_SAMPLER", "sometimes"), endpoint],
        &[("OTEL_EXPORTER_OTLP_HEADERS", "top-secret"), endpoint],
    ];
    for case in cases {
        let mut builder = ring(RINGS[0]);
        for (name, value) in case {
            builder = builder.env(name, value);
        }
        let failure = builder.fail().await;
        assert!(failure.status.code().is_some_and(|code| code != 0), "{failure:?}");
        let variable = case[0].0;
        assert!(failure.stderr.contains(variable), "{variable}: {failure:?}");
        assert!(!failure.stderr.contains("top-secret"), "{failure:?}");
    }
}

/// A receiver that is not there costs spans, never answers.
#[tokio::test]
async fn a_receiver_that_is_not_there_stops_nobody() {
    let gone = Receiver::start().await.url();
    let host = ring(RINGS[0])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &gone)
        .start()
        .await;
    assert_eq!(host.get("/1/0").await.text(), "ok 1\n");
    host.stop().await;
}

#[tokio::test]
async fn a_request_of_a_guest_carries_the_trace_on() {
    for guest in ["http-p2", "http-p3"] {
        let (receiver, upstream) = (Receiver::start().await, Upstream::start().await);
        let app = || {
            TestHost::builder()
                .service("guest", guest)
                .grant(&format!("allowed_outbound_hosts = [{:?}]", upstream.url("")))
                .route("/...", "guest")
        };
        let path = format!("/outbound?url={}", upstream.url("/seen"));
        let seen = |name: &str| {
            let head = upstream.seen().pop().expect("the request arrived");
            let values = head.headers.into_iter().filter(|(header, _)| header == name);
            values.map(|(_, value)| value).collect::<Vec<_>>()
        };

        let host = app()
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())
            .start()
            .await;
        ask(&host, &path, "01").await;
        host.stop().await;
        let spans = receiver.spans();
        let [header] = &seen("traceparent")[..] else {
            panic!("{guest}: one traceparent was expected: {:?}", upstream.seen())
        };
        let parts: Vec<_> = header.split('-').collect();
        assert_eq!((parts[1], parts[3]), (TRACE, "01"), "{guest}");
        assert!(
            spans.iter().any(|span| span.id == parts[2]),
            "{guest}: {header} names none of {spans:?}"
        );
        assert_eq!(seen("tracestate"), ["vendor=value"], "{guest}");

        // Without a receiver the host is no part of the trace and only hands it on.
        let host = app().start().await;
        ask(&host, &path, "01").await;
        assert_eq!(seen("traceparent"), [traceparent("01")], "{guest}");
        host.get(&path).await;
        assert_eq!(seen("traceparent"), Vec::<String>::new(), "{guest}");
    }
}
