//! The saga: what is done next for an order that is open, and what each answer of the stock means.
//!
//! Nothing here remembers anything: every step is derived from the order as it is written down. The crate's
//! documentation has the table of what is found after a crash.

use std::time::Duration;

use crate::order::{Change, Order, Refusal, Status};
use crate::port::{Accounts, Catalogue, Clock, Held, Ids, Orders, Stock, StockError};
use crate::time::{Timestamp, whole_seconds};

use super::service::{Error, Shop};

/// No path through the states has more steps, and each turn takes one or meets somebody who did.
const TURNS: usize = 2 * Status::ALL.len();

/// What comes of a step.
enum Outcome {
    To(Status),
    Rejected(Refusal),
}

impl<P, R, T> Shop<P, R, T>
where
    P: Accounts + Catalogue + Stock,
    R: Orders,
    T: Clock + Ids,
{
    /// Goes on with an order until it is no longer open, and answers it as it is then.
    ///
    /// # Errors
    /// [`Error::Stock`] and [`Error::Store`]: the order is as open as it was, and the same call goes on with
    /// it.
    pub(crate) async fn settle(&self, mut order: Order) -> Result<Order, Error> {
        for _ in 0..TURNS {
            if !order.status.is_open() {
                return Ok(order);
            }
            let now = self.time.now();
            let outcome = match order.status {
                Status::Pending if order.expires_at <= now => self.abandon(&order).await?,
                Status::Pending => self.reserve(&order, now).await?,
                Status::Reserved => self.commit(&order).await?,
                _ => self.give_back(&order).await?,
            };
            order = self.write_down(order, outcome).await?;
        }
        Err(Error::InProgress(self.policy.lease()))
    }

    /// The same for those who are not its buyer: an order that was placed while a clock was ahead has no more
    /// time than any other had, and nobody waits for that clock.
    ///
    /// # Errors
    /// As [`Shop::settle`].
    pub(crate) async fn settle_for_others(&self, mut order: Order) -> Result<Order, Error> {
        let undecided = matches!(order.status, Status::Pending | Status::Reserved);
        if undecided && order.expires_at > self.latest(self.time.now()) {
            let outcome = self.abandon(&order).await?;
            order = self.write_down(order, outcome).await?;
        }
        self.settle(order).await
    }

    async fn write_down(&self, order: Order, outcome: Outcome) -> Result<Order, Error> {
        let (to, refusal) = match outcome {
            Outcome::To(status) => (status, None),
            Outcome::Rejected(refusal) => (Status::Rejected, Some(refusal)),
        };
        let change = Change {
            to,
            at: self.time.now(),
            refusal,
            due_at: order.due_at,
        };
        if self.orders.advance(order.id, order.status, &change).await? {
            return Ok(order.changed(&change));
        }
        // Somebody else was quicker: what counts is what they wrote.
        let written = self.orders.find(order.id).await?.ok_or(Error::NoOrder)?;
        if to == Status::Reserved && !written.status.may_commit() {
            // We hold stock for an order that is over. Should this fail, the hold runs out by itself.
            let _ = self.partners.release(order.id).await;
        }
        Ok(written)
    }

    /// Holds the stock of a pending order, for what is left of its time.
    async fn reserve(&self, order: &Order, now: Timestamp) -> Result<Outcome, Error> {
        let left = now.until(order.expires_at).min(self.policy.reservation());
        let time = Duration::from_secs(whole_seconds(left));
        match self.partners.reserve(order.id, &order.lines, time).await {
            Ok(()) => Ok(Outcome::To(Status::Reserved)),
            Err(StockError::Short {
                product,
                requested,
                available,
            }) => Ok(Outcome::Rejected(Refusal::Short {
                product,
                requested,
                available,
            })),
            Err(StockError::NoProduct(product)) => Ok(Outcome::Rejected(Refusal::Gone(product))),
            Err(StockError::Conflict(Held::Committed)) => Ok(Outcome::To(Status::Confirmed)),
            Err(StockError::Conflict(Held::Released)) => Ok(Outcome::To(Status::Expired)),
            Err(StockError::Conflict(Held::Expired)) => self.abandon(order).await,
            Err(
                error @ (StockError::Conflict(Held::Held)
                | StockError::NoReservation
                | StockError::Broken(_)
                | StockError::Unavailable(_)),
            ) => Err(error.into()),
        }
    }

    /// Lets the stock of a reserved order leave.
    async fn commit(&self, order: &Order) -> Result<Outcome, Error> {
        match self.partners.commit(order.id).await {
            Ok(()) => Ok(Outcome::To(Status::Confirmed)),
            Err(StockError::Conflict(Held::Released)) => Ok(Outcome::To(Status::Expired)),
            // That it expired is a matter of the stock's clock, which may jump; that it is released is not.
            Err(StockError::Conflict(Held::Expired)) => self.abandon(order).await,
            // It was held once, so it was forgotten, which takes the stock thirty days.
            Err(StockError::NoReservation) => Ok(Outcome::To(Status::Expired)),
            Err(
                error @ (StockError::Conflict(Held::Held | Held::Committed)
                | StockError::NoProduct(_)
                | StockError::Short { .. }
                | StockError::Broken(_)
                | StockError::Unavailable(_)),
            ) => Err(error.into()),
        }
    }

    /// Gives up on an order whose time is over. Whether it was in time after all is the stock's decision.
    async fn abandon(&self, order: &Order) -> Result<Outcome, Error> {
        match self.partners.release(order.id).await {
            Ok(()) | Err(StockError::NoReservation) => Ok(Outcome::To(Status::Expired)),
            Err(StockError::Conflict(Held::Committed)) => Ok(Outcome::To(Status::Confirmed)),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives back the stock of an order that was cancelled, wherever it is.
    async fn give_back(&self, order: &Order) -> Result<Outcome, Error> {
        match self.partners.cancel(order.id).await {
            Ok(()) | Err(StockError::NoReservation) => Ok(Outcome::To(Status::Cancelled)),
            Err(error) => Err(error.into()),
        }
    }
}
