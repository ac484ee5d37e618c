//! The journal: what is written is read, in order and within bounds.

mod crash;
mod model;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fs, thread};

use super::{MAX_BY_BYTES, MAX_CAUSE_BYTES, SqliteJournal, file, record};
use crate::model::{Digest, RevisionId, ServiceName, Sticky, Weight};
use crate::service::journal::{
    Action, Applied, AppliedService, Change, Drained, Entry, Journal, JournalError, Origin, Outcome, Past,
    Published, Recorded, RecordedCanary,
};

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn service(name: &str) -> ServiceName {
    ServiceName::parse(name).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456) + Duration::from_secs(seconds)
}

/// The revision of that name, the same at each call.
fn recorded(name: &str) -> Recorded {
    Recorded {
        revision: RevisionId::new(digest(name)),
        component: digest(&format!("component of {name}")),
        source: digest(&format!("source of {name}")),
        files: None,
        manifest: digest("manifest"),
        origin: Origin::Deploy,
    }
}

fn recorded_services(services: &[(&str, &str)]) -> BTreeMap<ServiceName, Recorded> {
    let services = services.iter();
    services
        .map(|(name, revision)| (service(name), recorded(revision)))
        .collect()
}

fn published(generation: u64, services: &[(&str, &str)], candidates: &[(&str, &str)]) -> Published {
    let canary = RecordedCanary {
        rollout: generation,
        weight: Weight::new(1_000).unwrap(),
        sticky: Sticky::Client,
        services: recorded_services(candidates),
    };
    Published {
        generation,
        manifest: digest("manifest"),
        services: recorded_services(services),
        canaries: if candidates.is_empty() {
            vec![]
        } else {
            vec![canary]
        },
        applied: Applied {
            manifest: digest("manifest"),
            services: BTreeMap::new(),
        },
    }
}

fn entry(seconds: u64, services: &[&str]) -> Entry {
    let changes = services.iter().map(|name| Change {
        service: service(name),
        from: None,
        to: Some(RevisionId::new(digest("new"))),
        component: None,
    });
    Entry {
        number: 0,
        at: at(seconds),
        by: "somebody".to_owned(),
        action: Action::Deploy,
        changes: changes.collect(),
        outcome: Outcome::Published,
        cause: None,
        generation: Some(seconds),
        prepare: Duration::from_micros(1_234),
        drain: None,
    }
}

fn numbers(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.number).collect()
}

fn revisions(past: &[Past]) -> Vec<(&str, RevisionId)> {
    past.iter()
        .map(|past| (past.service.as_str(), past.recorded.revision))
        .collect()
}

fn named<'a>(expected: &[(&'a str, &str)]) -> Vec<(&'a str, RevisionId)> {
    expected
        .iter()
        .map(|(service, name)| (*service, RevisionId::new(digest(name))))
        .collect()
}

/// The message with its causes.
fn shown(error: &JournalError) -> String {
    let mut shown = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        shown += &format!(": {error}");
        cause = error.source();
    }
    shown
}

#[test]
fn a_new_journal_is_empty() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    assert_eq!(journal.published().unwrap(), None);
    assert_eq!(journal.entries(None, None, 10).unwrap(), []);
    assert_eq!(journal.past(None).unwrap(), []);
}

