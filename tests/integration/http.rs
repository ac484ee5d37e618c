//! HTTP, as a client sees it, for guests of both WASI versions and both HTTP versions.

mod failure;
mod filled;
mod header;
mod limit;
mod message;
mod parallel;
mod route;
mod stream;
mod wire;

use crate::harness::TestHost;

/// The services of [`guests`], which answer alike.
const GUESTS: [&str; 2] = ["p2", "p3"];

/// A host with the WASI 0.2 and the WASI 0.3 fixture, below `/p2` and `/p3`.
async fn guests() -> TestHost {
    TestHost::builder()
        .service("p2", "http-p2")
        .service("p3", "http-p3")
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .start()
        .await
}

/// Fails unless the answer is a problem document of RFC 9457 with this status.
fn assert_problem(answer: &crate::harness::Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{answer:?}"
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{problem}");
    for key in ["type", "title"] {
        assert!(
            problem[key].as_str().is_some_and(|text| !text.is_empty()),
            "no {key} in {problem}"
        );
    }
}
