//! The use cases of the shop's orders, over the ports.
//!
//! No transaction of the repository is open while another service is asked: in a static composition all of
//! them share one database, and would wait for each other.

use std::cell::Cell;
use std::time::Duration;

use crate::item::{Items, ProductId};
use crate::key::Key;
use crate::order::{Change, Order, OrderId, Status};
use crate::page::{Page, Query};
use crate::policy::{CLOCKS_DIFFER, KEY_LIFETIME, Policy};
use crate::port::{
    Accounts, AccountsError, Caller, Catalogue, CatalogueError, Clock, Due, Ids, Orders, Placement, Stock,
    StockError, StoreError,
};
use crate::time::Timestamp;
use crate::violation::Invalid;

/// How many orders one request goes on with that are not its own. Nobody waits for it, and the first call that another
/// service fails to answer ends it.
pub(crate) const SWEEP_MAX: u32 = 100;
/// How long there is no other sweep after one that failed for a reason that is not one order's alone.
const REST: Duration = Duration::from_secs(1);

/// Why a use case did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An argument is out of its bounds.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The catalog has no product of this id.
    #[error("no product has the id {product}")]
    NoProduct {
        /// Which item, counted from 0.
        item: usize,
        /// The id.
        product: ProductId,
    },
    /// The caller has no order of this id.
    #[error("no order has this id")]
    NoOrder,
    /// Only administrators may see everybody's orders.
    #[error("only administrators may see everybody's orders")]
    NotAdmin,
    /// The idempotency key stands for an order of other items.
    #[error("this idempotency key stands for another order")]
    KeyReused,
    /// Somebody is at work on the order, for this long at most.
    #[error("the order is being worked on")]
    InProgress(Duration),
    /// The order was not confirmed, and never will be; what it came to instead.
    #[error("the order is {}", .0.status.as_str())]
    NotPlaced(Box<Order>),
    /// It never was confirmed, so there is nothing to cancel.
    #[error("an order that is {} cannot be cancelled", .0.as_str())]
    NotCancellable(Status),
    /// It was confirmed too long ago.
    #[error("the order can no longer be cancelled")]
    TooLate(Timestamp),
    /// It is not known who is calling.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// There are no prices; nothing was ordered. The text is for the operator.
    #[error("there are no prices: {0}")]
    Prices(String),
    /// The stock did not do its part yet. The order is written down, and the same call goes on with it.
    #[error(transparent)]
    Stock(#[from] StockError),
    /// The repository could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What [`Shop::place`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// A new order, confirmed.
    New(Order),
    /// The order that an earlier call with the same key began, as it is now. It was confirmed.
    Again(Order),
}

impl Placed {
    /// The order.
    pub fn order(&self) -> &Order {
        match self {
            Self::New(order) | Self::Again(order) => order,
        }
    }
}

/// The orders of the shop.
#[derive(Debug)]
pub struct Shop<P, R, T> {
    pub(crate) partners: P,
    pub(crate) orders: R,
    pub(crate) time: T,
    pub(crate) policy: Policy,
    /// Until when there is no sweep.
    rest_until: Cell<Timestamp>,
}

