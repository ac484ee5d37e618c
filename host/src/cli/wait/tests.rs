//! Waiting for a drain and for what becomes of a candidate, event by event.

use serde_json::{Value, json};

use super::*;
use crate::cli::client::stand_in::{StandIn, entry, outcome, revision, service};

const SERVICE: &str = "GET /v1/apps/shop/services/orders";
const HISTORY: &str = "GET /v1/apps/shop/services/orders/history?limit=100";
const STATUS: &str = "GET /v1/apps/shop";
const ENTRY: &str = "GET /v1/apps/shop/history?limit=1&before=41";

/// `orders` with candidate `bbb` of rollout 12.
fn with_candidate(weight: &str) -> Value {
    let candidate = json!({"revision": revision("bbb"), "weight": weight, "sticky": "client", "rollout": 12});
    service("orders", "aaa", json!({"candidate": candidate}))
}

fn without_candidate(current: &str) -> Value {
    service("orders", current, json!({}))
}

fn event(name: &str, with: Value) -> Value {
    let mut event = json!({"event": name, "service": "orders", "rollout": 12});
    let fields = with.as_object().unwrap().clone();
    event.as_object_mut().unwrap().extend(fields);
    event
}

async fn end(stand_in: &StandIn) -> CanaryEnd {
    let client = stand_in.client().await;
    decided(&client, "orders", "bbb", 40).await.unwrap()
}

#[tokio::test]
async fn a_candidate_that_the_host_took_back_is_told_with_the_cause() {
    let stand_in = StandIn::start().await;
    stand_in.answer(SERVICE, with_candidate("10%"));
    stand_in.events(&[
        event("rolled-back", json!({"rollout": 11, "detail": "of another"})),
        event("compiling", json!({"rollout": null})),
        event("rolled-back", json!({"detail": "12% of its requests failed"})),
    ]);
    let end = end(&stand_in).await;
    assert_eq!(end, CanaryEnd::RolledBack("12% of its requests failed".into()));
    let failure = end.verdict("orders", "bbb").unwrap_err();
    assert_eq!(
        failure.error.to_string(),
        "the host took candidate bbb of orders back: 12% of its requests failed"
    );
    assert_eq!((failure.exit, failure.exit.code()), (Exit::RolledBack, 4));
    assert!(failure.hint.unwrap().contains("--revision bbb"));
}

#[tokio::test]
async fn a_roll_back_before_anybody_watched_is_found_in_the_journal() {
    let stand_in = StandIn::start().await;
    stand_in.answer(SERVICE, without_candidate("aaa"));
    let entries = json!([
        entry(json!({"number": 43, "action": "deploy"})),
        entry(json!({"number": 42, "action": "canary", "outcome": "rolled back", "cause": "it trapped"})),
        entry(json!({"number": 41, "action": "deploy", "outcome": "refused"})),
        entry(json!({"number": 40, "action": "canary"})),
        entry(json!({"number": 39, "action": "abort"})),
    ]);
    stand_in.answer(HISTORY, json!({"entries": entries}));
    assert_eq!(end(&stand_in).await, CanaryEnd::RolledBack("it trapped".into()));
}

#[tokio::test]
async fn another_share_is_not_the_end_and_a_promotion_is() {
    let stand_in = StandIn::start().await;
    for weight in ["10%", "10%", "50%"] {
        stand_in.answer(SERVICE, with_candidate(weight));
    }
    stand_in.answer(SERVICE, without_candidate("bbb"));
    stand_in.events(&[event("published", json!({})), event("published", json!({}))]);
    let entries = json!([
        entry(json!({"number": 42, "action": "promote"})),
        entry(json!({"number": 41, "action": "canary"})),
    ]);
    stand_in.answer(HISTORY, json!({"entries": entries}));
    let end = end(&stand_in).await;
    assert_eq!(end, CanaryEnd::Promoted);
    let told = end
        .verdict("orders", "bbb")
        .unwrap_or_else(|failure| panic!("{:?}", failure.error));
    assert_eq!(told, "orders: candidate bbb is the current revision\n");
}

#[tokio::test]
async fn a_candidate_that_somebody_took_back_or_replaced_is_a_failure_of_the_ordinary_kind() {
    for (action, by, message) in [
        ("abort", "eve", "candidate bbb of orders was taken back by eve"),
        (
            "deploy",
            "eve",
            "another change has taken the place of candidate bbb of orders",
        ),
    ] {
        let stand_in = StandIn::start().await;
        stand_in.answer(SERVICE, without_candidate("aaa"));
        let ended = entry(json!({"number": 41, "action": action, "by": by}));
        stand_in.answer(HISTORY, json!({"entries": [ended]}));
        let failure = end(&stand_in).await.verdict("orders", "bbb").unwrap_err();
        assert_eq!(failure.error.to_string(), message);
        assert_eq!(failure.exit, Exit::Failed);
    }
}

