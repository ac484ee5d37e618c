//! The calls of one request to `async func` contracts, driven beside the guest that made them.
//!
//! A host function that a guest calls concurrently is polled inside of that guest's event loop, and an event loop cannot be
//! driven from within another one. So the function leaves the call here and waits for its answer, and whoever drives the
//! request polls the guest and its calls one after the other, in one task: nothing is spawned, and dropping the task drops
//! the whole chain. What bounds it: a guest's handles, and the places of the callees.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;

/// How often a guest and its calls are polled in turn before the task gives its thread back.
pub(super) const MAX_ROUNDS: u32 = 64;

/// Where the calls of one request, over all services that they pass through, are left to be driven.
#[derive(Default)]
pub(super) struct Nursery {
    arrived: Mutex<Arrived>,
}

#[derive(Default)]
struct Arrived {
    calls: Vec<BoxFuture<'static, ()>>,
    closed: bool,
}

impl Nursery {
    /// Leaves a call to be driven. Where nobody drives any more it is dropped.
    pub(super) fn leave(&self, call: BoxFuture<'static, ()>) {
        let mut arrived = self.arrived.lock();
        if arrived.closed {
            drop(arrived);
            drop(call);
        } else {
            arrived.calls.push(call);
        }
    }

    /// The calls that are left here, for whoever drives several requests at once. Dropping it drops them, and whatever is left
    /// here later.
    pub(super) fn open(self: &Arc<Self>) -> Rest {
        Rest {
            // Most requests make no such call, and pay for none.
            calls: None,
            closing: Closing(self.clone()),
        }
    }

    /// Drives `guest`, and beside it every call that is left here meanwhile. Calls that go on when the guest is done are handed
    /// back: they hold nothing of it any more. If the guest fails, its calls go with it.
    pub(super) async fn drive<T, E>(
        self: &Arc<Self>,
        guest: impl Future<Output = Result<T, E>>,
    ) -> Result<(T, Option<Rest>), E> {
        let mut rest = self.open();
        let mut guest = pin!(guest);
        let answer = poll_fn(|cx| {
            for _ in 0..MAX_ROUNDS {
                if let Poll::Ready(ended) = guest.as_mut().poll(cx) {
                    return Poll::Ready(ended);
                }
                if !rest.poll(cx) {
                    return Poll::Pending;
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await?;
        let is_done = rest.is_done();
        Ok((answer, (!is_done).then_some(rest)))
    }
}

/// The calls that are driven beside a guest.
pub(super) struct Rest {
    calls: Option<FuturesUnordered<BoxFuture<'static, ()>>>,
    closing: Closing,
}

impl Rest {
    /// Drives the calls to their end, and those that they make.
    pub(super) async fn drive(mut self) {
        poll_fn(|cx| {
            for _ in 0..MAX_ROUNDS {
                if !self.poll(cx) {
                    return match self.calls.as_ref().is_none_or(FuturesUnordered::is_empty) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    };
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Whether every call that was left has ended.
    pub(super) fn is_done(&mut self) -> bool {
        self.take_arrived();
        self.calls.as_ref().is_none_or(FuturesUnordered::is_empty)
    }

    /// Whether nobody can leave a call any more.
    pub(super) fn is_orphaned(&self) -> bool {
        Arc::strong_count(&self.closing.0) == 1
    }

    fn take_arrived(&mut self) {
        let arrived = std::mem::take(&mut self.closing.0.arrived.lock().calls);
        if !arrived.is_empty() {
            self.calls.get_or_insert_default().extend(arrived);
        }
    }

    /// Polls every call that can go on. True if somebody may go on now who could not before: a call that ended lets its caller
    /// go on, and a callee may have left calls of its own.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        self.take_arrived();
        let Some(calls) = &mut self.calls else {
            return false;
        };
        let mut ended = false;
        while let Poll::Ready(Some(())) = calls.poll_next_unpin(cx) {
            ended = true;
        }
        ended || !self.closing.0.arrived.lock().calls.is_empty()
    }
}

/// Calls hold their request, and the request holds the nursery: what was left and never driven must not stay.
struct Closing(Arc<Nursery>);

impl Drop for Closing {
    fn drop(&mut self) {
        let left = {
            let mut arrived = self.0.arrived.lock();
            arrived.closed = true;
            std::mem::take(&mut arrived.calls)
        };
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::channel::oneshot;

    use super::*;

    /// A call that makes `depth` further ones, each waiting for the next.
    fn call(nursery: Arc<Nursery>, depth: u32, answer: oneshot::Sender<u32>) -> BoxFuture<'static, ()> {
        async move {
            let sum = if depth == 0 {
                0
            } else {
                let (send, receive) = oneshot::channel();
                nursery.leave(call(nursery.clone(), depth - 1, send));
                receive.await.unwrap_or(0)
            };
            let _gone = answer.send(sum + 1);
        }
        .boxed()
    }

    #[tokio::test]
    async fn a_call_that_calls_is_driven_to_its_end() {
        let nursery = Arc::new(Nursery::default());
        let guest = async {
            let (send, receive) = oneshot::channel();
            nursery.leave(call(nursery.clone(), 100, send));
            receive.await
        };
        let (answer, rest) = nursery.drive(guest).await.unwrap_or((0, None));
        assert_eq!(answer, 101);
        assert!(rest.is_none());
    }

    #[tokio::test]
    async fn a_call_that_goes_on_is_handed_back_and_does_not_hold_the_guest_up() {
        let nursery = Arc::new(Nursery::default());
        let (go_on, wait) = oneshot::channel::<()>();
        let (done, mut is_done) = oneshot::channel::<u32>();
        let inner = nursery.clone();
        let guest = async {
            nursery.leave(
                async move {
                    let _go_on = wait.await;
                    // What it calls in turn is driven too.
                    inner.leave(call(inner.clone(), 3, done));
                }
                .boxed(),
            );
            Ok::<_, ()>(())
        };
        let Ok(((), Some(rest))) = nursery.drive(guest).await else {
            panic!("the call has nobody to drive it");
        };
        assert_eq!(is_done.try_recv(), Ok(None));
        assert_eq!(go_on.send(()), Ok(()));
        rest.drive().await;
        assert_eq!(is_done.try_recv(), Ok(Some(4)));
        assert_eq!(Arc::strong_count(&nursery), 1);
    }

    #[tokio::test]
    async fn what_is_left_goes_with_the_guest_that_failed() {
        let nursery = Arc::new(Nursery::default());
        let (send, mut receive) = oneshot::channel::<u32>();
        let guest = async {
            let held = nursery.clone();
            nursery.leave(
                async move {
                    let _held = (held, send);
                    std::future::pending::<()>().await;
                }
                .boxed(),
            );
            Err::<(), _>("trapped")
        };
        assert!(matches!(nursery.drive(guest).await, Err("trapped")));
        assert!(receive.try_recv().is_err());
        nursery.leave(std::future::pending().boxed());
        assert_eq!(Arc::strong_count(&nursery), 1);
    }
}
