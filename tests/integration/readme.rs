//! `README.md`, executed. What it shows is what happens:
//!
//! - `console` blocks are typed into one shell, one after another: `$` begins a command, what follows up to the next one
//!   is its whole output. `…` stands for any text within a line, a line of `…` alone for any number of lines.
//!   `cargo run --release --` and `midplane` are the host of this test's profile, ports 3000 and 3001 are free ones, and so is
//!   4318, behind which something takes spans;
//! - the section [`WRITING`] is a session of its own, in which a `diff` block changes files as it says;
//! - a `toml` or `rust` block is the file that its first line names: the service of the page is built from them and
//!   served, the Rust ones are tests of this folder, or the fixtures that other tests drive;
//! - a `mermaid` block is the picture of the shop;
//! - a `sh` block is not executed, and stands in [`NOT_EXECUTED`] with the reason.

mod alone;
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

/// The section that begins with a new app.
const WRITING: &str = "Writing a service";
/// Where the page has a collector of traces.
const COLLECTOR: &str = "127.0.0.1:4318";

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
        .filter(|block| block.kind == "console" && block.section != WRITING)
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
    for block in blocks.iter().filter(|block| block.section == WRITING) {
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
        [10, 1],
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
            block.kind != "diff" || block.section == WRITING,
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

#[tokio::test]
async fn the_commands_and_options_of_the_page_are_those_of_the_binary() {
    let folder = tempfile::tempdir().unwrap();
    let page = readme();
    let help = Finished::of(&["--help"], folder.path()).await.stdout;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 6, "{help}");
    for command in commands {
        assert!(
            page.contains(&format!("| `midplane {command}")),
            "README.md has no row for `midplane {command}`"
        );
        let help = Finished::of(&[command, "--help"], folder.path()).await.stdout;
        let is_flag = |word: &&str| word.starts_with("--") && word.len() > 2;
        let options: Vec<&str> = help
            .split_whitespace()
            .filter(is_flag)
            .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
            .filter(|word| *word != "--help" && *word != "--file")
            .collect();
        assert!(options.len() >= 4, "{help}");
        for option in options {
            assert!(
                page.contains(option),
                "README.md does not name {option} of {command}"
            );
        }
    }
}

/// What stands in a table at the head of a source, in the first column, in backticks.
fn first_column(source: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("host/src").join(source)).expect("the source is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

#[test]
fn the_metrics_and_the_variables_of_tracing_are_on_the_page() {
    let page = readme();
    let metrics = first_column("telemetry/metrics.rs");
    assert!(metrics.len() > 20, "{metrics:?}");
    for metric in metrics {
        assert!(
            page.contains(&format!("`{metric}`")),
            "README.md does not name {metric}"
        );
    }
    let variables = first_column("telemetry/trace/settings.rs");
    assert!(variables.len() > 12, "{variables:?}");
    for variable in variables {
        // `OTEL_EXPORTER_OTLP_TRACES_…` and `OTEL_EXPORTER_OTLP_…` are told by what differs.
        let short = variable
            .strip_prefix("OTEL_EXPORTER_OTLP_TRACES")
            .or_else(|| variable.strip_prefix("OTEL_EXPORTER_OTLP"));
        let short = short.unwrap_or(&variable);
        assert!(page.contains(short), "README.md does not name {variable}");
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
        "manifest/raw/dependency.rs",
        "manifest/raw/link.rs",
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
