//! The command line: what was typed becomes what is meant, and errors become text, a hint and an exit code.
//!
//! Standard output carries what a command is asked for (what `up` serves); everything else goes to standard error. Exit codes:
//! 0 done, 1 failed, 2 wrong usage, 130 or 143 ended by a second signal.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::telemetry::{self, LogFormat, LogOptions};

mod add;
mod build;
mod check;
mod compose;
mod new;
mod scaffold;
mod up;

/// A host for microservices that are WebAssembly components.
#[derive(Parser)]
#[command(
    name = "midplane",
    version,
    about,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_help = "\
Examples:
  midplane up --build                 build the services of ./spin.toml and serve them on 127.0.0.1:3000
  midplane up -f shop --listen :8080  serve the app in the directory `shop` on every address
  midplane build                      build the services, serve nothing
  midplane check                      find what `up` would refuse, and show how the app hangs together
  midplane new demo                   make an app in the directory `demo`
  midplane add greetings              add a service to the app in this directory

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

#[derive(Debug, Args)]
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
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, hint: None }
    }
}

/// Gives an error of a module its hint.
macro_rules! hinted {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let hint = error.hint();
                Self { error: error.into(), hint }
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
        }
    }
}

hinted!(
    build::BuildError,
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
        }
    }
}

impl Failure {
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
            ExitCode::FAILURE
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
            Command::Up(up) => up.run(quiet, guard.dropped_lines()).await,
            Command::Build(command) => run_build(&command).await,
            Command::Check(check) => check.run().await,
            Command::Compose(compose) => compose.run().await,
            Command::New(command) => command.run(quiet),
            Command::Add(command) => command.run(quiet),
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
