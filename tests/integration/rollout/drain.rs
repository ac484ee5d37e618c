//! What becomes of a revision that was replaced: its requests end on it, or are cut when their time is over, and then nothing
//! of it is left.

use std::cell::{Cell, RefCell};

use super::events::Events;
use super::*;

/// Revisions of a service that were replaced and are not gone.
async fn draining(stage: &Stage, host: &TestHost, service: &str) -> Vec<Value> {
    let answer = stage.api(host).get(&format!("/services/{service}")).await.json();
    let draining = answer["draining"].as_array();
    draining.expect("a status lists what drains").clone()
}

/// Waits until so many requests and calls are under way at the current revision.
async fn are_in_flight(stage: &Stage, host: &TestHost, service: &str, count: u64) {
    eventually("requests to have begun", async || {
        let answer = stage.api(host).get(&format!("/services/{service}")).await.json();
        answer["current"]["in_flight"] == count
    })
    .await;
}

/// Waits until nothing of what was replaced is left.
async fn is_drained(stage: &Stage, host: &TestHost, service: &str) {
    eventually("what was replaced to be gone", async || {
        draining(stage, host, service).await.is_empty()
    })
    .await;
}

/// Two services that nothing connects, both `r1`.
fn two() -> Stage {
    let stage = Stage::new(&Manifest::new().service("a", "").service("b", ""));
    stage.put("a.wasm", good("r1"));
    stage.put("b.wasm", good("r1"));
    stage
}

/// The entry of the journal with this number, once it says how the drain ended.
async fn drained(stage: &Stage, number: &Value) -> Value {
    let found = RefCell::new(Value::Null);
    eventually("the journal to have the end of the drain", async || {
        let history = stage.history().await;
        let entry = history.into_iter().find(|entry| entry["number"] == *number);
        let entry = entry.expect("the entry stays");
        let is_over = !entry["drain_ms"].is_null();
        found.replace(entry);
        is_over
    })
    .await;
    found.into_inner()
}

#[tokio::test]
async fn a_deploy_that_waits_ends_with_the_last_request_and_nobody_else_waits() {
    let stage = two();
    let host = stage.start().await;
    let old = stage.revision("a").await;
    let mut held = Held::open(&host, "a", Protocol::Http2).await;
    let file = stage.put("r2.wasm", good("r2"));
    let file = file.to_str().expect("a temporary folder is text");
    let is_over = Cell::new(false);
    let waiting = async {
        let told = stage.done(&["deploy", "a", file, "--wait"]).await;
        assert!(is_over.get(), "the deploy did not wait: {told}");
        told
    };
    let meanwhile = async {
        eventually("the deploy to be published", async || {
            !draining(&stage, &host, "a").await.is_empty()
        })
        .await;
        let left = draining(&stage, &host, "a").await;
        assert_eq!(left.len(), 1);
        assert_eq!(
            (&left[0]["revision"], &left[0]["in_flight"]),
            (&json!(old), &json!(1))
        );
        let status = stage.done(&["status", "a"]).await;
        assert!(status.contains("draining until "), "{status}");
        // Requests, deploys of the same service and of others.
        assert_eq!(says(&host, "/a/").await, "r2");
        stage.deploy("b", good("r2")).await;
        assert_eq!(says(&host, "/b/").await, "r2");
        stage.deploy("a", good("r3")).await;
        assert_eq!(says(&host, "/a/").await, "r3");
        assert_eq!(held.say("still").await, "r1 still");
        is_over.set(true);
        assert_eq!(held.end().await.as_deref(), Some("r1 begin\nr1 still\nr1 end\n"));
    };
    let (told, ()) = tokio::join!(waiting, meanwhile);
    assert!(
        told.contains("all requests have left the old revisions"),
        "{told}"
    );
    let history = stage.history().await;
    let entry = history
        .iter()
        .find(|entry| entry["changes"][0]["from"] == old.as_str());
    let entry = entry.expect("the deploy is in the journal");
    assert!(
        entry["drain_ms"].as_f64().is_some_and(|took| took > 0.0),
        "{entry}"
    );
    assert_eq!(entry["interrupted"], 0);
    is_drained(&stage, &host, "a").await;
    host.stop().await;
}

