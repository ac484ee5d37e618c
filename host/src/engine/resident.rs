//! What the pools keep in RAM of slots that nobody uses, and giving that back.
//!
//! A slot keeps the pages that its last instance wrote, reset and ready, so that the next one pays for no page fault; Wasmtime
//! has a bound for each slot and none for all of them, and never gives a fibre's stack back at all. What bounds it here: memories
//! beyond three quarters of the host's `resident_memory` are given back within a second, those first that were used longest ago;
//! tables have the last quarter, by their own bound; stacks are given back every ten seconds if instances were made since. A
//! thread of its own does it: no request pays for it. *Invariant*: only what the thread itself has taken out of a pool, or runs
//! on, is given back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures::FutureExt;
use rustix::mm::{Advice, madvise};
use wasmtime::{Engine, EngineWeak, Instance, Linker, Module, Store};

use super::Settings;
use crate::shutdown;

/// Linear memory of one pool slot that stays resident between uses, if all together may have so much.
const MAX_SLOT_BYTES: u64 = 1024 * 1024;
/// The same of a table.
const MAX_TABLE_BYTES: u64 = 64 * 1024;
/// How often the memories are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Looks from one time that stacks are given back to the next.
const LOOKS_AT_STACKS: u32 = 10;
/// Pool slots that are taken at once to be given back; never more than a quarter of those that are free.
const BATCH: u64 = 32;
/// A fibre's stack, in bytes.
pub(super) const STACK_BYTES: usize = 2 * 1024 * 1024;
/// What is left of it above where it is given back, for whoever runs there, and at its far end.
const STACK_MARGIN: usize = 128 * 1024;
/// What is left right below, for the call that gives it back.
const CALL_MARGIN: usize = 8 * 1024;
const PAGE: u64 = 4096;

/// An instance that takes a memory's slot, and nothing of it.
const MEMORY: &str = r#"(module (memory (export "memory") 0))"#;
/// An instance that does on a fibre's stack what the host wants to.
const STACK: &str = r#"(module (import "" "here" (func $here)) (start $here))"#;

/// What each slot of the pools keeps by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// Bytes of a linear memory.
    pub(super) memory: usize,
    /// Bytes of a table.
    pub(super) table: usize,
}

impl Kept {
    /// What fits the settings. Where Wasmtime finds out which pages were written, a slot keeps only those, and this bounds
    /// them; where it cannot (`scans` is false), it writes so much of every slot each time, and nothing gives it back.
    pub(super) fn of(settings: &Settings, scans: bool) -> Self {
        let slots = u64::from(settings.max_instances).saturating_mul(2).max(1);
        let each = |bytes: u64, slots: u64, most: u64| {
            let whole_pages = (bytes / slots).min(most) / PAGE * PAGE;
            usize::try_from(whole_pages).unwrap_or(usize::MAX)
        };
        let memory = match scans {
            true => usize::try_from(MAX_SLOT_BYTES).unwrap_or(usize::MAX),
            false => each(of_memories(settings), slots, MAX_SLOT_BYTES),
        };
        let of_tables = settings.resident_memory.saturating_sub(of_memories(settings));
        Self {
            memory,
            table: each(
                of_tables,
                slots.saturating_mul(u64::from(TABLES_PER_INSTANCE)),
                MAX_TABLE_BYTES,
            ),
        }
    }
}

/// Table slots for each instance that there may be.
pub(super) const TABLES_PER_INSTANCE: u32 = 2;

/// What the unused memories of both pools may keep.
fn of_memories(settings: &Settings) -> u64 {
    settings.resident_memory / 4 * 3
}

/// The pools of one engine.
pub(super) struct Pool {
    engine: EngineWeak,
    /// Instances that were made.
    made: Arc<AtomicU64>,
    /// How many there were when stacks were given back last.
    seen: u64,
    settings: Settings,
}

impl Pool {
    pub(super) fn new(engine: &Engine, made: Arc<AtomicU64>, settings: Settings) -> Self {
        Self {
            engine: engine.weak(),
            made,
            seen: 0,
            settings,
        }
    }

