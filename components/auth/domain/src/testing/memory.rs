//! A store that forgets everything when it is dropped.

use std::cell::RefCell;
use std::collections::HashMap;

use uuid::Uuid;

use crate::key::{KeyRing, SigningKey};
use crate::port::{Admission, Creation, Rotation, StoreError};
use crate::session::{Digest, MAX_SESSIONS, Session, Verdict};
use crate::throttle::{Charge, MAX_ENTRIES, Subject, charge_all};
use crate::{Account, Email, Store, Timestamp};

/// Keeps everything in memory. Steps are atomic because nothing in them waits.
#[derive(Debug, Default)]
pub struct Memory(RefCell<Tables>);

#[derive(Debug, Default)]
struct Tables {
    accounts: Vec<Account>,
    sessions: Vec<Session>,
    keys: Vec<SigningKey>,
    throttle: HashMap<Subject, Timestamp>,
    bootstrapped: bool,
    failure: Option<StoreError>,
}

impl Memory {
    /// From now on every step fails with this, until it is told otherwise.
    pub fn fail_with(&self, failure: Option<StoreError>) {
        self.0.borrow_mut().failure = failure;
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.0.borrow().sessions.len()
    }

    /// Removes an account, which no operation does yet.
    pub fn remove_account(&self, email: &Email) {
        self.0
            .borrow_mut()
            .accounts
            .retain(|account| account.email != *email);
    }

    fn step<T>(&self, step: impl FnOnce(&mut Tables) -> T) -> Result<T, StoreError> {
        let mut tables = self.0.borrow_mut();
        match &tables.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(step(&mut tables)),
        }
    }
}

impl Tables {
    fn refund(&mut self, refunds: &[Charge]) {
        for charge in refunds {
            if let Some(paid_off) = self.throttle.get_mut(&charge.subject) {
                *paid_off = charge.allowance.refund(*paid_off);
            }
        }
    }

    fn open(&mut self, session: &Session) {
        self.sessions.retain(|other| other.expires_at > session.used_at);
        self.sessions.push(session.clone());
        let mut own: Vec<_> = self
            .sessions
            .iter()
            .filter(|other| other.account == session.account)
            .collect();
        own.sort_by_key(|other| std::cmp::Reverse((other.used_at, other.id == session.id)));
        let surplus: Vec<_> = own
            .into_iter()
            .skip(MAX_SESSIONS as usize)
            .map(|other| other.id)
            .collect();
        self.sessions.retain(|other| !surplus.contains(&other.id));
    }
}

impl Store for Memory {
    async fn charge(&self, charges: &[Charge], now: Timestamp) -> Result<Admission, StoreError> {
        self.step(|tables| {
            tables.throttle.retain(|_, paid_off| *paid_off > now);
            let known: Vec<_> = charges
                .iter()
                .map(|charge| (*charge, tables.throttle.get(&charge.subject).copied()))
                .collect();
            match charge_all(&known, now) {
                Ok(charged) => {
                    tables.throttle.extend(charged);
                    let surplus = tables.throttle.len().saturating_sub(MAX_ENTRIES as usize);
                    let mut soonest: Vec<_> = tables
                        .throttle
                        .iter()
                        .map(|(subject, at)| (*at, *subject))
                        .collect();
                    soonest.sort();
                    for (_, subject) in soonest.into_iter().take(surplus) {
                        tables.throttle.remove(&subject);
                    }
                    Admission::Admitted
                }
                Err(wait) => Admission::Refused(wait),
            }
        })
    }

    async fn create_account(
        &self,
        account: &Account,
        session: &Session,
        refunds: &[Charge],
    ) -> Result<Creation, StoreError> {
        self.step(|tables| {
            if tables.accounts.iter().any(|other| other.email == account.email) {
                return Creation::EmailTaken;
            }
            tables.accounts.push(account.clone());
            tables.open(session);
            tables.refund(refunds);
            Creation::Created
        })
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.step(|tables| {
            tables
                .accounts
                .iter()
                .find(|account| account.email == *email)
                .cloned()
        })
    }

    async fn account_by_id(&self, id: Uuid) -> Result<Option<Account>, StoreError> {
        self.step(|tables| tables.accounts.iter().find(|account| account.id == id).cloned())
    }

    async fn open_session(&self, session: &Session, refunds: &[Charge]) -> Result<(), StoreError> {
        self.step(|tables| {
            tables.open(session);
            tables.refund(refunds);
        })
    }

    async fn rotate_session(
        &self,
        (id, secret): (Digest, Digest),
        next: Digest,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        self.step(|tables| {
            let Some(session) = tables.sessions.iter_mut().find(|session| session.id == id) else {
                return Rotation::Refused;
            };
            let owner = session.account;
            let account = tables
                .accounts
                .iter()
                .find(|account| account.id == owner)
                .cloned();
            let outcome = match (session.judge(&secret, now), account) {
                (Verdict::Continue, Some(account)) => {
                    (session.secret, session.used_at, session.expires_at) = (next, now, expires_at);
                    return Rotation::Continued(account);
                }
                (Verdict::Reused, _) => Rotation::Reused(owner),
                (Verdict::Continue | Verdict::Expired, _) => Rotation::Refused,
            };
            tables.sessions.retain(|session| session.id != id);
            outcome
        })
    }

    async fn end_session(&self, id: Digest) -> Result<(), StoreError> {
        self.step(|tables| tables.sessions.retain(|session| session.id != id))
    }

    async fn keys(&self) -> Result<KeyRing, StoreError> {
        self.step(|tables| KeyRing::new(tables.keys.clone()))
    }

    async fn succeed_key(
        &self,
        newest: Option<&str>,
        next: &SigningKey,
        retired: &[String],
    ) -> Result<KeyRing, StoreError> {
        self.step(|tables| {
            let ring = KeyRing::new(tables.keys.clone());
            if ring.newest().map(SigningKey::kid) == newest {
                tables
                    .keys
                    .retain(|key| !retired.iter().any(|kid| kid == key.kid()));
                tables.keys.push(next.clone());
            }
            KeyRing::new(tables.keys.clone())
        })
    }

    async fn bootstrapped(&self) -> Result<bool, StoreError> {
        self.step(|tables| tables.bootstrapped)
    }

    async fn bootstrap(&self, admin: &Account, announce: &dyn Fn()) -> Result<bool, StoreError> {
        self.step(|tables| {
            if tables.bootstrapped {
                return false;
            }
            tables.accounts.push(admin.clone());
            tables.bootstrapped = true;
            announce();
            true
        })
    }
}
