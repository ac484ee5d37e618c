//! The other services in one: accounts, prices, and a stock that keeps the contract `shop:catalog/inventory`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::item::{Currency, Item, Line, Money, Offer, ProductId};
use crate::order::{Customer, OrderId};
use crate::port::{
    Accounts, AccountsError, Caller, Catalogue, CatalogueError, Clock, Held, Stock, StockError,
};
use crate::time::Timestamp;

use super::{Plan, SetTime, Transient};

#[derive(Debug, Clone)]
struct Shelf {
    on_hand: u32,
    price: Money,
}

#[derive(Debug, Clone)]
struct Reservation {
    items: Vec<Item>,
    state: Held,
    expires_at: Timestamp,
}

impl Reservation {
    fn at(&self, now: Timestamp) -> Held {
        match self.state {
            Held::Held if self.expires_at <= now => Held::Expired,
            state => state,
        }
    }
}

/// The partners. Clones are the same.
#[derive(Debug, Clone)]
pub struct Warehouse {
    plan: Plan,
    time: SetTime,
    shelves: Rc<RefCell<BTreeMap<ProductId, Shelf>>>,
    reservations: Rc<RefCell<BTreeMap<OrderId, Reservation>>>,
}

impl Transient for AccountsError {
    fn transient() -> Self {
        Self::Unavailable("planned".to_owned())
    }
}

impl Transient for CatalogueError {
    fn transient() -> Self {
        Self::Unavailable("planned".to_owned())
    }
}

impl Transient for StockError {
    fn transient() -> Self {
        Self::Unavailable("planned".to_owned())
    }
}

impl Warehouse {
    pub(super) fn new(plan: &Plan, time: &SetTime) -> Self {
        Self {
            plan: plan.clone(),
            time: time.clone(),
            shelves: Rc::default(),
            reservations: Rc::default(),
        }
    }

    /// Puts so many pieces of a product on its shelf.
    pub fn stock(&self, product: ProductId, on_hand: u32, amount: u64, currency: &str) {
        let currency = Currency::parse(currency).unwrap();
        let price = Money { amount, currency };
        self.shelves
            .borrow_mut()
            .insert(product, Shelf { on_hand, price });
    }

    /// Takes a product out of the catalog.
    pub fn remove(&self, product: ProductId) {
        self.shelves.borrow_mut().remove(&product);
    }

    /// Pieces on the shelf.
    pub fn on_hand(&self, product: ProductId) -> u32 {
        self.shelves.borrow()[&product].on_hand
    }

    /// Where the reservation of an order stands now.
    pub fn state(&self, id: OrderId) -> Option<Held> {
        Some(self.reservations.borrow().get(&id)?.at(self.time.now()))
    }

    /// Pieces of a product in reservations that are in a state now.
    pub fn pieces(&self, product: ProductId, state: Held) -> u32 {
        let (reservations, now) = (self.reservations.borrow(), self.time.now());
        let those = reservations.values().filter(|r| r.at(now) == state);
        those
            .flat_map(|r| &r.items)
            .filter(|item| item.product == product)
            .map(|item| item.quantity)
            .sum()
    }

    /// The orders whose reservations are in a state now.
    pub fn orders(&self, state: Held) -> Vec<OrderId> {
        let (reservations, now) = (self.reservations.borrow(), self.time.now());
        let those = reservations.iter().filter(|(_, r)| r.at(now) == state);
        those.map(|(id, _)| *id).collect()
    }

    /// Forgets a reservation.
    pub fn forget(&self, id: OrderId) {
        self.reservations.borrow_mut().remove(&id);
    }

    fn move_pieces(&self, items: &[Item], change: impl Fn(u32, u32) -> u32) {
        let mut shelves = self.shelves.borrow_mut();
        for item in items {
            if let Some(shelf) = shelves.get_mut(&item.product) {
                shelf.on_hand = change(shelf.on_hand, item.quantity);
            }
        }
    }

