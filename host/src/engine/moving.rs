//! A request on its way: it starts where it is asked for, and moves to the [fair pool](super::fair) once its guest computes for
//! longer than a tick, or once its service has had more than its [share](super::share) or holds threads up.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use wasmtime::UpdateDeadline;

use super::clock::TICK;
use super::fair::{self, Moved, SLICE};
use super::share::Share;

/// How much CPU time a poll takes at least before a tick ends it: what has just begun, or was interrupted by other threads, is
/// not what the tick is for.
const AT_LEAST: Duration = Duration::from_millis(1);

/// How much it takes at most where a tick ends it: until the first tick that finds it old enough.
const AT_MOST: Duration = TICK.saturating_mul(2);

thread_local! {
    /// Whether a guest computed for a whole tick in the poll that runs now.
    static TICKED: Cell<bool> = const { Cell::new(false) };
    /// When the poll that runs now began, and the CPU time that its thread had had.
    static BEGAN: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// Whether a poll has taken more CPU time than that. The clock that is cheap to read says first whether it can have.
fn took_more(than: Duration, (began, used): (Instant, Duration)) -> bool {
    began.elapsed() > than && fair::thread_time().saturating_sub(used) > than
}

/// What a guest does when the epoch clock ticks: it lets others run.
pub(super) fn tick() -> UpdateDeadline {
    let is_fair = fair::is_fair_thread();
    if !is_fair && BEGAN.get().is_some_and(|began| !took_more(AT_LEAST, began)) {
        return UpdateDeadline::Continue(1);
    }
    TICKED.set(true);
    let ticks = match is_fair {
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
            place: Place::Here(work),
            share,
        }
    }

    /// Whether it is in the fair pool.
    pub(super) fn has_moved(&self) -> bool {
        matches!(self.place, Place::There(_))
    }
}

/// What a service leaves behind that has had more than its share is dropped where its requests run: a chain of them goes all at
/// once.
impl<T: Send + 'static> Drop for Moving<T> {
    fn drop(&mut self) {
        let place = std::mem::replace(&mut self.place, Place::Over);
        let Some(member) = self.share.member().filter(|_| self.share.has_had_more()) else {
            return;
        };
        match place {
            Place::Here(work) => fair::let_go(member, work),
            Place::There(moved) => moved.drop_in_pool(),
            Place::Over => {}
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
                Place::Here(mut work) => {
                    if this.share.is_behind()
                        && let Some(member) = this.share.member()
                    {
                        this.place = Place::There(fair::go_on(member, work));
                        continue;
                    }
                    let began = (Instant::now(), fair::thread_time());
                    let before = (TICKED.replace(false), BEGAN.replace(Some(began)));
                    let polled = work.poll_unpin(cx);
                    BEGAN.set(before.1);
                    let ticked = TICKED.replace(before.0);
                    if took_more(AT_MOST, began) {
                        this.share.held_up();
                    }
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

#[cfg(test)]
mod tests {
    use futures::future::{pending, poll_fn};
    use futures::poll;

    use super::*;
    use crate::engine::fair::{Fair, is_fair_thread};
    use crate::engine::share::Shares;

    fn share() -> (Shares, Arc<Share>) {
        let shares = Shares::new(Some(Fair::start().expect("threads")));
        let share = shares.of(&"a".parse().expect("a name"), &Arc::default());
        (shares, share)
    }

    #[tokio::test]
    async fn work_goes_to_the_pool_once_its_service_is_to_be_behind_the_others() {
        let (_shares, share) = share();
        let mut seen = Vec::new();
        let work = poll_fn(move |_| {
            seen.push(is_fair_thread());
            match seen.len() {
                2 => Poll::Ready(seen.clone()),
                _ => Poll::Pending,
            }
        });
        let mut moving = Moving::new(work.boxed(), share.clone());
        assert!(poll!(&mut moving).is_pending());
        assert!(!moving.has_moved());
        share.held_up();
        assert_eq!(moving.await, Some(vec![false, true]));
    }

    #[tokio::test]
    async fn what_such_a_service_leaves_behind_is_dropped_in_the_pool() {
        struct Tells(std::sync::mpsc::Sender<bool>);
        impl Drop for Tells {
            fn drop(&mut self) {
                self.0.send(is_fair_thread()).expect("somebody waits");
            }
        }
        let (_shares, share) = share();
        let (sender, receiver) = std::sync::mpsc::channel();
        for has_had_more in [false, true] {
            let tells = Tells(sender.clone());
            let work = async move {
                let _tells = tells;
                pending::<()>().await;
            };
            let mut moving = Moving::new(work.boxed(), share.clone());
            assert!(poll!(&mut moving).is_pending());
            share.set_exceeded(has_had_more);
            drop(moving);
            // The pool has threads of its own.
            assert_eq!(receiver.recv(), Ok(has_had_more));
        }
    }
}
