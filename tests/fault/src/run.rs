//! One fault against one host, from its start to the row.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use midplane_storm::admin::{Admin, Answer};
use midplane_storm::host::{Host, Target};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::app;
use crate::client::{self, Seen};
use crate::fault::{Deed, Fault, Guest, Shown, Whose};
use crate::log;
use crate::metrics::Samples;
use crate::neighbour::{self, Measurement};
use crate::process::{self, Reading};
use crate::row::{DESCRIPTORS, Row};
use crate::upstream::Upstream;

/// From one look at the memory to the next.
const LOOK: Duration = Duration::from_millis(20);

/// What a run needs to know.
#[derive(Clone)]
pub struct Settings {
    /// The host.
    pub program: PathBuf,
    /// Where hosts keep what they compiled.
    pub cache: PathBuf,
    /// The folder that has the fixtures, each with `_` for `-` in its name.
    pub fixtures: PathBuf,
    /// How long the neighbour is measured, quiet and under the fault each.
    pub time: Duration,
    /// Requests a second to the neighbour.
    pub rate: u32,
    /// How long the host may take to be idle again, and to give memory back.
    pub patience: Duration,
}

/// Runs one fault. `hostile` is where its clients run.
///
/// # Errors
/// If the host does not start or does not stay, or the harness itself fails.
pub async fn run(fault: &'static Fault, settings: &Settings, hostile: &Handle) -> anyhow::Result<Row> {
    let folder = TempDir::with_prefix("fault-storm-").context("there is no temporary folder")?;
    let upstream = Upstream::start().await?;
    write(folder.path(), fault, settings, &upstream)?;
    let (program, cache) = (settings.program.clone(), settings.cache.clone());
    let place = folder.path().to_owned();
    let host = tokio::task::spawn_blocking(move || {
        Host::start_with(&program, &place, &cache, &["--log-format", "json"])
    });
    let host = host.await??;
    let target = host.target.clone();
    let process = target.process.context("a host that was started is a process")?;

    let over = Arc::new(AtomicBool::new(true));
    let quiet = measure(&target, fault, settings, &over).await?;
    wait_until_idle(&target, settings.patience).await?;
    let before = process::read(process)?;
    let samples = Samples::of(&target).await?;

    let peak = Arc::new(AtomicU64::new(before.anonymous));
    let watch = tokio::spawn(watch(process, peak.clone()));
    let over = Arc::new(AtomicBool::new(false));
    let deed = hostile.spawn(act(
        fault,
        target.clone(),
        upstream.address.to_string(),
        settings.time,
    ));
    let (stormy, seen) = tokio::join!(measure(&target, fault, settings, &over), async {
        let seen = deed.await;
        over.store(true, Ordering::Relaxed);
        seen
    });
    let (stormy, seen) = (stormy?, seen??);

    let is_idle = wait_until_idle(&target, settings.patience).await?;
    let after = settle(process, fault, before, settings.patience).await?;
    watch.abort();
    let grown = Samples::of(&target).await?;
    let is_over = AtomicBool::new(true);
    let last = neighbour::measure(
        target.address,
        fault.neighbour.path(),
        1,
        Duration::from_millis(1),
        &is_over,
    );
    drop(host);
    let growth = fault.metrics.iter().map(|metric| {
        // As `service`, or as `caller` of a link.
        let service = format!("{:?}", app::HOSTILE);
        let labels: &[&str] = match metric.of {
            Whose::Service => &[&service, metric.label],
            Whose::Host => &[metric.label],
        };
        grown.sum(metric.name, labels) - samples.sum(metric.name, labels)
    });
    let wanted = match fault.log {
        Shown::Line(lines) => lines,
        Shown::NoFailure | Shown::Failure(_) => &[],
    };
    Ok(Row {
        fault,
        seen,
        log: log::read(&folder.path().join("log"), wanted)?,
        growth: growth.collect(),
        quiet,
        stormy,
        afterwards: last.failures.into_iter().next(),
        before,
        peak: peak.load(Ordering::Relaxed),
        after,
        is_idle,
    })
}

