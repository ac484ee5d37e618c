//! Clients that mean harm: bytes that two readers could take for two things, floods, detours, and clients that are slow,
//! many or gone.
//!
//! What may never happen, whatever a client sends: a request that its own connection did not make reaches a guest, one service
//! is reached by the route of another, memory grows without a bound, or others are not served.

mod field;
mod framing;
mod gone;
mod line;
mod many;
mod path;
mod pipeline;
mod response;
mod stream;
mod wire;

use crate::harness::{Line, TestHost};

/// Requests with this in their path reach a guest only if something went wrong.
const NEVER: [&str; 2] = ["/never", "/smuggled"];

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

/// Stops the host, and fails unless it still serves and ends well, no guest saw a request that was for nobody, and nothing
/// panicked.
async fn stop(host: TestHost) {
    assert_eq!(host.get("/p3/hello").await.text(), "hello\n");
    end(host).await;
}

async fn end(host: TestHost) {
    let lines = host.stop().await;
    let met = |line: &&Line| {
        let path = line.field("path");
        NEVER.iter().any(|never| path.contains(never)) && !line.field("service").is_empty()
    };
    if let Some(line) = lines.iter().find(met) {
        panic!("a guest met what no guest may meet: {}", line.text());
    }
    // Guests may, and say so.
    let is_of_a_guest =
        |line: &Line| ["midplane::guest", "midplane::failure"].contains(&line.field("target").as_str());
    let panicked = |line: &&Line| line.text().contains("panicked") && !is_of_a_guest(line);
    if let Some(line) = lines.iter().find(panicked) {
        panic!("the host panicked: {}", line.text());
    }
}

/// Fails with everything that went wrong in a table.
fn assert_all(rows: usize, wrong: &[String]) {
    assert!(rows > 0, "the table has no rows");
    assert!(
        wrong.is_empty(),
        "{} of {rows} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
