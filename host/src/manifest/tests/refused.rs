//! What is refused, and with which words: a table of manifests and the message of each.
//!
//! A case is a manifest, `----`, and what is shown: `line:column: message`, `^` with the text above the carets, and
//! the hint if there is one. Cases are parted by `====`. A case that does not start with `WHOLE` comes after the two
//! lines of [`HEAD`].

use std::path::Path;

use super::HEAD;
use crate::manifest::parse;

mod app;
mod component;
mod dependency;
mod limits;
mod link;
mod probe;
mod trigger;

/// The message of a manifest, in the form of the table.
fn shown(text: &str) -> String {
    let error = match parse(text, Path::new("spin.toml")) {
        Ok(app) => return format!("accepted, with the warnings {:?}", app.warnings),
        Err(error) => error.to_string(),
    };
    let lines: Vec<&str> = error.lines().collect();
    let carets = lines[3];
    let column = carets.chars().position(|c| c == '^').expect("a caret");
    let marked: String = lines[2]
        .chars()
        .skip(column)
        .take(carets.matches('^').count())
        .collect();
    let mut shown = format!(
        "{}\n^ {marked}",
        lines[0].strip_prefix("spin.toml:").expect("the file's name")
    );
    for line in &lines[4..] {
        shown = format!("{shown}\n{line}");
    }
    shown
}

fn check(cases: &str) {
    for case in cases.split("====\n") {
        let (manifest, expected) = case.split_once("----\n").expect("a case has two halves");
        let text = match manifest.strip_prefix("WHOLE\n") {
            Some(whole) => whole.to_owned(),
            None => format!("{HEAD}{manifest}"),
        };
        assert_eq!(shown(&text).trim_end(), expected.trim_end(), "\n{text}");
    }
}

#[test]
fn what_is_wrong_with_the_app_is_shown_at_its_place() {
    check(app::CASES);
}

#[test]
fn what_is_wrong_with_a_component_is_shown_at_its_place() {
    check(component::CASES);
}

#[test]
fn what_is_wrong_with_a_link_is_shown_at_its_place() {
    check(link::CASES);
}

#[test]
fn what_is_wrong_with_limits_is_shown_at_its_place() {
    check(limits::CASES);
}

#[test]
fn what_is_wrong_with_a_probe_is_shown_at_its_place() {
    check(probe::CASES);
}

#[test]
fn what_is_wrong_with_a_dependency_is_shown_at_its_place() {
    check(dependency::CASES);
}

#[test]
fn what_is_wrong_with_a_trigger_is_shown_at_its_place() {
    check(trigger::CASES);
}
