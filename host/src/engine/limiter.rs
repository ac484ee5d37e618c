//! Bounds what one Wasm store may allocate, and tells the revision's metrics how much that is.
//!
//! Counted is linear memory, over all memories of the store together, against the instance's own limit and the account that
//! all instances of the revision share ([`super::account`]). Tables are bounded each by their element count, and all of a
//! store together: an element takes 8 bytes, so that the tables of an instance take 1.6 MB at most.

use std::fmt;

use wasmtime::ResourceLimiter;

use super::account::Portion;
use crate::model::Limits;
use crate::telemetry::metrics::LiveInstance;

/// Fixed bounds beside the configurable ones: instances, memories and tables of one component. So many that a
/// service with as many instances at once as it has by default leaves a part of each pool to others.
pub(super) const MAX_INSTANCES: usize = 100;
pub(super) const MAX_MEMORIES: usize = 12;
pub(super) const MAX_TABLES: usize = 24;
/// Elements of all tables of one instance together.
const MAX_ALL_TABLE_ELEMENTS: usize = 200_000;

/// What Wasmtime says of a growth that it never asked for: of a memory whose type has no room for it.
const NEVER_ASKED: &str = "memory growth exceeds memory type's limits";
/// The same of a table: it would have more elements than can be counted.
const NEVER_ASKED_FOR_TABLE: &str = "overflow calculating new table size";

/// What a guest ran into that asked for more than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// `instance_memory`, in bytes.
    Instance(u64),
    /// `memory`, in bytes: this instance and the others have all of it.
    Service(u64),
    /// Elements of one table.
    Table(usize),
    /// Elements of all tables.
    Tables(usize),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(limit) => write!(
                f,
                "the instance asked for more than its {limit} bytes of memory, the limit `instance_memory`"
            ),
            Self::Service(limit) => write!(
                f,
                "the instances of the service asked for more than their {limit} bytes of memory, the limit `memory`"
            ),
            Self::Table(limit) => write!(f, "the instance asked for a table of more than {limit} elements"),
            Self::Tables(limit) => write!(
                f,
                "the instance asked for more than {limit} elements in all of its tables"
            ),
        }
    }
}

pub(super) struct Limiter {
    portion: Portion,
    max_memory: u64,
    memory: u64,
    /// What was granted last.
    granted: u64,
    max_table_elements: usize,
    table_elements: usize,
    /// How many were granted last.
    granted_elements: usize,
    denied: Option<Denial>,
    /// What the instance would have had, had the account had it.
    missed: Option<u64>,
    live: LiveInstance,
}

impl Limiter {
    /// For an instance that has `portion` to begin with.
    pub(super) fn new(portion: Portion, limits: &Limits, live: LiveInstance) -> Self {
        Self {
            portion,
            max_memory: limits.instance_memory,
            memory: 0,
            granted: 0,
            max_table_elements: usize::try_from(limits.table_elements).unwrap_or(usize::MAX),
            table_elements: 0,
            granted_elements: 0,
            denied: None,
            missed: None,
            live,
        }
    }

    /// What follows is another request's.
    pub(super) fn begin(&mut self) {
        self.denied = None;
    }

    /// What the guest ran into, if it asked for more than it may have and nobody has told of it.
    pub(super) fn take_denied(&mut self) -> Option<Denial> {
        self.denied.take()
    }

    /// What the instance would have had, in bytes, if only the others left it so much.
    pub(super) fn missed(&self) -> Option<u64> {
        let limit = self.portion.account().limit();
        self.missed.filter(|missed| *missed <= limit)
    }

    /// The instance is there: what it did not need goes back. Returns what it has, in bytes.
    pub(super) fn settle(&mut self) -> u64 {
        self.portion.shrink_to(self.memory);
        self.memory
    }

    fn deny(&mut self, denial: Denial) -> wasmtime::Result<bool> {
        self.denied = Some(denial);
        self.live.refuse_memory();
        Ok(false)
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.granted = 0;
        // Wasmtime asks before it looks; nothing may be granted to what fails anyway.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current) as u64;
        let wanted = self.memory.saturating_add(growth);
        if wanted > self.max_memory {
            return self.deny(Denial::Instance(self.max_memory));
        }
        if !self.portion.grow_to(wanted) {
            self.missed = Some(wanted);
            return self.deny(Denial::Service(self.portion.account().limit()));
        }
        self.granted = growth;
        self.memory = wanted;
        self.live.set_memory(wanted);
        Ok(true)
    }

