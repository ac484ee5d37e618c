//! `[component.<id>.tool.midplane.probe]`: a request that can be made, and an answer that can be given to it.

use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode, header};
use toml::Spanned;

use super::{invalid, response};
use crate::manifest::error::shorten;
use crate::manifest::raw;
use crate::manifest::read::{Entries, Result};
use crate::model::Probe;
use crate::model::quantity::parse_duration;

/// The probe as it can be sent.
pub(super) fn resolve(raw: raw::Probe) -> Result<Probe> {
    let method = raw.method.as_ref().map_or(Ok(Method::GET), method)?;
    let body_contains = raw.body_contains.map(|text| body_contains(text, &method));
    Ok(Probe {
        path: path(&raw.path)?,
        headers: headers(raw.headers)?,
        status: raw.status.as_ref().map(status).transpose()?,
        body_contains: body_contains.transpose()?,
        timeout: raw.timeout.as_ref().map_or(Ok(Probe::DEFAULT_TIMEOUT), timeout)?,
        method,
    })
}

fn path(text: &Spanned<String>) -> Result<PathAndQuery> {
    let path = text.get_ref();
    let hint = "write the path that the service itself sees: `path = \"/healthz\"`";
    let reason = if !path.starts_with('/') {
        "it does not start with `/`".to_owned()
    } else if path.len() > Probe::MAX_PATH_BYTES {
        format!("it is longer than {} bytes", Probe::MAX_PATH_BYTES)
    } else if let Some(found) = path.chars().find(|c| *c == '#' || !c.is_ascii_graphic()) {
        // A fragment would be cut off without a word.
        format!("it cannot contain {found:?}: write it percent-encoded")
    } else {
        match PathAndQuery::try_from(path.as_str()) {
            Ok(path) => return Ok(path),
            Err(error) => error.to_string(),
        }
    };
    invalid(
        format!("the path {:?}", shorten(path)),
        reason,
        Some(hint),
        text.span(),
    )
}

fn method(text: &Spanned<String>) -> Result<Method> {
    let methods = [Method::GET, Method::HEAD, Method::POST];
    let found = methods
        .into_iter()
        .find(|method| method.as_str() == text.get_ref().as_str());
    found.map_or_else(
        || {
            let what = format!("the method {:?}", shorten(text.get_ref()));
            invalid(
                what,
                "a probe is one of `GET`, `HEAD` and `POST`",
                Some("leave it out for `GET`"),
                text.span(),
            )
        },
        Ok,
    )
}

fn headers(raw: Entries<Spanned<String>>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in raw.0 {
        let what = || format!("the header {:?}", shorten(name.get_ref()));
        let (header, text) = response::header(&name, &value)?;
        if header == header::HOST || header.as_str().starts_with("spin-") {
            return invalid(what(), "the host itself sets it", Some("remove it"), name.span());
        }
        if headers.len() == Probe::MAX_HEADERS {
            let reason = format!("a probe has at most {} of them", Probe::MAX_HEADERS);
            return invalid(what(), reason, None, name.span());
        }
        headers.append(header, text);
    }
    Ok(headers)
}

fn status(code: &Spanned<u16>) -> Result<StatusCode> {
    response::status(code, "an answer has a status from 200 to 599")
}

fn body_contains(text: Spanned<String>, method: &Method) -> Result<String> {
    let what = || format!("the text {:?}", shorten(text.get_ref()));
    if *method == Method::HEAD {
        let hint = "ask with `GET`, or leave `body_contains` out";
        return invalid(
            what(),
            "the answer to `HEAD` has no body",
            Some(hint),
            text.span(),
        );
    }
    if text.get_ref().is_empty() {
        let hint = "leave `body_contains` out if any body will do";
        return invalid(what(), "every body contains it", Some(hint), text.span());
    }
    if text.get_ref().len() > Probe::MAX_BODY_CONTAINS_BYTES {
        let reason = format!("it is longer than {} bytes", Probe::MAX_BODY_CONTAINS_BYTES);
        return invalid(what(), reason, None, text.span());
    }
    Ok(text.into_inner())
}

fn timeout(text: &Spanned<String>) -> Result<Duration> {
    let reason = match parse_duration(text.get_ref()) {
        Ok(Duration::ZERO) => "no request is answered in no time".to_owned(),
        Ok(time) if time > Probe::MAX_TIMEOUT => "it is longer than a minute".to_owned(),
        Ok(time) => return Ok(time),
        Err(error) => error.to_string(),
    };
    let hint = "a time is written as in `\"500ms\"` or `\"5s\"`, at most `\"60s\"`";
    invalid(
        format!("the timeout {:?}", shorten(text.get_ref())),
        reason,
        Some(hint),
        text.span(),
    )
}
