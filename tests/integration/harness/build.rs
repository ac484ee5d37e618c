//! Builds the guests and the host binary, once per test run.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The folder of the fixtures' sources.
pub fn fixtures_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The component of a fixture, built.
pub fn fixture(name: &str) -> PathBuf {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let target = target_folder().join("fixtures");
        let mut build = cargo(&fixtures_folder(), &target);
        build.args(["build", "--release", "--locked", "--target", "wasm32-wasip2"]);
        run(build, "the fixtures do not build")?;
        Ok(target.join("wasm32-wasip2/release"))
    });
    let folder = folder.as_ref().unwrap_or_else(|failure| panic!("{failure}"));
    let file = folder.join(name.replace('-', "_")).with_extension("wasm");
    assert!(
        file.is_file(),
        "there is no fixture {name}: {} is missing",
        file.display()
    );
    file
}

/// The component of one of the shop's services, built as its manifest says.
pub fn component(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, Result<(), String>>> = Mutex::new(BTreeMap::new());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../components");
    let target = folder.join("target");
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = built.entry(name.to_owned()).or_insert_with(|| {
        let mut build = cargo(&folder, &target);
        build.args([
            "build",
            "--release",
            "--locked",
            "--target",
            "wasm32-wasip2",
            "--package",
            name,
        ]);
        run(build, "the component does not build")
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    target
        .join("wasm32-wasip2/release")
        .join(name)
        .with_extension("wasm")
}

/// A folder for the sources of a workspace that a test makes, kept from run to run.
pub fn workshop(name: &str) -> PathBuf {
    target_folder().join("fixtures").join(name)
}

/// Builds the components of a workspace in a [`workshop`], and returns the folder that has them then. To be called once
/// in a test run for each.
pub fn workspace(folder: &Path) -> PathBuf {
    let target = folder.join("target");
    let mut build = cargo(folder, &target);
    build.args(["build", "--release", "--target", "wasm32-wasip2"]);
    if let Err(failure) = run(build, "the components of a test do not build") {
        panic!("{failure}");
    }
    target.join("wasm32-wasip2/release")
}

/// The host binary of the profile that this test was built with.
pub fn binary() -> &'static Path {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let file = BUILT.get_or_init(|| {
        let folder = profile_folder();
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") => "dev",
            Some(name) => name,
            None => panic!("{} has no name", folder.display()),
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut build = cargo(&root, &target_folder());
        build.args([
            "build",
            "--locked",
            "--profile",
            profile,
            "--package",
            "midplane",
            "--bin",
            "midplane",
        ]);
        run(build, "the host does not build")?;
        Ok(folder.join("midplane"))
    });
    file.as_ref().unwrap_or_else(|failure| panic!("{failure}"))
}

/// Where hosts of one run share what they compiled.
pub fn cache_folder() -> PathBuf {
    target_folder().join("fixtures/cache")
}

/// `target/<profile>`: tests run from `target/<profile>/deps`.
fn profile_folder() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own file");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("tests run from target/<profile>/deps");
    folder.to_owned()
}

fn target_folder() -> PathBuf {
    let mut folder = profile_folder();
    folder.pop();
    folder
}

/// A cargo that knows nothing of the one that runs the tests.
fn cargo(folder: &Path, target: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).env("CARGO_TARGET_DIR", target);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_this_package = text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_");
        if of_this_package || ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"].contains(&&*text)
        {
            command.env_remove(name);
        }
    }
    command
}

/// A build that fails fails every test, and is not tried again for each.
fn run(mut command: Command, failure: &str) -> Result<(), String> {
    let output = command.output().expect("cargo starts");
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{failure}:\n{}", String::from_utf8_lossy(&output.stderr)))
}
