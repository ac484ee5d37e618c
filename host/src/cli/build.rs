//! `midplane build`, and the first half of `up --build`: runs the build commands of the manifest.
//!
//! Equal commands run once. Builds that could get into each other's way (same directory, same Cargo workspace) run one
//! after the other, all others side by side, up to the number of cores. Bounds: a command may take as long as it
//! likes, but ends (its whole process group) with the build, by Ctrl-C or because another one failed; of its output
//! only the last lines are kept.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Instant;

use futures::stream::{self, StreamExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::manifest::{App, Service};
use crate::model::ServiceName;

mod command;
mod plan;
mod target;
#[cfg(test)]
mod tests;

use self::command::{Exit, Output, Shell};
use self::plan::{Job, Lane};

/// Why a build did not end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// A service was asked for that the app does not have.
    #[error("the app has no component `{name}`")]
    UnknownService {
        /// What was asked for.
        name: ServiceName,
        /// What there is.
        known: Vec<ServiceName>,
    },
    /// `workdir` of a build is not there.
    #[error("the build of {} should run in {}, which is no directory", list(services), workdir.display())]
    NoWorkdir {
        /// Whose build.
        services: Vec<ServiceName>,
        /// The missing directory.
        workdir: PathBuf,
    },
    /// The toolchain cannot compile for the target that a command names.
    #[error(
        "the Rust target {target}, which the build of {} needs, is not installed{}",
        list(services),
        colon(detail)
    )]
    MissingTarget {
        /// The target.
        target: String,
        /// Whose build.
        services: Vec<ServiceName>,
        /// What the attempt to install it said, if there was one.
        detail: String,
        /// What to type.
        command: String,
    },
    /// A command could not be started or waited for.
    #[error("cannot run `{command}` in {}", workdir.display())]
    Start {
        /// The command.
        command: String,
        /// Where.
        workdir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A command ended with an error.
    #[error(transparent)]
    Failed(#[from] Box<FailedCommand>),
    /// Ctrl-C, or a request to end.
    #[error("the build was interrupted{}", unbuilt_note(unbuilt))]
    Interrupted {
        /// What was not built.
        unbuilt: Vec<ServiceName>,
    },
    /// There is no component file where the manifest says it is.
    #[error("the component of {service} is not at {}", file.display())]
    MissingSource {
        /// The service.
        service: ServiceName,
        /// The file.
        file: PathBuf,
        /// Whether a build command ran for it.
        built: bool,
    },
    /// The handlers of signals cannot be installed.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
}

/// A build command that ended with an error.
#[derive(Debug, thiserror::Error)]
#[error(
    "building {} failed: `{command}` in {} ended with {status}{}{}",
    list(services), workdir.display(), tail_note(tail), unbuilt_note(unbuilt)
)]
pub(super) struct FailedCommand {
    /// Whose build.
    pub services: Vec<ServiceName>,
    /// The command.
    pub command: String,
    /// Where it ran.
    pub workdir: PathBuf,
    /// How it ended.
    pub status: ExitStatus,
    /// The last lines of its output, where the output of others stood in between.
    pub tail: Vec<String>,
    /// What else was not built.
    pub unbuilt: Vec<ServiceName>,
}

impl BuildError {
    /// What to do about it, where that is more than the message says.
    #[must_use]
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownService { known, .. } => Some(format!("the app has {}", list(known))),
            Self::NoWorkdir { .. } => Some(
                "correct `workdir` in the `build` table of the component, or make the directory".to_owned(),
            ),
            Self::MissingTarget { command, .. } => Some(format!("type `{command}`")),
            Self::MissingSource { built: true, .. } => {
                Some("`source` in the manifest must name the file that the build command makes".to_owned())
            }
            Self::MissingSource { built: false, .. } => {
                Some("correct `source`, or give the component a `build` table with a `command`".to_owned())
            }
            Self::Start { .. } | Self::Failed(_) | Self::Interrupted { .. } | Self::Signals(_) => None,
        }
    }
}

/// Runs the build commands of `app`, or those of the services in `only`, and checks that every component file is
/// there afterwards. What happens is written to `progress`, line by line; errors of `progress` are ignored.
///
/// SIGINT and SIGTERM end the commands and the build. So does dropping the future.
///
/// # Errors
/// [`BuildError`] for the first thing that went wrong; builds that run at that moment are ended.
pub(super) async fn build(
    app: &App,
    only: Option<&[ServiceName]>,
    progress: &mut (dyn Write + Send),
) -> Result<(), BuildError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(BuildError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(BuildError::Signals)?;
    let interrupted = async move {
        // Cancel-safe: whichever signal came, the other one no longer matters.
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    };
    build_until(app, only, progress, interrupted).await
}

/// [`build`], ended by `interrupted` instead of by signals.
pub(super) async fn build_until(
    app: &App,
    only: Option<&[ServiceName]>,
    progress: &mut (dyn Write + Send),
    interrupted: impl Future<Output = ()>,
) -> Result<(), BuildError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (stop, stopped) = watch::channel(false);
    let shell = Shell::new(progress, stopped, Vec::new());
    run(app, only, cores, &shell, &stop, interrupted).await
}

