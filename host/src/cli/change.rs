//! What commands that change a running host have in common: who asks, how it is told what came of it, and what an interrupt
//! means.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::client::{Client, HostArgs};
use super::table::duration;
use super::{Exit, Failure};
use crate::admin::api::{Change, Outcome};
use crate::model::{Digest, Sticky, Weight};
use crate::telemetry::{harmless, harmless_json};

/// The longest name of who asks that a host takes, in bytes.
const MAX_BY: usize = 256;
/// The longest drain that a host takes, in seconds.
const MAX_DRAIN: f64 = 3_600.0;

/// Options of every change.
#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    pub(super) host: HostArgs,
    /// Who asks, for the journal [default: this user at this machine].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) format: Format,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// JSON, as the admin API has it.
    Json,
}

/// What was asked for, as far as the words for what came of it depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// New revisions for everyone.
    Publish,
    /// A share of requests for candidates.
    Share(&'a str),
    /// Candidates are taken back.
    Abort,
    /// A manifest.
    Manifest,
}

impl ChangeArgs {
    /// The host, asked in the name of who asks.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let mut client = Client::connect(&self.host).await?;
        client.act_as(&self.by());
        Ok(client)
    }

    pub(super) fn by(&self) -> String {
        let by = self.by.clone().unwrap_or_else(|| {
            let user = ["USER", "LOGNAME"]
                .iter()
                .find_map(|name| std::env::var(name).ok());
            let machine = rustix::system::uname();
            let machine = machine.nodename().to_string_lossy();
            by_default(user, rustix::process::getuid().as_raw(), &machine)
        });
        sanitised(&by)
    }
}

/// `user@machine`.
fn by_default(user: Option<String>, uid: u32, machine: &str) -> String {
    let user = user.filter(|user| !user.trim().is_empty());
    let user = user.unwrap_or_else(|| format!("uid-{uid}"));
    match machine {
        "" => user,
        machine => format!("{user}@{machine}"),
    }
}

/// A name as a header can hold it: without control characters, [`MAX_BY`] bytes at most.
fn sanitised(by: &str) -> String {
    let mut name = String::new();
    for letter in by.trim().chars() {
        let letter = if letter.is_control() { '?' } else { letter };
        if name.len() + letter.len_utf8() > MAX_BY {
            break;
        }
        name.push(letter);
    }
    name
}

/// Where commands print what they were asked for.
pub(super) struct Output<'a>(Box<dyn Write + Send + 'a>);

/// Whether somebody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    There,
    Gone,
}

impl<'a> Output<'a> {
    /// Standard output.
    pub(super) fn stdout() -> Self {
        Self(Box::new(std::io::stdout()))
    }

    /// Memory.
    #[cfg(test)]
    pub(super) fn to(buffer: &'a mut Vec<u8>) -> Self {
        Self(Box::new(buffer))
    }

    /// Anything.
    #[cfg(test)]
    pub(super) fn into(writer: impl Write + Send + 'a) -> Self {
        Self(Box::new(writer))
    }

    /// Prints `text`, made harmless, at once. A reader that goes away early wanted no more.
    pub(super) fn put(&mut self, text: &str) -> Result<Reader, Failure> {
        self.write(&harmless(text))
    }

    /// The same for JSON, which stays JSON.
    pub(super) fn put_json(&mut self, text: &str) -> Result<Reader, Failure> {
        self.write(&harmless_json(text))
    }

    fn write(&mut self, text: &str) -> Result<Reader, Failure> {
        match self.0.write_all(text.as_bytes()).and_then(|()| self.0.flush()) {
            Ok(()) => Ok(Reader::There),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => Err(anyhow::Error::from(error).context("cannot print").into()),
        }
    }

    /// Prints one JSON document in a line.
    pub(super) fn json<T: serde::Serialize>(&mut self, document: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(document).context("cannot print the answer")?;
        self.put_json(&format!("{text}\n"))?;
        Ok(())
    }

    /// Prints what came of a change; its warnings go to the log.
    pub(super) fn outcome(
        &mut self,
        outcome: &Outcome,
        asked: Asked<'_>,
        services: &[String],
        format: Format,
    ) -> Result<(), Failure> {
        match format {
            Format::Json => self.json(outcome),
            Format::Text => {
                for warning in &outcome.warnings {
                    tracing::warn!("{warning}");
                }
                self.put(&told(outcome, asked, services)).map(|_reader| ())
            }
        }
    }
}