#[test]
fn what_is_published_is_read_again_as_it_was() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    let origins = [Origin::Manifest, Origin::Deploy, Origin::Rollback];
    let stickies = [
        Sticky::Client,
        Sticky::Header(http::HeaderName::from_static("x-user")),
        Sticky::Cookie("Session".to_owned()),
    ];
    let mut expected = published(u64::MAX, &[], &[]);
    for (number, (origin, sticky)) in origins.into_iter().zip(stickies).enumerate() {
        let with_files = Recorded {
            files: (number % 2 == 0).then(|| digest("files")),
            origin,
            ..recorded(&format!("revision {number}"))
        };
        let letter = char::from(b'a' + u8::try_from(number).unwrap());
        let current = service(&format!("current-{letter}"));
        expected.applied.services.insert(
            current.clone(),
            AppliedService {
                component: with_files.component,
                files: with_files.files,
            },
        );
        expected.services.insert(current, with_files.clone());
        expected.canaries.push(RecordedCanary {
            rollout: number as u64,
            weight: Weight::new(1 + 4_999 * u16::try_from(number).unwrap()).unwrap(),
            sticky,
            services: BTreeMap::from([(service(&format!("candidate-{letter}")), with_files)]),
        });
    }
    expected.applied.manifest = digest("another manifest");
    journal.publish(&expected, &entry(1, &[])).unwrap();
    assert_eq!(journal.published().unwrap(), Some(expected.clone()));

    let past = journal.past(None).unwrap();
    assert_eq!(past.len(), 6);
    for past in past {
        let mut of_now = expected
            .canaries
            .iter()
            .map(|canary| &canary.services)
            .chain([&expected.services])
            .filter_map(|services| services.get(&past.service));
        assert_eq!(of_now.next(), Some(&past.recorded));
        assert_eq!(past.published, at(1));
    }
}

#[test]
fn entries_are_read_again_as_they_were() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    let actions = [
        Action::Start,
        Action::Deploy,
        Action::Canary,
        Action::Promote,
        Action::Abort,
        Action::Rollback,
        Action::Apply,
    ];
    let outcomes = [
        Outcome::Published,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::RolledBack,
    ];
    let mut expected = Vec::new();
    for (number, action) in actions.into_iter().enumerate() {
        let is_even = number % 2 == 0;
        let text = |text: &str| is_even.then(|| text.to_owned());
        let revision = |name: &str| is_even.then(|| RevisionId::new(digest(name)));
        let mut entry = Entry {
            by: "maria \"the\" first\n\u{1b}[31m, Zoë".to_owned(),
            action,
            outcome: outcomes[number % outcomes.len()],
            cause: text("it did worse"),
            generation: is_even.then_some(u64::MAX),
            drain: is_even.then_some(Drained {
                publish: Duration::from_micros(7),
                took: Duration::from_secs(30),
                interrupted: u64::MAX,
            }),
            changes: vec![
                Change {
                    service: service("a"),
                    from: revision("old"),
                    to: revision("new"),
                    component: is_even.then(|| digest("component")),
                },
                Change {
                    service: service("b"),
                    from: None,
                    to: None,
                    component: None,
                },
            ],
            ..entry(number as u64, &[])
        };
        entry.number = journal.note(&entry).unwrap();
        expected.insert(0, entry);
    }
    assert_eq!(journal.entries(None, None, 100).unwrap(), expected);
    assert_eq!(numbers(&expected), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(journal.published().unwrap(), None, "a note publishes nothing");
}

#[test]
fn times_are_kept_to_the_microsecond() {
    let epoch = SystemTime::UNIX_EPOCH;
    for (time, micros) in [
        (epoch, 0),
        (epoch + Duration::from_nanos(1_999), 1),
        (epoch - Duration::from_nanos(1), -1),
        (epoch - Duration::from_secs(1), -1_000_000),
        (at(0), 1_700_000_000_123_456),
    ] {
        assert_eq!(record::to_micros(time), micros);
        assert_eq!(
            record::to_micros(record::from_micros(micros).unwrap()),
            micros,
            "it is stable"
        );
    }
    let journal = SqliteJournal::open_in_memory().unwrap();
    let before_the_epoch = Entry {
        at: epoch - Duration::from_secs(5),
        prepare: Duration::MAX,
        ..entry(0, &[])
    };
    journal.note(&before_the_epoch).unwrap();
    let read = journal.entries(None, None, 1).unwrap().remove(0);
    assert_eq!(read.at, before_the_epoch.at);
    assert_eq!(read.prepare, Duration::from_micros(u64::MAX));
}

