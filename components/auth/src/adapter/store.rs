//! The domain's store in SQL.
//!
//! Each step that writes is one immediate transaction, so what it decides on cannot change under it. Steps that only
//! read are single statements.

use std::str::FromStr;

use auth_domain::account::Role;
use auth_domain::key::{KeyRing, SigningKey};
use auth_domain::port::{Admission, Creation, Rotation, StoreError};
use auth_domain::session::{Digest, MAX_SESSIONS, Session, Verdict};
use auth_domain::throttle::{Charge, MAX_ENTRIES, charge_all};
use auth_domain::{Account, Email, Store, Timestamp};
use spin_sdk::sqlite::Value;
use uuid::Uuid;

use super::database::{Database, Row, immediate};

const ACCOUNT: &str = "SELECT id, email, roles, password_hash, created_at FROM auth_accounts WHERE";

/// A store in the tables of [`super::schema`].
#[derive(Clone)]
pub(crate) struct SqlStore<D>(pub(crate) D);

impl<D: Database> SqlStore<D> {
    async fn rows(&self, statement: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.0.rows(statement, parameters).await
    }

    async fn run(&self, statement: &str, parameters: Vec<Value>) -> Result<(), StoreError> {
        self.rows(statement, parameters).await.map(drop)
    }

    async fn account(&self, condition: &str, value: String) -> Result<Option<Account>, StoreError> {
        let rows = self
            .rows(&format!("{ACCOUNT} {condition}"), vec![Value::Text(value)])
            .await?;
        rows.into_iter().next().map(account_from).transpose()
    }

    /// Whether it was stored: not if its address is taken.
    async fn insert_account(&self, account: &Account) -> Result<bool, StoreError> {
        let roles: Vec<_> = account.roles.iter().map(Role::to_string).collect();
        let stored = self
            .rows(
                "INSERT INTO auth_accounts (id, email, roles, password_hash, created_at) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT (email) DO NOTHING RETURNING id",
                vec![
                    Value::Text(account.id.to_string()),
                    Value::Text(account.email.to_string()),
                    Value::Text(roles.join(" ")),
                    Value::Text(account.password_hash.clone()),
                    time(account.created_at),
                ],
            )
            .await?;
        Ok(!stored.is_empty())
    }

    async fn insert_session(&self, session: &Session) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM auth_sessions WHERE expires_at <= ?",
            vec![time(session.used_at)],
        )
        .await?;
        let account = Value::Text(session.account.to_string());
        // The new one is not among those that make room for it.
        self.run(
            "DELETE FROM auth_sessions WHERE id IN
             (SELECT id FROM auth_sessions WHERE account = ? ORDER BY used_at DESC LIMIT -1 OFFSET ?)",
            vec![account.clone(), Value::Integer(i64::from(MAX_SESSIONS) - 1)],
        )
        .await?;
        self.run(
            "INSERT INTO auth_sessions (id, secret, account, used_at, expires_at) VALUES (?, ?, ?, ?, ?)",
            vec![
                digest(session.id),
                digest(session.secret),
                account,
                time(session.used_at),
                time(session.expires_at),
            ],
        )
        .await
    }

    async fn session(&self, id: Digest) -> Result<Option<Session>, StoreError> {
        let rows = self
            .rows(
                "SELECT secret, account, used_at, expires_at FROM auth_sessions WHERE id = ?",
                vec![digest(id)],
            )
            .await?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let mut row = Columns::of(row);
        Ok(Some(Session {
            id,
            secret: Digest(row.bytes()?),
            account: row.parsed()?,
            used_at: row.time()?,
            expires_at: row.time()?,
        }))
    }

    async fn delete_session(&self, id: Digest) -> Result<(), StoreError> {
        self.run("DELETE FROM auth_sessions WHERE id = ?", vec![digest(id)])
            .await
    }

    async fn refund(&self, refunds: &[Charge]) -> Result<(), StoreError> {
        for charge in refunds {
            let subject = Value::Blob(charge.subject.as_bytes().to_vec());
            let entry = "SELECT paid_off_at FROM auth_throttle WHERE subject = ?";
            if let Some(row) = self.rows(entry, vec![subject.clone()]).await?.into_iter().next() {
                let paid_off = charge.allowance.refund(Columns::of(row).time()?);
                self.run(
                    "UPDATE auth_throttle SET paid_off_at = ? WHERE subject = ?",
                    vec![time(paid_off), subject],
                )
                .await?;
            }
        }
        Ok(())
    }

    /// Drops what says nothing any more, and beyond the bound what says least.
    async fn prune_throttle(&self, now: Timestamp) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM auth_throttle WHERE paid_off_at <= ?",
            vec![time(now)],
        )
        .await?;
        self.run(
            "DELETE FROM auth_throttle WHERE subject IN
             (SELECT subject FROM auth_throttle ORDER BY paid_off_at DESC LIMIT -1 OFFSET ?)",
            vec![Value::Integer(i64::from(MAX_ENTRIES))],
        )
        .await
    }
}

