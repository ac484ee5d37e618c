//! An order, and the states that it goes through. The crate's documentation draws them.

use std::fmt;
use std::time::Duration;

use uuid::{Builder, Uuid};

use crate::item::{Line, Money, ProductId};
use crate::time::Timestamp;

/// An order's id, and that of its reservation: a UUID of version 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(Uuid);

impl OrderId {
    /// A new id (RFC 9562, version 7) of a time and of bytes that nobody can guess.
    pub fn new(now: Timestamp, random: &[u8; 10]) -> Self {
        Self(Builder::from_unix_timestamp_millis(now.millis(), random).into_uuid())
    }

    /// Only the hyphenated form of 36 characters; `None` for anything else. Shown in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 36)
            .then(|| Uuid::try_parse(text).ok())
            .flatten()
            .map(Self)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Written down; whether it can be had is not known yet.
    Pending,
    /// Its stock is held for it and about to leave.
    Reserved,
    /// Its stock has left. It can be cancelled for a while.
    Confirmed,
    /// It could not be had.
    Rejected,
    /// It did not come to a confirmation in time.
    Expired,
    /// It was cancelled, and its stock is being given back.
    Cancelling,
    /// It was cancelled, and its stock was given back.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Reserved,
        Self::Confirmed,
        Self::Rejected,
        Self::Expired,
        Self::Cancelling,
        Self::Cancelled,
    ];

    /// Its name, in lower case, as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether somebody still has to go on with it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Reserved | Self::Cancelling)
    }

    /// Whether its stock may have been committed, or be committed by somebody at this moment.
    pub fn may_commit(self) -> bool {
        matches!(self, Self::Pending | Self::Reserved | Self::Confirmed)
    }

    /// Whether it came to nothing: such an order is kept for as long as its key.
    pub fn is_forgotten(self) -> bool {
        matches!(self, Self::Rejected | Self::Expired)
    }

    /// Whether an order may go from here to there.
    pub fn leads_to(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(
                next,
                // To `confirmed` when somebody else, an administrator of the catalog, committed its stock.
                Self::Reserved | Self::Confirmed | Self::Rejected | Self::Expired | Self::Cancelling
            ),
            Self::Reserved => matches!(next, Self::Confirmed | Self::Expired | Self::Cancelling),
            Self::Confirmed => next == Self::Cancelling,
            Self::Cancelling => next == Self::Cancelled,
            Self::Rejected | Self::Expired | Self::Cancelled => false,
        }
    }
}

/// Why an order was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is less of a product than asked for.
    Short {
        /// Which product.
        product: ProductId,
        /// Pieces asked for.
        requested: u32,
        /// Pieces that could have been had.
        available: u32,
    },
    /// The product is no longer for sale.
    Gone(ProductId),
}

/// Who ordered: the subject of an access token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Customer(pub String);

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub customer: Customer,
    /// What was ordered, 1 to 100 lines.
    pub lines: Vec<Line>,
    /// What it costs.
    pub total: Money,
    /// Where it stands.
    pub status: Status,
    /// Why it was rejected; of a rejected order only.
    pub refusal: Option<Refusal>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
    /// Until when it has to be confirmed.
    pub expires_at: Timestamp,
    /// When it was confirmed, if it ever was.
    pub confirmed_at: Option<Timestamp>,
    /// From when on anybody who comes by should go on with it, while it is open.
    pub due_at: Timestamp,
    /// Until when somebody is at work on it. Whoever decides it ends that.
    pub leased_until: Timestamp,
}

impl Order {
    /// How much longer somebody is at work on it; `None` if nobody is. A lease that is longer than any that
    /// can have been taken is one of a clock that was ahead, and counts for nothing.
    pub fn leased(&self, now: Timestamp, longest: Duration) -> Option<Duration> {
        let left = now.until(self.leased_until);
        (self.status.is_open() && !left.is_zero() && left <= longest).then_some(left)
    }

    /// Until when it can be cancelled, once it is confirmed.
    pub fn cancellable_until(&self, window: Duration) -> Option<Timestamp> {
        self.confirmed_at.map(|at| at.plus(window))
    }

    /// The same after a change.
    #[must_use]
    pub fn changed(mut self, change: &Change) -> Self {
        self.status = change.to;
        self.refusal = change.refusal;
        self.updated_at = change.at;
        self.due_at = change.due_at;
        if change.to == Status::Confirmed {
            self.confirmed_at = Some(change.at);
        }
        if !change.to.is_open() {
            self.leased_until = Timestamp::EPOCH;
        }
        self
    }
}

/// The next status of an order, and what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The status.
    pub to: Status,
    /// When.
    pub at: Timestamp,
    /// Why, when that is a rejection.
    pub refusal: Option<Refusal>,
    /// From when on anybody should go on with it.
    pub due_at: Timestamp,
}

/// An order in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub customer: Customer,
    /// Where it stands.
    pub status: Status,
    /// What it costs.
    pub total: Money,
    /// How many lines it has.
    pub lines: u32,
    /// How many pieces those are together.
    pub pieces: u64,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
}

impl From<&Order> for Summary {
    fn from(order: &Order) -> Self {
        Self {
            id: order.id,
            customer: order.customer.clone(),
            status: order.status,
            total: order.total,
            lines: u32::try_from(order.lines.len()).unwrap_or(u32::MAX),
            pieces: order.lines.iter().map(|line| u64::from(line.quantity)).sum(),
            created_at: order.created_at,
            updated_at: order.updated_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_named_in_both_directions() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("Pending"), None);
    }

    #[test]
    fn what_is_open_leads_on_and_no_path_is_a_circle() {
        for status in Status::ALL {
            let next: Vec<_> = Status::ALL.into_iter().filter(|n| status.leads_to(*n)).collect();
            assert!(!status.is_open() || !next.is_empty(), "{status:?} leads nowhere");
            // Every step goes to a status of a higher rank.
            let rank = |status| match status {
                Status::Pending => 0,
                Status::Reserved => 1,
                Status::Confirmed => 2,
                Status::Cancelling => 3,
                Status::Rejected | Status::Expired | Status::Cancelled => 4,
            };
            assert!(next.iter().all(|next| rank(*next) > rank(status)), "{status:?}");
        }
    }

    #[test]
    fn what_may_never_commit_leads_to_nothing_that_may() {
        for status in Status::ALL.into_iter().filter(|status| !status.may_commit()) {
            for next in Status::ALL.into_iter().filter(|next| status.leads_to(*next)) {
                assert!(!next.may_commit(), "{status:?} to {next:?}");
            }
        }
    }
}
