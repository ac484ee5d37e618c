//! The catalog's tables, all of them named `catalog_…`: under Spin, services share one database.
//!
//! The schema is brought up to date in one transaction, first-start data included. Whoever comes second finds
//! it done. During a canary, and after a rollback, a service meets a database of a later version than it knows:
//! it works with it as it is, as long as the database says that it can (`oldest`), and refuses it otherwise.
//!
//! So a step either adds what older services need not know, and keeps `oldest`; or it takes something away that
//! nobody uses any more who knows version `oldest`, and raises it to that. Never both at once.

use catalog_domain::port::{Clock, Ids, StoreError};
use catalog_domain::seed;

use super::sql::{Connection, Value};
use super::store;

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
        statements: &["ALTER TABLE catalog_schema_version ADD COLUMN oldest INTEGER NOT NULL DEFAULT 1"],
    },
];

const TABLES: &[&str] = &[
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
];

/// Brings a database up to date. When it is, this is two reads. One of a later version stays as it is.
///
/// # Errors
/// [`StoreError`], of which [`StoreError::Unreadable`] says that the database no longer has what this service
/// needs; nothing was changed then, provided that the connection is dropped.
pub async fn migrate<C: Connection>(
    connection: &C,
    clock: &impl Clock,
    ids: &impl Ids,
) -> Result<(), StoreError> {
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
        run("CREATE TABLE catalog_schema_version (version INTEGER NOT NULL) STRICT").await?;
        run("INSERT INTO catalog_schema_version (version) VALUES (0)").await?;
    }
    for step in STEPS.iter().skip(version) {
        for statement in step.statements {
            run(statement).await?;
        }
    }
    if version == 0 {
        let products = seed::products(ids, clock.now())
            .map_err(|invalid| StoreError::Failed(format!("first-start data: {invalid}")))?;
        for product in &products {
            store::insert(connection, product).await?;
        }
    }
    let value = |number: usize| Value::from(u64::try_from(number).unwrap_or(u64::MAX));
    let oldest = STEPS.iter().map(|step| step.oldest).max().unwrap_or_default();
    let now = vec![value(STEPS.len()), value(oldest)];
    let statement = "UPDATE catalog_schema_version SET version = ?1, oldest = ?2";
    connection.run(statement, now).await?;
    run("COMMIT").await?;
    Ok(())
}

/// How many steps a database has taken, if this service can work with it.
async fn version<C: Connection>(connection: &C) -> Result<usize, StoreError> {
    let named = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'catalog_schema_version'";
    if connection.run(named, Vec::new()).await?.is_empty() {
        return Ok(0);
    }
    let version = number(connection, "SELECT version FROM catalog_schema_version").await?;
    let known = STEPS.len();
    if version > known {
        let oldest = number(connection, "SELECT oldest FROM catalog_schema_version").await?;
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
        let text = "catalog_schema_version has not one row";
        return Err(StoreError::Unreadable(text.to_owned()));
    };
    row.integer(0)
}
