//! What the domain needs of the world: a clock, ids, and a store with transactions.
//!
//! Every method of a store sees holds as they are at the `now` that it is given: a hold whose time is over
//! binds nothing.

use std::future::Future;

use crate::page::Query;
use crate::product::{Product, ProductId};
use crate::reservation::{Reservation, ReservationId, State};
use crate::text::Sku;
use crate::time::Timestamp;

/// Tells the time.
pub trait Clock {
    /// The time now. May jump, in both directions; no invariant rests on it.
    fn now(&self) -> Timestamp;
}

/// Makes ids.
pub trait Ids {
    /// An id that no product has had, later than those of earlier times.
    fn product(&self, now: Timestamp) -> ProductId;
}

/// Why a store could not do what it was asked for. The texts are for the operator, not for clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else held the store for too long. The same call may succeed a moment later.
    #[error("the store is busy")]
    Busy,
    /// Nothing more can be written until somebody makes room.
    #[error("the store is full")]
    Full,
    /// The service has no such store, or no right to it.
    #[error("the store was refused: {0}")]
    Refused(String),
    /// What is stored is not what this service writes.
    #[error("the store holds what this service cannot read: {0}")]
    Unreadable(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Keeps products and reservations.
pub trait Store {
    /// A transaction of this store.
    type Unit: Unit;

    /// Those of the products that there are, in any order.
    fn products(
        &self,
        ids: &[ProductId],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Product>, StoreError>>;

    /// The first products that meet the query and come after its position, in its order: one more than its
    /// limit, if there are that many.
    fn list(&self, query: &Query, now: Timestamp) -> impl Future<Output = Result<Vec<Product>, StoreError>>;

    /// The reservation as it was last written: time has not been looked at.
    fn reservation(
        &self,
        id: &ReservationId,
    ) -> impl Future<Output = Result<Option<Reservation>, StoreError>>;

    /// Begins a transaction. There is one at a time: others wait, or fail with [`StoreError::Busy`].
    fn begin(&self) -> impl Future<Output = Result<Self::Unit, StoreError>>;
}

/// A transaction: it sees its own writes, nobody else sees them before [`Unit::commit`]. Dropped, it has not
/// happened.
pub trait Unit {
    /// As [`Store::products`].
    fn products(
        &mut self,
        ids: &[ProductId],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Product>, StoreError>>;

    /// Whose SKU it is.
    fn owner_of(&mut self, sku: &Sku) -> impl Future<Output = Result<Option<ProductId>, StoreError>>;

    /// Adds a product. Its stock is on hand, nothing of it held.
    fn insert(&mut self, product: &Product) -> impl Future<Output = Result<(), StoreError>>;

    /// Overwrites details, `updated_at` and version.
    fn update(&mut self, product: &Product) -> impl Future<Output = Result<(), StoreError>>;

    /// Removes a product of which nothing is held.
    fn delete(&mut self, id: ProductId) -> impl Future<Output = Result<(), StoreError>>;

    /// Overwrites what is on hand.
    fn set_on_hand(&mut self, id: ProductId, on_hand: u32) -> impl Future<Output = Result<(), StoreError>>;

    /// As [`Store::reservation`].
    fn reservation(
        &mut self,
        id: &ReservationId,
    ) -> impl Future<Output = Result<Option<Reservation>, StoreError>>;

    /// Adds a held reservation, which binds its stock until its time is over.
    fn hold(&mut self, reservation: &Reservation) -> impl Future<Output = Result<(), StoreError>>;

    /// Writes the state of a reservation that is no longer held. It binds nothing from now on.
    fn settle(&mut self, id: &ReservationId, state: State) -> impl Future<Output = Result<(), StoreError>>;

    /// Takes the lines of a reservation off what is on hand.
    fn take(&mut self, reservation: &Reservation) -> impl Future<Output = Result<(), StoreError>>;

    /// Puts the lines of a reservation back on hand: of products that are still there, and up to
    /// [`ON_HAND_MAX`] pieces of each.
    ///
    /// [`ON_HAND_MAX`]: crate::product::ON_HAND_MAX
    fn put_back(&mut self, reservation: &Reservation) -> impl Future<Output = Result<(), StoreError>>;

    /// Writes down as expired, wholly, every held reservation of any of these products whose time is over.
    fn expire(
        &mut self,
        products: &[ProductId],
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// Removes some reservations that expired, or would have, before this time: a few at each call, oldest
    /// first.
    fn forget(&mut self, before: Timestamp) -> impl Future<Output = Result<(), StoreError>>;

    /// Makes it all happen.
    fn commit(self) -> impl Future<Output = Result<(), StoreError>>;

    /// Makes none of it happen.
    fn rollback(self) -> impl Future<Output = ()>;
}
