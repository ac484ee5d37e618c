//! The handle of a started task.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use thiserror::Error;
use tokio::task::{AbortHandle, JoinHandle};

/// A started task. Await it for its result; dropped, it runs on.
#[derive(Debug)]
pub struct Task<T>(pub(super) JoinHandle<Option<T>>);

impl<T> Task<T> {
    /// Ends the task at its next wait. No effect on one that has ended, or on blocking work that has begun.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// A handle that can end the task and does not hold its result.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        self.0.abort_handle()
    }

    /// Whether the task has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(Some(value)) => Ok(value),
            Err(error) if error.is_panic() => Err(TaskError::Panicked),
            Ok(None) | Err(_) => Err(TaskError::Aborted),
        })
    }
}

/// Why a task has no result.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TaskError {
    /// It was ended by [`Task::abort`], by the end of a drain or with its runtime.
    #[error("the task was aborted")]
    Aborted,
    /// It panicked; the log says where.
    #[error("the task panicked")]
    Panicked,
}
