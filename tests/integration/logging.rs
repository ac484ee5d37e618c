//! What the host says about requests, guests and failures.

use std::collections::HashSet;
use std::time::Duration;

use http::Request;

use crate::harness::{Builder, Line, Protocol, TestHost, empty};

fn guests() -> Builder {
    TestHost::builder()
        .service("p2", "http-p2")
        .service("p3", "http-p3")
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .arg("--access-log")
}

/// The three functions of the fixture that a panic goes through, innermost first.
const FRAMES: [&str; 3] = [
    "innermost_frame_of_the_panic",
    "middle_frame_of_the_panic",
    "outermost_frame_of_the_panic",
];

fn assert_backtrace(line: &Line) {
    let backtrace = line.field("backtrace");
    let mut rest = backtrace.as_str();
    for frame in FRAMES {
        let Some(at) = rest.find(frame) else {
            panic!("no {frame} in order in {backtrace}")
        };
        rest = &rest[at..];
        let place = rest.lines().next().unwrap_or_default();
        assert!(
            place.contains("chain.rs:"),
            "no file and line with {frame}: {place}"
        );
    }
}

#[tokio::test]
async fn all_lines_of_a_failing_request_share_its_id() {
    let host = guests().start().await;
    for guest in ["p2", "p3"] {
        host.get(&format!("/{guest}/hello")).await;
        let answer = host.get(&format!("/{guest}/panic?message=boom-in-{guest}")).await;
        assert_eq!(answer.status, 500);
        host.get(&format!("/{guest}/hello")).await;
        let access = host
            .wait_for_log("the access line", |line| {
                line.field("path") == format!("/{guest}/panic") && line.field("status") == "500"
            })
            .await;
        let id = access.field("request_id");
        assert!(!id.is_empty(), "{}", access.text());
        assert_eq!(answer.json()["request_id"], id, "the client can name the request");

        let lines = host.lines();
        let of_request: Vec<_> = lines
            .iter()
            .filter(|line| line.field("request_id") == id)
            .collect();
        let printed = of_request
            .iter()
            .filter(|line| line.field("stream") == "stderr")
            .count();
        assert!(
            printed >= 1,
            "the panic message of the guest is not under the id: {of_request:?}"
        );
        let failures: Vec<_> = of_request
            .iter()
            .filter(|line| !line.field("backtrace").is_empty())
            .collect();
        assert_eq!(failures.len(), 1, "{of_request:?}");
        let failure = failures[0];
        assert!(
            failure.message().contains(&format!("boom-in-{guest}")),
            "{}",
            failure.text()
        );
        assert_eq!(
            (failure.field("service"), failure.field("level").to_lowercase()),
            (guest.into(), "error".into())
        );
        assert!(!failure.field("revision").is_empty(), "{}", failure.text());
        assert_backtrace(failure);
        for line in of_request {
            assert_eq!(line.field("service"), guest, "{}", line.text());
        }
    }
    let ids: HashSet<_> = host
        .stop()
        .await
        .iter()
        .filter(|line| line.message() == "request")
        .map(|line| line.field("request_id"))
        .collect();
    assert_eq!(ids.len(), 6, "every request has an id of its own");
}

#[tokio::test]
async fn a_failure_down_a_chain_has_the_id_of_the_request_that_entered() {
    let host = TestHost::builder()
        .service("caller", "chain-caller")
        .grant("allowed_outbound_hosts = [\"http://inner.spin.internal\"]")
        .service("inner", "http-p2")
        .route("/caller/...", "caller")
        .tables("[[trigger.http]]\nroute = { private = true }\ncomponent = \"inner\"")
        .arg("--access-log")
        .start()
        .await;
    let answer = host.get("/caller/call/inner/panic").await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(!answer.text().contains("the fixture panics"), "{answer:?}");
    let access = host
        .wait_for_log("the access line", |line| {
            line.field("path") == "/caller/call/inner/panic"
        })
        .await;
    assert_eq!(access.field("service"), "caller", "{}", access.text());
    let failure = host
        .wait_for_log("the failure", |line| line.field("kind") == "panic")
        .await;
    assert_eq!(
        (failure.field("service"), failure.field("request_id")),
        ("inner".into(), access.field("request_id"))
    );
    let lines = host.stop().await;
    let failures = lines.iter().filter(|line| !line.field("kind").is_empty()).count();
    assert_eq!(failures, 1, "{lines:?}");
}

