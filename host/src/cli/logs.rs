//! `midplane logs`: what a service prints, and what the host says about it.
//!
//! A signal ends it as it ends `tail -f`: at once, with the exit code that a shell has for it (130, 143).

use std::fmt::Write as _;

use clap::Args;

use super::Failure;
use super::change::{Format, Output, Reader};
use super::client::{Client, HostArgs, LogQuery};
use crate::admin::api::LogLine;
use crate::model::ServiceName;

/// Show what a service prints.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane logs orders --follow            what is kept, and what comes, until Ctrl-C
  midplane logs orders --tail 20           the last 20 lines
  midplane logs orders --revision 3f2a91   only those of one revision
  midplane logs orders --format json | jq -r 'select(.stream == \"stderr\") | .text'

The host keeps the last lines of each service in memory. Exit codes: 0 done; 1 failed; 2 wrong usage; 130 or 143 ended by a
signal.")]
pub(super) struct Logs {
    /// The service.
    service: ServiceName,
    /// Only lines of this revision: its identity or the beginning of it.
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Go on with the lines to come.
    #[arg(long)]
    follow: bool,
    /// Only so many of the lines that the host has kept [default: all].
    #[arg(long, value_name = "NUMBER")]
    tail: Option<usize>,
    /// How to print them: JSON is one object a line.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    host: HostArgs,
}

impl Logs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host).await?;
        self.act(&client, &mut Output::stdout()).await
    }

    async fn act(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let query = LogQuery {
            revision: self.revision.as_deref(),
            tail: self.tail,
            follow: self.follow,
        };
        let mut lines = client.logs(&self.service, &query).await?;
        while let Some(line) = lines.next().await? {
            if line.is_empty() {
                continue;
            }
            let parsed: LogLine = serde_json::from_str(&line).map_err(|error| lines.not_understood(error))?;
            let reader = match self.format {
                Format::Text => output.put(&shown(&parsed))?,
                Format::Json => output.put_json(&format!("{line}\n"))?,
            };
            if reader == Reader::Gone {
                break;
            }
        }
        Ok(())
    }
}

/// Time, stream and text. What follows a line break in the text is no line of its own.
fn shown(line: &LogLine) -> String {
    let LogLine { at, stream, text, .. } = line;
    let text = text.trim_end_matches(['\r', '\n']).replace('\n', "\\n");
    let mut shown = String::new();
    let _infallible = writeln!(shown, "{at} {stream:<6} {text}");
    shown
}

#[cfg(test)]
mod tests {
    use std::io;

    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::Exit;
    use crate::cli::client::stand_in::StandIn;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        logs: Logs,
    }

    fn logs(arguments: &[&str]) -> Logs {
        let arguments = ["midplane", "orders"].iter().chain(arguments);
        Typed::try_parse_from(arguments).unwrap().logs
    }

    fn line(stream: &str, text: &str) -> String {
        let line = json!({"at": "2026-11-21T10:00:00Z", "revision": "aaa", "stream": stream, "text": text});
        format!("{line}\n")
    }

    #[tokio::test]
    async fn lines_are_shown_harmless_or_passed_on_as_they_come() {
        let stand_in = StandIn::start().await;
        let sent = format!(
            "{}\n{}",
            line("stdout", "hello\n"),
            line("stderr", "\x1b[2Jforged\n2026 line")
        );
        let what = "GET /v1/apps/shop/services/orders/logs?revision=a%26b&tail=5&follow=true";
        stand_in.text(what, 200, &sent);
        let client = stand_in.client().await;
        let mut told = Vec::new();
        let options = ["--revision", "a&b", "--tail", "5", "--follow"];
        let done = logs(&options).act(&client, &mut Output::to(&mut told)).await;
        assert!(done.is_ok());
        assert_eq!(
            String::from_utf8(told).unwrap(),
            "2026-11-21T10:00:00Z stdout hello\n2026-11-21T10:00:00Z stderr \\u{1b}[2Jforged\\n2026 line\n"
        );

        stand_in.text("GET /v1/apps/shop/services/orders/logs", 200, &sent);
        let mut told = Vec::new();
        let done = logs(&["--format", "json"])
            .act(&client, &mut Output::to(&mut told))
            .await;
        assert!(done.is_ok());
        assert_eq!(String::from_utf8(told).unwrap(), sent.replace("\n\n", "\n"));
    }

    /// Takes one line.
    struct Head(usize);

    impl io::Write for Head {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0 {
                0 => Err(io::ErrorKind::BrokenPipe.into()),
                _ => Ok(bytes.len()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0 = self.0.saturating_sub(1);
            Ok(())
        }
    }

    #[tokio::test]
    async fn lines_that_nobody_reads_any_more_are_not_waited_for() {
        let stand_in = StandIn::start().await;
        let without_end = format!("{}{}…", line("stdout", "one"), line("stdout", "two"));
        let what = "GET /v1/apps/shop/services/orders/logs?follow=true";
        stand_in.text(what, 200, &without_end);
        let client = stand_in.client().await;
        let mut output = Output::into(Head(1));
        let done = logs(&["--follow"]).act(&client, &mut output).await;
        assert!(done.is_ok());
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_and_an_answer_that_is_no_log_are_errors() {
        let stand_in = StandIn::start().await;
        let what = "GET /v1/apps/shop/services/orders/logs";
        stand_in.problem(
            what,
            404,
            json!({"detail": "there is no service orders", "kind": "not-found"}),
        );
        stand_in.text(what, 200, "<html>\n");
        let client = stand_in.client().await;
        for message in ["there is no service orders", "cannot be understood"] {
            let failure = logs(&[])
                .act(&client, &mut Output::to(&mut Vec::new()))
                .await
                .unwrap_err();
            assert_eq!(failure.exit, Exit::Failed);
            assert!(failure.error.to_string().contains(message), "{:?}", failure.error);
        }
    }
}
