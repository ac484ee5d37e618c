//! The calls of one request to `async func` contracts, driven beside the guest that made them.
//!
//! A host function that a guest calls concurrently is polled inside of that guest's event loop, and an event loop cannot be
//! driven from within another one. So the function leaves the call here and waits for its answer, and whoever drives the
//! request polls the guest and its calls one after the other, in one task: nothing is spawned, and dropping the task drops
//! the whole chain. What bounds it: a guest's handles, and the places of the callees.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;

/// How often a guest and its calls are polled in turn before the task gives its thread back.
const MAX_ROUNDS: u32 = 64;

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

    /// Drives `guest` and every call that is left here meanwhile, until all are done. If the guest fails, its calls go with
    /// it.
    pub(super) async fn drive<T, E>(&self, guest: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let _closing = Closing(self);
        let mut guest = pin!(guest);
        let mut answer = None;
        // Most requests make no such call, and pay for none.
        let mut calls: Option<FuturesUnordered<BoxFuture<'static, ()>>> = None;
        poll_fn(|cx| {
            for _ in 0..MAX_ROUNDS {
                if answer.is_none()
                    && let Poll::Ready(ended) = guest.as_mut().poll(cx)
                {
                    answer = Some(ended?);
                }
                let arrived = std::mem::take(&mut self.arrived.lock().calls);
                if !arrived.is_empty() {
                    calls.get_or_insert_default().extend(arrived);
                }
                let Some(calls) = &mut calls else {
                    return answer
                        .take()
                        .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)));
                };
                let mut ended = false;
                while let Poll::Ready(Some(())) = calls.poll_next_unpin(cx) {
                    ended = true;
                }
                // A callee may have left calls of its own, and a call that ended may let the guest go on.
                if !ended && self.arrived.lock().calls.is_empty() {
                    return match calls.is_empty() {
                        true => answer
                            .take()
                            .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
                        false => Poll::Pending,
                    };
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}

/// Calls hold their request, and the request holds the nursery: what was left and never driven must not stay.
struct Closing<'a>(&'a Nursery);

impl Drop for Closing<'_> {
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
    use std::sync::Arc;

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
        assert_eq!(nursery.drive(guest).await, Ok(101));
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
        assert_eq!(nursery.drive(guest).await, Err("trapped"));
        assert!(receive.try_recv().is_err());
        nursery.leave(std::future::pending().boxed());
        assert_eq!(Arc::strong_count(&nursery), 1);
    }
}