#[tokio::test]
async fn an_upload_and_a_waiting_call_end_on_the_revisions_that_they_began_on() {
    let stage = Stage::pair();
    let host = stage.start().await;
    let api = stage.api(&host);
    let set = json!({ "services": {
        "front": { "component": api.upload(front(Condition::Good, 2)).await },
        "back": { "component": api.upload(back(Condition::Good, 2)).await },
    }});
    let (sender, body) = streamed();
    let connection = host.connect(Protocol::Http1).await;
    let upload = Request::post("/front/up").body(body).expect("the path is valid");
    let upload = connection.exchange(upload);
    // Long enough to be under way when the deploy comes; were it not, it would end the same.
    let call = host.get("/front/link?ms=3000");
    let deploy = async {
        assert!(sender.data("one ").await);
        are_in_flight(&stage, &host, "front", 2).await;
        let answer = api.post("/deploy", &set).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let left = draining(&stage, &host, "front").await;
        assert!(
            left[0]["in_flight"].as_u64().is_some_and(|left| left >= 1),
            "{left:?}"
        );
        // The callee stays for whoever may call it.
        assert_eq!(draining(&stage, &host, "back").await.len(), 1);
        assert_eq!(says(&host, "/front/link?ms=0").await, "2 2 2");
        assert!(sender.data("two").await);
        drop(sender);
        answer.json()["entry"].clone()
    };
    let (upload, call, entry) = tokio::join!(upload, call, deploy);
    let upload = upload.expect("the host answers").text();
    assert!(upload.starts_with("1 7 "), "{upload}");
    assert_eq!(call.text(), "1 1 1\n");
    assert_eq!(drained(&stage, &entry).await["interrupted"], 0);
    host.stop().await;
}

#[tokio::test]
async fn what_is_left_when_the_time_is_over_is_cut_counted_and_told() {
    let stage = Stage::one();
    let host = stage.start().await;
    let old = stage.revision("a").await;
    let mut events = Events::open(&stage, &host, None).await;
    let held = [
        Held::open(&host, "a", Protocol::Http1).await,
        Held::open(&host, "a", Protocol::Http2).await,
    ];
    let early = host.get("/a/slow?ms=3600000");
    let deploy = async {
        are_in_flight(&stage, &host, "a", 3).await;
        let file = stage.put("r2.wasm", good("r2"));
        let file = file.to_str().expect("a temporary folder is text");
        stage
            .done(&["deploy", "a", file, "--drain-timeout", "1", "--wait"])
            .await
    };
    let (early, told) = tokio::join!(early, deploy);
    assert!(told.contains("3 requests were interrupted"), "{told}");
    // Before the head there is an answer, and it says to come again.
    assert_eq!(early.status, StatusCode::SERVICE_UNAVAILABLE, "{early:?}");
    assert!(early.header("retry-after").parse::<u64>().is_ok(), "{early:?}");
    for held in held {
        assert_eq!(held.end().await, None, "a body that is cut must not look whole");
    }
    assert_eq!(says(&host, "/a/").await, "r2");
    let entry = stage.newest().await;
    assert_eq!(entry["interrupted"], 3);
    assert!(
        entry["drain_ms"].as_f64().is_some_and(|took| took >= 1_000.0),
        "{entry}"
    );
    let retired = events.until(|event| event.name == "retired").await;
    let retired = &retired.last().expect("there is one").data;
    assert_eq!(
        (&retired["interrupted"], &retired["revision"], &retired["entry"]),
        (&json!(3), &json!(old), &entry["number"])
    );
    let line = host
        .wait_for_log("the line about the drain", |line| {
            line.message().contains("of a replaced revision were interrupted")
        })
        .await;
    assert_eq!(
        (
            line.field("service"),
            line.field("revision"),
            line.field("interrupted")
        ),
        ("a".into(), old, "3".into())
    );
    host.stop().await;
}

#[tokio::test]
async fn a_call_whose_time_is_over_is_cut_and_its_caller_is_told() {
    let stage = Stage::pair();
    let host = stage.start().await;
    let call = host.get("/front/limit?ms=3600000");
    let deploy = async {
        are_in_flight(&stage, &host, "back", 1).await;
        let file = stage.put("b2.wasm", back(Condition::Good, 2));
        let file = file.to_str().expect("a temporary folder is text");
        stage
            .done(&["deploy", "back", file, "--drain-timeout", "1", "--wait"])
            .await
    };
    let (answer, told) = tokio::join!(call, deploy);
    assert!(told.contains("1 request was interrupted"), "{told}");
    // The caller was not replaced: it goes on with the error of its contract.
    assert!(answer.text().contains("Unavailable"), "{answer:?}");
    assert_eq!(says(&host, "/front/link?ms=0").await, "1 2 2");
    host.stop().await;
}