#[tokio::test]
async fn an_entry_that_is_about_to_be_written_is_waited_for() {
    let stand_in = StandIn::start().await;
    stand_in.answer(SERVICE, without_candidate("aaa"));
    stand_in.answer(HISTORY, json!({"entries": []}));
    let ended = entry(json!({"number": 41, "action": "canary", "outcome": "rolled back"}));
    stand_in.answer(HISTORY, json!({"entries": [ended]}));
    assert_eq!(end(&stand_in).await, CanaryEnd::RolledBack(String::new()));

    let stand_in = StandIn::start().await;
    stand_in.answer(SERVICE, without_candidate("aaa"));
    stand_in.answer(HISTORY, json!({"entries": []}));
    assert_eq!(end(&stand_in).await, CanaryEnd::Replaced);
}

#[tokio::test]
async fn a_service_that_is_gone_has_no_candidate() {
    let stand_in = StandIn::start().await;
    stand_in.problem(SERVICE, 404, json!({"detail": "gone", "kind": "not-found"}));
    assert_eq!(end(&stand_in).await, CanaryEnd::Replaced);
}

#[tokio::test]
async fn events_that_end_are_opened_anew() {
    let stand_in = StandIn::start().await;
    stand_in.answer(SERVICE, with_candidate("10%"));
    let events = "GET /v1/apps/shop/events";
    stand_in.text(
        events,
        200,
        "data: {\"id\": 1, \"at\": \"\", \"event\": \"x\", \"rollout\": 11}\n\n",
    );
    stand_in.events(&[event("rolled-back", json!({"detail": "why"}))]);
    assert_eq!(end(&stand_in).await, CanaryEnd::RolledBack("why".into()));
    let opened = stand_in
        .asked()
        .iter()
        .filter(|asked| asked.what == events)
        .count();
    assert_eq!(opened, 2);
}

/// What a deploy of `orders` came to, from `aaa` to `bbb`, by entry 40.
fn replaced() -> Outcome {
    let change = json!([{"service": "orders", "from": "aaa", "to": "bbb"}]);
    serde_json::from_value(outcome(json!({"changes": change}))).unwrap()
}

fn draining() -> Value {
    let draining = json!([{"revision": "aaa", "in_flight": 1, "since": "", "until": ""}]);
    app(service("orders", "bbb", json!({"draining": draining})))
}

fn app(service: Value) -> Value {
    json!({"app": "shop", "url": "", "generation": 7, "manifest": "", "services": [service]})
}

#[tokio::test]
async fn a_drain_ends_with_what_the_journal_says_of_it() {
    let stand_in = StandIn::start().await;
    for _ in 0..2 {
        stand_in.answer(ENTRY, json!({"entries": [entry(json!({}))]}));
    }
    let ended = entry(json!({"drain_ms": 3210.0, "interrupted": 1}));
    stand_in.answer(ENTRY, json!({"entries": [ended]}));
    stand_in.answer(STATUS, draining());
    stand_in.events(&[event("draining", json!({})), event("retired", json!({}))]);
    let client = stand_in.client().await;
    let drained = drained(&client, &replaced()).await.unwrap().unwrap();
    assert_eq!(
        drained.told(),
        "the old revisions are gone after 3.2 s: 1 request was interrupted\n"
    );
}

#[tokio::test]
async fn a_host_that_was_restarted_has_nothing_to_drain() {
    let stand_in = StandIn::start().await;
    stand_in.answer(ENTRY, json!({"entries": [entry(json!({}))]}));
    stand_in.answer(STATUS, app(service("orders", "bbb", json!({}))));
    let client = stand_in.client().await;
    let drained = drained(&client, &replaced()).await.unwrap().unwrap();
    assert_eq!(drained.told(), "all requests have left the old revisions\n");
}

#[tokio::test]
async fn what_replaced_nothing_is_not_waited_for() {
    let stand_in = StandIn::start().await;
    let client = stand_in.client().await;
    for with in [
        json!({"outcome": "unchanged", "entry": null}),
        json!({"changes": [{"service": "new", "to": "bbb"}]}),
    ] {
        let outcome: Outcome = serde_json::from_value(outcome(with)).unwrap();
        assert!(drained(&client, &outcome).await.unwrap().is_none());
    }
    assert!(stand_in.asked().is_empty());
}
