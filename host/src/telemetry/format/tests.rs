//! Lines as they come out of events, in both formats.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, StatusCode, Version};
use serde_json::Value as Json;
use tracing_subscriber::layer::SubscriberExt;

use super::{Format, Style};
use crate::telemetry::{
    AccessRecord, FailureKind, GuestFailure, LogOptions, Origin, RequestId, ResponseEnd, Stream, Tail,
    access, access_enabled, guest_failure, guest_line, layer::LogLayer, targets,
};

/// What `events` logs, line by line as it reaches the sink.
fn logged(format: Format, options: &LogOptions, events: impl FnOnce()) -> Vec<String> {
    // With a single subscriber, tests of other threads, which have none, would decide for all what is of interest.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let layer = LogLayer::new(format, move |line: &[u8]| {
        sink.lock()
            .unwrap()
            .push(String::from_utf8(line.to_vec()).unwrap());
    })
    .filtered(targets(options).unwrap(), Tail::new());
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, events);
    std::mem::take(&mut *lines.lock().unwrap())
}

fn all() -> LogOptions {
    LogOptions {
        access_log: true,
        ..LogOptions::default()
    }
}

/// The text of the events, with the time checked and taken away.
fn text(events: impl FnOnce()) -> Vec<String> {
    let lines = logged(Format::Text(Style::Plain), &all(), events);
    lines
        .into_iter()
        .map(|line| {
            let (time, rest) = line.split_once(' ').unwrap();
            let shape: String = time
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                .collect();
            assert_eq!(shape, "00:00:00.000Z");
            rest.to_owned()
        })
        .collect()
}

fn json(events: impl FnOnce()) -> Vec<Json> {
    let lines = logged(Format::Json, &all(), events);
    lines
        .iter()
        .map(|line| {
            assert_eq!(line.matches('\n').count(), 1);
            serde_json::from_str(line).unwrap()
        })
        .collect()
}

fn origin(request_id: RequestId) -> Origin<'static> {
    Origin {
        service: "catalog",
        revision: &"0123456789ab",
        request_id: Some(request_id),
    }
}

fn access_record(request_id: RequestId, method: &Method) -> AccessRecord<'_> {
    AccessRecord {
        request_id,
        method,
        path: "/catalog/products?token=secret",
        protocol: Version::HTTP_2,
        client: [192, 0, 2, 7].into(),
        status: StatusCode::OK,
        duration: Duration::from_nanos(1_234_567),
        request_bytes: 0,
        response_bytes: 1024,
        end: ResponseEnd::Complete,
        answered_by: Some(("catalog", &"0123456789ab")),
    }
}

fn failure(request_id: RequestId) -> GuestFailure<'static> {
    GuestFailure {
        origin: origin(request_id),
        kind: FailureKind::Panic,
        message: "panicked at src/lib.rs:3:5: no stock\nERROR forged",
        chain: None,
        backtrace: "0: catalog::get\n     at src/lib.rs:3\n1: \u{1b}[31mmain",
    }
}

#[test]
fn a_line_of_the_host_names_its_module_or_service_and_its_fields() {
    let lines = text(|| {
        tracing::info!(target: "midplane::gateway::listener", address = "127.0.0.1:3000", "listening");
        tracing::warn!(target: "midplane::service", service = "catalog", attempts = 3, ok = false, "slow");
        tracing::error!(target: "hyper::proto", wide = "two words", empty = "", quote = "a\"b\\", "broken");
    });
    assert_eq!(
        lines,
        [
            "INFO  gateway  listening address=127.0.0.1:3000\n",
            "WARN  catalog  slow attempts=3 ok=false\n",
            "ERROR hyper  broken wide=\"two words\" empty=\"\" quote=\"a\\\"b\\\\\"\n",
        ]
    );
}

