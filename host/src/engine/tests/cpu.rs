//! How long a guest may compute, where it does, and who is charged.

use std::time::Instant;

use http_body_util::BodyExt;

use super::guest::{LOOP, RESPOND, STREAM, WAIT, callee, handler};
use super::*;
use crate::engine::fair::thread_time;
use crate::telemetry::metrics::Tally;

const LIMIT: Duration = Duration::from_millis(60);

fn bench() -> Bench {
    let mut bench = Bench::new(16);
    bench.limits.cpu_time = LIMIT;
    bench
}

#[tokio::test]
async fn a_request_that_computes_for_too_long_is_ended_and_its_instance_dropped() {
    let bench = bench();
    for drive in [Drive::Inline, Drive::Task] {
        let subject = bench.program(&handler(&[LOOP]), 0);
        let context = subject.context();
        let answered = subject.request(context.clone(), drive, ()).await;
        let failure = answered.map(|response| response.status()).unwrap_err();
        assert!(
            matches!(failure, Failure::OutOfCpu(LIMIT)),
            "{drive:?}: {failure}"
        );
        assert_eq!(context.progress.fault(), Some(Fault::Guest));
        assert_eq!(subject.figure("errors_total", ",reason=\"cpu_time\""), 1);
        assert_eq!(subject.figure("traps_total", ""), 0);
        assert_eq!(subject.figure("instances", ""), 0);
        // A slice more, perhaps, and what the clock of the first tick adds on a machine that is busy elsewhere.
        assert!(context.cpu() > LIMIT, "{:?}", context.cpu());
        assert!(subject.metrics.cpu() >= context.cpu());
    }
}

#[tokio::test]
async fn who_computes_leaves_the_thread_that_serves() {
    let mut bench = bench();
    bench.limits.cpu_time = Duration::from_millis(300);
    let subject = bench.program(&handler(&[LOOP]), 0);
    // This runtime has one thread, which is this one.
    let before = thread_time();
    let answered = subject.request(subject.context(), Drive::Inline, ()).await;
    let here = thread_time() - before;
    assert!(matches!(answered, Err(Failure::OutOfCpu(_))));
    assert!(
        here < Duration::from_millis(150),
        "{here:?} of 300 ms were spent here"
    );
}

#[tokio::test]
async fn waiting_is_no_computing() {
    let mut bench = bench();
    bench.limits.cpu_time = Duration::from_millis(20);
    let subject = bench.program(&handler(&[WAIT, RESPOND]), 1);
    let began = Instant::now();
    let (answered, ()) = tokio::join!(subject.request(subject.context(), Drive::Inline, ()), async {
        subject.door.arrival().await;
        while began.elapsed() < Duration::from_millis(60) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        subject.door.open();
    });
    assert_eq!(answered.unwrap().status(), 200);
}

#[tokio::test]
async fn a_response_whose_guest_computes_for_too_long_is_cut() {
    let bench = bench();
    for drive in [Drive::Inline, Drive::Task] {
        let subject = bench.program(&handler(&[STREAM, LOOP]), 0);
        let context = subject.context();
        let response = subject.request(context.clone(), drive, ()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.into_body().collect().await.is_err(), "{drive:?}");
        assert_eq!(context.progress.fault(), Some(Fault::Guest));
        assert_eq!(subject.figure("errors_total", ",reason=\"cpu_time\""), 1);
    }
}

#[tokio::test]
async fn who_leaves_takes_a_guest_that_computes_along() {
    let mut bench = bench();
    bench.limits.cpu_time = Duration::from_secs(3600);
    let subject = bench.program(&handler(&[LOOP]), 0);
    {
        let request = subject.request(subject.context(), Drive::Inline, ());
        tokio::pin!(request);
        while subject.metrics.cpu() < Duration::from_millis(30) {
            assert!(futures::poll!(&mut request).is_pending());
            tokio::task::yield_now().await;
        }
    }
    while subject.figure("instances", "") > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_call_that_computes_for_too_long_is_the_callees_failure() {
    let bench = bench();
    for (kind, is_async) in [("", false), ("async", true)] {
        let subject = bench.program(&callee(kind, &[LOOP]), 0);
        assert_eq!(subject.call(is_async).await, Err(CallError::OutOfCpu(LIMIT)));
        assert_eq!(subject.figure("errors_total", ",reason=\"cpu_time\""), 1);
        let failed = Tally { served: 1, failed: 1 };
        assert_eq!(subject.metrics.tally(), failed);
    }
}
