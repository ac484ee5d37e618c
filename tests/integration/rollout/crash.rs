//! `kill -9` at every step of a rollout: the next start serves what was published last, the journal can be read, nothing is
//! left over on disk, and the next change works.
//!
//! A step that no rollout comes by fails its test: the host would not die.

mod storm;

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use midplane::host::RolloutStep;
use midplane::model::Digest;

use super::*;
use crate::harness::PATIENCE;

/// A stage whose hosts die at a step.
struct Crashing {
    stage: Stage,
}

impl Crashing {
    fn new(stage: Stage) -> Self {
        let failpoint = stage.path("failpoint");
        let failpoint = failpoint.to_str().expect("a temporary folder is text").to_owned();
        let stage = stage.with(|builder| builder.env("MIDPLANE_FAILPOINT_FILE", &failpoint));
        Self { stage }
    }

    /// From here on a host that comes to this step dies there.
    fn arm(&self, step: RolloutStep) {
        println!("dies when it has {}", step.as_str());
        self.stage.put("failpoint", step.as_str());
    }

    fn disarm(&self) {
        fs::remove_file(self.stage.path("failpoint")).expect("it was armed");
    }

    /// Runs a command at whose change the host dies at this step. Whether the command went well all the same.
    async fn dies(&self, mut host: TestHost, step: RolloutStep, command: &[&str]) -> bool {
        self.arm(step);
        let (finished, status) = tokio::join!(self.stage.cli(command), host.finish());
        assert_eq!(
            status.signal(),
            Some(Signal::KILL.as_raw()),
            "{step:?}: {command:?}"
        );
        self.disarm();
        let code = finished.status.code();
        assert!(matches!(code, Some(0 | 1)), "{step:?}: {finished:?}");
        code == Some(0)
    }

    /// Starts a host that dies at this step, before it serves or soon afterwards.
    async fn dies_at_start(&self, step: RolloutStep) {
        self.arm(step);
        let (folder, state) = (self.stage.path("."), self.stage.state());
        let mut command = program();
        command
            .current_dir(&folder)
            .arg("up")
            .arg("--state-dir")
            .arg(state);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.env("MIDPLANE_CACHE_DIR", self.stage.builder.cache());
        command.env("MIDPLANE_FAILPOINT_FILE", folder.join("failpoint"));
        let finished = Finished::by(command).await;
        assert_eq!(
            finished.status.signal(),
            Some(Signal::KILL.as_raw()),
            "{step:?}: {finished:?}"
        );
        self.disarm();
    }

    /// Whether a change whose host died at `step` counts; where `done`, somebody was told so. Nothing where that cannot be
    /// known: an upload, or the start, may have had something to remove as well, before the change was published.
    fn is_published(step: RolloutStep, done: bool) -> Option<bool> {
        let is_published = step >= RolloutStep::Committed;
        assert!(is_published || !done, "{step:?} came after the command's end");
        let is_of_the_change = step < RolloutStep::Retiring;
        (done || is_of_the_change).then_some(is_published)
    }

