//! Every operation of the API: what the host is asked for, and what is answered.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::super::control::{Refusal, RefusalKind};
use super::client::{Api, Ask};
use super::document;
use super::examples::{self, DIGEST};

const APP: &str = "/v1/apps/shop";
const SERVICE: &str = "/v1/apps/shop/services/catalog";
const WASM: &str = "application/wasm";

/// What a host is asked for.
type Calls = Vec<(&'static str, Value)>;

/// A request for each operation, by its id; the status of its answer, and what the host is asked for.
fn requests() -> Vec<(&'static str, Ask, u16, Calls)> {
    let app = |path: &str| Ask::get(format!("{APP}{path}"));
    let service = |path: &str| Ask::get(format!("{SERVICE}{path}"));
    let post = |path: &str| Ask::post(format!("{SERVICE}{path}")).header("midplane-actor", "ada");
    let deploy = serde_json::to_value(examples::deploy()).unwrap();
    let one = json!({ "path": "/shop/catalog.wasm", "drain_timeout": 1.5 });
    let meant = json!({ "services": { "catalog": { "path": "/shop/catalog.wasm" } }, "drain_timeout": 1.5 });
    let store = |method: Method| Ask::new(method, format!("{APP}/components")).body(WASM, b"\0asm and more");
    vec![
        ("getReady", Ask::get("/ready"), 503, vec![]),
        ("getMetrics", Ask::get("/metrics"), 200, vec![]),
        ("getOpenApi", Ask::get("/v1/openapi.json"), 200, vec![]),
        ("listApps", Ask::get("/v1/apps"), 200, vec![]),
        ("getApp", app(""), 200, vec![("status", Value::Null)]),
        (
            "listServices",
            app("/services"),
            200,
            vec![("status", Value::Null)],
        ),
        ("listRoutes", app("/routes"), 200, vec![("routes", Value::Null)]),
        ("listLinks", app("/links"), 200, vec![("links", Value::Null)]),
        (
            "getHistory",
            app("/history"),
            200,
            vec![("history", json!([null, null, 50]))],
        ),
        (
            "streamEvents",
            app("/events"),
            200,
            vec![("events", json!([null]))],
        ),
        ("getService", service(""), 200, vec![("status", Value::Null)]),
        (
            "listRevisions",
            service("/revisions"),
            200,
            vec![("revisions", json!(["catalog"]))],
        ),
        (
            "getServiceHistory",
            service("/history?before=7&limit=500"),
            200,
            vec![("history", json!(["catalog", 7, 500]))],
        ),
        (
            "getLogs",
            service("/logs"),
            200,
            vec![("logs", json!(["catalog", false]))],
        ),
        (
            "putComponent",
            store(Method::PUT),
            201,
            vec![("store", json!([13]))],
        ),
        (
            "postComponent",
            store(Method::POST),
            201,
            vec![("store", json!([13]))],
        ),
        (
            "deploy",
            Ask::post(format!("{APP}/deploy")).json(&deploy),
            200,
            vec![("deploy", json!([deploy, "api"]))],
        ),
        (
            "apply",
            Ask::post(format!("{APP}/apply"))
                .json(&json!({ "manifest": "/shop/spin.toml", "dry_run": true })),
            200,
            vec![(
                "apply",
                json!([{ "manifest": "/shop/spin.toml", "dry_run": true }, "api"]),
            )],
        ),
        (
            "deployService",
            post("/deploy").json(&one),
            200,
            vec![("deploy", json!([meant, "ada"]))],
        ),
        (
            "reweighCanary",
            post("/canary").json(&json!({ "weight": "25%" })),
            200,
            vec![("promote", json!(["catalog", { "weight": "25%" }, "ada"]))],
        ),
        (
            "promote",
            post("/promote"),
            200,
            vec![("promote", json!(["catalog", {}, "ada"]))],
        ),
        (
            "abort",
            post("/abort"),
            200,
            vec![("abort", json!(["catalog", "ada"]))],
        ),
        (
            "rollback",
            post("/rollback").json(&json!({ "revision": "0a1b" })),
            200,
            vec![("rollback", json!(["catalog", { "revision": "0a1b" }, "ada"]))],
        ),
        ("drain", post("/drain"), 200, vec![("drain", json!(["catalog"]))]),
    ]
}

#[tokio::test]
async fn every_operation_asks_the_host_for_what_it_says_and_answers_as_described() {
    let mut tried = BTreeSet::new();
    for (id, request, status, asked) in requests() {
        let api = Api::start();
        let operation = document::operation(&request.method, &request.path).expect("it is described");
        assert_eq!(operation["operationId"], id);
        if id == "streamEvents" {
            // The stream itself does not end here.
            let head = Ask {
                method: Method::HEAD,
                ..request.clone()
            };
            assert_eq!(api.ask(&head).await.header("content-type"), "text/event-stream");
            assert!(api.fake.calls().is_empty(), "no stream is opened for HEAD");
        } else {
            let reply = api.ask(&request).await;
            assert_eq!(reply.status, status, "{id}: {reply:?}");
            assert_eq!(api.fake.calls(), asked, "{id}");
            assert_eq!(reply.header("cache-control"), "no-store");
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert!(!reply.headers.contains_key("access-control-allow-origin"));
        }
        tried.insert(id.to_owned());
    }
    assert_eq!(tried, document::ids(), "every operation is tried");
}

#[tokio::test]
async fn whatever_can_be_got_has_a_head() {
    for (id, request, status, _) in requests() {
        if request.method != Method::GET {
            continue;
        }
        let api = Api::start();
        let head = api
            .ask(&Ask {
                method: Method::HEAD,
                ..request
            })
            .await;
        assert_eq!((head.status, head.body.len()), (status, 0), "{id}: {head:?}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_those_there_are() {
    for (id, request, ..) in requests() {
        let api = Api::start();
        let allowed = match &request.method {
            _ if request.path.ends_with("/components") => "PUT, POST",
            &Method::GET => "GET, HEAD",
            _ => "POST",
        };
        for method in ["DELETE", "OPTIONS", "PATCH", "BREW"] {
            let reply = api
                .ask(&Ask {
                    method: method.parse().unwrap(),
                    ..request.clone()
                })
                .await;
            assert_eq!(
                (reply.status, reply.header("allow")),
                (405, allowed),
                "{id} {method}"
            );
        }
        assert!(api.fake.calls().is_empty());
    }
}

#[tokio::test]
async fn every_kind_of_refusal_has_its_status_and_keeps_what_it_says() {
    let api = Api::start();
    for (kind, status) in [
        (RefusalKind::NotFound, 404),
        (RefusalKind::Invalid, 400),
        (RefusalKind::Busy, 409),
        (RefusalKind::Refused, 422),
        (RefusalKind::Failed, 500),
        (RefusalKind::Stopping, 503),
    ] {
        let mut refusal = Refusal::new(kind, "It wants more.").with_hint("Say that it may.");
        refusal.new_grants = vec!["key_value_stores: default".into()];
        refusal.entry = Some(13);
        api.fake.refuse(refusal);
        let reply = api.ask(&Ask::post(format!("{SERVICE}/promote"))).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(reply.header("retry-after"), if status == 503 { "1" } else { "" });
        let problem = reply.json();
        for (field, value) in [
            ("status", json!(status)),
            ("detail", json!("It wants more.")),
            ("kind", json!(kind.as_str())),
            ("hint", json!("Say that it may.")),
            ("new_grants", json!(["key_value_stores: default"])),
            ("entry", json!(13)),
        ] {
            assert_eq!(problem[field], value, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let api = Api::start();
    for (path, says) in [
        ("/v1", "Under /v1 there are"),
        ("/v1/", "Under /v1 there are"),
        ("/v1/apps/", "Under /v1 there are"),
        ("/v1/apps/shop/", "Under /v1 there are"),
        ("/v1/apps/shop/services/", "Under /v1 there are"),
        ("/v1/apps/shop/secrets", "apps/{app}/services/{service}"),
        ("/v1/%61pps", "Under /v1 there are"),
        ("/v2/apps", "There are /ready"),
        ("/v1/apps/other", "serves the app `shop`, not `other`"),
        ("/v1/apps/other/services/catalog/logs", "serves the app `shop`"),
        (
            "/v1/apps/shop/services/nothing",
            "`shop` has no service `nothing`",
        ),
    ] {
        let reply = api.ask(&Ask::get(path)).await;
        assert_eq!(reply.status, 404, "{path}");
        let detail = reply.json()["detail"].to_string();
        assert!(detail.contains(says), "{path}: {detail}");
    }
    let hint = api.ask(&Ask::get("/v1/apps/shop/services/nothing")).await.json()["hint"].clone();
    assert_eq!(hint, "Its services are `catalog`.");
    for path in [
        "/v1/apps/shop/services/a_b",
        "/v1/apps/shop/services/%zz",
        "/v1/apps/%00",
    ] {
        assert_eq!(api.ask(&Ask::get(path)).await.status, 400, "{path}");
    }
    assert_eq!(api.ask(&Ask::get("/v1/apps/sh%6Fp")).await.status, 200);
}

#[tokio::test]
async fn options_that_are_not_meant_for_a_request_are_refused() {
    let api = Api::start();
    for path in [
        "/v1/apps?all=true",
        "/v1/apps/shop/routes?x",
        "/v1/apps/shop/history?limit=0",
        "/v1/apps/shop/history?limit=501",
        "/v1/apps/shop/history?before=first",
        "/v1/apps/shop/history?limit=1&limit=2",
        "/v1/apps/shop/events?after=1",
        "/v1/apps/shop/services/catalog/logs?follow=yes",
        "/v1/apps/shop/services/catalog/logs?tail=-1",
        "/v1/apps/shop/services/catalog/logs?revision=v1",
    ] {
        assert_eq!(api.ask(&Ask::get(path)).await.status, 400, "{path}");
    }
    let json = Ask::post(format!("{SERVICE}/deploy?canary=10%25")).json(&json!({ "component": DIGEST }));
    assert_eq!(api.ask(&json).await.status, 400, "options of JSON are in it");
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn a_component_in_the_body_is_stored_and_then_deployed_with_the_options_of_the_query() {
    let api = Api::start();
    let query = "canary=10%25&sticky=cookie:id&allow_new_grants=true&drain_timeout=2";
    let request = Ask::post(format!("{SERVICE}/deploy?{query}")).body(WASM, b"\0asm");
    assert_eq!(api.ask(&request).await.status, 200);
    let deploy = json!({
        "services": { "catalog": { "component": DIGEST } },
        "canary": { "weight": "10%", "sticky": "cookie:id" },
        "allow_new_grants": true,
        "drain_timeout": 2.0,
    });
    assert_eq!(
        api.fake.calls(),
        [("store", json!([4])), ("deploy", json!([deploy, "api"]))]
    );
    let wrong = Ask::post(format!("{SERVICE}/deploy?canary=200%25")).body(WASM, b"\0asm");
    assert_eq!(api.ask(&wrong).await.status, 400);
    assert!(
        api.fake.calls().is_empty(),
        "nothing is stored for a wrong request"
    );
}

#[tokio::test]
async fn a_candidate_keeps_what_holds_its_requests() {
    let api = Api::start();
    let same = json!({ "weight": "25%", "sticky": "client" });
    assert_eq!(
        api.ask(&Ask::post(format!("{SERVICE}/canary")).json(&same))
            .await
            .status,
        200
    );
    api.fake.calls();
    let other = json!({ "weight": "25%", "sticky": "cookie:id" });
    let reply = api
        .ask(&Ask::post(format!("{SERVICE}/canary")).json(&other))
        .await;
    assert_eq!(reply.status, 409);
    assert!(reply.json()["hint"].as_str().unwrap().contains("`cookie:id`"));
    assert_eq!(api.fake.calls(), [("status", Value::Null)]);
    let missing = Ask::post("/v1/apps/shop/services/nothing/canary").json(&same);
    assert_eq!(api.ask(&missing).await.status, 404);
}

#[tokio::test]
async fn wrong_fields_are_refused_with_their_place() {
    let api = Api::start();
    for (path, body, says) in [
        (
            "/deploy",
            json!({ "component": DIGEST, "canry": {} }),
            "unknown field `canry`",
        ),
        (
            "/deploy",
            json!({ "component": DIGEST, "canary": { "weight": "0%" } }),
            "`canary.weight`",
        ),
        ("/deploy", json!({}), "Exactly one of"),
        ("/promote", json!({ "weight": 5 }), "line 1 column"),
        ("/canary", json!({}), "missing field `weight`"),
        ("/canary", json!({ "weight": "x" }), "`weight`"),
        ("/rollback", json!({ "revision": "v1" }), "`revision`"),
        ("/abort", json!({ "x": 1 }), "no body"),
        ("/drain", json!([]), "no body"),
    ] {
        let reply = api.ask(&Ask::post(format!("{SERVICE}{path}")).json(&body)).await;
        assert_eq!(reply.status, 400, "{path} {body}: {reply:?}");
        let problem = reply.json();
        assert_eq!(problem["kind"], "invalid");
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{path} {body}: {problem}"
        );
    }
    assert!(api.fake.calls().is_empty());
}
