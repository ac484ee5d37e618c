//! The repository in SQL.
//!
//! Reads are single statements, so each sees one moment. A change of an order is a single statement too,
//! whose `WHERE` is the comparison of its compare-and-set. Only writing an order down takes a transaction.

mod read;

use orders_domain::key::Key;
use orders_domain::order::{Change, Customer, Order, OrderId, Refusal, Status, Summary};
use orders_domain::page::Query;
use orders_domain::port::{Due, Orders, Placement, StoreError};
use orders_domain::time::Timestamp;

use super::sql::{Connection, Pool, Value};

/// How many keys writing one order down removes: more than it adds, so old ones do not pile up.
const FORGET_AT_ONCE: u32 = 4;
/// Those keys, and the orders that they stand for.
const OVER: &str = "SELECT customer, key FROM orders_keys WHERE kept_until <= ?1 AND NOT EXISTS (
        SELECT 1 FROM orders_orders WHERE id = order_id AND status IN ('pending', 'reserved', 'cancelling')
    ) ORDER BY kept_until LIMIT ?2";

/// A repository over a pool of connections.
#[derive(Debug, Clone)]
pub struct Sqlite<P> {
    pool: P,
}

impl<P: Pool> Sqlite<P> {
    /// The repository whose connections come from a pool.
    pub fn new(pool: P) -> Self {
        Self { pool }
    }

    /// Work on a connection that goes back when all went well. Dropped inside of a transaction, it rolls
    /// back.
    async fn on<T>(
        &self,
        work: impl AsyncFnOnce(&P::Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.pool.take().await?;
        let value = work(&connection).await?;
        self.pool.give_back(connection);
        Ok(value)
    }

    /// Whether a statement that changes one row or none, and returns it, changed one.
    async fn changed(&self, statement: &str, values: Vec<Value>) -> Result<bool, StoreError> {
        let rows = self
            .on(async |connection| connection.run(statement, values).await)
            .await?;
        Ok(!rows.is_empty())
    }
}

impl<P: Pool> Orders for Sqlite<P> {
    async fn by_key(
        &self,
        customer: &Customer,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Order>, StoreError> {
        self.on(async |connection| read::by_key(connection, customer, key, now).await)
            .await
    }

    async fn place(&self, order: &Order, key: &Key, until: Timestamp) -> Result<Placement, StoreError> {
        self.on(async |connection| {
            connection.run("BEGIN IMMEDIATE", Vec::new()).await?;
            let taken = read::by_key(connection, &order.customer, key, order.created_at).await?;
            if let Some(taken) = taken {
                connection.run("ROLLBACK", Vec::new()).await?;
                return Ok(Placement::Taken(Box::new(taken)));
            }
            forget(connection, order, key).await?;
            insert(connection, order).await?;
            let values = vec![
                order.customer.0.as_str().into(),
                key.as_str().into(),
                order.id.to_string().into(),
                until.millis().into(),
            ];
            let statement = "INSERT INTO orders_keys (customer, key, order_id, kept_until)
                VALUES (?1, ?2, ?3, ?4)";
            connection.run(statement, values).await?;
            connection.run("COMMIT", Vec::new()).await?;
            Ok(Placement::New)
        })
        .await
    }

    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        self.on(async |connection| read::order(connection, id).await)
            .await
    }

    async fn advance(&self, id: OrderId, from: Status, change: &Change) -> Result<bool, StoreError> {
        let (product, requested, available) = match change.refusal {
            None => (None, None, None),
            Some(Refusal::Gone(product)) => (Some(product.to_string()), None, None),
            Some(Refusal::Short {
                product,
                requested,
                available,
            }) => (Some(product.to_string()), Some(requested), Some(available)),
        };
        let confirmed_at = (change.to == Status::Confirmed).then(|| change.at.millis());
        let values = vec![
            id.to_string().into(),
            from.as_str().into(),
            change.to.as_str().into(),
            change.at.millis().into(),
            change.due_at.millis().into(),
            confirmed_at.into(),
            product.into(),
            requested.into(),
            available.into(),
        ];
        let statement = "UPDATE orders_orders SET status = ?3, updated_at = ?4, due_at = ?5,
                confirmed_at = coalesce(?6, confirmed_at),
                refused_product = ?7, refused_requested = ?8, refused_available = ?9,
                leased_until = iif(?3 IN ('pending', 'reserved', 'cancelling'), leased_until, 0)
            WHERE id = ?1 AND status = ?2 RETURNING 1";
        self.changed(statement, values).await
    }