    fn reservation(&self, id: OrderId) -> Result<(Reservation, Held), StockError> {
        let found = self.reservations.borrow().get(&id).cloned();
        let found = found.ok_or(StockError::NoReservation)?;
        let state = found.at(self.time.now());
        Ok((found, state))
    }

    fn settle(&self, id: OrderId, state: Held) {
        self.reservations.borrow_mut().get_mut(&id).unwrap().state = state;
    }
}

impl Accounts for Warehouse {
    /// A token is a name; `expired` and `forged` are not good, `admin` is an administrator's.
    async fn verify(&self, token: &str) -> Result<Caller, AccountsError> {
        self.plan
            .call(|| match token {
                "expired" => Err(AccountsError::Expired),
                "forged" => Err(AccountsError::Invalid("its signature is wrong".to_owned())),
                name => Ok(Caller {
                    customer: Customer(name.to_owned()),
                    admin: name == "admin",
                }),
            })
            .await
    }
}

impl Catalogue for Warehouse {
    async fn offers(&self, products: &[ProductId]) -> Result<Vec<Offer>, CatalogueError> {
        self.plan
            .call(|| {
                let shelves = self.shelves.borrow();
                let offer = |product: &ProductId| {
                    let shelf = shelves.get(product).ok_or(CatalogueError::Unknown(*product))?;
                    Ok(Offer {
                        product: *product,
                        name: "Thing".to_owned(),
                        price: shelf.price,
                    })
                };
                products.iter().map(offer).collect()
            })
            .await
    }
}

impl Stock for Warehouse {
    async fn reserve(&self, id: OrderId, lines: &[Line], time: Duration) -> Result<(), StockError> {
        self.plan
            .call(|| {
                assert!((1..=86_400).contains(&time.as_secs()) && time.subsec_nanos() == 0);
                let items: Vec<_> = lines.iter().map(Line::item).collect();
                if let Ok((found, state)) = self.reservation(id) {
                    return match state {
                        Held::Held if found.items == items => Ok(()),
                        state => Err(StockError::Conflict(state)),
                    };
                }
                for item in &items {
                    let shelf = self.shelves.borrow().get(&item.product).cloned();
                    let on_hand = shelf.ok_or(StockError::NoProduct(item.product))?.on_hand;
                    let available = on_hand - self.pieces(item.product, Held::Held);
                    if available < item.quantity {
                        return Err(StockError::Short {
                            product: item.product,
                            requested: item.quantity,
                            available,
                        });
                    }
                }
                let reservation = Reservation {
                    items,
                    state: Held::Held,
                    expires_at: self.time.now().plus(time),
                };
                self.reservations.borrow_mut().insert(id, reservation);
                Ok(())
            })
            .await
    }

    async fn commit(&self, id: OrderId) -> Result<(), StockError> {
        self.plan
            .call(|| match self.reservation(id)? {
                (_, Held::Committed) => Ok(()),
                (found, Held::Held) => {
                    self.move_pieces(&found.items, |on_hand, quantity| on_hand - quantity);
                    self.settle(id, Held::Committed);
                    Ok(())
                }
                (_, state) => Err(StockError::Conflict(state)),
            })
            .await
    }

    async fn release(&self, id: OrderId) -> Result<(), StockError> {
        self.plan
            .call(|| match self.reservation(id)? {
                (_, state @ Held::Committed) => Err(StockError::Conflict(state)),
                _ => {
                    self.settle(id, Held::Released);
                    Ok(())
                }
            })
            .await
    }

    async fn cancel(&self, id: OrderId) -> Result<(), StockError> {
        self.plan
            .call(|| {
                let (found, state) = self.reservation(id)?;
                if state == Held::Committed {
                    self.move_pieces(&found.items, |on_hand, quantity| on_hand + quantity);
                }
                self.settle(id, Held::Released);
                Ok(())
            })
            .await
    }
}
