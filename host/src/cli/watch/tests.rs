//! Rounds, with real shell commands in temporary directories and a host that only remembers what it was asked for.

use std::collections::VecDeque;
use std::fs;
use std::sync::MutexGuard;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use super::*;
use crate::manifest;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// What the host was asked for, and what it answers: nothing but good news, if not said otherwise.
#[derive(Default)]
struct Recorder {
    calls: std::sync::Mutex<Vec<String>>,
    answers: std::sync::Mutex<VecDeque<Result<&'static str, &'static str>>>,
    told: Option<mpsc::UnboundedSender<()>>,
}

impl Recorder {
    fn calls(&self) -> MutexGuard<'_, Vec<String>> {
        self.calls.lock().unwrap()
    }

    /// What it was asked for since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls())
    }

    fn answer(&self, answers: &[Result<&'static str, &'static str>]) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn next(&self, call: String) -> Result<String, Failure> {
        self.calls().push(call);
        if let Some(told) = &self.told {
            let _unread = told.send(());
        }
        match self.answers.lock().unwrap().pop_front() {
            Some(Err(text)) => Err(anyhow::anyhow!(text).into()),
            Some(Ok(text)) => Ok(text.to_owned()),
            None => Ok("done".to_owned()),
        }
    }
}

impl Swap for &Recorder {
    async fn deploy(&self, components: BTreeMap<ServiceName, PathBuf>) -> Result<String, Failure> {
        let shown: Vec<String> = components
            .iter()
            .map(|(service, file)| format!("{service}={}", fs::read_to_string(file).unwrap_or_default()))
            .collect();
        self.next(format!("deploy {}", shown.join(" ")))
    }

    async fn apply(&self) -> Result<String, Failure> {
        self.next("apply".to_owned())
    }
}

/// An app in a directory of its own.
struct Fixture {
    dir: TempDir,
    watch: Watch,
    host: Recorder,
}

/// A service that is made by copying its one source, and cannot be made of `bad`.
fn copied(name: &str) -> String {
    format!(
        "[component.{name}]\nsource = \"{name}.wasm\"\n[component.{name}.build]\n\
         command = 'cat src; cp src ../{name}.wasm; test \"$(cat src)\" != bad'\n\
         workdir = \"{name}\"\nwatch = [\"src\"]\n"
    )
}

fn text(services: &str) -> String {
    format!("spin_manifest_version = 2\napplication = {{ name = \"app\" }}\n{services}")
}

impl Fixture {
    fn new(services: &str, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::write(root.join("spin.toml"), text(services)).unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let app = manifest::load(&root.join("spin.toml")).unwrap();
        let watch = Watch::start(app, vec![root.join(".midplane")], Tasks::new()).unwrap();
        Self {
            dir,
            watch,
            host: Recorder::default(),
        }
    }

