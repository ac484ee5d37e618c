//! Successful answers, and the fields that go with them.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use http_body_util::Full;
use serde::Serialize;

/// A whole answer in memory. `spin-sdk` takes it as it is.
pub type Response = http::Response<Full<Bytes>>;

/// `Cache-Control: no-store`.
pub const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Answers a value as JSON. Should it not be expressible as JSON (a map with keys that are no strings), answers 500.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    encoded(status, "application/json", value)
}

/// Answers JSON that is already text, for example a document compiled into the service.
pub fn json_text(status: StatusCode, text: &'static str) -> Response {
    bytes(status, "application/json", Bytes::from_static(text.as_bytes()))
}

/// 204.
pub fn no_content() -> Response {
    empty(StatusCode::NO_CONTENT)
}

/// 304, with the tag that it must repeat.
pub fn not_modified(etag: HeaderValue) -> Response {
    empty(StatusCode::NOT_MODIFIED).with_etag(etag)
}

pub(crate) fn encoded<T: Serialize>(status: StatusCode, content_type: &'static str, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => bytes(status, content_type, text.into()),
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn bytes(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let length = HeaderValue::from(body.len() as u64);
    let mut response = http::Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// Header fields that a handler adds to its answer.
pub trait ResponseExt: Sized {
    /// Sets one field; one of the same name is replaced.
    #[must_use]
    fn with_header(self, name: HeaderName, value: HeaderValue) -> Self;

    /// Sets `Location` to a path made of visible ASCII. Anything else is left out rather than sent broken.
    #[must_use]
    fn with_location(self, path: &str) -> Self {
        match HeaderValue::from_str(path) {
            Ok(value) => self.with_header(LOCATION, value),
            Err(_) => self,
        }
    }

    /// Sets `ETag`; [`crate::precondition::etag`] makes the value.
    #[must_use]
    fn with_etag(self, etag: HeaderValue) -> Self {
        self.with_header(ETAG, etag)
    }

    /// Sets `Cache-Control`.
    #[must_use]
    fn with_cache_control(self, directives: &'static str) -> Self {
        self.with_header(CACHE_CONTROL, HeaderValue::from_static(directives))
    }
}

impl ResponseExt for Response {
    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers_mut().insert(name, value);
        self
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use http_body_util::BodyExt;

    /// The body of a response, which is whole in memory and so ready at the first poll.
    pub(crate) fn body_json(response: Response) -> serde_json::Value {
        serde_json::from_slice(
            &crate::body::tests::ready(response.into_body().collect())
                .unwrap()
                .to_bytes(),
        )
        .unwrap()
    }

    #[test]
    fn json_has_its_type_and_length() {
        let response = json(StatusCode::CREATED, &[1, 2])
            .with_location("/things/1")
            .with_cache_control("no-cache");
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["content-length"], "5");
        assert_eq!(response.headers()["location"], "/things/1");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert_eq!(body_json(response), serde_json::json!([1, 2]));
    }

    #[test]
    fn a_location_that_would_break_the_head_is_left_out() {
        assert!(
            no_content()
                .with_location("/a\r\nset-cookie: x")
                .headers()
                .get("location")
                .is_none()
        );
    }

    #[test]
    fn what_json_cannot_express_is_a_500() {
        let map = std::collections::HashMap::from([((1, 2), 3)]);
        assert_eq!(json(StatusCode::OK, &map).status(), 500);
    }
}