#[test]
fn long_texts_are_cut_between_characters() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    for (by, cause) in [("x", "x"), ("é", "日"), ("🦀", "é")] {
        let long = Entry {
            by: by.repeat(MAX_BY_BYTES + 1),
            cause: Some(cause.repeat(MAX_CAUSE_BYTES + 1)),
            ..entry(1, &[])
        };
        journal.note(&long).unwrap();
        let read = journal.entries(None, None, 1).unwrap().remove(0);
        for (text, of, max) in [
            (&read.by, by, MAX_BY_BYTES),
            (read.cause.as_ref().unwrap(), cause, MAX_CAUSE_BYTES),
        ] {
            assert!(
                text.len() <= max && text.len() > max - of.len() - 3,
                "{} of {max}",
                text.len()
            );
            let kept = text.strip_suffix('…').unwrap();
            assert!(kept.split(of).all(str::is_empty), "whole characters only");
        }
    }
    let just = Entry {
        by: "x".repeat(MAX_BY_BYTES),
        cause: Some("x".repeat(MAX_CAUSE_BYTES)),
        ..entry(1, &[])
    };
    journal.note(&just).unwrap();
    let read = journal.entries(None, None, 1).unwrap().remove(0);
    assert_eq!((read.by, read.cause), (just.by, just.cause));
}

#[test]
fn entries_come_in_pages_the_newest_first() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    for number in 1..=9 {
        let of: &[&str] = match number % 3 {
            0 => &["a", "b"],
            1 => &["a"],
            _ => &[],
        };
        assert_eq!(journal.note(&entry(number, of)).unwrap(), number);
    }
    let read = |service: Option<&ServiceName>, before, limit| {
        numbers(&journal.entries(service, before, limit).unwrap())
    };
    assert_eq!(read(None, None, 4), [9, 8, 7, 6]);
    assert_eq!(read(None, Some(6), 4), [5, 4, 3, 2]);
    assert_eq!(read(None, Some(2), 4), [1]);
    assert!(read(None, Some(1), 4).is_empty());
    assert!(read(None, None, 0).is_empty());
    assert_eq!(
        read(None, Some(u64::MAX), usize::MAX),
        [9, 8, 7, 6, 5, 4, 3, 2, 1]
    );
    let (a, b, c) = (service("a"), service("b"), service("c"));
    assert_eq!(read(Some(&a), None, 3), [9, 7, 6]);
    assert_eq!(read(Some(&a), Some(6), 3), [4, 3, 1]);
    assert_eq!(read(Some(&b), None, 9), [9, 6, 3]);
    assert!(read(Some(&c), None, 9).is_empty());
}

#[test]
fn the_end_of_a_drain_is_added_to_its_entry() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    let first = journal.note(&entry(1, &["a"])).unwrap();
    let second = journal.note(&entry(2, &["a"])).unwrap();
    let drained = Drained {
        publish: Duration::from_micros(900),
        took: Duration::from_millis(1_500),
        interrupted: 3,
    };
    journal.drained(first, drained).unwrap();
    journal.drained(second + 1, drained).unwrap();
    let entries = journal.entries(None, None, 9).unwrap();
    assert_eq!(
        entries.iter().map(|entry| entry.drain).collect::<Vec<_>>(),
        [None, Some(drained)]
    );
}

#[test]
fn past_revisions_come_the_last_published_first() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    let publish = |seconds, services: &[(&str, &str)], candidates: &[(&str, &str)]| {
        let published = published(seconds, services, candidates);
        journal.publish(&published, &entry(seconds, &[])).unwrap()
    };
    publish(1, &[("a", "a1"), ("b", "b1")], &[]);
    publish(2, &[("a", "a2"), ("b", "b1")], &[]);
    // A candidate, its promotion, and a rollback, under a clock that goes backwards.
    publish(8, &[("a", "a2"), ("b", "b1")], &[("a", "a3")]);
    publish(7, &[("a", "a3"), ("b", "b1")], &[]);
    publish(6, &[("a", "a1"), ("b", "b1")], &[]);

    let past = journal.past(None).unwrap();
    assert_eq!(
        revisions(&past),
        named(&[("a", "a1"), ("a", "a3"), ("a", "a2"), ("b", "b1")])
    );
    let times: Vec<_> = past.iter().map(|past| past.published).collect();
    assert_eq!(
        times,
        [at(6), at(7), at(2), at(1)],
        "what stays is not published anew"
    );
    let b = journal.past(Some(&service("b"))).unwrap();
    assert_eq!(revisions(&b), named(&[("b", "b1")]));
    assert_eq!(journal.past(Some(&service("c"))).unwrap(), []);
}

