//! The catalog's tables, all of them named `catalog_…`: under Spin, services share one database.
//!
//! The schema is brought up to date in one transaction, first-start data included. Whoever comes second finds
//! it done. A database of a later version than this service knows is refused, not guessed at.

use catalog_domain::port::{Clock, Ids, StoreError};
use catalog_domain::seed;

use super::sql::{Connection, Value};
use super::store;

/// Steps from one version of the schema to the next; the version is how many were taken.
const STEPS: [&[&str]; 1] = [&[
    "CREATE TABLE catalog_products (
        id TEXT PRIMARY KEY NOT NULL,
        sku TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL COLLATE NOCASE,
        description TEXT NOT NULL,
        category TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount >= 0),
        currency TEXT NOT NULL,
        on_hand INTEGER NOT NULL CHECK (on_hand >= 0),
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        version INTEGER NOT NULL
    ) STRICT",
    "CREATE INDEX catalog_products_by_name ON catalog_products (name, id)",
    "CREATE INDEX catalog_products_by_amount ON catalog_products (amount, id)",
    "CREATE INDEX catalog_products_by_created ON catalog_products (created_at, id)",
    "CREATE INDEX catalog_products_by_category ON catalog_products (category)",
    "CREATE TABLE catalog_reservations (
        id TEXT PRIMARY KEY NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('held', 'committed', 'released', 'expired')),
        expires_at INTEGER NOT NULL
    ) STRICT",
    "CREATE INDEX catalog_reservations_by_end ON catalog_reservations (expires_at)",
    // `held_until` is there exactly while the line binds stock; the index has those lines only.
    "CREATE TABLE catalog_reservation_lines (
        reservation_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        product_id TEXT NOT NULL,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        held_until INTEGER,
        PRIMARY KEY (reservation_id, position)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX catalog_reservation_lines_held
        ON catalog_reservation_lines (product_id, held_until, quantity) WHERE held_until IS NOT NULL",
    "CREATE TRIGGER catalog_reservations_forgotten AFTER DELETE ON catalog_reservations BEGIN
        DELETE FROM catalog_reservation_lines WHERE reservation_id = OLD.id;
    END",
]];

/// Brings a database up to date. When it is, this is two reads.
///
/// # Errors
/// [`StoreError`]; nothing was changed then, provided that the connection is dropped.
pub async fn migrate<C: Connection>(
    connection: &C,
    clock: &impl Clock,
    ids: &impl Ids,
) -> Result<(), StoreError> {
    if version(connection).await? == STEPS.len() {
        return Ok(());
    }
    connection.run("BEGIN IMMEDIATE", Vec::new()).await?;
    // Somebody else may have done it while we waited.
    let version = version(connection).await?;
    if version == 0 {
        connection
            .run(
                "CREATE TABLE catalog_schema_version (version INTEGER NOT NULL) STRICT",
                Vec::new(),
            )
            .await?;
        connection
            .run(
                "INSERT INTO catalog_schema_version (version) VALUES (0)",
                Vec::new(),
            )
            .await?;
    }
    for statement in STEPS.iter().skip(version).copied().flatten() {
        connection.run(statement, Vec::new()).await?;
    }
    if version == 0 {
        let products = seed::products(ids, clock.now())
            .map_err(|invalid| StoreError::Failed(format!("first-start data: {invalid}")))?;
        for product in &products {
            store::insert(connection, product).await?;
        }
    }
    let now = Value::from(u64::try_from(STEPS.len()).unwrap_or(u64::MAX));
    connection
        .run("UPDATE catalog_schema_version SET version = ?1", vec![now])
        .await?;
    connection.run("COMMIT", Vec::new()).await?;
    Ok(())
}

/// How many steps a database has taken.
async fn version<C: Connection>(connection: &C) -> Result<usize, StoreError> {
    let named = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'catalog_schema_version'";
    if connection.run(named, Vec::new()).await?.is_empty() {
        return Ok(0);
    }
    let rows = connection
        .run("SELECT version FROM catalog_schema_version", Vec::new())
        .await?;
    let version: usize = match rows.as_slice() {
        [row] => row.integer(0)?,
        _ => {
            return Err(StoreError::Unreadable(
                "catalog_schema_version has not one row".to_owned(),
            ));
        }
    };
    if version > STEPS.len() {
        let known = STEPS.len();
        let text = format!("its schema is of version {version}, and this service knows up to {known}");
        return Err(StoreError::Unreadable(text));
    }
    Ok(version)
}
