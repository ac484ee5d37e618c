//! The Wasm target that a build command compiles for: found in the command, installed with rustup where it is missing.
//!
//! Everything runs in the directory and environment of the command itself, since both choose the toolchain
//! (`rust-toolchain.toml`, `RUSTUP_TOOLCHAIN`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::BuildError;
use super::command::{Exit, Output, Shell};
use super::plan::Job;
use crate::model::ServiceName;

/// A target of one toolchain: what `rustup` would be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    workdir: PathBuf,
    /// `nightly` of `cargo +nightly`.
    toolchain: Option<String>,
    target: String,
}

/// Makes sure that the targets that `jobs` name are installed.
pub(super) async fn install(jobs: impl Iterator<Item = &Job>, shell: &Shell<'_>) -> Result<(), BuildError> {
    let mut needs: BTreeMap<Need, Vec<ServiceName>> = BTreeMap::new();
    for job in jobs {
        for need in needs_of(job) {
            needs
                .entry(need)
                .or_default()
                .extend(job.services.iter().cloned());
        }
    }
    for (need, services) in needs {
        if !shell.is_stopped() && !is_installed(&need, shell).await? {
            add(&need, services, shell).await?;
        }
    }
    Ok(())
}

/// The Wasm targets in the commands of a job that uses Rust.
fn needs_of(job: &Job) -> Vec<Need> {
    if !job.is_rust() {
        return Vec::new();
    }
    let toolchain = job
        .words()
        .find_map(|word| word.strip_prefix('+'))
        .filter(|name| is_plain(name));
    let targets = job
        .words()
        .filter(|word| word.starts_with("wasm32-") && is_plain(word));
    targets
        .map(|target| Need {
            workdir: job.workdir.clone(),
            toolchain: toolchain.map(str::to_owned),
            target: target.to_owned(),
        })
        .collect()
}

/// Whether the shell takes `word` as it stands.
fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Asks rustup, and where there is none (or it does not manage this toolchain) looks where rustc looks.
async fn is_installed(need: &Need, shell: &Shell<'_>) -> Result<bool, BuildError> {
    let list = format!("rustup target list --installed{}", need.toolchain_option());
    if let Some(installed) = quietly(&list, &need.workdir, shell).await? {
        return Ok(installed.iter().any(|line| line.trim() == need.target));
    }
    let toolchain = need
        .toolchain
        .as_ref()
        .map_or(String::new(), |toolchain| format!(" +{toolchain}"));
    let sysroot = quietly(&format!("rustc{toolchain} --print sysroot"), &need.workdir, shell).await?;
    let sysroot = sysroot.and_then(|lines| lines.last().map(PathBuf::from));
    Ok(sysroot.is_some_and(|sysroot| sysroot.join("lib/rustlib").join(&need.target).is_dir()))
}

async fn add(need: &Need, services: Vec<ServiceName>, shell: &Shell<'_>) -> Result<(), BuildError> {
    let command = format!("rustup target add{} {}", need.toolchain_option(), need.target);
    shell.say(&format!("Installing the Rust target {}: {command}", need.target));
    let mut output = Output::new(None);
    let detail = match shell.run(&command, &need.workdir, &mut output).await? {
        Exit::Ended(status) if status.success() => return Ok(()),
        Exit::Stopped => return Ok(()),
        Exit::Ended(status) if status.code() == Some(127) => {
            "there is no rustup to install it with (https://rustup.rs)".to_owned()
        }
        Exit::Ended(status) => format!("rustup ended with {status}"),
    };
    Err(BuildError::MissingTarget {
        target: need.target.clone(),
        services,
        detail,
        command,
    })
}

/// The lines that a command prints, if it ends well.
async fn quietly(
    command: &str,
    workdir: &Path,
    shell: &Shell<'_>,
) -> Result<Option<Vec<String>>, BuildError> {
    let mut output = Output::quiet();
    let exit = shell.run(command, workdir, &mut output).await?;
    Ok(matches!(exit, Exit::Ended(status) if status.success()).then(|| output.into_tail()))
}

impl Need {
    fn toolchain_option(&self) -> String {
        self.toolchain
            .as_ref()
            .map_or_else(String::new, |toolchain| format!(" --toolchain {toolchain}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(command: &str) -> Vec<(Option<String>, String)> {
        let job = Job {
            services: Vec::new(),
            command: vec![command.to_owned()],
            workdir: PathBuf::from("/nowhere"),
        };
        needs_of(&job)
            .into_iter()
            .map(|need| (need.toolchain, need.target))
            .collect()
    }

    #[test]
    fn a_target_is_found_in_commands_that_use_rust() {
        let p2 = "wasm32-wasip2".to_owned();
        assert_eq!(
            needs("cargo build --target wasm32-wasip2 --release"),
            [(None, p2.clone())]
        );
        assert_eq!(
            needs("cd x && cargo build --target=wasm32-wasip2"),
            [(None, p2.clone())]
        );
        assert_eq!(
            needs("cargo +nightly build --target wasm32-wasip2"),
            [(Some("nightly".to_owned()), p2)]
        );
        assert_eq!(
            needs("cargo b --target wasm32-unknown-unknown"),
            [(None, "wasm32-unknown-unknown".to_owned())]
        );
        assert_eq!(needs("cargo component build"), []);
        assert_eq!(needs("tinygo build -target=wasip2"), []);
        assert_eq!(needs("make wasm32-wasip2"), []);
        assert_eq!(needs("cargo build --target wasm32-$X"), []);
    }
}