#[test]
fn a_past_revision_is_recorded_as_it_was_last() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    let first = published(1, &[("a", "a1")], &[]);
    journal.publish(&first, &entry(1, &[])).unwrap();
    let mut second = first.clone();
    let changed = second.services.get_mut(&service("a")).unwrap();
    changed.origin = Origin::Rollback;
    changed.manifest = digest("a later manifest");
    let changed = changed.clone();
    journal.publish(&second, &entry(2, &[])).unwrap();
    let past = journal.past(None).unwrap();
    assert_eq!(
        past,
        [Past {
            service: service("a"),
            recorded: changed,
            published: at(1)
        }]
    );
}

#[test]
fn what_is_pruned_is_never_of_now() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    for (number, revision) in ["a1", "a2", "a3", "a4", "a5"].iter().enumerate() {
        let published = published(1, &[("a", revision), ("b", "b1")], &[]);
        journal
            .publish(&published, &entry(number as u64, &["a"]))
            .unwrap();
    }
    // The oldest serves again as a candidate, beside the newest; `b` is gone.
    let of_now = published(2, &[("a", "a5")], &[("a", "a1")]);
    journal.publish(&of_now, &entry(9, &["a"])).unwrap();

    journal.prune(3, 4).unwrap();
    let all = journal.past(None).unwrap();
    assert_eq!(
        revisions(&all),
        named(&[("a", "a1"), ("a", "a5"), ("a", "a4"), ("b", "b1")])
    );
    assert_eq!(numbers(&journal.entries(None, None, 9).unwrap()), [6, 5, 4, 3]);

    journal.prune(0, 0).unwrap();
    let all = journal.past(None).unwrap();
    assert_eq!(revisions(&all), named(&[("a", "a1"), ("a", "a5")]));
    assert_eq!(journal.entries(None, None, 9).unwrap(), []);
    assert_eq!(journal.entries(Some(&service("a")), None, 9).unwrap(), []);
    assert_eq!(journal.published().unwrap(), Some(of_now));
    assert_eq!(
        journal.note(&entry(10, &[])).unwrap(),
        7,
        "no number is given twice"
    );
    journal.prune(usize::MAX, usize::MAX).unwrap();
    assert_eq!(journal.past(None).unwrap().len(), 2);
}

#[test]
fn the_file_is_for_its_owner_alone_and_stays_in_one_piece() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state").join("journal.db");
    let first = published(1, &[("a", "a1")], &[]);
    {
        let journal = SqliteJournal::open(&path).unwrap();
        journal.publish(&first, &entry(1, &[])).unwrap();
        for file in fs::read_dir(path.parent().unwrap()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", file.file_name());
        }
        let mode = fs::metadata(path.parent().unwrap()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    let journal = SqliteJournal::open(&path).unwrap();
    assert_eq!(journal.published().unwrap(), Some(first));
    let connection = journal.connection.lock();
    let synchronous: i64 = connection
        .pragma_query_value(None, "synchronous", |row| row.get(0))
        .unwrap();
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!((synchronous, mode.as_str()), (2, "wal"));
}

#[test]
fn threads_share_a_journal_and_a_second_host_waits_for_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let (first, second) = (
        SqliteJournal::open(&path).unwrap(),
        SqliteJournal::open(&path).unwrap(),
    );
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let journal = if thread % 2 == 0 { &first } else { &second };
            scope.spawn(move || {
                for round in 0..10 {
                    let generation = thread * 100 + round;
                    let state = published(generation, &[("a", &format!("a{generation}"))], &[]);
                    let number = journal.publish(&state, &entry(generation, &["a"])).unwrap();
                    let drained = Drained {
                        publish: Duration::ZERO,
                        took: Duration::ZERO,
                        interrupted: generation,
                    };
                    journal.drained(number, drained).unwrap();
                    assert!(!journal.entries(None, None, 5).unwrap().is_empty());
                }
            });
        }
    });
    let entries = first.entries(None, None, 100).unwrap();
    assert_eq!(numbers(&entries), (1..=40).rev().collect::<Vec<_>>());
    for entry in &entries {
        assert_eq!(
            entry.drain.map(|drained| drained.interrupted),
            entry.generation,
            "{entry:?}"
        );
    }
    let last = entries.first().and_then(|entry| entry.generation);
    let published = second.published().unwrap().map(|published| published.generation);
    assert_eq!(published, last);
    assert_eq!(second.past(None).unwrap().len(), 40);
}

