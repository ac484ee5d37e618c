//! `midplane logs`: what a service prints, past and to come, of all revisions or of one, and harmless on a terminal.

use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt as _;

use rustix::process::{Pid, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::*;

/// What `midplane logs --format json` printed of the service's own lines.
fn texts(printed: &str) -> Vec<String> {
    printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .filter(|line: &Value| line["stream"] == "stdout")
        .map(|line| text(&line["text"]))
        .collect()
}

async fn logs(stage: &Stage, more: &[&str]) -> Vec<String> {
    let arguments = [["logs", "a", "--format", "json"].as_slice(), more].concat();
    texts(&stage.done(&arguments).await)
}

#[tokio::test]
async fn lines_of_all_revisions_or_of_one_are_shown_also_where_the_host_is_quiet() {
    for quiet in [false, true] {
        let stage = Stage::one();
        let stage = if quiet {
            stage.with(|builder| builder.arg("--quiet"))
        } else {
            stage
        };
        let host = stage.start().await;
        assert_eq!(logs(&stage, &[]).await, [] as [&str; 0]);
        let old = stage.revision("a").await;
        for path in ["/a/", "/a/healthz"] {
            says(&host, path).await;
        }
        stage.deploy("a", good("r2")).await;
        for path in ["/a/", "/a/healthz"] {
            says(&host, path).await;
        }
        let new = stage.revision("a").await;
        let all = [
            "r1 serves /",
            "r1 serves /healthz",
            "r2 serves /",
            "r2 serves /healthz",
        ];
        eventually("all lines to be kept", async || {
            logs(&stage, &[]).await.len() == all.len()
        })
        .await;
        assert_eq!(logs(&stage, &[]).await, all, "quiet: {quiet}");
        assert_eq!(logs(&stage, &["--revision", &old]).await, all[..2]);
        assert_eq!(logs(&stage, &["--revision", &new[..6]]).await, all[2..]);
        assert_eq!(logs(&stage, &["--tail", "1"]).await, all[3..]);
        let plain = stage.done(&["logs", "a", "--tail", "1"]).await;
        assert!(plain.ends_with(" stdout r2 serves /healthz\n"), "{plain:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn what_the_host_says_of_a_failure_is_among_the_lines() {
    let stage = Stage::one();
    let host = stage.start().await;
    assert_eq!(
        host.get("/a/trap").await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    let printed = RefCell::new(String::new());
    eventually("the failure to be kept", async || {
        printed.replace(stage.done(&["logs", "a", "--format", "json"]).await);
        printed.borrow().contains("unreachable")
    })
    .await;
    let printed = printed.into_inner();
    let line = printed.lines().find(|line| line.contains("unreachable"));
    let line: Value = serde_json::from_str(line.unwrap_or_default()).expect("each line is JSON");
    assert_eq!(line["stream"], "host", "{line}");
    assert_eq!(text(&line["revision"]), stage.revision("a").await);
    assert!(!text(&line["request_id"]).is_empty(), "{line}");
    host.stop().await;
}

/// `midplane logs --follow` as it runs.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(stage: &Stage, more: &[&str]) -> Self {
        let mut command = program();
        command.current_dir(stage.path("."));
        command
            .args(["logs", "a", "--follow", "--format", "json"])
            .args(more);
        let mut child = command.spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        Self {
            child,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// The text of the next line of the service; nothing at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            let line = soon("the next line", self.lines.next_line()).await;
            let line = line.expect("the output is text")?;
            if let Some(text) = texts(&line).pop() {
                return Some(text);
            }
        }
    }
}

#[tokio::test]
async fn lines_to_come_appear_while_they_are_followed() {
    let stage = Stage::one();
    let host = stage.start().await;
    host.get("/a/past").await;
    let revision = stage.revision("a").await;
    let mut all = Following::start(&stage, &[]);
    let mut one = Following::start(&stage, &["--revision", &revision]);
    for following in [&mut all, &mut one] {
        assert_eq!(following.next().await.as_deref(), Some("r1 serves /past"));
    }
    says(&host, "/a/").await;
    for following in [&mut all, &mut one] {
        assert_eq!(following.next().await.as_deref(), Some("r1 serves /"));
    }
    stage.deploy("a", good("r2")).await;
    says(&host, "/a/").await;
    assert_eq!(all.next().await.as_deref(), Some("r2 serves /"));
    stage.done(&["rollback", "a"]).await;
    says(&host, "/a/healthz").await;
    for following in [&mut all, &mut one] {
        assert_eq!(following.next().await.as_deref(), Some("r1 serves /healthz"));
    }
    // One is ended by its reader, the other one by the end of the host.
    let id = all
        .child
        .id()
        .expect("it runs")
        .try_into()
        .expect("an id is small");
    let id = Pid::from_raw(id).expect("an id is positive");
    kill_process(id, Signal::TERM).expect("the child is ours");
    let status = soon("the reader to end", all.child.wait())
        .await
        .expect("it ends");
    assert!(
        status.code() == Some(143) || status.signal() == Some(15),
        "{status}"
    );
    let (_, last) = tokio::join!(host.stop(), one.next());
    assert_eq!(last, None);
}

#[tokio::test]
async fn hostile_text_is_harmless_on_a_terminal_and_whole_in_json() {
    let stage = Stage::one();
    let host = stage.start().await;
    // Colours, a bell, letters in reverse order, and what looks like another line.
    host.get("/a/%1B%5B31mred%1B%5D0%3Btitle%07%E2%80%AEtxt%C2%9B2J%0A2026-01-01T00:00:00Z%20host%20forged")
        .await;
    let texts = RefCell::new(Vec::new());
    eventually("both lines to be kept", async || {
        texts.replace(logs(&stage, &[]).await);
        texts.borrow().len() == 2
    })
    .await;
    assert_eq!(
        texts.into_inner(),
        [
            "r1 serves /\u{1b}[31mred\u{1b}]0;title\u{7}\u{202e}txt\u{9b}2J",
            "2026-01-01T00:00:00Z host forged"
        ]
    );
    for format in ["text", "json"] {
        let printed = stage.done(&["logs", "a", "--format", format]).await;
        let is_hostile = |letter: char| {
            letter != '\n' && (letter.is_control() || ('\u{202a}'..='\u{202e}').contains(&letter))
        };
        assert!(!printed.contains(is_hostile), "{format}: {printed:?}");
    }
    let printed = stage.done(&["logs", "a", "--tail", "2"]).await;
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed:?}");
    for line in lines {
        // The stream stands after the time that the host has written.
        assert_eq!(line.split_whitespace().nth(1), Some("stdout"), "{line}");
    }
    host.stop().await;
}

#[tokio::test]
async fn logs_of_nothing_are_an_error() {
    let stage = Stage::one();
    let host = stage.start().await;
    let finished = stage.exits(1, &["logs", "none"]).await;
    assert!(finished.stderr.contains("`none`"), "{finished:?}");
    let finished = stage
        .exits(1, &["logs", "a", "--revision", "not hexadecimal"])
        .await;
    assert!(!finished.stderr.is_empty());
    host.stop().await;
    let finished = stage.exits(1, &["logs", "a"]).await;
    assert!(!finished.stderr.is_empty(), "nobody runs any more: {finished:?}");
}
