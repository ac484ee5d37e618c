//! Runs components: bytes become [`Code`], code and grants become a [`Program`], a program answers requests.
//!
//! Two Wasmtime engines serve the guests: one without component-model async, which is far cheaper for WASI 0.2, one with it
//! for WASI 0.3. Which one a component gets is decided by validation: what the plain one accepts runs there. Instances and
//! compiled code belong to a program; this module knows no routes, listeners or generations. A Wasm store that trapped, timed
//! out or was cancelled is dropped, never used again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

mod account;
mod body;
mod cache;
mod call;
mod clock;
mod compile;
mod compiler;
mod context;
mod descriptor;
mod direct;
mod effort;
mod export;
mod failure;
mod fair;
mod foreign;
mod guest;
mod idle;
mod interrupt;
mod limiter;
mod moving;
mod nursery;
mod outbound;
mod output;
mod place;
mod program;
mod reaper;
mod resident;
mod run;
mod share;
mod shared;
mod slot;
#[cfg(test)]
mod tests;
mod transit;
mod warm;

pub use cache::{CacheError, CacheUse};
pub use call::{CallError, Passage};
pub use compile::{Code, CompileError, Compiled, MAX_COMPONENT_BYTES, Origin};
pub use context::{
    BodyFault, Callee, Callees, Chain, ChainError, Fault, Hop, Place, Progress, RequestContext, Sight,
    TooDeep,
};
pub use direct::Called;
pub use failure::Failure;
pub use foreign::{Entering, Foreign, Gate, Hold, Stub, Target, Value};
pub use place::{NoPlace, Places};
use program::check_instances;
pub use program::{Drive, InstancesError, Program};
pub use slot::most_instances;
pub use warm::WarmError;
/// A body on either side of a guest, and the error it may end with.
pub use wasmtime_wasi_http::{Error as BodyError, WasiBody as Body};

use cache::Cache;
use compiler::Compiler;
use descriptor::Descriptors;
use fair::Fair;
use guest::Guest;
use idle::AllIdle;
use reaper::Reaper;
use resident::{Kept, Pool, TABLES_PER_INSTANCE};
use share::Shares;
use transit::Transit;

use crate::model::{Digest, Limits};

/// How large the pools of both engines are.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Instances alive at once, over all services, in each engine.
    pub max_instances: u32,
    /// The largest linear memory that a service's limit may give an instance, in bytes. A pool slot takes the same address
    /// space however large it is, and only what is used takes memory.
    pub max_memory: u64,
    /// The longest table of any instance, in elements.
    pub max_table_elements: u32,
    /// What pool slots that nobody uses may keep in RAM, of both engines together, in bytes: memories and tables.
    pub resident_memory: u64,
    /// Whether guests that compute go on in a pool of their own. Without it they stay in the task that asked for them, with its
    /// task-locals.
    pub fair_pool: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_instances: 1_000,
            max_memory: Limits::MAX_INSTANCE_MEMORY,
            max_table_elements: Limits::default().table_elements,
            resident_memory: 64 * 1024 * 1024,
            fair_pool: true,
        }
    }
}

