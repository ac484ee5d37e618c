//! The directory of content: what is put is there, stays as long as it is pinned, and is never served damaged.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use super::{Content, ContentError, MAX_BYTES, PARTIAL};
use crate::model::Digest;

fn content() -> (tempfile::TempDir, Content) {
    let dir = tempfile::tempdir().unwrap();
    let content = Content::open(&dir.path().join("content")).unwrap();
    (dir, content)
}

fn names(content: &Content) -> BTreeSet<String> {
    fs::read_dir(&content.dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_put_is_there_for_its_owner_alone() {
    let (_dir, content) = content();
    for bytes in [&b""[..], b"a component", &[7; 100_000]] {
        let pin = content.put(bytes).unwrap();
        assert_eq!(pin.digest(), Digest::of(bytes));
        assert!(content.contains(&pin.digest()));
        assert_eq!(content.get(&pin.digest()).unwrap(), bytes);
        assert_eq!(mode(&content.path(&pin.digest())), 0o600);
    }
    assert_eq!(mode(&content.dir), 0o700);
    assert_eq!(names(&content).len(), 3, "no temporary file is left");
    let reopened = Content::open(&content.dir).unwrap();
    assert_eq!(reopened.get(&Digest::of(b"a component")).unwrap(), b"a component");
}

#[test]
fn what_is_not_there_is_missing() {
    let (_dir, content) = content();
    let digest = Digest::of(b"nowhere");
    assert!(!content.contains(&digest));
    let error = content.get(&digest).unwrap_err();
    assert!(error.is_missing());
    assert!(error.to_string().contains(&digest.to_string()), "{error}");
}

#[test]
fn what_is_there_is_not_written_again() {
    let (_dir, content) = content();
    let digest = content.put(b"once").unwrap().digest();
    let path = content.path(&digest);
    // Another inode would show that it was written.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    content.put(b"once").unwrap();
    assert_eq!(mode(&path), 0o400);
}

#[test]
fn a_damaged_item_is_an_error_with_its_name() {
    let (_dir, content) = content();
    let digest = content.put(b"a component").unwrap().digest();
    let path = content.path(&digest);
    for damaged in [&b"b component"[..], b"a comp", b""] {
        fs::write(&path, damaged).unwrap();
        let error = content.get(&digest).unwrap_err();
        assert!(matches!(error, ContentError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(!error.is_missing());
    }
    content.put(b"a component").unwrap();
    assert_eq!(
        content.get(&digest).unwrap(),
        b"a component",
        "one of another length is written anew"
    );
}

#[test]
fn what_is_too_large_is_neither_kept_nor_read() {
    let (_dir, content) = content();
    let digest = Digest::of(b"small");
    // A hole: it takes no space.
    fs::File::create(content.path(&digest))
        .unwrap()
        .set_len(MAX_BYTES + 1)
        .unwrap();
    let error = content.get(&digest).unwrap_err();
    assert!(
        matches!(error, ContentError::TooLarge { bytes, .. } if bytes == MAX_BYTES + 1),
        "{error:?}"
    );
    fs::remove_file(content.path(&digest)).unwrap();
    let too_many = vec![0; usize::try_from(MAX_BYTES).unwrap() + 1];
    let error = content.put(&too_many).unwrap_err();
    assert!(matches!(error, ContentError::TooLarge { .. }), "{error:?}");
    assert!(names(&content).is_empty());
}

#[test]
fn what_a_killed_host_was_writing_goes_at_the_start_and_nothing_else() {
    let (_dir, content) = content();
    let digest = content.put(b"whole").unwrap().digest();
    fs::write(content.dir.join(format!("{PARTIAL}{digest}-0")), b"who").unwrap();
    fs::write(content.dir.join("a-note"), b"of somebody").unwrap();
    let content = Content::open(&content.dir).unwrap();
    assert_eq!(
        names(&content),
        BTreeSet::from([digest.to_string(), "a-note".to_owned()])
    );
}

#[test]
fn a_directory_that_cannot_be_one_is_an_error_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("content");
    fs::write(&path, b"a file").unwrap();
    let error = Content::open(&path).unwrap_err();
    assert!(matches!(error, ContentError::Directory { .. }), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn a_write_that_fails_leaves_neither_a_file_nor_a_pin() {
    let (_dir, content) = content();
    let digest = Digest::of(b"bytes");
    // A directory that is not empty cannot be renamed over.
    fs::create_dir_all(content.path(&digest).join("inner")).unwrap();
    let error = content.put(b"bytes").unwrap_err();
    assert!(matches!(error, ContentError::Write { .. }), "{error:?}");
    assert_eq!(names(&content), BTreeSet::from([digest.to_string()]));
    assert!(
        content
            .begin_sweep()
            .spared
            .unless_pinned(&digest, || ())
            .is_some()
    );
    assert!(!content.contains(&digest));
}

#[test]
fn a_sweep_takes_what_is_neither_kept_nor_pinned() {
    let (_dir, content) = content();
    let kept = content.put(b"kept").unwrap().digest();
    let pinned = content.put(b"pinned").unwrap();
    content.put(b"gone").unwrap();
    fs::write(content.dir.join("a-note"), b"of somebody").unwrap();
    let upper = Digest::of(b"upper").to_string().to_uppercase();
    fs::write(content.dir.join(&upper), b"no item of ours").unwrap();

    let keep = BTreeSet::from([kept]);
    assert_eq!(content.sweep(&keep).unwrap(), 1);
    assert_eq!(
        names(&content),
        BTreeSet::from([
            kept.to_string(),
            pinned.digest().to_string(),
            "a-note".into(),
            upper
        ])
    );
    assert_eq!(content.sweep(&keep).unwrap(), 0);

    let again = pinned.clone();
    drop(pinned);
    assert_eq!(content.sweep(&keep).unwrap(), 0, "a clone is a pin");
    let other = content.pin(again.digest());
    drop(again);
    assert_eq!(content.sweep(&keep).unwrap(), 0, "so is a second one");
    drop(other);
    assert_eq!(content.sweep(&keep).unwrap(), 1);
    assert!(content.contains(&kept));
}

#[test]
fn a_rollout_that_commits_during_a_sweep_loses_nothing() {
    let (_dir, content) = content();
    let old = content.put(b"old").unwrap().digest();
    let under_way = content.put(b"under way").unwrap();
    let sweep = content.begin_sweep();
    let other = content.begin_sweep();
    // What the journal says now knows neither of them.
    let keep = BTreeSet::new();
    let committed = under_way.digest();
    drop(under_way);
    let stored_again = content.put(b"old").unwrap().digest();
    let new = content.put(b"new").unwrap().digest();

    assert_eq!(sweep.finish(&keep).unwrap(), 0);
    assert_eq!(
        other.finish(&keep).unwrap(),
        0,
        "the end of one sweep is not the end of another"
    );
    for digest in [old, committed, stored_again, new] {
        assert!(content.contains(&digest));
    }
    assert_eq!(content.sweep(&keep).unwrap(), 3, "the next sweep takes them");
    assert!(content.pins.is_empty());
}

#[test]
fn puts_and_sweeps_do_not_meet() {
    let (_dir, content) = content();
    thread::scope(|scope| {
        for thread in 0..4_u8 {
            let content = &content;
            scope.spawn(move || {
                for round in 0..40_u8 {
                    // Two threads store the same bytes.
                    let bytes = [thread / 2, round % 4];
                    let pin = content.put(&bytes).unwrap();
                    assert_eq!(content.get(&pin.digest()).unwrap(), bytes);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..100 {
                content.sweep(&BTreeSet::new()).unwrap();
            }
        });
    });
    content.sweep(&BTreeSet::new()).unwrap();
    assert!(names(&content).is_empty());
}