fn write(folder: &Path, fault: &Fault, settings: &Settings, upstream: &Upstream) -> anyhow::Result<()> {
    let fixture = |name: &str| {
        let file = settings
            .fixtures
            .join(name.replace('-', "_"))
            .with_extension("wasm");
        fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))
    };
    let hostile = match fault.guest {
        Guest::Fixture(name) => fixture(name)?,
        Guest::Made(make) => make()?,
    };
    let [own, neighbour] = app::FILES.map(|file| folder.join(file));
    fs::write(own, hostile)?;
    fs::write(neighbour, fixture(fault.neighbour.fixture())?)?;
    fs::write(folder.join(app::FILE), "a file\n")?;
    fs::write(
        folder.join("spin.toml"),
        app::manifest(folder, fault, upstream.address),
    )?;
    Ok(())
}

async fn measure(
    target: &Target,
    fault: &Fault,
    settings: &Settings,
    over: &Arc<AtomicBool>,
) -> anyhow::Result<Measurement> {
    let (address, rate, time, over) = (target.address, settings.rate, settings.time, over.clone());
    let path = fault.neighbour.path();
    let measured = tokio::task::spawn_blocking(move || neighbour::measure(address, path, rate, time, &over));
    Ok(measured.await?)
}

/// Does what the fault is about, for so long at least.
async fn act(
    fault: &'static Fault,
    target: Target,
    upstream: String,
    time: Duration,
) -> anyhow::Result<Seen> {
    match fault.deed {
        Deed::Ask { clients, paths } => {
            let path = |path: &&str| format!("/hostile{}", path.replace("{upstream}", &upstream));
            let paths: Vec<_> = paths.iter().map(path).collect();
            client::ask(target.address, clients, &paths, Instant::now() + time).await
        }
        Deed::Deploy(make) => {
            let component = tokio::task::spawn_blocking(make).await??;
            let what = deploy(&target, component.into()).await;
            Ok([(what, 1)].into())
        }
    }
}

/// Uploads a component and makes it the hostile service.
async fn deploy(target: &Target, component: Bytes) -> String {
    let mut admin = Admin::of(target, app::NAME);
    let told = |answer| match answer {
        Answer::Done(_) => "deployed".to_owned(),
        Answer::Refused { .. } => "refused".to_owned(),
    };
    let digest = match admin.upload(component).await {
        Ok(Ok(digest)) => digest,
        Ok(Err(answer)) => return told(answer),
        Err(error) => return format!("{error:#}"),
    };
    match admin.deploy(&[(app::HOSTILE, digest)]).await {
        Ok(answer) => told(answer),
        Err(error) => format!("{error:#}"),
    }
}

/// Whether nothing is in flight any more before the patience is over.
async fn wait_until_idle(target: &Target, patience: Duration) -> anyhow::Result<bool> {
    let end = Instant::now() + patience;
    loop {
        if Samples::of(target).await?.in_flight() == 0.0 {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        sleep(LOOK).await;
    }
}

/// Waits until the memory is back at its level, or the patience is over.
async fn settle(process: u32, fault: &Fault, before: Reading, patience: Duration) -> anyhow::Result<Reading> {
    let end = Instant::now() + patience;
    loop {
        let reading = process::read(process)?;
        let is_back = reading.anonymous <= before.anonymous + fault.kept()
            && reading.descriptors <= before.descriptors + DESCRIPTORS;
        if is_back || Instant::now() >= end {
            return Ok(reading);
        }
        sleep(LOOK).await;
    }
}

/// Keeps the most memory that a process has.
async fn watch(process: u32, peak: Arc<AtomicU64>) {
    while let Ok(reading) = process::read(process) {
        peak.fetch_max(reading.anonymous, Ordering::Relaxed);
        sleep(LOOK).await;
    }
}
