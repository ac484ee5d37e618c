//! `README.md`, executed. What it shows is what happens:
//!
//! - `console` blocks are typed into one shell, one after another: `$` begins a command, what follows up to the next one
//!   is its whole output. `…` stands for any text within a line, a line of `…` alone for any number of lines.
//!   `cargo run --release --` is the host of this test's profile, and ports 3000 and 3001 are free ones;
//! - a `toml` or `rust` block is the file that its first line names: the service of the page is built from them and
//!   served, the Rust ones are the fixtures that other tests drive;
//! - a `sh` block is not executed, and stands in [`NOT_EXECUTED`] with the reason.

mod page;
mod shell;

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Finished, TestHost, fixtures_folder};

use page::{Block, matches};
use shell::{Served, Shell};

/// `sh` blocks, and why nobody runs them here.
const NOT_EXECUTED: [(&str, &str); 2] = [
    ("cargo test", "it is what runs this test"),
    (
        "cargo install --path host",
        "it builds the same binary anew, for minutes",
    ),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("the page is there")
}

/// The block that is the file of this name, without the line that names it.
fn file(blocks: &[Block], name: &str) -> String {
    let found = blocks.iter().find(|block| block.file_name() == Some(name));
    let block = found.unwrap_or_else(|| panic!("README.md shows no {name}"));
    block
        .text
        .split_once('\n')
        .map_or_else(String::new, |(_, text)| text.to_owned())
}

/// A directory that looks like the repository to the commands of the page, with a state of its own.
fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    fs::copy(root().join("spin.toml"), folder.path().join("spin.toml")).expect("the manifest is there");
    for name in ["components", "wit"] {
        let real = root().join(name).canonicalize().expect("the repository is whole");
        symlink(real, folder.path().join(name)).expect("the folder is ours");
    }
    folder
}

/// The host of this test's profile, which the harness builds.
async fn binary() -> PathBuf {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let version = Finished::of(&["--version"], folder.path()).await;
    assert!(version.status.success(), "{version:?}");
    let test = env::current_exe().expect("a test knows its own file");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("tests run from target/<profile>/deps");
    profile.join("midplane")
}

#[tokio::test]
async fn every_command_of_the_page_does_what_the_page_says() {
    for tool in ["bash", "curl", "sqlite3"] {
        let found = Command::new(tool).arg("--version").output();
        assert!(found.is_ok(), "the page uses {tool}, which is not installed");
    }
    let binary = binary().await;
    let folder = checkout();
    let mut host: Option<Served> = None;
    let mut shell = Shell::start(folder.path());
    let mut starts = 0;
    for block in page::blocks(&readme())
        .iter()
        .filter(|block| block.kind == "console")
    {
        for (line, command, expected) in block.commands() {
            let output = if let Some(arguments) = command.strip_prefix("cargo run --release -- up") {
                starts += 1;
                if let Some(host) = host.take() {
                    host.stop().await;
                }
                let served = Served::start(&binary, arguments, folder.path()).await;
                let said = served.said();
                host = Some(served);
                said
            } else {
                let host = host.as_ref().expect("the page starts the host first");
                host.as_the_page_has_it(&shell.run(&host.as_it_is(&command)))
            };
            assert!(
                matches(&expected, &output),
                "README.md:{line}: $ {command}\nexpected:\n{expected}\nbut it was:\n{output}"
            );
        }
    }
    assert_eq!(starts, 2, "the page starts the host twice");
    host.expect("the page starts the host").stop().await;
}

#[test]
fn what_is_not_executed_is_known() {
    let text = readme();
    let blocks = page::blocks(&text);
    let sh: Vec<&str> = blocks
        .iter()
        .filter(|block| block.kind == "sh")
        .map(|block| block.text.trim())
        .collect();
    let known: Vec<&str> = NOT_EXECUTED.iter().map(|(command, _)| *command).collect();
    assert_eq!(sh, known);
    for block in &blocks {
        let kinds = ["console", "sh", "toml", "rust"];
        assert!(
            kinds.contains(&block.kind.as_str()),
            "README.md:{}: a block of kind {:?}",
            block.line,
            block.kind
        );
        let is_file = matches!(block.kind.as_str(), "toml" | "rust");
        assert!(
            !is_file || block.file_name().is_some(),
            "README.md:{}: a block without a file name",
            block.line
        );
    }
}

#[test]
fn the_services_of_the_page_are_the_fixtures() {
    let blocks = page::blocks(&readme());
    for name in ["hello-p2", "hello-p3"] {
        let path = format!("tests/fixtures/{name}/src/lib.rs");
        let fixture = fs::read_to_string(root().join(&path)).expect("the fixture is there");
        let code: Vec<&str> = fixture
            .lines()
            .skip_while(|line| line.starts_with("//!") || line.is_empty())
            .collect();
        assert_eq!(
            file(&blocks, &path).trim(),
            code.join("\n"),
            "{path} is not as README.md shows it"
        );
    }
}

#[tokio::test]
async fn the_service_of_the_page_builds_and_serves_with_the_configuration_of_the_page() {
    let blocks = page::blocks(&readme());
    let app = TestHost::builder()
        .manifest(file(&blocks, "spin.toml"))
        .file("Cargo.toml", file(&blocks, "Cargo.toml"))
        .file("src/lib.rs", file(&blocks, "tests/fixtures/hello-p3/src/lib.rs"))
        .file("runtime.toml", file(&blocks, "runtime.toml"))
        .file("secrets.env", "GREETER_GREETING=unused\n");
    // The versions that the fixtures were tested with, and what was compiled for them.
    fs::copy(
        fixtures_folder().join("Cargo.lock"),
        app.folder().join("Cargo.lock"),
    )
    .expect("the folder is ours");
    build(app.folder());

    let app = app.arg("--runtime-config-file").arg("runtime.toml");
    let host = app.start().await;
    assert_eq!(host.get("/hello/ada").await.text(), "Hello, world!");
    assert_eq!(host.get("/version").await.text(), "0.1.0\n");
    assert_eq!(host.get("/").await.status, 404);
    let announced = host.announcement.to_string();
    assert!(
        announced.contains("/hello.db") && announced.contains("/hello-keys.db"),
        "{announced}"
    );
    host.stop().await;
}