impl<D: Database> Store for SqlStore<D> {
    async fn charge(&self, charges: &[Charge], now: Timestamp) -> Result<Admission, StoreError> {
        immediate(&self.0, async || {
            self.prune_throttle(now).await?;
            let mut known = Vec::with_capacity(charges.len());
            for charge in charges {
                let subject = Value::Blob(charge.subject.as_bytes().to_vec());
                let entry = "SELECT paid_off_at FROM auth_throttle WHERE subject = ?";
                let row = self.rows(entry, vec![subject]).await?.into_iter().next();
                known.push((*charge, row.map(|row| Columns::of(row).time()).transpose()?));
            }
            let charged = match charge_all(&known, now) {
                Ok(charged) => charged,
                Err(wait) => return Ok(Admission::Refused(wait)),
            };
            for (subject, paid_off) in charged {
                self.run(
                    "INSERT INTO auth_throttle (subject, paid_off_at) VALUES (?, ?)
                     ON CONFLICT (subject) DO UPDATE SET paid_off_at = excluded.paid_off_at",
                    vec![Value::Blob(subject.as_bytes().to_vec()), time(paid_off)],
                )
                .await?;
            }
            Ok(Admission::Admitted)
        })
        .await
    }

    async fn create_account(
        &self,
        account: &Account,
        session: &Session,
        refunds: &[Charge],
    ) -> Result<Creation, StoreError> {
        immediate(&self.0, async || {
            if !self.insert_account(account).await? {
                return Ok(Creation::EmailTaken);
            }
            self.insert_session(session).await?;
            self.refund(refunds).await?;
            Ok(Creation::Created)
        })
        .await
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.account("email = ?", email.to_string()).await
    }

    async fn account_by_id(&self, id: Uuid) -> Result<Option<Account>, StoreError> {
        self.account("id = ?", id.to_string()).await
    }

    async fn open_session(&self, session: &Session, refunds: &[Charge]) -> Result<(), StoreError> {
        immediate(&self.0, async || {
            self.insert_session(session).await?;
            self.refund(refunds).await
        })
        .await
    }

    async fn rotate_session(
        &self,
        (id, secret): (Digest, Digest),
        next: Digest,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        immediate(&self.0, async || {
            let Some(session) = self.session(id).await? else {
                return Ok(Rotation::Refused);
            };
            let account = self.account_by_id(session.account).await?;
            let outcome = match (session.judge(&secret, now), account) {
                (Verdict::Continue, Some(account)) => {
                    self.run(
                        "UPDATE auth_sessions SET secret = ?, used_at = ?, expires_at = ? WHERE id = ?",
                        vec![digest(next), time(now), time(expires_at), digest(id)],
                    )
                    .await?;
                    return Ok(Rotation::Continued(account));
                }
                (Verdict::Reused, _) => Rotation::Reused(session.account),
                (Verdict::Continue | Verdict::Expired, _) => Rotation::Refused,
            };
            self.delete_session(id).await?;
            Ok(outcome)
        })
        .await
    }

    async fn end_session(&self, id: Digest) -> Result<(), StoreError> {
        self.delete_session(id).await
    }

