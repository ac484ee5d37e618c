//! The admin API's view of the host: its requests become changes, what is there becomes its answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::broadcast;

use super::prepare::Member;
use super::rollout::{self, Apply, Deploy, Done, Failed, RolloutError, Rollouts, Source, State};
use crate::admin::api;
use crate::admin::control::{Control, Feed, Refusal, RefusalKind};
use crate::manifest::{TriggerRoute, TriggerTarget};
use crate::model::{Digest, ServiceName, Sticky, Weight};
use crate::service::journal::{Action, Entry, JournalError, Origin, Outcome};
use crate::shutdown::Tasks;
use crate::telemetry::{self, Tail, TailLine};

/// The most entries of one page of the history.
const MAX_ENTRIES: usize = 1_000;

/// Lines that wait for one who follows a log and reads slowly.
const FOLLOWED: usize = 1_024;

/// What the admin API controls.
#[derive(Clone)]
pub(super) struct HostControl {
    rollouts: Rollouts,
    app: String,
    url: String,
    tail: Tail,
    tasks: Tasks,
}

impl HostControl {
    pub(super) fn new(rollouts: Rollouts, address: SocketAddr, tail: Tail, tasks: Tasks) -> Self {
        Self {
            app: rollouts.state().edition.app.name.to_string(),
            rollouts,
            url: format!("http://{address}"),
            tail,
            tasks,
        }
    }

    /// Lets a change run to its end, whoever waits for it.
    fn change(
        &self,
        change: impl Future<Output = Result<Done, Failed>> + Send + 'static,
    ) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        if self.tasks.is_draining() {
            return std::future::ready(Err(RolloutError::Stopping.refusal(None))).boxed();
        }
        let rollouts = self.rollouts.clone();
        let change = self.tasks.spawn("change", async move {
            let done = change.await;
            // What it had loaded is in force now, or nobody's.
            rollouts.may_sweep();
            done
        });
        async move {
            match change.await {
                Ok(Ok(done)) => Ok(done.shown()),
                Ok(Err(failed)) => Err(failed.error.refusal(failed.entry)),
                Err(_) => Err(RolloutError::Lost.refusal(None)),
            }
        }
        .boxed()
    }

    /// Reads the journal.
    fn journal<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Rollouts) -> Result<T, JournalError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Refusal>> {
        let rollouts = self.rollouts.clone();
        let reading = self.tasks.blocking("journal", move || read(&rollouts));
        async move {
            match reading.await {
                Ok(Ok(read)) => Ok(read),
                Ok(Err(error)) => Err(RolloutError::Journal(error).refusal(None)),
                Err(_) => Err(RolloutError::Stopping.refusal(None)),
            }
        }
        .boxed()
    }
}

impl Control for HostControl {
    fn app(&self) -> String {
        self.app.clone()
    }

