//! The judge of the storm of kills, on histories that were written by hand: it finds each kind of violation, and nothing else.

use std::fs;

use midplane_crash::judge::{Fault, Judge, Seen};
use midplane_crash::record::{Content, Effect, Follower, Record, Recorder};
use tempfile::TempDir;

const STORE: &str = "p2-a/sqlite";

fn content(id: u64) -> Content {
    Content::of(format!("value {id}").as_bytes())
}

fn sent(id: u64, effect: Effect) -> Record {
    Record::Sent {
        id,
        store: STORE.to_owned(),
        key: "key".to_owned(),
        counter: id,
        effect,
    }
}

/// Three writes that were acknowledged, the last of them of the value and the log, and two that were not.
fn history() -> Judge {
    let mut judge = Judge::default();
    for id in 1..=3 {
        judge.note(sent(id, Effect::Both(content(id))));
        judge.note(Record::Acknowledged(id));
    }
    judge.note(sent(4, Effect::Both(content(4))));
    judge.note(sent(5, Effect::Append(content(5))));
    judge
}

/// A value, and rows of the log.
fn seen(value: Option<u64>, rows: &[u64]) -> Seen {
    let values = value.map(|id| ("key".to_owned(), content(id)));
    let row = |id: &u64| (*id, ("key".to_owned(), *id, content(*id)));
    Seen {
        values: values.into_iter().collect(),
        rows: Some(rows.iter().map(row).collect()),
    }
}

fn faults(judge: &Judge, seen: &Seen) -> Vec<Fault> {
    let mut faults: Vec<_> = judge
        .check(STORE, seen)
        .into_iter()
        .map(|found| found.fault)
        .collect();
    faults.dedup();
    faults
}

#[test]
fn what_was_acknowledged_or_sent_after_it_is_right() {
    let judge = history();
    for right in [
        seen(Some(3), &[1, 2, 3]),
        seen(Some(4), &[1, 2, 3, 4]),
        seen(Some(3), &[1, 2, 3, 5]),
        seen(Some(4), &[1, 2, 3, 4, 5]),
    ] {
        assert_eq!(judge.check(STORE, &right), [], "{right:?}");
    }
}

#[test]
fn a_write_that_is_lost_is_found() {
    let judge = history();
    // An older value, no value, no row; and everything, as from a file that is empty.
    assert_eq!(faults(&judge, &seen(Some(2), &[1, 2, 3])), [Fault::Lost]);
    assert_eq!(faults(&judge, &seen(None, &[1, 2, 3])), [Fault::Lost]);
    assert_eq!(faults(&judge, &seen(Some(4), &[1, 3, 4])), [Fault::Lost]);
    assert_eq!(judge.check(STORE, &seen(None, &[])).len(), 4);
}

#[test]
fn a_write_that_nobody_sent_is_found() {
    let judge = history();
    assert_eq!(faults(&judge, &seen(Some(9), &[1, 2, 3])), [Fault::Unsent]);
    assert_eq!(faults(&judge, &seen(Some(3), &[1, 2, 3, 9])), [Fault::Unsent]);
    let mut other = seen(Some(3), &[1, 2, 3]);
    other.values.insert("another key".to_owned(), content(1));
    assert_eq!(faults(&judge, &other), [Fault::Unsent]);
    // A row that was sent, with other content.
    let mut other = seen(Some(3), &[1, 2, 3]);
    let rows = other.rows.get_or_insert_default();
    rows.insert(2, ("key".to_owned(), 2, content(3)));
    assert_eq!(faults(&judge, &other), [Fault::Unsent]);
}

#[test]
fn half_of_a_transaction_is_found() {
    let judge = history();
    assert_eq!(faults(&judge, &seen(Some(4), &[1, 2, 3])), [Fault::Torn]);
    assert_eq!(faults(&judge, &seen(Some(3), &[1, 2, 3, 4])), [Fault::Torn]);
}

#[test]
fn what_was_seen_stays_and_what_was_not_does_not_come_later() {
    let mut judge = history();
    // The fourth write was not acknowledged, but it is there.
    judge.settle(STORE, &seen(Some(4), &[1, 2, 3, 4]));
    assert_eq!(judge.check(STORE, &seen(Some(4), &[1, 2, 3, 4])), []);
    assert_eq!(faults(&judge, &seen(Some(3), &[1, 2, 3, 4])), [Fault::Lost]);
    assert_eq!(faults(&judge, &seen(Some(4), &[1, 2, 3])), [Fault::Lost]);
    assert_eq!(faults(&judge, &seen(Some(4), &[1, 2, 3, 4, 5])), [Fault::Unsent]);

    judge.note(Record::Pruned {
        store: STORE.to_owned(),
        below: 3,
    });
    assert_eq!(judge.check(STORE, &seen(Some(4), &[3, 4])), []);
    assert_eq!(faults(&judge, &seen(Some(4), &[2, 3, 4])), [Fault::Unsent]);

    judge.note(sent(6, Effect::Delete));
    judge.note(Record::Acknowledged(6));
    assert_eq!(judge.check(STORE, &seen(None, &[3, 4])), []);
    assert_eq!(faults(&judge, &seen(Some(4), &[3, 4])), [Fault::Lost]);
}

#[test]
fn the_record_reads_as_it_was_written_and_no_line_twice() {
    let folder = TempDir::new().expect("the system has a temporary folder");
    let path = folder.path().join("record");
    let recorder = Recorder::create(&path).expect("the folder is ours");
    let mut follower = Follower::new(&path);
    let all = [
        sent(1, Effect::Set(content(1))),
        sent(2, Effect::Append(content(2))),
        sent(3, Effect::Both(content(3))),
        sent(4, Effect::Delete),
        Record::Acknowledged(1),
        Record::Refused(2),
        Record::Pruned {
            store: STORE.to_owned(),
            below: 7,
        },
    ];
    for pair in all.chunks(2) {
        pair.iter().for_each(|record| recorder.write(record));
        recorder.flush().expect("the folder is ours");
        let mut read = Vec::new();
        follower
            .read(|record| read.push(record))
            .expect("the record is whole");
        assert_eq!(read, pair);
    }
    fs::write(&path, "sent 1\n").expect("the folder is ours");
    assert!(Follower::new(&path).read(|_| {}).is_err());
}
