//! Errors as the client reads them: `application/problem+json`, RFC 9457.
//!
//! A problem carries only text that is meant for clients. What operators need to know is logged where the error
//! happens, never put in here.

use http::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::response::{self, Response};

/// The `type` of problems that their status says everything about (RFC 9457, section 4.2.1).
pub const ABOUT_BLANK: &str = "about:blank";

/// One RFC 9457 problem, and the header fields that its status calls for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{status} {title}: {detail}")]
pub struct Problem {
    /// A URI that names the kind of problem, for programs.
    pub type_: &'static str,
    /// The kind of problem in a few words, the same for all problems of one type.
    pub title: &'static str,
    /// The status of the response.
    pub status: StatusCode,
    /// What happened this time and what to do about it, for people.
    pub detail: String,
    /// Extension members.
    pub extra: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl Problem {
    /// A problem of type `about:blank`, titled with the reason phrase of its status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            type_: ABOUT_BLANK,
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            extra: Map::new(),
            headers: Vec::new(),
        }
    }

    /// 400: the request is malformed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: no credentials came with the request. Names the scheme that would do (RFC 6750).
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 401: credentials came and are not good (any more).
    pub fn invalid_token(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail).with_header(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer error=\"invalid_token\""),
        )
    }

    /// 403: known, and not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: nothing is there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405, with the `Allow` field that it must carry (RFC 9110, section 15.5.6).
    pub fn method_not_allowed(method: &Method, allow: &[Method]) -> Self {
        let allow = allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{method} is not possible here; possible: {allow}"),
        )
        .with_text_header(ALLOW, &allow)
    }

    /// 409: the request contradicts what is stored.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 412: an `If-Match` that no longer holds.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn content_too_large(limit: usize) -> Self {
        let mut problem = Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than the {limit} bytes that are accepted here"),
        );
        // RFC 9110 renamed it, the `http` crate still has the old phrase.
        problem.title = "Content Too Large";
        problem.with("limit_bytes", limit as u64)
    }

    /// 415: the body is in a format that is not understood here.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 422: well-formed, but a value is out of its bounds.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        problem.title = "Unprocessable Content";
        problem
    }

    /// 422 about one value, which `pointer` (RFC 6901) finds in the body.
    pub fn invalid_value(pointer: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let place = serde_json::json!([{ "detail": detail, "pointer": pointer }]);
        Self::unprocessable(detail).with("errors", place)
    }

    /// 428: the request must be conditional (RFC 6585).
    pub fn precondition_required(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_REQUIRED, detail)
    }

    /// 429: too often; worth another try after `retry_after` seconds (RFC 6585).
    pub fn too_many_requests(detail: impl Into<String>, retry_after: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
            .with_header(RETRY_AFTER, HeaderValue::from(retry_after))
    }

    /// 500, which tells the client no more than that.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the service failed; the operator finds the reason in its log",
        )
    }

    /// 503: worth another try after `retry_after` seconds.
    pub fn unavailable(detail: impl Into<String>, retry_after: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .with_header(RETRY_AFTER, HeaderValue::from(retry_after))
    }

    /// The same problem with a type of its own. The title belongs to the type.
    #[must_use]
    pub fn typed(mut self, type_: &'static str, title: &'static str) -> Self {
        self.type_ = type_;
        self.title = title;
        self
    }

    /// Adds an extension member. The five standard members cannot be replaced.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        if !matches!(member, "type" | "title" | "status" | "detail" | "instance") {
            self.extra.insert(member.to_owned(), value.into());
        }
        self
    }

    /// Adds a header field to the response; one of the same name is replaced.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value));
        self
    }

    fn with_text_header(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with_header(name, value),
            Err(_) => self,
        }
    }

    /// The value of a header field of the response, if it was set.
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.headers
            .iter()
            .find(|(present, _)| present == name)
            .map(|(_, value)| value)
    }
}

impl From<Problem> for Response {
    /// Never cached: a problem belongs to the one request that met it.
    fn from(problem: Problem) -> Self {
        let document = Document {
            r#type: problem.type_,
            title: problem.title,
            status: problem.status.as_u16(),
            detail: &problem.detail,
            extra: &problem.extra,
        };
        let mut response = response::encoded(problem.status, "application/problem+json", &document);
        response
            .headers_mut()
            .insert(http::header::CACHE_CONTROL, response::NO_STORE);
        for (name, value) in problem.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::tests::body_json;

    #[test]
    fn a_problem_is_the_document_of_rfc_9457() {
        let problem = Problem::invalid_value("/price/amount", "the amount is negative")
            .typed("urn:problem-type:shop:price", "Price out of bounds");
        let response = Response::from(problem);
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(
            body_json(response),
            serde_json::json!({
                "type": "urn:problem-type:shop:price",
                "title": "Price out of bounds",
                "status": 422,
                "detail": "the amount is negative",
                "errors": [{ "detail": "the amount is negative", "pointer": "/price/amount" }],
            })
        );
    }

    #[test]
    fn extension_members_cannot_replace_the_standard_ones() {
        let problem = Problem::conflict("taken")
            .with("status", 200)
            .with("state", "held");
        assert_eq!(problem.extra.len(), 1);
        assert_eq!(body_json(problem.into())["status"], 409);
    }

    #[test]
    fn statuses_carry_the_fields_that_they_call_for() {
        let response = Response::from(Problem::method_not_allowed(
            &Method::PUT,
            &[Method::GET, Method::POST],
        ));
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET, POST");
        assert_eq!(
            Response::from(Problem::too_many_requests("slow down", 30)).headers()["retry-after"],
            "30"
        );
        assert_eq!(
            Response::from(Problem::unavailable("busy", 1)).headers()["retry-after"],
            "1"
        );
        assert_eq!(
            Response::from(Problem::unauthorized("log in")).headers()["www-authenticate"],
            "Bearer"
        );
        let expired = Response::from(Problem::invalid_token("expired"));
        assert_eq!(
            expired.headers()["www-authenticate"],
            "Bearer error=\"invalid_token\""
        );
    }

    #[test]
    fn errors_that_hold_a_problem_stay_small() {
        assert!(size_of::<Problem>() < 128, "{}", size_of::<Problem>());
    }
}
