//! Data files seen from outside, with the tool that an operator has: `sqlite3`, or Python's module of that name.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::harness::soon;

/// Speaks to a program that reads statements, one a line, and answers rows, with `|` between columns.
const PYTHON: &str = "
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for statement in sys.stdin:
    if statement.startswith('.backup '):
        connection.backup(sqlite3.connect(statement.split(' ', 1)[1].strip().strip('\"')))
        continue
    for row in connection.execute(statement):
        print('|'.join(str(column) for column in row), flush=True)
";

fn tool(database: &Path) -> Command {
    static CLI: OnceLock<bool> = OnceLock::new();
    let runs = |program: &str| {
        let version = std::process::Command::new(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    let mut command = if *CLI.get_or_init(|| runs("sqlite3")) {
        let mut command = Command::new("sqlite3");
        command.args(["-batch", "-bail", "-cmd", ".timeout 30000"]);
        command
    } else if runs("python3") {
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON]);
        command
    } else {
        panic!(
            "this test looks at data files with the program sqlite3 (or with python3): install one of them"
        );
    };
    command
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs statements, one a line, on a database file and returns what they answer, line by line.
pub async fn run(database: &Path, statements: &str) -> Vec<String> {
    let mut child = tool(database).spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(format!("{statements}\n").as_bytes())
        .await
        .expect("the tool reads");
    drop(stdin);
    let output = soon("the statements to end", child.wait_with_output())
        .await
        .expect("the child is ours");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{statements}: {said}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Another process that holds the write lock of a database; dropping it gives the lock back.
pub struct Lock {
    child: Child,
    _stdin: ChildStdin,
}

impl Lock {
    /// Takes the lock. A file that is not there is made, in the mode that the host keeps files in.
    pub async fn take(database: &Path) -> Self {
        let mut child = tool(database).spawn().expect("the tool starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let statements = "PRAGMA journal_mode = wal;\nBEGIN IMMEDIATE;\nSELECT 'held';\n";
        stdin
            .write_all(statements.as_bytes())
            .await
            .expect("the tool reads");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        soon("the lock", async {
            while lines
                .next_line()
                .await
                .expect("the tool writes lines")
                .expect("the lock is taken")
                != "held"
            {}
        })
        .await;
        Self { child, _stdin: stdin }
    }

    pub async fn release(mut self) {
        self.child.kill().await.expect("the child is ours");
    }
}

/// Where a host says that a service's database is.
pub fn database(announcement: &serde_json::Value, service: &str) -> PathBuf {
    let services = announcement["services"]
        .as_array()
        .expect("the host lists its services");
    let found = services
        .iter()
        .find(|listed| listed["service"] == service)
        .expect("the service is listed");
    let data = found["data"].as_array().expect("the host lists data");
    let [place] = &data[..] else {
        panic!("{service} has one database: {announcement}")
    };
    assert_eq!(
        (&place["kind"], &place["label"]),
        (&"sqlite".into(), &"default".into())
    );
    place["path"].as_str().expect("a path is text").into()
}
