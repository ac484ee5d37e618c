//! ```text
//! cargo run --release -p midplane-storm --bin swap-storm -- --requests 10000000 --swaps 1000
//! cargo run --release -p midplane-storm --bin swap-storm -- check FILE
//! ```
//!
//! Starts a host, swaps its services under load, and prints tables. The exit code is 0 if nothing was dropped or wrong, else 1,
//! and 2 for arguments that cannot be meant.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use midplane_storm::app::{self, Settings};
use midplane_storm::check::{Judge, Report};
use midplane_storm::deck::Deck;
use midplane_storm::figures::{self, Table};
use midplane_storm::host::Host;
use midplane_storm::journal::{self, Journal};
use midplane_storm::plan::{Plan, Rate};
use midplane_storm::record::Record;
use midplane_storm::{build, storm};

const USAGE: &str = "\
Usage: swap-storm [OPTIONS]
       swap-storm check FILE

Swaps services under load and counts what is dropped.

Options:
  --requests N   Requests to send, at least [default: 1000000]
  --swaps N      Changes to make, at least [default: 1000]
  --rate N       Requests a second [default: two fifths of what the machine can take]
  --revisions N  Revisions that take turns; 0 makes a new one for each deploy [default: 8]
  --host FILE    The host [default: target/release/midplane, built]
  --log FILE     Where every request and change is written down [default: a temporary file]

check judges such a file again.
";

struct Options {
    requests: u32,
    swaps: u32,
    rate: Option<f64>,
    revisions: u32,
    host: Option<PathBuf>,
    log: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["-h" | "--help"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        ["check", file] => check(Path::new(file)),
        _ => match options(&arguments) {
            Ok(options) => run(&options),
            Err(error) => {
                eprint!("error: {error}\n\n{USAGE}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> anyhow::Result<Options> {
    let mut options = Options {
        requests: 1_000_000,
        swaps: 1_000,
        rate: None,
        revisions: 8,
        host: None,
        log: None,
    };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .with_context(|| format!("{name} needs a value"))?;
        let number = || {
            let number = value.replace('_', "").parse::<u32>();
            number.with_context(|| format!("{name} needs a number, not {value}"))
        };
        match name.as_str() {
            "--requests" => options.requests = number()?,
            "--swaps" => options.swaps = number()?,
            "--rate" => options.rate = Some(f64::from(number()?.max(1))),
            "--revisions" => options.revisions = number()?,
            "--host" => options.host = Some(value.into()),
            "--log" => options.log = Some(value.into()),
            _ => bail!("there is no {name}"),
        }
    }
    Ok(options)
}

/// Runs the long form. `false` if anything was dropped or wrong.
fn run(options: &Options) -> anyhow::Result<bool> {
    let program = match &options.host {
        Some(program) => program
            .canonicalize()
            .with_context(|| format!("{} is no host", program.display()))?,
        None => build::host()?,
    };
    let deck = Deck::read(&build::guests()?)?;
    let folder = tempfile::TempDir::with_prefix("swap-storm-").context("there is no temporary folder")?;
    let path = folder.path();
    deck.write(path)?;
    let manifest = app::manifest(path, Settings { number: app::FIRST }, None);
    std::fs::write(path.join("spin.toml"), manifest).context("the folder takes no manifest")?;
    let host = Host::start(&program, path, &build::cache_folder()?)?;
    let mut plan = Plan::long(options.requests, options.swaps);
    plan.mix.revisions = options.revisions;
    if let Some(rate) = options.rate {
        plan.rate = Rate::Fixed(rate);
    }
    let log = options.log.clone().unwrap_or_else(|| path.join("journal"));
    let journal = Journal::in_file(&log).with_context(|| format!("{} cannot be written", log.display()))?;
    let journal = Arc::new(journal);
    let runtime = tokio::runtime::Runtime::new().context("there is no runtime")?;
    let aftermath = runtime.block_on(storm::run(&host.target, deck, path, &plan, &journal))?;
    let figures = figures::of(&journal).context("the journal cannot be read")?;
    println!(
        "{}",
        Table {
            plan: &plan,
            figures: &figures,
            aftermath: &aftermath,
        }
    );
    for remark in &aftermath.remarks {
        println!("change {} ({}): {}", remark.call, remark.what, remark.said);
    }
    let report = &figures.report;
    if !report.is_clean() {
        print!("{report}");
    }
    let interrupted = aftermath.drains.iter().any(|drain| drain.interrupted > 0);
    Ok(report.is_clean() && !interrupted && aftermath.undrained == 0)
}

/// Judges the journal of a storm that is over. `false` if anything was dropped or wrong.
fn check(file: &Path) -> anyhow::Result<bool> {
    let report = judged(file).with_context(|| format!("{} cannot be judged", file.display()))?;
    print!("{report}");
    Ok(report.is_clean())
}

fn judged(file: &Path) -> std::io::Result<Report> {
    let (mut swaps, mut sent) = (Vec::new(), None);
    for record in journal::open(file)? {
        match record? {
            Record::Swap(swap) => swaps.push(swap),
            Record::Sent(number) => sent = Some(number),
            Record::Exchange(_) | Record::Phase(_) => {}
        }
    }
    let sent = sent.ok_or_else(|| std::io::Error::other("the storm did not come to its end"))?;
    let mut judge = Judge::new(&swaps);
    for record in journal::open(file)? {
        if let Record::Exchange(exchange) = record? {
            judge.exchange(&exchange);
        }
    }
    Ok(judge.finish(sent))
}
