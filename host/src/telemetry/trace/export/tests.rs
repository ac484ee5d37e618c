//! When batches are sent, and when again, with time at our command and a receiver that does as it is told.

use std::{collections::VecDeque, sync::Mutex};

use tokio::time::Instant as Moment;

use super::*;
use crate::{
    shutdown::Tasks,
    telemetry::trace::{SpanKind, SpanStatus, Tracer},
};

/// Answers as it was told, `Ok` when it was told nothing more; notes when it was asked, and for how many.
#[derive(Default)]
struct Receiver {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<(Moment, usize)>>,
}

enum Answer {
    Is(Result<Accepted, ExportError>),
    Never,
}

impl SpanExporter for Receiver {
    fn export<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(async move {
            self.asked
                .lock()
                .unwrap()
                .push((Moment::now(), batch.spans().len()));
            let answer = self.answers.lock().unwrap().pop_front();
            match answer {
                None => Ok(Accepted::default()),
                Some(Answer::Is(answer)) => answer,
                Some(Answer::Never) => std::future::pending().await,
            }
        })
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);

struct Rig {
    receiver: Arc<Receiver>,
    tracer: Tracer,
    tasks: Tasks,
    begun: Moment,
}

impl Rig {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let receiver = Arc::new(Receiver {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
        });
        let tasks = Tasks::new();
        let tracer = Tracer::exporting(Sampler::default(), receiver.clone(), TIMEOUT, &tasks);
        Self {
            receiver,
            tracer,
            tasks,
            begun: Moment::now(),
        }
    }

    fn spans(&self, count: usize) {
        for _ in 0..count {
            self.tracer
                .start("span", SpanKind::Internal, None)
                .end(SpanStatus::Unset);
        }
    }

    /// Until the receiver was asked so often.
    async fn asked(&self, times: usize) {
        while self.receiver.asked.lock().unwrap().len() < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// When the receiver was asked, in seconds from the beginning, and for how many spans.
    fn log(&self) -> Vec<(f64, usize)> {
        let asked = self.receiver.asked.lock().unwrap();
        asked
            .iter()
            .map(|(at, spans)| ((*at - self.begun).as_secs_f64(), *spans))
            .collect()
    }

    fn counts(&self) -> (u64, u64) {
        let counts = self.tracer.counts();
        (counts.exported(), counts.dropped())
    }
}

fn temporary(retry_after: Option<u64>) -> Answer {
    Answer::Is(Err(ExportError::Temporary {
        reason: "busy".to_owned(),
        retry_after: retry_after.map(Duration::from_secs),
    }))
}

