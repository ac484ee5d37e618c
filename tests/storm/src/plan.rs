//! What a storm consists of: its phases, how fast it goes, and when it is enough.

use std::time::Duration;

use crate::record::Change;
use crate::swap::Mix;

/// A part of the storm. It ends once it has had its requests and its changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// As the table shows it.
    pub name: String,
    /// What is done to the app.
    pub change: Change,
    /// How often, at most: a change begins when the one before is over.
    pub per_second: f64,
    /// How many changes at least that are published. If hardly any is, it ends as well.
    pub changes: u32,
    /// How many requests at least.
    pub requests: u32,
    /// Requests are not sent on schedule but as fast as they are answered.
    pub rush: bool,
}

/// How fast requests are sent on schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So many a second.
    Fixed(f64),
    /// This part of what the first phase got answered.
    Part(f64),
}

/// A storm.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The phases, one after another. The first one rushes, to see what the machine can take.
    pub phases: Vec<Phase>,
    /// How many requests at least, all together: the last phase goes on until then.
    pub requests: u32,
    /// How fast requests are sent.
    pub rate: Rate,
    /// The revisions.
    pub mix: Mix,
    /// Downloads at a time, and as many uploads.
    pub transfers: usize,
    /// How long each of them takes.
    pub length: Duration,
}

/// How fast deploys follow each other, and their part of all of them.
const RATES: [(f64, f64); 3] = [(1.0, 0.1), (10.0, 0.3), (50.0, 0.6)];

/// The part of manifests that are applied, of all changes.
const APPLIED: f64 = 0.1;

impl Plan {
    /// So many requests and published changes at least: manifests first, then deploys, slow and fast, and between them
    /// phases in which nothing changes, to compare with.
    pub fn long(requests: u32, changes: u32) -> Self {
        let part = |part: f64| (f64::from(requests) * part).ceil() as u32;
        let count = |part: f64| (f64::from(changes) * part).ceil() as u32;
        let mut phases = vec![first(part(0.02))];
        phases.push(steady(part(0.1)));
        phases.push(applied(10.0, count(APPLIED), part(0.13)));
        for (per_second, share) in RATES {
            phases.push(steady(part(0.05)));
            phases.push(deployed(per_second, count(share * (1.0 - APPLIED)), part(0.2)));
        }
        Self {
            phases,
            requests,
            rate: Rate::Part(0.4),
            mix: Mix {
                revisions: 8,
                bad_every: 5,
            },
            transfers: 4,
            length: Duration::from_secs(10),
        }
    }

    /// What runs in a minute or so, on a slow machine and an unoptimised host: more than so many requests and a hundred
    /// changes. The last phase rushes, so that the number of requests is reached however fast the machine is.
    pub fn short(requests: u32) -> Self {
        let mut phases = vec![first(requests / 20)];
        phases.push(applied(1.0, 2, 0));
        phases.push(applied(10.0, 12, 0));
        phases.push(applied(50.0, 16, 0));
        for (per_second, changes) in [(1.0, 4), (10.0, 30), (50.0, 60)] {
            phases.push(deployed(per_second, changes, 0));
        }
        phases.push(Phase {
            name: "rush, 10 deploys a second".to_owned(),
            rush: true,
            ..deployed(10.0, 20, 0)
        });
        Self {
            phases,
            requests,
            rate: Rate::Part(0.5),
            mix: Mix {
                revisions: 4,
                bad_every: 4,
            },
            transfers: 4,
            length: Duration::from_secs(10),
        }
    }

    /// How many changes there are at least.
    pub fn changes(&self) -> u32 {
        self.phases.iter().map(|phase| phase.changes).sum()
    }
}

fn first(requests: u32) -> Phase {
    Phase {
        name: "rush, no change".to_owned(),
        rush: true,
        ..steady(requests)
    }
}

fn steady(requests: u32) -> Phase {
    Phase {
        name: "steady".to_owned(),
        change: Change::Nothing,
        per_second: 0.0,
        changes: 0,
        requests,
        rush: false,
    }
}

fn deployed(per_second: f64, changes: u32, requests: u32) -> Phase {
    Phase {
        name: format!("{per_second} deploys a second"),
        change: Change::Deploy,
        per_second,
        changes,
        requests,
        rush: false,
    }
}

fn applied(per_second: f64, changes: u32, requests: u32) -> Phase {
    Phase {
        name: format!("{per_second} manifests a second"),
        change: Change::Apply,
        ..deployed(per_second, changes, requests)
    }
}
