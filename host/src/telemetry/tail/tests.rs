//! Bounds, order and followers, and the way from events to lines.

use std::collections::BTreeSet;
use std::sync::Barrier;

use tokio::sync::broadcast::error::TryRecvError;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::telemetry::format::{Format, Style};
use crate::telemetry::layer::LogLayer;
use crate::telemetry::{FailureKind, GuestFailure, LogOptions, Origin, guest_failure, guest_line, targets};

fn draft(service: &str) -> Draft<'_> {
    Draft {
        service,
        revision: "0123456789ab",
        stream: TailStream::Stdout,
        request_id: None,
    }
}

fn texts(lines: &[TailLine]) -> Vec<&str> {
    lines.iter().map(|line| &*line.text).collect()
}

#[test]
fn the_last_lines_of_each_service_are_kept_in_order() {
    let tail = Tail::new();
    for index in 0..MAX_LINES + 7 {
        tail.put(draft("a"), [index.to_string().as_str()]);
    }
    tail.put(draft("b"), ["one", "two"]);
    let lines = tail.lines("a");
    let expected: Vec<String> = (7..MAX_LINES + 7).map(|index| index.to_string()).collect();
    assert_eq!(texts(&lines), expected);
    assert!(lines.is_sorted_by_key(|line| line.at));
    assert_eq!(texts(&tail.lines("b")), ["one", "two"]);
    assert_eq!(tail.lines("c"), []);
}

#[test]
fn bytes_are_bounded_for_a_service_and_for_a_line() {
    let tail = Tail::new();
    let long = "ü".repeat(MAX_LINE);
    for _ in 0..2 * MAX_BYTES / MAX_LINE {
        tail.put(draft("a"), [long.as_str()]);
    }
    let lines = tail.lines("a");
    assert_eq!(lines.len(), MAX_BYTES / MAX_LINE);
    for line in &lines {
        assert!(
            line.text.len() <= MAX_LINE && line.text.ends_with(CUT),
            "{}",
            line.text.len()
        );
    }
    let fitting = "x".repeat(MAX_LINE);
    tail.put(draft("a"), [fitting.as_str()]);
    assert_eq!(&*tail.lines("a").last().unwrap().text, fitting);
}

#[test]
fn of_too_many_services_the_one_that_was_silent_for_longest_is_forgotten() {
    let tail = Tail::new();
    let name = |index: usize| format!("s{index}");
    for index in 0..MAX_SERVICES {
        tail.put(draft(&name(index)), ["line"]);
    }
    let (_, mut follower) = tail.follow("s1");
    // `last` has the resolution of the system's clock; what is compared has to differ.
    tail.services.read()["s1"].state.lock().last = SystemTime::UNIX_EPOCH;
    tail.put(draft("s0"), ["again"]);
    tail.put(draft("new"), ["line"]);
    assert_eq!(tail.services.read().len(), MAX_SERVICES);
    assert_eq!(tail.lines("s0").len(), 2);
    assert_eq!(tail.lines("s1"), []);
    assert_eq!(tail.lines("new").len(), 1);
    assert_eq!(follower.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_follower_misses_nothing_and_gets_nothing_twice_while_others_write() {
    const WRITERS: usize = 4;
    const LINES: usize = 200;
    let tail = Tail::new();
    let start = Barrier::new(WRITERS + 1);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (tail, start) = (&tail, &start);
            scope.spawn(move || {
                start.wait();
                for index in 0..LINES {
                    tail.put(draft("a"), [format!("{writer} {index}").as_str()]);
                }
            });
        }
        start.wait();
        let mut followers: Vec<_> = (0..50).map(|_| tail.follow("a")).collect();
        for (before, after) in &mut followers {
            let mut seen: Vec<String> = before.iter().map(|line| line.text.to_string()).collect();
            while seen.len() < WRITERS * LINES {
                seen.push(after.blocking_recv().unwrap().text.to_string());
            }
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), WRITERS * LINES);
            for writer in 0..WRITERS {
                let prefix = format!("{writer} ");
                let own: Vec<&str> = seen
                    .iter()
                    .filter_map(|text| text.strip_prefix(&prefix))
                    .collect();
                let expected: Vec<String> = (0..LINES).map(|index| index.to_string()).collect();
                assert_eq!(own, expected);
            }
        }
    });
}

#[test]
fn a_follower_that_falls_behind_is_told_and_goes_on() {
    let tail = Tail::new();
    let (before, mut follower) = tail.follow("a");
    assert_eq!(before, []);
    for index in 0..FOLLOWED + 3 {
        tail.put(draft("a"), [index.to_string().as_str()]);
    }
    assert_eq!(follower.try_recv(), Err(TryRecvError::Lagged(3)));
    assert_eq!(&*follower.try_recv().unwrap().text, "3");
    drop(follower);
    tail.put(draft("a"), ["nobody follows"]);
    assert!(tail.services.read()["a"].state.lock().followers.is_none());
}

