//! The use cases of the catalog, over the ports: one place that decides, for HTTP and for the contracts
//! alike.
//!
//! Every write is one transaction of the store; an error, or being dropped half-way, leaves nothing behind.

mod inventory;
mod products;

use crate::port::{Clock, Ids, Store, StoreError, Unit};
use crate::reservation::{Shortage, State};
use crate::violation::Invalid;

pub use inventory::Reserved;

/// Why a use case did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An argument is out of its bounds.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// No product has this id (as it was given, but bounded).
    #[error("no product has the id {0:?}")]
    NoProduct(String),
    /// No reservation has this id, or it was forgotten.
    #[error("no reservation has this id")]
    NoReservation,
    /// Another product has this SKU.
    #[error("another product has this SKU")]
    SkuTaken,
    /// The product is no longer the one that the write is meant for.
    #[error("the product was changed meanwhile; its version is {version} now")]
    Changed {
        /// Its version now.
        version: u32,
    },
    /// Reservations hold more than would be on hand.
    #[error("reservations hold {held} pieces, and {on_hand} would be on hand")]
    Held {
        /// Pieces held.
        held: u32,
        /// Pieces that would be on hand.
        on_hand: u32,
    },
    /// Less in stock than asked for.
    #[error(
        "{} pieces of product {} were asked for, and {} are available",
        .0.requested, .0.product, .0.available
    )]
    Short(Shortage),
    /// The reservation is in this state, or of other lines, and cannot do what was asked for.
    #[error("the reservation id is taken, by a reservation that is {}", .0.as_str())]
    Conflict(State),
    /// More ids than one call may name.
    #[error("{0} ids are too many for one call")]
    TooMany(usize),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The catalog.
#[derive(Debug)]
pub struct Catalog<S, C, I> {
    store: S,
    clock: C,
    ids: I,
}

impl<S: Store, C: Clock, I: Ids> Catalog<S, C, I> {
    /// The catalog that is kept in a store.
    pub fn new(store: S, clock: C, ids: I) -> Self {
        Self { store, clock, ids }
    }
}

/// Ends a transaction: commits when all went well, else takes it back.
async fn settle<U: Unit, T>(unit: U, outcome: Result<T, Error>) -> Result<T, Error> {
    match outcome {
        Ok(value) => {
            unit.commit().await?;
            Ok(value)
        }
        Err(error) => {
            unit.rollback().await;
            Err(error)
        }
    }
}

/// A text from outside as an error may repeat it: its first characters.
fn bounded(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
