//! `call_depth`: of calls over links, and of HTTP between services.

use super::{failures, table};
use crate::harness::{Builder, TestHost};

/// A fixture that calls itself by way of others, and the contract that it does so by.
const RINGS: [(&str, &str); 2] = [
    ("link-ring", "link:ring/step@1.0.0"),
    ("link-ring-p2", "link:ring/plain-step@1.0.0"),
];

/// `a`, which calls `b`, which calls `a`: `/N/0` passes through N + 2 services.
fn ring((fixture, interface): (&str, &str), of_a: &str, of_b: &str) -> Builder {
    let mut builder = TestHost::builder();
    for (name, next, limits) in [("a", "b", of_a), ("b", "a", of_b)] {
        let links = format!("[component.{name}.tool.midplane.links]\n{interface:?} = {next:?}");
        builder = builder
            .service(name, fixture)
            .tables(&links)
            .tables(&table(name, limits));
    }
    builder.route("/...", "a")
}

#[tokio::test]
async fn a_chain_of_calls_ends_where_the_callee_has_it_end() {
    for kind in RINGS {
        let host = ring(kind, "", "call_depth = 3").start().await;
        assert_eq!(host.get("/1/0").await.text(), "ok 1\n", "{kind:?}");
        assert_eq!(
            host.get("/2/0").await.text(),
            format!(
                "err calling `{}.step` of `b` failed: the request has passed through 3 services already, and `call_depth` \
                 of `b` is 3 (a → b → a → b)\n",
                kind.1
            ),
            "{kind:?}"
        );
        let labels = ["caller=\"a\"", "callee=\"b\"", "outcome=\"too_deep\""];
        let refused = host.metric("midplane_link_calls_total", &labels).await;
        assert_eq!(refused, Some(1.0), "{kind:?}");
        let lines = host.stop().await;
        assert!(
            ["a", "b"]
                .iter()
                .all(|service| failures(&lines, service).is_empty())
        );
    }
}

#[tokio::test]
async fn a_chain_may_be_deeper_than_by_default() {
    for kind in RINGS {
        let host = ring(kind, "call_depth = 40", "call_depth = 40").start().await;
        assert_eq!(host.get("/38/0").await.text(), "ok 38\n", "{kind:?}");
        let refused = host.get("/39/0").await.text();
        let said = "the request has passed through 40 services already, and `call_depth` of `a` is 40";
        assert!(refused.contains(said), "{kind:?}: {refused}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_service_that_is_not_to_be_called_by_others_is_not() {
    for kind in RINGS {
        let host = ring(kind, "", "call_depth = 1").start().await;
        let refused = host.get("/0/0").await.text();
        let said = "the request has passed through 1 services already, and `call_depth` of `b` is 1 (a → b)";
        assert!(refused.contains(said), "{kind:?}: {refused}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_chain_of_requests_ends_where_the_called_service_has_it_end() {
    let host = TestHost::builder()
        .service("caller", "chain-caller")
        .grant("allowed_outbound_hosts = [\"http://*.spin.internal\"]")
        .service("inner", "http-p2")
        .tables(&table("inner", "call_depth = 2"))
        .service("alone", "http-p3")
        .tables(&table("alone", "call_depth = 1"))
        .route("/caller/...", "caller")
        .route("/alone/...", "alone")
        .tables("[[trigger.http]]\nroute = { private = true }\ncomponent = \"inner\"")
        .arg("--log")
        .arg("debug")
        .start()
        .await;
    assert_eq!(host.get("/caller/call/inner/hello").await.text(), "hello\n");
    for deeper in ["/caller/call/caller/call/inner/hello", "/caller/call/alone/hello"] {
        let answer = host.get(deeper).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(answer.text().contains("LoopDetected"), "{answer:?}");
    }
    assert_eq!(host.get("/alone/hello").await.text(), "hello\n");
    let said = "the request has passed through 2 services already, and `call_depth` of `inner` is 2";
    host.wait_for_log("the refusal", |line| line.text().contains(said))
        .await;
    host.stop().await;
}
