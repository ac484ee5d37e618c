//! The order of things: start, look, write, kill, look at the files, and again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use midplane_storm::host::{Host, Starting, Target};
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::app::{self, Components, Kind, Sharing};
use crate::database::{self, Database};
use crate::judge::{Count, Judge, Seen, Violation};
use crate::random::Random;
use crate::record::{Content, Effect, Follower, Record, Recorder};
use crate::write::{self, Desk, Writer};
use crate::{deploy, read};

/// What a kill is on Unix.
const SIGKILL: i32 = 9;

/// A log with more rows than this is pruned to [`KEPT`], so that a long storm looks at everything each time.
const MANY: usize = 1_500;
const KEPT: usize = 300;

/// How long the first deploy of a round may take.
const DEPLOYED: Duration = Duration::from_secs(120);

/// How a storm goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Kills, over all apps.
    pub kills: u32,
    /// What moments, keys and values follow from.
    pub seed: u64,
    /// How long is written before a kill.
    pub load: (Duration, Duration),
    /// Writers for each store of each service.
    pub writers: usize,
    /// While so many kills go by, services are deployed before one of them.
    pub deploy_every: u32,
    /// Of so many kills one hits a host that is about to start, and so does the first one.
    pub start_every: u32,
    /// How long a host that is about to start is left alone, at most.
    pub start: Duration,
}

impl Plan {
    /// So many kills.
    pub fn new(kills: u32, seed: u64) -> Self {
        Self {
            kills,
            seed,
            load: (Duration::from_millis(10), Duration::from_millis(400)),
            writers: 2,
            deploy_every: 4,
            start_every: 5,
            start: Duration::from_millis(400),
        }
    }
}

/// What a storm runs on.
#[derive(Clone)]
pub struct Ground<'a> {
    /// The host.
    pub program: &'a Path,
    /// Where hosts keep what they compiled.
    pub cache: &'a Path,
    /// A folder for apps, states and records, which is empty.
    pub folder: &'a Path,
    /// What is served.
    pub components: Arc<Components>,
}

/// What came of a storm.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Kills under load.
    pub kills: u32,
    /// Those of them while services were deployed.
    pub deploying: u32,
    /// Kills of hosts that were starting.
    pub starting: u32,
    /// What was sent, for each store and key of each app.
    pub counts: Vec<(Sharing, String, String, Count)>,
    /// What was lost or wrong.
    pub violations: Vec<(Sharing, Violation)>,
    /// Databases that were checked.
    pub checked: u64,
    /// Those of them that are damaged, and why.
    pub damaged: Vec<String>,
    /// Starts that came to nothing, and why.
    pub failed_starts: Vec<String>,
    /// How long the others took until they served.
    pub starts: Vec<Duration>,
    /// Whatever else should not be: a host that ended by itself, an answer that did not come, a lock that is held.
    pub remarks: Vec<String>,
}

impl Outcome {
    /// Whether nothing was lost, wrong or damaged.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
            && self.damaged.is_empty()
            && self.failed_starts.is_empty()
            && self.remarks.is_empty()
    }
}

/// Runs a storm. `told` is called after each kill, with their number.
///
/// # Errors
/// If the storm itself breaks down. What the host does wrong is in the outcome.
pub async fn run(
    ground: &Ground<'_>,
    plan: &Plan,
    mut told: impl FnMut(u32, &Outcome),
) -> anyhow::Result<Outcome> {
    let mut random = Random::new(plan.seed);
    let mut outcome = Outcome::default();
    let mut stages = Vec::new();
    for sharing in Sharing::ALL {
        stages.push(Stage::new(ground, sharing, random.split())?);
    }
    while outcome.kills + outcome.starting < plan.kills && outcome.failed_starts.is_empty() {
        for stage in &mut stages {
            let number = outcome.kills + outcome.starting;
            if number < plan.kills && outcome.failed_starts.is_empty() {
                stage.round(plan, &mut outcome).await?;
                told(outcome.kills + outcome.starting, &outcome);
            }
        }
    }
    for stage in &mut stages {
        stage.end(&mut outcome).await?;
    }
    Ok(outcome)
}

/// One app, and what is known of its data.
struct Stage {
    folder: PathBuf,
    program: PathBuf,
    cache: PathBuf,
    components: Arc<Components>,
    desk: Desk,
    follower: Follower,
    judge: Judge,
    random: Random,
    rounds: u32,
    has_tables: bool,
}

