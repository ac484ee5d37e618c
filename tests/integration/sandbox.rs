//! Guests that try to get out: by every function of WASI that leads anywhere, in both versions of it. What the standard library
//! would ask for is in `capability`; these guests ask for the rest.

mod descriptor;
mod file;
mod network;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Builder, TestHost};

/// The services of [`sandboxed`].
const GUESTS: [&str; 2] = ["p2", "p3"];

/// Both guests, each with these lines in its table.
fn sandboxed(grants: &str) -> Builder {
    TestHost::builder()
        .service("p2", "sandbox-p2")
        .grant(grants)
        .service("p3", "sandbox-p3")
        .grant(grants)
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
}

/// What was tried, and what came of it.
async fn attempts(host: &TestHost, path: &str) -> BTreeMap<String, String> {
    let answer = host.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let attempts = answer.json();
    let attempts = attempts
        .as_object()
        .unwrap_or_else(|| panic!("{path}: {attempts}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    attempts
        .iter()
        .map(|(name, outcome)| (name.clone(), text(outcome)))
        .collect()
}

#[tokio::test]
async fn nothing_of_the_host_is_around_a_guest() {
    let host = sandboxed("environment = { GIVEN = \"yes\" }")
        .env("FROM_THE_HOST", "leak")
        .start()
        .await;
    for guest in GUESTS {
        let seen = host.get(&format!("/{guest}/ambient")).await.json();
        let nothing: [u8; 0] = [];
        assert_eq!(
            seen,
            json!({
                "environment": [["GIVEN", "yes"]],
                "arguments": nothing,
                "working-directory": null,
                "directories": nothing,
                "input": nothing,
                "terminals": [false, false, false],
            }),
            "{guest}"
        );
    }
}

#[tokio::test]
async fn a_guest_that_exits_ends_itself_alone() {
    let host = sandboxed("").start().await;
    for guest in GUESTS {
        for code in ["0", "1"] {
            let answer = host.get(&format!("/{guest}/exit/{code}")).await;
            assert_eq!(answer.status, 500, "{guest} exit {code}");
        }
        assert_eq!(
            host.get(&format!("/{guest}/ambient")).await.status,
            200,
            "{guest}"
        );
    }
}
