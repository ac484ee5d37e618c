//! A store in memory, for tests: the plainest thing that keeps the promises of [`crate::port`], and the clock
//! and ids to go with it. Single-threaded; one transaction at a time, a second is [`StoreError::Busy`].

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::page::{Position, Query};
use crate::port::{Clock, Ids, Store, StoreError, Unit};
use crate::product::{ON_HAND_MAX, Product, ProductId};
use crate::reservation::{Reservation, ReservationId, State};
use crate::text::Sku;
use crate::time::Timestamp;

/// How many reservations one [`Unit::forget`] removes.
pub const FORGET_AT_ONCE: usize = 4;

#[derive(Debug, Clone, Default)]
struct Tables {
    /// `held` of a stored stock is always 0: what is held follows from the reservations.
    products: BTreeMap<ProductId, Product>,
    reservations: BTreeMap<ReservationId, Reservation>,
}

impl Tables {
    fn held(&self, id: ProductId, now: Timestamp) -> u32 {
        let held = self
            .reservations
            .values()
            .filter(|r| r.state == State::Held && r.expires_at > now);
        let lines = held.flat_map(|reservation| reservation.lines.iter());
        lines
            .filter(|line| line.product == id)
            .map(|line| line.quantity)
            .sum()
    }

    fn at(&self, product: &Product, now: Timestamp) -> Product {
        let mut product = product.clone();
        product.stock.held = self.held(product.id, now);
        product
    }

    fn products(&self, ids: &[ProductId], now: Timestamp) -> Vec<Product> {
        let wanted: BTreeSet<_> = ids.iter().collect();
        wanted
            .into_iter()
            .filter_map(|id| self.products.get(id))
            .map(|p| self.at(p, now))
            .collect()
    }

    fn list(&self, query: &Query, now: Timestamp) -> Vec<Product> {
        let mut found: Vec<_> = self
            .products
            .values()
            .map(|p| self.at(p, now))
            .filter(|p| meets(query, p))
            .collect();
        let place = |product: &Product| Position::after(product, query.sort);
        found.sort_by(|a, b| place(a).compare(&place(b)));
        if let Some(after) = &query.after {
            found.retain(|product| place(product).compare(after).is_gt());
        }
        found.truncate(
            usize::try_from(query.limit.get())
                .unwrap_or(usize::MAX)
                .saturating_add(1),
        );
        found
    }
}

fn meets(query: &Query, product: &Product) -> bool {
    let details = &product.details;
    let amount = details.price.amount();
    let texts = [details.name.as_str(), details.description.as_str()].map(str::to_ascii_lowercase);
    let occurs = |word: &String| texts.iter().any(|text| text.contains(&word.to_ascii_lowercase()));
    query
        .search
        .as_ref()
        .is_none_or(|search| search.words().iter().all(occurs))
        && query
            .category
            .as_ref()
            .is_none_or(|category| *category == details.category)
        && query.min_price.is_none_or(|min| min <= amount)
        && query.max_price.is_none_or(|max| amount <= max)
        && query
            .in_stock
            .is_none_or(|wanted| wanted == (product.stock.available() > 0))
}

/// The store. Clones share what they keep.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    tables: Rc<RefCell<Tables>>,
    busy: Rc<Cell<bool>>,
}

impl Store for Memory {
    type Unit = Writing;

    async fn products(&self, ids: &[ProductId], now: Timestamp) -> Result<Vec<Product>, StoreError> {
        Ok(self.tables.borrow().products(ids, now))
    }

    async fn list(&self, query: &Query, now: Timestamp) -> Result<Vec<Product>, StoreError> {
        Ok(self.tables.borrow().list(query, now))
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Option<Reservation>, StoreError> {
        Ok(self.tables.borrow().reservations.get(id).cloned())
    }

    async fn begin(&self) -> Result<Writing, StoreError> {
        if self.busy.replace(true) {
            return Err(StoreError::Busy);
        }
        Ok(Writing {
            draft: self.tables.borrow().clone(),
            store: self.clone(),
        })
    }
}

/// A transaction of [`Memory`].
#[derive(Debug)]
pub struct Writing {
    draft: Tables,
    store: Memory,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.store.busy.set(false);
    }
}

fn vanished() -> StoreError {
    StoreError::Failed("no such row".to_owned())
}

