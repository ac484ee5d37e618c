//! A host: where to find it, and one that is started as a program of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

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

/// A host as a process. Dropping it ends it.
pub struct Host {
    child: Child,
    /// Where it is.
    pub target: Target,
}

impl Host {
    /// Starts a host on the manifest of a folder. Its state and its log go there too.
    ///
    /// # Errors
    /// If it does not come to serve, with what it said.
    pub fn start(program: &Path, folder: &Path, cache: &Path) -> anyhow::Result<Self> {
        let log = folder.join("log");
        let state = folder.join("state");
        let mut child = Command::new(program)
            .current_dir(folder)
            .args(["up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--format", "json", "--quiet", "--state-dir"])
            .arg(&state)
            .env("MIDPLANE_CACHE_DIR", cache)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).context("the folder takes no log")?)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let announced = child
            .stdout
            .take()
            .and_then(|out| announced(BufReader::new(out)))
            .and_then(|announcement| {
                Some((
                    address(&announcement, "base_url")?,
                    address(&announcement, "admin_url")?,
                ))
            });
        let process = Some(child.id());
        // From here on it ends with what holds it.
        let placeholder = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, admin) = announced.unwrap_or((placeholder, placeholder));
        let mut host = Self {
            child,
            target: Target {
                address,
                admin,
                token: String::new(),
                process,
            },
        };
        if announced.is_none() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            anyhow::bail!("the host does not serve:\n{said}");
        }
        host.target.token = token(&state)?;
        Ok(host)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
