//! The tables, and how a database gets from any earlier version to this one.
//!
//! All names begin with `auth_`: on some hosts the services of an app share one database.
//!
//! During a canary, and after a rollback, a service meets tables of a later version than it knows: it works with them
//! as they are, as long as the database says that it can (`oldest`), and refuses them otherwise. So a migration either
//! adds what older services need not know, and keeps `oldest`; or it takes something away that nobody uses any more who
//! knows version `oldest`, and raises it to that. Never both at once.

use auth_domain::port::StoreError;
use spin_sdk::sqlite::Value;

use super::database::{Database, immediate};

/// What leads from one version to the next.
struct Migration {
    /// The least version that a service has to know to work with what is there afterwards.
    oldest: i64,
    statements: &'static [&'static str],
}

/// Only ever added to at the end: the version is how many were made. Version 0 has nothing but the table of the version.
const MIGRATIONS: &[Migration] = &[
    Migration {
        oldest: 1,
        statements: TABLES,
    },
    Migration {
        oldest: 1,
        statements: &["ALTER TABLE auth_schema_version ADD COLUMN oldest INTEGER NOT NULL DEFAULT 1"],
    },
];

const TABLES: &[&str] = &[
    "CREATE TABLE auth_accounts (
        id TEXT PRIMARY KEY NOT NULL,
        email TEXT NOT NULL UNIQUE,
        roles TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT",
    "CREATE TABLE auth_sessions (
        id BLOB PRIMARY KEY NOT NULL,
        secret BLOB NOT NULL,
        account TEXT NOT NULL,
        used_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX auth_sessions_by_account ON auth_sessions (account, used_at)",
    "CREATE INDEX auth_sessions_by_expiry ON auth_sessions (expires_at)",
    "CREATE TABLE auth_signing_keys (
        kid TEXT PRIMARY KEY NOT NULL,
        seed BLOB NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE auth_throttle (
        subject BLOB PRIMARY KEY NOT NULL,
        paid_off_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX auth_throttle_by_time ON auth_throttle (paid_off_at)",
    "CREATE TABLE auth_bootstrap (done_at INTEGER NOT NULL) STRICT",
];

/// Brings the database to the current version, whoever else is doing so. One of a later version stays as it is.
///
/// # Errors
/// If the database fails, or no longer has what this version needs.
pub(crate) async fn migrate<D: Database>(database: &D) -> Result<(), StoreError> {
    // Creates nothing, and locks nothing, where it is there.
    database
        .rows(
            "CREATE TABLE IF NOT EXISTS auth_schema_version (version INTEGER NOT NULL) STRICT",
            vec![],
        )
        .await?;
    if pending(database).await?.is_empty() {
        return Ok(());
    }
    immediate(database, async || {
        // Somebody else, of this version or a later one, may have done it while we waited.
        let pending = pending(database).await?;
        if pending.is_empty() {
            return Ok(());
        }
        for statement in pending.iter().flat_map(|migration| migration.statements) {
            database.rows(statement, vec![]).await?;
        }
        database.rows("DELETE FROM auth_schema_version", vec![]).await?;
        let oldest = MIGRATIONS.iter().map(|migration| migration.oldest).max();
        let values = vec![
            Value::Integer(known()),
            Value::Integer(oldest.unwrap_or_default()),
        ];
        let statement = "INSERT INTO auth_schema_version (version, oldest) VALUES (?, ?)";
        database.rows(statement, values).await?;
        Ok(())
    })
    .await
}

/// The version that this service brings a database to.
fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// What a database lacks of this version, if this service can work with it.
async fn pending<D: Database>(database: &D) -> Result<&'static [Migration], StoreError> {
    let version = number(database, "SELECT version FROM auth_schema_version").await?;
    if version > known() {
        let oldest = number(database, "SELECT oldest FROM auth_schema_version").await?;
        if oldest > known() {
            return Err(StoreError::Failed(format!(
                "its tables are of version {version}, for services that know {oldest}, and this one knows {}: run \
                 the newer service",
                known()
            )));
        }
    }
    let seen = usize::try_from(version).unwrap_or(0).min(MIGRATIONS.len());
    Ok(MIGRATIONS.get(seen..).unwrap_or_default())
}

/// The number in the row of the table of the version; 0 while it has none.
async fn number<D: Database>(database: &D, statement: &str) -> Result<i64, StoreError> {
    let rows = database.rows(statement, vec![]).await?;
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(number)) => Ok(*number),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::database::testing::Sqlite;
    use super::*;
    use auth_domain::testing::ready;

    fn names(database: &Sqlite) -> Vec<String> {
        let query = "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name";
        let text = |row: Vec<Value>| match row.into_iter().next() {
            Some(Value::Text(text)) => text,
            other => panic!("{other:?}"),
        };
        ready(database.rows(query, vec![]))
            .unwrap()
            .into_iter()
            .map(text)
            .collect()
    }

    /// Version, and the least version that a service has to know.
    fn stand(database: &Sqlite) -> (i64, i64) {
        let column = |name: &str| {
            let statement = format!("SELECT {name} FROM auth_schema_version");
            ready(number(database, &statement)).unwrap()
        };
        (column("version"), column("oldest"))
    }

    #[test]
    fn an_empty_database_gets_every_table_once() {
        let database = Sqlite::new();
        ready(migrate(&database)).unwrap();
        let tables = names(&database);
        assert!(tables.contains(&"auth_accounts".to_owned()), "{tables:?}");
        assert!(tables.iter().all(|name| name.starts_with("auth_")), "{tables:?}");
        ready(migrate(&database)).unwrap();
        assert_eq!(names(&database), tables);
        assert_eq!(stand(&database), (2, 1));
    }

    #[test]
    fn tables_of_a_later_version_serve_whoever_they_say() {
        let database = Sqlite::new();
        ready(migrate(&database)).unwrap();
        let later = |oldest: i64| {
            let statement = "UPDATE auth_schema_version SET version = 99, oldest = ?";
            ready(database.rows(statement, vec![Value::Integer(oldest)])).unwrap();
        };
        for oldest in [1, 2] {
            later(oldest);
            ready(migrate(&database)).unwrap();
            assert_eq!(stand(&database), (99, oldest));
        }
        later(3);
        let StoreError::Failed(text) = ready(migrate(&database)).unwrap_err() else {
            panic!()
        };
        assert!(text.contains("version 99, for services that know 3"), "{text}");
        assert_eq!(stand(&database), (99, 3));
    }

    #[test]
    fn tables_of_the_first_version_are_brought_up_to_date() {
        let database = Sqlite::new();
        for statement in TABLES.iter().copied().chain([
            "CREATE TABLE auth_schema_version (version INTEGER NOT NULL) STRICT",
            "INSERT INTO auth_schema_version (version) VALUES (1)",
        ]) {
            ready(database.rows(statement, vec![])).unwrap();
        }
        ready(migrate(&database)).unwrap();
        assert_eq!(stand(&database), (2, 1));
    }

    #[test]
    fn a_migration_that_fails_leaves_version_and_tables_as_they_were() {
        let database = Sqlite::new();
        ready(database.rows("CREATE TABLE auth_throttle (mine INTEGER)", vec![])).unwrap();
        assert!(ready(migrate(&database)).is_err());
        assert_eq!(names(&database), ["auth_schema_version", "auth_throttle"]);
        ready(database.rows("DROP TABLE auth_throttle", vec![])).unwrap();
        ready(migrate(&database)).unwrap();
    }
}
