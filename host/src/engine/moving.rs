//! A request on its way: it starts where it is asked for, and moves to the [fair pool](super::fair) once its guest computes for
//! longer than a tick, or at once if its service has had more than its [share](super::share).

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use wasmtime::UpdateDeadline;

use super::fair::{self, Moved, SLICE};
use super::share::Share;

thread_local! {
    /// Whether a guest computed for a whole tick in the poll that runs now.
    static TICKED: Cell<bool> = const { Cell::new(false) };
}

/// What a guest does when the epoch clock ticks: it lets others run.
pub(super) fn tick() -> UpdateDeadline {
    TICKED.set(true);
    let ticks = match fair::is_fair_thread() {
        true => SLICE,
        false => 1,
    };
    // Not Wasmtime's own yield: the worker's LIFO slot could run the same task again at once.
    UpdateDeadline::YieldCustom(ticks, Box::pin(tokio::task::yield_now()))
}

/// Work for a request, wherever it is. Dropping it ends it.
pub(super) struct Moving<T: Send + 'static> {
    place: Place<T>,
    share: Arc<Share>,
}

enum Place<T: Send + 'static> {
    /// Not begun.
    Fresh(BoxFuture<'static, T>),
    /// In the task that polls this.
    Here(BoxFuture<'static, T>),
    /// In the pool.
    There(Moved<T>),
    /// Nowhere any more.
    Over,
}

impl<T: Send + 'static> Moving<T> {
    /// `work`, at the expense of the service with this share.
    pub(super) fn new(work: BoxFuture<'static, T>, share: Arc<Share>) -> Self {
        Self {
            place: Place::Fresh(work),
            share,
        }
    }
}

/// Ends with `None` if the host panicked.
impl<T: Send + 'static> Future for Moving<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        loop {
            match std::mem::replace(&mut this.place, Place::Over) {
                Place::Fresh(work) => {
                    this.place = match this.share.member() {
                        Some(member) if this.share.is_exceeded() => Place::There(fair::go_on(member, work)),
                        _ => Place::Here(work),
                    };
                }
                Place::Here(mut work) => {
                    let before = TICKED.replace(false);
                    let polled = work.poll_unpin(cx);
                    let ticked = TICKED.replace(before);
                    match polled {
                        Poll::Ready(output) => return Poll::Ready(Some(output)),
                        Poll::Pending => match this.share.member() {
                            Some(member) if ticked => {
                                this.place = Place::There(fair::go_on(member, work));
                            }
                            _ => {
                                this.place = Place::Here(work);
                                return Poll::Pending;
                            }
                        },
                    }
                }
                Place::There(mut moved) => {
                    return match moved.poll_unpin(cx) {
                        Poll::Ready(ended) => Poll::Ready(ended.ok()),
                        Poll::Pending => {
                            this.place = Place::There(moved);
                            Poll::Pending
                        }
                    };
                }
                Place::Over => return Poll::Ready(None),
            }
        }
    }
}
