//! `midplane build` and `midplane up --build`: the commands of the manifest, run and judged.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::harness::{Finished, TestHost, fixture, program, soon};

/// A manifest whose services have these build commands and the sources `<service>.wasm`.
fn manifest(services: &[(&str, &str)]) -> String {
    let mut text = "spin_manifest_version = 2\n[application]\nname = \"built\"\n".to_owned();
    for (service, command) in services {
        text += &format!(
            "[[trigger.http]]\nroute = \"/{service}/...\"\ncomponent = \"{service}\"\n\
             [component.{service}]\nsource = \"{service}.wasm\"\n\
             [component.{service}.build]\ncommand = {command:?}\n"
        );
    }
    text
}

fn folder(services: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::with_prefix("midplane-build-").unwrap();
    fs::write(folder.path().join("spin.toml"), manifest(services)).unwrap();
    folder
}

/// A command that makes the component of a service out of a fixture.
fn copy(name: &str, service: &str) -> String {
    format!("cp '{}' {service}.wasm", fixture(name).display())
}

/// Puts a program of this name and text into `tools` below the folder.
fn tool(folder: &Path, name: &str, script: &str) {
    let tools = folder.join("tools");
    fs::create_dir_all(&tools).unwrap();
    let file = tools.join(name);
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs `midplane build` with the folder's tools first on the path.
async fn build(folder: &Path, arguments: &[&str]) -> Finished {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = program();
    command.current_dir(folder).arg("build").args(arguments);
    command.env("PATH", format!("{}:{path}", folder.join("tools").display()));
    Finished::by(command).await
}

#[tokio::test]
async fn up_builds_what_it_serves() {
    let (p2, p3) = (copy("http-p2", "p2"), copy("http-p3", "p3"));
    let app = TestHost::builder()
        .manifest(manifest(&[("p2", &p2), ("p3", &p3)]))
        .arg("--build");
    let host = app.start().await;
    assert_eq!(host.get("/p2/hello").await.text(), "hello\n");
    assert_eq!(host.get("/p3/hello").await.text(), "hello\n");
}

#[tokio::test]
async fn building_tells_what_it_does_and_builds_what_it_is_asked_for() {
    let folder = folder(&[
        ("one", &copy("hello-p2", "one")),
        ("two", &copy("hello-p3", "two")),
    ]);
    let done = build(folder.path(), &["--component-id", "two"]).await;
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(done.stderr.contains("Building two: cp"), "{done:?}");
    assert!(done.stderr.contains("Built two in "), "{done:?}");
    assert!(!folder.path().join("one.wasm").exists());
    assert!(folder.path().join("two.wasm").exists());

    let done = build(folder.path(), &[]).await;
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(folder.path().join("one.wasm").exists());

    let failed = build(folder.path(), &["--component-id", "three"]).await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(
        failed.stderr.contains("three") && failed.stderr.contains("one, two"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_command_that_fails_is_named_with_what_it_said_and_nothing_is_served() {
    let services = [
        ("broken", "echo 'the compiler objects' >&2; exit 7"),
        ("fine", "cp /dev/null fine.wasm"),
    ];
    let folder = folder(&services);
    let failed = build(folder.path(), &["--component-id", "broken"]).await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    for word in [
        "building broken failed",
        "exit 7",
        "exit status: 7",
        "the compiler objects",
    ] {
        assert!(failed.stderr.contains(word), "no {word:?} in {}", failed.stderr);
    }
    let failed = TestHost::builder()
        .manifest(manifest(&services))
        .arg("--build")
        .fail()
        .await;
    assert!(failed.stderr.contains("building broken failed"), "{failed:?}");
    assert!(!failed.stdout.contains("base_url"), "{failed:?}");
}

#[tokio::test]
async fn a_command_that_makes_no_component_is_named() {
    let folder = folder(&[("idle", "true")]);
    let failed = build(folder.path(), &[]).await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    for word in ["idle", "idle.wasm", "source"] {
        assert!(failed.stderr.contains(word), "no {word:?} in {}", failed.stderr);
    }
}

/// `cargo` and `rustup` are stand-ins that write down how they were called.
fn toolchain(folder: &Path, rustup: &str) {
    let calls = folder.join("calls");
    let record = format!("echo \"$(basename \"$0\") $*\" >> '{}'", calls.display());
    tool(folder, "cargo", &format!("{record}\ntouch app.wasm"));
    tool(folder, "rustup", &format!("{record}\n{rustup}"));
}

const CARGO: &str = "cargo build --release --target wasm32-wasip2";

#[tokio::test]
async fn a_target_that_is_missing_is_installed_before_the_build() {
    let folder = folder(&[("app", CARGO)]);
    toolchain(
        folder.path(),
        "case \"$*\" in *list*) echo wasm32-unknown-unknown;; esac",
    );
    let done = build(folder.path(), &[]).await;
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    let calls: Vec<_> = calls.lines().collect();
    assert_eq!(
        calls,
        [
            "rustup target list --installed",
            "rustup target add wasm32-wasip2",
            CARGO
        ]
    );
    assert!(
        done.stderr.contains("rustup target add wasm32-wasip2"),
        "{done:?}"
    );
}

#[tokio::test]
async fn a_target_that_is_there_is_left_alone() {
    let folder = folder(&[("app", CARGO)]);
    toolchain(folder.path(), "echo wasm32-wasip2");
    let done = build(folder.path(), &[]).await;
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert!(!calls.contains("target add"), "{calls}");
}

#[tokio::test]
async fn a_target_that_cannot_be_installed_ends_the_build_with_what_to_type() {
    let folder = folder(&[("app", CARGO)]);
    toolchain(
        folder.path(),
        "case \"$*\" in *add*) echo 'error: could not download' >&2; exit 1;; esac",
    );
    let failed = build(folder.path(), &[]).await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    for word in [
        "error: could not download",
        "wasm32-wasip2",
        "hint: type `rustup target add wasm32-wasip2`",
    ] {
        assert!(failed.stderr.contains(word), "no {word:?} in {}", failed.stderr);
    }
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert!(!calls.contains("cargo"), "it was built all the same: {calls}");
}

#[tokio::test]
async fn a_build_that_is_interrupted_ends_its_commands() {
    let folder = folder(&[("slow", "echo $$ > pid; echo begun; exec sleep 1000")]);
    let mut command = program();
    command
        .current_dir(folder.path())
        .arg("build")
        .stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let mut said = BufReader::new(running.stderr.take().unwrap()).lines();
    soon("the command to begin", async {
        while let Some(line) = said.next_line().await.unwrap() {
            if line == "begun" {
                return;
            }
        }
        panic!("the build ended before its command began");
    })
    .await;
    let of = |id: u32| rustix::process::Pid::from_raw(id.try_into().unwrap()).unwrap();
    let slow = fs::read_to_string(folder.path().join("pid")).unwrap();
    let slow = of(slow.trim().parse().unwrap());
    rustix::process::kill_process(of(running.id().unwrap()), rustix::process::Signal::INT).unwrap();
    let status = soon("the build to end", running.wait()).await.unwrap();
    assert!(!status.success(), "{status}");
    assert!(
        rustix::process::test_kill_process(slow).is_err(),
        "the command outlived the build"
    );
    let mut rest = String::new();
    while let Some(line) = said.next_line().await.unwrap() {
        rest += &line;
    }
    assert!(rest.contains("interrupted") && rest.contains("slow"), "{rest}");
}
