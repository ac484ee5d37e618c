//! The host as a process: an application folder, a start, a stop.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use http::Request;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::client::{Answer, Body, Connection, Protocol};
use super::log::{Line, Log};
use super::{build, soon};

/// An application folder with a manifest, and how to start a host on it. One builder may start several hosts, one
/// after another: they share the folder and the state.
pub struct Builder {
    folder: Arc<TempDir>,
    application: String,
    routes: String,
    tables: String,
    manifest: Option<Vec<u8>>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    cache: PathBuf,
    state: PathBuf,
    disk: Option<Disk>,
    open_files: Option<u32>,
}

/// A disk that only the host sees.
struct Disk {
    kibibytes: u32,
    /// What is in the state before the host starts, which then finds the disk full.
    state: Option<PathBuf>,
}

impl Builder {
    /// A service from a fixture, without a route. Lines of [`Self::grant`] that follow are part of its table.
    pub fn service(mut self, id: &str, fixture: &str) -> Self {
        let source = build::fixture(fixture);
        write!(self.tables, "\n[component.{id}]\nsource = {source:?}\n").expect("a string takes text");
        self
    }

    /// A line of the table of the last service.
    pub fn grant(mut self, line: &str) -> Self {
        writeln!(self.tables, "{line}").expect("a string takes text");
        self
    }

    pub fn route(mut self, route: &str, service: &str) -> Self {
        let table = format!("\n[[trigger.http]]\nroute = {route:?}\ncomponent = {service:?}\n");
        self.routes.push_str(&table);
        self
    }

    /// Tables of the manifest, word for word.
    pub fn tables(mut self, text: &str) -> Self {
        writeln!(self.tables, "\n{text}").expect("a string takes text");
        self
    }

    /// Lines of `[application]` and its sub-tables.
    pub fn application(mut self, lines: &str) -> Self {
        writeln!(self.application, "{lines}").expect("a string takes text");
        self
    }

    /// A manifest in place of the one that the other calls make.
    pub fn manifest(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.manifest = Some(text.into());
        self
    }

    /// A file in the application folder.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is ours");
        fs::write(path, content).expect("the folder is ours");
        self
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// A cache for this application alone, within its folder.
    pub fn own_cache(mut self) -> Self {
        self.cache = self.folder().join("cache");
        self
    }

    /// A cache in the state directory, which is where a host has it that is told nothing.
    pub fn default_cache(mut self) -> Self {
        self.cache = PathBuf::new();
        self
    }

    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state = path.into();
        self
    }

    /// Puts the state, and the cache of [`Self::own_cache`] with it, on a disk of this many kibibytes that only the
    /// host sees. A quarter of it is taken by a file that [`TestHost::free_disk`] removes.
    pub fn small_disk(mut self, kibibytes: u32) -> Self {
        self.disk = Some(Disk {
            kibibytes,
            state: None,
        });
        self.state = self.folder().join("disk/state");
        if self.cache.starts_with(self.folder()) {
            self.cache = self.folder().join("disk/cache");
        }
        fs::create_dir_all(self.folder().join("disk")).expect("the folder is ours");
        self
    }

    /// The same, but the state is a copy of this one, and the file takes all of the disk. What the host says of that is in the
    /// log of the host that is started next, once the file is gone.
    pub fn full_disk_at_first(mut self, kibibytes: u32, state: &Path) -> Self {
        self = self.small_disk(kibibytes);
        self.disk = Some(Disk {
            kibibytes,
            state: Some(state.to_owned()),
        });
        self
    }

    /// The most files that the host may have open.
    pub fn open_files(mut self, limit: u32) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// The application folder; the state is in `state` below it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its hosts find and keep what is compiled.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Starts a host and waits until it serves.
    pub async fn start(&self) -> TestHost {
        match self.try_start().await {
            Ok(host) => host,
            Err(failure) => panic!("the host does not start: {failure:?}"),
        }
    }

    /// Starts a host that is expected to end without serving.
    pub async fn fail(&self) -> Finished {
        match self.try_start().await {
            Ok(host) => panic!("the host serves at {}, though it should not", host.address),
            Err(failure) => failure,
        }
    }

    /// Starts a host in this folder on a manifest that lies elsewhere, given by file or by folder.
    pub async fn start_from(&self, manifest: &Path) -> TestHost {
        match self.run(Some(manifest)).await {
            Ok(host) => host,
            Err(failure) => panic!("the host does not start: {failure:?}"),
        }
    }

    async fn try_start(&self) -> Result<TestHost, Finished> {
        fs::write(self.folder().join("spin.toml"), self.text()).expect("the folder is ours");
        self.run(None).await
    }

    async fn run(&self, manifest: Option<&Path>) -> Result<TestHost, Finished> {
        let mut command = match (&self.disk, self.open_files) {
            (None, None) => program(),
            (None, Some(limit)) => with_few_files(limit),
            (Some(disk), _) => on_small_disk(&self.folder().join("disk"), disk),
        };
        command.current_dir(self.folder()).arg("up");
        command.args(
            manifest
                .map(|path| ["-f".as_ref(), path.as_os_str()])
                .into_iter()
                .flatten(),
        );
        for (flag, value) in [("--listen", "127.0.0.1:0"), ("--admin", "127.0.0.1:0")] {
            if !self.arguments.iter().any(|argument| argument == flag) {
                command.args([flag, value]);
            }
        }
        command.args(["--format", "json", "--log-format", "json"]);
        command.arg("--state-dir").arg(&self.state).args(&self.arguments);
        if !self.cache.as_os_str().is_empty() {
            command.env("MIDPLANE_CACHE_DIR", &self.cache);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().expect("the binary starts");
        let log = Log::collect(child.stderr.take().expect("stderr is piped"));
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (announcement, text) = soon("the host to serve or to end", announcement(stdout)).await;
        let Some(announcement) = announcement else {
            let status = soon("the host to end", child.wait())
                .await
                .expect("the child is ours");
            log.ended().await;
            return Err(Finished {
                status,
                stdout: text,
                stderr: log.text(),
            });
        };
        Ok(TestHost {
            address: address(&announcement, "base_url"),
            admin: address(&announcement, "admin_url"),
            announcement,
            state: self.state.clone(),
            child,
            log,
            _folder: self.folder.clone(),
        })
    }

    fn text(&self) -> Vec<u8> {
        if let Some(manifest) = &self.manifest {
            return manifest.clone();
        }
        let text = format!(
            "spin_manifest_version = 2\n\n[application]\nname = \"test\"\nversion = \"1.2.3\"\n{}{}{}",
            self.application, self.routes, self.tables
        );
        text.into_bytes()
    }
}

