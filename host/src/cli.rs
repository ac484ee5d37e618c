//! The command line: what was typed becomes what is meant, and errors become text, a hint and an exit code.
//!
//! Standard output carries what a command is asked for (what `up` serves); everything else goes to standard error. Exit codes
//! are those of [`Exit`], and 0 for what was done.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::telemetry::{self, LogFormat, LogOptions};

mod abort;
mod add;
mod apply;
mod build;
mod change;
mod check;
mod client;
mod compose;
mod deploy;
mod history;
mod logs;
mod new;
mod promote;
mod rollback;
mod scaffold;
mod status;
mod table;
mod up;
mod wait;
mod watch;

/// A host for microservices that are WebAssembly components.
#[derive(Parser)]
#[command(
    name = "midplane",
    version,
    about,
    arg_required_else_help = true,
    max_term_width = 120
)]
#[command(after_help = "\
Examples:
  midplane up --build                 build the services of ./spin.toml and serve them on 127.0.0.1:3000
  midplane up -f shop --listen :8080  serve the app in the directory `shop` on every address
  midplane build                      build the services, serve nothing
  midplane check                      find what `up` would refuse, and show how the app hangs together
  midplane new demo                   make an app in the directory `demo`
  midplane add greetings              add a service to the app in this directory
  midplane deploy orders --build      replace a service of the running host, without a request failing
  midplane rollback orders            take that back
  midplane status                     what the running host serves

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the host did not let a change in, or is busy with another one;
4 the host took a candidate back; 130 or 143 ended by a signal.

`midplane help up` explains each option of a command.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: Log,
}

#[derive(Subcommand)]
enum Command {
    /// Serve an app.
    Up(Box<up::Up>),
    /// Run the build commands of an app's components.
    Build(Build),
    /// Check an app without serving it, and show how it hangs together.
    Check(Box<check::Check>),
    /// Make one component of a service and those that it links to.
    Compose(Box<compose::Compose>),
    /// Make a new app.
    New(new::New),
    /// Add a service to an app.
    Add(add::Add),
    /// Replace services of a running host.
    Deploy(Box<deploy::Deploy>),
    /// Bring a revision of before back.
    Rollback(Box<rollback::Rollback>),
    /// Make a candidate the current revision, or give it another share of the requests.
    Promote(Box<promote::Promote>),
    /// Take a candidate back.
    Abort(Box<abort::Abort>),
    /// Put a changed manifest in force in a running host.
    Apply(Box<apply::Apply>),
    /// Show what a running host serves.
    Status(Box<status::Status>),
    /// Show what was changed, by whom, and what came of it.
    History(Box<history::History>),
    /// Show what a service prints.
    Logs(Box<logs::Logs>),
}

/// What every command has: how it logs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
struct Log {
    /// How log lines on standard error look.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: Format,
    /// What is logged: levels and targets, for example `info,midplane::gateway=debug`.
    #[arg(long, global = true, value_name = "FILTER", env = "MIDPLANE_LOG")]
    log: Option<String>,
    /// Log one line for each request.
    #[arg(long, global = true)]
    access_log: bool,
    /// Say nothing but warnings and errors, and hide what guests print.
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For people: time, level, service, message.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

#[derive(Debug, Args)]
struct Build {
    #[command(flatten)]
    app: AppArgs,
    /// Build this component only; may be given more than once.
    #[arg(short = 'c', long = "component-id", value_name = "ID")]
    components: Vec<crate::model::ServiceName>,
}

#[derive(Debug, Clone, Args)]
struct AppArgs {
    /// The manifest, or the directory that holds `spin.toml`.
    #[arg(
        short,
        long = "from",
        visible_alias = "file",
        value_name = "PATH",
        default_value = "."
    )]
    from: std::path::PathBuf,
}

/// An error together with what to do about it.
struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    exit: Exit,
}

/// How a command ended that was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// It failed.
    Failed,
    /// What was typed cannot be meant.
    Usage,
    /// The host did not let a change in, or is busy with another one.
    Refused,
    /// The host took a candidate back.
    RolledBack,
    /// By SIGINT.
    Interrupted,
    /// By SIGTERM.
    Terminated,
}

impl Exit {
    /// The code of the process.
    const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::RolledBack => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            error,
            hint: None,
            exit: Exit::Failed,
        }
    }
}

/// Gives an error of a module its hint.
macro_rules! hinted {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let hint = error.hint();
                Self { error: error.into(), hint, exit: Exit::Failed }
            }
        })+
    };
}

impl From<crate::manifest::Error> for Failure {
    fn from(error: crate::manifest::Error) -> Self {
        // A diagnostic shows its hint itself, below the line that it is about.
        let hint = if matches!(error, crate::manifest::Error::Invalid(_)) {
            None
        } else {
            error.hint()
        };
        Self {
            error: error.into(),
            hint,
            exit: Exit::Failed,
        }
    }
}

