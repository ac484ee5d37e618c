//! Tasks, drains and signals.

use std::{
    future::pending,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::{Notify, oneshot},
};

use super::{DrainOutcome, Phase, TaskCount, TaskError, Tasks};

const FOREVER: Duration = Duration::from_secs(3600);

fn count(name: &'static str, count: usize) -> TaskCount {
    TaskCount { name, count }
}

/// Sets its flag when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_task_gives_its_result_and_counts_while_it_lives() {
    let tasks = Tasks::new();
    let (go, wait) = oneshot::channel::<u32>();
    let task = tasks.spawn("answer", async move { wait.await.unwrap() + 1 });
    assert_eq!(tasks.live(), [count("answer", 1)]);
    go.send(41).unwrap();
    assert_eq!(task.await, Ok(42));
    assert_eq!(tasks.live(), []);
    assert_eq!(tasks.blocking("sum", || 1 + 2).await, Ok(3));
}

#[tokio::test]
async fn a_drain_waits_for_what_is_in_flight_and_counts_it() {
    let tasks = Tasks::new();
    let (go, wait) = oneshot::channel::<()>();
    tasks.spawn("request", wait);
    let connection = tasks.clone();
    tasks.spawn("connection", async move { connection.draining().await });
    let drain = tokio::spawn({
        let tasks = tasks.clone();
        async move { tasks.drained(FOREVER).await }
    });
    tasks.draining().await;
    assert_eq!(tasks.phase(), Phase::Draining);
    assert!(!drain.is_finished());
    // Work begun during the drain is waited for as well.
    let late = tasks.spawn("late", async { 7 });
    assert_eq!(late.await, Ok(7));
    go.send(()).unwrap();
    let outcome = drain.await.unwrap();
    assert!(outcome.is_clean());
    assert_eq!(outcome.finished, [count("request", 1), count("connection", 1)]);
    assert_eq!(tasks.phase(), Phase::Aborting);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_aborts_what_is_left_by_name_and_frees_what_it_held() {
    let tasks = Tasks::new();
    let freed = Arc::new(AtomicBool::new(false));
    let held = Dropped(Arc::clone(&freed));
    let hanging = tasks.spawn("hanging", async move {
        let _held = held;
        pending::<()>().await;
    });
    for _ in 0..40 {
        tasks.spawn("idle", pending::<()>());
    }
    tasks.spawn("quick", async {});
    let outcome = tasks.drained(Duration::from_secs(30)).await;
    assert_eq!(outcome.aborted, [count("hanging", 1), count("idle", 40)]);
    assert_eq!(outcome.finished, [count("quick", 1)]);
    assert_eq!(outcome.stuck, []);
    assert!(!outcome.is_clean());
    assert!(freed.load(Ordering::SeqCst));
    assert_eq!(hanging.await, Err(TaskError::Aborted));
    let begun = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&begun);
    let after = tasks.spawn("after", async move { flag.store(true, Ordering::SeqCst) });
    assert_eq!(after.await, Err(TaskError::Aborted));
    assert!(!begun.load(Ordering::SeqCst));
    assert_eq!(tasks.blocking("after", || ()).await, Err(TaskError::Aborted));
}

#[tokio::test(start_paused = true)]
async fn work_that_never_yields_is_named_as_stuck() {
    let tasks = Tasks::new();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = oneshot::channel();
    let blocking = tasks.blocking("blocking", move || {
        begun.send(()).unwrap();
        wait.recv().is_ok()
    });
    has_begun.await.unwrap();
    // The clock of the test stands still while blocking work runs, so it is moved by hand.
    let drain = tokio::spawn({
        let tasks = tasks.clone();
        async move { tasks.drained(Duration::from_secs(5)).await }
    });
    while !drain.is_finished() {
        tokio::time::advance(Duration::from_millis(100)).await;
        tokio::task::yield_now().await;
    }
    let outcome = drain.await.unwrap();
    assert_eq!(outcome.aborted, [count("blocking", 1)]);
    assert_eq!(outcome.stuck, [count("blocking", 1)]);
    go.send(()).unwrap();
    assert_eq!(blocking.await, Ok(true));
}

#[tokio::test]
async fn background_tasks_run_through_the_drain_and_end_with_it() {
    let tasks = Tasks::new();
    let ended = Arc::new(AtomicBool::new(false));
    let held = Dropped(Arc::clone(&ended));
    let (ask, mut asked) = tokio::sync::mpsc::channel::<oneshot::Sender<()>>(1);
    let clock = tasks.background("clock", async move {
        let _held = held;
        while let Some(answer) = asked.recv().await {
            answer.send(()).unwrap();
        }
    });
    let draining = tasks.draining();
    // This one needs the background task after the drain has begun.
    let to_clock = ask.clone();
    tasks.spawn("request", async move {
        draining.await;
        let (answer, answered) = oneshot::channel();
        to_clock.send(answer).await.unwrap();
        answered.await.unwrap();
    });
    let outcome = tasks.drained(FOREVER).await;
    assert!(outcome.is_clean());
    assert_eq!(outcome.finished, [count("request", 1)]);
    assert!(ended.load(Ordering::SeqCst));
    // Its sender is still there, so only the abort can have ended it.
    assert_eq!(clock.await, Err(TaskError::Aborted));
    drop(ask);
}

