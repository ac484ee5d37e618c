//! Replacing services of a running host: by the command line and by the admin API, as an operator would, while clients look.
//!
//! A [`Stage`] is an app in a folder of its own. Its services are revisions of the fixture `swap`, which all come from one
//! build ([`swap`]), or pairs of the fixtures of the swap storm ([`front`], [`back`]), which are linked.

mod apply;
mod canary;
mod client;
mod crash;
mod deploy;
mod drain;
mod events;
mod logs;
mod refuse;
mod rollback;
mod set;
mod stage;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use midplane_storm::stamp::{self, Condition, stripped};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Answer, BodySender, Builder, Connection, Finished, Protocol, TestHost, empty, eventually, fixture, full,
    program, soon, streamed,
};
use client::{Api, Held};
use stage::{Manifest, Stage, pair};

/// How a revision of [`swap`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// As it should.
    Good,
    /// Answers every request with 500.
    Fails,
    /// Traps on every request.
    Traps,
    /// Answers only `/healthz` with 500.
    Sick,
    /// Traps when it is instantiated.
    Stillborn,
}

/// The component of the fixture `swap` as a revision with this name, 16 letters at most.
fn swap(mode: Mode, name: &str) -> Vec<u8> {
    const STAMP: &[u8] = b"swap-stamp:";
    let mode = match mode {
        Mode::Good => "good",
        Mode::Fails => "fails",
        Mode::Traps => "traps",
        Mode::Sick => "sick",
        Mode::Stillborn => "still",
    };
    assert!(name.len() <= 16, "{name} is too long for a stamp");
    let text = format!("{mode:_<5}:{name:_<16}");
    let mut component = bare("swap");
    let mut places = component
        .windows(STAMP.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == STAMP);
    let (place, _) = places.next().expect("the fixture has a stamp");
    assert!(places.next().is_none(), "the fixture has one stamp");
    let place = place + STAMP.len();
    component[place..place + text.len()].copy_from_slice(text.as_bytes());
    component
}

/// A good revision with this name.
fn good(name: &str) -> Vec<u8> {
    swap(Mode::Good, name)
}

/// The caller of a linked pair: `/link?ms=` answers with its revision and twice that of [`back`], a pause between them.
fn front(condition: Condition, revision: u32) -> Vec<u8> {
    storm("storm-front-p3", condition, revision)
}

/// What [`front`] calls, by `storm:contract/waiting@1.0.0`.
fn back(condition: Condition, revision: u32) -> Vec<u8> {
    storm("storm-back-p3", condition, revision)
}

/// A fixture of the swap storm with a number on it.
fn storm(name: &str, condition: Condition, revision: u32) -> Vec<u8> {
    stamp::stamped(&bare(name), condition, revision).expect("the fixture has a stamp")
}

/// The component of a fixture, without names and debug information.
fn bare(name: &str) -> Vec<u8> {
    let component = fs::read(fixture(name)).expect("the fixture is built");
    stripped(&component).expect("the fixture is a component")
}

/// The files below a folder, which may be missing.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    // What is in it may be removed while it is looked at.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

/// The body of the answer to a GET, without the end of its line. The status must be 200.
async fn says(host: &TestHost, path: &str) -> String {
    let answer = host.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    answer.text().trim_end().to_owned()
}

/// A text of a JSON document.
fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => panic!("{value} is no text"),
    }
}

/// The current revisions after all entries of a journal, of which each goes on from where the one before it ended. Those of
/// candidates are not understood.
fn replayed(entries: &[Value]) -> BTreeMap<String, String> {
    let mut current = BTreeMap::new();
    let mut generation = 0;
    for entry in entries.iter().filter(|entry| entry["outcome"] == "published") {
        generation += 1;
        assert_eq!(entry["generation"], generation, "{entry}");
        for change in entry["changes"].as_array().expect("an entry has changes") {
            let service = text(&change["service"]);
            let from = current.remove(&service);
            assert_eq!(change["from"].as_str(), from.as_deref(), "{entry}");
            current.extend(change["to"].as_str().map(|to| (service, to.to_owned())));
        }
    }
    current
}

/// By whose word a service is served, as `up` says.
fn by(host: &TestHost, service: &str) -> String {
    let services = host.announcement["services"].as_array();
    let mut services = services.expect("`up` lists services").iter();
    let of = services.find(|listed| listed["service"] == service);
    text(&of.expect("`up` lists every service")["by"])
}
