//! Products: reading, listing, editing, counting stock.

use crate::page::{Page, Query};
use crate::port::{Clock, Ids, Store, Unit};
use crate::product::{Details, Product, ProductId, Stock};
use crate::tag::Expected;
use crate::text::Sku;
use crate::time::Timestamp;

use super::{Catalog, Error, bounded, settle};

/// The most products that one call may name.
pub(super) const IDS_MAX: usize = 100;

impl<S: Store, C: Clock, I: Ids> Catalog<S, C, I> {
    /// A product as it stands.
    ///
    /// # Errors
    /// [`Error::NoProduct`], also for what is no id at all; [`Error::Store`].
    pub async fn product(&self, id: &str) -> Result<Product, Error> {
        let products = self.products(&[id]).await?;
        products
            .into_iter()
            .next()
            .ok_or_else(|| Error::NoProduct(bounded(id)))
    }

    /// Products as they stand, all at one moment, in the order of the ids. An id may be named twice.
    ///
    /// # Errors
    /// [`Error::TooMany`] above 100 ids; [`Error::NoProduct`] with the first that is missing;
    /// [`Error::Store`].
    pub async fn products<T: AsRef<str>>(&self, ids: &[T]) -> Result<Vec<Product>, Error> {
        if ids.len() > IDS_MAX {
            return Err(Error::TooMany(ids.len()));
        }
        let missing = |id: &T| Error::NoProduct(bounded(id.as_ref()));
        let wanted: Vec<_> = ids.iter().map(|id| ProductId::parse(id.as_ref())).collect();
        let known: Vec<_> = wanted.iter().copied().flatten().collect();
        let found = match known.as_slice() {
            [] => Vec::new(),
            known => self.store.products(known, self.clock.now()).await?,
        };
        let pick = |wanted: &Option<ProductId>| found.iter().find(|found| Some(found.id) == *wanted).cloned();
        ids.iter()
            .zip(&wanted)
            .map(|(id, wanted)| pick(wanted).ok_or_else(|| missing(id)))
            .collect()
    }

    /// One page of the products that meet a query.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a query that contradicts itself; [`Error::Store`].
    pub async fn list(&self, query: Query) -> Result<Page, Error> {
        let query = query.check()?;
        let found = self.store.list(&query, self.clock.now()).await?;
        Ok(Page::of(&query, found))
    }

    /// Adds a product of which so many pieces are on hand.
    ///
    /// # Errors
    /// [`Error::SkuTaken`]; [`Error::Store`].
    pub async fn create(&self, details: Details, on_hand: u32) -> Result<Product, Error> {
        let now = self.clock.now();
        let product = Product {
            id: self.ids.product(now),
            details,
            stock: Stock { on_hand, held: 0 },
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let mut unit = self.store.begin().await?;
        let outcome = create(&mut unit, &product).await;
        settle(unit, outcome).await?;
        Ok(product)
    }

    /// Overwrites what is said about a product.
    ///
    /// # Errors
    /// [`Error::NoProduct`]; [`Error::Changed`] when it is not as expected; [`Error::SkuTaken`];
    /// [`Error::Store`].
    pub async fn update(&self, id: &str, expected: &Expected, details: Details) -> Result<Product, Error> {
        let now = self.clock.now();
        let mut unit = self.store.begin().await?;
        let outcome = update(&mut unit, id, expected, details, now).await;
        settle(unit, outcome).await
    }

    /// Removes a product.
    ///
    /// # Errors
    /// [`Error::NoProduct`]; [`Error::Changed`] when it is not as expected; [`Error::Held`] while
    /// reservations hold some of it; [`Error::Store`].
    pub async fn delete(&self, id: &str, expected: &Expected) -> Result<(), Error> {
        let now = self.clock.now();
        let mut unit = self.store.begin().await?;
        let outcome = delete(&mut unit, id, expected, now).await;
        settle(unit, outcome).await
    }

    /// Writes down how many pieces of a product are on hand, as counted.
    ///
    /// # Errors
    /// [`Error::NoProduct`]; [`Error::Held`] when reservations hold more; [`Error::Store`].
    pub async fn set_on_hand(&self, id: &str, on_hand: u32) -> Result<Product, Error> {
        let now = self.clock.now();
        let mut unit = self.store.begin().await?;
        let outcome = set_on_hand(&mut unit, id, on_hand, now).await;
        settle(unit, outcome).await
    }
}

async fn create(unit: &mut impl Unit, product: &Product) -> Result<(), Error> {
    vacant(unit, &product.details.sku, product.id).await?;
    Ok(unit.insert(product).await?)
}

async fn update(
    unit: &mut impl Unit,
    id: &str,
    expected: &Expected,
    details: Details,
    now: Timestamp,
) -> Result<Product, Error> {
    let mut product = expect(unit, id, expected, now).await?;
    vacant(unit, &details.sku, product.id).await?;
    product.details = details;
    product.updated_at = now;
    product.version = product.version.saturating_add(1);
    unit.update(&product).await?;
    Ok(product)
}

async fn delete(unit: &mut impl Unit, id: &str, expected: &Expected, now: Timestamp) -> Result<(), Error> {
    let product = expect(unit, id, expected, now).await?;
    if product.stock.held > 0 {
        return Err(Error::Held {
            held: product.stock.held,
            on_hand: 0,
        });
    }
    unit.expire(&[product.id], now).await?;
    Ok(unit.delete(product.id).await?)
}

async fn set_on_hand(unit: &mut impl Unit, id: &str, on_hand: u32, now: Timestamp) -> Result<Product, Error> {
    let mut product = expect(unit, id, &Expected::Any, now).await?;
    if on_hand < product.stock.held {
        return Err(Error::Held {
            held: product.stock.held,
            on_hand,
        });
    }
    unit.expire(&[product.id], now).await?;
    unit.set_on_hand(product.id, on_hand).await?;
    product.stock.on_hand = on_hand;
    Ok(product)
}

/// The product, if it is there and as expected.
async fn expect(
    unit: &mut impl Unit,
    id: &str,
    expected: &Expected,
    now: Timestamp,
) -> Result<Product, Error> {
    let missing = || Error::NoProduct(bounded(id));
    let id = ProductId::parse(id).ok_or_else(missing)?;
    let product = unit
        .products(&[id], now)
        .await?
        .into_iter()
        .next()
        .ok_or_else(missing)?;
    if expected.meets(product.version) {
        Ok(product)
    } else {
        Err(Error::Changed {
            version: product.version,
        })
    }
}

/// Checks that no other product has a SKU.
async fn vacant(unit: &mut impl Unit, sku: &Sku, id: ProductId) -> Result<(), Error> {
    match unit.owner_of(sku).await? {
        Some(owner) if owner != id => Err(Error::SkuTaken),
        _ => Ok(()),
    }
}
