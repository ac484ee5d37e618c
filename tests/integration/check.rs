//! `midplane check`: what `up` would refuse is found without a start, and the app is shown as text, JSON and a picture.

mod output;
mod refusal;

use serde_json::Value;

use crate::harness::{Builder, Finished, TestHost, fixture};

/// The table of a service from a fixture.
fn service(id: &str, fixture_name: &str) -> String {
    format!("\n[component.{id}]\nsource = {:?}\n", fixture(fixture_name))
}

/// A trigger.
fn route(route: &str, service: &str) -> String {
    format!("\n[[trigger.http]]\nroute = {route:?}\ncomponent = {service:?}\n")
}

/// An app with this manifest, to be looked at and to be served.
fn app(tables: &[String]) -> Builder {
    let head = "spin_manifest_version = 2\n[application]\nname = \"shop\"\nversion = \"1.2.3\"\n";
    let text = format!("{head}{}", tables.concat());
    TestHost::builder().file("spin.toml", &text).manifest(text)
}

/// Runs `midplane <command>` in the app's folder, quietly, with the cache of all tests.
async fn run(app: &Builder, arguments: &[&str]) -> Finished {
    let cache = app.cache().display().to_string();
    let mut all = arguments.to_vec();
    all.extend(["--quiet", "--cache-dir", &cache]);
    Finished::of(&all, app.folder()).await
}

/// The object that `check --format json` prints.
async fn json(app: &Builder, arguments: &[&str]) -> (Value, Finished) {
    let mut all = vec!["check", "--format", "json"];
    all.extend(arguments);
    let finished = run(app, &all).await;
    let value = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("no JSON object ({error}): {finished:?}"));
    (value, finished)
}

/// What was found, as `severity: message [hint]`.
fn findings(object: &Value) -> Vec<String> {
    let findings = object["findings"].as_array().expect("findings are a list");
    findings
        .iter()
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            let causes: Vec<_> = finding["causes"].as_array().into_iter().flatten().collect();
            format!(
                "{}: {} {causes:?} [{}]",
                text("severity"),
                text("message"),
                text("hint")
            )
        })
        .collect()
}

#[track_caller]
fn assert_has(texts: &[String], words: &[&str]) {
    assert!(
        texts
            .iter()
            .any(|text| words.iter().all(|word| text.contains(word))),
        "no text with {words:?} in {texts:#?}"
    );
}

#[tokio::test]
async fn an_app_without_a_fault_is_shown_and_nothing_is_said() {
    let app = app(&[service("web", "hello-p2"), route("/...", "web")]);
    let finished = run(&app, &["check"]).await;
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert_eq!(finished.stderr, "");
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert_eq!(lines[..3], ["shop 1.2.3", "", "Services"], "{finished:?}");
    assert!(
        lines[3].starts_with("  web  ") && lines[3].ends_with("WASI 0.2  plain"),
        "{finished:?}"
    );
    assert_eq!(lines[4..], ["", "Routes", "  /...  → web"], "{finished:?}");
    assert!(!finished.stdout.contains('\u{1b}'), "colours in a pipe");
}

#[tokio::test]
async fn it_takes_no_port_and_no_lock_and_makes_the_next_start_quick() {
    let app = app(&[service("web", "hello-p2"), route("/...", "web")]).own_cache();
    let cache = app.cache().display().to_string();
    let state = app.folder().join("state").display().to_string();
    let arguments = ["check", "--quiet", "--cache-dir", &cache, "--state-dir", &state];
    let first = Finished::of(&arguments, app.folder()).await;
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let host = app.start().await;
    assert_eq!(
        host.announcement["services"][0]["compiled"], false,
        "{}",
        host.announcement
    );
    // While a host has the lock of the same directory.
    let second = Finished::of(&arguments, app.folder()).await;
    assert_eq!(second.status.code(), Some(0), "{second:?}");
    assert_eq!(host.get("/").await.text(), "Hello, world!");
    host.stop().await;
}

#[tokio::test]
async fn where_nothing_can_be_written_what_is_compiled_goes_with_the_command() {
    let app = app(&[service("web", "hello-p2"), route("/...", "web")])
        .file("occupied", "")
        .file("temporary/keep", "");
    let temporary = app.folder().join("temporary");
    let mut command = crate::harness::program();
    command.current_dir(app.folder()).env("TMPDIR", &temporary).args([
        "check",
        "--state-dir",
        "occupied/state",
    ]);
    let finished = Finished::by(command).await;
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert!(finished.stderr.contains("not kept"), "{finished:?}");
    let left: Vec<_> = std::fs::read_dir(&temporary)
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder is readable").file_name())
        .collect();
    assert_eq!(left, ["keep"]);
    assert!(!app.folder().join(".midplane").exists());
}

#[tokio::test]
async fn warnings_fail_only_if_they_are_denied() {
    let app = app(&[
        service("web", "hello-p2"),
        "key_value_stores = [\"default\"]\n".into(),
        route("/...", "web"),
    ]);
    let let_pass = run(&app, &["check"]).await;
    assert_eq!(let_pass.status.code(), Some(0), "{let_pass:?}");
    for words in [
        "warning: service `web` is granted the key-value store `default`",
        "hint: remove it",
    ] {
        assert!(let_pass.stderr.contains(words), "{let_pass:?}");
    }
    let denied = run(&app, &["check", "--deny-warnings"]).await;
    assert_eq!(denied.status.code(), Some(1), "{denied:?}");
    assert!(
        denied.stderr.contains("error: the app has 1 warning\nhint:"),
        "{denied:?}"
    );
}
