//! Responses: their bodies, whole or streamed, and what every one of them says of itself.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::BoxStream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use serde::Serialize;

use super::Readiness;
use super::problem::Fault;

const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// The body of a response.
pub(super) enum Body {
    Whole(Full<Bytes>),
    /// It ends when the host does, or its client.
    Stream(BoxStream<'static, Bytes>),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx),
            Self::Stream(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

pub(super) fn whole(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    response(status, content_type, Body::Whole(Full::new(body.into())))
}

pub(super) fn streamed(content_type: &'static str, pieces: BoxStream<'static, Bytes>) -> Response<Body> {
    response(StatusCode::OK, content_type, Body::Stream(pieces))
}

pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Response<Body>, Fault> {
    let body = serde_json::to_vec(value).map_err(Fault::Unwritable)?;
    Ok(whole(status, JSON, body))
}

/// What is true of every response of this listener: it is of this moment, and is what it says it is.
pub(super) fn finish(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

pub(super) fn readiness(readiness: Readiness) -> Response<Body> {
    match readiness {
        Readiness::Ready => whole(StatusCode::OK, TEXT, "ready\n"),
        Readiness::Starting => unavailable("starting\n"),
        Readiness::Draining => unavailable("draining\n"),
    }
}

fn unavailable(state: &'static str) -> Response<Body> {
    let mut response = whole(StatusCode::SERVICE_UNAVAILABLE, TEXT, state);
    retry_soon(&mut response);
    response
}

/// Says that the same request may do better in a second.
pub(super) fn retry_soon(response: &mut Response<Body>) {
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
