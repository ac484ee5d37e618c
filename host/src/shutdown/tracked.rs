//! The future that stands around every task: it counts the task while it lives and ends it when the host
//! aborts.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::sync::futures::OwnedNotified;

use super::{Inner, Phase};

pin_project! {
    /// Resolves to the output of `future`, or to `None` once the host aborts.
    pub(super) struct Tracked<F> {
        #[pin]
        future: F,
        #[pin]
        abort: OwnedNotified,
        // Last, so that what the future holds is dropped before the task counts as ended.
        live: Live,
    }
}

impl<F> Tracked<F> {
    pub(super) fn new(future: F, abort: OwnedNotified, live: Live) -> Self {
        Self { future, abort, live }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // The phase for an abort from before this task began, the notification for a later one.
        if this.live.phase() == Phase::Aborting || this.abort.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        this.future.poll(cx).map(Some)
    }
}

/// Counts as one live task until it is dropped.
pub(super) struct Live {
    inner: Arc<Inner>,
    name: &'static str,
    row: Option<usize>,
}

impl Live {
    pub(super) fn foreground(inner: Arc<Inner>, name: &'static str) -> Self {
        let row = inner.names.intern(name);
        inner.names.row(row).live.fetch_add(1, Ordering::SeqCst);
        Self {
            inner,
            name,
            row: Some(row),
        }
    }

    pub(super) fn background(inner: Arc<Inner>, name: &'static str) -> Self {
        inner.background.fetch_add(1, Ordering::SeqCst);
        Self {
            inner,
            name,
            row: None,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.inner.phase()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, "a task of the host panicked");
        }
        match self.row {
            Some(row) => self.inner.ended(&self.inner.names.row(row).live),
            None => self.inner.ended(&self.inner.background),
        }
    }
}