#[tokio::test]
async fn code_from_the_cache_has_names_and_lines_too() {
    let app = guests().own_cache();
    for start in ["first", "second"] {
        let host = app.start().await;
        if start == "second" {
            assert_eq!(
                host.metric("midplane_compile_cache_lookups_total", &["result=\"miss\""])
                    .await,
                Some(0.0)
            );
        }
        for guest in ["p2", "p3"] {
            host.get(&format!("/{guest}/panic")).await;
            let failure = host
                .wait_for_log("the failure", |line| {
                    line.field("service") == guest && !line.field("backtrace").is_empty()
                })
                .await;
            assert_backtrace(&failure);
        }
        host.stop().await;
    }
}

#[tokio::test]
async fn every_kind_of_failure_is_logged_once() {
    let host = guests().start().await;
    let behaviours = [
        ("trap-before-head", "trap"),
        ("trap-after-head", "trap"),
        ("panic", "panic"),
        ("deep-recursion", "trap"),
        ("hoard", "memory"),
        ("exit/3", "exit"),
        ("error", "no-response"),
    ];
    for guest in ["p2", "p3"] {
        for (behaviour, kind) in behaviours {
            // A response that is cut has no end that the client could read.
            let connection = host.connect(Protocol::Http1).await;
            let path = format!("/{guest}/{behaviour}");
            let request = Request::get(&path).body(empty()).unwrap();
            let _ = connection.exchange(request).await;
            let access = host
                .wait_for_log("the access line", |line| line.field("path") == path)
                .await;
            let id = access.field("request_id");
            let failure = host
                .wait_for_log("the failure", |line| {
                    line.field("request_id") == id && !line.field("kind").is_empty()
                })
                .await;
            assert_eq!(failure.field("kind"), kind, "{}", failure.text());
        }
    }
    let lines = host.stop().await;
    let failures: Vec<_> = lines
        .iter()
        .filter(|line| !line.field("kind").is_empty())
        .collect();
    let ids: HashSet<_> = failures.iter().map(|line| line.field("request_id")).collect();
    let expected = 2 * behaviours.len();
    assert_eq!((failures.len(), ids.len()), (expected, expected), "{failures:?}");
}

#[tokio::test]
async fn what_a_guest_prints_is_logged_line_by_line() {
    let host = guests().start().await;
    for guest in ["p2", "p3"] {
        host.get(&format!("/{guest}/stdout")).await;
        let of_guest =
            |line: &Line, stream: &str| line.field("service") == guest && line.field("stream") == stream;
        host.wait_for_log("the unfinished line", |line| {
            of_guest(line, "stdout") && line.message() == "unfinished on stdout"
        })
        .await;
        let printed: Vec<_> = host
            .lines()
            .iter()
            .filter(|line| of_guest(line, "stdout"))
            .map(Line::message)
            .collect();
        assert_eq!(printed[..2], ["first on stdout", "second on stdout"]);
        assert_eq!(printed.len(), 4, "{printed:?}");
        let stderr = host.wait_for_log("stderr", |line| of_guest(line, "stderr")).await;
        assert_eq!(stderr.message(), "first on stderr");
    }
}

#[tokio::test]
async fn a_guest_that_prints_without_measure_does_not_swell_the_log() {
    const LINES: usize = 100_000;
    let host = guests().start().await;
    for guest in ["p2", "p3"] {
        let answer = host.get(&format!("/{guest}/flood/{LINES}")).await;
        assert_eq!(answer.status, 200);
        host.get(&format!("/{guest}/stdout?text=after-the-flood")).await;
        host.wait_for_log("what the next request prints", |line| {
            line.field("service") == guest && line.message() == "after-the-flood"
        })
        .await;
    }
    let lines = host.stop().await;
    for guest in ["p2", "p3"] {
        let of_guest = |line: &&Line| line.field("service") == guest;
        let printed = lines.iter().filter(of_guest).count();
        assert!(
            (100..LINES / 5).contains(&printed),
            "{printed} lines of {guest} were logged"
        );
        let told = lines
            .iter()
            .filter(of_guest)
            .any(|line| line.message().contains("more lines were dropped"));
        assert!(told, "nobody learns that lines of {guest} are missing");
    }
}

