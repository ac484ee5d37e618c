//! What a crash leaves: the files as they are at some moment, copied and opened again.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::TransactionBehavior;

use super::super::{SqliteJournal, publish};
use super::{entry, numbers, published, refusal};
use crate::service::journal::Journal as _;

fn log(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

/// Copies the file and its log, as a crash at this moment would leave them.
fn copied(path: &Path, to: &Path) -> PathBuf {
    let copy = to.join("journal.db");
    fs::copy(path, &copy).unwrap();
    fs::copy(log(path), log(&copy)).unwrap();
    copy
}

/// The generation that is published, which all tables have to agree on: generation `n` came with entry `n` and revision `n`.
fn generation(path: &Path) -> u64 {
    let journal = SqliteJournal::open(path).unwrap();
    let published = journal.published().unwrap();
    let generation = published.as_ref().map_or(0, |published| published.generation);
    let entries = numbers(&journal.entries(None, None, 100).unwrap());
    assert_eq!(entries, (1..=generation).rev().collect::<Vec<_>>());
    let past = journal.past(None).unwrap();
    assert_eq!(past.len() as u64, generation);
    if let Some(published) = published {
        assert_eq!(
            published.services.values().next(),
            past.first().map(|past| &past.recorded)
        );
    }
    generation
}

#[test]
fn a_crash_before_the_commit_leaves_the_old_state_and_one_after_it_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    journal
        .publish(&published(1, &[("a", "a1")], &[]), &entry(1, &["a"]))
        .unwrap();
    {
        let mut connection = journal.connection.lock();
        // What is not committed yet goes to the log as soon as possible.
        connection
            .execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1;")
            .unwrap();
        let length = fs::metadata(log(&path)).unwrap().len();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        let mut large = entry(2, &["a"]);
        large.cause = Some("x".repeat(16_000));
        publish(&transaction, &published(2, &[("a", "a2")], &[]), &large).unwrap();
        assert!(
            fs::metadata(log(&path)).unwrap().len() > length,
            "some of it is in the log"
        );
        let before = tempfile::tempdir().unwrap();
        assert_eq!(generation(&copied(&path, before.path())), 1);
        transaction.commit().unwrap();
    }
    let after = tempfile::tempdir().unwrap();
    assert_eq!(generation(&copied(&path, after.path())), 2);
}

#[test]
fn what_fails_in_the_middle_leaves_nothing() {
    let journal = SqliteJournal::open_in_memory().unwrap();
    let first = published(1, &[("a", "a1")], &[]);
    journal.publish(&first, &entry(1, &["a"])).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON revision BEGIN SELECT raise(ABORT, 'no'); END";
    journal.connection.lock().execute_batch(refuse).unwrap();
    let second = published(2, &[("a", "a2")], &[]);
    journal.publish(&second, &entry(2, &["a"])).unwrap_err();
    assert_eq!(journal.published().unwrap(), Some(first));
    assert_eq!(numbers(&journal.entries(None, None, 9).unwrap()), [1]);
    journal
        .connection
        .lock()
        .execute_batch("DROP TRIGGER refuse")
        .unwrap();
    journal.publish(&second, &entry(2, &["a"])).unwrap();
    assert_eq!(journal.published().unwrap(), Some(second));
}

#[test]
fn a_log_that_is_cut_anywhere_gives_a_state_that_was_published_as_a_whole() {
    const GENERATIONS: u64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    for number in 1..=GENERATIONS {
        let state = published(number, &[("a", &format!("a{number}"))], &[]);
        journal.publish(&state, &entry(number, &["a"])).unwrap();
    }
    let crashed = tempfile::tempdir().unwrap();
    let whole = copied(&path, crashed.path());
    let bytes = fs::read(log(&whole)).unwrap();
    let database = fs::read(&whole).unwrap();

    let mut seen = Vec::new();
    let mut lengths: Vec<usize> = (0..bytes.len()).step_by(1_000).collect();
    lengths.push(bytes.len());
    for length in lengths {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        fs::write(&path, &database).unwrap();
        fs::write(log(&path), &bytes[..length]).unwrap();
        seen.push(generation(&path));
    }
    assert!(seen.is_sorted(), "{seen:?}");
    seen.dedup();
    assert_eq!(seen, (0..=GENERATIONS).collect::<Vec<_>>());
}

#[test]
fn a_damaged_file_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    {
        let journal = SqliteJournal::open(&path).unwrap();
        for number in 1..=40 {
            let mut entry = entry(number, &["a"]);
            entry.cause = Some("x".repeat(2_000));
            let state = published(number, &[("a", &format!("a{number}"))], &[]);
            journal.publish(&state, &entry).unwrap();
        }
    }
    assert!(!log(&path).exists(), "the log is folded in at the end");
    let good = fs::read(&path).unwrap();
    let page = 4096;
    let mut overwritten = good.clone();
    overwritten[page..2 * page].fill(0x55);
    for (what, bytes) in [
        (
            "garbage",
            &b"this is no database, and never was one".repeat(100)[..],
        ),
        ("cut within the head", &good[..60]),
        ("cut within a page", &good[..good.len() / 2 + 100]),
        ("cut between pages", &good[..good.len() / page / 2 * page]),
        ("overwritten", &overwritten[..]),
    ] {
        fs::write(&path, bytes).unwrap();
        let shown = refusal(&path);
        assert!(
            shown.contains("cannot be understood: move it aside"),
            "{what}: {shown}"
        );
        let _ = fs::remove_file(log(&path));
    }
    fs::write(&path, &good).unwrap();
    let journal = SqliteJournal::open(&path).unwrap();
    assert_eq!(
        journal.published().unwrap().map(|published| published.generation),
        Some(40)
    );
}