/// Opens what cannot be opened.
fn refusal(path: &Path) -> String {
    let error = SqliteJournal::open(path).unwrap_err();
    let shown = shown(&error);
    assert!(
        shown.starts_with(&format!("the journal {}", path.display())),
        "{shown}"
    );
    shown
}

#[test]
fn a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    {
        let journal = SqliteJournal::open(&path).unwrap();
        let next = file::VERSION + 1;
        journal
            .connection
            .lock()
            .pragma_update(None, "user_version", next)
            .unwrap();
    }
    let shown = refusal(&path);
    assert!(shown.contains("was written by a newer host"), "{shown}");
    assert!(
        shown.ends_with("it is of version 2, and this host knows versions up to 1"),
        "{shown}"
    );
}

#[test]
fn another_programs_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);")
        .unwrap();
    let shown = refusal(&path);
    assert!(
        shown.contains("move it aside") && shown.ends_with("it is a database of another program"),
        "{shown}"
    );
}

#[test]
fn a_path_that_cannot_be_made_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let above = dir.path().join("a-file");
    fs::write(&above, b"").unwrap();
    let shown = refusal(&above.join("journal.db"));
    assert!(
        shown.contains("cannot be opened: its file cannot be made"),
        "{shown}"
    );
}

#[test]
fn a_record_that_cannot_be_understood_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    let state = published(1, &[("a", "a1")], &[("a", "a2")]);
    journal.publish(&state, &entry(1, &["a"])).unwrap();
    let good: String = journal
        .connection
        .lock()
        .query_row("SELECT body FROM state", [], |row| row.get(0))
        .unwrap();
    let hex = digest("manifest").to_string();
    for (from, to) in [
        (good.as_str(), ""),
        ("\"generation\":1", "\"generation\":-1"),
        ("\"generation\":1", "\"generation\":1,\"later\":true"),
        ("\"a\":", "\"not a name\":"),
        (hex.as_str(), "123"),
        ("\"weight\":1000", "\"weight\":10000"),
        ("\"client\"", "\"moon\""),
        ("\"deploy\"", "\"magic\""),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        journal
            .connection
            .lock()
            .execute("UPDATE state SET body = ?1", [&bad])
            .unwrap();
        let shown = shown(&journal.published().unwrap_err());
        assert!(
            shown.starts_with(&format!(
                "the journal {} cannot be understood: move it aside",
                path.display()
            )),
            "{shown}"
        );
        assert!(shown.contains("what is published is no record"), "{shown}");
    }
    let break_all = "UPDATE entry SET body = '{}'; UPDATE revision SET body = '{}'";
    journal.connection.lock().execute_batch(break_all).unwrap();
    assert!(shown(&journal.entries(None, None, 1).unwrap_err()).contains("an entry is no record"));
    assert!(shown(&journal.past(None).unwrap_err()).contains("a revision is no record"));
    journal
        .connection
        .lock()
        .execute_batch("DROP TABLE state")
        .unwrap();
    assert!(shown(&journal.published().unwrap_err()).contains("cannot be understood"));
}