#[test]
fn guest_lines_show_service_request_and_stream() {
    let id = RequestId::next();
    let lines = text(|| {
        guest_line(origin(id), Stream::Stdout, "hello \"you\"");
        guest_line(origin(id), Stream::Stderr, "\u{1b}[2Jgone\tcolumn");
        guest_line(
            Origin {
                request_id: None,
                ..origin(id)
            },
            Stream::Stdout,
            "warming",
        );
    });
    assert_eq!(
        lines,
        [
            format!("catalog {id} │ hello \"you\"\n"),
            format!("catalog {id} stderr │ \\u{{1b}}[2Jgone\tcolumn\n"),
            "catalog │ warming\n".to_owned(),
        ]
    );
}

#[test]
fn an_access_line_has_no_query() {
    let id = RequestId::next();
    let lines = text(|| access(&access_record(id, &Method::GET)));
    assert_eq!(
        lines,
        [format!(
            "INFO  catalog  GET /catalog/products 200 1.235ms revision=0123456789ab request_id={id} \
             request_bytes=0 response_bytes=1024 end=complete client=192.0.2.7 protocol=HTTP/2.0\n"
        )]
    );
    let unrouted = text(|| {
        access(&AccessRecord {
            answered_by: None,
            ..access_record(id, &Method::GET)
        })
    });
    assert!(unrouted[0].starts_with("INFO  access  GET "), "{unrouted:?}");
}

#[test]
fn a_failure_is_one_event_with_its_backtrace_indented() {
    let id = RequestId::next();
    let lines = text(|| guest_failure(&failure(id)));
    assert_eq!(
        lines,
        [format!(
            "ERROR catalog  panic: panicked at src/lib.rs:3:5: no stock\\nERROR forged \
             revision=0123456789ab request_id={id}\n    0: catalog::get\n         at src/lib.rs:3\n    \
             1: \\u{{1b}}[31mmain\n"
        )]
    );
}

#[test]
fn json_is_one_flat_object_a_line() {
    let id = RequestId::next();
    let lines = json(|| {
        tracing::info!(target: "midplane::gateway", port = 3000, delta = -1, ratio = 0.5, on = true, "up");
        guest_line(origin(id), Stream::Stderr, "a \"quote\"\u{1b}");
        access(&access_record(id, &Method::POST));
        guest_failure(&failure(id));
        tracing::info!(target: "midplane", level = "mine",
            target = "mine",
            nothing = None::<&str>,
            nan = f64::NAN,
            "clash"
        );
    });
    let at = lines[0]["timestamp"].as_str().unwrap();
    assert_eq!((at.len(), &at[10..11], &at[23..]), (24, "T", "Z"));
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["target"], "midplane::gateway");
    assert_eq!(lines[0]["message"], "up");
    assert_eq!(
        (&lines[0]["port"], &lines[0]["delta"]),
        (&3000.into(), &(-1).into())
    );
    assert_eq!((&lines[0]["ratio"], &lines[0]["on"]), (&0.5.into(), &true.into()));
    assert_eq!(lines[1]["message"], "a \"quote\"\u{1b}");
    assert_eq!(lines[1]["stream"], "stderr");
    assert_eq!(lines[2]["path"], "/catalog/products");
    assert_eq!(lines[2]["status"], 200);
    assert_eq!(lines[2]["duration_ms"], 1.235);
    assert_eq!(lines[3]["kind"], "panic");
    assert_eq!(lines[3]["backtrace"], failure(id).backtrace);
    for line in &lines[1..4] {
        assert_eq!(line["request_id"], id.to_string());
        assert_eq!(line["service"], "catalog");
        assert_eq!(line["revision"], "0123456789ab");
    }
    assert_eq!(
        (&lines[4]["level"], &lines[4]["level_"]),
        (&"INFO".into(), &"mine".into())
    );
    assert_eq!(lines[4]["target_"], "mine");
    assert!(lines[4].get("nothing").is_none());
    assert_eq!(lines[4]["nan"], "NaN");
}

#[test]
fn lines_within_a_span_bear_its_fields_and_their_own_come_first() {
    let lines = json(|| {
        let outer = tracing::info_span!(target: "midplane", "request", request_id = "r1", service = "outer");
        let _outer = outer.enter();
        let inner =
            tracing::info_span!(target: "midplane", "call", service = "inner", late = tracing::field::Empty);
        inner.record("late", 7);
        let _inner = inner.enter();
        tracing::info!(target: "midplane", "in both");
        tracing::info!(target: "midplane", service = "own", "own");
    });
    assert_eq!(
        (&lines[0]["request_id"], &lines[0]["service"]),
        (&"r1".into(), &"inner".into())
    );
    assert_eq!(lines[0]["late"], 7);
    assert_eq!(lines[1]["service"], "own");
}