#[test]
fn lines_of_one_revision_share_its_name() {
    let tail = Tail::new();
    for revision in ["r1", "r2", "r1", "r3", "r4", "r5", "r6"] {
        tail.put(
            Draft {
                revision,
                ..draft("a")
            },
            ["line"],
        );
    }
    let lines = tail.lines("a");
    assert!(Arc::ptr_eq(&lines[0].revision, &lines[2].revision));
    let shown: Vec<&str> = lines.iter().map(|line| &*line.revision).collect();
    assert_eq!(shown, ["r1", "r2", "r1", "r3", "r4", "r5", "r6"]);
    assert_eq!(
        tail.services.read()["a"].state.lock().revisions.len(),
        SHARED_REVISIONS
    );
}

/// The lines of `shop` that `events` leave in the tail, and how many lines the log has of them.
fn kept(options: &LogOptions, events: impl FnOnce()) -> (Vec<TailLine>, usize) {
    // With a single subscriber, tests of other threads, which have none, would decide for all what is of interest.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let tail = Tail::new();
    let logged = Arc::new(Mutex::new(0));
    let count = Arc::clone(&logged);
    let layer = LogLayer::new(Format::Text(Style::Plain), move |_: &[u8]| *count.lock() += 1)
        .filtered(targets(options).unwrap(), tail.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
    let logged = *logged.lock();
    (tail.lines("shop"), logged)
}

fn origin(request_id: RequestId) -> Origin<'static> {
    Origin {
        service: "shop",
        revision: &"0123456789ab",
        request_id: Some(request_id),
    }
}

#[test]
fn guests_lines_failures_and_the_hosts_own_become_lines_of_their_service() {
    let id = RequestId::next();
    let (lines, _) = kept(&LogOptions::default(), || {
        guest_line(origin(id), Stream::Stdout, "out \u{1b}[2J");
        guest_line(origin(id), Stream::Stderr, "err");
        guest_failure(&GuestFailure {
            origin: origin(id),
            kind: FailureKind::Panic,
            message: "panicked at src/lib.rs:3:5: no",
            chain: Some("orders → shop"),
            backtrace: "0: one\n1: two",
        });
        tracing::info!(target: "midplane::host", service = "shop", kib = 3, note = "a b", "compiling");
        tracing::info!(target: "midplane::host", "about no service");
        tracing::info!(target: "hyper", service = "shop", "foreign");
        tracing::debug!(target: "midplane::host", service = "shop", "detail");
    });
    assert_eq!(
        texts(&lines),
        [
            "out \u{1b}[2J",
            "err",
            "panic: panicked at src/lib.rs:3:5: no chain=\"orders → shop\"",
            "    0: one",
            "    1: two",
            "compiling kib=3 note=\"a b\"",
        ]
    );
    let streams: Vec<&str> = lines.iter().map(|line| line.stream.as_str()).collect();
    assert_eq!(streams, ["stdout", "stderr", "host", "host", "host", "host"]);
    for line in &lines[..5] {
        assert_eq!((&*line.service, &*line.revision), ("shop", "0123456789ab"));
        assert_eq!(line.request_id, Some(id));
    }
    assert_eq!((&*lines[5].revision, lines[5].request_id), ("", None));
}

#[test]
fn a_service_named_by_a_span_is_one() {
    let (lines, _) = kept(&LogOptions::default(), || {
        let span = tracing::info_span!(target: "midplane", "rollout", service = "shop", revision = "r1");
        span.in_scope(|| tracing::info!(target: "midplane::host", "warming"));
    });
    assert_eq!(texts(&lines), ["warming"]);
    assert_eq!(&*lines[0].revision, "r1");
}

#[test]
fn the_filter_of_the_log_and_quiet_change_nothing() {
    for filter in [
        None,
        Some("off"),
        Some("midplane::gateway=debug"),
        Some("midplane::guest=off"),
    ] {
        let options = LogOptions {
            quiet: true,
            filter: filter.map(str::to_owned),
            ..LogOptions::default()
        };
        let (lines, logged) = kept(&options, || {
            guest_line(origin(RequestId::next()), Stream::Stdout, "guest");
            tracing::info!(target: "midplane::host", service = "shop", "host");
            tracing::info!(target: "midplane::access", service = "shop", "request");
        });
        assert_eq!(texts(&lines), ["guest", "host"], "{filter:?}");
        assert_eq!(logged, 0, "{filter:?}");
    }
}
