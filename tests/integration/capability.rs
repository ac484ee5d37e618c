//! What guests may do beyond answering, and what they may not: every test runs for the WASI 0.2 and the WASI 0.3
//! interfaces.

mod disk;
mod environment;
mod file;
mod key_value;
mod outbound;
mod secret;
mod sqlite;
mod variable;

use http::Request;
use serde_json::{Value, json};

use crate::harness::{Answer, Builder, TestHost, full};

/// The services of [`data`] and [`http`].
const GUESTS: [&str; 2] = ["p2", "p3"];

/// An application with the two data fixtures, below `/p2` and `/p3`, both with these lines in their tables.
fn data(grants: &str) -> Builder {
    pair("data-p2", "data-p3", grants)
}

/// The same with the two HTTP fixtures.
fn http(grants: &str) -> Builder {
    pair("http-p2", "http-p3", grants)
}

fn pair(first: &str, second: &str, grants: &str) -> Builder {
    TestHost::builder()
        .service("p2", first)
        .grant(grants)
        .service("p3", second)
        .grant(grants)
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
}

/// Runs statements on one connection and returns the answer to the last.
async fn sql(host: &TestHost, guest: &str, database: &str, statements: Value) -> Answer {
    let body = json!({ "database": database, "statements": statements }).to_string();
    host.post(&format!("/{guest}/sql"), full(body)).await
}

async fn put(host: &TestHost, path: &str, value: &[u8]) -> Answer {
    host.request(Request::put(path).body(full(value.to_vec())).unwrap())
        .await
}
