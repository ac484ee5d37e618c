//! `midplane check`: what `up` would refuse, found without serving, and a picture of the app.
//!
//! The picture goes to standard output, findings go to standard error; `--format json` has both in one object.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::{AppArgs, Exit, Failure};
use crate::adapter::variables::parse_variable_argument;
use crate::host::check::{self, Checked, Finding, Options};
use crate::host::runtime_config::RuntimeConfig;
use crate::shutdown::Tasks;
use crate::telemetry::harmless;

mod json;
mod mermaid;
mod text;

pub(super) use text::size;

/// Check an app without serving it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  midplane check                      check ./spin.toml and its components, and show how they hang together
  midplane check -f shop --deny-warnings
                                      for a build pipeline: warnings fail it too
  midplane check --format mermaid     a picture of the app for a Markdown page
  midplane check --format json | jq '.links[] | {caller, callee, import}'

Nothing is started: no port is taken, no data is touched, and a host may run on the same state directory. What is compiled
is kept for the next `midplane up` where that can be written. Exit code 1 if `up` would refuse the app.")]
pub(super) struct Check {
    #[command(flatten)]
    inputs: Inputs,
    /// How to print what the app is made of.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Fail if there are warnings.
    #[arg(long)]
    deny_warnings: bool,
}

/// What an app is looked at with.
#[derive(Args)]
pub(super) struct Inputs {
    #[command(flatten)]
    app: AppArgs,
    /// Where `up` has its state, and with it compiled code [default: .midplane beside the manifest].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Where compiled code is kept, if not in the state directory.
    #[arg(long, value_name = "DIR", env = "MIDPLANE_CACHE_DIR", hide_env_values = true)]
    cache_dir: Option<PathBuf>,
    /// Settings of the host: providers of variables, places of data, networks (Spin's format).
    #[arg(long, value_name = "FILE")]
    runtime_config_file: Option<PathBuf>,
    /// Give a variable of the app a value; @FILE takes it from a file. May be given more than once.
    #[arg(long = "variable", value_name = "NAME=VALUE")]
    variables: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// A Mermaid flowchart.
    Mermaid,
}

impl Inputs {
    /// The app, and how it is to be looked at.
    pub(super) fn read(&self) -> Result<(crate::manifest::App, Options), Failure> {
        let app = crate::manifest::load(&self.app.from)?;
        let runtime_config = match &self.runtime_config_file {
            None => RuntimeConfig::default(),
            Some(file) => RuntimeConfig::load(file)?,
        };
        let variables = self
            .variables
            .iter()
            .map(|argument| parse_variable_argument(argument));
        let options = Options {
            state_dir: self.state_dir.clone(),
            cache_dir: self.cache_dir.clone(),
            runtime_config,
            variables: variables.collect::<Result<_, _>>()?,
        };
        Ok((app, options))
    }
}

impl Check {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (app, options) = match self.inputs.read() {
            Ok(read) => read,
            Err(failure) => {
                if self.format == Format::Json {
                    print(&json::refused(&failure)?)?;
                }
                return Err(failure);
            }
        };
        let tasks = Tasks::new();
        let checked = uninterrupted(&tasks, check::check(&app, &options, &tasks)).await?;
        let text = match self.format {
            Format::Text => text::print(&checked.graph),
            Format::Json => json::print(&checked)?,
            Format::Mermaid => mermaid::print(&checked.graph),
        };
        print(&text)?;
        if self.format != Format::Json {
            tell(&checked.findings);
        }
        verdict(&checked, self.deny_warnings)
    }
}

/// Runs `work` until it is done or a signal comes. What it left behind for a time is gone afterwards.
pub(super) async fn uninterrupted<T>(tasks: &Tasks, work: impl Future<Output = T>) -> Result<T, Failure> {
    tasks
        .drain_on_signal(std::time::Duration::ZERO)
        .context("cannot listen for signals")?;
    // Cancel-safe: nothing is written but whole files of the cache.
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = tasks.draining() => Err(anyhow::anyhow!("interrupted").into()),
    }
}

/// Prints to standard output. A reader that goes away early wanted no more.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let text = harmless(text);
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::from(error).context("cannot print").into())
        }
        _ => Ok(()),
    }
}

/// Prints findings to standard error.
pub(super) fn tell(findings: &[Finding]) {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&finding.to_string());
        text.push_str("\n\n");
    }
    // If standard error is gone there is nobody to tell.
    let _nobody = std::io::stderr().lock().write_all(harmless(&text).as_bytes());
}

/// What becomes the exit code.
fn verdict(checked: &Checked, deny_warnings: bool) -> Result<(), Failure> {
    let errors = checked
        .findings
        .iter()
        .filter(|finding| finding.is_error())
        .count();
    let warnings = checked.findings.len() - errors;
    match (errors, warnings) {
        (0, 0) => Ok(()),
        (0, _) if !deny_warnings => Ok(()),
        (0, _) => Err(Failure {
            error: anyhow::anyhow!("the app has {}", count(warnings, "warning")),
            hint: Some("without `--deny-warnings` they are let pass".into()),
            exit: Exit::Failed,
        }),
        (_, 0) => {
            Err(anyhow::anyhow!("`midplane up` would refuse the app: {}", count(errors, "error")).into())
        }
        _ => Err(anyhow::anyhow!(
            "`midplane up` would refuse the app: {}, and {}",
            count(errors, "error"),
            count(warnings, "warning")
        )
        .into()),
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
