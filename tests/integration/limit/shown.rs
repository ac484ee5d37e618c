//! Limits where people look for them: `check`, `status`, and what is said of links.

use serde_json::{Value, json};

use super::{http, instances, table};
use crate::harness::{Finished, TestHost};

#[tokio::test]
async fn check_shows_what_is_not_the_default() {
    let app =
        http("timeout = \"5s\"\nresponse_body = \"1MiB\"").tables(&instances("p2", "policy = \"reuse\""));
    // Writes the manifest.
    app.start().await.stop().await;
    let cache = app
        .cache()
        .to_str()
        .expect("a temporary folder is text")
        .to_owned();
    let text = Finished::of(&["check", "--cache-dir", &cache], app.folder()).await;
    assert_eq!(text.status.code(), Some(0), "{text:?}");
    let shown = "\nLimits other than the default\n  p2  response_body     1MiB\n";
    let lines: Vec<&str> = text.stdout.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("Limits other"));
    let rows = &lines[at.unwrap_or_else(|| panic!("no {shown}: {text:?}")) + 1..];
    assert_eq!(
        rows[..5],
        [
            "  p2  timeout           5s",
            "  p2  response_body     1MiB",
            "  p2  instances.policy  reuse",
            "  p3  timeout           5s",
            "  p3  response_body     1MiB",
        ]
    );
    let object = Finished::of(
        &["check", "--format", "json", "--cache-dir", &cache],
        app.folder(),
    )
    .await;
    let object: Value = serde_json::from_str(&object.stdout).expect("it prints JSON");
    let services = &object["services"];
    assert_eq!(
        (&services[0]["limits"], &services[0]["instances"]),
        (
            &json!({"timeout": "5s", "response_body": "1MiB"}),
            &json!({"policy": "reuse"})
        )
    );
    assert_eq!(services[1]["instances"], json!({}));
}

#[tokio::test]
async fn status_shows_use_against_limits() {
    let app = http("memory = \"64MiB\"\nconcurrency = 3\nqueue = 5");
    let host = app.start().await;
    for _ in 0..3 {
        assert_eq!(host.get("/p3/hello").await.text(), "hello\n");
    }
    let status = Finished::of(&["status", "p3", "--state-dir", "state"], app.folder()).await;
    assert_eq!(status.status.code(), Some(0), "{status:?}");
    for said in [
        "Use and limits",
        "0 of 3",
        "0 of 5",
        " of 64.0 MiB in ",
        " (limit 1.0 s each request)",
    ] {
        assert!(status.stdout.contains(said), "no {said}: {}", status.stdout);
    }
    let answer = host.admin_get("/v1/apps/test/services/p3").await.json();
    let usage = &answer["current"]["usage"];
    assert_eq!(
        (&usage["concurrency"], &usage["waiting"], &usage["queue"]),
        (&json!(3), &json!(0), &json!(5))
    );
    assert_eq!(usage["memory_limit_bytes"], 64 << 20);
    assert!(
        usage["instances"]
            .as_u64()
            .is_some_and(|instances| instances >= 1),
        "{usage}"
    );
    assert!(
        usage["memory_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes >= 1 << 16),
        "{usage}"
    );
    assert!(
        usage["cpu_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0),
        "{usage}"
    );
    assert_eq!(usage["cpu_limit_seconds"], 1.0, "{usage}");
    host.stop().await;
}

#[tokio::test]
async fn a_link_that_asks_for_more_than_its_callee_gives_is_warned_of() {
    let links = |policy: &str| {
        format!(
            "[component.caller.tool.midplane.links]\n\
             \"link:ring/step@1.0.0\" = {{ service = \"callee\", {policy} }}\n\
             [component.callee.tool.midplane.links]\n\"link:ring/step@1.0.0\" = \"caller\""
        )
    };
    let app = |policy: &str| {
        TestHost::builder()
            .service("caller", "link-ring")
            .service("callee", "link-ring")
            .tables(&links(policy))
            .tables(&table("callee", "timeout = \"2s\"\nconcurrency = 4"))
            .route("/...", "caller")
    };
    for (policy, warned) in [
        ("timeout = \"2s\", concurrency = 4", vec![]),
        (
            "timeout = \"3s\", concurrency = 5",
            vec!["`callee` may take 2s", "`callee` takes 4 calls at once"],
        ),
    ] {
        let app = app(policy);
        let host = app.start().await;
        let lines = host.stop().await;
        let cache = app
            .cache()
            .to_str()
            .expect("a temporary folder is text")
            .to_owned();
        let checked = Finished::of(&["check", "--cache-dir", &cache], app.folder()).await;
        let logged: String = lines.iter().map(|line| line.text().to_owned()).collect();
        for (said, place) in [(logged, "up"), (checked.stderr, "check")] {
            let count = said.matches("has no effect").count();
            assert_eq!(count, warned.len(), "{place} of {policy}: {said}");
            for words in &warned {
                assert!(said.contains(words), "{place} does not say {words}: {said}");
            }
        }
    }
}
