//! `midplane new` and `midplane add`, from an empty folder to a call over a link; and that a refusal leaves all as it was.
//!
//! The app of the README is made by the README's own test. What an app's build has in common with that of another one is
//! built once, in a folder below `target`.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use http::Request;
use serde_json::{Value, json};

use crate::harness::{Finished, TestHost, full, program};

/// An empty folder for an app that a test makes and builds; the next run finds the same one.
pub fn new_app_folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("app-of-{test}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the folder is ours");
    }
    fs::create_dir_all(&folder).expect("the folder is ours");
    folder
}

/// How the services of such an app are built: what they depend on once for all, and quickly rather than well. The results
/// lie where the app's manifest wants them.
pub fn guest_build() -> Vec<(OsString, OsString)> {
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../scaffold");
    let mut variables: Vec<(OsString, OsString)> = vec![
        ("CARGO_BUILD_BUILD_DIR".into(), shared.into()),
        ("CARGO_PROFILE_DEV_DEBUG".into(), "0".into()),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS".into(), "16".into()),
        ("CARGO_PROFILE_RELEASE_LTO".into(), "off".into()),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL".into(), "s".into()),
        ("CARGO_TERM_COLOR".into(), "never".into()),
    ];
    // Where Cargo and rustup are, for shells with a home of their own.
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    for (name, place) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if env::var_os(name).is_none() && home.join(place).is_dir() {
            variables.push((name.into(), home.join(place).into()));
        }
    }
    variables
}

/// Runs `midplane` in a folder.
async fn midplane(folder: &Path, arguments: &[&str]) -> Finished {
    Finished::of(arguments, folder).await
}

#[track_caller]
fn assert_done(finished: &Finished) {
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
}

/// Runs a command that compiles, which has no bound of time.
async fn compile(mut command: tokio::process::Command, folder: &Path) -> String {
    for name in ["RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command.current_dir(folder).envs(guest_build());
    let output = command.output().await.expect("the command starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("warning:"), "{said}");
    said
}

fn cargo(arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Names of several words, and a service that calls two others.
#[tokio::test]
async fn an_app_from_templates_passes_its_tests_and_its_services_call_each_other() {
    let folder = new_app_folder("scaffold");
    let app = folder.join("corner-shop");
    assert_done(&midplane(&folder, &["new", "corner-shop"]).await);
    assert_done(&midplane(&app, &["add", "order-desk"]).await);
    assert_done(&midplane(&app, &["add", "stock"]).await);
    let front = midplane(&app, &["add", "front", "--uses", "stock", "--uses", "order-desk"]).await;
    assert_done(&front);
    assert!(
        front
            .stdout
            .contains("curl http://127.0.0.1:3000/front/ada/order-desk"),
        "{front:?}"
    );

    // The versions that the services of this repository were tested with.
    let components = app.join("components");
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../components/Cargo.lock");
    fs::copy(lock, components.join("Cargo.lock")).expect("the folder is ours");
    compile(cargo(&["fmt", "--all", "--check"]), &components).await;
    let tests = compile(cargo(&["test", "--workspace"]), &components).await;
    for crate_name in [
        "order_desk_domain",
        "order_desk",
        "stock",
        "front_domain",
        "front",
    ] {
        let ran = format!("deps/{crate_name}-");
        let ran_alone = format!("/{crate_name}-");
        assert!(
            tests.contains(&ran) || tests.contains(&ran_alone),
            "{crate_name}: {tests}"
        );
    }
    let mut build = program();
    build.arg("build");
    compile(build, &app).await;

    let shown = midplane(&app, &["check", "--deny-warnings", "--format", "json", "--quiet"]).await;
    assert_done(&shown);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("it is JSON");
    let links = shown["links"].as_array().expect("links are a list");
    let links: Vec<(&Value, &Value)> = links
        .iter()
        .map(|link| (&link["caller"], &link["callee"]))
        .collect();
    assert_eq!(
        links,
        [
            (&json!("front"), &json!("order-desk")),
            (&json!("front"), &json!("stock"))
        ]
    );

    let host = TestHost::builder().start_from(&app).await;
    for (path, text) in [("/front/ada", "a customer"), ("/order-desk/ada", "two lamps")] {
        let put = Request::put(path).body(full(text)).expect("it is a request");
        assert_eq!(host.request(put).await.status, 200, "{path}: {}", host.log_text());
    }
    let expect = async |path: &str, status: u16, body: Value| {
        let answer = host.get(path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        let text = answer.text();
        assert_eq!(
            serde_json::from_str::<Value>(&text).ok(),
            Some(body),
            "{path}: {text}"
        );
    };
    let ada = json!({"name": "ada", "text": "a customer", "order-desk": "two lamps"});
    expect("/front/ada/order-desk", 200, ada).await;
    let ada = json!({"name": "ada", "text": "a customer", "stock": null});
    expect("/front/ada/stock", 200, ada).await;
    expect("/front/bob/stock", 404, json!({"error": "nothing has this name"})).await;
    let calls = |callee: &'static str| {
        let host = &host;
        async move {
            let labels = ["caller=\"front\"", callee, "outcome=\"answered\""];
            host.metric("midplane_link_calls_total", &labels).await
        }
    };
    assert_eq!(calls("callee=\"order-desk\"").await, Some(1.0));
    assert_eq!(
        calls("callee=\"stock\"").await,
        Some(1.0),
        "bob is unknown at the front already"
    );
    host.stop().await;
}

/// Everything below a folder: names, and texts of files.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, None);
        } else {
            let bytes = fs::read(&path).expect("the file is readable");
            found.insert(path, Some(bytes));
        }
    }
    found
}