/// A host that serves. Dropping it kills the process.
pub struct TestHost {
    /// Where it serves HTTP.
    pub address: SocketAddr,
    /// Where it answers its operator.
    pub admin: SocketAddr,
    /// What it printed when it began to serve.
    pub announcement: Value,
    state: PathBuf,
    child: Child,
    log: Log,
    _folder: Arc<TempDir>,
}

impl TestHost {
    pub fn builder() -> Builder {
        let folder = TempDir::with_prefix("midplane-test-").expect("the system has a temporary folder");
        let state = folder.path().join("state");
        Builder {
            folder: Arc::new(folder),
            application: String::new(),
            routes: String::new(),
            tables: String::new(),
            manifest: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            cache: build::cache_folder(),
            state,
            disk: None,
            open_files: None,
        }
    }

    pub async fn connect(&self, protocol: Protocol) -> Connection {
        Connection::open(self.address, protocol).await
    }

    /// A GET over HTTP/1.1 on a connection of its own.
    pub async fn get(&self, path: &str) -> Answer {
        self.connect(Protocol::Http1).await.get(path).await
    }

    /// Any request over HTTP/1.1 on a connection of its own.
    pub async fn request(&self, request: Request<Body>) -> Answer {
        let connection = self.connect(Protocol::Http1).await;
        connection.exchange(request).await.expect("the host answers")
    }

    pub async fn post(&self, path: &str, body: Body) -> Answer {
        self.request(Request::post(path).body(body).expect("the test's path is valid"))
            .await
    }

    /// A GET at the admin listener, with the token where the host wants one.
    pub async fn admin_get(&self, path: &str) -> Answer {
        let connection = Connection::open(self.admin, Protocol::Http1).await;
        let request = Request::get(path).header("authorization", self.bearer());
        let request = request.body(super::empty()).expect("the test's path is valid");
        connection
            .exchange(request)
            .await
            .expect("the admin listener answers")
    }

    fn bearer(&self) -> String {
        let token = fs::read_to_string(self.seen(&self.state.join("admin.token"))).unwrap_or_default();
        format!("Bearer {}", token.trim())
    }

