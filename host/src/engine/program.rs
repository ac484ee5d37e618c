//! A [`Program`]: the code, grants and limits of one revision, and its instances.
//!
//! Instances that are reused wait here between requests, newest first. What bounds them: no more wait than the service may
//! have requests at once, each serves a number of requests and calls and then goes, and one that has waited too long goes too.
//! Where an instance serves several requests at once, [`super::shared`] has it meanwhile.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use wasmtime::component::Func;
use wasmtime::{Store, component};
use wasmtime_wasi_http::{p2, p3};

use super::account::{Account, Portion};
use super::compile::Entry;
use super::descriptor;
use super::export::{Functions, Wanted};
use super::failure::{LastWords, Report};
use super::guest::Guest;
use super::idle::Idle;
use super::interrupt::Interrupt;
use super::share::Share;
use super::shared::Sessions;
use super::slot::{self, Needs};
use super::{Code, Engines, Places, moving, outbound};
use crate::capability::Grants;
use crate::model::{InstancePolicy, Instances, Limits, RevisionId, ServiceName};
use crate::shutdown::Tasks;
use crate::telemetry::metrics::{Instantiation, RevisionMetrics};

/// What the canonical ABI may copy in one host call, in bytes.
const HOSTCALL_BYTES: usize = 128 * 1024 * 1024;
/// The handles of a guest at once.
const MAX_HANDLES: usize = 10_000;

/// Whether an instance serves one request or call after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reuse {
    /// A fresh instance for each.
    Never,
    /// One after another, and after so many the instance goes.
    Until(u32),
}

impl Reuse {
    fn of(policy: InstancePolicy, instances: &Instances) -> Self {
        match policy {
            InstancePolicy::Fresh => Self::Never,
            InstancePolicy::Reuse => Self::Until(instances.max_requests.get()),
        }
    }
}

/// What the manifest asks of the instances of a component does not fit the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstancesError {
    /// Several requests at once are for handlers that can wait for several things at once.
    #[error(
        "its instances cannot serve {asked} requests at once: it exports `wasi:http/incoming-handler` (WASI 0.2), which serves \
         one; only `wasi:http/handler` (WASI 0.3) can serve more"
    )]
    OneAtOnce {
        /// What is asked for.
        asked: u32,
    },
    /// An instance for each request has one request.
    #[error("its instances cannot serve {asked} requests at once, since each request gets a fresh one")]
    Fresh {
        /// What is asked for.
        asked: u32,
    },
}

/// Whether the instances of a component can serve as the manifest asks. One without an HTTP handler has no requests: what is
/// said of several at once then means nothing.
///
/// # Errors
/// If they cannot; [`Program::new`] would take 1 for what is asked.
pub(super) fn check_instances(code: &Code, instances: &Instances) -> Result<(), InstancesError> {
    let asked = instances.concurrency.get();
    match &code.entry {
        _ if asked == 1 => Ok(()),
        Entry::None => Ok(()),
        Entry::Incoming(_) => Err(InstancesError::OneAtOnce { asked }),
        Entry::Handler(_) if instances.policy == Some(InstancePolicy::Fresh) => {
            Err(InstancesError::Fresh { asked })
        }
        Entry::Handler(_) => Ok(()),
    }
}

/// Where the guest runs until its response head is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// In the task of whoever asks: cheapest.
    Inline,
    /// In a task of its own: needed where the asker is itself polled by a guest's event loop.
    Task,
}

/// What an instance is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// An HTTP request.
    Request,
    /// A call of a contract's function.
    Call,
}

#[derive(Clone)]
pub(super) enum Handler {
    Incoming(Arc<p2::bindings::Proxy>),
    Handler(Arc<p3::bindings::Service>),
}

/// An instance with its Wasm store.
pub(super) struct Instance {
    pub(super) store: Store<Guest>,
    instance: component::Instance,
    handler: Option<Handler>,
    pub(super) functions: Functions,
    served: u32,
}

impl Instance {
    /// Its HTTP handler.
    pub(super) fn handler(&mut self, code: &Code) -> Result<Handler, Report> {
        if let Some(handler) = &self.handler {
            return Ok(handler.clone());
        }
        let failed = |error: wasmtime::Error| Report::of_instantiation(&error);
        let handler = match &code.entry {
            Entry::Incoming(indices) => {
                let proxy = indices.load(&mut self.store, &self.instance).map_err(failed)?;
                Handler::Incoming(Arc::new(proxy))
            }
            Entry::Handler(indices) => {
                let service = indices.load(&mut self.store, &self.instance).map_err(failed)?;
                Handler::Handler(Arc::new(service))
            }
            Entry::None => return Err(Report::no_response("the component exports no HTTP handler")),
        };
        Ok(self.handler.insert(handler).clone())
    }

    /// The exported function at a position of [`Program::position`].
    pub(super) fn export(&mut self, code: &Code, position: usize) -> Option<Func> {
        let export = code.exports.get(position)?;
        self.instance.get_func(&mut self.store, export.index)
    }
}