    async fn keys(&self) -> Result<KeyRing, StoreError> {
        let rows = self
            .rows("SELECT seed, created_at FROM auth_signing_keys", vec![])
            .await?;
        let key = |row| {
            let mut row = Columns::of(row);
            Ok(SigningKey::new(row.bytes()?, row.time()?))
        };
        Ok(KeyRing::new(
            rows.into_iter().map(key).collect::<Result<_, StoreError>>()?,
        ))
    }

    async fn succeed_key(
        &self,
        newest: Option<&str>,
        next: &SigningKey,
        retired: &[String],
    ) -> Result<KeyRing, StoreError> {
        immediate(&self.0, async || {
            let ring = self.keys().await?;
            if ring.newest().map(SigningKey::kid) != newest {
                return Ok(ring);
            }
            for kid in retired {
                self.run(
                    "DELETE FROM auth_signing_keys WHERE kid = ?",
                    vec![Value::Text(kid.clone())],
                )
                .await?;
            }
            self.run(
                "INSERT INTO auth_signing_keys (kid, seed, created_at) VALUES (?, ?, ?)",
                vec![
                    Value::text(next.kid()),
                    Value::Blob(next.seed().to_vec()),
                    time(next.created_at()),
                ],
            )
            .await?;
            self.keys().await
        })
        .await
    }

    async fn bootstrapped(&self) -> Result<bool, StoreError> {
        Ok(!self
            .rows("SELECT done_at FROM auth_bootstrap", vec![])
            .await?
            .is_empty())
    }

    async fn bootstrap(&self, admin: &Account, announce: &dyn Fn()) -> Result<bool, StoreError> {
        immediate(&self.0, async || {
            if self.bootstrapped().await? {
                return Ok(false);
            }
            self.run(
                "INSERT INTO auth_bootstrap (done_at) VALUES (?)",
                vec![time(admin.created_at)],
            )
            .await?;
            let created = self.insert_account(admin).await?;
            if created {
                announce();
            }
            Ok(created)
        })
        .await
    }
}

fn account_from(row: Row) -> Result<Account, StoreError> {
    let mut row = Columns::of(row);
    let id = row.parsed()?;
    let email = row.parsed()?;
    let roles = row
        .text()?
        .split(' ')
        .filter(|name| !name.is_empty())
        .map(parse)
        .collect::<Result<_, _>>()?;
    Ok(Account {
        id,
        email,
        roles,
        password_hash: row.text()?,
        created_at: row.time()?,
    })
}

fn time(time: Timestamp) -> Value {
    Value::Integer(i64::try_from(time.seconds()).unwrap_or(i64::MAX))
}

fn digest(digest: Digest) -> Value {
    Value::Blob(digest.0.to_vec())
}

fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, StoreError> {
    text.parse()
        .map_err(|error| StoreError::Failed(format!("a stored value is not what it should be: {error}")))
}

/// Takes the columns of a row one after another, by type.
struct Columns(std::vec::IntoIter<Value>);

impl Columns {
    fn of(row: Row) -> Self {
        Self(row.into_iter())
    }

    fn wrong<T>(expected: &str) -> Result<T, StoreError> {
        Err(StoreError::Failed(format!("a stored value is not {expected}")))
    }

    fn text(&mut self) -> Result<String, StoreError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            _ => Self::wrong("a text"),
        }
    }

    fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self) -> Result<T, StoreError> {
        parse(&self.text()?)
    }

    fn bytes(&mut self) -> Result<[u8; 32], StoreError> {
        match self.0.next() {
            Some(Value::Blob(bytes)) => bytes.try_into().or_else(|_| Self::wrong("32 bytes")),
            _ => Self::wrong("32 bytes"),
        }
    }

    fn time(&mut self) -> Result<Timestamp, StoreError> {
        match self.0.next() {
            Some(Value::Integer(seconds)) => u64::try_from(seconds)
                .map(Timestamp::from_seconds)
                .or_else(|_| Self::wrong("a time")),
            _ => Self::wrong("a time"),
        }
    }
}

#[cfg(test)]
mod tests;
