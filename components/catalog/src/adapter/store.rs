//! The store in SQL. What is held of a product is never kept as a number: it is the sum of the lines that are
//! held now.
//!
//! Reads are single statements, so each sees one moment. Writes are transactions that begin with `BEGIN
//! IMMEDIATE`: there is one at a time, which is what keeps stock above zero; the `CHECK`s of the schema are a
//! second net.

mod read;

use catalog_domain::page::Query;
use catalog_domain::port::{Store, StoreError, Unit};
use catalog_domain::product::{ON_HAND_MAX, Product, ProductId};
use catalog_domain::reservation::{Reservation, ReservationId, State};
use catalog_domain::text::Sku;
use catalog_domain::time::Timestamp;

use super::sql::{Connection, Pool, Value};

/// How many reservations one [`Unit::forget`] removes: more than one reserve adds, so old ones do not pile
/// up.
const FORGET_AT_ONCE: u32 = 4;

/// A store over a pool of connections.
#[derive(Debug, Clone)]
pub struct Sqlite<P> {
    pool: P,
}

impl<P: Pool> Sqlite<P> {
    /// The store whose connections come from a pool.
    pub fn new(pool: P) -> Self {
        Self { pool }
    }

    /// A read on a connection that goes back when all went well.
    async fn read<T>(
        &self,
        read: impl AsyncFnOnce(&P::Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.pool.take().await?;
        let value = read(&connection).await?;
        self.pool.give_back(connection);
        Ok(value)
    }
}

impl<P: Pool + Clone> Store for Sqlite<P> {
    type Unit = Transaction<P>;

    async fn products(&self, ids: &[ProductId], now: Timestamp) -> Result<Vec<Product>, StoreError> {
        self.read(async |connection| read::products(connection, ids, now).await)
            .await
    }

    async fn list(&self, query: &Query, now: Timestamp) -> Result<Vec<Product>, StoreError> {
        self.read(async |connection| read::list(connection, query, now).await)
            .await
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Option<Reservation>, StoreError> {
        self.read(async |connection| read::reservation(connection, id).await)
            .await
    }

    async fn begin(&self) -> Result<Transaction<P>, StoreError> {
        let connection = self.pool.take().await?;
        connection.run("BEGIN IMMEDIATE", Vec::new()).await?;
        Ok(Transaction {
            connection,
            pool: self.pool.clone(),
        })
    }
}

/// A transaction on a connection of its own. Dropped, it takes the connection along, and SQLite rolls back.
#[derive(Debug)]
pub struct Transaction<P: Pool> {
    connection: P::Connection,
    pool: P,
}

impl<P: Pool> Transaction<P> {
    async fn run(&self, statement: &str, parameters: Vec<Value>) -> Result<(), StoreError> {
        self.connection.run(statement, parameters).await.map(|_| ())
    }
}

/// Adds a product.
pub(super) async fn insert<C: Connection>(connection: &C, product: &Product) -> Result<(), StoreError> {
    let details = &product.details;
    let values = vec![
        product.id.to_string().into(),
        details.sku.as_str().into(),
        details.name.as_str().into(),
        details.description.as_str().into(),
        details.category.as_str().into(),
        details.price.amount().into(),
        details.price.currency().as_str().into(),
        product.stock.on_hand.into(),
        product.created_at.millis().into(),
        product.updated_at.millis().into(),
        product.version.into(),
    ];
    let statement = "INSERT INTO catalog_products (
            id, sku, name, description, category, amount, currency, on_hand, created_at, updated_at, version
        ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    connection.run(statement, values).await.map(|_| ())
}

impl<P: Pool> Unit for Transaction<P> {
    async fn products(&mut self, ids: &[ProductId], now: Timestamp) -> Result<Vec<Product>, StoreError> {
        read::products(&self.connection, ids, now).await
    }

    async fn owner_of(&mut self, sku: &Sku) -> Result<Option<ProductId>, StoreError> {
        let statement = "SELECT id FROM catalog_products WHERE sku = ?1";
        let rows = self.connection.run(statement, vec![sku.as_str().into()]).await?;
        rows.first().map(|row| read::product_id(row, 0)).transpose()
    }

    async fn insert(&mut self, product: &Product) -> Result<(), StoreError> {
        insert(&self.connection, product).await
    }

    async fn update(&mut self, product: &Product) -> Result<(), StoreError> {
        let details = &product.details;
        let values = vec![
            product.id.to_string().into(),
            details.sku.as_str().into(),
            details.name.as_str().into(),
            details.description.as_str().into(),
            details.category.as_str().into(),
            details.price.amount().into(),
            details.price.currency().as_str().into(),
            product.updated_at.millis().into(),
            product.version.into(),
        ];
        let statement = "UPDATE catalog_products SET sku = ?2, name = ?3, description = ?4, category = ?5,
                amount = ?6, currency = ?7, updated_at = ?8, version = ?9 WHERE id = ?1";
        self.run(statement, values).await
    }

