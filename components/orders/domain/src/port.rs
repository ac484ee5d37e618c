//! What the domain needs of the world: the other services of the shop, a repository, a clock, ids.
//!
//! The services are asked over contracts, and may be away: every error has a case that is worth another try.
//! Every call may be repeated.

use std::future::Future;
use std::time::Duration;

use crate::item::{Line, Offer, ProductId};
use crate::key::Key;
use crate::order::{Change, Customer, Order, OrderId, Status, Summary};
use crate::page::Query;
use crate::time::Timestamp;

/// Tells the time.
pub trait Clock {
    /// The time now. May jump, in both directions; no invariant rests on it.
    fn now(&self) -> Timestamp;
}

/// Makes ids.
pub trait Ids {
    /// An id that no order has had and that nobody can guess.
    fn order(&self, now: Timestamp) -> OrderId;
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Their id, stable for the life of the account.
    pub customer: Customer,
    /// Whether they may see and cancel everybody's orders.
    pub admin: bool,
}

/// Why it is not known who sent a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// The token is malformed or forged; the text is safe to show.
    #[error("the access token is not valid: {0}")]
    Invalid(String),
    /// It was valid once.
    #[error("the access token has expired: get a new one")]
    Expired,
    /// Worth another try. The text is for the operator.
    #[error("accounts are unavailable: {0}")]
    Unavailable(String),
}

/// Answers who sent a request.
pub trait Accounts {
    /// Checks an access token.
    fn verify(&self, token: &str) -> impl Future<Output = Result<Caller, AccountsError>>;
}

/// Why there are no prices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// No product has this id.
    #[error("no product has the id {0}")]
    Unknown(ProductId),
    /// Worth another try. The text is for the operator.
    #[error("prices are unavailable: {0}")]
    Unavailable(String),
}

/// Knows what products cost.
pub trait Catalogue {
    /// Exactly one offer for each of the products, in their order.
    fn offers(&self, products: &[ProductId]) -> impl Future<Output = Result<Vec<Offer>, CatalogueError>>;
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Its stock is promised.
    Held,
    /// Its stock has left.
    Committed,
    /// Its stock was given back.
    Released,
    /// Its time ran out before it was committed.
    Expired,
}

/// Why something did not happen to a reservation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StockError {
    /// No reservation has this id.
    #[error("there is no such reservation")]
    NoReservation,
    /// No product has this id.
    #[error("no product has the id {0}")]
    NoProduct(ProductId),
    /// Less in stock than asked for; nothing was reserved.
    #[error("{requested} pieces of {product} were asked for, and {available} are available")]
    Short {
        /// Which product.
        product: ProductId,
        /// Pieces asked for.
        requested: u32,
        /// Pieces that could have been had.
        available: u32,
    },
    /// The reservation is in this state already, or is about other pieces.
    #[error("the reservation is in the way: it is {0:?}")]
    Conflict(Held),
    /// The contract was not kept, on one side or the other. Not worth another try.
    #[error("the stock does not understand: {0}")]
    Broken(String),
    /// Worth another try: it may or may not have happened. The text is for the operator.
    #[error("the stock is unavailable: {0}")]
    Unavailable(String),
}

/// Keeps stock. Every operation is idempotent by the order's id: repeating a call repeats its answer.
pub trait Stock {
    /// Holds all lines, or none, for a time.
    fn reserve(
        &self,
        id: OrderId,
        lines: &[Line],
        time: Duration,
    ) -> impl Future<Output = Result<(), StockError>>;

    /// Turns a held reservation into stock that has left. `Conflict(Expired)` when it came too late.
    fn commit(&self, id: OrderId) -> impl Future<Output = Result<(), StockError>>;

    /// Gives a reservation back that has not been committed. For good: it can no longer be committed.
    fn release(&self, id: OrderId) -> impl Future<Output = Result<(), StockError>>;

    /// Gives a reservation back for good, committed or not.
    fn cancel(&self, id: OrderId) -> impl Future<Output = Result<(), StockError>>;
}

/// Why a repository could not do what it was asked for. The texts are for the operator, not for clients.
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

/// Which open orders are due: those whose time has come. Also those whose time is later than any that can have
/// been set, which was a clock that was ahead; and such leases count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The time now.
    pub now: Timestamp,
    /// No order becomes due later than this.
    pub latest: Timestamp,
    /// No lease lasts longer than this.
    pub longest_lease: Timestamp,
    /// How many, at most.
    pub limit: u32,
}

impl Due {
    /// Whether it is, of an order that is due then and leased until then.
    pub fn is(&self, due_at: Timestamp, leased_until: Timestamp) -> bool {
        let over = |time: Timestamp, latest: Timestamp| time <= self.now || time > latest;
        over(due_at, self.latest) && over(leased_until, self.longest_lease)
    }
}

/// What [`Orders::place`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// The order is written down.
    New,
    /// Nothing, for the key stands for this order already.
    Taken(Box<Order>),
}

/// Keeps orders. Each call is atomic, and durable once it has answered.
pub trait Orders {
    /// The order that a customer's key stands for, unless the key's time is over.
    fn by_key(
        &self,
        customer: &Customer,
        key: &Key,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Order>, StoreError>>;

    /// Writes down an order and the key that stands for it until then; or neither, if the key stands for
    /// another. Also forgets some keys whose time is over, and whose orders are no longer open: more than one
    /// at each call, oldest first. Those of their orders go too that came to nothing.
    fn place(
        &self,
        order: &Order,
        key: &Key,
        until: Timestamp,
    ) -> impl Future<Output = Result<Placement, StoreError>>;

    /// An order.
    fn find(&self, id: OrderId) -> impl Future<Output = Result<Option<Order>, StoreError>>;

    /// Changes the status of an order, if it still is what it was. Answers whether it did. One that is no
    /// longer open has no lease any more.
    fn advance(
        &self,
        id: OrderId,
        from: Status,
        change: &Change,
    ) -> impl Future<Output = Result<bool, StoreError>>;

    /// Sets the lease of an order that is open, if it still is what was seen. Answers whether it did.
    fn lease(
        &self,
        id: OrderId,
        seen: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>>;

    /// Lets go of a lease that is the one seen, or of any with `None`, and lets the order be due from then on.
    /// Nothing, if it is no longer open, or leased anew.
    fn put_off(
        &self,
        id: OrderId,
        seen: Option<Timestamp>,
        due_at: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// Open orders that are due and that nobody is at work on, longest due first.
    fn due(&self, due: &Due) -> impl Future<Output = Result<Vec<OrderId>, StoreError>>;

    /// The newest orders that meet the query and come after its position: one more than its limit, if there
    /// are that many.
    fn list(&self, query: &Query) -> impl Future<Output = Result<Vec<Summary>, StoreError>>;
}