/// The build command of the page's manifest, with the profile of the fixtures so that their dependencies are used again.
fn build(folder: &Path) {
    let target = env::current_exe().expect("a test knows its own file");
    let target = target
        .ancestors()
        .nth(3)
        .expect("tests run from target/<profile>/deps")
        .join("fixtures");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).env("CARGO_TARGET_DIR", &target);
    command.args(["build", "--release", "--target", "wasm32-wasip2"]);
    for setting in [
        "opt-level=\"s\"",
        "codegen-units=16",
        "panic=\"abort\"",
        "debug=\"line-tables-only\"",
        "strip=false",
    ] {
        command.arg("--config").arg(format!("profile.release.{setting}"));
    }
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
            || text == "RUSTFLAGS"
        {
            command.env_remove(name);
        }
    }
    let built = command.output().expect("cargo starts");
    assert!(
        built.status.success(),
        "the page's service does not build:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let place = folder.join("target/wasm32-wasip2/release");
    fs::create_dir_all(&place).expect("the folder is ours");
    fs::copy(
        target.join("wasm32-wasip2/release/hello.wasm"),
        place.join("hello.wasm"),
    )
    .expect("it was built");
}

#[tokio::test]
async fn the_options_of_the_page_are_those_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let help = Finished::of(&["up", "--help"], folder.path()).await.stdout;
    let page = readme();
    let is_flag = |word: &&str| word.starts_with("--") && word.len() > 2;
    let options: Vec<&str> = help
        .split_whitespace()
        .filter(is_flag)
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
        .filter(|word| *word != "--help" && *word != "--file")
        .collect();
    assert!(options.len() > 10, "{help}");
    for option in options {
        assert!(page.contains(option), "README.md does not name {option}");
    }
}

/// Every key that the host reads, and every one that it refuses by name, stands on the page.
#[test]
fn the_keys_of_the_page_are_those_that_the_host_reads() {
    let page = readme();
    let mut keys = Vec::new();
    for source in [
        "manifest/raw.rs",
        "manifest/raw/component.rs",
        "manifest/raw/trigger.rs",
        "host/runtime_config/section.rs",
    ] {
        let path = root().join("host/src").join(source);
        let text = fs::read_to_string(&path).expect("the source is there");
        for call in [
            ".optional",
            ".or_default",
            ".required",
            ".refuse",
            ".item",
            ".read",
        ] {
            for after in text.split(call).skip(1) {
                // `::<Type>` may stand between the call and its argument.
                let Some((between, argument)) = after.split_once('(') else {
                    continue;
                };
                let key = argument
                    .trim_start()
                    .strip_prefix('"')
                    .and_then(|rest| rest.split('"').next());
                if let Some(key) = key.filter(|_| between.is_empty() || between.starts_with("::<")) {
                    keys.push((source, key.to_owned()));
                }
            }
        }
    }
    assert!(keys.len() > 60, "{} keys were found", keys.len());
    for (source, key) in keys {
        // In prose as `key`, in a block of the runtime configuration as `key =` or `[key`.
        let forms = [
            format!("`{key}`"),
            format!("`{key} "),
            format!("\n{key} ="),
            format!("[{key}"),
            format!(".{key}]"),
        ];
        assert!(
            forms.iter().any(|form| page.contains(form)),
            "README.md does not name `{key}` of {source}"
        );
    }
}

/// A limit of the page is one of the bounds in `host/ARCHITECTURE.md`, which are held against the code.
#[test]
fn the_limits_of_the_page_are_those_of_the_architecture() {
    let architecture = fs::read_to_string(root().join("host/ARCHITECTURE.md")).expect("the page is there");
    let bounds: Vec<Vec<&str>> = architecture
        .lines()
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let page = readme();
    let rows = page
        .lines()
        .skip_while(|line| *line != "| limit | default |")
        .skip(2);
    let rows: Vec<Vec<&str>> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() > 10, "the table of limits has {} rows", rows.len());
    for row in rows {
        let value = row[2].split(" (").next().unwrap_or_default();
        let known = bounds
            .iter()
            .any(|bound| bound.len() > 3 && bound[1].starts_with(name(row[1])) && bound[2] == value);
        assert!(
            known,
            "{:?} with {value:?} is no bound of host/ARCHITECTURE.md",
            row[1]
        );
    }
}

/// Where the two pages word a bound differently.
fn name(limit: &str) -> &str {
    match limit {
        "time from the upload's last byte (at most 5 minutes) until a response begins, and between two bytes afterwards" => {
            "time of a request"
        }
        "time of a request in that queue" => "their wait",
        limit => limit,
    }
}

#[test]
fn every_link_of_the_page_leads_somewhere() {
    let page = readme();
    let targets: Vec<&str> = page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect();
    assert!(targets.len() > 5, "the page has {} links", targets.len());
    for target in targets
        .into_iter()
        .filter(|target| !target.starts_with("https://"))
    {
        assert!(
            root().join(target).exists(),
            "README.md links to {target}, which is not there"
        );
    }
}