#[tokio::test]
async fn a_panic_ends_its_own_task_only() {
    let tasks = Tasks::new();
    let broken = tasks.spawn("broken", async { panic!("on purpose") });
    let sound = tasks.spawn("sound", async { 1 });
    assert_eq!(broken.await, Err::<(), _>(TaskError::Panicked));
    assert_eq!(sound.await, Ok(1));
    assert_eq!(tasks.drained(FOREVER).await, DrainOutcome::default());
}

#[tokio::test]
async fn an_aborted_task_is_no_longer_live() {
    let tasks = Tasks::new();
    let task = tasks.spawn("victim", pending::<()>());
    task.abort();
    assert_eq!(task.await, Err(TaskError::Aborted));
    assert_eq!(tasks.live(), []);
}

#[tokio::test]
async fn draining_resolves_for_those_who_asked_before_and_after() {
    let tasks = Tasks::new();
    let before = tasks.draining();
    assert!(!tasks.is_draining());
    tasks.begin_drain();
    tasks.begin_drain();
    before.await;
    tasks.draining().await;
    assert!(tasks.is_draining());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_leaves_works_on_for_the_delay_and_then_drains() {
    const DELAY: Duration = Duration::from_secs(7);
    let tasks = Tasks::new();
    let before = tasks.leaving();
    let begun = tokio::time::Instant::now();
    let leave = tokio::spawn({
        let tasks = tasks.clone();
        async move { tasks.leave_for(DELAY).await }
    });
    before.await;
    tasks.leaving().await;
    assert_eq!((tasks.phase(), begun.elapsed()), (Phase::Leaving, Duration::ZERO));
    assert!(!tasks.is_draining());
    assert_eq!(tasks.spawn("request", async { 1 }).await, Ok(1));
    tasks.draining().await;
    assert!(begun.elapsed() >= DELAY, "{:?}", begun.elapsed());
    leave.await.unwrap();
    assert_eq!(tasks.phase(), Phase::Draining);
    tasks.leave();
    assert_eq!(tasks.phase(), Phase::Draining);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_begins_by_itself_ends_the_delay_and_is_a_leave_too() {
    let tasks = Tasks::new();
    let leaving = tasks.leaving();
    let leave = tokio::spawn({
        let tasks = tasks.clone();
        async move { tasks.leave_for(FOREVER).await }
    });
    leaving.await;
    let begun = tokio::time::Instant::now();
    tasks.begin_drain();
    leave.await.unwrap();
    assert!(begun.elapsed() < FOREVER);

    let other = Tasks::new();
    let leaving = other.leaving();
    other.begin_drain();
    leaving.await;
    assert_eq!(other.phase(), Phase::Draining);
}

#[tokio::test]
async fn names_beyond_the_table_are_counted_together() {
    let tasks = Tasks::new();
    let stop = Arc::new(Notify::new());
    for index in 0..40 {
        let name: &'static str = Box::leak(format!("task-{index}").into_boxed_str());
        tasks.spawn(name, Arc::clone(&stop).notified_owned());
    }
    let live = tasks.live();
    assert_eq!(live.len(), 33);
    assert_eq!(live.last(), Some(&count("other", 8)));
    stop.notify_waiters();
    assert!(tasks.drained(FOREVER).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_task_is_lost_when_many_workers_start_and_end_them_during_a_drain() {
    for _ in 0..50 {
        let tasks = Tasks::new();
        let ended = Arc::new(AtomicUsize::new(0));
        for _ in 0..64 {
            let (inner, ended) = (tasks.clone(), Arc::clone(&ended));
            tasks.spawn("outer", async move {
                let ended_too = Arc::clone(&ended);
                inner.spawn("inner", async move {
                    tokio::task::yield_now().await;
                    ended_too.fetch_add(1, Ordering::SeqCst);
                });
                ended.fetch_add(1, Ordering::SeqCst);
            });
        }
        let outcome = tasks.drained(FOREVER).await;
        assert!(outcome.is_clean());
        assert_eq!(ended.load(Ordering::SeqCst), 128);
    }
}

const CHILD: &str = "MIDPLANE_TEST_SIGNAL_CHILD";
const SIGNAL_TEST: &str = "the_first_signal_drains_and_the_second_one_ends_the_process_at_once";

/// Runs itself again as a child process, which is the one that gets the signals. The value of the variable is the delay.
#[tokio::test]
async fn the_first_signal_drains_and_the_second_one_ends_the_process_at_once() {
    if let Ok(delay) = std::env::var(CHILD) {
        let tasks = Tasks::new();
        tasks.spawn("hanging", pending::<()>());
        tasks
            .drain_on_signal(Duration::from_secs(delay.parse().unwrap()))
            .unwrap();
        println!("\nready");
        tasks.leaving().await;
        println!("\nleaving");
        tasks.draining().await;
        println!("\ndraining");
        tasks.drained(FOREVER).await;
        return;
    }
    for (signal, code, delay, last) in [
        (rustix::process::Signal::INT, 130, "0", "draining"),
        (rustix::process::Signal::TERM, 143, "0", "draining"),
        (rustix::process::Signal::TERM, 143, "3600", "leaving"),
    ] {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args([SIGNAL_TEST, "--nocapture"])
            .env(CHILD, delay)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let id = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for step in ["ready", last] {
            while lines.next_line().await.unwrap().expect("the child ended early") != step {}
            rustix::process::kill_process(id, signal).unwrap();
        }
        assert_eq!(child.wait().await.unwrap().code(), Some(code));
    }
}
