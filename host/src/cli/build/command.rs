//! One shell command: its own process group, its output line by line, its end.
//!
//! A command reads nothing from the terminal. When it is dropped unfinished, its whole group is killed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::BuildError;

/// How many lines of output are kept for the message of a failure.
const TAIL_LINES: usize = 60;
/// A longer line is broken, in bytes.
const MAX_LINE: usize = 16 * 1024;
/// How long a command may take to end once it was told to.
const GRACE: Duration = Duration::from_secs(2);
/// How long the output of a command is read after its end: something that it left behind may hold it open.
const LINGER: Duration = Duration::from_millis(500);

/// Variables that an outer Cargo sets for the program that it runs, and that a nested one must not see.
const OUTER_CARGO: [&str; 9] = [
    "CARGO",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
];
/// The same, by how their names begin.
const OUTER_CARGO_PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_BIN_EXE_", "CARGO_CFG_", "CARGO_FEATURE_"];

/// How a command ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Exit {
    /// By itself.
    Ended(ExitStatus),
    /// Because the build was stopped.
    Stopped,
}

/// Runs commands and tells what they say.
pub(super) struct Shell<'p> {
    progress: Mutex<&'p mut (dyn Write + Send)>,
    stopped: watch::Receiver<bool>,
    environment: Vec<(OsString, OsString)>,
}

/// What becomes of a command's output.
pub(super) struct Output<'n> {
    name: Option<&'n str>,
    quiet: bool,
    tail: VecDeque<String>,
}

impl<'n> Output<'n> {
    /// Output that is told, with `name` before each line.
    pub(super) fn new(name: Option<&'n str>) -> Self {
        Self {
            name,
            quiet: false,
            tail: VecDeque::new(),
        }
    }

    /// Output that is only kept.
    pub(super) fn quiet() -> Self {
        Self {
            name: None,
            quiet: true,
            tail: VecDeque::new(),
        }
    }

    /// The last lines.
    pub(super) fn into_tail(self) -> Vec<String> {
        self.tail.into()
    }

    fn line(&mut self, shell: &Shell<'_>, line: &[u8]) {
        let line = String::from_utf8_lossy(line)
            .trim_end_matches(['\n', '\r'])
            .to_owned();
        match self.name {
            _ if self.quiet => {}
            Some(name) => shell.say(&format!("{name} | {line}")),
            None => shell.say(&line),
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }
}

impl<'p> Shell<'p> {
    /// Commands get `environment` on top of the environment of this process, and end once `stopped` holds `true`.
    pub(super) fn new(
        progress: &'p mut (dyn Write + Send),
        stopped: watch::Receiver<bool>,
        environment: Vec<(OsString, OsString)>,
    ) -> Self {
        Self {
            progress: Mutex::new(progress),
            stopped,
            environment,
        }
    }

