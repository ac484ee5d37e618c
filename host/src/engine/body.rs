//! The bodies that pass between a connection and a guest.
//!
//! A [`RequestBody`] bounds what a client may send. A [`GuestResponse`] bounds and gives out what a guest sends, and drives it
//! while it does: as long as the guest keeps up, it runs in the task of the connection that reads its response, with no task
//! and no wake-up in between. As soon as it waits for something it moves to a task of its own. Dropping the body before its end
//! ends the guest.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};

use super::clock::TICK;
use super::context::{BodyFault, Fault, RequestContext};
use super::failure::{LastWords, Report};
use super::moving::Moving;
use super::{Body, BodyError, Failure, Program};
use crate::shutdown::Task;

/// How long a head waits for what follows it where its guest computes: a few turns of the fair pool.
const PATIENCE: Duration = TICK.saturating_mul(5);

/// What drives a guest to its end.
pub(super) struct Work(pub(super) Moving<Result<(), Failure>>);

impl Future for Work {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .poll_unpin(cx)
            .map(|ended| ended.unwrap_or(Err(Failure::Host)))
    }
}

/// A request body that ends with an error once it is longer than the service takes.
pub(super) struct RequestBody<B> {
    inner: B,
    left: u64,
    context: Arc<RequestContext>,
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, limit: u64, context: Arc<RequestContext>) -> Self {
        Self {
            inner,
            left: limit,
            context,
        }
    }
}

