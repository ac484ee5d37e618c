//! What every store has to keep, as tests that each adapter runs against itself.
//!
//! [`promises`] goes through the ports by example; [`history`] plays a random history of an inventory against
//! a model that knows only the rules.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: a failure is their result"
)]

mod history;
mod inventory;
mod products;

pub use history::history;

use crate::memory::{CountedIds, SetClock};
use crate::port::Store;
use crate::product::{Details, DetailsInput, Product};
use crate::reservation::{Lines, ReservationId};
use crate::service::Catalog;

/// A catalog over some store, in the hands of a test.
pub(crate) struct Bench<S> {
    pub(crate) catalog: Catalog<S, SetClock, CountedIds>,
    pub(crate) clock: SetClock,
}

impl<S: Store> Bench<S> {
    pub(crate) fn new(store: S) -> Self {
        let clock = SetClock::default();
        clock.set(NOON);
        Self {
            catalog: Catalog::new(store, clock.clone(), CountedIds::default()),
            clock,
        }
    }

    /// A product of this SKU, so many on hand, and everything else as it may be.
    pub(crate) async fn product(&self, sku: &str, on_hand: u32) -> Product {
        self.catalog
            .create(details(sku, "Thing", "", "things", 100), on_hand)
            .await
            .unwrap()
    }
}

/// Some time to begin with: 2026-01-01T12:00:00Z, in milliseconds.
pub(crate) const NOON: u64 = 1_767_268_800_000;

pub(crate) fn details(sku: &str, name: &str, description: &str, category: &str, amount: i64) -> Details {
    Details::parse(&DetailsInput {
        sku,
        name,
        description,
        category,
        amount,
        currency: "EUR",
    })
    .unwrap()
}

pub(crate) fn rid(text: &str) -> ReservationId {
    ReservationId::parse(text).unwrap()
}

pub(crate) fn lines(lines: &[(&Product, i64)]) -> Lines {
    let lines: Vec<_> = lines
        .iter()
        .map(|(product, quantity)| (product.id.to_string(), *quantity))
        .collect();
    Lines::parse(
        lines
            .iter()
            .map(|(product, quantity)| (product.as_str(), *quantity)),
    )
    .unwrap()
}

/// Checks every promise of [`crate::port`] and what the use cases make of them. `new` makes an empty store
/// each time.
///
/// # Panics
/// When the store breaks one.
pub async fn promises<S: Store>(new: impl Fn() -> S) {
    products::promises(&new).await;
    inventory::promises(&new).await;
}