/// An engine cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wasmtime refused the configuration; usually too little address space.
    #[error("cannot set up the {engine} Wasm engine with {max_instances} pool slots")]
    Setup {
        /// Which of the two.
        engine: &'static str,
        /// The size that was asked for.
        max_instances: u32,
        /// What Wasmtime said.
        source: wasmtime::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread of the engine")]
    Thread(#[source] std::io::Error),
    /// The ahead-of-time cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// One of the two engines with everything that is linked into its guests.
struct Half {
    engine: Engine,
    linker: Linker<Guest>,
    cache: Cache,
    /// Instances that were made.
    made: Arc<AtomicU64>,
    /// Those that wait between requests, which keep pool slots of this engine and of no other.
    idle: AllIdle,
    /// Instances that there may be at once.
    max_instances: u32,
}

/// Both engines. Made once for a host.
pub struct Engines {
    plain: Half,
    concurrent: Half,
    compiler: Compiler,
    shares: Arc<Shares>,
    reaper: Reaper,
    descriptors: Arc<Descriptors>,
    transit: Arc<Transit>,
}

impl Engines {
    /// Sets up both engines, their clock and their caches under `cache`.
    pub fn new(settings: Settings, cache: &Path) -> Result<Arc<Self>, Error> {
        let plain = Half::new("plain", false, settings, cache)?;
        let concurrent = Half::new("concurrent", true, settings, cache)?;
        let fair = settings.fair_pool.then(Fair::start).transpose();
        let shares = Arc::new(Shares::new(fair.map_err(Error::Thread)?));
        let ticked = vec![plain.engine.weak(), concurrent.engine.weak()];
        clock::start(ticked, Arc::downgrade(&shares)).map_err(Error::Thread)?;
        let pools = [&plain, &concurrent].map(|half| Pool::new(&half.engine, half.made.clone(), settings));
        resident::start(pools.into()).map_err(Error::Thread)?;
        let compiler = Compiler::start().map_err(Error::Thread)?;
        let reaper = Reaper::start().map_err(Error::Thread)?;
        Ok(Arc::new(Self {
            plain,
            concurrent,
            compiler,
            shares,
            reaper,
            descriptors: Descriptors::of_process(),
            transit: Arc::default(),
        }))
    }

    /// Drops the instances of all programs that have waited for as long as their services let one wait.
    pub fn drop_idle(&self, now: Instant) {
        self.plain.idle.drop_expired(now);
        self.concurrent.idle.drop_expired(now);
    }

    /// The one of the two that a component runs on.
    fn half(&self, concurrent: bool) -> &Half {
        match concurrent {
            true => &self.concurrent,
            false => &self.plain,
        }
    }

    /// Removes from the caches what was compiled from bytes of other digests than those in `keep`, and temporary files that
    /// were left behind. Returns how many compiled components went. Code that is in use stays whole, since its file is mapped.
    /// `keep` must have what is being compiled too, or that is lost and compiled anew.
    ///
    /// Directories of other versions of the engine are left alone: a host of that version may use them.
    ///
    /// # Errors
    /// What the system said, of the first file that could not be removed; the others are tried all the same.
    pub fn sweep(&self, keep: &BTreeSet<Digest>, cache: CacheUse) -> std::io::Result<usize> {
        let plain = self.plain.cache.sweep(keep, cache);
        let concurrent = self.concurrent.cache.sweep(keep, cache);
        Ok(plain? + concurrent?)
    }
}

impl Half {
    fn new(name: &'static str, concurrent: bool, settings: Settings, cache: &Path) -> Result<Self, Error> {
        let setup = |source| Error::Setup {
            engine: name,
            max_instances: settings.max_instances,
            source,
        };
        let engine = Engine::new(&config(concurrent, settings)).map_err(setup)?;
        let mut linker = Linker::new(&engine);
        guest::link(&mut linker, concurrent).map_err(setup)?;
        let cache = Cache::open(cache, name, &engine)?;
        Ok(Self {
            engine,
            linker,
            cache,
            made: Arc::default(),
            idle: AllIdle::default(),
            max_instances: settings.max_instances,
        })
    }
}

fn config(concurrent: bool, settings: Settings) -> Config {
    let instances = settings.max_instances;
    // A dirty page that was swapped out would be neither reset nor given back by the scan, and the next instance in the slot
    // would read another's data: only where nothing can be swapped out.
    let scans = swap_is_off() && PoolingAllocationConfig::is_pagemap_scan_available();
    let kept = Kept::of(&settings, scans);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(slot::CORE_PER_INSTANCE))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES_PER_INSTANCE))
        .total_stacks(instances)
        .max_memory_size(usize::try_from(settings.max_memory).unwrap_or(usize::MAX))
        .table_elements(settings.max_table_elements as usize)
        .max_component_instance_size(10 * 1024 * 1024)
        .max_core_instance_size(10 * 1024 * 1024)
        .max_memories_per_component(limiter::MAX_MEMORIES as u32)
        .max_tables_per_component(limiter::MAX_TABLES as u32)
        .max_core_instances_per_component(limiter::MAX_INSTANCES as u32)
        .linear_memory_keep_resident(kept.memory)
        .table_keep_resident(kept.table)
        // A component takes a slot that nobody had before it takes one from another component.
        .max_unused_warm_slots(instances)
        .pagemap_scan(if scans { Enabled::Yes } else { Enabled::No });

    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(concurrent)
        .wasm_component_model_async(concurrent)
        .async_stack_size(resident::STACK_BYTES)
        .epoch_interruption(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .memory_init_cow(true);
    config
}

fn swap_is_off() -> bool {
    let off =
        std::fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().skip(1).all(str::is_empty));
    if !off {
        tracing::debug!("swap is (or may be) active: instances are reset without the page-map scan");
    }
    off
}

/// Prepares a worker thread for running guests, so that no request pays for it.
pub fn prepare_thread() {
    Engine::tls_eager_initialize();
}
