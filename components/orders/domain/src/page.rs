//! Listing orders page by page, newest first.
//!
//! A page ends at a [`Position`], the time and id of its last order, and the next one begins after it: orders
//! that come in between shift nothing. The id breaks ties, so the order is total.

use crate::order::{Customer, OrderId, Status, Summary};
use crate::time::Timestamp;

/// Orders on a page when nothing else is asked for.
pub const LIMIT_DEFAULT: u32 = 20;
/// The most orders on a page.
pub const LIMIT_MAX: u32 = 100;

/// A page's size: 1 to [`LIMIT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// # Errors
    /// A sentence part that says the rule.
    pub fn parse(limit: i64) -> Result<Self, String> {
        match u32::try_from(limit) {
            Ok(limit @ 1..=LIMIT_MAX) => Ok(Self(limit)),
            _ => Err(format!("must be 1 to {LIMIT_MAX}")),
        }
    }

    /// The number of orders.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(LIMIT_DEFAULT)
    }
}

/// A place in a listing: just after the order of this time and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When the order was placed.
    pub created_at: Timestamp,
    /// The order's id.
    pub id: OrderId,
}

impl From<&Summary> for Position {
    fn from(order: &Summary) -> Self {
        Self {
            created_at: order.created_at,
            id: order.id,
        }
    }
}

/// What to list. Every condition given has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Whose orders; everybody's without.
    pub customer: Option<Customer>,
    /// Where they stand.
    pub status: Option<Status>,
    /// Where the page before ended.
    pub after: Option<Position>,
    /// The page's size.
    pub limit: Limit,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most as many as asked for.
    pub items: Vec<Summary>,
    /// Where the next page begins, when there is one.
    pub next: Option<Position>,
}

impl Page {
    /// The page of a query, of what a repository found: up to one order more than the page's size, in order.
    pub fn of(limit: Limit, mut found: Vec<Summary>) -> Self {
        let size = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        let more = found.len() > size;
        found.truncate(size);
        let next = found.last().filter(|_| more).map(Position::from);
        Self { items: found, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_1_to_100() {
        assert_eq!(Limit::default().get(), 20);
        for good in [1, 100] {
            assert!(Limit::parse(good).is_ok());
        }
        for bad in [0, -1, 101, i64::MAX] {
            assert!(Limit::parse(bad).is_err());
        }
    }
}
