//! ```text
//! cargo run --release -p midplane-crash --bin crash-storm -- --kills 1000
//! ```
//!
//! Kills a host again and again while it is written to, and prints tables. The exit code is 0 if nothing was lost, wrong or
//! damaged, else 1, and 2 for arguments that cannot be meant.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use midplane_crash::app::{Components, FIXTURES};
use midplane_crash::storm::{self, Ground, Plan};
use midplane_crash::table::Table;
use midplane_storm::build;

const USAGE: &str = "\
Usage: crash-storm [OPTIONS]

Kills a host while it is written to, and sees whether anything that it acknowledged is lost.

Options:
  --kills N    Kills [default: 1000]
  --seed N     What the moments of the kills, the keys and the values follow from [default: the time]
  --host FILE  The host [default: target/release/midplane, built]
  --keep       Leave the folder with the apps, their states and the records where it is, and print its name
";

struct Options {
    kills: u32,
    seed: u64,
    host: Option<PathBuf>,
    keep: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .iter()
        .any(|argument| argument == "-h" || argument == "--help")
    {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprint!("error: {error:#}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> anyhow::Result<Options> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut options = Options {
        kills: 1_000,
        seed: now.as_secs(),
        host: None,
        keep: false,
    };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{name} needs a value"));
        match name.as_str() {
            "--kills" => options.kills = value()?.parse().context("--kills needs a number")?,
            "--seed" => options.seed = value()?.parse().context("--seed needs a number")?,
            "--host" => options.host = Some(value()?.into()),
            "--keep" => options.keep = true,
            _ => bail!("there is no {name}"),
        }
    }
    Ok(options)
}

/// Runs the long form. `false` if anything was lost, wrong or damaged.
fn run(options: &Options) -> anyhow::Result<bool> {
    let program = match &options.host {
        Some(program) => program
            .canonicalize()
            .with_context(|| format!("{} is no host", program.display()))?,
        None => build::host()?,
    };
    let components = Components::read(&build::fixtures(&FIXTURES)?)?;
    let folder = tempfile::TempDir::with_prefix("crash-storm-").context("there is no temporary folder")?;
    println!("{} kills, seed {}", options.kills, options.seed);
    let runtime = tokio::runtime::Runtime::new().context("there is no runtime")?;
    let cache = build::cache_folder()?;
    let ground = Ground {
        program: &program,
        cache: &cache,
        folder: folder.path(),
        components: Arc::new(components),
    };
    let plan = Plan::new(options.kills, options.seed);
    let outcome = runtime.block_on(storm::run(&ground, &plan, |kills, outcome| {
        if kills.is_multiple_of(50) {
            eprintln!(
                "{kills} kills, {} faults",
                outcome.violations.len() + outcome.damaged.len()
            );
        }
    }))?;
    println!("{}", Table(&outcome));
    if options.keep {
        println!("{}", folder.keep().display());
    }
    Ok(outcome.is_clean())
}
