//! Runs components: bytes become [`Code`], code and grants become a [`Program`], a program answers requests.
//!
//! Two Wasmtime engines serve the guests: one without component-model async, which is far cheaper for WASI 0.2, one with it
//! for WASI 0.3. Which one a component gets is decided by validation: what the plain one accepts runs there. Instances and
//! compiled code belong to a program; this module knows no routes, listeners or generations. A Wasm store that trapped, timed
//! out or was cancelled is dropped, never used again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

mod body;
mod cache;
mod call;
mod clock;
mod compile;
mod compiler;
mod context;
mod direct;
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
mod run;
mod share;
#[cfg(test)]
mod tests;
mod transit;
mod warm;

pub use cache::{CacheError, CacheUse};
pub use call::{CallError, Passage};
pub use compile::{Code, CompileError, Compiled, MAX_COMPONENT_BYTES, Origin};
pub use context::{
    BodyFault, Callee, Callees, Chain, ChainError, Fault, Hop, MAX_DEPTH, Place, Progress, RequestContext,
};
pub use direct::Called;
pub use failure::Failure;
pub use foreign::{Entering, Foreign, Gate, Hold, Stub, Target, Value};
pub use place::{NoPlace, Places};
pub use program::{Drive, Program};
pub use warm::WarmError;
/// A body on either side of a guest, and the error it may end with.
pub use wasmtime_wasi_http::{Error as BodyError, WasiBody as Body};

use cache::Cache;
use compiler::Compiler;
use fair::Fair;
use guest::Guest;
use idle::AllIdle;
use reaper::Reaper;
use share::Shares;
use transit::Transit;

use crate::model::Digest;

/// Linear memory of one pool slot that stays resident between uses.
const KEEP_RESIDENT: usize = 1024 * 1024;

/// How large the pools of both engines are.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Instances alive at once, over all services, in each engine.
    pub max_instances: u32,
    /// The largest linear memory of any instance, in bytes.
    pub max_memory: u64,
    /// The longest table of any instance, in elements.
    pub max_table_elements: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_instances: 1_000,
            max_memory: 128 * 1024 * 1024,
            max_table_elements: 100_000,
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
}

/// Both engines. Made once for a host.
pub struct Engines {
    plain: Half,
    concurrent: Half,
    compiler: Compiler,
    shares: Arc<Shares>,
    reaper: Reaper,
    idle: AllIdle,
    transit: Arc<Transit>,
}

impl Engines {
    /// Sets up both engines, their clock and their caches under `cache`.
    pub fn new(settings: Settings, cache: &Path) -> Result<Arc<Self>, Error> {
        let plain = Half::new("plain", false, settings, cache)?;
        let concurrent = Half::new("concurrent", true, settings, cache)?;
        let shares = Arc::new(Shares::new(Fair::start().map_err(Error::Thread)?));
        let ticked = vec![plain.engine.weak(), concurrent.engine.weak()];
        clock::start(ticked, Arc::downgrade(&shares)).map_err(Error::Thread)?;
        let compiler = Compiler::start().map_err(Error::Thread)?;
        let reaper = Reaper::start().map_err(Error::Thread)?;
        Ok(Arc::new(Self {
            plain,
            concurrent,
            compiler,
            shares,
            reaper,
            idle: AllIdle::default(),
            transit: Arc::default(),
        }))
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
        })
    }
}

fn config(concurrent: bool, settings: Settings) -> Config {
    let instances = settings.max_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        .total_stacks(instances)
        .max_memory_size(usize::try_from(settings.max_memory).unwrap_or(usize::MAX))
        .table_elements(settings.max_table_elements as usize)
        .max_component_instance_size(10 * 1024 * 1024)
        .max_core_instance_size(10 * 1024 * 1024)
        .max_memories_per_component(32)
        .max_tables_per_component(64)
        .max_core_instances_per_component(200)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(64 * 1024);
    // A dirty page that was swapped out would be neither reset nor given back by the scan, and the next instance in the slot
    // would read another's data: only where nothing can be swapped out.
    pool.pagemap_scan(if swap_is_off() { Enabled::Auto } else { Enabled::No });

    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(concurrent)
        .wasm_component_model_async(concurrent)
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
