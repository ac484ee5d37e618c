//! Sockets and files of guests, each of which is a descriptor of this process.
//!
//! What bounds it: those of an instance by a number ([`super::guest`]), those of all instances of a revision by an eighth of what
//! the process may have open, those of all guests by half of it, so that connections of clients and databases find some. Counted is what may keep one open: sockets, files and their streams, which is more than there are
//! descriptors. *Invariant*: what was taken is given back by the drop of [`Held`], however an instance ends.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, getrlimit};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::bindings::sockets::udp::{IncomingDatagramStream, OutgoingDatagramStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};
use wasmtime_wasi::{filesystem, p2, sockets};

mod opening;

pub(super) use opening::link;

/// What part of the descriptors of the process guests may have, all together.
const PART_OF_GUESTS: u64 = 2;
/// What part of them the instances of one revision may have.
const PART_OF_REVISION: u64 = 8;

/// What guests have open, all together.
pub(super) struct Descriptors {
    most: u64,
    most_of_revision: u64,
    taken: AtomicU64,
}

impl Descriptors {
    /// Of a process that may have so many open; without a number, as many as it likes.
    fn of(limit: Option<u64>) -> Arc<Self> {
        let part = |parts| limit.map_or(u64::MAX, |limit| limit / parts);
        Arc::new(Self {
            most: part(PART_OF_GUESTS),
            most_of_revision: part(PART_OF_REVISION),
            taken: AtomicU64::new(0),
        })
    }

    /// Of this process, by what it may have open now.
    pub(super) fn of_process() -> Arc<Self> {
        Self::of(getrlimit(Resource::Nofile).current)
    }

    /// What a revision may have of them.
    pub(super) fn share(self: &Arc<Self>) -> Arc<Share> {
        Arc::new(Share {
            all: self.clone(),
            taken: AtomicU64::new(0),
        })
    }
}

/// What the instances of one revision have open.
pub(super) struct Share {
    all: Arc<Descriptors>,
    taken: AtomicU64,
}

impl Share {
    fn take(&self, more: u64) -> Result<(), Refused> {
        let most = self.all.most_of_revision;
        take(&self.taken, more, most).ok_or(Refused::Revision(most))?;
        let most = self.all.most;
        take(&self.all.taken, more, most).ok_or_else(|| {
            self.taken.fetch_sub(more, Ordering::Relaxed);
            Refused::Guests(most)
        })
    }

    fn give_back(&self, less: u64) {
        self.taken.fetch_sub(less, Ordering::Relaxed);
        self.all.taken.fetch_sub(less, Ordering::Relaxed);
    }
}

fn take(taken: &AtomicU64, more: u64, most: u64) -> Option<()> {
    let add = |taken: u64| taken.checked_add(more).filter(|wanted| *wanted <= most);
    let taken = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    taken.ok().map(|_before| ())
}

/// A bound that is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Instance(u64),
    Revision(u64),
    Guests(u64),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, most) = match self {
            Self::Instance(most) => ("the instance has", most),
            Self::Revision(most) => ("the instances of the service have", most),
            Self::Guests(most) => ("the services of this host have", most),
        };
        write!(
            f,
            "{who} {most} sockets, files and streams of these open, which is all they may"
        )
    }
}

/// What one instance has open.
pub(super) struct Held {
    share: Arc<Share>,
    /// What it has of the share.
    units: u64,
    most: u64,
    /// Held by what is open, or being opened, and not in the table.
    beside: Arc<()>,
}

impl Held {
    /// Nothing yet, and no more than `most`.
    pub(super) fn new(share: Arc<Share>, most: usize) -> Self {
        Self {
            share,
            units: 0,
            most: most as u64,
            beside: Arc::default(),
        }
    }

    /// Takes what one more needs, beside all that is open.
    pub(super) fn take(&mut self, table: &mut ResourceTable) -> Result<(), Refused> {
        let wanted = self.count(table).saturating_add(1);
        if wanted > self.most {
            return Err(Refused::Instance(self.most));
        }
        if let Some(more) = wanted.checked_sub(self.units).filter(|more| *more > 0) {
            self.share.take(more)?;
            self.units = wanted;
        }
        self.keep(wanted);
        Ok(())
    }