impl Writing {
    fn product(&mut self, id: ProductId) -> Result<&mut Product, StoreError> {
        self.draft.products.get_mut(&id).ok_or_else(vanished)
    }
}

impl Unit for Writing {
    async fn products(&mut self, ids: &[ProductId], now: Timestamp) -> Result<Vec<Product>, StoreError> {
        Ok(self.draft.products(ids, now))
    }

    async fn owner_of(&mut self, sku: &Sku) -> Result<Option<ProductId>, StoreError> {
        Ok(self
            .draft
            .products
            .values()
            .find(|p| p.details.sku == *sku)
            .map(|p| p.id))
    }

    async fn insert(&mut self, product: &Product) -> Result<(), StoreError> {
        self.draft.products.insert(product.id, product.clone());
        Ok(())
    }

    async fn update(&mut self, product: &Product) -> Result<(), StoreError> {
        let row = self.product(product.id)?;
        row.details = product.details.clone();
        row.updated_at = product.updated_at;
        row.version = product.version;
        Ok(())
    }

    async fn delete(&mut self, id: ProductId) -> Result<(), StoreError> {
        self.draft.products.remove(&id).map(|_| ()).ok_or_else(vanished)
    }

    async fn set_on_hand(&mut self, id: ProductId, on_hand: u32) -> Result<(), StoreError> {
        self.product(id)?.stock.on_hand = on_hand;
        Ok(())
    }

    async fn reservation(&mut self, id: &ReservationId) -> Result<Option<Reservation>, StoreError> {
        Ok(self.draft.reservations.get(id).cloned())
    }

    async fn hold(&mut self, reservation: &Reservation) -> Result<(), StoreError> {
        self.draft
            .reservations
            .insert(reservation.id.clone(), reservation.clone());
        Ok(())
    }

    async fn settle(&mut self, id: &ReservationId, state: State) -> Result<(), StoreError> {
        self.draft.reservations.get_mut(id).ok_or_else(vanished)?.state = state;
        Ok(())
    }

    async fn take(&mut self, reservation: &Reservation) -> Result<(), StoreError> {
        for line in reservation.lines.iter() {
            let stock = &mut self.product(line.product)?.stock;
            let below_zero = || StoreError::Failed("stock below zero".to_owned());
            stock.on_hand = stock.on_hand.checked_sub(line.quantity).ok_or_else(below_zero)?;
        }
        Ok(())
    }

    async fn put_back(&mut self, reservation: &Reservation) -> Result<(), StoreError> {
        for line in reservation.lines.iter() {
            if let Some(product) = self.draft.products.get_mut(&line.product) {
                let stock = &mut product.stock;
                stock.on_hand = stock.on_hand.saturating_add(line.quantity).min(ON_HAND_MAX);
            }
        }
        Ok(())
    }

    async fn expire(&mut self, products: &[ProductId], now: Timestamp) -> Result<(), StoreError> {
        for reservation in self.draft.reservations.values_mut() {
            if reservation
                .lines
                .iter()
                .any(|line| products.contains(&line.product))
            {
                *reservation = reservation.clone().at(now);
            }
        }
        Ok(())
    }

    async fn forget(&mut self, before: Timestamp) -> Result<(), StoreError> {
        let reservations = self.draft.reservations.values();
        let mut old: Vec<_> = reservations.filter(|r| r.expires_at < before).cloned().collect();
        old.sort_by_key(|reservation| reservation.expires_at);
        for reservation in old.iter().take(FORGET_AT_ONCE) {
            self.draft.reservations.remove(&reservation.id);
        }
        Ok(())
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        self.store.tables.replace(std::mem::take(&mut self.draft));
        Ok(())
    }

    async fn rollback(self) {}
}

/// A clock that stands still until it is set. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct SetClock(Rc<Cell<u64>>);

impl SetClock {
    /// Sets the time, in milliseconds since the epoch.
    pub fn set(&self, millis: u64) {
        self.0.set(millis);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.get())
    }
}

/// Ids that count up. Clones count on together.
#[derive(Debug, Clone, Default)]
pub struct CountedIds(Rc<Cell<u32>>);

impl Ids for CountedIds {
    fn product(&self, now: Timestamp) -> ProductId {
        self.0.set(self.0.get().saturating_add(1));
        let mut random = [0; 10];
        let (_, tail) = random.split_at_mut(6);
        tail.copy_from_slice(&self.0.get().to_be_bytes());
        ProductId::new(now, &random)
    }
}