    fn status(&self) -> BoxFuture<'static, Result<api::App, Refusal>> {
        let state = self.rollouts.state();
        let members: Vec<_> = state.members.values().cloned().collect();
        let measuring = self.tasks.blocking("measure data", move || {
            let paths = members.iter().flat_map(|member| &member.summary.data);
            paths
                .map(|place| (place.path.clone(), size(&place.path)))
                .collect()
        });
        let this = self.clone();
        async move {
            // While the host stops nobody measures any more.
            let sizes = measuring.await.unwrap_or_default();
            Ok(this.status_of(&state, &sizes))
        }
        .boxed()
    }

    fn routes(&self) -> api::Routes {
        api::Routes {
            routes: routes(&self.rollouts.state()).collect(),
        }
    }

    fn links(&self) -> api::Links {
        let state = self.rollouts.state();
        let links = state.members.values().flat_map(|member| &member.links);
        let links = links.map(|link| api::Link {
            caller: link.caller.to_string(),
            callee: link.callee.to_string(),
            import: link.import.to_string(),
            export: link.export.to_string(),
            explicit: link.explicit,
        });
        api::Links {
            links: links.collect(),
        }
    }

    fn history(
        &self,
        service: Option<ServiceName>,
        before: Option<u64>,
        limit: usize,
    ) -> BoxFuture<'static, Result<api::History, Refusal>> {
        let limit = limit.clamp(1, MAX_ENTRIES);
        let unknown = service.as_ref().and_then(|service| self.known(service).err());
        let reading = self.journal(move |rollouts| {
            let entries = rollouts.journal().entries(service.as_ref(), before, limit)?;
            Ok(api::History {
                next: entries
                    .last()
                    .filter(|last| entries.len() == limit && last.number > 1)
                    .map(|last| last.number),
                entries: entries.iter().map(shown).collect(),
            })
        });
        async move {
            let history = reading.await?;
            match unknown {
                // A service that the app has no more still has its history.
                Some(unknown) if history.entries.is_empty() && before.is_none() => Err(unknown),
                _ => Ok(history),
            }
        }
        .boxed()
    }

    fn revisions(&self, service: ServiceName) -> BoxFuture<'static, Result<api::Revisions, Refusal>> {
        if let Err(refusal) = self.known(&service) {
            return std::future::ready(Err(refusal)).boxed();
        }
        self.journal(move |rollouts| {
            let past = rollouts.journal().past(Some(&service))?;
            let state = rollouts.state();
            let candidate = state
                .share(&service)
                .and_then(|share| share.members.get(&service));
            let live: Vec<_> = state.members.get(&service).into_iter().chain(candidate).collect();
            let draining = rollouts.drains().of(&service);
            let sizes = live
                .iter()
                .flat_map(|member| &member.summary.data)
                .map(|place| (place.path.clone(), size(&place.path)))
                .collect();
            let revisions = past.iter().map(|past| {
                let id = past.recorded.revision;
                if let Some(member) = live.iter().find(|member| member.revision.id() == id) {
                    return revision(member, &sizes);
                }
                let name = id.to_string();
                let left = draining.iter().find(|draining| draining.revision == name);
                api::Revision {
                    revision: name,
                    component: format!("sha256:{}", past.recorded.component),
                    origin: origin(past.recorded.origin).to_owned(),
                    published_at: telemetry::timestamp(past.published),
                    in_flight: left.map_or(0, |left| left.in_flight),
                    // What it served is gone with it.
                    served: 0,
                    failed: 0,
                    usage: None,
                }
            });
            Ok(api::Revisions {
                revisions: revisions.collect(),
            })
        })
    }

    fn store(&self, component: Bytes) -> BoxFuture<'static, Result<api::Stored, Refusal>> {
        let rollouts = self.rollouts.clone();
        async move {
            match rollouts.store(component).await {
                Ok(digest) => Ok(api::Stored {
                    component: format!("sha256:{digest}"),
                }),
                Err(error) => Err(error.refusal(None)),
            }
        }
        .boxed()
    }

    fn deploy(&self, deploy: api::Deploy, by: String) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        match read_deploy(deploy) {
            Ok(deploy) => {
                let rollouts = self.rollouts.clone();
                self.change(async move { rollouts.deploy(deploy, by).await })
            }
            Err(refusal) => std::future::ready(Err(refusal)).boxed(),
        }
    }

    fn apply(&self, apply: api::Apply, by: String) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        let read = absolute(&apply.manifest).and_then(|manifest| {
            Ok(Apply {
                manifest,
                dry_run: apply.dry_run,
                allow_new_grants: apply.allow_new_grants,
                drain: drain(apply.drain_timeout)?,
            })
        });
        match read {
            Ok(apply) => {
                let rollouts = self.rollouts.clone();
                self.change(async move { rollouts.apply(apply, by).await })
            }
            Err(refusal) => std::future::ready(Err(refusal)).boxed(),
        }
    }

    fn promote(
        &self,
        service: ServiceName,
        promote: api::Promote,
        by: String,
    ) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        let read = promote
            .weight
            .as_deref()
            .map(weight)
            .transpose()
            .and_then(|weight| Ok((weight, drain(promote.drain_timeout)?)));
        match read {
            Ok((weight, drain)) => {
                let rollouts = self.rollouts.clone();
                self.change(async move { rollouts.promote(service, weight, drain, by).await })
            }
            Err(refusal) => std::future::ready(Err(refusal)).boxed(),
        }
    }

    fn abort(&self, service: ServiceName, by: String) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        let rollouts = self.rollouts.clone();
        self.change(async move { rollouts.abort(service, by, None).await })
    }

    fn rollback(
        &self,
        service: ServiceName,
        rollback: api::Rollback,
        by: String,
    ) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        let drain = match drain(rollback.drain_timeout) {
            Ok(drain) => drain,
            Err(refusal) => return std::future::ready(Err(refusal)).boxed(),
        };
        let rollouts = self.rollouts.clone();
        self.change(async move {
            rollouts
                .rollback(service, rollback.revision, rollback.allow_new_grants, drain, by)
                .await
        })
    }

    fn drain(&self, service: ServiceName) -> BoxFuture<'static, Result<api::DrainedNow, Refusal>> {
        let drained = self.known(&service).map(|()| api::DrainedNow {
            interrupted: self.rollouts.drains().hurry(&service),
        });
        std::future::ready(drained).boxed()
    }

    fn events(&self, after: Option<u64>) -> Feed<api::Event> {
        self.rollouts.events().feed(after)
    }

    fn logs(&self, service: &ServiceName, follow: bool) -> Result<Feed<api::LogLine>, Refusal> {
        self.known(service)?;
        if !follow {
            return Ok(Feed {
                past: self.tail.lines(service.as_str()).iter().map(log_line).collect(),
                next: None,
            });
        }
        let (past, lines) = self.tail.follow(service.as_str());
        let sender = broadcast::Sender::new(FOLLOWED);
        let next = sender.subscribe();
        self.tasks.background("follow log", forward(lines, sender));
        Ok(Feed {
            past: past.iter().map(log_line).collect(),
            next: Some(next),
        })
    }
}

