//! `midplane up`: serve an app until a signal comes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::change::{self, Asked};
use super::watch::{Swap, Watch};
use super::{AppArgs, Exit, Failure, build, warn};
use crate::adapter::variables::parse_variable_argument;
use crate::admin::api;
use crate::admin::control::{Control, Refusal};
use crate::host::runtime_config::RuntimeConfig;
use crate::host::{Host, Options, Progress, Step};
use crate::manifest::App;
use crate::model::ServiceName;
use crate::shutdown::Tasks;
use crate::telemetry::{DroppedLines, Tail};

mod served;

use self::served::Served;

/// Serve an app until it is interrupted.
#[derive(Args)]
#[command(after_help = "\
Examples:
  midplane up                                    serve ./spin.toml on http://127.0.0.1:3000
  midplane up --build                            build the components first
  midplane up --build --watch                    and again, whenever a file is saved
  midplane up -f shop/spin.toml --listen :8080   another manifest, every address, port 8080
  midplane up --variable admin_password=@pw.txt  give a variable its value, here from a file
  midplane up --format json --listen 127.0.0.1:0 for scripts: a free port, and what is served as one JSON object

A start serves what was published last (by a deploy or a rollback, for example), unless the manifest or the files that
it names say something that was not applied before. It prints which.

Ctrl-C (or SIGTERM) stops: no new connections, requests finish for at most --drain-timeout, exit code 0.
A second one ends at once.")]
pub(super) struct Up {
    #[command(flatten)]
    app: AppArgs,
    /// Run the components' build commands first.
    #[arg(long)]
    build: bool,
    /// Rebuild what a saved file belongs to, and swap only that while everything is served.
    #[arg(long)]
    watch: bool,
    /// Where to serve the app; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000", value_parser = address)]
    listen: SocketAddr,
    /// Where to answer /ready, /metrics and the admin API; `off` for nowhere.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3001", value_parser = admin_address)]
    admin: AdminAddress,
    /// Where data, keys and compiled code are kept [default: .midplane beside the manifest].
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
    /// Set an environment variable in every component. May be given more than once.
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// How to print what is served.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// How long requests may take to finish once the host is asked to stop, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    drain_timeout: Duration,
    /// How long to serve on after being asked to stop, while /ready says no, in seconds: for balancers to notice.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    shutdown_delay: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for people.
    #[default]
    Plain,
    /// One JSON object.
    Json,
}

#[derive(Debug, Clone, Copy)]
enum AdminAddress {
    At(SocketAddr),
    Off,
}

impl Up {
    pub(super) async fn run(self, quiet: bool, dropped: DroppedLines, tail: Tail) -> Result<(), Failure> {
        let app = crate::manifest::load(&self.app.from)?;
        warn(&app);
        if self.build {
            build::build(&app, None, &mut std::io::stderr()).await?;
        }
        let runtime_config = match &self.runtime_config_file {
            None => RuntimeConfig::default(),
            Some(file) => RuntimeConfig::load(file)?,
        };
        let mut variables = BTreeMap::new();
        for argument in &self.variables {
            let (name, value) = parse_variable_argument(argument)?;
            variables.insert(name, value);
        }
        let mut environment = BTreeMap::new();
        for argument in &self.env {
            let (name, value) = variable(argument)?;
            environment.insert(name, value);
        }
        let tasks = Tasks::new();
        // From here on a signal stops in order, also while services are prepared.
        tasks
            .drain_on_signal(self.shutdown_delay)
            .context("cannot listen for signals")?;
        let options = Options {
            listen: self.listen,
            admin: match self.admin {
                AdminAddress::At(address) => Some(address),
                AdminAddress::Off => None,
            },
            state_dir: self.state_dir,
            cache_dir: self.cache_dir,
            runtime_config,
            variables,
            environment,
            dropped_lines: Some(dropped),
            tail,
        };
        let progress: Progress = Arc::new(move |step: Step| {
            if !quiet {
                report(&step);
            }
        });
        // Before anything is prepared, so that no change is missed.
        let watch = match self.watch {
            false => None,
            true => Some(Watch::start(
                app.clone(),
                vec![state_dir(&options, &app)],
                tasks.clone(),
            )?),
        };
        // Cancel-safe: a start that is given up leaves no half-written file.
        let host = tokio::select! {
            biased;
            started = Host::start(&app, options, tasks.clone(), &progress) => started?,
            () = tasks.leaving() => return Ok(()),
        };
        let served = Served::new(&host);
        let text = match self.format {
            Format::Plain => served.plain(quiet),
            Format::Json => served.json()?,
        };
        let mut stdout = std::io::stdout().lock();
        // Whoever started the host may not read what it prints; it serves all the same.
        let _unread = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        drop(stdout);

        if let Some(watch) = watch {
            let swap = InProcess {
                control: host.control(),
                manifest: app.file.clone(),
            };
            drop(tasks.background("watch", watch.run(swap)));
        }
        tasks.leaving().await;
        host.leave();
        tasks.draining().await;
        tracing::info!(at_most = ?self.drain_timeout, "stopping: requests may finish");
        let outcome = host.stop(self.drain_timeout).await;
        let count = |tasks: &[crate::shutdown::TaskCount]| tasks.iter().map(|task| task.count).sum::<usize>();
        if outcome.is_clean() {
            tracing::info!("stopped");
        } else {
            tracing::warn!(
                aborted = count(&outcome.aborted),
                stuck = count(&outcome.stuck),
                "stopped, with work cut off at the end of the drain"
            );
        }
        Ok(())
    }
}

