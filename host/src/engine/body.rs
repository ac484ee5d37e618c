//! The bodies that pass between a connection and a guest.
//!
//! A [`RequestBody`] bounds what a client may send. A [`GuestResponse`] gives out what a guest sends, and drives the guest
//! while it does: as long as the guest keeps up, it runs in the task of the connection that reads its response, with no task
//! and no wake-up in between. As soon as it waits for something it moves to a task of its own. Dropping the body before its end
//! ends the guest.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::context::RequestContext;
use super::{Body, BodyError, Failure};
use crate::shutdown::{Task, Tasks};

/// What drives a guest to its end.
pub(super) type Work = BoxFuture<'static, Result<(), Failure>>;

/// A request body that ends with an error once it is longer than the service takes.
pub(super) struct RequestBody<B> {
    inner: B,
    left: u64,
    context: Arc<RequestContext>,
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, limit: u64, context: Arc<RequestContext>) -> Self {
        Self { inner, left: limit, context }
    }
}

impl<B> HttpBody for RequestBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    BodyError: From<B::Error>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.map_err(BodyError::from)?;
        self.context.progress.moved();
        if let Some(data) = frame.data_ref() {
            let length = data.len() as u64;
            if length > self.left {
                self.left = 0;
                self.context.progress.body_too_large();
                return Poll::Ready(Some(Err(BodyError::HttpRequestBodySize(None))));
            }
            self.left -= length;
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

enum Driver {
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
    tasks: Tasks,
    ended: bool,
}

impl GuestResponse {
    /// `work` is `None` when the guest is done already.
    pub(super) fn new(inner: Body, work: Option<Work>, context: Arc<RequestContext>, tasks: Tasks) -> Self {
        let driver = work.map_or(Driver::Done, Driver::Inline);
        Self { inner, driver, context, tasks, ended: false }
    }

    /// The same where the guest runs in a task already.
    pub(super) fn of_task(
        inner: Body,
        task: Task<Result<(), Failure>>,
        context: Arc<RequestContext>,
        tasks: Tasks,
    ) -> Self {
        Self { inner, driver: Driver::Spawned(task), context, tasks, ended: false }
    }

    /// Lets an inline guest go on in a task of its own.
    fn spawn(&mut self) {
        match std::mem::replace(&mut self.driver, Driver::Done) {
            Driver::Inline(work) => self.driver = Driver::Spawned(self.tasks.spawn("guest", work)),
            other => self.driver = other,
        }
    }

    /// The guest may finish what it does after its response; nobody waits for it.
    fn let_go(&mut self) {
        self.ended = true;
        self.spawn();
        // Dropping a `Task` detaches it; its own deadline still holds.
        self.driver = Driver::Done;
    }
}

impl HttpBody for GuestResponse {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        if let Driver::Inline(work) = &mut this.driver
            && let Poll::Ready(_logged) = work.as_mut().poll(cx)
        {
            this.driver = Driver::Done;
        }
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        let frame = match polled {
            Poll::Pending => {
                this.spawn();
                if this.context.progress.is_failed() {
                    this.ended = true;
                    this.driver = Driver::Done;
                    return Poll::Ready(Some(Err(BodyError::HttpResponseIncomplete)));
                }
                return Poll::Pending;
            }
            Poll::Ready(frame) => frame,
        };
        this.context.progress.moved();
        match frame {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => {
                this.ended = true;
                Poll::Ready(Some(Err(error)))
            }
            // A guest that failed took its end of the stream with it: what was sent so far is not the whole.
            None if this.context.progress.is_failed() => {
                this.ended = true;
                Poll::Ready(Some(Err(BodyError::HttpResponseIncomplete)))
            }
            None => {
                this.let_go();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for GuestResponse {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if self.inner.is_end_stream() || self.inner.size_hint().exact() == Some(0) {
            // Every byte that was announced has been taken: the guest may finish.
            self.let_go();
        } else if let Driver::Spawned(task) = &self.driver {
            task.abort();
        }
    }
}
