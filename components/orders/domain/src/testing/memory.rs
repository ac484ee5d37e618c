//! A repository in memory: the plainest thing that keeps the promises of [`crate::port::Orders`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::key::Key;
use crate::order::{Change, Customer, Order, OrderId, Status, Summary};
use crate::page::{Position, Query};
use crate::port::{Orders, Placement, StoreError};
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
                    .filter(|(_, (_, until))| *until <= order.created_at)
                    .map(|(key, (_, until))| (*until, key.clone()))
                    .collect();
                old.sort();
                for (_, key) in old.into_iter().take(FORGET_AT_ONCE) {
                    tables.keys.remove(&key);
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

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<OrderId>, StoreError> {
        self.plan
            .call(|| {
                let tables = self.tables.borrow();
                let due = |order: &&Order| order.status.is_open() && order.due_at <= now;
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