/// [`build_until`] with everything from outside as a parameter.
async fn run(
    app: &App,
    only: Option<&[ServiceName]>,
    at_once: usize,
    shell: &Shell<'_>,
    stop: &watch::Sender<bool>,
    interrupted: impl Future<Output = ()>,
) -> Result<(), BuildError> {
    let services = selected(app, only)?;
    let lanes = plan::lanes(&services);
    let mut unbuilt: BTreeSet<ServiceName> = lanes
        .iter()
        .flatten()
        .flat_map(|job| &job.services)
        .cloned()
        .collect();
    let to_build = unbuilt.clone();
    if lanes.is_empty() {
        shell.say("Nothing to build: no component has a build command");
    }

    let mut interrupted = pin!(interrupted);
    let mut was_interrupted = false;
    let mut failure = None;
    let mixed = lanes.len() > 1 && at_once > 1;
    let work = async {
        if let Err(error) = prepare(&lanes, shell).await {
            return stream::iter(vec![Err(error)]).boxed();
        }
        stream::iter(lanes)
            .map(|lane| build_lane(lane, mixed, shell))
            .buffer_unordered(at_once)
            .map(Ok)
            .boxed()
    };
    let mut results = pin!(stream::once(work).flatten());
    loop {
        // Cancel-safe: a stream keeps its place, and signals are only waited for once.
        tokio::select! {
            result = results.next() => match result {
                Some(Ok(lane)) => {
                    unbuilt.retain(|service| !lane.built.contains(service));
                    if let Some(error) = lane.failure {
                        stop.send_replace(true);
                        failure.get_or_insert(error);
                    }
                }
                Some(Err(error)) => failure = Some(error),
                None => break,
            },
            () = &mut interrupted, if !was_interrupted => {
                was_interrupted = true;
                stop.send_replace(true);
            }
        }
    }
    if was_interrupted {
        return Err(BuildError::Interrupted {
            unbuilt: unbuilt.into_iter().collect(),
        });
    }
    match failure {
        Some(BuildError::Failed(mut failed)) => {
            unbuilt.retain(|service| !failed.services.contains(service));
            failed.unbuilt = unbuilt.into_iter().collect();
            Err(BuildError::Failed(failed))
        }
        Some(error) => Err(error),
        None => check_sources(&services, &to_build),
    }
}

/// The services to build: those of `only`, or all.
fn selected<'a>(app: &'a App, only: Option<&[ServiceName]>) -> Result<Vec<&'a Service>, BuildError> {
    let Some(only) = only else {
        return Ok(app.services.values().collect());
    };
    let find = |name: &ServiceName| {
        app.services.get(name).ok_or_else(|| BuildError::UnknownService {
            name: name.clone(),
            known: app.services.keys().cloned().collect(),
        })
    };
    only.iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(find)
        .collect()
}

/// What must be there before the first command starts: its directory, and the target that it compiles for.
async fn prepare(lanes: &[Lane], shell: &Shell<'_>) -> Result<(), BuildError> {
    for job in lanes.iter().flatten() {
        if !job.workdir.is_dir() {
            let (services, workdir) = (job.services.clone(), job.workdir.clone());
            return Err(BuildError::NoWorkdir { services, workdir });
        }
    }
    target::install(lanes.iter().flatten(), shell).await
}

/// What became of a lane.
#[derive(Default)]
struct LaneResult {
    built: Vec<ServiceName>,
    failure: Option<BuildError>,
}

/// Runs the jobs of a lane one after the other, until one fails or the build is stopped.
async fn build_lane(lane: Lane, mixed: bool, shell: &Shell<'_>) -> LaneResult {
    let mut result = LaneResult::default();
    for job in lane {
        match build_job(&job, mixed, shell).await {
            Ok(Exit::Ended(_)) => result.built.extend(job.services),
            Ok(Exit::Stopped) => break,
            Err(error) => {
                result.failure = Some(error);
                break;
            }
        }
    }
    result
}

/// Runs the commands of one job. [`Exit::Ended`] means that all went well.
async fn build_job(job: &Job, mixed: bool, shell: &Shell<'_>) -> Result<Exit, BuildError> {
    let names = list(&job.services);
    let started = Instant::now();
    let mut exit = Exit::Stopped;
    for command in &job.command {
        if shell.is_stopped() {
            return Ok(Exit::Stopped);
        }
        shell.say(&format!("Building {names}: {command}"));
        let mut output = Output::new(mixed.then_some(names.as_str()));
        exit = shell.run(command, &job.workdir, &mut output).await?;
        match exit {
            Exit::Stopped => return Ok(exit),
            Exit::Ended(status) if !status.success() => {
                shell.say(&format!(
                    "Building {names} failed after {:.1} s",
                    started.elapsed().as_secs_f64()
                ));
                return Err(BuildError::Failed(Box::new(FailedCommand {
                    services: job.services.clone(),
                    command: command.clone(),
                    workdir: job.workdir.clone(),
                    status,
                    tail: if mixed { output.into_tail() } else { Vec::new() },
                    unbuilt: Vec::new(),
                })));
            }
            Exit::Ended(_) => {}
        }
    }
    shell.say(&format!(
        "Built {names} in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    Ok(exit)
}

fn check_sources(services: &[&Service], built: &BTreeSet<ServiceName>) -> Result<(), BuildError> {
    match services.iter().find(|service| !service.source.is_file()) {
        Some(service) => Err(BuildError::MissingSource {
            service: service.name.clone(),
            file: service.source.clone(),
            built: built.contains(&service.name),
        }),
        None => Ok(()),
    }
}

/// `a, b, c`.
fn list(services: &[ServiceName]) -> String {
    services
        .iter()
        .map(ServiceName::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

fn colon(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(": {detail}")
    }
}

fn tail_note(tail: &[String]) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!("; the end of its output:\n  {}", tail.join("\n  "))
    }
}

fn unbuilt_note(unbuilt: &[ServiceName]) -> String {
    if unbuilt.is_empty() {
        String::new()
    } else {
        format!("\nnot built: {}", list(unbuilt))
    }
}
