//! The host's own paths below `/.well-known/spin/`, answered before routing.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};
use http_body_util::Full;

use super::respond::GatewayError;

const PREFIX: &str = "/.well-known/spin/";

/// What the host itself answers at this path; `None` where it leaves the path to the app.
pub(super) fn answer(
    method: &Method,
    path: &str,
    info: &Bytes,
) -> Option<Result<Response<Full<Bytes>>, GatewayError>> {
    let name = path.strip_prefix(PREFIX)?;
    let (content_type, body) = match name {
        "health" => ("text/plain; charset=utf-8", Bytes::from_static(b"OK")),
        "info" => ("application/json", info.clone()),
        _ => return Some(Err(GatewayError::NotFound)),
    };
    if method != Method::GET && method != Method::HEAD {
        return Some(Err(GatewayError::MethodNotAllowed { allow: "GET, HEAD" }));
    }
    let mut response = Response::new(Full::new(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Some(Ok(response))
}
