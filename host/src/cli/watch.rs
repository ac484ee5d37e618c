//! `midplane up --watch`: rebuilds what a saved file belongs to, and swaps only that.
//!
//! A round is: files changed and it is quiet again → builds, one after the other → one atomic change of all that built. What
//! changes meanwhile waits for the next round. A build that fails changes nothing that is served; its output is shown.
//! Components that were refused (a contract changed on one side) are tried again together with what changes next. What is
//! watched: `watch` of the `build` tables, the component files, the mounted `files` and the manifest. Without its own
//! commands for building, a service is swapped when its component file changes. Knows nothing of the host: what is to be
//! served goes through [`Swap`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::{Failure, build};
use crate::manifest::{App, Build};
use crate::model::ServiceName;
use crate::shutdown::Tasks;

mod inbox;
mod pattern;
mod report;
mod scope;
mod source;
mod stamp;
#[cfg(test)]
mod tests;

use self::inbox::{Batch, Inbox};
use self::report::Output;
use self::scope::{Effect, Scope, with_dependents};
use self::source::Source;
use self::stamp::Stamps;

/// What a watch asks of the host. An answer is what to tell the user, in lines.
pub(super) trait Swap: Send + Sync {
    /// Serves these component files from now on, all at the same instant or none. A component that is served already is no
    /// failure.
    fn deploy(
        &self,
        components: BTreeMap<ServiceName, PathBuf>,
    ) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Puts the manifest in force as it is now, with the component and mounted files as they are now.
    fn apply(&self) -> impl Future<Output = Result<String, Failure>> + Send;
}

/// Why files cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    /// A glob of `watch`, `files` or `exclude_files`.
    #[error("`{glob}` of {service} is no glob")]
    Glob {
        /// Whose.
        service: ServiceName,
        /// The offending text.
        glob: String,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
    /// The system offers no way, or not now.
    #[error("cannot watch files")]
    Start(#[source] notify::Error),
    /// The system's limit is met.
    #[error("the system lets this user watch no more directories")]
    Limit(#[source] notify::Error),
    /// One directory cannot be watched.
    #[error("cannot watch the directory {}", dir.display())]
    Directory {
        /// Which.
        dir: PathBuf,
        /// Why.
        #[source]
        source: notify::Error,
    },
    /// A glob leads into more than can be meant.
    #[error("there are too many directories to watch, among them {}", dir.display())]
    TooManyDirectories {
        /// Where it became too many.
        dir: PathBuf,
    },
}

impl WatchError {
    /// What to do about it, where that is more than the message says.
    #[must_use]
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Limit(_) => Some(
                "raise it with `sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`, \
                 or end other programs that watch files"
                    .to_owned(),
            ),
            Self::TooManyDirectories { .. } => {
                Some("begin the globs of `watch` and `files` with a directory: `src/**`, not `**`".to_owned())
            }
            Self::Glob { .. } | Self::Start(_) | Self::Directory { .. } => None,
        }
    }
}

/// The files of an app, watched.
pub(super) struct Watch {
    app: App,
    ignored: Vec<PathBuf>,
    scope: Arc<Scope>,
    inbox: Arc<Inbox>,
    source: Arc<Mutex<Source>>,
    /// The component files as they were when they were last swapped, or when that was tried.
    stamps: Stamps,
    /// Services whose components were not let in.
    refused: BTreeSet<ServiceName>,
    /// The manifest or mounted files changed, and that is not in force.
    apply_due: bool,
    /// The manifest cannot be read as it is now.
    unreadable: bool,
    tasks: Tasks,
}

/// Whether to go on.
enum Round {
    Over,
    /// The host stops.
    Stopped,
}

/// What a round is about.
#[derive(Default)]
struct Work {
    /// Services to build, and the file by which they are.
    build: BTreeMap<ServiceName, String>,
    /// The manifest may say something else.
    reload: bool,
    /// Something other than components is to be put in force.
    apply: bool,
}