hinted!(
    build::BuildError,
    watch::WatchError,
    scaffold::ScaffoldError,
    crate::host::Error,
    crate::host::runtime_config::RuntimeConfigError,
    crate::adapter::variables::VariablesError,
);

impl From<telemetry::Error> for Failure {
    fn from(error: telemetry::Error) -> Self {
        let hint = match error {
            telemetry::Error::Filter { .. } => Some(
                "`--log` takes levels and targets, for example `info,midplane::gateway=debug`".to_owned(),
            ),
            _ => None,
        };
        Self {
            error: error.into(),
            hint,
            exit: Exit::Failed,
        }
    }
}

impl Failure {
    /// What was typed cannot be meant.
    fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            error: anyhow::Error::msg(message.into()),
            hint: Some(hint.into()),
            exit: Exit::Usage,
        }
    }

    fn print(&self) {
        let mut text = String::from("error: ");
        let mut last = String::new();
        for (index, cause) in self.error.chain().enumerate() {
            let cause = cause.to_string();
            // A transparent error says the same as its source.
            if cause == last {
                continue;
            }
            let _infallible = match index {
                0 => write!(text, "{cause}"),
                _ => write!(text, "\n  caused by: {}", cause.replace('\n', "\n    ")),
            };
            last = cause;
        }
        text.push('\n');
        if let Some(hint) = &self.hint {
            let _infallible = writeln!(text, "hint: {hint}");
        }
        // If standard error is gone there is nobody to tell.
        let _nobody = std::io::stderr()
            .lock()
            .write_all(telemetry::harmless(&text).as_bytes());
    }
}

/// Runs what was typed.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // If standard error is gone there is nobody to tell.
            let _nobody = error.print();
            return ExitCode::from(code);
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit.code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let guard = telemetry::init(&LogOptions {
        format: match cli.log.log_format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        },
        quiet: cli.log.quiet,
        filter: cli.log.log.clone(),
        access_log: cli.log.access_log,
        color: telemetry::Color::Auto,
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("midplane-worker")
        .on_thread_start(crate::engine::prepare_thread)
        .build()
        .map_err(anyhow::Error::from)?;
    let quiet = cli.log.quiet;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Up(up) => up.run(quiet, guard.dropped_lines(), guard.tail()).await,
            Command::Build(command) => run_build(&command).await,
            Command::Check(check) => check.run().await,
            Command::Compose(compose) => compose.run().await,
            Command::New(command) => command.run(quiet),
            Command::Add(command) => command.run(quiet),
            Command::Deploy(command) => command.run().await,
            Command::Rollback(command) => command.run().await,
            Command::Promote(command) => command.run().await,
            Command::Abort(command) => command.run().await,
            Command::Apply(command) => command.run().await,
            Command::Status(command) => command.run().await,
            Command::History(command) => command.run().await,
            Command::Logs(command) => command.run().await,
        }
    });
    // What still runs has had its time.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    drop(guard);
    done
}

async fn run_build(command: &Build) -> Result<(), Failure> {
    let app = crate::manifest::load(&command.app.from)?;
    warn(&app);
    let only = (!command.components.is_empty()).then_some(command.components.as_slice());
    build::build(&app, only, &mut std::io::stderr()).await?;
    Ok(())
}

fn warn(app: &crate::manifest::App) {
    for warning in &app.warnings {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// The whole help of a command.
    fn help(command: &str) -> String {
        let mut cli = Cli::command();
        let command = cli.find_subcommand_mut(command).unwrap();
        command.render_long_help().to_string()
    }

    #[test]
    fn what_can_be_typed_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_commands_for_a_running_host_has_examples_and_exit_codes() {
        let all = Cli::command().render_long_help().to_string();
        for code in [
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::RolledBack,
            Exit::Interrupted,
            Exit::Terminated,
        ] {
            let code = code.code().to_string();
            let codes = all.split("Exit codes:").nth(1).unwrap();
            assert!(codes.contains(&code), "{code} in {codes}");
        }
        for (command, about) in [
            ("deploy", "Replace services"),
            ("rollback", "Bring a revision of before back"),
            ("promote", "Make a candidate"),
            ("abort", "Take a candidate back"),
            ("apply", "Put a changed manifest in force"),
            ("status", "Show what a running host serves"),
            ("history", "Show what was changed"),
            ("logs", "Show what a service prints"),
        ] {
            let help = help(command);
            assert!(help.starts_with(about), "{help}");
            for words in [
                &format!("Examples:\n  midplane {command}")[..],
                "Exit codes: 0 done",
                "--state-dir",
                "--admin",
            ] {
                assert!(help.contains(words), "no {words:?} in {help}");
            }
        }
    }
}