impl HostControl {
    fn status_of(&self, state: &State, sizes: &BTreeMap<PathBuf, u64>) -> api::App {
        let services = state.members.iter().map(|(name, member)| api::Service {
            service: name.to_string(),
            current: revision(member, sizes),
            candidate: state.share(name).and_then(|share| {
                Some(api::Candidate {
                    revision: revision(share.members.get(name)?, sizes),
                    weight: share.weight.to_string(),
                    sticky: share.sticky.to_string(),
                    rollout: share.rollout,
                })
            }),
            draining: self.rollouts.drains().of(name),
            routes: routes(state)
                .filter(|route| route.service.as_deref() == Some(name.as_str()))
                .map(|route| route.route)
                .collect(),
        });
        api::App {
            app: self.app.clone(),
            url: self.url.clone(),
            generation: state.generation,
            manifest: format!("sha256:{}", state.edition.digest()),
            services: services.collect(),
        }
    }
}

/// The size of a file; 0 if it is not there yet. It is not opened: see the decision on database files.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Hands lines on until nobody reads them any more. One who falls behind loses the oldest, here or there.
async fn forward(mut lines: broadcast::Receiver<TailLine>, to: broadcast::Sender<api::LogLine>) {
    loop {
        // Cancel-safe: a line that was not received waits.
        let line = tokio::select! {
            () = to.closed() => return,
            line = lines.recv() => line,
        };
        match line {
            Ok(line) => drop(to.send(log_line(&line))),
            Err(broadcast::error::RecvError::Lagged(lost)) => drop(to.send(api::LogLine {
                at: telemetry::timestamp(SystemTime::now()),
                revision: String::new(),
                stream: "host".to_owned(),
                request_id: String::new(),
                text: format!("{lost} lines were lost: they came faster than they were read"),
            })),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn log_line(line: &TailLine) -> api::LogLine {
    api::LogLine {
        at: telemetry::timestamp(line.at),
        revision: line.revision.to_string(),
        stream: line.stream.as_str().to_owned(),
        request_id: line.request_id.map(|id| id.to_string()).unwrap_or_default(),
        text: line.text.to_string(),
    }
}

impl HostControl {
    fn known(&self, service: &ServiceName) -> Result<(), Refusal> {
        if self.rollouts.state().members.contains_key(service) {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalKind::NotFound,
            format!("the app has no service `{service}`"),
        ))
    }
}

fn routes(state: &State) -> impl Iterator<Item = api::Route> + '_ {
    state.edition.app.triggers.iter().filter_map(|trigger| {
        let TriggerRoute::Path(pattern) = &trigger.route else {
            return None;
        };
        Some(api::Route {
            route: pattern.raw().to_owned(),
            service: match &trigger.target {
                TriggerTarget::Service(service) => Some(service.to_string()),
                TriggerTarget::Static(_) => None,
            },
        })
    })
}

fn revision(member: &Member, sizes: &BTreeMap<PathBuf, u64>) -> api::Revision {
    let metrics = member.revision.metrics();
    let tally = metrics.tally();
    api::Revision {
        revision: member.revision.id().to_string(),
        component: format!("sha256:{}", member.piece.compiled.digest()),
        origin: origin(member.piece.origin).to_owned(),
        published_at: telemetry::timestamp(member.published.get().copied().unwrap_or_else(SystemTime::now)),
        in_flight: member.revision.busy(),
        served: tally.served,
        failed: tally.failed,
        usage: Some(usage(member, sizes)),
    }
}

fn usage(member: &Member, sizes: &BTreeMap<PathBuf, u64>) -> api::Usage {
    let revision = &member.revision;
    let (limits, metrics) = (revision.limits(), revision.metrics());
    let data = member.summary.data.iter().map(|place| api::DataUsage {
        kind: place.kind.to_owned(),
        label: place.label.to_string(),
        bytes: sizes.get(&place.path).copied().unwrap_or_default(),
        limit_bytes: place.max_bytes,
    });
    api::Usage {
        concurrency: limits.concurrency.get().into(),
        waiting: revision.waiting(),
        queue: limits.queue.into(),
        instances: metrics.instances(),
        memory_bytes: metrics.memory(),
        memory_limit_bytes: limits.memory,
        cpu_seconds: metrics.cpu().as_secs_f64(),
        cpu_limit_seconds: limits.cpu_time.as_secs_f64(),
        data: data.collect(),
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Manifest => "manifest",
        Origin::Deploy => "deploy",
        Origin::Rollback => "rollback",
    }
}

fn shown(entry: &Entry) -> api::Entry {
    let action = match entry.action {
        Action::Start => "start",
        Action::Deploy => "deploy",
        Action::Canary => "canary",
        Action::Promote => "promote",
        Action::Abort => "abort",
        Action::Rollback => "rollback",
        Action::Apply => "apply",
    };
    let outcome = match entry.outcome {
        Outcome::Published => "published",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
        Outcome::RolledBack => "rolled back",
    };
    let changes = entry.changes.iter().map(|change| api::Change {
        service: change.service.to_string(),
        from: change.from.map(|revision| revision.to_string()),
        to: change.to.map(|revision| revision.to_string()),
        component: change.component.map(|component| format!("sha256:{component}")),
        new_grants: Vec::new(),
        lost_grants: Vec::new(),
    });
    api::Entry {
        number: entry.number,
        at: telemetry::timestamp(entry.at),
        by: entry.by.clone(),
        action: action.to_owned(),
        outcome: outcome.to_owned(),
        cause: entry.cause.clone(),
        generation: entry.generation,
        changes: changes.collect(),
        prepare_ms: rollout::millis(entry.prepare),
        publish_ms: entry.drain.map(|drain| rollout::millis(drain.publish)),
        drain_ms: entry.drain.map(|drain| rollout::millis(drain.took)),
        interrupted: entry.drain.map(|drain| drain.interrupted),
    }
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::Invalid, detail)
}

