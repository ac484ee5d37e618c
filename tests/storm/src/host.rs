//! A host: where to find it, and one that is started as a program of its own.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

/// How long a host may take until it serves: a busy machine may have to compile a few components first.
const PATIENCE: Duration = Duration::from_secs(120);

/// A host that serves the app of the storm.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it serves.
    pub address: SocketAddr,
    /// Where it is told what to serve.
    pub admin: SocketAddr,
    /// What it is told with.
    pub token: String,
    /// Its process, if somebody wants to know its memory.
    pub process: Option<u32>,
}

impl Target {
    /// The resident memory of the host in bytes; nothing where that cannot be seen.
    pub fn resident_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    }
}

/// A host as a process that has not said yet that it serves. Dropping it ends it.
pub struct Starting {
    process: Process,
    announced: Receiver<Option<Value>>,
    state: PathBuf,
    log: PathBuf,
}

impl Starting {
    /// Starts a host on the manifest of a folder. Its state and its log go there too.
    ///
    /// # Errors
    /// If there is no such program, or no room for the log.
    pub fn spawn(program: &Path, folder: &Path, cache: &Path) -> anyhow::Result<Self> {
        Self::spawn_with(program, folder, cache, &["--quiet"])
    }

    /// As [`Self::spawn`], with these arguments of `midplane up` beside.
    ///
    /// # Errors
    /// Those of [`Self::spawn`].
    pub fn spawn_with(
        program: &Path,
        folder: &Path,
        cache: &Path,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let log = folder.join("log");
        let state = folder.join("state");
        let mut child = Command::new(program)
            .current_dir(folder)
            .args(["up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--format", "json", "--state-dir"])
            .arg(&state)
            .args(arguments)
            .env("MIDPLANE_CACHE_DIR", cache)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).context("the folder takes no log")?)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let stdout = child.stdout.take();
        // From here on it ends with what holds it.
        let process = Process(child);
        let (tell, announced) = mpsc::channel();
        let stdout = stdout.context("stdout is piped")?;
        thread::spawn(move || tell.send(self::announced(BufReader::new(stdout))));
        Ok(Self {
            process,
            announced,
            state,
            log,
        })
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// If it does not come to serve, with what it said.
    pub fn served(self) -> anyhow::Result<Host> {
        let said = || fs::read_to_string(&self.log).unwrap_or_default();
        let announcement = match self.announced.recv_timeout(PATIENCE) {
            Ok(announcement) => announcement,
            Err(_) => anyhow::bail!("the host neither serves nor ends:\n{}", said()),
        };
        let addresses = announcement.and_then(|announcement| {
            Some((
                address(&announcement, "base_url")?,
                address(&announcement, "admin_url")?,
            ))
        });
        let Some((address, admin)) = addresses else {
            anyhow::bail!("the host does not serve:\n{}", said());
        };
        let process = Some(self.process.0.id());
        Ok(Host {
            process: self.process,
            target: Target {
                address,
                admin,
                token: token(&self.state)?,
                process,
            },
        })
    }

    /// Kills it with `SIGKILL`, wherever it is, and says how it ended.
    ///
    /// # Errors
    /// Those of the system.
    pub fn kill(mut self) -> io::Result<ExitStatus> {
        self.process.kill()
    }
}

/// A host as a process. Dropping it ends it.
pub struct Host {
    process: Process,
    /// Where it is.
    pub target: Target,
}

impl Host {
    /// Starts a host on the manifest of a folder, and waits until it serves. Its state and its log go there too.
    ///
    /// # Errors
    /// If it does not come to serve, with what it said.
    pub fn start(program: &Path, folder: &Path, cache: &Path) -> anyhow::Result<Self> {
        Starting::spawn(program, folder, cache)?.served()
    }

    /// As [`Self::start`], with these arguments of `midplane up` beside.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub fn start_with(
        program: &Path,
        folder: &Path,
        cache: &Path,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        Starting::spawn_with(program, folder, cache, arguments)?.served()
    }

    /// Kills it with `SIGKILL` and says how it ended, which is otherwise if it had ended before.
    ///
    /// # Errors
    /// Those of the system.
    pub fn kill(mut self) -> io::Result<ExitStatus> {
        self.process.kill()
    }
}

struct Process(Child);

impl Process {
    fn kill(&mut self) -> io::Result<ExitStatus> {
        self.0.kill()?;
        self.0.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

/// The token of the host whose state this is.
///
/// # Errors
/// If there is none.
pub fn token(state: &Path) -> anyhow::Result<String> {
    let path = state.join("admin.token");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(text.trim().to_owned())
}

/// What the host prints once it serves. It prints nothing more afterwards.
fn announced(mut stdout: impl BufRead) -> Option<Value> {
    let mut text = String::new();
    while stdout.read_line(&mut text).is_ok_and(|bytes| bytes > 0) {
        if let Ok(value) = serde_json::from_str::<Value>(&text)
            && value.get("base_url").is_some()
        {
            return Some(value);
        }
    }
    None
}

fn address(announcement: &Value, key: &str) -> Option<SocketAddr> {
    let url = announcement.get(key)?.as_str()?;
    url.strip_prefix("http://")?.trim_end_matches('/').parse().ok()
}
