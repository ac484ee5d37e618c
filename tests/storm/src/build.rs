//! Builds what the program runs: the host, and the guests.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::deck::Guests;

const GUESTS: [&str; 6] = [
    "storm-front-p2",
    "storm-back-p2",
    "storm-front-p3",
    "storm-back-p3",
    "storm-back-breaking",
    "hello-p2",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `target`: the program runs from `target/<profile>`.
fn target_folder() -> anyhow::Result<PathBuf> {
    let program = env::current_exe().context("the program does not know its own file")?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder
        .context("the program runs from target/<profile>")?
        .to_owned())
}

/// Where hosts keep what they compiled, from one storm to the next.
///
/// # Errors
/// If the program does not run from the folder that it was built in.
pub fn cache_folder() -> anyhow::Result<PathBuf> {
    Ok(target_folder()?.join("fixtures/cache"))
}

/// The host, built for release.
///
/// # Errors
/// If it does not build.
pub fn host() -> anyhow::Result<PathBuf> {
    let target = target_folder()?;
    run(
        &root(),
        &target,
        &["--release", "--package", "midplane", "--bin", "midplane"],
    )?;
    Ok(target.join("release/midplane"))
}

/// The guests.
///
/// # Errors
/// If they do not build.
pub fn guests() -> anyhow::Result<Guests> {
    let folder = fixtures(&GUESTS)?;
    let [front_p2, back_p2, front_p3, back_p3, breaking, bare] =
        GUESTS.map(|guest| folder.join(guest.replace('-', "_")).with_extension("wasm"));
    Ok(Guests {
        front_p2,
        back_p2,
        front_p3,
        back_p3,
        breaking,
        bare,
    })
}

/// Builds fixtures and returns the folder of their components, which have `_` for each `-` in their names.
///
/// # Errors
/// If they do not build.
pub fn fixtures(names: &[&str]) -> anyhow::Result<PathBuf> {
    let target = target_folder()?.join("fixtures");
    let mut arguments = vec!["--release", "--target", "wasm32-wasip2"];
    for name in names {
        arguments.extend(["--package", name]);
    }
    run(&root().join("tests/fixtures"), &target, &arguments)?;
    Ok(target.join("wasm32-wasip2/release"))
}

/// `cargo build`, which knows nothing of the cargo that runs this.
fn run(folder: &Path, target: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).env("CARGO_TARGET_DIR", target);
    command.args(["build", "--locked"]).args(arguments);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let status = command.status().context("cargo does not start")?;
    ensure!(
        status.success(),
        "cargo build {} fails in {}",
        arguments.join(" "),
        folder.display()
    );
    Ok(())
}
