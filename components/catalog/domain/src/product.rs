//! Products: what an editor says about them ([`Details`]), and how much of them there is ([`Stock`]).

use std::fmt;

use uuid::{Builder, Uuid};

use crate::money::Money;
use crate::tag::Tag;
use crate::text::{Category, Description, Name, Sku};
use crate::time::Timestamp;
use crate::violation::{Gather, Invalid};

/// The most pieces of one product that can be on hand.
pub const ON_HAND_MAX: u32 = 1_000_000_000;

/// A product's id: a UUID of version 7, whose order is the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductId(Uuid);

impl ProductId {
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

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// [`Details`] as they come from outside.
#[derive(Debug, Clone, Copy)]
pub struct DetailsInput<'a> {
    /// See [`Sku::parse`].
    pub sku: &'a str,
    /// See [`Name::parse`].
    pub name: &'a str,
    /// See [`Description::parse`].
    pub description: &'a str,
    /// See [`Category::parse`].
    pub category: &'a str,
    /// In minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: &'a str,
}

/// What an editor says about a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// The merchant's own number, unique in the catalog.
    pub sku: Sku,
    /// One line.
    pub name: Name,
    /// May be empty.
    pub description: Description,
    /// Where it is filed.
    pub category: Category,
    /// Of one piece.
    pub price: Money,
}

impl Details {
    /// Checks every field.
    ///
    /// # Errors
    /// All that is wrong, with the places in the JSON of the HTTP interface.
    pub fn parse(input: &DetailsInput<'_>) -> Result<Self, Invalid> {
        let mut gather = Gather::default();
        let sku = gather.field("/sku", Sku::parse(input.sku));
        let name = gather.field("/name", Name::parse(input.name));
        let description = gather.field("/description", Description::parse(input.description));
        let category = gather.field("/category", Category::parse(input.category));
        let price = gather.nested(Money::parse(input.amount, input.currency));
        let whole = match (sku, name, description, category, price) {
            (Some(sku), Some(name), Some(description), Some(category), Some(price)) => Some(Self {
                sku,
                name,
                description,
                category,
                price,
            }),
            _ => None,
        };
        gather.finish(whole)
    }
}

/// A number of pieces on hand as it comes from outside.
///
/// # Errors
/// What is wrong with it, at `pointer`.
pub fn parse_on_hand(pointer: &str, on_hand: i64) -> Result<u32, Invalid> {
    match u32::try_from(on_hand) {
        Ok(on_hand) if on_hand <= ON_HAND_MAX => Ok(on_hand),
        _ => Err(Invalid::one(
            pointer,
            format!("must be 0 to {ON_HAND_MAX} pieces"),
        )),
    }
}

/// How much there is of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Pieces in the warehouse.
    pub on_hand: u32,
    /// Pieces promised by reservations that are held now. Never more than `on_hand`.
    pub held: u32,
}

impl Stock {
    /// Pieces that can be reserved now.
    pub fn available(self) -> u32 {
        self.on_hand.saturating_sub(self.held)
    }
}

/// A product as it stands at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its id, which never changes.
    pub id: ProductId,
    /// What an editor says about it.
    pub details: Details,
    /// How much there is of it.
    pub stock: Stock,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its details last changed. Stock movements leave it.
    pub updated_at: Timestamp,
    /// How often its details were written: 1 for a new product.
    pub version: u32,
}

impl Product {
    /// The entity tag of this state.
    pub fn tag(&self) -> Tag {
        Tag {
            version: self.version,
            on_hand: self.stock.on_hand,
            available: self.stock.available(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: DetailsInput<'static> = DetailsInput {
        sku: "LAMP-1",
        name: "Lamp",
        description: "",
        category: "lamps",
        amount: 1999,
        currency: "EUR",
    };

    #[test]
    fn good_details_are_taken_over() {
        let details = Details::parse(&GOOD).unwrap();
        assert_eq!(details.sku.as_str(), "LAMP-1");
        assert_eq!(details.price.amount(), 1999);
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let bad = DetailsInput {
            sku: "",
            name: " ",
            description: "\0",
            category: "A",
            amount: -1,
            currency: "euro",
        };
        let invalid = Details::parse(&bad).unwrap_err();
        let places: Vec<_> = invalid.violations().iter().map(|v| v.pointer.as_str()).collect();
        let all = [
            "/sku",
            "/name",
            "/description",
            "/category",
            "/price/amount",
            "/price/currency",
        ];
        assert_eq!(places, all);
        assert!(invalid.to_string().starts_with("/sku must be"));
    }

    #[test]
    fn ids_are_version_7_in_the_order_of_time() {
        let first = ProductId::new(Timestamp::from_millis(1_000), &[0xff; 10]);
        let second = ProductId::new(Timestamp::from_millis(1_001), &[0; 10]);
        assert!(first < second && first.to_string() < second.to_string());
        assert_eq!(first.to_string(), "00000000-03e8-7fff-bfff-ffffffffffff");
        assert_eq!(ProductId::parse(&first.to_string().to_uppercase()), Some(first));
    }

    #[test]
    fn other_spellings_of_a_uuid_are_no_id() {
        for bad in [
            "",
            "1",
            "000000000123700080000000000000000000",
            "{00000000-03e8-7fff-bfff-ffffffffffff}",
            "urn:uuid:00000000-03e8-7fff-bfff-ffffffffffff",
            "0000000003e87fffbfffffffffffffff",
            "00000000-03e8-7fff-bfff-fffffffffffg",
            "00000000-03e8-7fff-bfff-ffffffffff' ",
        ] {
            assert_eq!(ProductId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn stock_is_bounded() {
        assert_eq!(parse_on_hand("/on_hand", 0), Ok(0));
        assert_eq!(parse_on_hand("/on_hand", 1_000_000_000), Ok(1_000_000_000));
        for bad in [-1, 1_000_000_001, i64::MAX, i64::MIN] {
            assert_eq!(
                parse_on_hand("/on_hand", bad).unwrap_err().violations()[0].pointer,
                "/on_hand"
            );
        }
    }
}