    /// To be held by something that is open and not in the table.
    pub(super) fn beside(&self) -> Arc<()> {
        self.beside.clone()
    }

    /// Gives back what is not open any more.
    pub(super) fn settle(&mut self, table: &mut ResourceTable) {
        // Most instances open nothing.
        if self.units > 0 {
            self.keep(self.count(table));
        }
    }

    fn keep(&mut self, wanted: u64) {
        if let Some(less) = self.units.checked_sub(wanted) {
            self.share.give_back(less);
            self.units = wanted;
        }
    }

    fn count(&self, table: &mut ResourceTable) -> u64 {
        let in_table = table.iter_mut().filter(|entry| keeps_open(*entry)).count();
        (in_table + Arc::strong_count(&self.beside) - 1) as u64
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keep(0);
    }
}

/// Whether a resource keeps a descriptor open. Of a stream it cannot be told whose it is.
fn keeps_open(entry: &(dyn Any + Send)) -> bool {
    entry.is::<filesystem::Descriptor>()
        || entry.is::<p2::TcpSocket>()
        || entry.is::<p2::UdpSocket>()
        || entry.is::<sockets::TcpSocket>()
        || entry.is::<sockets::UdpSocket>()
        || entry.is::<IncomingDatagramStream>()
        || entry.is::<OutgoingDatagramStream>()
        || entry.is::<DynInputStream>()
        || entry.is::<DynOutputStream>()
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::p2::pipe::MemoryInputPipe;

    use super::*;

    /// A table with so many entries that count, and one that does not.
    fn table(open: usize) -> ResourceTable {
        let mut table = ResourceTable::new();
        table.push("no descriptor").unwrap();
        for _ in 0..open {
            let stream: DynInputStream = Box::new(MemoryInputPipe::new(""));
            table.push(stream).unwrap();
        }
        table
    }

    fn taken(share: &Share) -> (u64, u64) {
        let load = |taken: &AtomicU64| taken.load(Ordering::Relaxed);
        (load(&share.taken), load(&share.all.taken))
    }

    #[test]
    fn an_instance_holds_what_it_has_open_and_no_more_than_it_may() {
        let share = Descriptors::of(None).share();
        let mut held = Held::new(share.clone(), 4);
        assert_eq!(held.take(&mut table(0)), Ok(()));
        assert_eq!(held.take(&mut table(3)), Ok(()));
        assert_eq!(taken(&share), (4, 4));
        assert_eq!(held.take(&mut table(4)), Err(Refused::Instance(4)));
        // What is open beside the table counts as long as it is.
        let beside = held.beside();
        assert_eq!(held.take(&mut table(3)), Err(Refused::Instance(4)));
        drop(beside);
        assert_eq!(held.take(&mut table(1)), Ok(()));
        assert_eq!(taken(&share), (2, 2), "what was closed meanwhile is given back");
        held.settle(&mut table(1));
        assert_eq!(taken(&share), (1, 1));
        drop(held);
        assert_eq!(taken(&share), (0, 0));
    }

    #[test]
    fn a_revision_at_its_bound_leaves_some_to_others() {
        let all = Descriptors::of(Some(80));
        let instance = |share: &Arc<Share>| Held::new(share.clone(), 100);
        let shares: Vec<_> = (0..5).map(|_| all.share()).collect();
        let mut one = instance(&shares[0]);
        assert_eq!(one.take(&mut table(5)), Ok(()));
        let mut another = instance(&shares[0]);
        assert_eq!(another.take(&mut table(3)), Ok(()));
        assert_eq!(another.take(&mut table(4)), Err(Refused::Revision(10)));
        assert_eq!(another.take(&mut table(3)), Ok(()), "a refusal takes nothing");
        let mut others: Vec<_> = shares[1..4].iter().map(instance).collect();
        for other in &mut others {
            assert_eq!(other.take(&mut table(9)), Ok(()));
        }
        // Clients and databases have the other half.
        let mut last = instance(&shares[4]);
        assert_eq!(last.take(&mut table(0)), Err(Refused::Guests(40)));
        assert_eq!(taken(&shares[4]), (0, 40));
        drop(others);
        assert_eq!(last.take(&mut table(0)), Ok(()));
    }
}
