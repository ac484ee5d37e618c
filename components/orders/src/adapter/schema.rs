//! The orders' tables, all of them named `orders_…`: under Spin, services share one database.
//!
//! The schema is brought up to date in one transaction. Whoever comes second finds it done. During a canary, and
//! after a rollback, a service meets a database of a later version than it knows: it works with it as it is, as
//! long as the database says that it can (`oldest`), and refuses it otherwise.
//!
//! So a step either adds what older services need not know, and keeps `oldest`; or it takes something away that
//! nobody uses any more who knows version `oldest`, and raises it to that. Never both at once.

use orders_domain::port::StoreError;

use super::sql::{Connection, Value};

/// From one version of the schema to the next.
struct Step {
    /// The least version that a service has to know to work with a database that has taken this step.
    oldest: usize,
    statements: &'static [&'static str],
}

/// Steps are only ever added to the end: the version is how many were taken.
const STEPS: [Step; 2] = [
    Step {
        oldest: 1,
        statements: TABLES,
    },
    Step {
        oldest: 1,
        statements: &["ALTER TABLE orders_schema_version ADD COLUMN oldest INTEGER NOT NULL DEFAULT 1"],
    },
];

const TABLES: &[&str] = &[
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
];

/// Brings a database up to date. When it is, this is two reads. One of a later version stays as it is.
///
/// # Errors
/// [`StoreError`], of which [`StoreError::Unreadable`] says that the database no longer has what this service
/// needs; nothing was changed then, provided that the connection is dropped.
pub async fn migrate<C: Connection>(connection: &C) -> Result<(), StoreError> {
    if version(connection).await? >= STEPS.len() {
        return Ok(());
    }
    let run = async |statement: &str| connection.run(statement, Vec::new()).await;
    run("BEGIN IMMEDIATE").await?;
    // Somebody else, of this version or a later one, may have done it while we waited.
    let version = version(connection).await?;
    if version >= STEPS.len() {
        run("ROLLBACK").await?;
        return Ok(());
    }
    if version == 0 {
        run("CREATE TABLE orders_schema_version (version INTEGER NOT NULL) STRICT").await?;
        run("INSERT INTO orders_schema_version (version) VALUES (0)").await?;
    }
    for step in STEPS.iter().skip(version) {
        for statement in step.statements {
            run(statement).await?;
        }
    }
    let value = |number: usize| Value::from(u64::try_from(number).unwrap_or(u64::MAX));
    let oldest = STEPS.iter().map(|step| step.oldest).max().unwrap_or_default();
    let now = vec![value(STEPS.len()), value(oldest)];
    let statement = "UPDATE orders_schema_version SET version = ?1, oldest = ?2";
    connection.run(statement, now).await?;
    run("COMMIT").await?;
    Ok(())
}

/// How many steps a database has taken, if this service can work with it.
async fn version<C: Connection>(connection: &C) -> Result<usize, StoreError> {
    let named = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'orders_schema_version'";
    if connection.run(named, Vec::new()).await?.is_empty() {
        return Ok(0);
    }
    let version = number(connection, "SELECT version FROM orders_schema_version").await?;
    let known = STEPS.len();
    if version > known {
        let oldest = number(connection, "SELECT oldest FROM orders_schema_version").await?;
        if oldest > known {
            let text = format!(
                "its schema is of version {version}, for services that know {oldest}, and this one knows {known}"
            );
            return Err(StoreError::Unreadable(text));
        }
    }
    Ok(version)
}

/// The number in the one row of the table of the version.
async fn number<C: Connection>(connection: &C, statement: &str) -> Result<usize, StoreError> {
    let rows = connection.run(statement, Vec::new()).await?;
    let [row] = rows.as_slice() else {
        let text = "orders_schema_version has not one row";
        return Err(StoreError::Unreadable(text.to_owned()));
    };
    row.integer(0)
}
