//! The log of a whole process, in a child process of its own.

use std::process::{Command, Stdio};

use super::{Color, Error, LogFormat, LogOptions, init};

const CHILD: &str = "MIDPLANE_TEST_LOG_CHILD";
const TEST: &str = "the_log_goes_to_standard_error_and_is_whole_when_the_process_ends";
const LINES: usize = 1000;

#[test]
fn the_log_goes_to_standard_error_and_is_whole_when_the_process_ends() {
    if std::env::var_os(CHILD).is_some() {
        let options = LogOptions {
            format: LogFormat::Json,
            color: Color::Auto,
            ..LogOptions::default()
        };
        let guard = init(&options).unwrap();
        assert!(matches!(init(&options), Err(Error::AlreadySet(_))));
        for index in 0..LINES {
            tracing::info!(target: "midplane", index, "line");
        }
        assert_eq!(guard.dropped_lines().count(), 0);
        drop(guard);
        std::process::exit(0);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8(output.stderr).unwrap();
    let indices: Vec<_> = log
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["index"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(indices, (0..LINES as u64).collect::<Vec<_>>());
    assert!(!String::from_utf8(output.stdout).unwrap().contains("\"index\""));
}
