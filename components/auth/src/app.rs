//! Puts the pieces together: for each request a service over a connection of its own, ready to be used.
//!
//! What an instance remembers is only what spares work: that the tables are there, and the policy. Any number of
//! instances may come and go at any time.

use std::cell::Cell;

use auth_domain::bootstrap::Announcement;
use auth_domain::password::HashError;
use auth_domain::port::StoreError;
use auth_domain::service::AuthError;
use auth_domain::{Auth, Hasher, Policy};
use spin_sdk::sqlite::Connection;

use crate::adapter::store::SqlStore;
use crate::adapter::system::{SystemClock, SystemRandom};
use crate::adapter::variables::VariableError;
use crate::adapter::{database, schema, variables};

/// The service as it runs.
pub(crate) type Service = Auth<SqlStore<Connection>, SystemClock, SystemRandom>;

/// Why there is no service. The texts are for the operator.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Variable(#[from] VariableError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error("the first admin could not be created")]
    Bootstrap(#[source] AuthError),
}

thread_local! {
    /// What this instance has found in order.
    static PREPARED: Cell<Option<Policy>> = const { Cell::new(None) };
}

/// Opens the store alone, which is all that checking a token needs. Makes the tables and no admin: in a static
/// composition the variables are those of whoever calls.
///
/// # Errors
/// If the database fails.
pub(crate) async fn store() -> Result<SqlStore<Connection>, OpenError> {
    let connection = database::open().await?;
    if PREPARED.get().is_none() {
        schema::migrate(&connection).await?;
    }
    Ok(SqlStore(connection))
}

/// Opens the service; the first time it makes the tables and the admin.
///
/// # Errors
/// If a variable does not do or the database fails. Nothing is remembered then.
pub(crate) async fn open() -> Result<Service, OpenError> {
    let prepared = PREPARED.get();
    let policy = match prepared {
        Some(policy) => policy,
        None => variables::policy().await?,
    };
    let connection = database::open().await?;
    if prepared.is_none() {
        schema::migrate(&connection).await?;
    }
    let service = Auth {
        store: SqlStore(connection),
        clock: SystemClock,
        random: SystemRandom,
        hasher: Hasher::owasp()?,
        policy,
    };
    if prepared.is_none() {
        let admin = variables::admin().await?;
        let announced = Cell::new(false);
        let announce = |announcement: &Announcement| {
            announced.set(true);
            println!("{announcement}");
        };
        if let Err(error) = service.bootstrap(&admin, &announce).await {
            if announced.get() {
                println!("no admin was created after all, the line before this one is void");
            }
            return Err(OpenError::Bootstrap(error));
        }
        PREPARED.set(Some(policy));
    }
    Ok(service)
}
