//! Which commands run, and which of them must not run at the same time. Reads `Cargo.toml` files, writes nothing.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::manifest::Service;
use crate::model::ServiceName;

/// No more of a `Cargo.toml` is read, in bytes.
const MAX_CARGO_TOML: u64 = 1024 * 1024;

/// Commands that run once, for every service that asks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) services: Vec<ServiceName>,
    pub(super) command: Vec<String>,
    pub(super) workdir: PathBuf,
}

/// Jobs that run one after the other.
pub(super) type Lane = Vec<Job>;

impl Job {
    /// Whether a command uses Rust's own tools.
    pub(super) fn is_rust(&self) -> bool {
        self.words().any(|word| matches!(word, "cargo" | "rustc"))
    }

    /// The words of all commands, as far as blanks and shell operators part them.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.command
            .iter()
            .flat_map(|line| line.split(|c: char| c.is_whitespace() || ";|&()\"'=".contains(c)))
            .filter(|word| !word.is_empty())
    }
}

/// The jobs of `services`, equal ones as one, in lanes. Services without a build are left out.
pub(super) fn lanes(services: &[&Service]) -> Vec<Lane> {
    let mut jobs: Vec<Job> = Vec::new();
    for service in services {
        let Some(build) = &service.build else { continue };
        match jobs
            .iter_mut()
            .find(|job| job.command == build.command && job.workdir == build.workdir)
        {
            Some(job) => job.services.push(service.name.clone()),
            None => jobs.push(Job {
                services: vec![service.name.clone()],
                command: build.command.clone(),
                workdir: build.workdir.clone(),
            }),
        }
    }
    let mut lanes: Vec<(PathBuf, Lane)> = Vec::new();
    for job in jobs {
        let place = place(&job);
        match lanes.iter_mut().find(|(other, _)| *other == place) {
            Some((_, lane)) => lane.push(job),
            None => lanes.push((place, vec![job])),
        }
    }
    lanes.into_iter().map(|(_, lane)| lane).collect()
}

/// What a job has for itself: the target directory of its Cargo workspace (which Cargo locks), or else the directory
/// that it runs in.
fn place(job: &Job) -> PathBuf {
    let workdir = job.workdir.canonicalize().unwrap_or_else(|_| job.workdir.clone());
    if !job.is_rust() {
        return workdir;
    }
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => workdir.join(target),
        None => workspace(&workdir).map_or(workdir.clone(), |root| root.join("target")),
    }
}

/// The root of the Cargo workspace that `dir` is in: the nearest directory whose `Cargo.toml` has a `[workspace]`,
/// or else the nearest that has a `Cargo.toml`.
fn workspace(dir: &Path) -> Option<PathBuf> {
    let packages = || dir.ancestors().filter(|dir| dir.join("Cargo.toml").is_file());
    packages()
        .find(|dir| has_workspace(&dir.join("Cargo.toml")))
        .or_else(|| packages().next())
        .map(Path::to_owned)
}

fn has_workspace(file: &Path) -> bool {
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(MAX_CARGO_TOML).read_to_string(&mut text));
    read.is_ok()
        && text
            .lines()
            .any(|line| line.starts_with("[workspace]") || line.starts_with("[workspace."))
}
