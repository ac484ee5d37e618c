//! The changes: deploys of sets and manifests that are applied, good ones and every so often a bad one.

mod deploy;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::admin::{Admin, Answer, Times};
use crate::app::{self, Fault, Settings};
use crate::clock;
use crate::deck::{Bad, Deck};
use crate::host::Target;
use crate::journal::Journal;
use crate::record::{Change, Outcome, Record, Swap, Track};

/// How revisions are made and mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// So many revisions of each set take turns, so that all but the first rounds find their code compiled. 0 for a new
    /// one each time.
    pub revisions: u32,
    /// Every so manieth change is a bad one.
    pub bad_every: u32,
}

/// Something that went otherwise than it should, in words, for people who look for the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The change.
    pub call: u32,
    /// What it was.
    pub what: String,
    /// What the host said.
    pub said: String,
}

/// How many remarks are kept.
const REMARKS: usize = 50;

/// Makes changes, one after another, and writes them down.
pub struct Swapper {
    admin: Admin,
    deck: Deck,
    folder: PathBuf,
    journal: Arc<Journal>,
    mix: Mix,
    calls: u32,
    published: u32,
    bads: u32,
    /// Good sets so far, of each track.
    sets: HashMap<Track, u32>,
    settings: Settings,
    /// The digests of what was uploaded, by service and revision.
    digests: HashMap<(&'static str, u32), String>,
    remarks: Vec<Remark>,
    /// Refusals of each kind of bad component, in the host's words.
    refusals: HashMap<Bad, String>,
}

/// A change that is not written down yet.
struct Made {
    bad: bool,
    begin: u64,
    outcome: Outcome,
    times: Times,
}

impl Swapper {
    /// For a host that serves the first manifest, which it writes down as what every track begins with.
    pub fn new(target: &Target, deck: Deck, folder: &Path, journal: Arc<Journal>, mix: Mix) -> Self {
        let settings = Settings { number: app::FIRST };
        let swapper = Self {
            admin: Admin::new(target),
            deck,
            folder: folder.to_owned(),
            journal,
            mix,
            calls: 0,
            published: 0,
            bads: 0,
            sets: HashMap::new(),
            settings,
            digests: HashMap::new(),
            remarks: Vec::new(),
            refusals: HashMap::new(),
        };
        let start = Made {
            bad: false,
            begin: 0,
            outcome: Outcome::Published,
            times: Times::default(),
        };
        let set = [(Track::P2, app::FIRST), (Track::P3, app::FIRST)];
        swapper.write(&start, 0, &set);
        swapper.write(&start, 0, &told(settings));
        swapper
    }

    /// Calls so far.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Those of them that were published.
    pub fn published(&self) -> u32 {
        self.published
    }

    /// What went otherwise than it should.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// What the host said of each kind of bad component that it refused.
    pub fn refusals(&self) -> &HashMap<Bad, String> {
        &self.refusals
    }

    /// The client, for whoever wants to know more afterwards.
    pub fn admin(&mut self) -> &mut Admin {
        &mut self.admin
    }

    /// Makes the next change.
    ///
    /// # Errors
    /// Of files; whatever the host answers is written down instead.
    pub async fn change(&mut self, change: Change) -> anyhow::Result<()> {
        self.calls += 1;
        let bad = self.mix.bad_every > 0 && self.calls.is_multiple_of(self.mix.bad_every);
        if bad {
            self.bads += 1;
        }
        match change {
            Change::Nothing => Ok(()),
            Change::Deploy => self.deploy(bad).await,
            Change::Apply => self.apply(bad).await,
        }
    }

    async fn apply(&mut self, bad: bool) -> anyhow::Result<()> {
        let fault = bad.then(|| Fault::ALL[self.bads as usize % Fault::ALL.len()]);
        let settings = Settings {
            number: self.settings.number + 1,
        };
        let path = self.folder.join("next.toml");
        fs::write(&path, app::manifest(&self.folder, settings, fault))
            .with_context(|| format!("{} cannot be written", path.display()))?;
        let begin = clock::now();
        let answer = self.admin.apply(&path).await;
        let says: &[&str] = match fault {
            None => &[],
            Some(Fault::Nowhere) => &["way-nowhere"],
            Some(Fault::NotWasm) => &["text.wasm"],
            Some(Fault::WrongLink) => &["storm:contract/waiting"],
        };
        let kinds = ["refused", "invalid"];
        let (outcome, times) = self.judge(answer, &format!("apply, {fault:?}"), bad, &kinds, says);
        let made = Made {
            bad,
            begin,
            outcome,
            times,
        };
        self.write(&made, clock::now(), &told(settings));
        if outcome == Outcome::Published {
            self.settings = settings;
        }
        Ok(())
    }

    /// What an answer comes to, for a change that is to be refused as one of these kinds and with one of these words.
    fn judge(
        &mut self,
        answer: anyhow::Result<Answer>,
        what: &str,
        bad: bool,
        kinds: &[&str],
        says: &[&str],
    ) -> (Outcome, Times) {
        let (outcome, times, said) = match answer {
            Ok(Answer::Done(times)) => (Outcome::Published, times, "it was published".to_owned()),
            Ok(Answer::Refused { kind, why }) => {
                let told = why.to_lowercase();
                let as_meant = kinds.contains(&kind.as_str()) && says.iter().any(|word| told.contains(word));
                let outcome = if as_meant {
                    Outcome::Refused
                } else {
                    Outcome::RefusedOtherwise
                };
                (outcome, Times::default(), format!("{kind}: {why}"))
            }
            Err(error) => (Outcome::Unknown, Times::default(), format!("{error:#}")),
        };
        self.published += u32::from(outcome == Outcome::Published);
        let as_meant = outcome == if bad { Outcome::Refused } else { Outcome::Published };
        if !as_meant && self.remarks.len() < REMARKS {
            self.remarks.push(Remark {
                call: self.calls,
                what: what.to_owned(),
                said,
            });
        }
        (outcome, times)
    }

    fn write(&self, made: &Made, end: u64, told: &[(Track, u32)]) {
        let micros = |milliseconds: f64| (milliseconds * 1000.0).round() as u32;
        for (track, revision) in told {
            self.journal.write(Record::Swap(Swap {
                call: self.calls,
                track: *track,
                revision: *revision,
                bad: made.bad,
                begin: made.begin,
                end,
                outcome: made.outcome,
                prepare: micros(made.times.prepare),
                publish: micros(made.times.publish - made.times.sync),
                sync: micros(made.times.sync),
            }));
        }
    }
}

/// What the answers tell of these settings.
fn told(settings: Settings) -> [(Track, u32); 3] {
    [
        (Track::Variable, settings.number),
        (Track::Route, settings.route()),
        (Track::Limit, settings.limit()),
    ]
}