/// What came of a change, for people. `services` are those that it is about, where nothing changed.
pub(super) fn told(outcome: &Outcome, asked: Asked<'_>, services: &[String]) -> String {
    let generation = outcome.generation;
    let took = duration(outcome.prepare_ms + outcome.publish_ms);
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _infallible = text.write_fmt(line);
        text.push('\n');
    };
    let planned = outcome.outcome == "planned";
    let nothing = outcome.changes.is_empty() && outcome.differences.is_empty();
    for change in &outcome.changes {
        let Change { service, .. } = change;
        let from = change.from.as_deref().unwrap_or("new");
        let to = change.to.as_deref().unwrap_or("gone");
        match asked {
            _ if planned => line(format_args!("{service}: {from} → {to}")),
            Asked::Share(share) => line(format_args!(
                "{service}: candidate {to} gets {share} of the requests, published in {took} (generation {generation})"
            )),
            Asked::Abort => line(format_args!(
                "{service}: the candidate is taken back, in {took} (generation {generation})"
            )),
            Asked::Publish | Asked::Manifest => line(format_args!(
                "{service}: {from} → {to} published in {took} (generation {generation})"
            )),
        }
        if asked == Asked::Manifest
            && let Some(component) = &change.component
        {
            line(format_args!("  component {}", short(component)));
        }
        for grant in &change.new_grants {
            line(format_args!("  + {grant}"));
        }
        for grant in &change.lost_grants {
            line(format_args!("  - {grant}"));
        }
    }
    for difference in &outcome.differences {
        line(format_args!("{difference}"));
    }
    match (planned, nothing) {
        (true, true) => line(format_args!("nothing would change (generation {generation})")),
        (true, false) => line(format_args!(
            "this is the plan: nothing was changed (generation {generation})"
        )),
        (false, true) if services.is_empty() => {
            line(format_args!("nothing to change (generation {generation})"));
        }
        (false, true) => {
            for service in services {
                line(format_args!("{service}: unchanged (generation {generation})"));
            }
        }
        // Where services changed, their lines say it.
        (false, false) if outcome.changes.is_empty() => {
            line(format_args!("published in {took} (generation {generation})"));
        }
        (false, false) => {}
    }
    text
}

/// The beginning of a digest, with which people tell digests apart.
pub(super) fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    let full = Digest::of(b"").short().len();
    hex.get(..full).unwrap_or(hex)
}

/// Reads a share of requests, as the host will.
pub(super) fn weight(text: &str) -> Result<String, String> {
    Weight::parse(text)
        .map(|weight| weight.to_string())
        .map_err(|error| error.to_string())
}

/// Reads what holds a client to its choice, as the host will.
pub(super) fn sticky(text: &str) -> Result<String, String> {
    Sticky::parse(text)
        .map(|sticky| sticky.to_string())
        .map_err(|error| error.to_string())
}

/// Reads the time of a drain, in seconds.
pub(super) fn drain_timeout(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_DRAIN).contains(&seconds) => Ok(seconds),
        _ => Err(format!("not a number of seconds between 0 and {MAX_DRAIN}")),
    }
}

/// Runs what changes a host until it is done or a signal comes, which ends the command and not the change.
pub(super) async fn interruptible(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let signalled = async move {
        // Cancel-safe: whichever came, the other one no longer matters.
        tokio::select! {
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
        }
    };
    until(signalled, work).await
}

