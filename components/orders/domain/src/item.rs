//! What a buyer asks for, and what it costs: items, and the lines that they become once they are priced.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use crate::violation::{Invalid, Violation};

/// Most items of an order: as many as one reservation takes.
pub const ITEMS_MAX: usize = 100;
/// Most pieces of one item.
pub const QUANTITY_MAX: u32 = 1_000_000;
/// The highest total, in minor units: the largest integer that every JSON reader keeps exactly.
pub const TOTAL_MAX: u64 = 9_007_199_254_740_991;

/// A product's id in the catalog: a UUID, shown in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductId(Uuid);

impl ProductId {
    /// Only the hyphenated form of 36 characters; `None` for anything else.
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

/// So many pieces of one product: 1 to [`QUANTITY_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Which product.
    pub product: ProductId,
    /// How many pieces.
    pub quantity: u32,
}

/// What is asked for: 1 to [`ITEMS_MAX`] items, each of another product, in the order given.
#[derive(Debug, Clone)]
pub struct Items(Vec<Item>);

impl Items {
    /// Checks items that came from outside as pairs of product id and quantity.
    ///
    /// # Errors
    /// All that is wrong, below `/items`.
    pub fn parse<'a>(items: impl ExactSizeIterator<Item = (&'a str, i64)>) -> Result<Self, Invalid> {
        if !(1..=ITEMS_MAX).contains(&items.len()) {
            return Err(Invalid::one(
                "/items",
                format!("must have 1 to {ITEMS_MAX} items"),
            ));
        }
        let mut violations = Vec::new();
        let mut seen = BTreeMap::new();
        let mut parsed = Vec::with_capacity(items.len());
        for (index, (product, quantity)) in items.enumerate() {
            let mut wrong = |member: &str, detail: String| {
                violations.push(Violation {
                    place: format!("/items/{index}/{member}"),
                    detail,
                });
            };
            let product = ProductId::parse(product);
            match product.map(|product| (product, seen.get(&product))) {
                None => wrong("product_id", "must be a UUID".to_owned()),
                Some((_, Some(first))) => {
                    wrong("product_id", format!("is the product of item {first} again"));
                }
                Some((product, None)) => {
                    seen.insert(product, index);
                }
            }
            match (product, u32::try_from(quantity)) {
                (Some(product), Ok(quantity @ 1..=QUANTITY_MAX)) => parsed.push(Item { product, quantity }),
                (None, Ok(1..=QUANTITY_MAX)) => {}
                _ => wrong("quantity", format!("must be 1 to {QUANTITY_MAX} pieces")),
            }
        }
        Invalid::check(violations)?;
        Ok(Self(parsed))
    }

    /// The items.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Item> {
        self.0.iter()
    }

    /// The products, in the order of the items.
    pub fn products(&self) -> Vec<ProductId> {
        self.0.iter().map(|item| item.product).collect()
    }

    /// Whether lines are about the same pieces of the same products; the order is the buyer's taste.
    pub fn are_those_of(&self, lines: &[Line]) -> bool {
        let mut ours: Vec<_> = self.0.clone();
        let mut theirs: Vec<_> = lines.iter().map(Line::item).collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        ours == theirs
    }

    /// The items at their prices, and what they cost together. `offers` are in the order of the items.
    ///
    /// # Errors
    /// [`Invalid`] when the prices are of several currencies, or the total exceeds [`TOTAL_MAX`].
    pub fn priced(&self, offers: &[Offer]) -> Result<(Vec<Line>, Money), Invalid> {
        let currency = offers
            .first()
            .map(|offer| offer.price.currency)
            .unwrap_or_default();
        let mut violations = Vec::new();
        let mut lines = Vec::with_capacity(self.0.len());
        let mut total = Some(0_u64);
        for (index, (item, offer)) in self.0.iter().zip(offers).enumerate() {
            if offer.price.currency != currency {
                violations.push(Violation {
                    place: format!("/items/{index}/product_id"),
                    detail: format!(
                        "is sold in {}, and the first item in {currency}: order them separately",
                        offer.price.currency
                    ),
                });
            }
            let line = Line {
                product: item.product,
                name: offer.name.clone(),
                quantity: item.quantity,
                price: offer.price.amount,
            };
            total = total
                .zip(line.amount())
                .and_then(|(total, amount)| total.checked_add(amount));
            lines.push(line);
        }
        Invalid::check(violations)?;
        match total {
            Some(amount @ ..=TOTAL_MAX) => Ok((lines, Money { amount, currency })),
            _ => Err(Invalid::one(
                "/items",
                format!("must not cost more than {TOTAL_MAX} minor units together"),
            )),
        }
    }
}

/// An ISO 4217 code: three capital letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Currency([u8; 3]);

impl Currency {
    /// `None` for anything but three ASCII capitals.
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in minor units (cents) of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// Minor units.
    pub amount: u64,
    /// Of what.
    pub currency: Currency,
}

