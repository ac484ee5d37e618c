//! Limits that change while the host runs.

use std::fs;

use serde_json::Value;

use super::{GUESTS, assert_problem, http};
use crate::harness::{Builder, Finished, Protocol};

/// Writes another manifest and puts it in force.
async fn apply(app: &Builder, arguments: &[&str]) -> Finished {
    let mut all = vec!["apply", "--state-dir", "state"];
    all.extend(arguments);
    Finished::of(&all, app.folder()).await
}

fn rewrite(app: &Builder, from: &str, to: &str) {
    let path = app.folder().join("spin.toml");
    let text = fs::read_to_string(&path).expect("the host has a manifest");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).expect("the folder is ours");
}

#[tokio::test]
async fn limits_change_without_a_restart_and_without_touching_connections() {
    let app = http("timeout = \"200ms\"\ninstance_memory = \"16MiB\"");
    let host = app.start().await;
    let connection = host.connect(Protocol::Http2).await;
    for guest in GUESTS {
        let answer = connection.get(&format!("/{guest}/sleep/60000")).await;
        assert_problem(&answer, 504, "timeout");
        assert_eq!(connection.get(&format!("/{guest}/alloc/32")).await.status, 507);
    }
    rewrite(
        &app,
        "timeout = \"200ms\"\ninstance_memory = \"16MiB\"",
        "timeout = \"30s\"\ninstance_memory = \"200MiB\"\ncall_depth = 3",
    );
    let planned = apply(&app, &["--dry-run"]).await;
    assert_eq!(planned.status.code(), Some(0), "{planned:?}");
    for guest in GUESTS {
        for line in [
            "limit timeout changed: 200ms → 30s",
            "limit instance_memory changed: 16MiB → 200MiB",
            "limit call_depth changed: 16 → 3",
        ] {
            let line = format!("service {guest}: {line}");
            assert!(planned.stdout.contains(&line), "no {line}: {planned:?}");
        }
        assert!(!planned.stdout.contains("limit queue"), "{planned:?}");
    }
    let applied = apply(&app, &["--format", "json"]).await;
    assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    let outcome: Value = serde_json::from_str(&applied.stdout).expect("it prints JSON");
    assert_eq!(outcome["changes"].as_array().map(Vec::len), Some(2), "{outcome}");
    for guest in GUESTS {
        let answer = connection.get(&format!("/{guest}/sleep/400")).await;
        assert_eq!(answer.text(), "awake", "{answer:?}");
        // More than any instance may have by default.
        assert_eq!(connection.get(&format!("/{guest}/alloc/150")).await.status, 200);
    }
    host.stop().await;
}
