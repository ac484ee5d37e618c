//! ```text
//! cargo run --release -p midplane-fault --bin fault-storm -- --seconds 10
//! cargo run --release -p midplane-fault --bin fault-storm -- --only "endless loop"
//! ```
//!
//! Runs every fault against a host of its own and prints a table. The exit code is 0 if all passed, else 1, and 2 for arguments
//! that cannot be meant.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use midplane_fault::build;
use midplane_fault::fault::{self, Fault};
use midplane_fault::row::{Row, Table};
use midplane_fault::run::{Settings, run};

const USAGE: &str = "\
Usage: fault-storm [OPTIONS]

Runs services that misbehave, and measures their neighbour.

Options:
  --seconds N   How long the neighbour is measured, quiet and under each fault [default: 10]
  --rate N      Requests a second to the neighbour [default: 200]
  --only NAME   This fault alone; may be given more than once
  --host FILE   The host [default: target/release/midplane, built]
  --list        Say what faults there are
";

/// How far the priority of the hostile clients is below that of what measures (`setpriority(2)`).
const NICE: i32 = 10;

struct Options {
    time: Duration,
    rate: u32,
    only: Vec<&'static Fault>,
    host: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["-h" | "--help"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        ["--list"] => {
            for fault in fault::ALL {
                println!("{}", fault.name);
            }
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprint!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match storm(&options) {
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
        time: Duration::from_secs(10),
        rate: 200,
        only: Vec::new(),
        host: None,
    };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .with_context(|| format!("{name} needs a value"))?;
        let number = || {
            let number = value.parse::<u32>().ok().filter(|number| *number > 0);
            number.with_context(|| format!("{name} needs a number, not {value}"))
        };
        match name.as_str() {
            "--seconds" => options.time = Duration::from_secs(number()?.into()),
            "--rate" => options.rate = number()?,
            "--only" => {
                let fault = Fault::named(value);
                options
                    .only
                    .push(fault.with_context(|| format!("there is no fault `{value}`"))?);
            }
            "--host" => options.host = Some(value.into()),
            _ => bail!("there is no {name}"),
        }
    }
    Ok(options)
}

/// `false` if any fault did not pass.
fn storm(options: &Options) -> anyhow::Result<bool> {
    let faults: Vec<_> = match options.only.is_empty() {
        true => fault::ALL.iter().collect(),
        false => options.only.clone(),
    };
    let program = match &options.host {
        Some(program) => program
            .canonicalize()
            .with_context(|| format!("{} is no host", program.display()))?,
        None => build::host()?,
    };
    let settings = Settings {
        program,
        cache: build::cache_folder()?,
        fixtures: build::guests(&faults)?,
        time: options.time,
        rate: options.rate,
        patience: Duration::from_secs(60),
    };
    let own = tokio::runtime::Runtime::new().context("there is no runtime")?;
    // The machine is the host's and the neighbour's, not that of clients who want too much.
    let hostile = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(|| {
            // Of this thread alone, on Linux. Without it the figures are worse.
            let _ = rustix::process::setpriority_process(None, NICE);
        })
        .build()
        .context("there is no runtime")?;
    let mut rows: Vec<Row> = Vec::new();
    for fault in faults {
        eprintln!("{} …", fault.name);
        let row = own.block_on(run(fault, &settings, hostile.handle()));
        rows.push(row.with_context(|| format!("the fault `{}`", fault.name))?);
    }
    println!("{}", Table(&rows));
    let mut has_passed = true;
    for row in &rows {
        for fault in row.all_faults() {
            has_passed = false;
            println!("{}: {fault}", row.fault.name);
        }
    }
    Ok(has_passed)
}
