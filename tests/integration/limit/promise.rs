//! The chapter "What is promised" of the README: every key that a manifest may have for limits has its row, with the default
//! that the code has and a test that shows what it does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use midplane::manifest::{INSTANCE_KEYS, LIMIT_KEYS};
use midplane::model::{Instances, Limits};

const CHAPTER: &str = "## What is promised";

/// A row of the table.
struct Row {
    key: String,
    default: String,
    /// What the client sees.
    seen: String,
    /// What the log and the figures have.
    told: String,
    /// `FILE: TEST`, of `tests/integration`.
    test: String,
}

fn rows() -> Vec<Row> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../README.md")).expect("there is a README");
    let (_, chapter) = page.split_once(CHAPTER).expect("the README has the chapter");
    let table = chapter
        .lines()
        .skip_while(|line| !line.starts_with("| key |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cell = |text: &str| text.trim().to_owned();
    table
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            let [key, default, seen, told, test] = cells.as_slice() else {
                panic!("a row has five cells: {line}");
            };
            Row {
                key: cell(key).replace('`', ""),
                default: cell(default),
                seen: cell(seen),
                told: cell(told),
                test: cell(test).replace('`', ""),
            }
        })
        .collect()
}

/// Each key with its default, as a manifest would have it.
fn keys() -> Vec<(String, String)> {
    let limits = Limits::default().shown();
    assert_eq!(limits.each_ref().map(|(key, _)| *key), LIMIT_KEYS);
    let instances = Instances::default().shown();
    assert_eq!(instances.each_ref().map(|(key, _)| *key), INSTANCE_KEYS);
    let limits = limits.map(|(key, default)| (format!("limits.{key}"), default));
    let instances = instances.map(|(key, default)| (format!("instances.{key}"), default));
    limits.into_iter().chain(instances).collect()
}

#[test]
fn every_limit_has_a_default_an_effect_and_its_documentation() {
    let (rows, keys) = (rows(), keys());
    let documented: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let known: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        documented, known,
        "the README has a row for each key, in their order"
    );
    for (row, (key, default)) in rows.iter().zip(&keys) {
        assert!(
            row.default == format!("`{default}`") || row.default == *default,
            "{key} is {default} by default, and the README says {}",
            row.default
        );
        assert!(
            !row.seen.is_empty() && !row.told.is_empty(),
            "{key}: what is it that shows its effect?"
        );
    }
    let tests: BTreeSet<&str> = rows.iter().map(|row| row.test.as_str()).collect();
    assert!(tests.len() > 10, "{tests:?}");
}

#[test]
fn every_limit_has_a_test_that_shows_its_effect() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration");
    for row in rows() {
        let (file, name) = row.test.split_once(": ").expect("a file and a test");
        let text = fs::read_to_string(root.join(file))
            .unwrap_or_else(|error| panic!("{}: {file}: {error}", row.key));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let at = lines
            .iter()
            .position(|line| line.strip_prefix("async ").unwrap_or(line) == format!("fn {name}() {{"));
        let at = at.unwrap_or_else(|| panic!("{}: {file} has no test {name}", row.key));
        assert!(
            lines[..at].last().is_some_and(|line| line.starts_with("#[t")),
            "{}: {name} is no test",
            row.key
        );
        let word = row.key.rsplit('.').next().unwrap_or_default();
        assert!(text.contains(word), "{}: {file} says nothing of it", row.key);
    }
}
