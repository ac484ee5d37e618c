//! `README.md`, executed. What it shows is what happens:
//!
//! - `console` blocks are typed into one shell, one after another: `$` begins a command, what follows up to the next one
//!   is its whole output. `…` stands for any text within a line, a line of `…` alone for any number of lines.
//!   `cargo run --release --` and `midplane` are the host of this test's profile, ports 3000 and 3001 are free ones, and so is
//!   4318, behind which something takes spans;
//! - the sections [`APP`] are a session of their own, in which a `diff` block changes files as it says;
//! - a `toml` or `rust` block is the file that its first line names: the service of the page is built from them and
//!   served, the Rust ones are tests of this folder, or the fixtures that other tests drive;
//! - a `mermaid` block is the picture of the shop;
//! - a `sh` block is not executed, and stands in [`NOT_EXECUTED`] with the reason.

mod alone;
mod listed;
mod page;
mod session;
mod shell;

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::harness::{Finished, TestHost, Upstream, component, fixtures_folder};
use crate::scaffold::{guest_build, new_app_folder};

use page::{Block, patched};
use session::{Session, with_midplane};

/// The sections about a new app: it is made, and then changed while it is served.
const APP: [&str; 2] = ["Writing a service", "Hot swap"];
/// Where the page has a collector of traces.
const COLLECTOR: &str = "127.0.0.1:4318";

/// `sh` blocks, and why nobody runs them here.
const NOT_EXECUTED: [(&str, &str); 4] = [
    ("cargo test", "it is what runs this test"),
    (
        "cargo install --path host",
        "it builds the same binary anew, for minutes",
    ),
    (
        "cargo run --release -p midplane-storm --bin swap-storm -- --requests 10000000 --swaps 1000",
        "it takes an optimised host and very long; `storm.rs` runs the short form",
    ),
    (
        "cargo run --release -p midplane-fault --bin fault-storm\n\
         cargo run --release -p midplane-crash --bin crash-storm -- --kills 1000",
        "they take an optimised host and very long; `fault.rs` and `durability.rs` run the short forms",
    ),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("the page is there")
}

fn is_app(block: &Block) -> bool {
    APP.contains(&block.section.as_str())
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

#[tokio::test]
async fn every_command_of_the_page_does_what_the_page_says() {
    let collector = Upstream::start().await;
    let text = readme().replace(COLLECTOR, &collector.address.to_string());
    let folder = checkout();
    let tools = tempfile::tempdir().expect("the system has a temporary folder");
    let environment = with_midplane(tools.path()).await;
    let mut session = Session::start(folder.path(), environment).await;
    let blocks = page::blocks(&text);
    for block in blocks
        .iter()
        .filter(|block| block.kind == "console" && !is_app(block))
    {
        session.follow(block).await;
    }
    collector.requests(1).await;
    let seen = collector.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("POST", "/v1/traces")
    );
    let is_span =
        |(name, value): &(String, String)| name == "content-type" && value == "application/x-protobuf";
    assert!(seen[0].headers.iter().any(is_span), "{seen:?}");
    assert_eq!(session.end().await, 3, "the page starts the host three times");
}

#[tokio::test]
async fn the_picture_of_the_page_is_that_of_the_shop() {
    let folder = checkout();
    for service in ["auth", "catalog", "orders"] {
        component(service);
    }
    let check = ["check", "--quiet", "--format", "mermaid"];
    let picture = Finished::of(&check, folder.path()).await;
    let blocks = page::blocks(&readme());
    let shown: Vec<&str> = blocks
        .iter()
        .filter(|block| block.kind == "mermaid")
        .map(|block| block.text.as_str())
        .collect();
    assert_eq!(shown, [picture.stdout.as_str()], "{}", picture.stderr);
}

#[tokio::test]
async fn a_new_app_becomes_what_the_page_says() {
    let folder = new_app_folder("readme");
    let mut environment = with_midplane(&folder).await;
    environment.0.extend(guest_build());
    let mut session = Session::start(&folder, environment).await;
    let blocks = page::blocks(&readme());
    let mut added = Vec::new();
    for block in blocks.iter().filter(|block| is_app(block)) {
        match block.kind.as_str() {
            "console" => session.follow(block).await,
            "diff" => {
                let place = &session.folder;
                let (files, lines) = patched(&block.text, |name| {
                    fs::read_to_string(place.join(name)).expect("a file that the page changes is there")
                });
                for (name, text) in files {
                    fs::write(place.join(name), text).expect("the folder is ours");
                }
                added.push(lines);
                // The versions that the services of this repository were tested with.
                let lock = root().join("components/Cargo.lock");
                fs::copy(lock, place.join("components/Cargo.lock")).expect("the folder is ours");
            }
            _ => {}
        }
    }
    assert_eq!(
        added,
        [10, 1, 0, 1],
        "the page says that the third service takes ten lines"
    );
    assert_eq!(session.end().await, 1);
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
        let kinds = ["console", "sh", "toml", "rust", "diff", "mermaid"];
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
        assert!(
            block.kind != "diff" || is_app(block),
            "README.md:{}: a diff that nobody applies",
            block.line
        );
    }
}

#[test]
fn the_rust_of_the_page_is_what_the_tests_run() {
    let blocks = page::blocks(&readme());
    let shown: Vec<&str> = blocks
        .iter()
        .filter(|block| block.kind == "rust")
        .filter_map(Block::file_name)
        .collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    for path in shown {
        let text = fs::read_to_string(root().join(path)).expect("the file that the page names is there");
        let code: Vec<&str> = text
            .lines()
            .skip_while(|line| line.starts_with("//!") || line.is_empty())
            .collect();
        assert_eq!(
            file(&blocks, path).trim(),
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

#[test]
fn every_link_of_the_page_leads_somewhere() {
    let page = readme();
    let targets: Vec<&str> = page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect();
    assert!(targets.len() > 5, "the page has {} links", targets.len());
    let headings: Vec<String> = page
        .lines()
        .filter(|line| line.starts_with("##"))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
        })
        .collect();
    for target in targets
        .into_iter()
        .filter(|target| !target.starts_with("https://"))
    {
        let is_there = match target.strip_prefix('#') {
            Some(heading) => headings.iter().any(|own| own == heading),
            None => root().join(target).exists(),
        };
        assert!(is_there, "README.md links to {target}, which is not there");
    }
}
