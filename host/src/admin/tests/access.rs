//! Whom the listener lets in: token, origin, host, and where a client is.

use std::net::IpAddr;

use http::Method;
use serde_json::json;

use super::super::MAX_CHANGES;
use super::TOKEN;
use super::client::{Api, Ask};
use tokio::io::AsyncWriteExt;

const ELSEWHERE: [&str; 3] = ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"];
const HERE: [&str; 4] = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"];

fn peer(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn nothing_under_v1_is_told_without_the_token() {
    let api = Api::start();
    let lower = TOKEN.to_uppercase();
    for given in [
        None,
        Some(String::new()),
        Some(TOKEN.to_owned()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Basic {TOKEN}")),
        Some(format!("Token {TOKEN}")),
        Some(format!("Bearer {}", &TOKEN[1..])),
        Some(format!("Bearer {TOKEN}0")),
        Some(format!("Bearer {lower}")),
        Some(format!("Bearer {TOKEN} {TOKEN}")),
    ] {
        for request in [
            Ask::get("/v1/apps"),
            Ask::get("/v1/nothing"),
            Ask::get("/v1"),
            Ask::new(Method::DELETE, "/v1/apps"),
            Ask::post("/v1/apps/shop/services/catalog/abort"),
            Ask::get("/v1/apps/other"),
        ] {
            let request = match &given {
                None => request.without("authorization"),
                Some(given) => request.header("authorization", given),
            };
            let reply = api.ask(&request).await;
            assert_eq!(reply.status, 401, "{given:?} {}", request.path);
            assert!(reply.header("www-authenticate").starts_with("Bearer"));
            assert!(!reply.text().contains(TOKEN));
        }
    }
    assert!(api.fake.calls().is_empty());
    let lower = Ask::get("/v1/apps").header("authorization", &format!("bearer {TOKEN}"));
    assert_eq!(
        api.ask(&lower).await.status,
        200,
        "the name of a scheme has no case (RFC 9110 §11.1)"
    );
}

#[tokio::test]
async fn two_tokens_are_none() {
    let api = Api::start();
    let mut stream = api.connect();
    let head = format!(
        "GET /v1/apps HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nAuthorization: Bearer x\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = super::client::Reply::read(&mut stream).await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn the_document_and_readiness_need_no_token_from_anywhere() {
    let api = Api::start();
    for from in HERE.iter().chain(&ELSEWHERE) {
        for (path, status) in [("/v1/openapi.json", 200), ("/ready", 503)] {
            let reply = api
                .ask_from(peer(from), &Ask::get(path).without("authorization"))
                .await;
            assert_eq!(reply.status, status, "{path} from {from}");
        }
    }
}

#[tokio::test]
async fn figures_need_the_token_from_other_machines() {
    let api = Api::start();
    let without = Ask::get("/metrics").without("authorization");
    for from in HERE {
        assert_eq!(api.ask_from(peer(from), &without).await.status, 200, "{from}");
    }
    for from in ELSEWHERE {
        assert_eq!(api.ask_from(peer(from), &without).await.status, 401, "{from}");
        let with = Ask::get("/metrics");
        assert_eq!(api.ask_from(peer(from), &with).await.status, 200, "{from}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_whatever_they_know() {
    let api = Api::start();
    for origin in [
        "http://127.0.0.1:3000",
        "http://localhost:3001",
        "https://127.0.0.1:3001",
        "http://evil.example",
        "http://127.0.0.1:3001.evil.example",
        "http://127.0.0.1",
        "null",
        "",
    ] {
        for path in ["/v1/apps", "/v1/openapi.json", "/v1/nothing"] {
            for request in [Ask::get(path), Ask::get(path).without("authorization")] {
                let reply = api.ask(&request.header("origin", origin)).await;
                assert_eq!(reply.status, 403, "{origin} {path}");
                assert!(!reply.headers.contains_key("access-control-allow-origin"));
            }
        }
        let ready = api.ask(&Ask::get("/ready").header("origin", origin)).await;
        assert_eq!(ready.status, 503, "balancers may send what they like");
    }
    let own = Ask::get("/v1/apps").header("origin", "http://127.0.0.1:3001");
    assert_eq!(api.ask(&own).await.status, 200);
    let still = own.header("authorization", "Bearer x");
    assert_eq!(api.ask(&still).await.status, 401, "an origin is no token");
}

#[tokio::test]
async fn a_name_that_a_page_can_point_here_is_refused_before_the_token_is_looked_at() {
    let api = Api::start();
    for path in ["/v1/apps", "/v1/openapi.json", "/metrics"] {
        let reply = api.ask(&Ask::get(path).header("host", "evil.example")).await;
        assert_eq!(reply.status, 421, "{path}");
        let reply = api.ask(&Ask::get(path).without("host")).await;
        assert_eq!(reply.status, 400, "{path}");
    }
}

#[tokio::test]
async fn who_asks_is_told_to_the_host() {
    let api = Api::start();
    let abort = Ask::post("/v1/apps/shop/services/catalog/abort");
    for (given, told) in [
        ("ada (ci)", "ada (ci)"),
        ("a\u{202e}b", "a\\u{202e}b"),
        (" ", "api"),
    ] {
        let reply = api.ask(&abort.clone().header("midplane-actor", given)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(api.fake.calls(), [("abort", json!(["catalog", told]))]);
    }
    let long = abort.header("midplane-actor", &"x".repeat(257));
    assert_eq!(api.ask(&long).await.status, 400);
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn a_host_that_starts_says_so_to_those_who_have_the_token() {
    let api = Api::start();
    api.controls.send(None).unwrap();
    for request in [
        Ask::get("/v1/apps"),
        Ask::get("/v1/apps/shop/events"),
        Ask::post("/v1/apps/shop/services/catalog/abort"),
    ] {
        let reply = api.ask(&request).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
        assert_eq!(reply.json()["kind"], "starting");
        assert_eq!(api.ask(&request.without("authorization")).await.status, 401);
    }
    assert_eq!(api.ask(&Ask::get("/v1/openapi.json")).await.status, 200);
    api.controls.send(Some(api.fake.clone())).unwrap();
    assert_eq!(api.ask(&Ask::get("/v1/apps")).await.status, 200);
}

#[tokio::test]
async fn changes_that_take_long_leave_room_to_look_at_the_host() {
    let api = Api::start();
    api.fake.gate.forget_permits(usize::MAX);
    let promote = Ask::post("/v1/apps/shop/services/catalog/promote").json(&json!({}));
    let mut waiting = Vec::new();
    for count in 1..=MAX_CHANGES {
        let mut stream = api.connect();
        stream.write_all(&promote.bytes()).await.unwrap();
        waiting.push(stream);
        while api.server.changes.available_permits() > MAX_CHANGES - count {
            tokio::task::yield_now().await;
        }
    }
    let reply = api.ask(&promote).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert_eq!(api.ask(&Ask::get("/v1/apps/shop/routes")).await.status, 200);
    // Whoever takes a bad revision back does not wait for those who deploy others.
    let mut back = api.connect();
    let abort = Ask::post("/v1/apps/shop/services/catalog/abort");
    back.write_all(&abort.bytes()).await.unwrap();
    api.fake.gate.add_permits(MAX_CHANGES + 2);
    waiting.push(back);
    for stream in &mut waiting {
        assert_eq!(super::client::Reply::read(stream).await.status, 200);
    }
    assert_eq!(api.ask(&promote).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_change_may_take_long_and_a_look_may_not() {
    let api = Api::start();
    api.fake.gate.forget_permits(usize::MAX);
    let looked = api.ask(&Ask::get("/v1/apps/shop")).await;
    assert_eq!(looked.status, 503);
    assert!(looked.json()["detail"].as_str().unwrap().contains("10 s"));
    let gate = api.fake.gate.clone();
    api.tasks.background("compiler", async move {
        tokio::time::sleep(std::time::Duration::from_secs(600)).await;
        gate.add_permits(1);
    });
    let begun = tokio::time::Instant::now();
    let changed = api.ask(&Ask::post("/v1/apps/shop/services/catalog/abort")).await;
    assert_eq!(changed.status, 200);
    assert!(begun.elapsed().as_secs() >= 600);
}
