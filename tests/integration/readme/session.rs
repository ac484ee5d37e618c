//! A session at both terminals of the page: commands are typed in the one, and those that start the host have the other.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::page::{Block, matches};
use super::shell::{Environment, Served, Shell};
use crate::harness::Finished;

/// How the page starts the host.
const STARTS: [&str; 2] = ["cargo run --release -- up", "midplane up"];

/// Both terminals of a session: the host in the one, commands in the other.
pub struct Session {
    binary: PathBuf,
    /// Where commands are typed.
    pub folder: PathBuf,
    environment: Environment,
    shell: Shell,
    host: Option<Served>,
    starts: usize,
}

impl Session {
    pub async fn start(folder: &Path, environment: Environment) -> Self {
        for tool in ["bash", "curl", "sqlite3"] {
            let found = Command::new(tool).arg("--version").output();
            assert!(found.is_ok(), "the page uses {tool}, which is not installed");
        }
        Self {
            binary: binary().await,
            folder: folder.to_owned(),
            shell: Shell::start(folder, &environment),
            environment,
            host: None,
            starts: 0,
        }
    }

    /// Types the commands of a `console` block.
    pub async fn follow(&mut self, block: &Block) {
        for (line, command, expected) in block.commands() {
            let output = self.run(&command).await;
            assert!(
                matches(&expected, &output),
                "README.md:{line}: $ {command}\nexpected:\n{expected}\nbut it was:\n{output}"
            );
        }
    }

    async fn run(&mut self, command: &str) -> String {
        let (environment, start) = assignments(command);
        if let Some(arguments) = STARTS.iter().find_map(|own| start.strip_prefix(own)) {
            if let Some(host) = self.host.take() {
                host.stop().await;
            }
            self.starts += 1;
            let mut own = self.environment.clone();
            own.0.extend(environment);
            let served = Served::start(&self.binary, arguments, &self.folder, &own).await;
            let said = served.said();
            self.host = Some(served);
            return said;
        }
        if let Some(folder) = command.strip_prefix("cd ") {
            self.folder.push(folder);
        }
        // The page's way to run the host, where it does not serve.
        let command = command.replace("cargo run --release --", "midplane");
        match &self.host {
            None => self.shell.run(&command),
            Some(host) => host.as_the_page_has_it(&self.shell.run(&host.as_it_is(&command))),
        }
    }

    /// Ends the host, and returns how often one was started.
    pub async fn end(self) -> usize {
        self.host.expect("the page starts the host").stop().await;
        self.starts
    }
}

/// The variables before a command, as a shell reads them, and the command.
fn assignments(command: &str) -> (Vec<(OsString, OsString)>, &str) {
    let (mut found, mut rest) = (Vec::new(), command);
    while let Some((word, after)) = rest.split_once(' ')
        && let Some((name, value)) = word.split_once('=')
        && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    {
        found.push((name.into(), value.into()));
        rest = after;
    }
    (found, rest)
}

/// Variables with which `midplane` is the host of this test's profile.
pub async fn with_midplane(folder: &Path) -> Environment {
    let tools = folder.join("tools");
    fs::create_dir_all(&tools).expect("the folder is ours");
    symlink(binary().await, tools.join("midplane")).expect("the folder is ours");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&path)));
    Environment(vec![("PATH".into(), path.expect("the folder is a path"))])
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
