//! A repository in memory: the plainest thing that keeps the promises of [`crate::port::Orders`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::key::Key;
use crate::order::{Change, Customer, Order, OrderId, Status, Summary};
use crate::page::{Position, Query};
use crate::port::{Due, Orders, Placement, StoreError};
use crate::time::Timestamp;

use super::{Plan, Transient};

/// How many keys one [`Orders::place`] forgets.
const FORGET_AT_ONCE: usize = 4;

#[derive(Debug, Default)]
struct Tables {
    orders: BTreeMap<OrderId, Order>,
    keys: BTreeMap<(Customer, Key), (OrderId, Timestamp)>,
}

impl Tables {
    fn by_key(&self, customer: &Customer, key: &Key, now: Timestamp) -> Option<Order> {
        let (id, until) = self.keys.get(&(customer.clone(), key.clone()))?;
        (*until > now).then(|| self.orders.get(id).cloned()).flatten()
    }

    fn is_open(&self, id: OrderId) -> bool {
        self.orders.get(&id).is_some_and(|order| order.status.is_open())
    }

    /// Removes a key, and its order if that came to nothing.
    fn forget(&mut self, key: &(Customer, Key)) {
        if let Some((id, _)) = self.keys.remove(key)
            && self
                .orders
                .get(&id)
                .is_some_and(|order| order.status.is_forgotten())
        {
            self.orders.remove(&id);
        }
    }
}

/// The repository. Clones share what they keep.
#[derive(Debug, Clone)]
pub struct Memory {
    tables: Rc<RefCell<Tables>>,
    plan: Plan,
}

impl Transient for StoreError {
    fn transient() -> Self {
        Self::Busy
    }
}

impl Memory {
    /// An empty one.
    pub fn new(plan: &Plan) -> Self {
        Self {
            tables: Rc::default(),
            plan: plan.clone(),
        }
    }

    /// Every order.
    pub fn all(&self) -> Vec<Order> {
        self.tables.borrow().orders.values().cloned().collect()
    }
}

impl Orders for Memory {
    async fn by_key(
        &self,
        customer: &Customer,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Order>, StoreError> {
        self.plan
            .call(|| Ok(self.tables.borrow().by_key(customer, key, now)))
            .await
    }

    async fn place(&self, order: &Order, key: &Key, until: Timestamp) -> Result<Placement, StoreError> {
        self.plan
            .call(|| {
                let mut tables = self.tables.borrow_mut();
                if let Some(taken) = tables.by_key(&order.customer, key, order.created_at) {
                    return Ok(Placement::Taken(Box::new(taken)));
                }
                let mut old: Vec<_> = tables
                    .keys
                    .iter()
                    .filter(|(_, (id, until))| *until <= order.created_at && !tables.is_open(*id))
                    .map(|(key, (_, until))| (*until, key.clone()))
                    .collect();
                old.sort();
                // Its time is over, or it would have been taken.
                let same = (order.customer.clone(), key.clone());
                let old = old.into_iter().take(FORGET_AT_ONCE).map(|(_, key)| key);
                for key in old.chain([same]) {
                    tables.forget(&key);
                }
                tables.orders.insert(order.id, order.clone());
                tables
                    .keys
                    .insert((order.customer.clone(), key.clone()), (order.id, until));
                Ok(Placement::New)
            })
            .await
    }

    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        self.plan
            .call(|| Ok(self.tables.borrow().orders.get(&id).cloned()))
            .await
    }

    async fn advance(&self, id: OrderId, from: Status, change: &Change) -> Result<bool, StoreError> {
        self.plan
            .call(|| {
                assert!(from.leads_to(change.to), "{from:?} to {:?}", change.to);
                let mut tables = self.tables.borrow_mut();
                match tables.orders.get_mut(&id) {
                    Some(order) if order.status == from => {
                        *order = order.clone().changed(change);
                        Ok(true)
                    }
                    _ => Ok(false),
                }
            })
            .await
    }

    async fn lease(&self, id: OrderId, seen: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        self.plan
            .call(|| match self.tables.borrow_mut().orders.get_mut(&id) {
                Some(order) if order.status.is_open() && order.leased_until == seen => {
                    order.leased_until = until;
                    Ok(true)
                }
                _ => Ok(false),
            })
            .await
    }

    async fn put_off(
        &self,
        id: OrderId,
        seen: Option<Timestamp>,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.plan
            .call(|| {
                if let Some(order) = self.tables.borrow_mut().orders.get_mut(&id)
                    && order.status.is_open()
                    && seen.is_none_or(|seen| seen == order.leased_until)
                {
                    order.leased_until = Timestamp::EPOCH;
                    order.due_at = due_at;
                }
                Ok(())
            })
            .await
    }

    async fn due(&self, due: &Due) -> Result<Vec<OrderId>, StoreError> {
        self.plan
            .call(|| {
                let (tables, limit) = (self.tables.borrow(), due.limit);
                let due = |order: &&Order| order.status.is_open() && due.is(order.due_at, order.leased_until);
                let mut found: Vec<_> = tables.orders.values().filter(due).collect();
                found.sort_by_key(|order| (order.due_at, order.id));
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                Ok(found.into_iter().take(limit).map(|order| order.id).collect())
            })
            .await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Summary>, StoreError> {
        self.plan
            .call(|| {
                let tables = self.tables.borrow();
                let fits = |order: &&Order| {
                    query
                        .customer
                        .as_ref()
                        .is_none_or(|customer| *customer == order.customer)
                        && query.status.is_none_or(|status| status == order.status)
                };
                let mut found: Vec<_> = tables.orders.values().filter(fits).map(Summary::from).collect();
                found.sort_by_key(|order| std::cmp::Reverse(Position::from(order)));
                if let Some(after) = query.after {
                    found.retain(|order| Position::from(order) < after);
                }
                found.truncate(usize::try_from(query.limit.get()).unwrap_or(usize::MAX) + 1);
                Ok(found)
            })
            .await
    }
}
