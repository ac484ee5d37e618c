//! Bodies of requests: whole in memory, within a number of bytes and a time, and only as long as they come.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::answer::JSON;
use super::problem::Fault;

/// The media type of a component.
pub(super) const WASM: &str = "application/wasm";

/// The most bytes of a body of JSON.
const MAX_JSON_BYTES: usize = 1024 * 1024;
/// The longest time for a body of JSON.
const MAX_JSON_TIME: Duration = Duration::from_secs(10);
/// The longest time for a component.
const MAX_UPLOAD_TIME: Duration = Duration::from_secs(10 * 60);
/// The longest time in which no byte of a body comes.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Whether the body is said to be of the type `wanted`, whatever its parameters are.
pub(super) fn is_of(headers: &HeaderMap, wanted: &str) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(given), None) = (types.next(), types.next()) else {
        return false;
    };
    let given = given.as_bytes().split(|byte| *byte == b';').next();
    given.is_some_and(|given| given.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The value that a body of JSON describes. Fields that it does not have are refused.
pub(super) async fn json<T, B>(headers: &HeaderMap, body: B) -> Result<T, Fault>
where
    T: DeserializeOwned,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    if !is_of(headers, JSON) {
        return Err(Fault::MediaType(JSON));
    }
    parse(&collect(headers, body, MAX_JSON_BYTES, MAX_JSON_TIME).await?)
}

/// As [`json`]; the default for a request without a body.
pub(super) async fn json_or_default<T, B>(headers: &HeaderMap, body: B) -> Result<T, Fault>
where
    T: DeserializeOwned + Default,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let said = headers.contains_key(CONTENT_TYPE);
    if said && !is_of(headers, JSON) {
        return Err(Fault::MediaType(JSON));
    }
    let bytes = collect(headers, body, MAX_JSON_BYTES, MAX_JSON_TIME).await?;
    match bytes.is_empty() {
        true => Ok(T::default()),
        false if said => parse(&bytes),
        false => Err(Fault::MediaType(JSON)),
    }
}

/// Makes sure that a request, which says everything by its path, has nothing in its body.
pub(super) async fn none<B>(headers: &HeaderMap, body: B) -> Result<(), Fault>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let bytes = collect(headers, body, MAX_JSON_BYTES, MAX_JSON_TIME).await?;
    match bytes.trim_ascii() {
        b"" | b"{}" => Ok(()),
        _ => Err(Fault::invalid("This request has no body.")),
    }
}

/// A component, of at most `limit` bytes.
pub(super) async fn component<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, Fault>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let component = collect(headers, body, limit, MAX_UPLOAD_TIME).await?;
    if component.is_empty() {
        return Err(Fault::invalid("The body is the component: it must not be empty."));
    }
    Ok(component)
}

/// The value that these bytes of JSON describe.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes)
        .map_err(|error| Fault::invalid(format!("The body is not as described: {error}.")))
}

async fn collect<B>(headers: &HeaderMap, body: B, limit: usize, time: Duration) -> Result<Bytes, Fault>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let said = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Before a byte is read, so that a client that waits for `100 Continue` need not send it.
    if said.is_some_and(|said| said > limit as u64) {
        return Err(Fault::TooLarge(limit));
    }
    let slow = Fault::Slow(MAX_PAUSE.as_secs());
    timeout(time, pieces(body, limit)).await.unwrap_or(Err(slow))
}

async fn pieces<B>(mut body: B, limit: usize) -> Result<Bytes, Fault>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let mut whole = Vec::new();
    loop {
        let frame = match timeout(MAX_PAUSE, body.frame()).await {
            Err(_elapsed) => return Err(Fault::Slow(MAX_PAUSE.as_secs())),
            Ok(None) => return Ok(whole.into()),
            Ok(Some(Err(_))) => return Err(Fault::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - whole.len() {
            return Err(Fault::TooLarge(limit));
        }
        whole.extend_from_slice(&data);
    }
}
