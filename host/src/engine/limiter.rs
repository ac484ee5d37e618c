//! Bounds what one Wasm store may allocate, and tells the revision's metrics how much that is.
//!
//! Counted is linear memory, over all memories of the store together; tables are bounded each by their element count.

use wasmtime::ResourceLimiter;

use crate::telemetry::metrics::LiveInstance;

/// Fixed bounds beside the configurable ones: instances, memories and tables of one component.
const MAX_INSTANCES: usize = 200;
const MAX_MEMORIES: usize = 32;
const MAX_TABLES: usize = 64;

pub(super) struct Limiter {
    max_memory: u64,
    max_table_elements: u32,
    memory: u64,
    denied: bool,
    live: LiveInstance,
}

impl Limiter {
    pub(super) fn new(max_memory: u64, max_table_elements: u32, live: LiveInstance) -> Self {
        Self {
            max_memory,
            max_table_elements,
            memory: 0,
            denied: false,
            live,
        }
    }

    /// The limit, if the guest asked for more.
    pub(super) fn denied(&self) -> Option<u64> {
        self.denied.then_some(self.max_memory)
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current) as u64;
        let wanted = self.memory.saturating_add(growth);
        if wanted > self.max_memory {
            self.denied = true;
            return Ok(false);
        }
        self.memory = wanted;
        self.live.set_memory(wanted);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.max_table_elements as usize)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}
