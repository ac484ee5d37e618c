//! `static_response` of a trigger: what HTTP itself says about status and headers is checked here, for probes too.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use toml::Spanned;

use super::invalid;
use crate::manifest::app::StaticResponse;
use crate::manifest::error::shorten;
use crate::manifest::raw;
use crate::manifest::read::Result;

/// The response as the gateway can send it.
pub(super) fn resolve(raw: Spanned<raw::StaticResponse>) -> Result<StaticResponse> {
    let raw = raw.into_inner();
    let status = raw.status_code.as_ref().map_or(Ok(StatusCode::OK), |code| {
        status(code, "a response has a status from 200 to 599")
    })?;
    let mut headers = HeaderMap::new();
    for (name, value) in raw.headers.0 {
        let (name, value) = header(&name, &value)?;
        headers.append(name, value);
    }
    Ok(StaticResponse {
        status,
        headers,
        body: Bytes::from(raw.body.unwrap_or_default()),
    })
}

/// A status that a response can have; `rule` says so.
pub(super) fn status(code: &Spanned<u16>, rule: &str) -> Result<StatusCode> {
    match StatusCode::from_u16(*code.get_ref()) {
        Ok(status) if (200..600).contains(&status.as_u16()) => Ok(status),
        _ => invalid(format!("the status {}", code.get_ref()), rule, None, code.span()),
    }
}

/// A header that HTTP has, and that is not the host's to set.
pub(super) fn header(name: &Spanned<String>, value: &Spanned<String>) -> Result<(HeaderName, HeaderValue)> {
    let what = || format!("the header {:?}", shorten(name.get_ref()));
    let Ok(header) = HeaderName::try_from(name.get_ref().as_str()) else {
        return invalid(what(), "HTTP has no such name", None, name.span());
    };
    if is_framing(&header) {
        return invalid(what(), "the host itself sets it", Some("remove it"), name.span());
    }
    let Ok(text) = HeaderValue::try_from(value.get_ref().as_str()) else {
        return invalid(
            what(),
            "a value has no line breaks or control characters",
            None,
            value.span(),
        );
    };
    Ok((header, text))
}

/// Headers about the connection and the length, which only the host can know.
fn is_framing(name: &HeaderName) -> bool {
    [
        http::header::CONNECTION,
        http::header::CONTENT_LENGTH,
        http::header::TRANSFER_ENCODING,
        http::header::UPGRADE,
    ]
    .contains(name)
}