impl<B> HttpBody for RequestBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    BodyError: From<B::Error>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.context.progress.waits_for_client(polled.is_pending());
        let Some(frame) = ready!(polled) else {
            return Poll::Ready(None);
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                self.context.progress.body_failed(BodyFault::Broken);
                return Poll::Ready(Some(Err(error.into())));
            }
        };
        self.context.progress.moved();
        if let Some(data) = frame.data_ref() {
            let length = data.len() as u64;
            if length > self.left {
                self.left = 0;
                self.context.progress.body_failed(BodyFault::TooLarge);
                return Poll::Ready(Some(Err(BodyError::HttpRequestBodySize(None))));
            }
            self.left -= length;
            self.context.progress.received(length);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

pub(super) enum Driver {
    /// The guest runs when the body is polled.
    Inline(Work),
    /// The guest runs in a task of its own.
    Spawned(Task<Result<(), Failure>>),
    /// The guest is done.
    Done,
}

/// The body of a guest's response.
pub(super) struct GuestResponse {
    inner: Body,
    driver: Driver,
    context: Arc<RequestContext>,
    program: Arc<Program>,
    /// How many more bytes the guest may send, if there is a limit and it is not yet exceeded.
    room: Option<u64>,
    /// What the head announces, less what was given out: a connection asks for no more than that.
    left: Option<u64>,
    /// The first frame, if it was there with the head.
    first: Option<Frame<Bytes>>,
    /// The error that it ended with, until that was given out.
    failed: Option<BodyError>,
    ended: bool,
}

impl GuestResponse {
    /// The response of a guest, as its head was handed on.
    ///
    /// Where the head announces no length, the guest is asked once for what follows: a body that turns out to be empty then
    /// goes out as one of length 0. One that was cut off while it computed is waited for, for [`PATIENCE`].
    ///
    /// # Errors
    /// [`Failure::ResponseTooLarge`] where it is known already that the body is longer than the service may make one.
    pub(super) async fn response(
        head: http::Response<Body>,
        driver: Driver,
        context: Arc<RequestContext>,
        program: Arc<Program>,
    ) -> Result<http::Response<Body>, Failure> {
        let (head, inner) = head.into_parts();
        let left = content_length(&head.headers);
        let limit = program.limits.response_body;
        let mut body = Self {
            inner,
            driver,
            context,
            program,
            room: limit,
            left,
            first: None,
            failed: None,
            ended: false,
        };
        let has_body = !body.inner.is_end_stream();
        // What a head announces that is all of its response is the length of another one.
        let is_announced = has_body && !body.context.progress.ends_with_head(head.status);
        if let (Some(limit), true) = (limit, is_announced)
            && left.unwrap_or(0).max(body.inner.size_hint().lower()) > limit
        {
            return Err(body.too_large(limit));
        }
        if left.is_none() && has_body {
            let mut patience = None;
            poll_fn(|cx| {
                match body.poll_guest(cx) {
                    Poll::Ready(Some(Ok(frame))) => body.first = Some(frame),
                    Poll::Ready(Some(Err(error))) => body.failed = Some(error),
                    Poll::Pending if body.has_moved() => {
                        let patience = patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
                        return patience.poll_unpin(cx);
                    }
                    Poll::Ready(None) | Poll::Pending => {}
                }
                Poll::Ready(())
            })
            .await;
            if let (None, Some(limit)) = (body.room, limit) {
                // Nothing of it was sent yet.
                return Err(Failure::ResponseTooLarge { limit });
            }
        }
        Ok(http::Response::from_parts(head, body.boxed_unsync()))
    }

    /// Whether the guest was sent elsewhere for what it computes.
    fn has_moved(&self) -> bool {
        matches!(&self.driver, Driver::Inline(work) if work.0.has_moved())
    }

    /// Lets the guest run if it runs here, and takes what it has sent.
    fn poll_guest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Driver::Inline(work) = &mut self.driver
            && let Poll::Ready(_logged) = work.poll_unpin(cx)
        {
            self.driver = Driver::Done;
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_ready() {
            self.context.progress.moved();
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(room), Some(data)) = (self.room, frame.data_ref()) {
                    self.room = room.checked_sub(data.len() as u64);
                    if let (None, Some(limit)) = (self.room, self.program.limits.response_body) {
                        self.too_large(limit);
                        return self.fail(BodyError::HttpResponseBodySize(Some(limit)));
                    }
                }
                if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
                    *left = left.saturating_sub(data.len() as u64);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => self.fail(error),
            // A guest that failed took its end of the stream with it: what was sent so far is not the whole.
            Poll::Pending | Poll::Ready(None) if self.context.progress.is_failed() => {
                self.fail(BodyError::HttpResponseIncomplete)
            }
            Poll::Ready(None) => {
                self.let_go();
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ends a guest that sends more than it may: its fault, which is logged once, whatever it then makes of that itself.
    fn too_large(&mut self, limit: u64) -> Failure {
        if !self.context.progress.is_failed() {
            if self.context.progress.failed(Fault::Guest) {
                self.program.metrics.failed_afterwards();
            }
            // What it had to say stands in its own output; nothing of it tells why.
            let report = Report::response_too_large(limit);
            report.log(&self.program, &self.context, LastWords::default());
        }
        if let Driver::Spawned(task) = &self.driver {
            task.abort();
        }
        self.driver = Driver::Done;
        self.end();
        Failure::ResponseTooLarge { limit }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.end();
        self.driver = Driver::Done;
        Poll::Ready(Some(Err(error)))
    }

    /// Takes no more of the body. Whoever fills it learns of that.
    fn end(&mut self) {
        self.ended = true;
        self.inner = Empty::new().map_err(|never| match never {}).boxed_unsync();
        self.context.progress.response_taken();
    }

    /// Lets an inline guest go on in a task of its own.
    fn spawn(&mut self) {
        match std::mem::replace(&mut self.driver, Driver::Done) {
            Driver::Inline(work) => {
                self.driver = Driver::Spawned(self.program.tasks.spawn("guest", work));
            }
            other => self.driver = other,
        }
    }

    /// The guest may finish what it does after its response; nobody waits for it. Mostly it is done as soon as it may run
    /// once more, which then costs no task.
    fn let_go(&mut self) {
        self.end();
        self.context.progress.waits_for_reader(false);
        if let Driver::Inline(work) = &mut self.driver
            && work
                .poll_unpin(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        {
            self.driver = Driver::Done;
        }
        self.spawn();
        // Dropping a `Task` detaches it; its own deadline still holds.
        self.driver = Driver::Done;
    }
}

impl HttpBody for GuestResponse {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            this.context.progress.waits_for_reader(true);
            return Poll::Ready(Some(Ok(first)));
        }
        if this.ended {
            return Poll::Ready(this.failed.take().map(Err));
        }
        let polled = this.poll_guest(cx);
        if polled.is_pending() {
            this.spawn();
        }
        let has_more = matches!(polled, Poll::Ready(Some(Ok(_))));
        this.context.progress.waits_for_reader(has_more);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none()
            && self.failed.is_none()
            && (self.ended || self.left == Some(0) || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.first {
            None if self.is_end_stream() => SizeHint::with_exact(0),
            None => self.inner.size_hint(),
            // It is no longer part of what is inside; its own length and that do not add up to a sure one.
            Some(_) => SizeHint::default(),
        }
    }
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Drop for GuestResponse {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if self.is_end_stream() || self.inner.size_hint().exact() == Some(0) {
            // Every byte that was announced has been taken: the guest may finish.
            self.let_go();
            return;
        }
        if let Driver::Spawned(task) = &self.driver {
            task.abort();
        }
        self.end();
    }
}