fn read_deploy(deploy: api::Deploy) -> Result<Deploy, Refusal> {
    let mut services = BTreeMap::new();
    for (name, source) in deploy.services {
        let name = ServiceName::parse(&name).map_err(|error| invalid(error.to_string()))?;
        let source = match source {
            api::Source::Component(digest) => Source::Uploaded(component(&digest)?),
            api::Source::Path(path) => Source::File(absolute(&path)?),
        };
        services.insert(name, source);
    }
    let canary = deploy
        .canary
        .map(|canary| {
            let sticky = match &canary.sticky {
                None => None,
                Some(sticky) => Some(Sticky::parse(sticky).map_err(|error| invalid(error.to_string()))?),
            };
            Ok::<_, Refusal>((weight(&canary.weight)?, sticky))
        })
        .transpose()?;
    Ok(Deploy {
        services,
        canary,
        allow_new_grants: deploy.allow_new_grants,
        drain: drain(deploy.drain_timeout)?,
    })
}

fn weight(text: &str) -> Result<Weight, Refusal> {
    Weight::parse(text).map_err(|error| invalid(error.to_string()))
}

fn component(text: &str) -> Result<Digest, Refusal> {
    text.strip_prefix("sha256:")
        .and_then(Digest::from_hex)
        .ok_or_else(|| {
            invalid(format!(
                "`{text}` is no digest: write `sha256:` and 64 hexadecimal digits"
            ))
        })
}

fn absolute(text: &str) -> Result<PathBuf, Refusal> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(invalid(format!(
            "`{text}` is no absolute path on the host's machine"
        )))
    }
}

fn drain(seconds: Option<f64>) -> Result<Duration, Refusal> {
    let Some(seconds) = seconds else {
        return Ok(rollout::DRAIN);
    };
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|drain| *drain <= rollout::MAX_DRAIN)
        .ok_or_else(|| {
            invalid(format!(
                "`drain_timeout` is {seconds}: write seconds between 0 and {}",
                rollout::MAX_DRAIN.as_secs()
            ))
        })
}