#[test]
fn an_error_is_logged_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("inner"));
    let lines =
        json(|| tracing::error!(target: "midplane", error = &error as &dyn std::error::Error, "failed"));
    assert_eq!(lines[0]["error"], "outer: inner");
}

#[test]
fn values_of_any_size_make_lines_of_a_bounded_one() {
    let huge = "ü".repeat(1024 * 1024);
    let frames = "frame\n".repeat(100_000);
    let id = RequestId::next();
    let lines = json(|| {
        tracing::info!(target: "midplane", value = huge, "{huge}");
        guest_failure(&GuestFailure {
            backtrace: &frames,
            ..failure(id)
        });
    });
    for (value, limit) in [
        (&lines[0]["value"], 8192),
        (&lines[0]["message"], 8192),
        (&lines[1]["backtrace"], 32768),
    ] {
        let value = value.as_str().unwrap();
        assert!(
            value.ends_with('…') && value.len() == limit + '…'.len_utf8(),
            "{}",
            value.len()
        );
    }
}

#[test]
fn colours_surround_the_parts_and_only_when_asked_for() {
    let event = || tracing::info!(target: "midplane::gateway", key = "value", "text");
    let colored = logged(Format::Text(Style::Colored), &all(), event);
    assert!(
        colored[0].contains("\u{1b}[32mINFO \u{1b}[0m \u{1b}[36mgateway\u{1b}[0m  text"),
        "{colored:?}"
    );
    let plain = logged(Format::Text(Style::Plain), &all(), event);
    assert!(!plain[0].contains('\u{1b}'));
}

/// One event of each kind.
fn one_of_each() {
    let id = RequestId::next();
    tracing::debug!(target: "midplane::gateway", "detail");
    tracing::info!(target: "midplane::gateway", "news");
    tracing::info!(target: "hyper", "foreign news");
    tracing::warn!(target: "hyper", "foreign warning");
    guest_line(origin(id), Stream::Stdout, "guest");
    access(&access_record(id, &Method::GET));
    guest_failure(&failure(id));
}

fn messages(options: &LogOptions) -> Vec<String> {
    let lines = logged(Format::Json, options, one_of_each);
    let of = |line: &String| {
        serde_json::from_str::<Json>(line).unwrap()["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    lines
        .iter()
        .map(of)
        .map(|text| text.split(' ').next_back().unwrap().to_owned())
        .collect()
}

#[test]
fn options_choose_what_is_logged() {
    let default = LogOptions::default();
    assert_eq!(messages(&default), ["news", "warning", "guest", "forged"]);
    let quiet = LogOptions {
        quiet: true,
        ..default.clone()
    };
    assert_eq!(messages(&quiet), ["warning", "forged"]);
    let quiet_access = LogOptions {
        quiet: true,
        access_log: true,
        ..default.clone()
    };
    assert_eq!(messages(&quiet_access), ["warning", "request", "forged"]);
    let filtered = LogOptions {
        filter: Some("error,midplane::gateway=debug".into()),
        ..default
    };
    assert_eq!(messages(&filtered), ["detail", "news", "forged"]);
}

#[test]
fn a_filter_that_does_not_parse_is_an_error_that_shows_it() {
    let options = LogOptions {
        filter: Some("midplane=loudly".into()),
        ..LogOptions::default()
    };
    assert_eq!(
        targets(&options).unwrap_err().to_string(),
        "`midplane=loudly` is not a log filter"
    );
}

#[test]
fn whether_the_access_log_is_on_can_be_asked() {
    for access_log in [false, true] {
        let options = LogOptions {
            access_log,
            ..LogOptions::default()
        };
        let mut enabled = None;
        logged(Format::Json, &options, || enabled = Some(access_enabled()));
        assert_eq!(enabled, Some(access_log));
    }
}
