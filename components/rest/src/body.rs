//! Request bodies: bounded, JSON only, and with a place for every mistake.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Body;
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::Problem;

/// Reads a whole JSON body of at most `limit` bytes.
///
/// # Errors
/// 415 without `Content-Type: application/json`, 413 above the limit (nothing is buffered beyond it), and 400 for
/// text that is not UTF-8, not JSON, or not of the shape of `T`. Let `T` be `deny_unknown_fields`.
pub async fn read_json<T, B>(request: http::Request<B>, limit: usize) -> Result<T, Problem>
where
    T: DeserializeOwned,
    B: Body<Data = Bytes>,
{
    let (parts, body) = request.into_parts();
    require_json(&parts.headers)?;
    let bytes = read_bytes(&parts.headers, body, limit).await?;
    parse_json(&bytes)
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// 413 above the limit, at once where `Content-Length` announces it; 400 when the body breaks off.
pub async fn read_bytes<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes>,
{
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Problem::content_too_large(limit));
    }
    let mut body = std::pin::pin!(body);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad_request("the body broke off"))?;
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit.saturating_sub(whole.len()) {
            return Err(Problem::content_too_large(limit));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Turns bytes that must be one JSON object into a `T`.
///
/// # Errors
/// 400, whose `errors` name the place: line and column, and the JSON pointer of the value where there is one.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = str::from_utf8(bytes).map_err(|error| {
        Problem::bad_request(format!(
            "the body is not UTF-8: byte {} is invalid",
            error.valid_up_to()
        ))
    })?;
    // A derived struct would also be read from an array, by position: no document promises that.
    if !text.trim_ascii_start().starts_with('{') {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| malformed(&error, ""))?;
        return Err(Problem::bad_request("the body must be a JSON object"));
    }
    let mut source = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let pointer = pointer(error.path());
        malformed(error.inner(), &pointer)
    })?;
    source.end().map_err(|error| malformed(&error, ""))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error, pointer: &str) -> Problem {
    let what = match error.classify() {
        Category::Data => "the body does not fit",
        Category::Eof => "the body ends too early",
        Category::Syntax | Category::Io => "the body is not JSON",
    };
    let place = serde_json::json!([{
        "detail": error.to_string(),
        "pointer": pointer,
        "line": error.line(),
        "column": error.column(),
    }]);
    Problem::bad_request(format!("{what}: {error}")).with("errors", place)
}

/// A path as a JSON pointer (RFC 6901). Empty for the whole document.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let token = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim());
    match media_type {
        Some(media_type) if media_type.eq_ignore_ascii_case("application/json") => Ok(()),
        Some(media_type) => Err(Problem::unsupported_media_type(format!(
            "send the body as application/json, not as {media_type:?}"
        ))),
        None => Err(Problem::unsupported_media_type(
            "say what the body is: Content-Type: application/json",
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use http_body_util::{Full, StreamBody};
    use serde::Deserialize;
    use std::task::{Context, Poll, Waker};

    /// The output of a future that never has to wait.
    pub(crate) fn ready<F: Future>(future: F) -> F::Output {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("a body in memory is always ready"),
        }
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Line {
        quantity: u32,
    }

    fn read(content_type: Option<&str>, body: &[u8], limit: usize) -> Result<Order, Problem> {
        let mut request = http::Request::post("/");
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        ready(read_json(
            request.body(Full::new(Bytes::copy_from_slice(body))).unwrap(),
            limit,
        ))
    }

    const GOOD: &[u8] = br#"{"lines":[{"quantity":2}]}"#;

    #[test]
    fn json_of_the_right_shape_is_read() {
        for content_type in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(
                read(Some(content_type), GOOD, 100).unwrap(),
                Order {
                    lines: vec![Line { quantity: 2 }]
                }
            );
        }
        assert!(read(Some("application/json"), GOOD, GOOD.len()).is_ok());
    }

    #[test]
    fn other_media_types_are_415() {
        for content_type in [None, Some("text/plain"), Some("application/jsonp"), Some("")] {
            assert_eq!(
                read(content_type, GOOD, 100).unwrap_err().status,
                415,
                "{content_type:?}"
            );
        }
    }

    #[test]
    fn a_body_above_the_limit_is_413_announced_or_not() {
        assert_eq!(
            read(Some("application/json"), GOOD, GOOD.len() - 1)
                .unwrap_err()
                .status,
            413
        );
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, 11.into());
        let untouched = StreamBody::new(Untouchable);
        assert_eq!(
            ready(read_bytes(&headers, untouched, 10)).unwrap_err().status,
            413
        );
    }

    /// A body that must not be read.
    struct Untouchable;

    impl futures_core::Stream for Untouchable {
        type Item = Result<http_body::Frame<Bytes>, std::convert::Infallible>;

        fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            panic!("read although the length was announced")
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        let place = |body: &[u8]| {
            let problem = read(Some("application/json"), body, 1000).unwrap_err();
            assert_eq!(problem.status, 400);
            problem.extra["errors"][0].clone()
        };
        let error = place(b"{\"lines\":[{\"quantity\":1},\n{\"quantity\":-1}]}");
        assert_eq!(error["pointer"], "/lines/1/quantity");
        assert_eq!(error["line"], 2);
        assert!(
            error["detail"].as_str().unwrap().contains("expected u32"),
            "{error}"
        );
        let unknown = place(br#"{"lines":[],"x/y":1}"#);
        assert!(
            unknown["detail"]
                .as_str()
                .unwrap()
                .contains("unknown field `x/y`"),
            "{unknown}"
        );
        assert_eq!(unknown["pointer"], "/x~1y");
        assert_eq!(place(br#"{"lines":"#)["line"], 1);
        assert!(place(b"{} {}")["detail"].is_string());
        let deep = format!("{{\"lines\":{}", "[".repeat(500));
        assert_eq!(place(deep.as_bytes())["line"], 1);
    }

    #[test]
    fn a_body_is_an_object() {
        for (body, says) in [
            (&br#"[[{"quantity":2}]]"#[..], "must be a JSON object"),
            (b" null", "must be a JSON object"),
            (b"", "ends too early"),
            (b"hello", "not JSON"),
            (b"[1", "ends too early"),
        ] {
            let problem = read(Some("application/json"), body, 1000).unwrap_err();
            assert_eq!(problem.status, 400);
            assert!(problem.detail.contains(says), "{}", problem.detail);
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_400() {
        let problem = read(Some("application/json"), b"{\"a\":\"\xff\"}", 100).unwrap_err();
        assert_eq!(problem.status, 400);
        assert!(problem.detail.contains("byte 6"), "{}", problem.detail);
    }

    #[test]
    fn nothing_may_follow_the_document() {
        assert_eq!(
            read(Some("application/json"), br#"{"lines":[]} x"#, 100)
                .unwrap_err()
                .status,
            400
        );
    }
}