    fn give_stacks_back(&mut self) {
        let made = self.made.load(Ordering::Relaxed);
        if made == self.seen {
            return;
        }
        self.seen = made;
        if let Some(engine) = self.engine.upgrade()
            && let Err(error) = give_stacks_back(&engine, &self.settings)
        {
            tracing::debug!(error = %error, "stacks that nobody uses stay resident");
        }
    }
}

/// Starts the thread. It holds no engine alive, and ends when they are gone.
pub(super) fn start(mut pools: Vec<Pool>) -> std::io::Result<()> {
    shutdown::thread("midplane-pools", move || {
        for look in 1_u32.. {
            std::thread::sleep(LOOK);
            if pools.iter().all(|pool| pool.engine.upgrade().is_none()) {
                return;
            }
            look_at_memories(&pools);
            if look % LOOKS_AT_STACKS == 0 {
                pools.iter_mut().for_each(Pool::give_stacks_back);
            }
        }
    })?;
    Ok(())
}

/// Gives back what the unused memories of all pools together keep too much.
fn look_at_memories(pools: &[Pool]) {
    let engines: Vec<(Engine, &Settings)> = pools
        .iter()
        .filter_map(|pool| Some((pool.engine.upgrade()?, &pool.settings)))
        .collect();
    let Some((_, settings)) = engines.first() else {
        return;
    };
    let mut kept: u64 = engines.iter().map(|(engine, _)| resident(engine)).sum();
    let most = of_memories(settings);
    for (engine, settings) in &engines {
        if kept <= most {
            return;
        }
        let others = kept.saturating_sub(resident(engine));
        if let Err(error) = give_memories_back(engine, settings, most.saturating_sub(others)) {
            tracing::debug!(error = %error, "memories that nobody uses stay resident");
        }
        kept = others.saturating_add(resident(engine));
    }
}

/// What the unused memories of a pool keep, in bytes.
pub(super) fn resident(engine: &Engine) -> u64 {
    let metrics = engine.pooling_allocator_metrics();
    metrics.map_or(0, |metrics| metrics.unused_memory_bytes_resident() as u64)
}

/// Into how many parts Wasmtime divides a large pool. A thread takes slots from a part that is its own, one part after the
/// other for each thread that begins, and from others only if that has none.
fn parts() -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    cores.min(16) as u64
}

/// Does `work` on as many new threads as there are parts, one after another: once in each part.
fn in_each_part(work: impl Fn() -> wasmtime::Result<()> + Clone + Send + 'static) -> wasmtime::Result<()> {
    for _ in 0..parts() {
        let (work, (outcome, done)) = (work.clone(), mpsc::sync_channel(1));
        let thread = shutdown::thread("midplane-pool", move || {
            // Whoever waits for it is there.
            let _received = outcome.send(work());
        })?;
        done.recv()??;
        // It has done its work; a panic of the work is an error above.
        let _ended = thread.join();
    }
    Ok(())
}

/// Gives memories back until they keep no more than `most` bytes, each slot at most once.
pub(super) fn give_memories_back(engine: &Engine, settings: &Settings, most: u64) -> wasmtime::Result<()> {
    let (engine, settings) = (engine.clone(), *settings);
    in_each_part(move || give_part_of_memories_back(&engine, &settings, most))
}

