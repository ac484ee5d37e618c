//! The names of tasks and how many are live of each, without a lock: a table of fixed size that only grows.
//! A host has a dozen names; those that do not fit are counted together as `other`.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use super::TaskCount;

const CAPACITY: usize = 32;

/// The interned names.
#[derive(Default)]
pub(super) struct Names {
    rows: [Row; CAPACITY],
    other: Row,
}

/// One name with its counts. Aligned so that two busy names share no cache line.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Row {
    name: OnceLock<&'static str>,
    /// Foreground tasks that have not ended.
    pub(super) live: AtomicUsize,
    /// The value of `live` when the drain began.
    at_drain: AtomicUsize,
}

impl Names {
    /// The index of `name`, which takes the next free row when it is new; `CAPACITY` stands for `other`.
    pub(super) fn intern(&self, name: &'static str) -> usize {
        self.rows
            .iter()
            // `get_or_init` waits for a thread that is just claiming the row, and then compares with its name.
            .position(|row| *row.name.get_or_init(|| name) == name)
            .unwrap_or(CAPACITY)
    }

    pub(super) fn row(&self, index: usize) -> &Row {
        self.rows.get(index).unwrap_or(&self.other)
    }

    /// Remembers the present counts as those that a drain began with.
    pub(super) fn mark(&self) {
        for (_, row) in self.named() {
            row.at_drain
                .store(row.live.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.named().all(|(_, row)| row.live.load(Ordering::SeqCst) == 0)
    }

    pub(super) fn live(&self) -> Vec<TaskCount> {
        self.counts(|_, row| row.live.load(Ordering::SeqCst))
    }

    /// What was there at the mark and is not among `aborted`.
    pub(super) fn finished(&self, aborted: &[TaskCount]) -> Vec<TaskCount> {
        self.counts(|name, row| {
            let aborted = aborted.iter().find(|of| of.name == name).map_or(0, |of| of.count);
            row.at_drain.load(Ordering::SeqCst).saturating_sub(aborted)
        })
    }

    fn counts(&self, count: impl Fn(&'static str, &Row) -> usize) -> Vec<TaskCount> {
        self.named()
            .map(|(name, row)| TaskCount {
                name,
                count: count(name, row),
            })
            .filter(|of| of.count > 0)
            .collect()
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &Row)> {
        self.rows
            .iter()
            .map_while(|row| row.name.get().map(|name| (*name, row)))
            .chain(std::iter::once(("other", &self.other)))
    }
}
