//! What requests and calls count as.

use futures::channel::{mpsc, oneshot};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use super::body::{Driver, GuestResponse};
use super::guest::{RESPOND, WAIT, callee, handler};
use super::*;
use crate::telemetry::metrics::Tally;

#[tokio::test]
async fn calls_count_as_answered_or_failed() {
    let bench = Bench::new(16);
    for (kind, is_async) in [("", false), ("async", true)] {
        let good = bench.program(&callee(kind, &[WAIT]), 1);
        assert_eq!(good.call(is_async).await, Ok(Some(Value::U32(7))));
        assert_eq!(good.metrics.tally(), Tally { served: 1, failed: 0 });
        assert_eq!(good.figure("calls_total", ",outcome=\"answered\""), 1);

        let bad = bench.program(&callee(kind, &["unreachable"]), 0);
        assert_eq!(bad.call(is_async).await, Err(CallError::Trapped));
        assert_eq!(bad.metrics.tally(), Tally { served: 1, failed: 1 });
        assert_eq!(bad.figure("calls_total", ",outcome=\"failed\""), 1);
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_counts_as_nothing() {
    let bench = Bench::new(16);
    let subject = bench.program(&callee("", &[WAIT]), 0);
    tokio::select! {
        biased;
        ended = subject.call(false) => panic!("it passed a closed door: {ended:?}"),
        () = subject.door.arrival() => {}
    }
    assert_eq!(subject.metrics.tally(), Tally::default());
}

#[tokio::test]
async fn a_trap_after_the_answer_is_a_failure_at_a_request_that_was_served() {
    let bench = Bench::new(16);
    let subject = bench.program(&handler(&[RESPOND, WAIT, "unreachable"]), 0);
    let (held, released) = oneshot::channel::<()>();
    let context = subject.context();
    let response = subject
        .request(context.clone(), Drive::Inline, held)
        .await
        .unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    let verdict = context.progress.settle(status);
    let in_flight = subject.metrics.begin();
    in_flight.finish(status, Duration::ZERO, verdict);
    assert_eq!(subject.metrics.tally(), Tally { served: 1, failed: 0 });
    subject.door.passes.add_permits(1);
    assert!(released.await.is_err());
    assert_eq!(subject.metrics.tally(), Tally { served: 1, failed: 1 });
}

#[tokio::test]
async fn a_response_waits_for_its_reader_from_one_part_until_more_is_asked_for() {
    let bench = Bench::new(4);
    let subject = bench.program(&handler(&[RESPOND]), 0);
    let (mut send, frames) = mpsc::channel(4);
    let part = || Ok(Frame::data(Bytes::from_static(b"part")));
    let head = http::Response::new(StreamBody::new(frames).boxed_unsync());
    let context = subject.context();
    let response =
        GuestResponse::response(head, Driver::Done, context.clone(), subject.program.clone()).await;
    let mut body = response.unwrap().into_body();
    assert!(!context.progress.is_waiting_for_reader());
    send.try_send(part()).unwrap();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(context.progress.is_waiting_for_reader());
    assert!(body.frame().now_or_never().is_none());
    assert!(
        !context.progress.is_waiting_for_reader(),
        "now it is the guest's turn"
    );
    send.try_send(part()).unwrap();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(context.progress.is_waiting_for_reader());
    drop(send);
    assert!(body.frame().await.is_none());
    assert!(!context.progress.is_waiting_for_reader(), "it is over");
}