/// Where the state directory is going to be.
fn state_dir(options: &Options, app: &App) -> PathBuf {
    let asked = options.state_dir.clone();
    asked
        .or_else(|| options.runtime_config.state_dir.clone())
        .unwrap_or_else(|| app.dir.join(crate::host::STATE_DIR))
}

/// What a watch asks for, without the way over the admin API. Whoever saves a file is the operator: what a service may newly
/// touch is told, and not refused.
struct InProcess {
    control: Arc<dyn Control>,
    manifest: PathBuf,
}

/// Who asks for it, in the journal.
const WATCH: &str = "up --watch";

impl Swap for InProcess {
    async fn deploy(&self, components: BTreeMap<ServiceName, PathBuf>) -> Result<String, Failure> {
        let names: Vec<_> = components.keys().map(ToString::to_string).collect();
        let services = components.into_iter().map(|(service, path)| {
            let path = path.to_string_lossy().into_owned();
            (service.to_string(), api::Source::Path(path))
        });
        let deploy = api::Deploy {
            services: services.collect(),
            canary: None,
            allow_new_grants: true,
            drain_timeout: None,
        };
        told(
            self.control.deploy(deploy, WATCH.into()).await,
            Asked::Publish,
            &names,
        )
    }

    async fn apply(&self) -> Result<String, Failure> {
        let apply = api::Apply {
            manifest: self.manifest.to_string_lossy().into_owned(),
            dry_run: false,
            allow_new_grants: true,
            drain_timeout: None,
        };
        told(
            self.control.apply(apply, WATCH.into()).await,
            Asked::Manifest,
            &[],
        )
    }
}

fn told(
    outcome: Result<api::Outcome, Refusal>,
    asked: Asked<'_>,
    services: &[String],
) -> Result<String, Failure> {
    match outcome {
        Ok(outcome) => {
            for warning in &outcome.warnings {
                tracing::warn!("{warning}");
            }
            Ok(change::told(&outcome, asked, services))
        }
        Err(refusal) => Err(Failure {
            hint: refusal.hint.clone(),
            error: refusal.into(),
            exit: Exit::Failed,
        }),
    }
}

fn report(step: &Step) {
    match step {
        Step::Compiles { service, bytes } => {
            tracing::info!(service = service.as_str(), kib = bytes / 1024, "compiling");
        }
        Step::Prepared(summary) => match summary.compiled {
            Some(took) => {
                tracing::info!(service = summary.service.as_str(), revision = %summary.revision, "compiled in {took:.1?}");
            }
            None => {
                tracing::info!(service = summary.service.as_str(), revision = %summary.revision, "loaded from the cache");
            }
        },
    }
}

/// `HOST:PORT`, where an empty host is every address.
fn address(text: &str) -> Result<SocketAddr, String> {
    let every = text.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    let text = every.as_deref().unwrap_or(text);
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let resolved = text.to_socket_addrs().map_err(|error| {
        format!("not an address with a port, such as 127.0.0.1:3000 or localhost:0 ({error})")
    })?;
    resolved
        .into_iter()
        .next()
        .ok_or_else(|| "the name has no address".to_owned())
}

fn admin_address(text: &str) -> Result<AdminAddress, String> {
    match text {
        "off" => Ok(AdminAddress::Off),
        text => address(text).map(AdminAddress::At),
    }
}

/// What was typed is not repeated in the error: it may be a secret.
fn variable(argument: &str) -> Result<(String, String), Failure> {
    match argument.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Failure {
            error: anyhow::anyhow!("an argument of `--env` gives no variable a value"),
            hint: Some("write `--env NAME=VALUE`".to_owned()),
            exit: Exit::Failed,
        }),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        assert_eq!(address("127.0.0.1:80"), Ok(([127, 0, 0, 1], 80).into()));
        assert_eq!(address(":8080"), Ok(([0, 0, 0, 0], 8080).into()));
        assert!(address("[::1]:0").is_ok());
        for bad in ["", "3000", "127.0.0.1", "127.0.0.1:99999", "a b:1"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn environment_variables_need_a_name() {
        assert!(variable("A=b=c").is_ok_and(|pair| pair == ("A".into(), "b=c".into())));
        for bad in ["=x", "A"] {
            let Err(failure) = variable(bad) else {
                panic!("{bad} has no name, or no value")
            };
            assert!(!failure.error.to_string().contains(bad));
        }
    }
}