    async fn lease(&self, id: OrderId, seen: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let values = vec![id.to_string().into(), seen.millis().into(), until.millis().into()];
        let statement = "UPDATE orders_orders SET leased_until = ?3 WHERE id = ?1 AND leased_until = ?2
            AND status IN ('pending', 'reserved', 'cancelling') RETURNING 1";
        self.changed(statement, values).await
    }

    async fn put_off(
        &self,
        id: OrderId,
        seen: Option<Timestamp>,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let values = vec![
            id.to_string().into(),
            seen.map(Timestamp::millis).into(),
            due_at.millis().into(),
        ];
        let statement = "UPDATE orders_orders SET leased_until = 0, due_at = ?3
            WHERE id = ?1 AND leased_until = coalesce(?2, leased_until)
            AND status IN ('pending', 'reserved', 'cancelling') RETURNING 1";
        self.changed(statement, values).await.map(|_| ())
    }

    async fn due(&self, due: &Due) -> Result<Vec<OrderId>, StoreError> {
        self.on(async |connection| read::due(connection, due).await).await
    }

    async fn list(&self, query: &Query) -> Result<Vec<Summary>, StoreError> {
        self.on(async |connection| read::list(connection, query).await)
            .await
    }
}

async fn insert<C: Connection>(connection: &C, order: &Order) -> Result<(), StoreError> {
    let summary = Summary::from(order);
    let values = vec![
        order.id.to_string().into(),
        order.customer.0.as_str().into(),
        order.status.as_str().into(),
        order.total.amount.into(),
        order.total.currency.as_str().into(),
        summary.lines.into(),
        summary.pieces.into(),
        order.created_at.millis().into(),
        order.updated_at.millis().into(),
        order.expires_at.millis().into(),
        order.due_at.millis().into(),
        order.leased_until.millis().into(),
    ];
    let statement = "INSERT INTO orders_orders (
            id, customer, status, total, currency, lines, pieces,
            created_at, updated_at, expires_at, due_at, leased_until
        ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    connection.run(statement, values).await?;
    let mut values = vec![order.id.to_string().into()];
    let mut rows = Vec::with_capacity(order.lines.len());
    for (position, line) in (0_u32..).zip(&order.lines) {
        let at = values.len();
        rows.push(format!(
            "(?1, ?{}, ?{}, ?{}, ?{}, ?{})",
            at + 1,
            at + 2,
            at + 3,
            at + 4,
            at + 5
        ));
        values.extend([
            position.into(),
            line.product.to_string().into(),
            line.name.as_str().into(),
            line.quantity.into(),
            line.price.into(),
        ]);
    }
    let statement = format!(
        "INSERT INTO orders_lines (order_id, position, product_id, name, quantity, price) VALUES {}",
        rows.join(", ")
    );
    connection.run(&statement, values).await.map(|_| ())
}

/// Makes room: for the key, whose own time is over if it is there at all, and for others. Orders that came to
/// nothing go with theirs.
async fn forget<C: Connection>(connection: &C, order: &Order, key: &Key) -> Result<(), StoreError> {
    let statement = format!(
        "DELETE FROM orders_keys WHERE (customer, key) IN (
            SELECT customer, key FROM ({OVER}) UNION ALL SELECT ?3, ?4
        ) RETURNING order_id"
    );
    let values = vec![
        order.created_at.millis().into(),
        FORGET_AT_ONCE.into(),
        order.customer.0.as_str().into(),
        key.as_str().into(),
    ];
    for row in connection.run(&statement, values).await? {
        let id = row.text(0)?;
        let statement = "DELETE FROM orders_orders WHERE id = ?1 AND status IN ('rejected', 'expired')
            RETURNING 1";
        if !connection.run(statement, vec![id.into()]).await?.is_empty() {
            let statement = "DELETE FROM orders_lines WHERE order_id = ?1";
            connection.run(statement, vec![id.into()]).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