async fn until(
    signalled: impl Future<Output = Exit>,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    // Cancel-safe: the host goes on by itself, and nothing is written here.
    let exit = tokio::select! {
        biased;
        done = work => return done,
        exit = signalled => exit,
    };
    Err(Failure {
        error: anyhow::anyhow!("interrupted"),
        hint: Some(
            "what the host was told to do it does all the same: `midplane status` and `midplane history` show it"
                .to_owned(),
        ),
        exit,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::client::stand_in::outcome;

    fn text(with: Value, asked: Asked<'_>, services: &[&str]) -> String {
        let outcome: Outcome = serde_json::from_value(outcome(with)).unwrap();
        let services: Vec<String> = services.iter().map(|&service| service.to_owned()).collect();
        told(&outcome, asked, &services)
    }

    #[test]
    fn a_line_for_each_service_says_what_it_had_and_has() {
        let changes = json!({"changes": [
            {"service": "auth", "to": "bbbbbbbbbbbb"},
            {"service": "orders", "from": "aaaaaaaaaaaa", "to": "cccccccccccc",
             "new_grants": ["sqlite: default"], "lost_grants": ["key-value: sessions"]},
            {"service": "old", "from": "dddddddddddd"},
        ]});
        assert_eq!(
            text(changes.clone(), Asked::Publish, &[]),
            "auth: new → bbbbbbbbbbbb published in 38 ms (generation 7)\n\
             orders: aaaaaaaaaaaa → cccccccccccc published in 38 ms (generation 7)\n  + sqlite: default\n  \
             - key-value: sessions\n\
             old: dddddddddddd → gone published in 38 ms (generation 7)\n"
        );
        let share = text(changes.clone(), Asked::Share("10%"), &[]);
        assert!(
            share.starts_with(
                "auth: candidate bbbbbbbbbbbb gets 10% of the requests, published in 38 ms (generation 7)\n"
            ),
            "{share}"
        );
        let abort = text(changes, Asked::Abort, &[]);
        assert!(
            abort.starts_with("auth: the candidate is taken back, in 38 ms (generation 7)\n"),
            "{abort}"
        );
    }

    #[test]
    fn what_is_unchanged_says_so() {
        let unchanged = json!({"outcome": "unchanged"});
        assert_eq!(
            text(unchanged.clone(), Asked::Publish, &["auth", "orders"]),
            "auth: unchanged (generation 7)\norders: unchanged (generation 7)\n"
        );
        assert_eq!(
            text(unchanged, Asked::Manifest, &[]),
            "nothing to change (generation 7)\n"
        );
        assert_eq!(
            text(json!({"outcome": "planned"}), Asked::Manifest, &[]),
            "nothing would change (generation 7)\n"
        );
    }

    #[test]
    fn a_manifest_shows_digests_and_what_differs_besides() {
        let component = format!("sha256:{}", "ab".repeat(32));
        let differences = json!(["route /api/... → orders is new", "orders: timeout 30 s → 5 s"]);
        let plan = json!({
            "outcome": "planned", "differences": differences,
            "changes": [{"service": "orders", "from": "a", "to": "b", "component": component}],
        });
        assert_eq!(
            text(plan, Asked::Manifest, &[]),
            "orders: a → b\n  component abababababab\nroute /api/... → orders is new\norders: timeout 30 s → 5 s\n\
             this is the plan: nothing was changed (generation 7)\n"
        );
        assert_eq!(
            text(json!({"differences": ["route / is gone"]}), Asked::Manifest, &[]),
            "route / is gone\npublished in 38 ms (generation 7)\n"
        );
    }

    #[test]
    fn who_asks_is_a_name_that_a_header_can_hold() {
        assert_eq!(by_default(Some("ada".into()), 7, "desk"), "ada@desk");
        assert_eq!(by_default(Some(" ".into()), 7, "desk"), "uid-7@desk");
        assert_eq!(by_default(None, 7, ""), "uid-7");
        assert_eq!(sanitised(" Ada L\n\x7fé "), "Ada L??é");
        assert_eq!(sanitised(&format!("a{}", "é".repeat(1000))).len(), MAX_BY - 1);
    }

    #[test]
    fn numbers_are_checked_before_the_host_is_asked() {
        assert_eq!(weight("5"), Ok("5%".to_owned()));
        assert!(weight("100%").is_err());
        assert_eq!(sticky("cookie:Session"), Ok("cookie:Session".to_owned()));
        assert!(sticky("session").is_err());
        assert_eq!(drain_timeout("0.5"), Ok(0.5));
        for bad in ["-1", "NaN", "inf", "3601", "a"] {
            assert!(drain_timeout(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_interrupt_has_the_exit_code_of_its_signal_and_what_is_done_wins() {
        use std::future::{pending, ready};

        assert!(until(ready(Exit::Interrupted), ready(Ok(()))).await.is_ok());
        for (exit, code) in [(Exit::Interrupted, 130), (Exit::Terminated, 143)] {
            let failure = until(ready(exit), pending()).await.unwrap_err();
            assert_eq!((failure.exit, failure.exit.code()), (exit, code));
        }
    }
}
