//! A [`Program`]: the code, grants and limits of one revision, and its instances.
//!
//! Instances that are reused wait here between requests, newest first. What bounds them: no more wait than the service may
//! have requests at once, each serves a number of requests and then goes, and one that has waited too long goes too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::component::Func;
use wasmtime::{Store, component};
use wasmtime_wasi_http::{p2, p3};

use super::compile::Entry;
use super::export::{Functions, Wanted};
use super::failure::{LastWords, Report};
use super::guest::Guest;
use super::idle::Idle;
use super::interrupt::Interrupt;
use super::share::Share;
use super::{Code, Engines, moving};
use crate::capability::Grants;
use crate::model::{InstancePolicy, Instances, Limits, RevisionId, ServiceName};
use crate::shutdown::Tasks;
use crate::telemetry::metrics::{Instantiation, RevisionMetrics};

/// What the canonical ABI may copy in one host call, in bytes.
const HOSTCALL_BYTES: usize = 128 * 1024 * 1024;
/// The handles of a guest at once.
const MAX_HANDLES: usize = 10_000;

/// Whether and for how long an instance serves one request after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reuse {
    /// A fresh instance for every request.
    Never,
    /// One request after another.
    Serial {
        /// After so many requests an instance goes.
        max_requests: u32,
        /// An instance that waited so long goes.
        idle: Duration,
    },
}

impl Reuse {
    /// What `instances` mean for a component.
    fn of(instances: &Instances, code: &Code) -> Self {
        let policy = instances.policy.unwrap_or(match code.entry {
            Entry::Handler(_) => InstancePolicy::Reuse,
            Entry::Incoming(_) | Entry::None => InstancePolicy::Fresh,
        });
        match policy {
            InstancePolicy::Fresh => Self::Never,
            InstancePolicy::Reuse => Self::Serial {
                max_requests: instances.max_requests.get(),
                idle: instances.idle,
            },
        }
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

/// For how long an instance serves calls. Whoever links to a contract may not expect that each call meets a new instance.
const CALLS: Reuse = Reuse::Serial {
    max_requests: 1_000,
    idle: CALLS_IDLE,
};
const CALLS_IDLE: Duration = Duration::from_secs(30);

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
    reuse: Reuse,
    idle: Arc<Idle>,
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
        Self {
            service,
            revision,
            limits,
            grants: Arc::new(grants),
            metrics,
            tasks,
            reuse: Reuse::of(instances, &code),
            idle: engines.idle.register(),
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
            Use::Call => CALLS,
            Use::Request => self.reuse,
        }
    }

    /// Drops the instances that have waited too long.
    pub fn drop_idle(&self, now: Instant) {
        let idle = match self.reuse {
            Reuse::Serial { idle, .. } => idle,
            // Those that serve calls wait all the same.
            Reuse::Never => CALLS_IDLE,
        };
        self.idle.drop_expired(now, idle);
    }

    /// A waiting instance, or a fresh one.
    pub(super) async fn checkout(&self, purpose: Use) -> Result<Instance, Report> {
        if self.interrupt.is_raised() {
            return Err(Report::interrupted());
        }
        let waiting = match self.reuse(purpose) {
            Reuse::Never => None,
            Reuse::Serial { .. } => self.idle.pop(),
        };
        match waiting {
            Some(mut instance) => {
                instance.store.set_epoch_deadline(1);
                self.metrics.instantiated(Instantiation::Reused);
                Ok(instance)
            }
            // Apart, since it is large and rare: most calls would carry it along unused.
            None => {
                let instance = Box::pin(self.instantiate()).await?;
                self.metrics.instantiated(Instantiation::Fresh);
                Ok(instance)
            }
        }
    }

    /// Takes an instance back that has served a request or a call whole.
    pub(super) fn checkin(&self, mut instance: Instance, purpose: Use) {
        let Reuse::Serial { max_requests, .. } = self.reuse(purpose) else {
            return;
        };
        instance.served += 1;
        // What a guest has begun and not waited for belongs to the request that is over.
        if instance.served >= max_requests || instance.store.data().has_calls() || self.is_interrupted() {
            return;
        }
        self.idle.push(instance, self.limits.concurrency.get() as usize);
    }

    /// Lets an instance wait that has served nobody yet, if requests can have it, or calls where there are no requests.
    pub(super) fn keep_warm(&self, instance: Instance) {
        let serves_calls_alone = self
            .code
            .as_ref()
            .is_some_and(|code| code.exports.has_contracts() && !code.has_handler());
        if (serves_calls_alone || self.reuse != Reuse::Never) && !self.is_interrupted() {
            self.idle.push(instance, self.limits.concurrency.get() as usize);
        }
    }

    /// A fresh instance. Where every pool slot is taken, instances that only wait make room.
    pub(super) async fn instantiate(&self) -> Result<Instance, Report> {
        loop {
            match self.try_instantiate().await {
                Err(report) if report.is_no_instance() && self.engines.idle.drop_oldest() => {}
                instantiated => return instantiated,
            }
        }
    }

    /// A fresh instance, if there is a free pool slot.
    pub(super) async fn try_instantiate(&self) -> Result<Instance, Report> {
        let code = self.code()?;
        let half = if code.concurrent {
            &self.engines.concurrent
        } else {
            &self.engines.plain
        };
        let failed = |error: wasmtime::Error| Report::of_instantiation(&error);
        let mut store = Store::try_new(&half.engine, Guest::new(self).map_err(failed)?).map_err(failed)?;
        store.limiter(|guest| &mut guest.limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(moving::tick()));
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_max_component_handles(MAX_HANDLES);
        let instance = match code.pre.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => return Err(failed(error).with_last_words(LastWords::of(store.data_mut()))),
        };
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
