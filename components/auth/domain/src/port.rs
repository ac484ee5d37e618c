//! What the operations need from outside: a store, a clock, and randomness.
//!
//! Every method of [`Store`] is one atomic step: it happens whole or not at all, also when the caller is cancelled
//! while it waits, and steps of concurrent callers happen one after another.
#![expect(
    async_fn_in_trait,
    reason = "guests are single-threaded: no caller needs these futures to be Send"
)]

use std::time::Duration;

use uuid::Uuid;

use crate::key::{KeyRing, SigningKey};
use crate::session::{Digest, Session};
use crate::throttle::Charge;
use crate::{Account, Email, Timestamp};

/// What happened to a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// All were charged.
    Admitted,
    /// None was; there is an attempt again after this long.
    Refused(Duration),
}

/// What became of a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It exists now, and so does its first session.
    Created,
    /// Another account has its address. Nothing was stored.
    EmailTaken,
}

/// What a refresh token was good for.
#[derive(Debug, Clone, PartialEq)]
pub enum Rotation {
    /// The session goes on with the next token; this is whose it is.
    Continued(Account),
    /// No such session, or it had expired. It is gone.
    Refused,
    /// The token had been used before. The session is gone.
    Reused(Uuid),
}

/// Why a store could not do its step. The texts are for the operator.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// Others are at it; worth another try.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// There is no room left.
    #[error("the database is full: {0}")]
    Full(String),
    /// Anything else that went wrong.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// Keeps accounts, sessions, keys and throttles.
pub trait Store {
    /// Charges all or none, and forgets entries that say nothing any more.
    async fn charge(&self, charges: &[Charge], now: Timestamp) -> Result<Admission, StoreError>;

    /// Stores an account with its first session and pays charges back, unless its address is taken.
    async fn create_account(
        &self,
        account: &Account,
        session: &Session,
        refunds: &[Charge],
    ) -> Result<Creation, StoreError>;

    /// The account of an address.
    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;

    /// The account of an id.
    async fn account_by_id(&self, id: Uuid) -> Result<Option<Account>, StoreError>;

    /// Stores a session and pays charges back. Forgets expired sessions, and the account's oldest beyond
    /// [`crate::session::MAX_SESSIONS`].
    async fn open_session(&self, session: &Session, refunds: &[Charge]) -> Result<(), StoreError>;

    /// Judges a token by the digests of its session and secret ([`Session::judge`]), and either moves the session on
    /// to `next` until `expires_at` or ends it.
    async fn rotate_session(
        &self,
        presented: (Digest, Digest),
        next: Digest,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Rotation, StoreError>;

    /// Ends a session, if there is one.
    async fn end_session(&self, id: Digest) -> Result<(), StoreError>;

    /// All signing keys.
    async fn keys(&self) -> Result<KeyRing, StoreError>;

    /// Stores `next` if the newest key is still `newest` (by `kid`; none if there was none), forgets `retired`, and
    /// answers what is stored then: of instances that rotate at the same time one wins and all see its key.
    async fn succeed_key(
        &self,
        newest: Option<&str>,
        next: &SigningKey,
        retired: &[String],
    ) -> Result<KeyRing, StoreError>;

    /// Whether [`Store::bootstrap`] has happened.
    async fn bootstrapped(&self) -> Result<bool, StoreError>;

    /// Stores the first account, once in the life of the store. `announce` is called as the last thing before the
    /// step becomes final, by the one caller that makes it. Answers whether this was that caller.
    async fn bootstrap(&self, admin: &Account, announce: &dyn Fn()) -> Result<bool, StoreError>;
}

/// Tells the time.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The source of randomness failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("no randomness: {0}")]
pub struct RandomError(pub String);

/// Makes bytes that nobody can predict.
pub trait Random {
    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// If the source fails; then no byte may be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
}
