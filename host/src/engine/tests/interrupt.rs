//! What ends when a replaced revision is interrupted.

use futures::channel::oneshot;
use http_body_util::BodyExt;

use super::guest::{LOOP, RESPOND, STREAM, WAIT, callee, handler};
use super::*;
use crate::telemetry::metrics::Tally;

#[tokio::test]
async fn a_request_without_a_head_ends_whether_its_guest_waits_or_computes() {
    let bench = Bench::new(16);
    // One that computes passes the door first, and so tells that it has begun.
    for (code, passes) in [([WAIT, RESPOND], 0), ([WAIT, LOOP], 1)] {
        for drive in [Drive::Inline, Drive::Task] {
            let subject = bench.program(&handler(&code), passes);
            let context = subject.context();
            let (answered, ()) = tokio::join!(subject.request(context.clone(), drive, ()), async {
                subject.door.arrival().await;
                assert!(!subject.program.is_interrupted());
                subject.program.interrupt();
            });
            let failure = answered.map(|response| response.status()).unwrap_err();
            assert!(
                matches!(failure, Failure::Interrupted),
                "{code:?} {drive:?}: {failure}"
            );
            assert_eq!(context.progress.fault(), Some(Fault::Interrupted));
            assert!(subject.program.is_interrupted());
            assert_eq!(subject.program.interrupted_count(), 1);
            // It says nothing about the guest.
            assert_eq!(subject.figure("errors_total", ",reason=\"interrupted\""), 1);
            assert_eq!(subject.figure("errors_total", ",reason=\"trap\""), 0);
            assert_eq!(subject.figure("traps_total", ""), 0);
            assert_eq!(subject.metrics.tally(), Tally::default());
            assert_eq!(subject.figure("instances", ""), 0);
        }
    }
}

#[tokio::test]
async fn who_comes_later_is_refused_at_once() {
    let bench = Bench::new(16);
    let subject = bench.program(&handler(&[RESPOND]), 0);
    subject.program.interrupt();
    subject.program.interrupt();
    let answered = subject.request(subject.context(), Drive::Inline, ()).await;
    assert!(matches!(answered, Err(Failure::Interrupted)));
    assert_eq!(subject.figure("instantiations_total", ",kind=\"fresh\""), 0);
    for is_async in [false, true] {
        let kind = if is_async { "async" } else { "" };
        let subject = bench.program(&callee(kind, &[]), 0);
        subject.program.interrupt();
        assert_eq!(subject.call(is_async).await, Err(CallError::Interrupted));
        assert_eq!(subject.program.interrupted_count(), 1);
    }
}

#[tokio::test]
async fn a_body_that_streams_is_cut() {
    let bench = Bench::new(16);
    for (code, passes) in [([STREAM, WAIT], 0), ([STREAM, WAIT], 1)] {
        let code = if passes == 0 {
            code.to_vec()
        } else {
            [&code[..], &[LOOP]].concat()
        };
        for drive in [Drive::Inline, Drive::Task] {
            let subject = bench.program(&handler(&code), passes);
            let response = subject.request(subject.context(), drive, ()).await.unwrap();
            assert_eq!(response.status(), 200);
            let (body, ()) = tokio::join!(response.into_body().collect(), async {
                subject.door.arrival().await;
                subject.program.interrupt();
            });
            assert!(body.is_err(), "{code:?} {drive:?}");
            assert_eq!(subject.program.interrupted_count(), 1);
        }
    }
}

#[tokio::test]
async fn a_guest_that_works_on_after_its_response_ends() {
    let bench = Bench::new(16);
    let subject = bench.program(&handler(&[RESPOND, WAIT]), 0);
    let (held, released) = oneshot::channel::<()>();
    let context = subject.context();
    let response = subject
        .request(context.clone(), Drive::Inline, held)
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert!(body.to_bytes().is_empty());
    context.progress.settle(http::StatusCode::OK);
    subject.door.arrival().await;
    assert_eq!(subject.figure("instances", ""), 1);
    subject.program.interrupt();
    // The guest is done when it lets go of what it holds.
    assert!(released.await.is_err());
    assert_eq!(subject.program.interrupted_count(), 1);
    assert_eq!(subject.metrics.tally(), Tally::default());
}

#[tokio::test]
async fn calls_end_inline_and_in_the_nursery() {
    let bench = Bench::new(16);
    for (kind, is_async) in [("", false), ("async", true)] {
        for (code, passes) in [(&[WAIT][..], 0), (&[WAIT, LOOP][..], 1)] {
            let subject = bench.program(&callee(kind, code), passes);
            let (answered, ()) = tokio::join!(subject.call(is_async), async {
                subject.door.arrival().await;
                subject.program.interrupt();
            });
            assert_eq!(answered, Err(CallError::Interrupted), "{kind} {code:?}");
            assert_eq!(subject.program.interrupted_count(), 1);
            assert_eq!(subject.metrics.tally(), Tally::default());
        }
    }
}

#[tokio::test]
async fn who_is_done_before_is_not_counted() {
    let bench = Bench::new(16);
    let subject = bench.program(&callee("", &[WAIT]), 1);
    assert_eq!(subject.call(false).await, Ok(Some(Value::U32(7))));
    assert_eq!(subject.figure("instances", ""), 1, "it waits for the next call");
    subject.program.interrupt();
    assert_eq!(subject.program.interrupted_count(), 0);
}