    /// What is stored is what the revisions need that the journal has, and the manifests with these texts.
    async fn nothing_is_left_over(&self, host: &TestHost, services: &[&str], manifests: &[&str]) {
        let mut told = String::new();
        let clean = async {
            loop {
                told = self.left_over(host, services, manifests).await;
                if told.is_empty() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let cleaned = tokio::time::timeout(PATIENCE, clean).await;
        assert!(cleaned.is_ok(), "{told}");
    }

    /// What is there and should not be, or is not there and should.
    async fn left_over(&self, host: &TestHost, services: &[&str], manifests: &[&str]) -> String {
        let api = self.stage.api(host);
        let mut needed = BTreeSet::new();
        for service in services {
            let answer = api.get(&format!("/services/{service}/revisions")).await.json();
            for revision in answer["revisions"].as_array().into_iter().flatten() {
                let component = text(&revision["component"]);
                needed.insert(component.trim_start_matches("sha256:").to_owned());
            }
        }
        let (cache, content) = (
            self.stage.state().join("cache"),
            self.stage.state().join("content"),
        );
        let (mut compiled, mut stored, mut partial) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for path in files(&self.stage.state()) {
            let name = path.file_name().expect("a file has a name").to_string_lossy();
            if name.contains("tmp") || name.contains("partial") {
                partial.push(path.clone());
            }
            if path.starts_with(&content) {
                stored.insert(name.into_owned());
            } else if path.starts_with(&cache) {
                let (digest, kind) = name.split_once('.').unwrap_or_default();
                compiled.insert(digest.to_owned());
                let other = if kind == "sum" { "cwasm" } else { "sum" };
                if !path.with_extension(other).is_file() {
                    partial.push(path);
                }
            }
        }
        let orphans: Vec<_> = compiled.difference(&needed).collect();
        let manifests = manifests
            .iter()
            .map(|text| Digest::of(text.as_bytes()).to_string());
        let wanted: BTreeSet<_> = needed.iter().cloned().chain(manifests).collect();
        let extra: Vec<_> = stored.difference(&wanted).collect();
        let missing: Vec<_> = wanted.difference(&stored).collect();
        if partial.is_empty() && orphans.is_empty() && extra.is_empty() && missing.is_empty() {
            return String::new();
        }
        format!("half-written {partial:?}, compiled {orphans:?}, stored {extra:?}, missing {missing:?}")
    }
}

/// The manifest of one service `a` with a file.
fn with_file() -> Manifest {
    Manifest::new().service("a", "files = [\"greeting.txt\"]")
}

/// The path of a file as text.
fn named(path: &Path) -> &str {
    path.to_str().expect("a temporary folder is text")
}

#[tokio::test]
async fn killed_at_any_step_of_a_deploy_it_serves_the_last_published_revision_and_leaves_nothing_behind() {
    let manifest = with_file();
    // Its cache is its own, so that nobody else has to do with what is in there.
    let stage = Stage::new(&manifest).with(Builder::default_cache);
    stage.put("a.wasm", good("r1"));
    stage.put("greeting.txt", "hello");
    let crashing = Crashing::new(stage);
    let stage = &crashing.stage;
    let mut serves = "r1".to_owned();
    for (number, step) in RolloutStep::ALL.into_iter().enumerate() {
        let new = format!("crash-{number}");
        let file = stage.put("new.wasm", good(&new));
        let host = stage.start().await;
        assert_eq!(says(&host, "/a/").await, serves);
        let done = crashing.dies(host, step, &["deploy", "a", named(&file)]).await;
        let host = stage.start().await;
        let found = says(&host, "/a/").await;
        match Crashing::is_published(step, done) {
            Some(false) => assert_eq!(found, serves, "{step:?}"),
            Some(true) => assert_eq!(found, new, "{step:?}"),
            None => assert!([&serves, &new].contains(&&found), "{step:?}: {found}"),
        }
        serves = found;
        assert_eq!(
            says(&host, "/a/file/greeting.txt").await,
            format!("{serves} hello")
        );
        let newest = stage.newest().await;
        assert_eq!(newest["outcome"], "published", "{step:?}: {newest}");
        let is_the_deploy = newest["changes"][0]["to"] == stage.revision("a").await.as_str();
        assert!(is_the_deploy, "{step:?}: {newest}");
        crashing
            .nothing_is_left_over(&host, &["a"], &[&manifest.text()])
            .await;
        let files = fs::read_dir(stage.state().join("files")).expect("files are staged");
        assert_eq!(files.count(), 1, "{step:?}");

        let next = format!("after-{number}");
        stage.deploy("a", good(&next)).await;
        assert_eq!(says(&host, "/a/").await, next, "{step:?}");
        serves = next;
        host.stop().await;
    }
    // Of all that was kept, everything can be brought back.
    let host = stage.start().await;
    let revisions = stage.api(&host).get("/services/a/revisions").await.json();
    let revisions = revisions["revisions"].as_array().expect("a list").clone();
    assert!(revisions.len() > 4, "{revisions:?}");
    for revision in revisions.iter().skip(1) {
        let revision = text(&revision["revision"]);
        stage.done(&["rollback", "a", &revision]).await;
        assert_eq!(stage.revision("a").await, revision);
    }
    host.stop().await;
}

#[tokio::test]
async fn killed_at_any_step_of_a_canary_either_there_is_a_candidate_or_there_is_none() {
    let crashing = Crashing::new(Stage::one());
    let stage = &crashing.stage;
    for (number, step) in RolloutStep::ALL.into_iter().enumerate() {
        // A candidate replaces nothing that could drain.
        if step == RolloutStep::Drained {
            continue;
        }
        let file = stage.put("new.wasm", good(&format!("crash-{number}")));
        let host = stage.start().await;
        let command = ["deploy", "a", named(&file), "--canary", "50%"];
        let done = crashing.dies(host, step, &command).await;
        let host = stage.start().await;
        let status = stage.json(&["status", "a"]).await;
        let is_there = !status["candidate"].is_null();
        if let Some(is_published) = Crashing::is_published(step, done) {
            assert_eq!(is_there, is_published, "{step:?}: {status}");
        }
        if is_there {
            assert_eq!(status["candidate"]["weight"], "50%");
            assert_eq!(stage.newest().await["action"], "canary", "{step:?}");
            stage.done(&["abort", "a"]).await;
        }
        assert_eq!(says(&host, "/a/").await, "r1", "{step:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn killed_while_a_candidate_becomes_current_it_is_a_candidate_or_current() {
    use RolloutStep::{Committed, Committing, Drained, Published, Received, Retired, Retiring};
    let crashing = Crashing::new(Stage::one());
    let stage = &crashing.stage;
    let mut serves = "r1".to_owned();
    for (number, step) in [
        Received, Committing, Committed, Published, Drained, Retiring, Retired,
    ]
    .into_iter()
    .enumerate()
    {
        let new = format!("crash-{number}");
        let file = stage.put("new.wasm", good(&new));
        let host = stage.start().await;
        let canary = ["deploy", "a", named(&file), "--canary", "50%"];
        stage.done(&canary).await;
        let done = crashing.dies(host, step, &["promote", "a"]).await;
        let host = stage.start().await;
        let status = stage.json(&["status", "a"]).await;
        let is_current = status["candidate"].is_null();
        if let Some(is_published) = Crashing::is_published(step, done) {
            assert_eq!(is_current, is_published, "{step:?}: {status}");
        }
        if is_current {
            serves = new;
        } else {
            assert_eq!(status["candidate"]["weight"], "50%", "{step:?}: {status}");
            stage.done(&["abort", "a"]).await;
        }
        assert_eq!(says(&host, "/a/").await, serves, "{step:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn killed_at_any_step_of_a_rollback_it_serves_the_one_or_the_other() {
    let crashing = Crashing::new(Stage::one());
    let stage = &crashing.stage;
    let mut serves = ["r1", "r2"];
    let host = stage.start().await;
    stage.deploy("a", good("r2")).await;
    host.stop().await;
    for step in RolloutStep::ALL {
        // What is brought back was composed when it came first.
        if step == RolloutStep::Composed {
            continue;
        }
        let host = stage.start().await;
        assert_eq!(says(&host, "/a/").await, serves[1]);
        let done = crashing.dies(host, step, &["rollback", "a"]).await;
        let host = stage.start().await;
        let found = says(&host, "/a/").await;
        match Crashing::is_published(step, done) {
            Some(false) => assert_eq!(found, serves[1], "{step:?}"),
            Some(true) => assert_eq!(found, serves[0], "{step:?}"),
            None => assert!(serves.contains(&found.as_str()), "{step:?}: {found}"),
        }
        if found == serves[0] {
            serves.reverse();
        }
        assert_eq!(stage.newest().await["outcome"], "published", "{step:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn killed_at_any_step_of_an_apply_either_all_of_it_is_in_force_or_nothing() {
    let manifest = |number: usize| {
        Manifest::new()
            .service("a", &format!("environment = {{ NUMBER = \"{number}\" }}"))
            .service("b", "")
            .hidden("c", "")
            .route(&format!("/only-{number}/..."), "c")
    };
    let stage = Stage::new(&manifest(0));
    for service in ["a", "b", "c"] {
        stage.put(&format!("{service}.wasm"), good("n0"));
    }
    let mut crashing = Crashing::new(stage);
    let host = crashing.stage.start().await;
    host.stop().await;
    let mut in_force = 0;
    for (before, step) in RolloutStep::ALL.into_iter().enumerate() {
        let number = before + 1;
        let host = crashing.stage.start().await;
        // Both what the manifest says and what is in the files.
        crashing.stage.put("spin.toml", manifest(number).text());
        for service in ["a", "b"] {
            crashing
                .stage
                .put(&format!("{service}.wasm"), good(&format!("n{number}")));
        }
        let done = crashing.dies(host, step, &["apply", "--allow-new-grants"]).await;
        let published = Crashing::is_published(step, done);
        let other = in_force;
        if published != Some(false) {
            in_force = number;
        } else {
            // As if nobody had saved them: else the start would put them in force.
            for service in ["a", "b"] {
                crashing
                    .stage
                    .put(&format!("{service}.wasm"), good(&format!("n{in_force}")));
            }
        }
        // The builder writes its manifest when it starts a host.
        crashing.stage = crashing.stage.manifest(&manifest(in_force));
        let stage = &crashing.stage;
        let host = stage.start().await;
        let name = format!("n{in_force}");
        assert_eq!(
            says(&host, "/a/env/NUMBER").await,
            format!("{name} {in_force}"),
            "{step:?}"
        );
        assert_eq!(says(&host, "/b/").await, name, "{step:?}");
        assert_eq!(says(&host, &format!("/only-{in_force}/")).await, "n0", "{step:?}");
        let other = if other == in_force { number } else { other };
        let answer = host.get(&format!("/only-{other}/")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{step:?}");
        for service in ["a", "b"] {
            // Where nobody knows, the files decide.
            let by = by(&host, service);
            assert!(
                by == "unchanged" || published.is_none(),
                "{step:?}: {service} by {by}"
            );
        }
        host.stop().await;
    }
}

/// The steps of a start that has something new to serve: nothing is replaced, and so nothing drains.
fn steps_of_a_start() -> impl Iterator<Item = RolloutStep> {
    let is_one = |step: &RolloutStep| !matches!(step, RolloutStep::Received | RolloutStep::Drained);
    RolloutStep::ALL.into_iter().filter(is_one)
}

#[tokio::test]
async fn killed_at_any_step_of_the_first_start_the_next_one_serves() {
    for step in steps_of_a_start() {
        let crashing = Crashing::new(Stage::one());
        let stage = &crashing.stage;
        crashing.dies_at_start(step).await;
        let host = stage.start().await;
        let is_published = step >= RolloutStep::Committed;
        assert_eq!(
            by(&host, "a"),
            if is_published { "unchanged" } else { "files" },
            "{step:?}"
        );
        assert_eq!(says(&host, "/a/").await, "r1", "{step:?}");
        assert_eq!(stage.history().await.len(), 1, "{step:?}");
        stage.deploy("a", good("r2")).await;
        assert_eq!(says(&host, "/a/").await, "r2", "{step:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn killed_at_any_step_of_a_start_with_another_file_what_was_published_is_not_lost() {
    let crashing = Crashing::new(Stage::one());
    let stage = &crashing.stage;
    let host = stage.start().await;
    host.stop().await;
    let mut old = "r1".to_owned();
    for (number, step) in steps_of_a_start().enumerate() {
        let new = format!("crash-{number}");
        stage.put("a.wasm", good(&new));
        crashing.dies_at_start(step).await;
        if step < RolloutStep::Committed {
            // As if it had never been there.
            stage.put("a.wasm", good(&old));
            let host = stage.start().await;
            assert_eq!(by(&host, "a"), "unchanged", "{step:?}");
            assert_eq!(says(&host, "/a/").await, old, "{step:?}");
            host.stop().await;
            stage.put("a.wasm", good(&new));
        }
        let host = stage.start().await;
        let whose = if step < RolloutStep::Committed {
            "files"
        } else {
            "unchanged"
        };
        assert_eq!(by(&host, "a"), whose, "{step:?}");
        assert_eq!(says(&host, "/a/").await, new, "{step:?}");
        host.stop().await;
        old = new;
    }
}
