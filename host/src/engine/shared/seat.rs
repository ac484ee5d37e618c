//! What a request has of a session: from when it joined until the last byte of its response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use super::session::Session;
use crate::engine::body::content_length;
use crate::engine::{Body, BodyError};

/// A place in a session. Dropping it gives the place up: the request is over for whoever sent it.
pub(super) struct Seat {
    pub(super) session: Arc<Session>,
    pub(super) key: u64,
    /// Wakes whoever reads the response when the request fails.
    pub(super) reader: Arc<AtomicWaker>,
    /// Whether the response was taken to its end.
    pub(super) is_done: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.session.leave(self.key, self.is_done);
    }
}

/// The body of a response, with the seat of its request.
pub(super) struct SeatedBody {
    inner: Body,
    seat: Seat,
    /// What the head announces, less what was given out.
    left: Option<u64>,
}

impl SeatedBody {
    pub(super) fn seat(head: http::Response<Body>, seat: Seat) -> http::Response<Body> {
        let left = content_length(head.headers());
        head.map(|inner| Self { inner, seat, left }.boxed_unsync())
    }
}

impl HttpBody for SeatedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Whoever polls looks afterwards whether the request has failed.
        self.seat.reader.register(cx.waker());
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.seat.is_done = true,
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
                    *left = left.saturating_sub(data.len() as u64);
                }
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for SeatedBody {
    fn drop(&mut self) {
        // A connection asks for no more than what was announced.
        self.seat.is_done |=
            self.left == Some(0) || self.inner.is_end_stream() || self.inner.size_hint().exact() == Some(0);
    }
}
