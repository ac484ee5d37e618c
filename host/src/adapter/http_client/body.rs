//! The body of a response, with a bound on each pause in it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::{deadline, error};
use crate::capability::outbound_http::HttpClientError;

/// Ends with [`HttpClientError::ConnectionReadTimeout`] if a frame that is waited for does not come in time.
/// Time in which nobody asks for one does not count. The timer is only made when a wait begins, and then
/// kept.
pub(super) struct TimedBody {
    incoming: Incoming,
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl TimedBody {
    pub(super) fn new(incoming: Incoming, patience: Duration) -> Self {
        Self {
            incoming,
            patience,
            timer: None,
            waiting: false,
        }
    }
}

impl http_body::Body for TimedBody {
    type Data = Bytes;
    type Error = HttpClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpClientError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| error::of_body(&error))));
        }
        let patience = this.patience;
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if !this.waiting {
            timer.as_mut().reset(deadline(patience));
            this.waiting = true;
        }
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(HttpClientError::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
