//! The store in memory keeps the promises of the suite, by example and in random histories.

use futures_executor::block_on;
use proptest::prelude::*;

use super::*;
use crate::memory::{CountedIds, Memory, SetClock};
use crate::suite;

#[test]
fn the_store_in_memory_keeps_every_promise() {
    block_on(suite::promises(Memory::default));
}

#[test]
fn a_store_that_is_busy_is_told_as_such() {
    let store = Memory::default();
    let catalog = Catalog::new(store.clone(), SetClock::default(), CountedIds::default());
    let other = block_on(store.begin()).unwrap();
    let details = suite::details("A", "A", "", "a", 1);
    let busy = block_on(catalog.create(details.clone(), 1));
    assert_eq!(busy, Err(Error::Store(StoreError::Busy)));
    drop(other);
    assert!(block_on(catalog.create(details, 1)).is_ok());
}

proptest! {
    #[test]
    fn no_history_of_an_inventory_goes_below_zero(steps in prop::collection::vec(any::<[u8; 4]>(), 0..80)) {
        block_on(suite::history(Memory::default(), &steps));
    }
}