fn give_part_of_memories_back(engine: &Engine, settings: &Settings, most: u64) -> wasmtime::Result<()> {
    let Some(metrics) = engine.pooling_allocator_metrics() else {
        return Ok(());
    };
    let slots = u64::from(settings.max_instances);
    let bytes = usize::try_from(settings.max_memory).unwrap_or(usize::MAX);
    let mut taken = 0;
    while taken < slots.div_ceil(parts()) && resident(engine) > most {
        let free = slots.saturating_sub(metrics.memories() as u64);
        let batch = BATCH.min(free / 4);
        if batch == 0 {
            // Those who work need them all.
            return Ok(());
        }
        // A module of its own for each batch: the pool would give one the very slots that it had before.
        let module = Module::new(engine, MEMORY)?;
        let mut store = Store::new(engine, ());
        for _ in 0..batch {
            let instance = Instance::new(&mut store, &module, &[])?;
            let memory = instance.get_memory(&mut store, "memory");
            let memory = memory.ok_or_else(|| wasmtime::format_err!("the module has no memory"))?;
            let start = memory.data_ptr(&store);
            #[expect(
                unsafe_code,
                reason = "only the system call gives pages back, and Wasmtime has no function that makes it"
            )]
            // SAFETY: the slot is this instance's as long as its store lives, `max_memory` bytes from its start as the pool was
            // set up; the instance has none of them in use, and no Rust reference is there. What is read in a slot
            // afterwards is what its mapping was made of, which is what Wasmtime counts on for a slot that it has reset.
            unsafe { madvise(start.cast(), bytes, Advice::LinuxDontNeed) }?;
        }
        taken = taken.saturating_add(batch);
    }
    Ok(())
}

/// Gives back what is below the first pages of each stack that nobody uses.
pub(super) fn give_stacks_back(engine: &Engine, settings: &Settings) -> wasmtime::Result<()> {
    let (engine, settings) = (engine.clone(), *settings);
    in_each_part(move || give_part_of_stacks_back(&engine, &settings))
}

fn give_part_of_stacks_back(engine: &Engine, settings: &Settings) -> wasmtime::Result<()> {
    let Some(metrics) = engine.pooling_allocator_metrics() else {
        return Ok(());
    };
    let module = Module::new(engine, STACK)?;
    let mut linker = Linker::new(engine);
    linker.func_wrap("", "here", give_this_stack_back)?;
    // The pool hands out what was given back to it first.
    let most = u64::from(settings.max_instances).div_ceil(parts());
    for _ in 0..most.min(u64::from(metrics.unused_warm_stacks())) {
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(1 << 32);
        let ran = linker.instantiate_async(&mut store, &module).now_or_never();
        ran.unwrap_or_else(|| Err(wasmtime::format_err!("it waits for something")))?;
    }
    Ok(())
}

/// Runs on a fibre's stack, near its beginning.
#[inline(never)]
fn give_this_stack_back() -> wasmtime::Result<()> {
    let here = 0_u8;
    let here = std::ptr::from_ref(std::hint::black_box(&here)).addr();
    let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let end = here.saturating_sub(CALL_MARGIN) / page * page;
    let start = here.saturating_sub(STACK_BYTES - STACK_MARGIN) / page * page;
    #[expect(
        unsafe_code,
        reason = "only the system call gives pages back, and Wasmtime has no function that makes it"
    )]
    // SAFETY: stacks grow down, and this is the innermost frame but those of the call itself, which fit into the margin: nothing
    // below it is alive. Its far end is on the same stack, since no more than `STACK_MARGIN` was used up to here.
    unsafe {
        madvise(
            std::ptr::with_exposed_provenance_mut(start),
            end.saturating_sub(start),
            Advice::LinuxDontNeed,
        )
    }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(max_instances: u32, resident_memory: u64) -> Settings {
        Settings {
            max_instances,
            resident_memory,
            ..Settings::default()
        }
    }

    #[test]
    fn what_slots_keep_by_themselves_is_within_the_bound() {
        for (instances, bytes) in [(1, 1 << 20), (1_000, 64 << 20), (10_000, 64 << 20), (1_000, 0)] {
            let settings = settings(instances, bytes);
            let kept = Kept::of(&settings, false);
            let all = u64::from(instances)
                * 2
                * (kept.memory as u64 + u64::from(TABLES_PER_INSTANCE) * kept.table as u64);
            assert!(all <= bytes, "{instances} slots keep {all} of {bytes} bytes");
        }
        let kept = Kept::of(&Settings::default(), true);
        assert_eq!((kept.memory, kept.table), (1 << 20, 4096));
    }
}
