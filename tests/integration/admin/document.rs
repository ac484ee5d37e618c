//! The document of the API against what answers.

use http::{Method, StatusCode};

use super::api::{Api, METHODS, exchange, request};
use crate::harness::TestHost;

#[tokio::test]
async fn the_document_is_served_as_it_is_committed() {
    let host = TestHost::builder()
        .service("a", "hello-p3")
        .route("/a/...", "a")
        .start()
        .await;
    let answer = exchange(host.admin, request(Method::GET, "/v1/openapi.json")).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        answer.text(),
        include_str!("../../../host/src/admin/openapi.json")
    );
    assert!(
        answer.json()["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    host.stop().await;
}

#[tokio::test]
async fn what_is_described_answers_and_what_is_not_does_not() {
    let builder = TestHost::builder().service("a", "hello-p3").route("/a/...", "a");
    let host = builder.start().await;
    let api = Api::of(&host, &builder.folder().join("state")).await;
    for (pattern, described) in api.document.paths() {
        let path = pattern.replace("{app}", "test").replace("{service}", "a");
        for method in METHODS {
            if described.contains(&method) {
                // Streams have no end.
                if !["/events", "/logs"].iter().any(|stream| path.ends_with(stream)) {
                    let answer = api.ask(request(method.clone(), &path)).await;
                    assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                }
                continue;
            }
            let answer = api.ask(request(method.clone(), &path)).await;
            assert_eq!(
                answer.status,
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}: {answer:?}"
            );
            let mut allowed: Vec<&str> = answer.header("allow").split(", ").collect();
            allowed.retain(|method| *method != "HEAD");
            let described: Vec<&str> = described.iter().map(Method::as_str).collect();
            assert_eq!(allowed, described, "{path}");
        }
        for neighbour in [format!("{path}/"), format!("{path}/x"), format!("{path}x")] {
            let answer = api.ask(request(Method::GET, &neighbour)).await;
            let is_described = api.document.operation(&Method::GET, &neighbour).is_some();
            let is_there = answer.status == StatusCode::OK;
            assert!(!is_there || is_described, "{neighbour}: {answer:?}");
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn only_the_head_of_an_answer_is_given_where_that_is_what_is_asked_for() {
    let host = TestHost::builder()
        .service("a", "hello-p3")
        .route("/a/...", "a")
        .start()
        .await;
    for path in ["/ready", "/v1/openapi.json"] {
        let whole = exchange(host.admin, request(Method::GET, path)).await;
        let head = exchange(host.admin, request(Method::HEAD, path)).await;
        assert_eq!((head.status, head.body.len()), (whole.status, 0));
        assert_eq!(head.header("content-length"), whole.body.len().to_string());
    }
    host.stop().await;
}
