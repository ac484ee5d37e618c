//! Listing products page by page: what to list, in which order, and where a page ended.
//!
//! A page ends at a [`Position`], the sort key and id of its last product, and the next one begins after it:
//! products that come or go in between shift nothing. The id breaks ties, so the order is total.

use std::cmp::Ordering;

use crate::product::{Product, ProductId};
use crate::text::{Category, Search};
use crate::time::Timestamp;
use crate::violation::{Gather, Invalid};

/// Products on a page when nothing else is asked for.
pub const LIMIT_DEFAULT: u32 = 20;
/// The most products on a page.
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

    /// The number of products.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(LIMIT_DEFAULT)
    }
}

/// The order of a listing, always ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// By name; ASCII letters in either case are the same.
    Name,
    /// By the price's amount, whatever its currency.
    Price,
    /// Oldest first.
    #[default]
    Created,
}

/// What a listing is sorted by, of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Of [`Sort::Name`].
    Name(String),
    /// Of [`Sort::Price`], in minor units.
    Price(u64),
    /// Of [`Sort::Created`].
    Created(Timestamp),
}

/// A place in a listing: just after the product of this key and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The product's sort key.
    pub key: Key,
    /// The product's id.
    pub id: ProductId,
}

impl Position {
    /// The place after a product.
    pub fn after(product: &Product, sort: Sort) -> Self {
        let key = match sort {
            Sort::Name => Key::Name(product.details.name.as_str().to_owned()),
            Sort::Price => Key::Price(product.details.price.amount()),
            Sort::Created => Key::Created(product.created_at),
        };
        Self { key, id: product.id }
    }

    /// The order that the place belongs to.
    pub fn sort(&self) -> Sort {
        match self.key {
            Key::Name(_) => Sort::Name,
            Key::Price(_) => Sort::Price,
            Key::Created(_) => Sort::Created,
        }
    }

    /// How two places of one order follow each other; places of two orders are told apart by nothing.
    pub fn compare(&self, other: &Self) -> Ordering {
        let keys = match (&self.key, &other.key) {
            (Key::Name(a), Key::Name(b)) => a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()),
            (Key::Price(a), Key::Price(b)) => a.cmp(b),
            (Key::Created(a), Key::Created(b)) => a.cmp(b),
            _ => Ordering::Equal,
        };
        keys.then_with(|| self.id.cmp(&other.id))
    }
}

/// What to list. Every condition given has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Words to find in name or description.
    pub search: Option<Search>,
    /// The category, exactly.
    pub category: Option<Category>,
    /// The least amount, in minor units, whatever the currency.
    pub min_price: Option<u64>,
    /// The greatest amount, in minor units, whatever the currency.
    pub max_price: Option<u64>,
    /// Only products of which something, or nothing, can be reserved now.
    pub in_stock: Option<bool>,
    /// The order.
    pub sort: Sort,
    /// Where the page before ended.
    pub after: Option<Position>,
    /// The page's size.
    pub limit: Limit,
}

impl Query {
    /// Checks what the fields cannot know of each other.
    ///
    /// # Errors
    /// When the least price is above the greatest, or the position is one of another order.
    pub fn check(self) -> Result<Self, Invalid> {
        let mut gather = Gather::default();
        if let (Some(min), Some(max)) = (self.min_price, self.max_price)
            && min > max
        {
            gather.field::<()>("min_price", Err("must not exceed max_price".to_owned()));
        }
        if self.after.as_ref().is_some_and(|after| after.sort() != self.sort) {
            gather.field::<()>(
                "cursor",
                Err("belongs to a listing of another sort order".to_owned()),
            );
        }
        gather.finish(Some(self))
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most as many as asked for.
    pub items: Vec<Product>,
    /// Where the next page begins, when there is one.
    pub next: Option<Position>,
}

impl Page {
    /// The page of a query, of what a store found: up to one product more than the page's size, in order.
    pub fn of(query: &Query, mut found: Vec<Product>) -> Self {
        let size = usize::try_from(query.limit.get()).unwrap_or(usize::MAX);
        let more = found.len() > size;
        found.truncate(size);
        let next = found
            .last()
            .filter(|_| more)
            .map(|last| Position::after(last, query.sort));
        Self { items: found, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: u8) -> ProductId {
        let mut random = [0; 10];
        random[9] = last;
        ProductId::new(Timestamp::from_millis(0), &random)
    }

    fn at(key: Key, last: u8) -> Position {
        Position { key, id: id(last) }
    }

    #[test]
    fn limits_are_1_to_100() {
        assert_eq!(Limit::default().get(), 20);
        assert_eq!(Limit::parse(1).map(Limit::get), Ok(1));
        assert_eq!(Limit::parse(100).map(Limit::get), Ok(100));
        for bad in [0, -1, 101, i64::MAX] {
            assert!(Limit::parse(bad).is_err());
        }
    }

    #[test]
    fn ties_are_broken_by_id() {
        let name = |text: &str| Key::Name(text.to_owned());
        assert_eq!(at(name("Lamp"), 1).compare(&at(name("lamp"), 2)), Ordering::Less);
        assert_eq!(at(name("a"), 2).compare(&at(name("B"), 1)), Ordering::Less);
        assert_eq!(
            at(Key::Price(2), 1).compare(&at(Key::Price(1), 2)),
            Ordering::Greater
        );
        assert_eq!(
            at(Key::Price(2), 1).compare(&at(Key::Price(2), 1)),
            Ordering::Equal
        );
    }

    #[test]
    fn contradictory_queries_are_refused() {
        let prices = Query {
            min_price: Some(2),
            max_price: Some(1),
            ..Query::default()
        };
        assert_eq!(prices.check().unwrap_err().violations()[0].pointer, "min_price");
        let cursor = Query {
            sort: Sort::Name,
            after: Some(at(Key::Price(1), 1)),
            ..Query::default()
        };
        assert_eq!(cursor.check().unwrap_err().violations()[0].pointer, "cursor");
        let same = Query {
            min_price: Some(1),
            max_price: Some(1),
            ..Query::default()
        };
        assert!(same.check().is_ok());
    }
}