/// What the catalog says of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Which product.
    pub product: ProductId,
    /// Its name as it is now.
    pub name: String,
    /// What one piece costs now.
    pub price: Money,
}

/// An item at the price that was agreed on. The currency is that of the order's total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which product.
    pub product: ProductId,
    /// Its name when it was ordered.
    pub name: String,
    /// How many pieces.
    pub quantity: u32,
    /// What one piece costs, in minor units.
    pub price: u64,
}

impl Line {
    /// The item that it was.
    pub fn item(&self) -> Item {
        Item {
            product: self.product,
            quantity: self.quantity,
        }
    }

    /// What it costs, in minor units; `None` beyond what can be counted.
    pub fn amount(&self) -> Option<u64> {
        self.price.checked_mul(self.quantity.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "018f5b0c-0000-7000-8000-00000000000a";
    const B: &str = "018f5b0c-0000-7000-8000-00000000000b";

    fn items(items: &[(&str, i64)]) -> Result<Items, Invalid> {
        Items::parse(items.iter().copied())
    }

    fn offer(id: &str, amount: u64, currency: &str) -> Offer {
        Offer {
            product: ProductId::parse(id).unwrap(),
            name: "Thing".to_owned(),
            price: Money {
                amount,
                currency: Currency::parse(currency).unwrap(),
            },
        }
    }

    #[test]
    fn items_name_each_product_once_in_bounds() {
        assert_eq!(items(&[(A, 1), (B, 1_000_000)]).unwrap().iter().len(), 2);
        let upper = A.to_uppercase();
        for (bad, places) in [
            (vec![], vec!["/items"]),
            (vec![(A, 1); 101], vec!["/items"]),
            (vec![(A, 0)], vec!["/items/0/quantity"]),
            (vec![(A, 1), (B, -1)], vec!["/items/1/quantity"]),
            (vec![(A, 1_000_001)], vec!["/items/0/quantity"]),
            (vec![(A, i64::MAX)], vec!["/items/0/quantity"]),
            (vec![(A, 1), (B, 1), (&upper, 1)], vec!["/items/2/product_id"]),
            (
                vec![("1' OR '1'='1", 0)],
                vec!["/items/0/product_id", "/items/0/quantity"],
            ),
        ] {
            let refused = items(&bad).unwrap_err();
            let found: Vec<_> = refused.violations().iter().map(|v| v.place.as_str()).collect();
            assert_eq!(found, places, "{bad:?}");
        }
    }

    #[test]
    fn the_same_pieces_are_the_same_in_any_order() {
        let one = items(&[(A, 2), (B, 3)]).unwrap();
        let priced =
            |items: &Items, ids: [&str; 2]| items.priced(&ids.map(|id| offer(id, 1, "EUR"))).unwrap().0;
        assert!(one.are_those_of(&priced(&items(&[(B, 3), (A, 2)]).unwrap(), [B, A])));
        assert!(!one.are_those_of(&priced(&items(&[(A, 3), (B, 2)]).unwrap(), [A, B])));
        assert!(!one.are_those_of(&priced(&items(&[(A, 2)]).unwrap(), [A, B])));
    }

    #[test]
    fn a_total_is_of_one_currency_and_can_be_counted() {
        let both = items(&[(A, 2), (B, 3)]).unwrap();
        let (lines, total) = both.priced(&[offer(A, 250, "EUR"), offer(B, 1, "EUR")]).unwrap();
        assert_eq!((total.amount, total.currency.as_str()), (503, "EUR"));
        assert_eq!((lines[0].amount(), lines[1].amount()), (Some(500), Some(3)));
        let mixed = both
            .priced(&[offer(A, 1, "EUR"), offer(B, 1, "USD")])
            .unwrap_err();
        assert_eq!(mixed.violations()[0].place, "/items/1/product_id");
        for (first, second) in [
            (TOTAL_MAX / 2, 1),
            (u64::MAX, 0),
            (0, u64::MAX / 3),
            (u64::MAX / 2, u64::MAX / 3),
        ] {
            let result = both.priced(&[offer(A, first, "EUR"), offer(B, second, "EUR")]);
            let refused = result.unwrap_err();
            assert_eq!(refused.violations()[0].place, "/items", "{first} {second}");
        }
        let exactly = items(&[(A, 1)]).unwrap();
        assert!(exactly.priced(&[offer(A, TOTAL_MAX, "EUR")]).is_ok());
        assert!(exactly.priced(&[offer(A, TOTAL_MAX + 1, "EUR")]).is_err());
    }

    #[test]
    fn currencies_are_three_capitals() {
        for bad in ["", "EU", "EURO", "eur", "E R", "€"] {
            assert_eq!(Currency::parse(bad), None, "{bad:?}");
        }
    }
}