#[tokio::test]
async fn a_neighbour_that_began_before_is_not_cut_and_what_was_cut_is_in_the_metrics() {
    let stage = two();
    let host = stage.start().await;
    let old = stage.revision("a").await;
    let mut neighbour = Held::open(&host, "b", Protocol::Http1).await;
    let mut held = Held::open(&host, "a", Protocol::Http1).await;
    let file = stage.put("r2.wasm", good("r2"));
    let file = file.to_str().expect("a temporary folder is text");
    let outcome = stage.json(&["deploy", "a", file, "--drain-timeout", "1"]).await;
    assert_eq!(held.line().await, None, "its time was over");
    // The neighbour holds the generation, and with it the figures.
    let label = format!("revision=\"{old}\"");
    eventually("the interruption to be counted", async || {
        let labels = ["service=\"a\"", &label, "reason=\"interrupted\""];
        host.metric("midplane_errors_total", &labels).await == Some(1.0)
    })
    .await;
    assert_eq!(neighbour.say("well").await, "r1 well");
    assert_eq!(
        neighbour.end().await.as_deref(),
        Some("r1 begin\nr1 well\nr1 end\n")
    );
    is_drained(&stage, &host, "a").await;
    assert_eq!(drained(&stage, &outcome["entry"]).await["interrupted"], 1);
    host.stop().await;
}

#[tokio::test]
async fn a_drain_can_be_hurried() {
    let stage = two();
    let host = stage.start().await;
    let api = stage.api(&host);
    assert_eq!(
        api.post("/services/a/drain", &json!({})).await.json()["interrupted"],
        0
    );
    let held = Held::open(&host, "a", Protocol::Http2).await;
    let outcome = stage.deploy("a", good("r2")).await;
    // Neither what is current nor another service.
    let current = Held::open(&host, "a", Protocol::Http1).await;
    let other = Held::open(&host, "b", Protocol::Http1).await;
    let hurried = api.post("/services/a/drain", &json!({})).await;
    assert_eq!(hurried.status, StatusCode::OK, "{hurried:?}");
    assert_eq!(hurried.json()["interrupted"], 1);
    assert_eq!(drained(&stage, &outcome["entry"]).await["interrupted"], 1);
    assert_eq!(held.end().await, None);
    assert_eq!(current.end().await.as_deref(), Some("r2 begin\nr2 end\n"));
    assert_eq!(other.end().await.as_deref(), Some("r1 begin\nr1 end\n"));
    assert_eq!(api.post("/services/none/drain", &json!({})).await.status, 404);
    host.stop().await;
}

/// What lets a guest compute for as long as the test takes.
const ENDLESS: &str = "[component.a.tool.midplane.limits]\ncpu_time = \"1h\"\n";

#[tokio::test]
async fn a_guest_that_never_ends_is_ended_with_its_revision() {
    for fixture in ["http-p2", "http-p3"] {
        let stage = Stage::new(&Manifest::new().service("a", ENDLESS));
        stage.put("a.wasm", bare(fixture));
        let host = stage.start().await;
        let endless = host.get("/a/infinite-loop");
        let deploy = async {
            are_in_flight(&stage, &host, "a", 1).await;
            let file = stage.put("r2.wasm", good("r2"));
            let file = file.to_str().expect("a temporary folder is text");
            stage
                .done(&["deploy", "a", file, "--drain-timeout", "1", "--wait"])
                .await
        };
        let (answer, told) = tokio::join!(endless, deploy);
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{fixture}: {answer:?}"
        );
        assert!(told.contains("1 request was interrupted"), "{fixture}: {told}");
        assert_eq!(says(&host, "/a/").await, "r2");
        host.stop().await;
    }
}

#[tokio::test]
async fn nothing_of_a_replaced_revision_stays_in_memory() {
    let stage = Stage::one();
    let host = stage.start().await;
    let mut old = Vec::new();
    let mut held = Vec::new();
    for name in ["r2", "r3", "r4"] {
        old.push(stage.revision("a").await);
        // One that works when it is replaced, and one that waits for more.
        held.push(Held::open(&host, "a", Protocol::Http1).await);
        says(&host, "/a/").await;
        stage.deploy("a", good(name)).await;
    }
    assert_eq!(draining(&stage, &host, "a").await.len(), 3);
    let figures = ["midplane_instances", "midplane_linear_memory_bytes"];
    for revision in &old {
        let label = format!("revision=\"{revision}\"");
        for figure in figures {
            let value = host.metric(figure, &["service=\"a\"", &label]).await;
            assert!(value.is_some_and(|value| value > 0.0), "{figure} of {revision}");
        }
    }
    for held in held {
        held.end().await.expect("nothing is cut");
    }
    is_drained(&stage, &host, "a").await;
    for revision in &old {
        let label = format!("revision=\"{revision}\"");
        eventually("nothing to be left of a revision", async || {
            let mut left = 0.0;
            for figure in figures {
                left += host.metric(figure, &[&label]).await.unwrap_or(0.0);
            }
            left == 0.0
        })
        .await;
    }
    let current = format!("revision=\"{}\"", stage.revision("a").await);
    says(&host, "/a/").await;
    assert!(host.metric(figures[0], &[&current]).await.is_some());
    host.stop().await;
}
