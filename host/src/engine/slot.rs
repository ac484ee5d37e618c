//! The share of a program in the pool slots of its engine.
//!
//! What bounds it: a program has no more than three times what is free, of each kind of slot. So one alone has three quarters
//! of a pool, the next three quarters of what is left, and whoever has none finds one. Instances that only wait go before
//! anybody is refused. What a program has is estimated where Wasmtime does not say it: of core instances, by the mean.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::resident::TABLES_PER_INSTANCE;

/// How many times what is free a program may have.
const TIMES_FREE: u64 = 3;

/// Core instances for each instance that there may be.
pub(super) const CORE_PER_INSTANCE: u32 = 8;

/// What one instance takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    memories: u64,
    tables: u64,
}

impl Needs {
    pub(super) fn of(component: &Component) -> Self {
        let required = component.resources_required();
        Self {
            memories: required
                .as_ref()
                .map_or(1, |required| required.num_memories.into()),
            tables: required.map_or(1, |required| required.num_tables.into()),
        }
    }
}

/// How many instances a program has at most of so many pool slots, if it is alone.
pub fn most_instances(max_instances: u32) -> u32 {
    // The last one is let in where there is one slot for three instances.
    let most = u64::from(max_instances).saturating_mul(TIMES_FREE) / (TIMES_FREE + 1) + 1;
    u32::try_from(most).unwrap_or(u32::MAX).min(max_instances)
}

/// What is taken of a pool, and how large it is.
#[derive(Debug, Clone, Copy)]
struct Taken {
    instances: u64,
    core_instances: u64,
    memories: u64,
    tables: u64,
    of: u64,
}

/// Whether a program that has `own` instances may have another.
pub(super) fn is_left(engine: &Engine, max_instances: u32, own: u64, needs: Needs) -> bool {
    engine.pooling_allocator_metrics().is_none_or(|metrics| {
        let taken = Taken {
            instances: metrics.component_instances(),
            core_instances: metrics.core_instances(),
            memories: metrics.memories() as u64,
            tables: metrics.tables() as u64,
            of: max_instances.into(),
        };
        taken.leaves(own, needs)
    })
}

impl Taken {
    fn leaves(self, own: u64, needs: Needs) -> bool {
        let mean = self.core_instances.div_ceil(self.instances.max(1));
        [
            (self.instances, 1, 1),
            (self.core_instances, CORE_PER_INSTANCE, mean),
            (self.memories, 1, needs.memories),
            (self.tables, TABLES_PER_INSTANCE, needs.tables),
        ]
        .into_iter()
        .all(|(taken, for_each, needs)| {
            let free = self.of.saturating_mul(for_each.into()).saturating_sub(taken);
            own.saturating_mul(needs) <= free.saturating_mul(TIMES_FREE)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIMPLE: Needs = Needs {
        memories: 1,
        tables: 1,
    };

    /// Where so many instances of programs are that need so much, and each has a core instance.
    fn taken(of: u64, programs: &[(u64, Needs)]) -> Taken {
        let sum = |of: fn(&(u64, Needs)) -> u64| programs.iter().map(of).sum();
        Taken {
            instances: sum(|(count, _)| *count),
            core_instances: sum(|(count, _)| *count),
            memories: sum(|(count, needs)| count * needs.memories),
            tables: sum(|(count, needs)| count * needs.tables),
            of,
        }
    }

    /// Lets programs take what they get, one after the other.
    fn fill(of: u64, programs: &[Needs]) -> Vec<u64> {
        let mut all: Vec<(u64, Needs)> = Vec::new();
        for needs in programs {
            all.push((0, *needs));
            let last = all.len() - 1;
            while taken(of, &all).leaves(all[last].0, *needs) {
                all[last].0 += 1;
            }
        }
        all.into_iter().map(|(count, _)| count).collect()
    }

    #[test]
    fn whoever_comes_finds_a_slot_however_much_the_others_want() {
        let got = fill(1_000, &[SIMPLE; 4]);
        assert!((740..=760).contains(&got[0]), "{got:?}");
        assert!((180..=190).contains(&got[1]), "{got:?}");
        assert!(got.iter().all(|got| *got > 5), "{got:?}");
    }

    #[test]
    fn who_needs_more_for_an_instance_has_fewer() {
        let many = Needs {
            memories: 12,
            tables: 24,
        };
        let got = fill(1_000, &[many, SIMPLE]);
        assert!((58..=63).contains(&got[0]), "{got:?}");
        assert!(got[1] > 100, "{got:?}");
    }

    #[test]
    fn a_pool_of_a_few_can_be_taken_whole_by_one() {
        for of in 1..=4 {
            assert_eq!(fill(of, &[SIMPLE])[0], of);
        }
        for of in [1, 2, 3, 4, 5, 7, 10, 64, 999, 1_000] {
            assert_eq!(
                fill(of.into(), &[SIMPLE])[0],
                u64::from(most_instances(of)),
                "{of}"
            );
        }
    }
}