    /// Services `a` and `b`, each of its own source.
    fn two() -> Self {
        Self::new(
            &(copied("a") + &copied("b")),
            &[
                ("a/src", "a1"),
                ("b/src", "b1"),
                ("a.wasm", "a0"),
                ("b.wasm", "b0"),
            ],
        )
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Writes a file, as others do: into another one that takes its place.
    fn write(&self, path: &str, text: &str) {
        let (new, path) = (self.path("new"), self.path(path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// One round about these files. Gives what the host was asked for.
    async fn round(&mut self, paths: &[&str]) -> Vec<String> {
        let batch = Batch {
            paths: paths.iter().map(|path| self.path(path)).collect(),
            ..Batch::default()
        };
        self.watch.round(batch, &&self.host).await;
        self.host.take()
    }

    /// The same, for files that are written before.
    async fn save(&mut self, files: &[(&str, &str)]) -> Vec<String> {
        for (path, text) in files {
            self.write(path, text);
        }
        let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        self.round(&paths).await
    }
}

#[tokio::test]
async fn a_saved_file_builds_and_swaps_its_service_and_no_other() {
    let mut fixture = Fixture::two();
    assert_eq!(fixture.save(&[("a/src", "a2")]).await, ["deploy a=a2"]);
    // The events of our own build.
    assert_eq!(fixture.round(&["a.wasm"]).await, [] as [&str; 0]);
    assert_eq!(fixture.save(&[("b/src", "b2")]).await, ["deploy b=b2"]);
    assert_eq!(fixture.round(&["a/other", "elsewhere"]).await, [] as [&str; 0]);
}

#[tokio::test]
async fn services_that_change_together_are_swapped_together() {
    let mut fixture = Fixture::two();
    let calls = fixture.save(&[("a/src", "a2"), ("b/src", "b2")]).await;
    assert_eq!(calls, ["deploy a=a2 b=b2"]);
}

#[tokio::test]
async fn a_failed_build_swaps_nothing_of_its_service_and_does_not_hold_up_others() {
    let mut fixture = Fixture::two();
    assert_eq!(
        fixture.save(&[("a/src", "bad"), ("b/src", "b2")]).await,
        ["deploy b=b2"]
    );
    // It has written its component all the same.
    assert_eq!(fs::read_to_string(fixture.path("a.wasm")).unwrap(), "bad");
    assert_eq!(fixture.round(&["a.wasm"]).await, [] as [&str; 0]);
    assert_eq!(fixture.save(&[("a/src", "a3")]).await, ["deploy a=a3"]);
}

#[tokio::test]
async fn services_of_one_build_are_built_once() {
    let service = |name: &str| {
        format!(
            "[component.{name}]\nsource = \"{name}.wasm\"\n\
             build = {{ command = 'echo . >> count; cp src a.wasm; cp src b.wasm', watch = [\"src\"] }}\n"
        )
    };
    let services = service("a") + &service("b");
    let mut fixture = Fixture::new(&services, &[("src", "1"), ("a.wasm", "0"), ("b.wasm", "0")]);
    assert_eq!(fixture.save(&[("src", "2")]).await, ["deploy a=2 b=2"]);
    assert_eq!(fs::read_to_string(fixture.path("count")).unwrap(), ".\n");
}

#[tokio::test]
async fn without_a_build_the_component_file_is_what_counts() {
    let mut fixture = Fixture::new("[component.a]\nsource = \"a.wasm\"\n", &[("a.wasm", "1")]);
    assert_eq!(fixture.round(&["a.wasm"]).await, [] as [&str; 0]);
    assert_eq!(fixture.save(&[("a.wasm", "2")]).await, ["deploy a=2"]);
    fs::remove_file(fixture.path("a.wasm")).unwrap();
    assert_eq!(fixture.round(&["a.wasm"]).await, [] as [&str; 0]);
    assert_eq!(fixture.save(&[("a.wasm", "3")]).await, ["deploy a=3"]);
}

#[tokio::test]
async fn what_a_component_is_composed_into_is_swapped_with_it() {
    let services = copied("a")
        + "[component.b]\nsource = \"b.wasm\"\ndependencies = { \"x:y/z\" = { component = \"a\" } }\n";
    let mut fixture = Fixture::new(&services, &[("a/src", "a1"), ("a.wasm", "a0"), ("b.wasm", "b0")]);
    assert_eq!(fixture.save(&[("a/src", "a2")]).await, ["deploy a=a2 b=b0"]);
}

#[tokio::test]
async fn what_was_refused_is_tried_together_with_what_changes_next() {
    let mut fixture = Fixture::two();
    fixture.host.answer(&[Err("a needs the new b")]);
    assert_eq!(fixture.save(&[("a/src", "a2")]).await, ["deploy a=a2"]);
    fixture
        .host
        .answer(&[Err("the old a needs the old b"), Ok("both")]);
    assert_eq!(
        fixture.save(&[("b/src", "b2")]).await,
        ["deploy b=b2", "deploy a=a2 b=b2"]
    );
    assert_eq!(fixture.save(&[("b/src", "b3")]).await, ["deploy b=b3"]);
}

#[tokio::test]
async fn what_is_refused_for_its_own_fault_holds_up_nobody() {
    let mut fixture = Fixture::two();
    fixture.host.answer(&[Err("a traps")]);
    assert_eq!(fixture.save(&[("a/src", "a2")]).await, ["deploy a=a2"]);
    fixture.host.answer(&[Ok("b"), Err("a traps")]);
    assert_eq!(
        fixture.save(&[("b/src", "b2")]).await,
        ["deploy b=b2", "deploy a=a2"]
    );
    assert_eq!(fixture.save(&[("a/src", "a3")]).await, ["deploy a=a3"]);
    assert_eq!(fixture.save(&[("b/src", "b3")]).await, ["deploy b=b3"]);
}

#[tokio::test]
async fn a_changed_manifest_is_applied_and_from_then_on_watched_for() {
    let mut fixture = Fixture::new(
        &copied("a"),
        &[("a/src", "a1"), ("a.wasm", "a0"), ("b/src", "b1")],
    );
    assert_eq!(fixture.round(&["spin.toml"]).await, [] as [&str; 0]);
    // What is new is built first.
    let more = text(&(copied("a") + &copied("b")));
    assert_eq!(fixture.save(&[("spin.toml", &more)]).await, ["apply"]);
    assert_eq!(fs::read_to_string(fixture.path("b.wasm")).unwrap(), "b1");
    assert_eq!(fs::read_to_string(fixture.path("a.wasm")).unwrap(), "a0");
    assert_eq!(fixture.save(&[("b/src", "b2")]).await, ["deploy b=b2"]);
    // One that says nothing that can be meant.
    assert_eq!(fixture.save(&[("spin.toml", "nonsense")]).await, [] as [&str; 0]);
    assert_eq!(fixture.save(&[("b/src", "b3")]).await, ["deploy b=b3"]);
    assert_eq!(
        fixture.save(&[("spin.toml", &text(&copied("a")))]).await,
        ["apply"]
    );
    assert_eq!(fixture.save(&[("b/src", "b4")]).await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_changed_manifest_waits_for_its_builds_and_is_applied_until_it_is_let_in() {
    let mut fixture = Fixture::two();
    let manifest = text(&(copied("a") + &copied("b") + "[component.c]\nsource = \"c.wasm\"\n"));
    fixture.write("c.wasm", "c0");
    let calls = fixture.save(&[("spin.toml", &manifest), ("a/src", "bad")]).await;
    assert_eq!(calls, [] as [&str; 0]);
    fixture.host.answer(&[Err("new grants")]);
    assert_eq!(fixture.save(&[("a/src", "a2")]).await, ["apply"]);
    assert_eq!(fixture.round(&["a.wasm"]).await, [] as [&str; 0]);
    assert_eq!(fixture.save(&[("b/src", "b2")]).await, ["apply"]);
    assert_eq!(fixture.save(&[("b/src", "b3")]).await, ["deploy b=b3"]);
}

#[tokio::test]
async fn mounted_files_are_applied() {
    let services =
        "[component.a]\nsource = \"a.wasm\"\nfiles = [{ source = \"assets\", destination = \"/\" }]\n";
    let mut fixture = Fixture::new(services, &[("a.wasm", "a0"), ("assets/x", "1")]);
    assert_eq!(fixture.save(&[("assets/x", "2")]).await, ["apply"]);
    assert_eq!(fixture.round(&["a.wasm"]).await, [] as [&str; 0]);
}

#[tokio::test]
async fn when_changes_were_lost_everything_is_built_and_applied() {
    let mut fixture = Fixture::two();
    let batch = Batch {
        lost: true,
        ..Batch::default()
    };
    fixture.watch.round(batch, &&fixture.host).await;
    assert_eq!(fixture.host.take(), ["apply"]);
    assert_eq!(fs::read_to_string(fixture.path("a.wasm")).unwrap(), "a1");
    assert_eq!(fs::read_to_string(fixture.path("b.wasm")).unwrap(), "b1");
}

/// The messages of events of this thread.
#[derive(Clone, Default)]
struct Messages(Arc<std::sync::Mutex<Vec<String>>>);

impl<C: tracing::Subscriber> tracing_subscriber::Layer<C> for Messages {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, C>) {
        struct Text(String, String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                match field.name() {
                    "message" => self.1 = format!("{value:?}"),
                    "service" => self.0 = format!("{value:?}: "),
                    _ => {}
                }
            }

            fn record_str(&mut self, field: &Field, value: &str) {
                self.record_debug(field, &format_args!("{value}"));
            }
        }
        if event.metadata().target().starts_with("midplane::cli::watch") {
            let mut text = Text(String::new(), String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0 + &text.1);
        }
    }
}

#[tokio::test]
async fn the_log_tells_what_is_built_swapped_and_wrong() {
    // With a single subscriber, tests of other threads, which have none, would decide for all what is of interest.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let messages = Messages::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(messages.clone()));
    let mut fixture = Fixture::two();
    fixture
        .host
        .answer(&[Ok("b is revision 2"), Err("a breaks its contract")]);
    fixture.save(&[("a/src", "bad"), ("b/src", "b2")]).await;
    fixture.save(&[("a/src", "a2")]).await;
    let told: Vec<String> = messages
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|line| without_time(line))
        .collect();
    let command = "cat src; cp src ../a.wasm; test \"$(cat src)\" != bad";
    assert_eq!(
        told,
        [
            "a: changed (a/src): building",
            &format!("a: Building a: {command}"),
            "a: bad",
            "a: Building a failed after …",
            &format!(
                "a: building a failed: `{command}` in {} ended with exit status: 1",
                fixture.path("a").display()
            ),
            "a: the build failed; the revision of before goes on serving",
            "b: changed (b/src): building",
            "b: built in …",
            "b is revision 2",
            "a: changed (a/src): building",
            "a: built in …",
            "a breaks its contract",
            "a: not swapped; the revision of before goes on serving",
        ]
    );
}

fn without_time(line: &str) -> String {
    let marks = ["built in ", "failed after "];
    let cut = marks.iter().find_map(|mark| Some(line.find(mark)? + mark.len()));
    cut.map_or_else(|| line.to_owned(), |at| format!("{}…", &line[..at]))
}

#[tokio::test]
async fn a_change_during_a_build_leads_to_one_more_and_the_end_of_the_host_ends_the_watch() {
    let service = "[component.a]\nsource = \"a.wasm\"\nbuild = { command = 'echo . >> count; cat src fifo > a.wasm', \
         watch = [\"src\"] }\n";
    let fixture = Fixture::new(service, &[("src", "1 "), ("a.wasm", "")]);
    let made = std::process::Command::new("mkfifo")
        .arg(fixture.path("fifo"))
        .status()
        .unwrap();
    assert!(made.success());
    let (told, mut asked) = mpsc::unbounded_channel();
    let host = Recorder {
        told: Some(told),
        ..Recorder::default()
    };
    let root = fixture.dir.path().to_owned();
    let (tasks, inbox) = (fixture.watch.tasks.clone(), fixture.watch.inbox.clone());
    let Fixture { watch, dir: _dir, .. } = fixture;
    let script = async {
        // Opening the pipe waits for the build, which then waits for its end.
        let pipe = async || {
            let path = root.join("fifo");
            tokio::task::spawn_blocking(move || fs::File::options().write(true).open(path).unwrap())
                .await
                .unwrap()
        };
        fs::write(root.join("src"), "2 ").unwrap();
        let first = pipe().await;
        for index in 0..3 {
            fs::write(root.join("src"), format!("{index} ")).unwrap();
        }
        fs::write(root.join("src"), "3 ").unwrap();
        // Once the watch has seen what was written last (it says what it said before), it has seen everything.
        let (manifest, text) = (root.join("spin.toml"), text(service));
        fs::write(&manifest, text).unwrap();
        while !inbox.has(&manifest) {
            tokio::task::yield_now().await;
        }
        drop(first);
        asked.recv().await.unwrap();
        drop(pipe().await);
        asked.recv().await.unwrap();
        assert_eq!(*host.calls(), ["deploy a=2 ", "deploy a=3 "]);
        assert_eq!(fs::read_to_string(root.join("count")).unwrap(), ".\n.\n");
        tasks.begin_drain();
    };
    let both = futures::future::join(watch.run(&host), script);
    tokio::time::timeout(LONG, both).await.unwrap();
}
