//! A whole storm: the phases of a plan against a host, and what is known beside the journal when it is over.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep, sleep_until};

use crate::admin::Drain;
use crate::clock;
use crate::deck::{Bad, Deck};
use crate::host::Target;
use crate::journal::Journal;
use crate::load::{Load, Pace};
use crate::plan::{Phase, Plan, Rate};
use crate::record::{Change, Record, Span};
use crate::swap::{Remark, Swapper};

/// Between two looks at how far a phase is.
const LOOK: Duration = Duration::from_millis(5);

/// How often a phase tries for each change that is to be published.
const TRIES: u32 = 3;

/// How long replaced revisions may take to drain once no request is left.
const DRAINED: Duration = Duration::from_secs(60);

/// What is known of a storm beside its journal.
#[derive(Debug, Clone)]
pub struct Aftermath {
    /// Requests a second, where they were on schedule.
    pub rate: f64,
    /// The resident memory of the host in bytes: at the beginning, and at the end of each phase.
    pub memory: Vec<u64>,
    /// The same, once everything had drained.
    pub memory_at_rest: Option<u64>,
    /// How what was replaced drained, as far back as the host's history goes.
    pub drains: Vec<Drain>,
    /// Revisions that were still draining in the end, though no request was left.
    pub undrained: usize,
    /// Connections that the host closed though they were in use.
    pub closed: u32,
    /// Changes that went otherwise than they should.
    pub remarks: Vec<Remark>,
    /// What the host said of each kind of bad component that it refused.
    pub refusals: HashMap<Bad, String>,
}

/// Runs a storm over a host that serves [`crate::app::manifest`] of this folder, and writes everything down.
///
/// # Errors
/// If the storm itself breaks down. What the host does wrong is in the journal.
pub async fn run(
    target: &Target,
    deck: Deck,
    folder: &Path,
    plan: &Plan,
    journal: &Arc<Journal>,
) -> anyhow::Result<Aftermath> {
    let mut swapper = Swapper::new(target, deck, folder, journal.clone(), plan.mix);
    let memory = target.resident_memory();
    let mut memory: Vec<u64> = memory.into_iter().collect();
    let load = Load::start(target.address, journal, Pace::Rush, plan.transfers, plan.length)?;
    let mut rate = None;
    for (number, phase) in (0..).zip(&plan.phases) {
        let (begin, sent) = (clock::now(), load.sent());
        match rate {
            Some(rate) if !phase.rush => load.set_pace(Pace::Open(rate)),
            _ => load.set_pace(Pace::Rush),
        }
        let is_last = number as usize + 1 == plan.phases.len();
        let enough = if is_last { plan.requests } else { 0 };
        run_phase(phase, enough.max(sent + phase.requests), &load, &mut swapper).await?;
        let end = clock::now();
        journal.write(Record::Phase(Span {
            phase: number,
            begin,
            end,
        }));
        memory.extend(target.resident_memory());
        rate.get_or_insert_with(|| match plan.rate {
            Rate::Fixed(rate) => rate,
            Rate::Part(part) => part * f64::from(load.sent() - sent) / ((end - begin) as f64 / 1e9),
        });
    }
    let (sent, closed) = load.finish().await?;
    journal.write(Record::Sent(sent));
    let undrained = drained(&mut swapper).await?;
    Ok(Aftermath {
        rate: rate.unwrap_or(0.0),
        memory,
        memory_at_rest: target.resident_memory(),
        drains: swapper
            .admin()
            .drains()
            .await
            .context("the history cannot be read")?,
        undrained,
        closed,
        remarks: swapper.remarks().to_vec(),
        refusals: swapper.refusals().clone(),
    })
}

async fn run_phase(
    phase: &Phase,
    enough_sent: u32,
    load: &Load,
    swapper: &mut Swapper,
) -> anyhow::Result<()> {
    let enough_published = swapper.published() + phase.changes;
    let enough_tried = swapper.calls() + phase.changes * TRIES;
    let mut next = Instant::now();
    loop {
        let is_changed = swapper.published() >= enough_published || swapper.calls() >= enough_tried;
        if is_changed && load.sent() >= enough_sent {
            return Ok(());
        }
        if phase.change == Change::Nothing {
            sleep(LOOK).await;
            continue;
        }
        swapper.change(phase.change).await?;
        // One that is late does not make the next ones follow at once.
        next = (next + Duration::from_secs_f64(1.0 / phase.per_second)).max(Instant::now());
        sleep_until(next).await;
    }
}

/// Waits until nothing drains any more; returns what still does when that takes too long.
async fn drained(swapper: &mut Swapper) -> anyhow::Result<usize> {
    let end = Instant::now() + DRAINED;
    loop {
        let left = swapper.admin().draining().await?;
        if left == 0 || Instant::now() > end {
            return Ok(left);
        }
        sleep(Duration::from_millis(50)).await;
    }
}
