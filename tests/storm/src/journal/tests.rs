//! What is written to a journal is what is read from it, and what cannot be a record is refused.

use super::*;
use crate::record::{Ending, Exchange, Outcome, Span, Swap, Track, Way};

fn all() -> Vec<Record> {
    let endings = [
        Ending::Whole {
            revision: 7,
            also: u32::MAX,
        },
        Ending::Status(503),
        Ending::Broken,
        Ending::Lost,
    ];
    let mut records = Vec::new();
    for (number, ending) in endings.into_iter().enumerate() {
        for (way, track) in Way::ALL.into_iter().zip(Track::ALL.into_iter().cycle()) {
            records.push(Record::Exchange(Exchange {
                request: u32::try_from(number).unwrap(),
                way,
                track,
                scheduled: 1,
                begin: u64::MAX >> 1,
                head: (u64::MAX >> 1) + 4_000,
                end: (u64::MAX >> 1) + 10_000_000_000,
                ending,
            }));
        }
    }
    for outcome in [
        Outcome::Published,
        Outcome::Refused,
        Outcome::RefusedOtherwise,
        Outcome::Unknown,
    ] {
        records.push(Record::Swap(Swap {
            call: 3,
            track: Track::Route,
            revision: 9,
            bad: outcome == Outcome::Refused,
            begin: 5,
            end: 6,
            outcome,
            prepare: 1,
            publish: 2,
            sync: u32::MAX,
        }));
    }
    records.push(Record::Phase(Span {
        phase: 2,
        begin: 3,
        end: 4,
    }));
    records.push(Record::Sent(24));
    records
}

#[test]
fn what_was_written_is_read_in_memory_and_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for journal in [Journal::in_memory(), Journal::in_file(&path).unwrap()] {
        for record in all() {
            journal.write(record);
        }
        let read: Vec<_> = journal.records().unwrap().map(Result::unwrap).collect();
        assert_eq!(read, all());
    }
    let read: Vec<_> = open(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, all());
}

#[test]
fn later_times_are_rounded_up() {
    let journal = Journal::in_memory();
    let exchange = Exchange {
        request: 0,
        way: Way::Close,
        track: Track::P2,
        scheduled: 10,
        begin: 10,
        head: 11,
        end: 1_011,
        ending: Ending::Lost,
    };
    journal.write(Record::Exchange(exchange));
    let read = journal.records().unwrap().next().unwrap().unwrap();
    let expected = Exchange {
        head: 1_010,
        end: 2_010,
        ..exchange
    };
    assert_eq!(read, Record::Exchange(expected));
}

#[test]
fn half_a_record_and_other_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    std::fs::write(&path, b"something else").unwrap();
    assert!(open(&path).is_err());
    std::fs::write(&path, b"swstorm1half").unwrap();
    assert!(open(&path).unwrap().next().unwrap().is_err());
    let mut unknown = b"swstorm1".to_vec();
    unknown.extend([9; 40]);
    std::fs::write(&path, unknown).unwrap();
    assert!(open(&path).unwrap().next().unwrap().is_err());
}
