//! Whose turn it is, and what becomes of futures that are let go, panic, or never end.

use std::sync::atomic::AtomicU64;

use futures::future::{pending, poll_fn};
use tokio::sync::Notify;

use super::*;

struct Nothing;

impl Turn for Nothing {
    fn take(self: Arc<Self>) {}
}

/// The next so many turns, each of which costs what `cost` says.
fn turns(turns: &mut Turns, count: usize, cost: impl Fn(u64) -> u64) -> Vec<u64> {
    let mut had = Vec::new();
    for _ in 0..count {
        let Some((number, turn)) = turns.pick() else { break };
        turns.charge(number, cost(number), ESTIMATE);
        turns.push(number, turn);
        had.push(number);
    }
    had
}

#[test]
fn services_take_turns_however_many_wait_for_each() {
    let mut line = Turns::default();
    for _ in 0..10 {
        line.push(1, Arc::new(Nothing));
    }
    line.push(2, Arc::new(Nothing));
    let had = turns(&mut line, 100, |_| ESTIMATE);
    assert_eq!(had.iter().filter(|number| **number == 2).count(), 50);
}

#[test]
fn who_takes_longer_turns_has_fewer() {
    let mut line = Turns::default();
    line.push(1, Arc::new(Nothing));
    line.push(2, Arc::new(Nothing));
    let had = turns(&mut line, 100, |number| match number {
        1 => 3 * ESTIMATE,
        _ => ESTIMATE,
    });
    assert_eq!(had.iter().filter(|number| **number == 1).count(), 25);
}

#[test]
fn having_been_idle_earns_nothing() {
    let mut line = Turns::default();
    line.push(1, Arc::new(Nothing));
    turns(&mut line, 1_000, |_| ESTIMATE);
    line.push(2, Arc::new(Nothing));
    let had = turns(&mut line, 20, |_| ESTIMATE);
    assert_eq!(had.iter().filter(|number| **number == 2).count(), 10);
}

#[test]
fn a_turn_that_is_not_over_counts_already() {
    let mut line = Turns::default();
    for number in [1, 1, 2] {
        line.push(number, Arc::new(Nothing));
    }
    // As two threads that come at the same time.
    let first = line.pick().map(|(number, _)| number);
    let second = line.pick().map(|(number, _)| number);
    assert_eq!((first, second), (Some(1), Some(2)));
}

/// Computes for a millisecond each time, and never ends.
async fn busy(count: Arc<AtomicU64>) {
    poll_fn(|cx| {
        let began = thread_time();
        while thread_time().saturating_sub(began) < Duration::from_millis(1) {}
        count.fetch_add(1, Ordering::Relaxed);
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[tokio::test]
async fn a_service_with_many_busy_requests_gets_no_more_than_one_with_a_single_one() {
    let fair = Fair::start().expect("threads");
    let (crowd, single) = (Arc::new(fair.join()), Arc::new(fair.join()));
    let (of_crowd, of_single) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let crowd: Vec<_> = (0..16)
        .map(|_| go_on(&crowd, busy(of_crowd.clone()).boxed()))
        .collect();
    let single = go_on(&single, busy(of_single.clone()).boxed());
    while of_crowd.load(Ordering::Relaxed) + of_single.load(Ordering::Relaxed) < 400 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (crowded, alone) = (
        of_crowd.load(Ordering::Relaxed),
        of_single.load(Ordering::Relaxed),
    );
    drop((crowd, single));
    // One request runs on one core at a time: where there are many, the crowd has the others.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    assert!(
        alone * 2 * cores.max(2) >= crowded,
        "{alone} of {}",
        alone + crowded
    );
}

#[tokio::test]
async fn what_ends_is_handed_over_and_what_waits_is_woken() {
    let fair = Fair::start().expect("threads");
    let member = Arc::new(fair.join());
    let go = Arc::new(Notify::new());
    let waiting = go.clone();
    let moved = go_on(
        &member,
        async move {
            waiting.notified().await;
            // Timers are those of the runtime that it came from.
            tokio::time::sleep(Duration::from_millis(1)).await;
            is_fair_thread()
        }
        .boxed(),
    );
    go.notify_one();
    assert_eq!(moved.await, Ok(true));
    assert!(!is_fair_thread());
}

#[tokio::test]
async fn what_is_let_go_is_dropped_whether_it_waits_or_computes() {
    let fair = Fair::start().expect("threads");
    let member = Arc::new(fair.join());
    let held = Arc::new(());

    let holds = held.clone();
    let waits = go_on(
        &member,
        async move {
            let _holds = holds;
            pending::<()>().await;
        }
        .boxed(),
    );
    drop(waits);

    let (holds, count) = (held.clone(), Arc::new(AtomicU64::new(0)));
    let counted = count.clone();
    let computes = go_on(
        &member,
        async move {
            let _holds = holds;
            busy(counted).await;
        }
        .boxed(),
    );
    while count.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    drop(computes);
    while Arc::strong_count(&held) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_panic_ends_what_panics_alone() {
    let fair = Fair::start().expect("threads");
    let member = Arc::new(fair.join());
    let panics: BoxFuture<'static, ()> = async { panic!("on purpose") }.boxed();
    assert_eq!(go_on(&member, panics).await, Err(Lost));
    for _ in 0..64 {
        assert_eq!(go_on(&member, async { 7 }.boxed()).await, Ok(7));
    }
}
