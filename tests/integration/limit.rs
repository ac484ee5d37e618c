//! What the manifest lets a service use: that each limit has its effect, as the client, the log and the figures show it, and
//! that each is promised where people read it.

mod apply;
mod body;
mod concurrency;
mod data;
mod depth;
mod instance;
mod memory;
mod promise;
mod shown;
mod time;

use crate::harness::{Answer, Builder, Line, TestHost};

/// The services of [`http`] and [`with_data`].
const GUESTS: [&str; 2] = ["p2", "p3"];

/// The WASI 0.2 and the WASI 0.3 fixture, below `/p2` and `/p3`, each with these limits.
fn http(limits: &str) -> Builder {
    pair("http-p2", "http-p3", "", limits)
}

/// The same of the two data fixtures, with these grants.
fn with_data(grants: &str, limits: &str) -> Builder {
    pair("data-p2", "data-p3", grants, limits)
}

fn pair(first: &str, second: &str, grants: &str, limits: &str) -> Builder {
    TestHost::builder()
        .service("p2", first)
        .grant(grants)
        .tables(&table("p2", limits))
        .service("p3", second)
        .grant(grants)
        .tables(&table("p3", limits))
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
}

/// The table of a service's limits.
fn table(service: &str, limits: &str) -> String {
    format!("[component.{service}.tool.midplane.limits]\n{limits}")
}

/// The table of how a service's instances serve.
fn instances(service: &str, settings: &str) -> String {
    format!("[component.{service}.tool.midplane.instances]\n{settings}")
}

/// Fails unless the answer is this problem.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{answer:?}"
    );
    assert_eq!(
        answer.json()["type"],
        format!("urn:midplane:problem:{kind}"),
        "{answer:?}"
    );
}

/// What is logged of guests of a service that failed.
fn failures(lines: &[Line], service: &str) -> Vec<Line> {
    let failed = lines
        .iter()
        .filter(|line| line.field("target") == "midplane::failure" && line.field("service") == service);
    failed.cloned().collect()
}

/// Fails unless just one failure of the service is logged: of this kind, with these words.
#[track_caller]
fn assert_logged_once(lines: &[Line], service: &str, kind: &str, words: &[&str]) {
    let failures = failures(lines, service);
    let [line] = failures.as_slice() else {
        panic!(
            "{} failures of {service} are logged: {failures:?}",
            failures.len()
        );
    };
    assert_eq!(line.field("kind"), kind, "{}", line.text());
    for word in words {
        assert!(line.text().contains(word), "no {word} in {}", line.text());
    }
}

/// How many requests of a service failed for that reason.
async fn errors(host: &TestHost, service: &str, reason: &str) -> f64 {
    let labels = [format!("service={service:?}"), format!("reason={reason:?}")];
    let labels = labels.each_ref().map(String::as_str);
    host.metric("midplane_errors_total", &labels)
        .await
        .unwrap_or_default()
}