impl Watch {
    /// Watches the files of `app` from now on. Nothing in the directories `ignored` matters, of which the state directory is
    /// one. Reads directories.
    pub(super) fn start(app: App, ignored: Vec<PathBuf>, tasks: Tasks) -> Result<Self, WatchError> {
        let scope = Arc::new(Scope::new(&app, &ignored)?);
        let inbox = Arc::new(Inbox::new(scope.clone()));
        let mut source = Source::new(inbox.clone())?;
        source.cover(&scope)?;
        let stamps = Stamps::of(&scope);
        Ok(Self {
            app,
            ignored,
            scope,
            inbox,
            source: Arc::new(Mutex::new(source)),
            stamps,
            refused: BTreeSet::new(),
            apply_due: false,
            unreadable: false,
            tasks,
        })
    }

    /// Builds and swaps until the host stops. Cancelling it ends the build that runs.
    pub(super) async fn run(mut self, swap: impl Swap) {
        loop {
            // Cancel-safe: changes are taken at the end of the wait, or not at all.
            let batch = tokio::select! {
                () = self.tasks.leaving() => return,
                batch = self.inbox.settled() => batch,
            };
            if let Round::Stopped = self.round(batch, &swap).await {
                return;
            }
        }
    }

    /// What follows from a batch of changes.
    async fn round(&mut self, mut batch: Batch, swap: &impl Swap) -> Round {
        if batch.lost {
            tracing::warn!("more files changed than could be followed: everything is built");
        }
        if batch.restructured || batch.lost {
            batch.paths.extend(self.cover().await);
        }
        let mut work = self.work(&batch);
        if work.reload {
            self.reload(&mut work).await;
        }
        let Some((built, failed)) = self.build(&work).await else {
            return Round::Stopped;
        };
        let mut changed = self.stamps.changed(&self.scope);
        // What a failed build leaves behind is not served.
        changed.retain(|service| !failed.contains(service));
        changed.extend(built);
        let changed = with_dependents(&self.app, changed);
        self.apply_due |= work.apply;
        if changed.is_empty() && !work.apply {
            // The end of our own builds, for example, which wrote the component files.
        } else if self.apply_due {
            self.apply(changed, failed.is_empty(), swap).await;
        } else {
            self.deploy(changed, swap).await;
        }
        Round::Over
    }

    fn work(&self, batch: &Batch) -> Work {
        let mut work = Work::default();
        for path in &batch.paths {
            for effect in self.scope.effects(path) {
                match effect {
                    Effect::Build(service) => {
                        let why = || self.scope.shown(path).to_string();
                        work.build.entry(service).or_insert_with(why);
                    }
                    // Whether it did change is seen from its stamp.
                    Effect::Component(_) => {}
                    Effect::App if self.scope.is_manifest(path) => work.reload = true,
                    Effect::App => work.apply = true,
                }
            }
        }
        if batch.lost {
            let buildable = self
                .app
                .services
                .values()
                .filter(|service| service.build.is_some());
            for service in buildable {
                let why = || "maybe".to_owned();
                work.build.entry(service.name.clone()).or_insert_with(why);
            }
            work.reload = true;
            work.apply = true;
        }
        work
    }

    /// Reads the manifest anew. From then on its files are watched and its commands build; what it changes is served once
    /// it is applied.
    async fn reload(&mut self, work: &mut Work) {
        let file = self.app.file.clone();
        let Ok(loaded) = self
            .tasks
            .blocking("manifest", move || crate::manifest::load(&file))
            .await
        else {
            return;
        };
        let before = std::mem::replace(&mut self.unreadable, loaded.is_err());
        let app = match loaded {
            Ok(app) => app,
            Err(error) => return report::not_applied(&error.into()),
        };
        if app.digest == self.app.digest {
            if before {
                report::readable_again();
            }
            return;
        }
        let scope = match Scope::new(&app, &self.ignored) {
            Ok(scope) => Arc::new(scope),
            Err(error) => return report::not_applied(&error.into()),
        };
        super::warn(&app);
        // What is built in another way is another component.
        for service in app.services.values() {
            let before = self.app.services.get(&service.name);
            let same = before.is_some_and(|old| {
                (&old.source, command(old.build.as_ref()))
                    == (&service.source, command(service.build.as_ref()))
            });
            if service.build.is_some() && !same {
                let why = || scope.shown(&app.file).to_string();
                work.build.entry(service.name.clone()).or_insert_with(why);
            }
        }
        let gone = |service: &ServiceName| !app.services.contains_key(service);
        work.build.retain(|service, _| !gone(service));
        self.refused.retain(|service| !gone(service));
        self.inbox.set_scope(scope.clone());
        self.scope = scope;
        self.app = app;
        work.apply = true;
        // Its paths come too late to be part of this round, and are those of new services mostly, which are built anyway.
        self.cover().await;
    }