fn final_error() -> Answer {
    Answer::Is(Err(ExportError::Final {
        reason: "no".to_owned(),
    }))
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_when_it_is_full_or_an_interval_is_over() {
    let rig = Rig::new([]);
    tokio::task::yield_now().await;
    rig.spans(MAX_BATCH + 3);
    rig.asked(1).await;
    assert_eq!(rig.log()[0].1, MAX_BATCH);
    assert!(rig.log()[0].0 < 0.1, "a full batch waited: {:?}", rig.log());
    rig.asked(2).await;
    let (at, spans) = rig.log()[1];
    assert_eq!(spans, 3);
    assert!((at - INTERVAL.as_secs_f64()).abs() < 0.1, "{at}");
    assert!(rig.tracer.close(TIMEOUT).await);
    assert_eq!(rig.counts(), (MAX_BATCH as u64 + 3, 0));
    assert_eq!(rig.log().len(), 2, "nothing is sent when there is nothing");
}

#[tokio::test(start_paused = true)]
async fn a_busy_receiver_is_asked_again_later_and_later() {
    let rig = Rig::new((0..3).map(|_| temporary(None)));
    rig.spans(2);
    rig.asked(4).await;
    let log = rig.log();
    assert!(log.iter().all(|(_, spans)| *spans == 2), "{log:?}");
    for (pair, whole) in log.windows(2).zip([1.0, 2.0, 4.0]) {
        let waited = pair[1].0 - pair[0].0;
        assert!((whole / 2.0..=whole + 0.01).contains(&waited), "{log:?}");
    }
    assert!(rig.tracer.close(TIMEOUT).await);
    assert_eq!(rig.counts(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_receiver_says_when_to_ask_again_within_a_bound() {
    let rig = Rig::new([temporary(Some(7)), temporary(Some(0)), temporary(Some(1_000_000))]);
    rig.spans(1);
    rig.asked(4).await;
    let waits: Vec<_> = rig
        .log()
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0).round())
        .collect();
    assert_eq!(waits, [7.0, 0.0, MAX_WAIT.as_secs_f64()]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_never_taken_is_dropped_and_the_next_one_goes() {
    let rig = Rig::new((0..MAX_ATTEMPTS).map(|_| temporary(Some(1))));
    rig.spans(2);
    rig.asked(MAX_ATTEMPTS as usize).await;
    rig.spans(3);
    rig.asked(MAX_ATTEMPTS as usize + 1).await;
    assert!(rig.tracer.close(TIMEOUT).await);
    assert_eq!(rig.counts(), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_not_repeated() {
    let rig = Rig::new([final_error()]);
    rig.spans(2);
    rig.asked(1).await;
    rig.spans(1);
    rig.asked(2).await;
    assert!(rig.tracer.close(TIMEOUT).await);
    assert_eq!((rig.counts(), rig.log().len()), ((1, 2), 2));
}

#[tokio::test(start_paused = true)]
async fn spans_that_a_receiver_refuses_of_a_batch_are_dropped() {
    let rig = Rig::new([Answer::Is(Ok(Accepted {
        rejected: 2,
        message: "too old".to_owned(),
    }))]);
    rig.spans(5);
    assert!(rig.tracer.close(TIMEOUT).await);
    assert_eq!((rig.counts(), rig.log().len()), ((3, 2), 1));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_ends_and_is_repeated() {
    let rig = Rig::new([Answer::Never]);
    rig.spans(1);
    rig.asked(2).await;
    let log = rig.log();
    let waited = log[1].0 - log[0].0;
    assert!((10.5..=11.1).contains(&waited), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn while_the_receiver_fails_the_queue_fills_up_and_no_further() {
    let rig = Rig::new([temporary(Some(20))]);
    rig.spans(1);
    rig.asked(1).await;
    rig.spans(MAX_WAITING + 9);
    assert_eq!(rig.counts(), (0, 9));
    rig.asked(2).await;
    assert!(rig.tracer.close(TIMEOUT).await);
    assert_eq!(rig.counts(), (1 + MAX_WAITING as u64, 9));
    // A wake-up that came during the wait is not the end of it.
    assert!(rig.log()[1].0 - rig.log()[0].0 >= 20.0);
}

#[tokio::test(start_paused = true)]
async fn closing_sends_what_waits_at_once() {
    let rig = Rig::new([]);
    rig.spans(MAX_BATCH * 2 + 1);
    let before = Moment::now();
    assert!(rig.tracer.close(TIMEOUT).await);
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(rig.counts(), (MAX_BATCH as u64 * 2 + 1, 0));
    rig.spans(1);
    assert_eq!(rig.counts().1, 1, "a span after the end is dropped");
    assert!(rig.tracer.close(TIMEOUT).await, "closing twice is no error");
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_another_attempt() {
    let rig = Rig::new([temporary(Some(25)), temporary(None)]);
    rig.spans(2);
    rig.asked(1).await;
    rig.spans(3);
    let before = Moment::now();
    assert!(rig.tracer.close(TIMEOUT).await);
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!((rig.counts(), rig.log().len()), ((0, 5), 2));
}

#[tokio::test(start_paused = true)]
async fn closing_has_an_end_even_if_the_receiver_has_none() {
    let rig = Rig::new([Answer::Never]);
    rig.spans(1);
    let before = Moment::now();
    assert!(!rig.tracer.close(Duration::from_secs(5)).await);
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    let outcome = rig.tasks.drained(Duration::ZERO).await;
    assert!(outcome.stuck.is_empty());
    assert_eq!(rig.counts(), (0, 1), "what was being sent is dropped");
}

#[tokio::test(start_paused = true)]
async fn the_log_is_told_of_a_failure_once_and_of_its_end() {
    let mut outage = Outage::default();
    let now = Moment::now();
    assert_eq!(outage.ends(), None);
    assert!(outage.begins(now));
    assert!(!outage.begins(now + BETWEEN_LINES * 2), "it is told already");
    outage.lost += 7;
    assert_eq!(outage.ends(), Some(7));
    assert!(!outage.begins(now + BETWEEN_LINES / 2), "it is too early");
    assert_eq!(outage.ends(), None);
    assert!(outage.begins(now + BETWEEN_LINES));
    assert_eq!(outage.ends(), Some(0));
}

#[test]
fn the_wall_clock_follows_from_the_other_one() {
    let clock = Clock::read();
    let second = Duration::from_secs(1);
    let unix = u64::try_from(clock.unix.as_nanos()).unwrap();
    assert_eq!(clock.unix_nanos(clock.monotonic), unix);
    assert_eq!(clock.unix_nanos(clock.monotonic + second), unix + 1_000_000_000);
    let early = Clock {
        monotonic: clock.monotonic + second,
        unix: clock.unix + second,
    };
    assert_eq!(early.unix_nanos(clock.monotonic), unix);
}

#[test]
fn waits_grow_and_differ() {
    for (attempt, whole) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        let waits: Vec<_> = (0..200).map(|_| wait_before(attempt)).collect();
        let whole = Duration::from_secs(whole);
        assert!(waits.iter().all(|wait| (whole / 2..=whole).contains(wait)));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
