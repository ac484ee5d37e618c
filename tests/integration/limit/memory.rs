//! `memory` and `instance_memory`, and what the operator allows of that.

use http::Request;

use super::{GUESTS, assert_logged_once, assert_problem, errors, http, table};
use crate::harness::{Builder, Finished, Protocol, TestHost, eventually, streamed};

/// What the operator allows: 64 MiB.
fn allowing_64_mebibytes(app: Builder) -> Builder {
    app.file("runtime.toml", "max_instance_memory = \"64MiB\"\n")
        .arg("--runtime-config-file")
        .arg("runtime.toml")
}

#[tokio::test]
async fn an_instance_has_its_own_memory_and_no_more() {
    let host = http("instance_memory = \"16MiB\"").start().await;
    for guest in GUESTS {
        assert_eq!(host.get(&format!("/{guest}/alloc/8")).await.status, 200);
        // The guest is told that there is no more, and copes.
        assert_eq!(host.get(&format!("/{guest}/alloc/32")).await.status, 507);
        // This one does not.
        let answer = host.get(&format!("/{guest}/hoard")).await;
        assert_problem(&answer, 500, "guest-failed");
        assert_eq!(errors(&host, guest, "trap").await, 1.0);
        assert_eq!(host.get(&format!("/{guest}/hello")).await.text(), "hello\n");
    }
    let lines = host.stop().await;
    for guest in GUESTS {
        assert_logged_once(&lines, guest, "memory", &["16777216 bytes of memory"]);
    }
}

#[tokio::test]
async fn an_instance_may_have_more_than_the_default() {
    let host = http("memory = \"1GiB\"\ninstance_memory = \"512MiB\"")
        .start()
        .await;
    for guest in GUESTS {
        assert_eq!(host.get(&format!("/{guest}/alloc/256")).await.status, 200);
        assert_eq!(host.get(&format!("/{guest}/alloc/600")).await.status, 507);
    }
    host.stop().await;
}

#[tokio::test]
async fn who_says_nothing_gets_no_more_than_the_operator_allows() {
    let host = allowing_64_mebibytes(http("")).start().await;
    for guest in GUESTS {
        assert_eq!(host.get(&format!("/{guest}/alloc/32")).await.status, 200);
        assert_eq!(host.get(&format!("/{guest}/alloc/100")).await.status, 507);
    }
    host.stop().await;
}

#[tokio::test]
async fn who_asks_for_more_than_the_operator_allows_is_refused_everywhere_with_both_named() {
    let words = ["100MiB", "64MiB", "max_instance_memory", "`p2`", "spin.toml:"];
    #[track_caller]
    fn assert_named(said: &str, words: &[&str]) {
        for word in words {
            assert!(said.contains(word), "no {word} in {said}");
        }
    }
    let app = allowing_64_mebibytes(http("instance_memory = \"100MiB\""));
    let failure = app.fail().await;
    assert_eq!(failure.status.code(), Some(1), "{failure:?}");
    assert_named(&failure.stderr, &words);

    let cache = app
        .cache()
        .to_str()
        .expect("a temporary folder is text")
        .to_owned();
    let check = [
        "check",
        "--runtime-config-file",
        "runtime.toml",
        "--cache-dir",
        &cache,
    ];
    let checked = Finished::of(&check, app.folder()).await;
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert_named(&checked.stderr, &words);

    let small = allowing_64_mebibytes(
        TestHost::builder()
            .service("p2", "http-p2")
            .route("/p2/...", "p2"),
    );
    let host = small.start().await;
    let manifest = small.folder().join("spin.toml");
    let text = std::fs::read_to_string(&manifest).expect("the host has one");
    let more = format!("{text}\n{}\n", table("p2", "instance_memory = \"100MiB\""));
    std::fs::write(&manifest, more).expect("the folder is ours");
    let apply = [
        "apply",
        "--runtime-config-file",
        "runtime.toml",
        "--state-dir",
        "state",
    ];
    let applied = Finished::of(&apply, small.folder()).await;
    assert_ne!(applied.status.code(), Some(0), "{applied:?}");
    assert_named(&applied.stderr, &words);
    assert_eq!(host.get("/p2/hello").await.text(), "hello\n");
    host.stop().await;
}

#[tokio::test]
async fn instances_that_have_all_of_a_services_memory_make_further_requests_a_503() {
    // Some instances of these guests: each has a mebibyte and a little.
    let limits = "memory = \"6MiB\"\nqueue_timeout = \"50ms\"";
    let host = http(limits).start().await;
    for guest in GUESTS {
        let connection = host.connect(Protocol::Http2).await;
        let mut running = Vec::new();
        let refused = loop {
            let (sender, body) = streamed();
            assert!(sender.data("begin").await);
            let request = Request::post(format!("/{guest}/echo")).body(body).unwrap();
            let response = connection.send(request).await.unwrap();
            if response.status() != 200 {
                break crate::harness::Answer::read(response).await.unwrap();
            }
            running.push((sender, response));
            assert!(running.len() < 32, "there is no end of its memory");
        };
        assert_problem(&refused, 503, "overloaded");
        assert_eq!(refused.header("retry-after"), "1", "{refused:?}");
        assert!(errors(&host, guest, "memory").await >= 1.0);
        assert!(running.len() >= 2, "{} instances fit", running.len());
        drop(running);
        eventually("the memory to come back", async || {
            host.get(&format!("/{guest}/hello")).await.status == 200
        })
        .await;
    }
    host.stop().await;
}