    /// Watches the directories that matter as they are now, and gives the files in new ones.
    async fn cover(&self) -> Vec<PathBuf> {
        let (source, scope) = (self.source.clone(), self.scope.clone());
        let covered = self
            .tasks
            .blocking("watch", move || source.lock().cover(&scope))
            .await;
        match covered {
            Ok(Ok(files)) => files
                .into_iter()
                .filter(|file| self.scope.concerns(file))
                .collect(),
            Ok(Err(error)) => {
                let failure = Failure::from(error);
                report::not_watched(&failure);
                Vec::new()
            }
            // The host ends.
            Err(_aborted) => Vec::new(),
        }
    }

    /// Builds, equal commands once. Gives the services that were built and those whose build failed; nothing if the host
    /// stops.
    async fn build(&self, work: &Work) -> Option<(BTreeSet<ServiceName>, BTreeSet<ServiceName>)> {
        let (mut built, mut failed) = (BTreeSet::new(), BTreeSet::new());
        let mut groups: Vec<(Option<&Build>, Vec<ServiceName>)> = Vec::new();
        for service in work.build.keys() {
            let build = self
                .app
                .services
                .get(service)
                .and_then(|service| service.build.as_ref());
            match groups
                .iter_mut()
                .find(|(other, _)| command(*other) == command(build))
            {
                Some((_, services)) => services.push(service.clone()),
                None => groups.push((build, vec![service.clone()])),
            }
        }
        for (_, services) in groups {
            for service in &services {
                report::building(service, work.build.get(service).map_or("", String::as_str));
            }
            let mut output = Output::default();
            let begun = Instant::now();
            let result =
                build::build_until(&self.app, Some(&services), &mut output, self.tasks.leaving()).await;
            match result {
                Ok(()) => {
                    for service in &services {
                        report::built(service, begun.elapsed());
                    }
                    built.extend(services);
                }
                Err(build::BuildError::Interrupted { .. }) => return None,
                Err(error) => {
                    report::build_failed(&services, &error.into(), output);
                    failed.extend(services);
                }
            }
        }
        Some((built, failed))
    }

    /// Puts the manifest in force, with what was built.
    async fn apply(&mut self, changed: BTreeSet<ServiceName>, all_built: bool, swap: &impl Swap) {
        if !all_built {
            self.refused.extend(changed);
            tracing::warn!("the change of the app waits for the build");
            return;
        }
        match swap.apply().await {
            Ok(text) => {
                report::done(&text);
                self.apply_due = false;
                self.refused.clear();
            }
            Err(failure) => {
                report::not_applied(&failure);
                self.refused.extend(changed);
            }
        }
    }

    /// Swaps `changed`, and then what was refused before. If the first is refused, both together.
    async fn deploy(&mut self, changed: BTreeSet<ServiceName>, swap: &impl Swap) {
        let before: BTreeSet<ServiceName> = self.refused.difference(&changed).cloned().collect();
        let alone = swap.deploy(self.components(&changed)).await;
        let (failure, next) = match alone {
            Ok(text) => {
                report::done(&text);
                (None, before.clone())
            }
            Err(failure) => (Some(failure), before.union(&changed).cloned().collect()),
        };
        self.refused = next;
        if before.is_empty() {
            if let Some(failure) = failure {
                report::not_swapped(&changed, &failure);
            }
            return;
        }
        match (swap.deploy(self.components(&self.refused)).await, failure) {
            (Ok(text), _) => {
                report::done(&text);
                self.refused.clear();
            }
            // The refusal is told that is about what was changed now.
            (Err(_together), Some(failure)) => report::not_swapped(&changed, &failure),
            (Err(failure), None) => report::still_not_swapped(&self.refused, &failure),
        }
    }

    fn components(&self, services: &BTreeSet<ServiceName>) -> BTreeMap<ServiceName, PathBuf> {
        let file = |name: &ServiceName| Some((name.clone(), self.app.services.get(name)?.source.clone()));
        services.iter().filter_map(file).collect()
    }
}

/// What tells one build from another.
fn command(build: Option<&Build>) -> Option<(&[String], &Path)> {
    build.map(|build| (build.command.as_slice(), build.workdir.as_path()))
}
