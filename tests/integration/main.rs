//! Black-box tests of the host: every file is one surface, driven from outside the process.

mod admin;
mod architecture;
mod build;
mod capability;
mod check;
mod cli;
mod compose;
mod durability;
mod fault;
mod harness;
mod hostile;
mod http;
mod limit;
mod link;
mod logging;
mod readme;
mod rollout;
mod sandbox;
mod scaffold;
mod services;
mod shop;
mod shutdown;
mod storm;
mod testing;
mod watch;

use std::fs;
use std::path::Path;

/// A guest that nobody drives is dead weight, or a test that somebody forgot.
#[test]
fn every_fixture_is_driven_by_a_test() {
    let mut sources = String::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("integration"),
        &mut sources,
    );
    let folders = fs::read_dir(harness::fixtures_folder()).expect("the fixtures are beside the tests");
    let mut fixtures = 0;
    for folder in folders {
        let folder = folder.expect("the folder is readable").path();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if !manifest.contains("cdylib") {
            continue;
        }
        fixtures += 1;
        let name = folder
            .file_name()
            .expect("a folder has a name")
            .to_string_lossy()
            .into_owned();
        assert!(
            sources.contains(&format!("\"{name}\"")),
            "no test names the fixture {name}"
        );
    }
    assert!(fixtures > 0, "no fixtures were found");
}

fn collect(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).expect("the sources are readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            collect(&path, sources);
        } else {
            sources.push_str(&fs::read_to_string(path).expect("a source is text"));
        }
    }
}
