//! Every error of the gateway as its client meets it.

use std::time::Duration;

use http::{Method, header};
use http_body_util::BodyExt;
use serde_json::Value;

use super::{GatewayError, respond};
use crate::telemetry::RequestId;

/// Every variant with the status and the type that it must have.
fn errors() -> Vec<(GatewayError, u16, &'static str)> {
    vec![
        (GatewayError::NotFound, 404, "not-found"),
        (
            GatewayError::MethodNotAllowed { allow: "GET, HEAD" },
            405,
            "method-not-allowed",
        ),
        (GatewayError::BodyTooLarge { limit: 1000 }, 413, "body-too-large"),
        (
            GatewayError::HeadersTooLarge { limit: 2000 },
            431,
            "headers-too-large",
        ),
        (
            GatewayError::BadRequest {
                detail: "Two lengths.".into(),
            },
            400,
            "bad-request",
        ),
        (GatewayError::GuestFailed, 500, "guest-failed"),
        (GatewayError::NoResponse, 500, "no-response"),
        (
            GatewayError::Overloaded {
                retry_after: Duration::from_millis(2500),
            },
            503,
            "overloaded",
        ),
        (
            GatewayError::Timeout {
                limit: Duration::from_secs(30),
            },
            504,
            "timeout",
        ),
        (
            GatewayError::RequestTimeout {
                limit: Duration::from_secs(30),
            },
            408,
            "request-timeout",
        ),
        (GatewayError::Interrupted, 503, "interrupted"),
        (GatewayError::Internal, 500, "internal"),
    ]
}

#[tokio::test]
async fn every_error_is_a_problem_with_its_status_and_the_request_id() {
    for (error, status, kind) in errors() {
        let id = RequestId::next();
        let response = respond(&error, id, &Method::POST);
        assert_eq!(response.status(), status, "{error}");
        assert_eq!(error.status(), status);
        let headers = response.headers().clone();
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(headers[header::CONTENT_LENGTH], body.len().to_string());
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["type"], format!("urn:midplane:problem:{kind}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], id.to_string());
        for text in ["title", "detail"] {
            assert!(!problem[text].as_str().unwrap().is_empty(), "{error}: {text}");
        }
        assert_eq!(problem.as_object().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn head_gets_the_headers_of_get_and_no_body() {
    for (error, ..) in errors() {
        let id = RequestId::next();
        let (get, head) = (
            respond(&error, id, &Method::GET),
            respond(&error, id, &Method::HEAD),
        );
        assert_eq!(get.headers(), head.headers());
        assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}

#[test]
fn unavailable_says_when_to_try_again_in_whole_seconds_rounded_up() {
    for (error, status, _) in errors() {
        let response = respond(&error, RequestId::next(), &Method::GET);
        assert_eq!(
            response.headers().contains_key(header::RETRY_AFTER),
            status == 503,
            "{error}"
        );
    }
    for (millis, sent) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (2500, "3")] {
        let error = GatewayError::Overloaded {
            retry_after: Duration::from_millis(millis),
        };
        let response = respond(&error, RequestId::next(), &Method::GET);
        assert_eq!(response.headers()[header::RETRY_AFTER], sent);
    }
}

#[test]
fn a_refused_method_is_told_the_allowed_ones() {
    let error = GatewayError::MethodNotAllowed { allow: "GET, HEAD" };
    let response = respond(&error, RequestId::next(), &Method::DELETE);
    assert_eq!(response.headers()[header::ALLOW], "GET, HEAD");
}

#[tokio::test]
async fn limits_are_told_to_the_client() {
    for (error, part) in [
        (GatewayError::BodyTooLarge { limit: 1000 }, "1000 bytes"),
        (GatewayError::HeadersTooLarge { limit: 2000 }, "2000 bytes"),
        (
            GatewayError::Timeout {
                limit: Duration::from_secs(30),
            },
            "30s",
        ),
    ] {
        let response = respond(&error, RequestId::next(), &Method::GET);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(std::str::from_utf8(&body).unwrap().contains(part), "{error}");
    }
}
