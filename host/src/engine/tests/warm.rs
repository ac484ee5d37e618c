//! What is known of a program before anybody asks it for something.

use std::time::Duration;

use super::guest::{LOOP, RESPOND, WAIT, callee, handler, starting, starting_with_words};
use super::*;

#[tokio::test]
async fn instances_that_can_be_reused_wait_afterwards() {
    let mut bench = Bench::new(16);
    let subject = bench.program(&callee("", &[]), 0);
    assert_eq!(subject.program.warm(0).await, Ok(()));
    assert_eq!(subject.figure("instances", ""), 0);
    assert_eq!(subject.program.warm(3).await, Ok(()));
    assert_eq!(subject.figure("instances", ""), 3);
    assert_eq!(
        subject.figure("instantiations_total", ",kind=\"fresh\""),
        0,
        "for no request"
    );
    assert_eq!(subject.call(false).await, Ok(Some(Value::U32(7))));
    assert_eq!(subject.figure("instantiations_total", ",kind=\"reused\""), 1);
    // As many as can work at once.
    assert_eq!(subject.program.warm(100).await, Ok(()));
    assert_eq!(subject.figure("instances", ""), 8);
    drop(subject);

    let fresh_only = bench.program(&handler(&[RESPOND]), 0);
    assert_eq!(fresh_only.program.warm(3).await, Ok(()));
    assert_eq!(fresh_only.figure("instances", ""), 0);
    bench.instances.policy = Some(InstancePolicy::Reuse);
    let reused = bench.program(&handler(&[RESPOND]), 0);
    assert_eq!(reused.program.warm(3).await, Ok(()));
    assert_eq!(reused.figure("instances", ""), 3);
    let answered = reused.request(reused.context(), Drive::Inline, ()).await;
    assert_eq!(answered.unwrap().status(), 200);
    assert_eq!(reused.figure("instantiations_total", ",kind=\"reused\""), 1);
}

#[tokio::test]
async fn what_traps_when_it_starts_is_found_out_with_its_last_words() {
    let bench = Bench::new(4);
    let subject = bench.program(&starting("unreachable"), 0);
    let Err(WarmError::NotInstantiated { reason, backtrace }) = subject.program.warm(2).await else {
        panic!("it came up");
    };
    assert_eq!(reason, "wasm trap: wasm `unreachable` instruction executed");
    assert!(!backtrace.is_empty());
    assert_eq!(subject.figure("instances", ""), 0);
    assert_eq!(subject.figure("traps_total", ""), 0, "nobody asked for it");

    let words = "thread panicked at src/lib.rs:3:5: no table of prices";
    let subject = bench.program(&starting_with_words(words), 0);
    let Err(WarmError::NotInstantiated { reason, .. }) = subject.program.warm(1).await else {
        panic!("it came up");
    };
    assert!(reason.contains("src/lib.rs:3:5: no table of prices"), "{reason}");
}

#[tokio::test]
async fn what_does_not_come_up_in_time_is_given_up() {
    let mut bench = Bench::new(4);
    bench.limits.timeout = Duration::from_millis(50);
    let subject = bench.program(&starting(LOOP), 0);
    let limit = bench.limits.timeout;
    assert_eq!(subject.program.warm(2).await, Err(WarmError::TimedOut { limit }));
    assert_eq!(subject.figure("instances", ""), 0);
}

#[tokio::test]
async fn a_pool_that_is_full_is_told_from_a_program_that_fails() {
    let bench = Bench::new(2);
    let busy = bench.program(&callee("", &[WAIT]), 0);
    let subject = bench.program(&callee("", &[]), 0);
    tokio::select! {
        biased;
        ended = async { tokio::join!(busy.call(false), busy.call(false)) } => panic!("{ended:?}"),
        () = async {
            busy.door.arrival().await;
            busy.door.arrival().await;
            let warmed = subject.program.warm(2).await;
            assert!(matches!(warmed, Err(WarmError::NoInstance { .. })), "{warmed:?}");
        } => {}
    }
    // Both slots are free again: one is taken by what waits, and what waits longest makes room for the first.
    assert_eq!(busy.program.warm(2).await, Ok(()));
    assert_eq!(busy.figure("instances", ""), 2);
    assert_eq!(subject.program.warm(2).await, Ok(()));
    assert_eq!(busy.figure("instances", ""), 1);
    assert_eq!(subject.figure("instances", ""), 1);
}

#[tokio::test]
async fn a_full_pool_costs_the_other_engine_none_of_its_instances() {
    let bench = Bench::new(1);
    let kinds = [("", false), ("async", true)];
    for ((kind, is_async), (other, other_is_async)) in [(kinds[0], kinds[1]), (kinds[1], kinds[0])] {
        let waits = bench.program(&callee(other, &[]), 0);
        assert_eq!(waits.call(other_is_async).await, Ok(Some(Value::U32(7))));
        let busy = bench.program(&callee(kind, &[WAIT]), 0);
        let subject = bench.program(&callee(kind, &[]), 0);
        tokio::select! {
            biased;
            ended = busy.call(is_async) => panic!("it passed a closed door: {ended:?}"),
            () = async {
                busy.door.arrival().await;
                let warmed = subject.program.warm(1).await;
                assert!(matches!(warmed, Err(WarmError::NoInstance { .. })), "{warmed:?}");
            } => {}
        }
        assert_eq!(waits.figure("instances", ""), 1, "{kind}");
        // What waits in the same pool makes room.
        let same = bench.program(&callee(other, &[]), 0);
        assert_eq!(same.program.warm(1).await, Ok(()));
        assert_eq!(waits.figure("instances", ""), 0, "{kind}");
    }
}