    /// Writes one line of progress. Nobody reading it is no reason to end a build.
    pub(super) fn say(&self, line: &str) {
        let mut progress = self
            .progress
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = writeln!(progress, "{line}").and_then(|()| progress.flush());
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Runs `line` with `sh -c` in `workdir`.
    pub(super) async fn run(
        &self,
        line: &str,
        workdir: &Path,
        output: &mut Output<'_>,
    ) -> Result<Exit, BuildError> {
        self.try_run(line, workdir, output)
            .await
            .map_err(|source| BuildError::Start {
                command: line.to_owned(),
                workdir: workdir.to_owned(),
                source,
            })
    }

    async fn try_run(&self, line: &str, workdir: &Path, output: &mut Output<'_>) -> io::Result<Exit> {
        // Both streams are one pipe, so that their lines stay in order.
        let (reader, writer) = io::pipe()?;
        let mut reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let mut group = Group::start(self.command(line, workdir, writer)?)?;

        let mut stopped = self.stopped.clone();
        let mut stopping = false;
        let mut open = true;
        let mut status = None;
        let mut deadline: Option<Instant> = None;
        let mut chunk = [0; 4096];
        let mut pending = Vec::new();
        while status.is_none() || open {
            // Cancel-safe: a read or wait that loses has taken nothing, and a watch keeps its value.
            tokio::select! {
                read = reader.read(&mut chunk), if open => match read {
                    Ok(0) | Err(_) => open = false,
                    Ok(read) => {
                        pending.extend_from_slice(chunk.get(..read).unwrap_or_default());
                        take_lines(&mut pending, |line| output.line(self, line));
                    }
                },
                ended = group.child.wait(), if status.is_none() => {
                    status = Some(ended?);
                    group.ended = true;
                    deadline = Some(Instant::now() + LINGER);
                }
                () = until_true(&mut stopped), if !stopping && status.is_none() => {
                    stopping = true;
                    group.signal(Signal::INT);
                    deadline = Some(Instant::now() + GRACE);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => break,
            }
        }
        if !pending.is_empty() {
            output.line(self, &pending);
        }
        if stopping {
            group.signal(Signal::KILL);
            return Ok(Exit::Stopped);
        }
        status
            .map(Exit::Ended)
            .ok_or_else(|| io::Error::other("the command ended without a status"))
    }

    fn command(&self, line: &str, workdir: &Path, writer: io::PipeWriter) -> io::Result<Command> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(line).current_dir(workdir);
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        command.process_group(0).kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if is_outer_cargo(&name.to_string_lossy()) {
                command.env_remove(&name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

/// Whether an outer Cargo sets the variable for what it runs. What users set for Cargo itself is kept.
fn is_outer_cargo(name: &str) -> bool {
    OUTER_CARGO.contains(&name) || OUTER_CARGO_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Waits until the watch holds `true`; for ever if it never will.
async fn until_true(watch: &mut watch::Receiver<bool>) {
    if watch.wait_for(|value| *value).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Gives every whole line of `pending` to `line` and keeps the rest.
fn take_lines(pending: &mut Vec<u8>, mut line: impl FnMut(&[u8])) {
    let mut rest = pending.as_slice();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (whole, after) = rest.split_at(end + 1);
        line(whole);
        rest = after;
    }
    if rest.len() >= MAX_LINE {
        line(rest);
        rest = &[];
    }
    let taken = pending.len() - rest.len();
    pending.drain(..taken);
}

/// A child that leads a process group.
struct Group {
    child: Child,
    leader: Option<Pid>,
    ended: bool,
}

impl Group {
    /// Takes the command by value: it holds this process's end of the pipe, which must close.
    fn start(mut command: Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Ok(Self {
            child,
            leader,
            ended: false,
        })
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // It fails where nothing is left of the group, which is what is wanted.
            let _ = kill_process_group(leader, signal);
        }
    }
}

/// What ended well may have left something behind on purpose; what did not end is killed whole.
impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_an_outer_cargo_are_told_from_settings_of_the_user() {
        for name in [
            "CARGO",
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_VERSION_MAJOR",
            "CARGO_BIN_EXE_midplane",
        ] {
            assert!(is_outer_cargo(name), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_NET_OFFLINE",
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "PATH",
        ] {
            assert!(!is_outer_cargo(name), "{name}");
        }
    }

    #[test]
    fn lines_are_taken_whole_and_endless_ones_are_broken() {
        let mut pending = b"one\ntwo\nthr".to_vec();
        let mut lines = Vec::new();
        take_lines(&mut pending, |line| lines.push(line.to_vec()));
        assert_eq!(lines, [b"one\n".to_vec(), b"two\n".to_vec()]);
        assert_eq!(pending, b"thr");

        let mut pending = vec![b'x'; MAX_LINE];
        let mut lengths = Vec::new();
        take_lines(&mut pending, |line| lengths.push(line.len()));
        assert_eq!((lengths, pending), (vec![MAX_LINE], Vec::new()));
    }
}
