//! A response body that keeps its request's lease to the last byte, and then accounts for the request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};

use super::connection::Client;
use super::pace::Pace;
use crate::engine::{Body, BodyError, Fault, RequestContext};
use crate::service::Lease;
use crate::telemetry::metrics::Verdict;
use crate::telemetry::trace::{Span, SpanStatus};
use crate::telemetry::{self, AccessRecord, RequestId, ResponseEnd};

/// What is known of a request when its head is there.
pub(super) struct Exchange {
    pub(super) id: RequestId,
    pub(super) started: Instant,
    pub(super) client: Arc<Client>,
    pub(super) protocol: Version,
    /// Method and path, kept only where the access log is on.
    pub(super) logged: Option<(Method, String)>,
    /// The request's span.
    pub(super) span: Span,
    /// Set once a service is asked.
    pub(super) context: Option<Arc<RequestContext>>,
}

/// The body of a response on its way to a client.
pub(super) struct Tracked {
    inner: Body,
    exchange: Option<Exchange>,
    lease: Option<Lease>,
    status: StatusCode,
    bytes: u64,
    pace: Option<Arc<Pace>>,
}

impl Tracked {
    /// `lease` is `None` where no service answers.
    pub(super) fn new(inner: Body, exchange: Exchange, lease: Option<Lease>, status: StatusCode) -> Self {
        let pace = Pace::of_this_stream();
        if let Some(pace) = &pace
            && !inner.is_end_stream()
        {
            // From the head on: of a stream that never had a window, no piece of the body is ever asked for.
            pace.given();
        }
        Self {
            inner,
            exchange: Some(exchange),
            lease,
            status,
            bytes: 0,
            pace,
        }
    }

    /// A body that belongs to no request any more.
    pub(super) fn plain(inner: Body) -> Self {
        Self {
            inner,
            exchange: None,
            lease: None,
            status: StatusCode::OK,
            bytes: 0,
            pace: Pace::of_this_stream(),
        }
    }

    /// No body.
    pub(super) fn empty() -> Self {
        let empty = Empty::new().map_err(|never: std::convert::Infallible| match never {});
        Self::plain(empty.boxed_unsync())
    }

    fn account(&mut self, end: ResponseEnd) {
        let Some(mut exchange) = self.exchange.take() else {
            return;
        };
        let duration = exchange.started.elapsed();
        let lease = self.lease.take();
        exchange.log(lease.as_ref(), self.status, self.bytes, end);
        let guest_failed = exchange.fault().is_some();
        if let Some(lease) = lease
            && (end == ResponseEnd::Complete || guest_failed)
        {
            let verdict = exchange.settle(self.status);
            // Cut by the guest is an error that was counted as such; cut by the client counts as cancelled.
            lease.finish(self.status, duration, verdict);
        }
        // A span whose response was cut by the client ends as cancelled.
        if end == ResponseEnd::Complete || guest_failed {
            exchange.end_span(self.status);
        }
    }
}

impl Exchange {
    fn fault(&self) -> Option<Fault> {
        self.context.as_ref()?.progress.fault()
    }

    /// What the request counts as that was answered so.
    pub(super) fn settle(&self, status: StatusCode) -> Verdict {
        match &self.context {
            Some(context) => context.progress.settle(status),
            // No guest saw it.
            None => Verdict::Excused,
        }
    }

    /// The request was answered so.
    pub(super) fn end_span(&mut self, status: StatusCode) {
        let mut span = std::mem::replace(&mut self.span, Span::unrecorded(None));
        span.response(status);
        span.end(match self.fault() {
            Some(Fault::Guest | Fault::Elsewhere) => SpanStatus::Error("guest_failed".into()),
            Some(Fault::Interrupted) => SpanStatus::Error("interrupted".into()),
            None => SpanStatus::of_response(status),
        });
    }

    /// Writes the line of the access log, once.
    fn log(&mut self, lease: Option<&Lease>, status: StatusCode, response_bytes: u64, end: ResponseEnd) {
        let Some((method, path)) = self.logged.take() else {
            return;
        };
        let answered_by = lease.map(|lease| (lease.revision().service().clone(), lease.revision().id()));
        telemetry::access(&AccessRecord {
            request_id: self.id,
            method: &method,
            path: &path,
            protocol: self.protocol,
            client: self.client.address.ip(),
            status,
            duration: self.started.elapsed(),
            request_bytes: self
                .context
                .as_ref()
                .map_or(0, |context| context.progress.request_bytes()),
            response_bytes,
            end,
            answered_by: answered_by
                .as_ref()
                .map(|(service, revision)| (service.as_str(), revision as &dyn std::fmt::Display)),
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // The client left before there was a response; 499 is what proxies write then.
        if let Ok(left) = StatusCode::from_u16(499) {
            self.log(None, left, 0, ResponseEnd::Cut);
        }
    }
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(pace) = &this.pace {
            pace.asked();
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if let Some(pace) = &this.pace {
                    pace.given();
                }
            }
            Some(Err(_)) => this.account(ResponseEnd::Cut),
            None => this.account(ResponseEnd::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // A connection does not ask for the end of a body whose length it knows.
        let end = if self.inner.is_end_stream() {
            ResponseEnd::Complete
        } else {
            ResponseEnd::Cut
        };
        self.account(end);
    }
}
