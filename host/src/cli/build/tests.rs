//! Builds with real shell commands in temporary directories, and a toolchain made of shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::manifest;

/// A directory with an app in it: services by name, directory and build command.
struct Fixture {
    dir: TempDir,
    app: App,
}

impl Fixture {
    /// Of `(name, workdir, command)`; the component of each is `<name>.wasm` beside the manifest.
    fn new(services: &[(&str, &str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut text = "spin_manifest_version = 2\napplication = { name = \"app\" }\n".to_owned();
        for (name, workdir, command) in services {
            fs::create_dir_all(dir.path().join(workdir)).unwrap();
            text += &format!(
                "[component.{name}]\nsource = \"{name}.wasm\"\n\
                 [component.{name}.build]\ncommand = '''{command}'''\nworkdir = \"{workdir}\"\n"
            );
        }
        let app = manifest::parse(&text, &dir.path().join("spin.toml")).unwrap();
        Self { dir, app }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn component(&self, name: &str) -> &Self {
        fs::write(self.path().join(format!("{name}.wasm")), "").unwrap();
        self
    }

    /// Builds everything, two lanes at once. Gives the result and what was told.
    async fn build(&self) -> (Result<(), BuildError>, Vec<String>) {
        self.build_with(None, &[]).await
    }

    async fn build_with(
        &self,
        only: Option<&[ServiceName]>,
        environment: &[(&str, &str)],
    ) -> (Result<(), BuildError>, Vec<String>) {
        let mut told = Vec::new();
        let (stop, stopped) = watch::channel(false);
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        let shell = Shell::new(&mut told, stopped, environment);
        let result = run(&self.app, only, 2, &shell, &stop, std::future::pending()).await;
        drop(shell);
        let told = String::from_utf8(told).unwrap();
        (result, told.lines().map(without_time).collect())
    }

    /// Puts a program into `bin/` and gives a `PATH` with it in front.
    fn program(&self, name: &str, script: &str) -> String {
        let bin = self.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let file = bin.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:/usr/bin:/bin", bin.display())
    }
}

/// `Built a in 0.1 s` → `Built a in … s`.
fn without_time(line: &str) -> String {
    let cut = |mark: &str| line.find(mark).map(|at| format!("{}…", &line[..at + mark.len()]));
    match line {
        _ if line.starts_with("Built ") => cut(" in "),
        _ if line.starts_with("Building ") => cut(" failed after "),
        _ => None,
    }
    .unwrap_or_else(|| line.to_owned())
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

#[tokio::test]
async fn a_build_runs_in_its_directory_and_is_told() {
    let fixture = Fixture::new(&[("a", "src", "echo out; echo err >&2; cat ../in > ../a.wasm")]);
    fs::write(fixture.path().join("in"), "component").unwrap();
    let (result, told) = fixture.build().await;
    result.unwrap();
    assert_eq!(
        fs::read_to_string(fixture.path().join("a.wasm")).unwrap(),
        "component"
    );
    let command = "Building a: echo out; echo err >&2; cat ../in > ../a.wasm";
    assert_eq!(told, [command, "out", "err", "Built a in …"]);
}

#[tokio::test]
async fn equal_commands_run_once() {
    let fixture = Fixture::new(&[("a", "x", "echo . >> ../count"), ("b", "x", "echo . >> ../count")]);
    fixture.component("a").component("b");
    let (result, told) = fixture.build().await;
    result.unwrap();
    assert_eq!(fs::read_to_string(fixture.path().join("count")).unwrap(), ".\n");
    assert_eq!(told, ["Building a, b: echo . >> ../count", "Built a, b in …"]);
}

#[tokio::test]
async fn builds_in_different_directories_run_side_by_side() {
    // Each waits for the other: one after the other they would never end.
    let fixture = Fixture::new(&[("a", "x", "echo hello > ../fifo"), ("b", "y", "cat ../fifo")]);
    fixture.component("a").component("b");
    let made = std::process::Command::new("mkfifo")
        .arg(fixture.path().join("fifo"))
        .status()
        .unwrap();
    assert!(made.success());
    let (result, told) = fixture.build().await;
    result.unwrap();
    assert!(told.contains(&"b | hello".to_owned()), "{told:?}");
}

#[tokio::test]
async fn builds_of_one_directory_or_cargo_workspace_run_one_after_the_other() {
    let fixture = Fixture::new(&[
        ("a", "w/a", ": cargo 1"),
        ("b", "w/b", ": cargo 2"),
        ("c", "w/b", ": cargo 3"),
    ]);
    fixture.component("a").component("b").component("c");
    fs::write(
        fixture.path().join("w/Cargo.toml"),
        "[workspace]\nmembers = [\"a\", \"b\"]\n",
    )
    .unwrap();
    for member in ["w/a", "w/b"] {
        fs::write(fixture.path().join(member).join("Cargo.toml"), "[package]\n").unwrap();
    }
    let (result, told) = fixture.build().await;
    result.unwrap();
    assert_eq!(
        told,
        [
            "Building a: : cargo 1",
            "Built a in …",
            "Building b: : cargo 2",
            "Built b in …",
            "Building c: : cargo 3",
            "Built c in …"
        ]
    );
}

#[tokio::test]
async fn a_failure_shows_status_and_what_stays_unbuilt() {
    let fixture = Fixture::new(&[
        ("a", "x", "echo 'error: no such thing' >&2; exit 3"),
        ("b", "x", "echo never"),
    ]);
    let (result, told) = fixture.build().await;
    let error = result.unwrap_err();
    let expected = format!(
        "building a failed: `echo 'error: no such thing' >&2; exit 3` in {}/x ended with exit status: 3\nnot built: b",
        fixture.path().display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(
        told[1..],
        [
            "error: no such thing".to_owned(),
            "Building a failed after …".to_owned()
        ]
    );
}

#[tokio::test]
async fn a_failure_ends_the_other_builds_and_repeats_the_end_of_its_output() {
    // `b` starts a process of its own that would hold the pipe open for long.
    let fixture = Fixture::new(&[
        ("a", "x", "read ready < ../fifo; seq 1 100; exit 1"),
        ("b", "y", "echo ready > ../fifo; sleep 1000 & wait"),
        ("c", "z", "echo never"),
    ]);
    let made = std::process::Command::new("mkfifo")
        .arg(fixture.path().join("fifo"))
        .status()
        .unwrap();
    assert!(made.success());
    let (result, told) = fixture.build().await;
    let Err(BuildError::Failed(failed)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(failed.services, [name("a")]);
    assert_eq!(failed.unbuilt, [name("b"), name("c")]);
    assert_eq!(failed.tail.len(), 60);
    assert_eq!(failed.tail.last().unwrap(), "100");
    assert!(!told.iter().any(|line| line.contains("never")), "{told:?}");
}

#[tokio::test]
async fn commands_of_a_list_run_in_order_until_one_fails() {
    let dir = tempfile::tempdir().unwrap();
    let text = "spin_manifest_version = 2\napplication = { name = \"app\" }\n\
                [component.a]\nsource = \"a.wasm\"\nbuild = { command = [\"echo 1\", \"false\", \"echo 2\"] }\n";
    let app = manifest::parse(text, &dir.path().join("spin.toml")).unwrap();
    let fixture = Fixture { dir, app };
    let (result, told) = fixture.build().await;
    assert!(matches!(result, Err(BuildError::Failed(failed)) if failed.command == "false"));
    assert_eq!(
        told,
        [
            "Building a: echo 1",
            "1",
            "Building a: false",
            "Building a failed after …"
        ]
    );
}

#[tokio::test]
async fn a_component_that_is_not_there_afterwards_is_named() {
    let fixture = Fixture::new(&[("a", "x", "true")]);
    let (result, _) = fixture.build().await;
    let error = result.unwrap_err();
    let file = fixture.path().join("a.wasm");
    assert_eq!(
        error.to_string(),
        format!("the component of a is not at {}", file.display())
    );
    assert!(error.hint().unwrap().contains("the build command makes"));
}

#[tokio::test]
async fn only_the_services_asked_for_are_built() {
    let fixture = Fixture::new(&[("a", "x", "exit 1"), ("b", "y", "true")]);
    fixture.component("b");
    fixture.build_with(Some(&[name("b")]), &[]).await.0.unwrap();
    let error = fixture
        .build_with(Some(&[name("nope")]), &[])
        .await
        .0
        .unwrap_err();
    assert_eq!(error.to_string(), "the app has no component `nope`");
    assert_eq!(error.hint().unwrap(), "the app has a, b");
}

#[tokio::test]
async fn a_missing_directory_is_named_before_anything_runs() {
    let fixture = Fixture::new(&[("a", "x", "echo never"), ("b", "y", "true")]);
    fs::remove_dir(fixture.path().join("y")).unwrap();
    let (result, told) = fixture.build().await;
    assert!(matches!(result, Err(BuildError::NoWorkdir { services, .. }) if services == [name("b")]));
    assert_eq!(told, [""; 0]);
}

#[tokio::test]
async fn an_app_without_builds_has_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let text = "spin_manifest_version = 2\napplication = { name = \"app\" }\n";
    let app = manifest::parse(text, &dir.path().join("spin.toml")).unwrap();
    let (result, told) = Fixture { dir, app }.build().await;
    result.unwrap();
    assert_eq!(told, ["Nothing to build: no component has a build command"]);
}

#[tokio::test]
async fn variables_of_an_outer_cargo_are_hidden_and_others_are_kept() {
    let command =
        "test -z \"$CARGO_MANIFEST_DIR$CARGO_PKG_NAME$CARGO\" && test -n \"$PATH\" && touch ../a.wasm";
    let fixture = Fixture::new(&[("a", "x", command)]);
    fixture.build().await.0.unwrap();
}

#[tokio::test]
async fn a_process_left_behind_does_not_hold_up_the_build() {
    let fixture = Fixture::new(&[("a", "x", "sleep 1000 & echo $! > ../pid; touch ../a.wasm")]);
    fixture.build().await.0.unwrap();
    let pid = fs::read_to_string(fixture.path().join("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Tells when the line `ready` comes.
struct Ready(Option<oneshot::Sender<()>>);

impl Write for Ready {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.starts_with(b"ready")
            && let Some(ready) = self.0.take()
        {
            let _ = ready.send(());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A build whose processes hold a FIFO open; the thread ends when the last of them is gone.
fn endless(trap: &str) -> (Fixture, std::thread::JoinHandle<()>) {
    let command = format!("{trap} exec 3> ../fifo; sleep 1000 & echo ready; while :; do wait; done");
    let fixture = Fixture::new(&[("a", "x", &command)]);
    let fifo = fixture.path().join("fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let gone = std::thread::spawn(move || assert_eq!(fs::read(fifo).unwrap(), b""));
    (fixture, gone)
}

#[tokio::test]
async fn an_interrupt_ends_the_whole_process_group_even_if_it_is_ignored() {
    for trap in ["", "trap '' INT;"] {
        let (fixture, gone) = endless(trap);
        let (ready, is_ready) = oneshot::channel();
        let mut lines = Ready(Some(ready));
        let (stop, stopped) = watch::channel(false);
        let shell = Shell::new(&mut lines, stopped, Vec::new());
        let interrupted = async { is_ready.await.unwrap() };
        let error = run(&fixture.app, None, 2, &shell, &stop, interrupted)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "the build was interrupted\nnot built: a");
        gone.join().unwrap();
    }
}

#[tokio::test]
async fn dropping_the_build_kills_the_whole_process_group() {
    let (fixture, gone) = endless("trap '' INT;");
    let (ready, is_ready) = oneshot::channel();
    let mut lines = Ready(Some(ready));
    tokio::select! {
        result = build(&fixture.app, None, &mut lines) => panic!("{result:?}"),
        ready = is_ready => ready.unwrap(),
    }
    gone.join().unwrap();
}

/// A `rustup` that keeps what is installed in a file.
const RUSTUP: &str = r#"
echo "rustup $*" >> "$0.log"
case "$*" in
    "target list --installed") cat "$0.installed" ;;
    "target add "*) echo "downloading"; test ! -e "$0.broken" && echo "$3" >> "$0.installed" ;;
esac"#;

fn needs_target() -> Fixture {
    let fixture = Fixture::new(&[("a", "x", "true cargo build --target wasm32-wasip2")]);
    fixture.component("a").program("rustup", RUSTUP);
    fs::write(
        fixture.path().join("bin/rustup.installed"),
        "x86_64-unknown-linux-gnu\n",
    )
    .unwrap();
    fixture
}

#[tokio::test]
async fn a_missing_target_is_installed_once() {
    let fixture = needs_target();
    let path = fixture.program("rustup", RUSTUP);
    let (result, told) = fixture.build_with(None, &[("PATH", &path)]).await;
    result.unwrap();
    assert_eq!(
        told[..2],
        [
            "Installing the Rust target wasm32-wasip2: rustup target add wasm32-wasip2",
            "downloading"
        ]
    );
    let (result, told) = fixture.build_with(None, &[("PATH", &path)]).await;
    result.unwrap();
    assert!(told[0].starts_with("Building a"), "{told:?}");
    let log = fs::read_to_string(fixture.path().join("bin/rustup.log")).unwrap();
    let expected =
        "rustup target list --installed\nrustup target add wasm32-wasip2\nrustup target list --installed\n";
    assert_eq!(log, expected);
}

#[tokio::test]
async fn a_target_that_cannot_be_installed_gives_the_command_to_type() {
    let fixture = needs_target();
    let path = fixture.program("rustup", RUSTUP);
    fs::write(fixture.path().join("bin/rustup.broken"), "").unwrap();
    let (result, told) = fixture.build_with(None, &[("PATH", &path)]).await;
    let error = result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the Rust target wasm32-wasip2, which the build of a needs, is not installed: \
         rustup ended with exit status: 1"
    );
    assert_eq!(error.hint().unwrap(), "type `rustup target add wasm32-wasip2`");
    assert!(!told.iter().any(|line| line.starts_with("Building")), "{told:?}");
}

#[tokio::test]
async fn without_rustup_the_sysroot_of_rustc_decides() {
    let fixture = needs_target();
    fixture.program("rustup", "exit 127");
    let sysroot = fixture.path().join("sysroot");
    let path = fixture.program("rustc", &format!("echo {}", sysroot.display()));
    let error = fixture.build_with(None, &[("PATH", &path)]).await.0.unwrap_err();
    assert!(error.to_string().contains("there is no rustup"), "{error}");
    fs::create_dir_all(sysroot.join("lib/rustlib/wasm32-wasip2")).unwrap();
    fixture.build_with(None, &[("PATH", &path)]).await.0.unwrap();
}
