//! Who needs which item: pins, and what a sweep under way spares.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::Digest;

/// All pins of one directory.
#[derive(Debug, Default)]
pub(super) struct Pins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How many pins an item has. While a sweep is under way, an item that lost its last pin stays here with 0.
    pins: BTreeMap<Digest, usize>,
    /// How many sweeps are under way.
    sweeps: usize,
}

impl Pins {
    pub(super) fn pin(pins: &Arc<Self>, digest: Digest) -> Pin {
        *pins.0.lock().pins.entry(digest).or_default() += 1;
        Pin {
            digest,
            pins: pins.clone(),
        }
    }

    pub(super) fn spare(pins: &Arc<Self>) -> Spared {
        pins.0.lock().sweeps += 1;
        Spared(pins.clone())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().pins.is_empty()
    }
}

/// An item that no sweep takes, as long as this or a clone of it is there.
pub struct Pin {
    digest: Digest,
    pins: Arc<Pins>,
}

impl Pin {
    /// The item's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl Clone for Pin {
    fn clone(&self) -> Self {
        Pins::pin(&self.pins, self.digest)
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({})", self.digest.short())
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.pins.0.lock();
        let is_remembered = state.sweeps > 0;
        if let Entry::Occupied(mut pins) = state.pins.entry(self.digest) {
            *pins.get_mut() = pins.get().saturating_sub(1);
            if *pins.get() == 0 && !is_remembered {
                pins.remove();
            }
        }
    }
}

/// What has been pinned at any time since this was made.
#[derive(Debug)]
pub(super) struct Spared(Arc<Pins>);

impl Spared {
    /// Does `work` if the item is not spared; nobody can pin it meanwhile.
    pub(super) fn unless_pinned<T>(&self, digest: &Digest, work: impl FnOnce() -> T) -> Option<T> {
        let state = self.0.0.lock();
        let is_spared = state.pins.contains_key(digest);
        let done = (!is_spared).then(work);
        drop(state);
        done
    }
}

impl Drop for Spared {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.sweeps = state.sweeps.saturating_sub(1);
        if state.sweeps == 0 {
            state.pins.retain(|_, pins| *pins > 0);
        }
    }
}