/// Runs commands of which each must be refused, with these words, and must change nothing.
async fn assert_refused(folder: &Path, cases: &[(&[&str], &[&str])]) {
    let before = tree(folder);
    for (arguments, words) in cases {
        let refused = midplane(folder, arguments).await;
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {refused:?}");
        for word in *words {
            assert!(
                refused.stderr.contains(word),
                "{arguments:?}: no {word:?} in {}",
                refused.stderr
            );
        }
        assert_eq!(refused.stdout, "", "{arguments:?}");
        assert!(tree(folder) == before, "{arguments:?} changed something");
    }
}

#[tokio::test]
async fn an_app_that_cannot_be_made_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    fs::create_dir(folder.path().join("full")).expect("the folder is ours");
    fs::write(folder.path().join("full/mine"), "mine").expect("the folder is ours");
    assert_refused(
        folder.path(),
        &[
            (&["new", "Demo"], &["`Demo`", "for example `demo`"]),
            (&["new", "fn"], &["`fn`"]),
            (&["new", "full"], &["full", "name another place with `--dir`"]),
            (&["new", "demo", "--dir", "full"], &["full", "`--dir`"]),
            (&["new", "demo", "--dir", "full/mine"], &["full/mine"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_service_that_cannot_be_added_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let app = folder.path().join("demo");
    assert_refused(folder.path(), &[(&["add", "greetings"], &["spin.toml"])]).await;
    assert_done(&midplane(folder.path(), &["new", "demo"]).await);
    assert_done(&midplane(&app, &["add", "greetings"]).await);
    assert_refused(
        &app,
        &[
            (&["add", "Notes"], &["`Notes`", "for example `notes`"]),
            (
                &["add", "greetings"],
                &["greetings", "nothing is ever overwritten"],
            ),
            (
                &["add", "clients", "--uses", "greeting"],
                &["`greeting`", "the app has `greetings`"],
            ),
            (&["add", "clients", "--uses", "clients"], &["`clients`"]),
        ],
    )
    .await;
    // Somebody else's folder where the service would be, and an app that is none of ours.
    fs::create_dir_all(app.join("wit/demo-notes")).expect("the folder is ours");
    assert_refused(
        &app,
        &[(&["add", "notes"], &["wit/demo-notes", "take another name"])],
    )
    .await;
    fs::remove_file(app.join("components/Cargo.toml")).expect("the folder is ours");
    assert_refused(
        &app,
        &[(&["add", "clients"], &["components/Cargo.toml", "midplane new"])],
    )
    .await;
}

#[tokio::test]
async fn what_a_new_app_has_of_its_own_stays_as_it_is_when_a_service_is_added() {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let app = folder.path().join("demo");
    assert_done(&midplane(folder.path(), &["new", "demo"]).await);
    let manifest = app.join("spin.toml");
    let own = fs::read_to_string(&manifest).expect("the app has a manifest") + "\n# Mine.\n";
    fs::write(&manifest, &own).expect("the folder is ours");
    let before = tree(&app);
    assert_done(&midplane(&app, &["add", "greetings"]).await);
    let after = tree(&app);
    let changed: Vec<&Path> = before
        .iter()
        .filter(|(path, text)| after.get(*path) != Some(text))
        .map(|(path, _)| path.strip_prefix(&app).expect("it is below"))
        .collect();
    assert_eq!(
        changed,
        [Path::new("components/Cargo.toml"), Path::new("spin.toml")]
    );
    let now = fs::read_to_string(&manifest).expect("the app has a manifest");
    assert!(now.starts_with(&own), "{now}");
}