    /// The value of one sample of `/metrics`: its name, and label pairs that it must have among its labels.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let text = self.admin_get("/metrics").await.text();
        let sample = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        };
        text.lines().find(sample)?.rsplit(' ').next()?.parse().ok()
    }

    pub fn lines(&self) -> Vec<Line> {
        self.log.lines()
    }

    pub fn log_text(&self) -> String {
        self.log.text()
    }

    pub async fn wait_for_log(&self, what: &str, wanted: impl Fn(&Line) -> bool) -> Line {
        self.log.wait_for(what, wanted).await
    }

    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id().try_into().expect("an id is small")).expect("an id is positive");
        kill_process(id, signal).expect("the child is ours");
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("the host runs")
    }

    /// A file as the host sees it, which may have a disk of its own.
    pub fn seen(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.id()));
        root.join(path.strip_prefix("/").expect("a temporary folder is absolute"))
    }

    /// A call of the admin API, with the token.
    pub async fn admin_request(&self, request: http::request::Builder, body: Body) -> Answer {
        let connection = Connection::open(self.admin, Protocol::Http1).await;
        let request = request.header("authorization", self.bearer()).body(body);
        let request = request.expect("the test's request is valid");
        connection
            .exchange(request)
            .await
            .expect("the admin listener answers")
    }

    /// Gives the host of [`Builder::small_disk`] room again.
    pub fn free_disk(&self) {
        fs::remove_file(self.ballast()).expect("the host sees the ballast");
    }

    /// Takes all that is free on the disk of the host of [`Builder::small_disk`].
    pub fn fill_disk(&self) {
        let ballast = fs::File::options().append(true).open(self.ballast());
        let mut ballast = ballast.expect("the host sees the ballast");
        for piece in [64 * 1024, 4096, 1] {
            while ballast.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    fn ballast(&self) -> PathBuf {
        self.seen(&self._folder.path().join("disk/ballast"))
    }

    /// Waits for the process to end and returns how, with its log complete.
    pub async fn finish(&mut self) -> ExitStatus {
        let status = soon("the host to end", self.child.wait())
            .await
            .expect("the child is ours");
        self.log.ended().await;
        status
    }

    /// Stops the host as an operator does, and expects that it goes well. Returns everything it logged.
    pub async fn stop(mut self) -> Vec<Line> {
        self.signal(Signal::TERM);
        let status = self.finish().await;
        assert_eq!(
            status.code(),
            Some(0),
            "the host did not end well:\n{}",
            self.log.text()
        );
        self.log.lines()
    }
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Runs the binary with these arguments to its end.
    pub async fn of(arguments: &[&str], folder: &Path) -> Self {
        let mut command = program();
        command.current_dir(folder).args(arguments);
        Self::by(command).await
    }

    /// Runs a command to its end.
    pub async fn by(mut command: Command) -> Self {
        let output = soon("the binary to end", command.output())
            .await
            .expect("the binary starts");
        Self {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The binary on a disk of its own: a file system in memory, mounted where nobody else sees it. Needs no privilege,
/// only a kernel that lets users have namespaces; without that the test fails and says so.
fn on_small_disk(place: &Path, disk: &Disk) -> Command {
    let mut command = command("unshare".as_ref());
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let kibibytes = disk.kibibytes;
    let mount = format!("mount -t tmpfs -o size={kibibytes}k none \"$0\"");
    let script = match disk.state {
        None => format!(
            "{mount} && head -c {}k /dev/zero > \"$0/ballast\" && exec \"$@\"",
            kibibytes / 4
        ),
        Some(_) => format!(
            "{mount} && cp -a \"$1\" \"$0/state\" && shift || exit 9; cat /dev/zero > \"$0/ballast\" 2> /dev/null; \
             \"$@\"; echo \"{{\\\"ended_with\\\": $?}}\" >&2; rm \"$0/ballast\" && exec \"$@\""
        ),
    };
    command.args(["--mount", "sh", "-c", &script]);
    command.arg(place).args(&disk.state).arg(build::binary());
    command
}

/// The binary, which may have only so many files open.
fn with_few_files(limit: u32) -> Command {
    let mut command = command("sh".as_ref());
    command.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &limit.to_string()]);
    command.arg(build::binary());
    command
}

/// The binary, deaf to the environment of whoever runs the tests.
pub fn program() -> Command {
    command(build::binary().as_os_str())
}

/// A program, deaf to the environment of whoever runs the tests.
fn command(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["MIDPLANE_", "SPIN_", "OTEL_", "RUST_LOG"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Reads stdout up to the JSON object that says where the host serves; without one to the end. What follows the
/// object is read and dropped, so that the host never waits for a reader.
async fn announcement(mut stdout: BufReader<ChildStdout>) -> (Option<Value>, String) {
    let mut text = String::new();
    while matches!(stdout.read_line(&mut text).await, Ok(1..)) {
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        if value.get("base_url").is_some() {
            tokio::spawn(async move { stdout.read_to_end(&mut Vec::new()).await });
            return (Some(value), text);
        }
    }
    (None, text)
}

fn address(announcement: &Value, key: &str) -> SocketAddr {
    let url = announcement[key].as_str().unwrap_or_default();
    match url
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/').parse())
    {
        Some(Ok(address)) => address,
        _ => panic!("{key} is no URL with an address: {announcement}"),
    }
}
