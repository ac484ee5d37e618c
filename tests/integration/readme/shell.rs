//! The terminals of the page: one in which the host runs, and one in which everything else is typed.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncBufReadExt as _;
use tokio::sync::watch;

/// The services of the shop are built within this time, with optimisation and from nothing.
const BUILD: Duration = Duration::from_secs(1200);
/// What the shell prints after each command.
const MARK: &str = "--- the command has ended ---";

/// Variables for what is run, beside those of this process that say nothing to it.
#[derive(Clone, Default)]
pub struct Environment(pub Vec<(OsString, OsString)>);

impl Environment {
    /// Variables of whoever runs the test, and of the cargo that does.
    fn unwanted() -> impl Iterator<Item = OsString> {
        const PREFIXES: [&str; 6] = [
            "MIDPLANE_",
            "SPIN_",
            "OTEL_",
            "CARGO_TARGET_DIR",
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
        ];
        let names = std::env::vars_os().map(|(name, _)| name);
        names.filter(|name| {
            let name = name.to_string_lossy();
            PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                || ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"].contains(&&*name)
        })
    }
}

/// A shell that keeps its variables from one command to the next.
pub struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    pub fn start(folder: &Path, environment: &Environment) -> Self {
        let mut command = Command::new("bash");
        for name in Environment::unwanted() {
            command.env_remove(name);
        }
        let mut child = command
            .args(["--noprofile", "--norc"])
            .current_dir(folder)
            .envs(environment.0.iter().map(|(name, value)| (name, value)))
            .env("LC_ALL", "C.UTF-8")
            // No settings of whoever runs the test: neither `.curlrc` and `.sqliterc` nor a proxy.
            .env("HOME", folder)
            .env("no_proxy", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, stdin, stdout }
    }

    /// What a command prints, errors included. Fails the test if the command fails.
    pub fn run(&mut self, command: &str) -> String {
        let script = format!("{{ {command}\n}} 2>&1 </dev/null; printf '\\n{MARK} %s\\n' $?\n");
        self.stdin.write_all(script.as_bytes()).expect("bash listens");
        let mut output = String::new();
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).expect("the output is text");
            assert!(read > 0, "bash ended at: {command}");
            if let Some(status) = line.strip_prefix(MARK) {
                assert_eq!(status.trim(), "0", "the status of: {command}\n{output}");
                return output;
            }
            output.push_str(&line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The host as the page starts it, but on free ports.
pub struct Served {
    child: tokio::process::Child,
    said: Arc<Mutex<String>>,
    /// What the page calls `127.0.0.1:3000` and `127.0.0.1:3001`.
    addresses: [(&'static str, String); 2],
}

impl Served {
    pub async fn start(binary: &Path, arguments: &str, folder: &Path, environment: &Environment) -> Self {
        let command = format!("exec \"$0\" up --listen 127.0.0.1:0 --admin 127.0.0.1:0 {arguments} 2>&1");
        let mut child = tokio::process::Command::new("bash");
        child.args(["-c", &command]).arg(binary).current_dir(folder);
        for name in Environment::unwanted() {
            child.env_remove(name);
        }
        child.envs(environment.0.iter().map(|(name, value)| (name, value)));
        child
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = child.spawn().expect("the host starts");
        let mut stdout = tokio::io::BufReader::new(child.stdout.take().expect("stdout is piped"));
        let said = Arc::<Mutex<String>>::default();
        let (news, mut is_serving) = watch::channel(false);
        let reader = said.clone();
        // Reads on after the start, so that the host never waits for a reader.
        tokio::spawn(async move {
            let mut line = String::new();
            while matches!(stdout.read_line(&mut line).await, Ok(1..)) {
                reader
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_str(&line);
                if line.starts_with("Admin: ") {
                    news.send_replace(true);
                }
                line.clear();
            }
        });
        let serving = tokio::time::timeout(BUILD, is_serving.wait_for(|serving| *serving)).await;
        let text = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(matches!(serving, Ok(Ok(_))), "the host does not serve:\n{text}");
        let address = |start: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(start))
                .unwrap_or_default();
            line.split('/').next().unwrap_or_default().to_owned()
        };
        let addresses = [
            ("127.0.0.1:3000", address("Serving http://")),
            ("127.0.0.1:3001", address("Admin: http://")),
        ];
        Self {
            child,
            said,
            addresses,
        }
    }

    /// What it printed up to the line with which it serves, as the page has it.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let end = said.find("\nAdmin: ").map_or(0, |at| at + 1);
        let end = said[end..].find('\n').map_or(said.len(), |at| end + at);
        self.as_the_page_has_it(&said[..end])
    }

    /// A command with the real addresses.
    pub fn as_it_is(&self, command: &str) -> String {
        self.addresses
            .iter()
            .fold(command.to_owned(), |text, (page, real)| text.replace(page, real))
    }

    /// An output with the addresses of the page.
    pub fn as_the_page_has_it(&self, output: &str) -> String {
        self.addresses
            .iter()
            .fold(output.to_owned(), |text, (page, real)| text.replace(real, page))
    }

    /// Ctrl-C, which the page says stops it.
    pub async fn stop(mut self) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        kill_process(id.expect("the host runs"), Signal::INT).expect("the child is ours");
        let status = crate::harness::soon("the host to end", self.child.wait()).await;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            status.is_ok_and(|status| status.success()),
            "the host did not end well:\n{said}"
        );
    }
}
