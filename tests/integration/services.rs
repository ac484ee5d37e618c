//! The services' own tests: their domains, their adapters and their HTTP edges, natively, by the workspace that they live in.

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_services_pass_their_own_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["test", "--workspace", "--locked", "--manifest-path"])
        .arg(root.join("components/Cargo.toml"))
        .stdin(Stdio::null());
    // The cargo that runs this test sets these for its own workspace.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_TARGET_DIR"
        {
            cargo.env_remove(name.as_ref());
        }
    }
    let ran = cargo.output().expect("cargo can be started");
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let passed: usize = text
        .lines()
        .filter_map(|line| {
            line.strip_prefix("test result: ok. ")?
                .split(' ')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .sum();
    // A workspace that lost its tests would pass too.
    assert!(passed > 100, "only {passed} tests ran:\n{text}");
}