    async fn delete(&mut self, id: ProductId) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM catalog_products WHERE id = ?1",
            vec![id.to_string().into()],
        )
        .await
    }

    async fn set_on_hand(&mut self, id: ProductId, on_hand: u32) -> Result<(), StoreError> {
        let values = vec![id.to_string().into(), on_hand.into()];
        self.run("UPDATE catalog_products SET on_hand = ?2 WHERE id = ?1", values)
            .await
    }

    async fn reservation(&mut self, id: &ReservationId) -> Result<Option<Reservation>, StoreError> {
        read::reservation(&self.connection, id).await
    }

    async fn hold(&mut self, reservation: &Reservation) -> Result<(), StoreError> {
        let (id, end) = (reservation.id.as_str(), reservation.expires_at.millis());
        let values = vec![id.into(), reservation.state.as_str().into(), end.into()];
        let statement = "INSERT INTO catalog_reservations (id, state, expires_at) VALUES (?1, ?2, ?3)";
        self.run(statement, values).await?;
        let mut values = vec![id.into(), end.into()];
        let mut rows = Vec::new();
        for (position, line) in (0_u32..).zip(reservation.lines.iter()) {
            let at = values.len();
            rows.push(format!("(?1, ?{}, ?{}, ?{}, ?2)", at + 1, at + 2, at + 3));
            values.extend([
                position.into(),
                line.product.to_string().into(),
                line.quantity.into(),
            ]);
        }
        let statement = format!(
            "INSERT INTO catalog_reservation_lines (
                reservation_id, position, product_id, quantity, held_until
            ) VALUES {}",
            rows.join(", ")
        );
        self.run(&statement, values).await
    }

    async fn settle(&mut self, id: &ReservationId, state: State) -> Result<(), StoreError> {
        let values = vec![id.as_str().into(), state.as_str().into()];
        self.run("UPDATE catalog_reservations SET state = ?2 WHERE id = ?1", values)
            .await?;
        let statement = "UPDATE catalog_reservation_lines SET held_until = NULL WHERE reservation_id = ?1";
        self.run(statement, vec![id.as_str().into()]).await
    }

    async fn take(&mut self, reservation: &Reservation) -> Result<(), StoreError> {
        let statement = "UPDATE catalog_products SET on_hand = on_hand - (
                SELECT quantity FROM catalog_reservation_lines
                WHERE reservation_id = ?1 AND product_id = catalog_products.id
            ) WHERE id IN (SELECT product_id FROM catalog_reservation_lines WHERE reservation_id = ?1)";
        self.run(statement, vec![reservation.id.as_str().into()]).await
    }

    async fn put_back(&mut self, reservation: &Reservation) -> Result<(), StoreError> {
        let statement = "UPDATE catalog_products SET on_hand = min(?2, on_hand + (
                SELECT quantity FROM catalog_reservation_lines
                WHERE reservation_id = ?1 AND product_id = catalog_products.id
            )) WHERE id IN (SELECT product_id FROM catalog_reservation_lines WHERE reservation_id = ?1)";
        self.run(
            statement,
            vec![reservation.id.as_str().into(), ON_HAND_MAX.into()],
        )
        .await
    }

    async fn expire(&mut self, products: &[ProductId], now: Timestamp) -> Result<(), StoreError> {
        let (places, values) = read::after_now(now, products);
        let over = format!(
            "SELECT reservation_id FROM catalog_reservation_lines
                WHERE held_until <= ?1 AND product_id IN ({places})"
        );
        if self
            .connection
            .run(&format!("{over} LIMIT 1"), values.clone())
            .await?
            .is_empty()
        {
            return Ok(());
        }
        let states = format!("UPDATE catalog_reservations SET state = 'expired' WHERE id IN ({over})");
        self.run(&states, values.clone()).await?;
        let lines = format!(
            "UPDATE catalog_reservation_lines SET held_until = NULL WHERE reservation_id IN ({over})"
        );
        self.run(&lines, values).await
    }

    async fn forget(&mut self, before: Timestamp) -> Result<(), StoreError> {
        let statement = "DELETE FROM catalog_reservations WHERE id IN (
                SELECT id FROM catalog_reservations WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2
            )";
        self.run(statement, vec![before.millis().into(), FORGET_AT_ONCE.into()])
            .await
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.run("COMMIT", Vec::new()).await?;
        self.pool.give_back(self.connection);
        Ok(())
    }

    async fn rollback(self) {
        // If it fails, dropping the connection does the same.
        if self.run("ROLLBACK", Vec::new()).await.is_ok() {
            self.pool.give_back(self.connection);
        }
    }
}

#[cfg(test)]
mod tests;
