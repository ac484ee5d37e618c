//! The orders' tables, all of them named `orders_…`: under Spin, services share one database.
//!
//! The schema is brought up to date in one transaction. Whoever comes second finds it done. A database of a
//! later version than this service knows is refused, not guessed at.

use orders_domain::port::StoreError;

use super::sql::{Connection, Value};

/// Steps from one version of the schema to the next; the version is how many were taken.
const STEPS: [&[&str]; 1] = [&[
    // `refused_product` is there in a rejected order; the two numbers where there was too little of it.
    "CREATE TABLE orders_orders (
        id TEXT PRIMARY KEY NOT NULL,
        customer TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN (
            'pending', 'reserved', 'confirmed', 'rejected', 'expired', 'cancelling', 'cancelled'
        )),
        total INTEGER NOT NULL CHECK (total >= 0),
        currency TEXT NOT NULL,
        lines INTEGER NOT NULL CHECK (lines > 0),
        pieces INTEGER NOT NULL CHECK (pieces > 0),
        refused_product TEXT,
        refused_requested INTEGER,
        refused_available INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        confirmed_at INTEGER,
        due_at INTEGER NOT NULL,
        leased_until INTEGER NOT NULL
    ) STRICT",
    "CREATE INDEX orders_orders_by_created ON orders_orders (created_at, id)",
    "CREATE INDEX orders_orders_by_status ON orders_orders (status, created_at, id)",
    "CREATE INDEX orders_orders_of_customer ON orders_orders (customer, created_at, id)",
    "CREATE INDEX orders_orders_of_customer_by_status ON orders_orders (customer, status, created_at, id)",
    "CREATE INDEX orders_orders_open ON orders_orders (due_at, id)
        WHERE status IN ('pending', 'reserved', 'cancelling')",
    "CREATE TABLE orders_lines (
        order_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        product_id TEXT NOT NULL,
        name TEXT NOT NULL,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        price INTEGER NOT NULL CHECK (price >= 0),
        PRIMARY KEY (order_id, position)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE orders_keys (
        customer TEXT NOT NULL,
        key TEXT NOT NULL,
        order_id TEXT NOT NULL,
        kept_until INTEGER NOT NULL,
        PRIMARY KEY (customer, key)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX orders_keys_by_end ON orders_keys (kept_until)",
]];

/// Brings a database up to date. When it is, this is two reads.
///
/// # Errors
/// [`StoreError`]; nothing was changed then, provided that the connection is dropped.
pub async fn migrate<C: Connection>(connection: &C) -> Result<(), StoreError> {
    if version(connection).await? == STEPS.len() {
        return Ok(());
    }
    let run = async |statement: &str| connection.run(statement, Vec::new()).await;
    run("BEGIN IMMEDIATE").await?;
    // Somebody else may have done it while we waited.
    let version = version(connection).await?;
    if version == 0 {
        run("CREATE TABLE orders_schema_version (version INTEGER NOT NULL) STRICT").await?;
        run("INSERT INTO orders_schema_version (version) VALUES (0)").await?;
    }
    for statement in STEPS.iter().skip(version).copied().flatten() {
        run(statement).await?;
    }
    let now = Value::from(u64::try_from(STEPS.len()).unwrap_or(u64::MAX));
    connection
        .run("UPDATE orders_schema_version SET version = ?1", vec![now])
        .await?;
    run("COMMIT").await?;
    Ok(())
}

/// How many steps a database has taken.
async fn version<C: Connection>(connection: &C) -> Result<usize, StoreError> {
    let named = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'orders_schema_version'";
    if connection.run(named, Vec::new()).await?.is_empty() {
        return Ok(0);
    }
    let rows = connection
        .run("SELECT version FROM orders_schema_version", Vec::new())
        .await?;
    let [row] = rows.as_slice() else {
        let text = "orders_schema_version has not one row";
        return Err(StoreError::Unreadable(text.to_owned()));
    };
    let version: usize = row.integer(0)?;
    if version > STEPS.len() {
        let known = STEPS.len();
        let text = format!("its schema is of version {version}, and this service knows up to {known}");
        return Err(StoreError::Unreadable(text));
    }
    Ok(version)
}
