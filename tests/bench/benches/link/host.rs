//! The real host, as a process: built with the profile of the benchmark, on an app in a folder of its own.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use midplane_bench::link::{Guests, manifest};
use serde_json::Value;
use tempfile::TempDir;

/// A host that serves. Dropping it ends the process.
pub struct Host {
    /// Where it serves.
    pub address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Host {
    /// Builds everything that is not, and starts a host with these variables.
    pub fn start(environment: &[(&str, String)]) -> Self {
        let binary = binary();
        let guests = guests();
        let guest = |name: &str| guests.join(name).with_extension("wasm");
        let text = manifest(Guests {
            caller_p2: &guest("link_bench_caller_p2"),
            caller_p3: &guest("link_bench_caller_p3"),
            callee_p2: &guest("link_bench_callee_p2"),
            callee_p3: &guest("link_bench_callee_p3"),
        });
        let folder = TempDir::with_prefix("midplane-bench-").expect("the system has a temporary folder");
        fs::write(folder.path().join("spin.toml"), text).expect("the folder is ours");
        let log = folder.path().join("log");
        let mut child = Command::new(binary)
            .current_dir(folder.path())
            .args([
                "up",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--format",
                "json",
            ])
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .env("MIDPLANE_CACHE_DIR", target_folder().join("fixtures/cache"))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("the folder is ours"))
            .spawn()
            .expect("the host starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let Some(address) = address(&mut stdout) else {
            panic!(
                "the host does not serve:\n{}",
                fs::read_to_string(&log).unwrap_or_default()
            );
        };
        Self {
            address,
            child,
            _folder: folder,
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the host says that it serves. What it prints afterwards nobody reads: it prints nothing more.
fn address(stdout: &mut impl BufRead) -> Option<SocketAddr> {
    let mut text = String::new();
    while stdout.read_line(&mut text).is_ok_and(|bytes| bytes > 0) {
        if let Ok(value) = serde_json::from_str::<Value>(&text)
            && let Some(url) = value.get("base_url").and_then(Value::as_str)
        {
            return url.strip_prefix("http://")?.trim_end_matches('/').parse().ok();
        }
    }
    None
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `target/<profile>`: a benchmark runs from `target/<profile>/deps`.
fn profile_folder() -> PathBuf {
    let bench = env::current_exe().expect("a program knows its own file");
    let folder = bench.parent().and_then(Path::parent);
    folder
        .expect("benchmarks run from target/<profile>/deps")
        .to_owned()
}

fn target_folder() -> PathBuf {
    profile_folder().join("..")
}

/// The host of the profile that this was built with.
fn binary() -> PathBuf {
    let folder = profile_folder();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = cargo(&root(), &target_folder());
    cargo.args(["--profile", profile, "--package", "midplane", "--bin", "midplane"]);
    run(cargo);
    folder.join("midplane")
}

/// The folder of the compiled guests.
fn guests() -> PathBuf {
    let target = target_folder().join("fixtures");
    let mut cargo = cargo(&root().join("tests/fixtures"), &target);
    cargo.args(["--release", "--target", "wasm32-wasip2"]);
    for guest in ["caller-p2", "caller-p3", "callee-p2", "callee-p3"] {
        cargo.arg("--package").arg(format!("link-bench-{guest}"));
    }
    run(cargo);
    target.join("wasm32-wasip2/release")
}

/// `cargo build`, which knows nothing of the cargo that runs this.
fn cargo(folder: &Path, target: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).env("CARGO_TARGET_DIR", target);
    command.args(["build", "--locked"]);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

fn run(mut cargo: Command) {
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "{cargo:?} fails");
}