    /// The system had no memory for what was granted.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // What was granted before that has long been grown.
        if error.to_string() != NEVER_ASKED {
            self.memory = self.memory.saturating_sub(std::mem::take(&mut self.granted));
            self.portion.shrink_to(self.memory);
            self.live.set_memory(self.memory);
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.granted_elements = 0;
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if desired > self.max_table_elements {
            return self.deny(Denial::Table(self.max_table_elements));
        }
        let growth = desired.saturating_sub(current);
        let all = self.table_elements.saturating_add(growth);
        if all > MAX_ALL_TABLE_ELEMENTS {
            return self.deny(Denial::Tables(MAX_ALL_TABLE_ELEMENTS));
        }
        self.granted_elements = growth;
        self.table_elements = all;
        Ok(true)
    }

    /// The table could not have what was granted.
    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if error.to_string() != NEVER_ASKED_FOR_TABLE {
            let granted = std::mem::take(&mut self.granted_elements);
            self.table_elements = self.table_elements.saturating_sub(granted);
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::engine::account::Account;
    use crate::engine::idle::Idle;
    use crate::telemetry::metrics::Metrics;

    fn limiter(limits: &Limits) -> (Limiter, Arc<Account>) {
        let account = Account::new(limits, 0, &Arc::new(Idle::new(Duration::ZERO)));
        let live = Metrics::new().revision("app", "subject", "0a").instance();
        (
            Limiter::new(account.try_reserve().unwrap(), limits, live),
            account,
        )
    }

    #[test]
    fn a_growth_that_fails_afterwards_costs_nothing() {
        let limits = Limits {
            memory: 1_000,
            instance_memory: 900,
            ..Limits::default()
        };
        let (mut limiter, account) = limiter(&limits);
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        assert!(limiter.memory_growing(0, 300, None).unwrap(), "another memory");
        limiter
            .memory_grow_failed(wasmtime::format_err!("the system has none"))
            .unwrap();
        assert_eq!((account.used(), limiter.memory), (100, 100));
        // No second time, and not for what was never granted.
        limiter
            .memory_grow_failed(wasmtime::format_err!("again"))
            .unwrap();
        assert!(limiter.memory_growing(100, 200, None).unwrap());
        limiter
            .memory_grow_failed(wasmtime::format_err!("{NEVER_ASKED}"))
            .unwrap();
        assert!(!limiter.memory_growing(200, 400, Some(300)).unwrap());
        assert_eq!((account.used(), limiter.take_denied()), (200, None));
        assert!(!limiter.memory_growing(200, 901, None).unwrap());
        assert_eq!(limiter.take_denied(), Some(Denial::Instance(900)));
        drop(limiter);
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn elements_that_a_table_did_not_get_after_all_do_not_count() {
        let (mut limiter, _account) = limiter(&Limits::default());
        assert!(limiter.table_growing(0, 60_000, None).unwrap());
        assert!(limiter.table_growing(0, 100_000, None).unwrap(), "another table");
        let failed = || wasmtime::format_err!("the system has none");
        limiter.table_grow_failed(failed()).unwrap();
        assert_eq!(limiter.table_elements, 60_000);
        // No second time, and not for what was never granted.
        limiter.table_grow_failed(failed()).unwrap();
        assert!(limiter.table_growing(60_000, 70_000, None).unwrap());
        limiter
            .table_grow_failed(wasmtime::format_err!("{NEVER_ASKED_FOR_TABLE}"))
            .unwrap();
        assert!(!limiter.table_growing(70_000, 80_000, Some(75_000)).unwrap());
        limiter.table_grow_failed(failed()).unwrap();
        assert_eq!((limiter.table_elements, limiter.take_denied()), (70_000, None));
        assert!(limiter.table_growing(0, 100_000, None).unwrap());
    }

    #[test]
    fn tables_are_bounded_each_and_together() {
        let (mut limiter, _account) = limiter(&Limits::default());
        assert!(!limiter.table_growing(0, 100_001, None).unwrap());
        assert_eq!(limiter.take_denied(), Some(Denial::Table(100_000)));
        assert!(limiter.table_growing(0, 100_000, None).unwrap());
        assert!(limiter.table_growing(0, 99_999, None).unwrap());
        assert!(!limiter.table_growing(0, 5, Some(4)).unwrap());
        assert!(limiter.table_growing(0, 1, None).unwrap());
        assert!(!limiter.table_growing(1, 2, None).unwrap());
        assert_eq!(limiter.take_denied(), Some(Denial::Tables(200_000)));
    }
}