impl<P, R, T> Shop<P, R, T>
where
    P: Accounts + Catalogue + Stock,
    R: Orders,
    T: Clock + Ids,
{
    /// The shop between its partners and its repository.
    pub fn new(partners: P, orders: R, time: T, policy: Policy) -> Self {
        Self {
            partners,
            orders,
            time,
            policy,
            rest_until: Cell::new(Timestamp::EPOCH),
        }
    }

    /// How long things last.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Who sends a token.
    ///
    /// # Errors
    /// [`Error::Accounts`].
    pub async fn caller(&self, token: &str) -> Result<Caller, Error> {
        Ok(self.partners.verify(token).await?)
    }

    /// Orders: prices the items, writes the order down, has its stock leave. With a key that was used before,
    /// goes on with that order, if it is open, and answers it.
    ///
    /// # Errors
    /// Nothing was ordered: [`Error::Invalid`], [`Error::NoProduct`], [`Error::KeyReused`],
    /// [`Error::Prices`]. An order is written down: [`Error::NotPlaced`], for good; [`Error::InProgress`] and
    /// [`Error::Stock`], to be repeated. Either: [`Error::Store`], to be repeated.
    pub async fn place(&self, caller: &Caller, key: &Key, items: &Items) -> Result<Placed, Error> {
        let known = self.orders.by_key(&caller.customer, key, self.time.now()).await?;
        if let Some(order) = known {
            return self.again(order, items).await;
        }
        let order = self.draft(caller, items).await?;
        let until = order.created_at.plus(KEY_LIFETIME);
        match self.orders.place(&order, key, until).await? {
            Placement::Taken(other) => self.again(*other, items).await,
            Placement::New => placed(self.settle_leased(order).await?).map(Placed::New),
        }
    }

    async fn again(&self, order: Order, items: &Items) -> Result<Placed, Error> {
        if !items.are_those_of(&order.lines) {
            return Err(Error::KeyReused);
        }
        placed(self.take_on(order).await?).map(Placed::Again)
    }

    /// The order that these items make at the prices of now, leased to us.
    async fn draft(&self, caller: &Caller, items: &Items) -> Result<Order, Error> {
        let products = items.products();
        let offers = self
            .partners
            .offers(&products)
            .await
            .map_err(|error| match error {
                CatalogueError::Unknown(product) => Error::NoProduct {
                    item: products.iter().position(|id| *id == product).unwrap_or_default(),
                    product,
                },
                CatalogueError::Unavailable(reason) => Error::Prices(reason),
            })?;
        if !offers
            .iter()
            .map(|offer| offer.product)
            .eq(products.iter().copied())
        {
            return Err(Error::Prices(
                "the offers are not of the products asked for".to_owned(),
            ));
        }
        let (lines, total) = items.priced(&offers)?;
        let now = self.time.now();
        let expires_at = now.plus(self.policy.reservation());
        Ok(Order {
            id: self.time.order(now),
            customer: caller.customer.clone(),
            lines,
            total,
            status: Status::Pending,
            refusal: None,
            created_at: now,
            updated_at: now,
            expires_at,
            confirmed_at: None,
            due_at: expires_at,
            leased_until: now.plus(self.policy.lease()),
        })
    }

    /// An order of the caller's, or any for an administrator. Goes on with it first, as far as that is
    /// possible now.
    ///
    /// # Errors
    /// [`Error::NoOrder`], also for what is no id at all; [`Error::Store`].
    pub async fn order(&self, caller: &Caller, id: &str) -> Result<Order, Error> {
        let order = self.visible(caller, id).await?;
        match self.take_on(order).await {
            Ok(order) => Ok(order),
            // It is as it is.
            Err(_) => self.visible(caller, id).await,
        }
    }

    /// One page of orders: the caller's, or those that the query names, for an administrator.
    ///
    /// # Errors
    /// [`Error::NotAdmin`] for a query that is not about the caller alone; [`Error::Store`].
    pub async fn list(&self, caller: &Caller, query: &Query) -> Result<Page, Error> {
        if !caller.admin && query.customer.as_ref() != Some(&caller.customer) {
            return Err(Error::NotAdmin);
        }
        Ok(Page::of(query.limit, self.orders.list(query).await?))
    }

    /// Cancels an order of the caller's, or any for an administrator, and gives its stock back. Repeated, it
    /// answers the same.
    ///
    /// # Errors
    /// [`Error::NoOrder`]; [`Error::NotCancellable`] and [`Error::TooLate`]; [`Error::Stock`] and
    /// [`Error::Store`], to be repeated.
    pub async fn cancel(&self, caller: &Caller, id: &str) -> Result<Order, Error> {
        let mut order = self.visible(caller, id).await?;
        // Each turn but the last meets somebody who changed the status, which has no circles.
        for _ in Status::ALL {
            let now = self.time.now();
            match order.status {
                Status::Cancelling | Status::Cancelled => return self.settle(order).await,
                Status::Rejected | Status::Expired => return Err(Error::NotCancellable(order.status)),
                Status::Pending | Status::Reserved | Status::Confirmed => {}
            }
            if let Some(end) = order.cancellable_until(self.policy.cancellation())
                && end <= now
            {
                return Err(Error::TooLate(end));
            }
            let change = Change {
                to: Status::Cancelling,
                at: now,
                refusal: None,
                due_at: now.plus(self.policy.lease()),
            };
            order = if self.orders.advance(order.id, order.status, &change).await? {
                order.changed(&change)
            } else {
                self.visible(caller, id).await?
            };
        }
        Err(Error::InProgress(self.policy.lease()))
    }

    /// Goes on with orders that are due, whosever they are: at most [`SWEEP_MAX`]. To be called after every
    /// request, once its answer is decided. After a failure that is not one order's alone, nothing for a
    /// moment.
    ///
    /// # Errors
    /// [`Error::Stock`] and [`Error::Store`]: of one order, after all of them were tried; of all, at once, and
    /// the rest is left to a later sweep. Those that failed are left alone for as long as a lease lasts.
    pub async fn sweep(&self) -> Result<(), Error> {
        let now = self.time.now();
        let rest = now.until(self.rest_until.get());
        if !rest.is_zero() && rest <= REST {
            return Ok(());
        }
        let due = Due {
            now,
            latest: self.latest(now),
            longest_lease: now.plus(self.policy.lease()),
            limit: SWEEP_MAX,
        };
        let mut swept = Ok(());
        for id in self
            .orders
            .due(&due)
            .await
            .map_err(|error| self.rest(error.into()))?
        {
            let Err(error) = self.go_on(id).await else {
                continue;
            };
            let alone = match &error {
                Error::Stock(error) => !matches!(error, StockError::Unavailable(_)),
                Error::Store(error) => matches!(error, StoreError::Unreadable(_)),
                _ => true,
            };
            if !alone {
                return Err(self.rest(error));
            }
            // What this order alone cannot do is no reason to leave the others.
            swept = swept.and(Err(error));
        }
        swept
    }

    /// Goes on with an order that is due. One that cannot be read makes room for the others too.
    async fn go_on(&self, id: OrderId) -> Result<(), Error> {
        let found = match self.orders.find(id).await {
            Ok(None) => Err(StoreError::Unreadable(format!("order {id} has no lines"))),
            Err(StoreError::Unreadable(what)) => Err(StoreError::Unreadable(format!("order {id}: {what}"))),
            found => found,
        };
        match found {
            Ok(Some(order)) => {
                if let Some(order) = self.leased(order).await? {
                    self.put_off_on_failure(order, Self::settle_for_others).await?;
                }
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                if matches!(error, StoreError::Unreadable(_)) {
                    self.orders.put_off(id, None, self.later()).await?;
                }
                Err(error.into())
            }
        }
    }

    /// Has the next sweeps wait for a moment.
    fn rest(&self, error: Error) -> Error {
        self.rest_until.set(self.time.now().plus(REST));
        error
    }

    /// When others may try again what just failed.
    fn later(&self) -> Timestamp {
        self.time.now().plus(self.policy.lease())
    }

    /// The latest time that an order may end at, or be due at. A later one is of a clock that was ahead.
    pub(crate) fn latest(&self, now: Timestamp) -> Timestamp {
        now.plus(self.policy.reservation()).plus(CLOCKS_DIFFER)
    }

    async fn visible(&self, caller: &Caller, id: &str) -> Result<Order, Error> {
        let id = OrderId::parse(id).ok_or(Error::NoOrder)?;
        let order = self.orders.find(id).await?.ok_or(Error::NoOrder)?;
        if caller.admin || order.customer == caller.customer {
            Ok(order)
        } else {
            Err(Error::NoOrder)
        }
    }

    /// Goes on with an order, if it is open and nobody is at work on it.
    async fn take_on(&self, order: Order) -> Result<Order, Error> {
        if !order.status.is_open() {
            return Ok(order);
        }
        let id = order.id;
        let now = self.time.now();
        if let Some(left) = order.leased(now, self.policy.lease()) {
            return Err(Error::InProgress(left));
        }
        match self.leased(order).await? {
            Some(order) => self.settle_leased(order).await,
            None => {
                let order = self.orders.find(id).await?.ok_or(Error::NoOrder)?;
                if order.status.is_open() {
                    return Err(Error::InProgress(self.policy.lease()));
                }
                Ok(order)
            }
        }
    }

    /// The order with a lease of ours; `None` when somebody else has one or gets it.
    async fn leased(&self, mut order: Order) -> Result<Option<Order>, Error> {
        let now = self.time.now();
        if order.leased(now, self.policy.lease()).is_some() {
            return Ok(None);
        }
        let until = now.plus(self.policy.lease());
        if !self.orders.lease(order.id, order.leased_until, until).await? {
            return Ok(None);
        }
        order.leased_until = until;
        Ok(Some(order))
    }

    /// Goes on with an order whose lease is ours.
    async fn settle_leased(&self, order: Order) -> Result<Order, Error> {
        self.put_off_on_failure(order, Self::settle).await
    }

    /// Work on an order whose lease is ours. On failure the lease is given back, so that its buyer's next
    /// attempt need not wait; and sweeps leave it alone for a while, so that not each tries it in vain, nor is
    /// in the buyer's way.
    async fn put_off_on_failure(
        &self,
        order: Order,
        work: impl AsyncFnOnce(&Self, Order) -> Result<Order, Error>,
    ) -> Result<Order, Error> {
        let (id, until, due_at) = (order.id, order.leased_until, order.due_at);
        let settled = work(self, order).await;
        if settled.is_err() {
            let believed = due_at <= self.latest(self.time.now());
            let due_at = self.later().max(if believed { due_at } else { Timestamp::EPOCH });
            // Should this fail too, the lease runs out.
            let _ = self.orders.put_off(id, Some(until), due_at).await;
        }
        settled
    }
}

/// An order that was confirmed, whatever became of it since.
fn placed(order: Order) -> Result<Order, Error> {
    if order.confirmed_at.is_some() {
        Ok(order)
    } else {
        Err(Error::NotPlaced(Box::new(order)))
    }
}

#[cfg(test)]
mod tests;
