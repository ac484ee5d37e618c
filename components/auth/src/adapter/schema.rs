//! The tables, and how a database gets from any earlier version to this one.
//!
//! All names begin with `auth_`: on some hosts the services of an app share one database. Migrations are only ever
//! added to the end.

use auth_domain::port::StoreError;
use spin_sdk::sqlite::Value;

use super::database::{Database, immediate};

/// What leads from each version to the next. Version 0 has nothing but the table of the version.
const MIGRATIONS: &[&[&str]] = &[&[
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
]];

/// Brings the database to the current version, whoever else is doing so.
///
/// # Errors
/// If the database fails, or is of a version that this one does not know.
pub(crate) async fn migrate<D: Database>(database: &D) -> Result<(), StoreError> {
    // Creates nothing, and locks nothing, where it is there.
    database
        .rows(
            "CREATE TABLE IF NOT EXISTS auth_schema_version (version INTEGER NOT NULL) STRICT",
            vec![],
        )
        .await?;
    if pending(version(database).await?)?.is_empty() {
        return Ok(());
    }
    immediate(database, async || {
        for statement in pending(version(database).await?)?.iter().copied().flatten() {
            database.rows(statement, vec![]).await?;
        }
        database.rows("DELETE FROM auth_schema_version", vec![]).await?;
        let current = Value::Integer(i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX));
        database
            .rows(
                "INSERT INTO auth_schema_version (version) VALUES (?)",
                vec![current],
            )
            .await?;
        Ok(())
    })
    .await
}

async fn version<D: Database>(database: &D) -> Result<i64, StoreError> {
    let rows = database
        .rows("SELECT version FROM auth_schema_version", vec![])
        .await?;
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(version)) => Ok(*version),
        _ => Ok(0),
    }
}

fn pending(version: i64) -> Result<&'static [&'static [&'static str]], StoreError> {
    usize::try_from(version)
        .ok()
        .and_then(|version| MIGRATIONS.get(version..))
        .ok_or_else(|| {
            StoreError::Failed(format!(
                "its tables are of version {version}, this service knows up to {}: run the newer service",
                MIGRATIONS.len()
            ))
        })
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

    #[test]
    fn an_empty_database_gets_every_table_once() {
        let database = Sqlite::new();
        ready(migrate(&database)).unwrap();
        let tables = names(&database);
        assert!(tables.contains(&"auth_accounts".to_owned()), "{tables:?}");
        assert!(tables.iter().all(|name| name.starts_with("auth_")), "{tables:?}");
        ready(migrate(&database)).unwrap();
        assert_eq!(names(&database), tables);
        assert_eq!(ready(version(&database)), Ok(1));
    }

    #[test]
    fn a_database_of_a_newer_version_is_left_alone() {
        let database = Sqlite::new();
        ready(migrate(&database)).unwrap();
        ready(database.rows("UPDATE auth_schema_version SET version = 99", vec![])).unwrap();
        let StoreError::Failed(text) = ready(migrate(&database)).unwrap_err() else {
            panic!()
        };
        assert!(text.contains("version 99"), "{text}");
        assert_eq!(ready(version(&database)), Ok(99));
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