/// One revision, ready to run.
pub struct Program {
    pub(super) service: ServiceName,
    pub(super) revision: RevisionId,
    pub(super) limits: Limits,
    pub(super) grants: Arc<Grants>,
    pub(super) metrics: Arc<RevisionMetrics>,
    pub(super) tasks: Tasks,
    requests: Reuse,
    calls: Reuse,
    /// Where instances serve several requests at once.
    pub(super) sessions: Option<Sessions>,
    idle: Arc<Idle>,
    /// The memory of all of its instances.
    account: Arc<Account>,
    /// The sockets and files of all of them.
    pub(super) descriptors: Arc<descriptor::Share>,
    /// What each of them takes of the pools.
    needs: Needs,
    pub(super) outbound: Arc<Places>,
    engines: Arc<Engines>,
    code: Option<Code>,
    pub(super) interrupt: Interrupt,
    pub(super) share: Arc<Share>,
    /// Tells it from every other program of this process.
    number: u64,
}

static PROGRAMS: AtomicU64 = AtomicU64::new(1);

impl Program {
    /// Puts a revision together. Nothing runs yet.
    #[expect(
        clippy::too_many_arguments,
        reason = "these are the parts of a revision, each of its own type"
    )]
    pub fn new(
        engines: Arc<Engines>,
        service: ServiceName,
        revision: RevisionId,
        code: Code,
        instances: &Instances,
        limits: Limits,
        grants: Grants,
        metrics: Arc<RevisionMetrics>,
        tasks: Tasks,
    ) -> Self {
        let share = engines.shares.of(&service, &metrics);
        let idle = engines.half(code.concurrent).idle.register(instances.idle);
        let requests = instances.policy.unwrap_or(match code.entry {
            Entry::Handler(_) => InstancePolicy::Reuse,
            Entry::Incoming(_) | Entry::None => InstancePolicy::Fresh,
        });
        // Whoever links to a contract may not expect that each call meets a new instance.
        let calls = instances.policy.unwrap_or(InstancePolicy::Reuse);
        let at_once = match &code.entry {
            Entry::Handler(_) if requests == InstancePolicy::Reuse => instances.concurrency,
            Entry::Handler(_) | Entry::Incoming(_) | Entry::None => NonZeroU32::MIN,
        };
        Self {
            account: Account::new(&limits, code.least_memory(), &idle),
            descriptors: engines.descriptors.share(),
            needs: Needs::of(code.pre.component()),
            outbound: outbound::places(),
            service,
            revision,
            limits,
            grants: Arc::new(grants),
            metrics,
            tasks,
            requests: Reuse::of(requests, instances),
            calls: Reuse::of(calls, instances),
            sessions: (at_once > NonZeroU32::MIN).then(|| Sessions::new(at_once)),
            idle,
            engines,
            code: Some(code),
            interrupt: Interrupt::default(),
            share,
            number: PROGRAMS.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The linear memory of all of its instances, in bytes, with what is set aside for those that come up.
    pub fn memory_used(&self) -> u64 {
        self.account.used()
    }

    /// How many instances of it are alive, those that wait included.
    pub fn instance_count(&self) -> u64 {
        self.metrics.instances()
    }

    /// Whether it can answer HTTP requests.
    pub fn has_handler(&self) -> bool {
        self.code.as_ref().is_some_and(Code::has_handler)
    }

    /// The service that it is a revision of.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The revision that it is.
    pub fn revision(&self) -> RevisionId {
        self.revision
    }

    /// Ends all requests and calls that its guests work for now, those too that are answered and worked on for; later ones are
    /// refused. A guest that waits, and one that computes, is gone as soon as its task is polled; only one that a connection
    /// drives, whose client takes nothing of the response, stays until that client is given up.
    pub fn interrupt(&self) {
        self.interrupt.raise();
        self.engines.reaper.reap(self.idle.take_all());
    }

    /// Whether [`interrupt`](Self::interrupt) was called.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_raised()
    }

    /// How many requests and calls ended by [`interrupt`](Self::interrupt), refused ones included.
    pub fn interrupted_count(&self) -> u64 {
        self.interrupt.counted()
    }

    /// What was compiled and linked.
    pub(super) fn code(&self) -> Result<&Code, Report> {
        self.code
            .as_ref()
            .ok_or_else(|| Report::no_response("the revision is being retired"))
    }

    /// Where among its exports the function is that a caller wants.
    pub(super) fn position(&self, wanted: &Wanted) -> Option<usize> {
        let code = self.code.as_ref()?;
        wanted.find(self.number, &code.exports)
    }

    fn reuse(&self, purpose: Use) -> Reuse {
        match purpose {
            Use::Call => self.calls,
            Use::Request => self.requests,
        }
    }

    /// A waiting instance, or a fresh one.
    pub(super) async fn checkout(&self, purpose: Use) -> Result<Instance, Report> {
        if self.interrupt.is_raised() {
            return Err(Report::interrupted());
        }
        match self.take_waiting(purpose) {
            Some(instance) => Ok(instance),
            // Apart, since it is large and rare: most calls would carry it along unused.
            None => {
                let instance = Box::pin(self.instantiate()).await?;
                self.metrics.instantiated(Instantiation::Fresh);
                Ok(instance)
            }
        }
    }

    /// A waiting instance, if there is one.
    pub(super) fn take_waiting(&self, purpose: Use) -> Option<Instance> {
        if self.reuse(purpose) == Reuse::Never {
            return None;
        }
        let mut instance = self.idle.pop(Instant::now())?;
        instance.store.set_epoch_deadline(1);
        self.metrics.instantiated(Instantiation::Reused);
        Some(instance)
    }

    /// How many requests and calls an instance may serve after those that it has.
    pub(super) fn left(&self, instance: Option<&Instance>) -> u32 {
        let served = instance.map_or(0, |instance| instance.served);
        match self.requests {
            Reuse::Never => 1,
            Reuse::Until(max) => max.saturating_sub(served),
        }
    }

    /// Takes an instance back that has served a request or a call whole.
    pub(super) fn checkin(&self, instance: Instance, purpose: Use) {
        self.checkin_after(instance, purpose, 1);
    }

    /// Takes an instance back that has served so many whole.
    pub(super) fn checkin_after(&self, mut instance: Instance, purpose: Use, served: u32) {
        let Reuse::Until(max_requests) = self.reuse(purpose) else {
            return;
        };
        instance.served = instance.served.saturating_add(served);
        // What a guest has begun and not waited for belongs to the request that is over.
        if instance.served >= max_requests || instance.store.data().has_calls() || self.is_interrupted() {
            return;
        }
        self.idle.push(instance, self.limits.concurrency.get() as usize);
        self.account.instance_waits();
    }

    /// Lets an instance wait that has served nobody yet, if requests can have it, or calls where there are no requests.
    pub(super) fn keep_warm(&self, instance: Instance) {
        let serves_calls_alone = self
            .code
            .as_ref()
            .is_some_and(|code| code.exports.has_contracts() && !code.has_handler());
        let reuse = match serves_calls_alone {
            true => self.calls,
            false => self.requests,
        };
        if reuse != Reuse::Never && !self.is_interrupted() {
            self.idle.push(instance, self.limits.concurrency.get() as usize);
        }
    }

    /// A fresh instance. Where every pool slot is taken, instances that only wait make room; where the memory of the service
    /// is, those of its own that wait, and then it is waited for as long as for a place.
    pub(super) async fn instantiate(&self) -> Result<Instance, Report> {
        let until = self.account.patience();
        loop {
            let memory = self.account.reserve(until).await.map_err(Report::out_of_memory)?;
            match self.instantiate_with(memory).await {
                Err(report) if report.is_no_instance() && self.make_room() => {}
                Err(report) if report.is_over_share() => {
                    self.metrics.slot_refused();
                    return Err(report);
                }
                // It needs more than was known. That is known now, and waited for.
                Err(report) if report.is_out_of_memory() => {}
                instantiated => return instantiated,
            }
        }
    }

    /// Drops, of all instances that wait in pool slots of its engine, the one that has waited longest. False if none waits.
    fn make_room(&self) -> bool {
        let code = self.code.as_ref();
        code.is_some_and(|code| self.engines.half(code.concurrent).idle.drop_oldest())
    }

    /// A fresh instance, if there is a free pool slot and memory now.
    pub(super) async fn try_instantiate(&self) -> Result<Instance, Report> {
        let memory = self.account.try_reserve().map_err(Report::out_of_memory)?;
        self.instantiate_with(memory).await
    }

    async fn instantiate_with(&self, memory: Portion) -> Result<Instance, Report> {
        let code = self.code()?;
        let half = self.engines.half(code.concurrent);
        let own = self.metrics.instances();
        if !slot::is_left(&half.engine, half.max_instances, own, self.needs) {
            return Err(Report::over_share(own));
        }
        let failed = |error: wasmtime::Error| Report::of_instantiation(&error);
        let mut store =
            Store::try_new(&half.engine, Guest::new(self, memory).map_err(failed)?).map_err(failed)?;
        half.made.fetch_add(1, Ordering::Relaxed);
        store.limiter(|guest| &mut guest.limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(moving::tick()));
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_max_component_handles(MAX_HANDLES);
        let instance = match code.pre.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => {
                // Not the guest's fault if the other instances have the memory that it would have come up with.
                if let Some(missed) = store.data().limiter.missed() {
                    self.account.learn(missed);
                    return Err(Report::out_of_memory(self.account.none()));
                }
                return Err(failed(error).with_last_words(LastWords::of(store.data_mut())));
            }
        };
        self.account.learn(store.data_mut().limiter.settle());
        Ok(Instance {
            store,
            instance,
            handler: None,
            functions: Functions::default(),
            served: 0,
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.engines.reaper.reap((self.idle.take_all(), self.code.take()));
    }
}