#[tokio::test]
async fn quiet_leaves_warnings_and_errors() {
    let host = guests().arg("--quiet").start().await;
    for guest in ["p2", "p3"] {
        host.get(&format!("/{guest}/stdout")).await;
        host.get(&format!("/{guest}/trap-before-head")).await;
    }
    let lines = host.stop().await;
    let failures = lines.iter().filter(|line| line.field("kind") == "trap").count();
    assert_eq!(failures, 2, "{lines:?}");
    for line in lines {
        let level = line.field("level").to_lowercase();
        assert!(
            ["warn", "error"].contains(&&*level) || line.message() == "request",
            "{}",
            line.text()
        );
    }
}

#[tokio::test]
async fn a_guest_cannot_forge_a_line_or_send_terminal_escapes() {
    let forged = "%0A%7B%22level%22%3A%22ERROR%22%2C%22message%22%3A%22forged%22%7D%1b%5B2J";
    let host = guests().start().await;
    for guest in ["p2", "p3"] {
        host.get(&format!("/{guest}/stdout?text=begin{forged}")).await;
        host.wait_for_log("the last line", |line| {
            line.field("service") == guest && line.message().contains("forged")
        })
        .await;
    }
    for line in host.stop().await {
        assert!(line.is_json(), "no JSON: {}", line.text());
        assert_ne!(line.message(), "forged");
        assert!(!line.text().contains('\x1b'), "a raw escape: {:?}", line.text());
    }
}

#[tokio::test]
async fn the_access_log_is_off_unless_asked_for_and_never_has_the_query() {
    let quiet = TestHost::builder()
        .service("p2", "http-p2")
        .route("/...", "p2")
        .start()
        .await;
    quiet.get("/hello?token=secret").await;
    let lines = quiet.stop().await;
    assert!(
        lines.iter().all(|line| line.field("path").is_empty()),
        "{lines:?}"
    );

    let host = guests().start().await;
    host.get("/p2/hello?token=secret").await;
    let line = host
        .wait_for_log("the access line", |line| line.field("path") == "/p2/hello")
        .await;
    assert_eq!(
        (line.field("method"), line.field("status"), line.field("service")),
        ("GET".into(), "200".into(), "p2".into())
    );
    assert_eq!(
        (line.field("response_bytes"), line.field("protocol")),
        ("6".into(), "HTTP/1.1".into())
    );
    host.post("/p3/upload-count", crate::harness::full("seven b"))
        .await;
    let upload = host
        .wait_for_log("the access line", |line| line.field("path") == "/p3/upload-count")
        .await;
    assert_eq!(upload.field("request_bytes"), "7", "{}", upload.text());
    assert!(
        !line.field("duration_ms").is_empty() && !line.field("client").is_empty(),
        "{}",
        line.text()
    );
    for line in host.stop().await {
        assert!(!line.text().contains("secret"), "{}", line.text());
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_is_in_the_access_log() {
    let host = TestHost::builder()
        .service("p2", "http-p2")
        .route("/p2/...", "p2")
        .arg("--access-log")
        .start()
        .await;
    let connection = host.connect(Protocol::Http1).await;
    let request = Request::get("/p2/never-responds").body(empty()).unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(300), connection.send(request)).await;
    assert!(waiting.is_err(), "the guest never responds");
    drop(connection);
    let line = host
        .wait_for_log("the access line", |line| {
            line.field("path") == "/p2/never-responds"
        })
        .await;
    assert_eq!(
        (line.field("status").as_str(), line.field("end").as_str()),
        ("499", "cut")
    );
}