impl Stage {
    fn new(ground: &Ground<'_>, sharing: Sharing, random: Random) -> anyhow::Result<Self> {
        let folder = ground.folder.join(sharing.as_str());
        fs::create_dir_all(folder.join("copies")).context("the folder takes no app")?;
        ground.components.write(&folder, sharing)?;
        let record = folder.join("record");
        let recorder = Recorder::create(&record).context("the folder takes no record")?;
        Ok(Self {
            program: ground.program.to_owned(),
            cache: ground.cache.to_owned(),
            components: ground.components.clone(),
            desk: Desk {
                sharing,
                recorder: Arc::new(recorder),
                numbers: Arc::default(),
            },
            follower: Follower::new(&record),
            judge: Judge::default(),
            folder,
            random,
            rounds: 0,
            has_tables: false,
        })
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// From a start to the kill, and what is found afterwards.
    async fn round(&mut self, plan: &Plan, outcome: &mut Outcome) -> anyhow::Result<()> {
        self.rounds += 1;
        // The very first start is killed too, while everything in the state directory is being made.
        let is_start = self.rounds == 1 || self.rounds.is_multiple_of(plan.start_every);
        if is_start {
            let starting = Starting::spawn(&self.program, &self.folder, &self.cache)?;
            sleep(self.random.between(Duration::ZERO, plan.start)).await;
            self.killed(starting.kill(), outcome);
            outcome.starting += 1;
            return self.look_at_files(outcome);
        }
        let Some(host) = self.start(outcome).await? else {
            return Ok(());
        };
        let target = host.target.clone();
        if !self.has_tables {
            write::make_tables(target.address).await?;
            self.has_tables = true;
            self.note_first_version();
        } else {
            self.ask(&target, outcome).await?;
        }
        let mut load = JoinSet::new();
        for (service, _) in app::SERVICES {
            for (kind, number) in Kind::ALL
                .into_iter()
                .flat_map(|kind| (0..plan.writers).map(move |n| (kind, n)))
            {
                let writer = Writer::new(&self.desk, service, kind, number, self.random.split());
                load.spawn(writer.run(target.address));
            }
        }
        let is_deploying = self.rounds.is_multiple_of(plan.deploy_every);
        if is_deploying {
            let (components, random) = (self.components.clone(), self.random.split());
            let first = Arc::new(Notify::new());
            load.spawn(deploy::run(
                self.desk.clone(),
                target,
                components,
                random,
                first.clone(),
            ));
            // The first deploys of all have something to compile.
            if timeout(DEPLOYED, first.notified()).await.is_err() {
                outcome
                    .remarks
                    .push("a deploy does not come to its end".to_owned());
            }
        }
        sleep(self.random.between(plan.load.0, plan.load.1)).await;
        self.killed(host.kill(), outcome);
        outcome.kills += 1;
        outcome.deploying += u32::from(is_deploying);
        while let Some(ended) = load.join_next().await {
            ended.context("a writer broke down")?;
        }
        self.look_at_files(outcome)
    }

    /// The last start, and a look at what is there.
    async fn end(&mut self, outcome: &mut Outcome) -> anyhow::Result<()> {
        if outcome.failed_starts.is_empty()
            && self.has_tables
            && let Some(host) = self.start(outcome).await?
        {
            self.ask(&host.target.clone(), outcome).await?;
            self.killed(host.kill(), outcome);
            self.look_at_files(outcome)?;
            for file in database::files(&self.state(), &self.desk.sharing.stores()) {
                let checked = Database::in_place(&file).and_then(|database| database.check());
                outcome.checked += 1;
                if let Err(error) = checked {
                    outcome.damaged.push(format!("{}: {error:#}", file.display()));
                }
            }
        }
        for (store, key, count) in self.judge.counts() {
            outcome
                .counts
                .push((self.desk.sharing, store.to_owned(), key.to_owned(), count));
        }
        Ok(())
    }

    async fn start(&mut self, outcome: &mut Outcome) -> anyhow::Result<Option<Host>> {
        let begun = Instant::now();
        let starting = Starting::spawn(&self.program, &self.folder, &self.cache)?;
        match spawn_blocking(move || starting.served()).await? {
            Ok(host) => {
                outcome.starts.push(begun.elapsed());
                Ok(Some(host))
            }
            Err(error) => {
                outcome.failed_starts.push(format!("{error:#}"));
                Ok(None)
            }
        }
    }

    /// What the manifest has is the first deploy.
    fn note_first_version(&self) {
        let id = self.desk.numbers.next();
        self.desk.recorder.write(&Record::Sent {
            id,
            store: deploy::STORE.to_owned(),
            key: app::VERSION.to_owned(),
            counter: id,
            effect: Effect::Set(Content::of(Components::says(0).as_bytes())),
        });
        self.desk.recorder.write(&Record::Acknowledged(id));
    }

    fn killed(&self, ended: std::io::Result<std::process::ExitStatus>, outcome: &mut Outcome) {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        match ended {
            Ok(status) if status.signal() == Some(SIGKILL) => {}
            Ok(status) => outcome
                .remarks
                .push(format!("the host had ended before ({status}):\n{log}")),
            Err(error) => outcome
                .remarks
                .push(format!("the host cannot be killed: {error}")),
        }
        if log.contains("panicked") {
            outcome.remarks.push(format!("the host panicked:\n{log}"));
        }
    }

    /// Holds the files of a dead host against the record. What is in them is there from now on.
    fn look_at_files(&mut self, outcome: &mut Outcome) -> anyhow::Result<()> {
        self.desk
            .recorder
            .flush()
            .context("the record cannot be written")?;
        let judge = &mut self.judge;
        self.follower.read(|record| judge.note(record))?;
        let state = self.state();
        if let Err(error) = database::is_unlocked(&state) {
            outcome.remarks.push(format!("{error:#}"));
        }
        let copies = self.folder.join("copies");
        for store in self.desk.sharing.stores() {
            let seen = Database::copied(&store.path(&state), &copies).and_then(|found| match found {
                None => Ok(None),
                Some(database) => {
                    outcome.checked += 1;
                    database.check()?;
                    database.seen(store.kind).map(Some)
                }
            });
            let seen = match seen {
                Ok(Some(seen)) => seen,
                // There was nothing to write into it yet, or the judge will say what is missing.
                Ok(None) => Seen::default(),
                Err(error) => {
                    outcome.damaged.push(format!("{}: {error:#}", store.name()));
                    continue;
                }
            };
            self.hold(&store.name(), &seen, outcome);
        }
        let journal = Database::copied(&database::journal(&state), &copies).and_then(|found| {
            outcome.checked += u64::from(found.is_some());
            found.map_or(Ok(()), |database| database.check())
        });
        if let Err(error) = journal {
            outcome.damaged.push(format!("the journal: {error:#}"));
        }
        Ok(())
    }

    /// Asks the guests of a host that was started again what is there, and then tidies up.
    async fn ask(&mut self, target: &Target, outcome: &mut Outcome) -> anyhow::Result<()> {
        let mut many = BTreeMap::new();
        let mut looks = JoinSet::new();
        for (service, _) in app::SERVICES {
            for kind in Kind::ALL {
                let address = target.address;
                looks.spawn(async move { (service, kind, read::store(address, service, kind).await) });
            }
        }
        while let Some(look) = looks.join_next().await {
            let (service, kind, seen) = look.context("a reader broke down")?;
            let store = self.desk.sharing.store(service, kind);
            match seen {
                Ok(seen) => {
                    if let Some(below) = seen.rows.as_ref().and_then(surplus) {
                        many.insert(store.name(), (service, below));
                    }
                    self.hold(&store.name(), &seen, outcome);
                }
                Err(error) => outcome.remarks.push(format!(
                    "{service} does not say what is in {}: {error:#}",
                    store.name()
                )),
            }
        }
        match read::version(target.address).await {
            Ok(seen) => self.hold(deploy::STORE, &seen, outcome),
            Err(error) => outcome.remarks.push(format!("no version: {error:#}")),
        }
        for (service, below) in many.into_values() {
            write::prune(&self.desk, target.address, service, below).await?;
        }
        Ok(())
    }

    /// For a time when nobody writes.
    fn hold(&mut self, store: &str, seen: &Seen, outcome: &mut Outcome) {
        let sharing = self.desk.sharing;
        let violations = self.judge.check(store, seen);
        outcome
            .violations
            .extend(violations.into_iter().map(|violation| (sharing, violation)));
        self.judge.settle(store, seen);
    }
}

/// The id below which rows can go, if there are too many.
fn surplus(rows: &BTreeMap<u64, (String, u64, Content)>) -> Option<u64> {
    let is_many = rows.len() > MANY;
    is_many.then(|| rows.keys().nth_back(KEPT).copied()).flatten()
}
