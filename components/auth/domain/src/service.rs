//! The operations of the service, over its ports.
//!
//! Each reads as the steps that it takes. What has to happen together is one step of the store; a token is signed
//! before the step that makes its session final, so that a failure leaves neither.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::account::Role;
use crate::bootstrap::Announcement;
use crate::email::EmailError;
use crate::jwt::{self, TokenError};
use crate::key::{Jwks, KeyRing, SigningKey};
use crate::password::{self, HashError, PasswordError};
use crate::policy::{AUDIENCE, ISSUER};
use crate::port::{Admission, Creation, RandomError, Rotation, StoreError};
use crate::session::{RefreshToken, Session, TOKEN_LENGTH};
use crate::throttle::Charge;
use crate::{Account, Admin, Claims, Client, Clock, Email, Hasher, Password, Policy, Random, Store};

/// What a client gets when it has proved who it is.
#[derive(Debug, Clone)]
pub struct Grant {
    /// For every request, as a bearer token.
    pub access_token: String,
    /// For the next grant, once.
    pub refresh_token: RefreshToken,
    /// How long the access token lives.
    pub expires_in: Duration,
}

/// Why an operation did not do what was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AuthError {
    /// The address is none.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// The password is out of its bounds.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Someone has this address.
    #[error("an account with this e-mail address exists already")]
    EmailTaken,
    /// No account has this address, or it has another password; which one is not said.
    #[error("wrong e-mail address or password")]
    BadCredentials,
    /// Too many attempts; there is one again after this long.
    #[error("too many attempts")]
    Throttled(Duration),
    /// The refresh token is unknown, used, expired or revoked; which one is not said.
    #[error("the refresh token is not good (any more)")]
    BadRefreshToken,
    /// The refresh token had been used before; its session, of this account, is over. Clients hear the same as for
    /// [`AuthError::BadRefreshToken`].
    #[error("a used refresh token came back")]
    ReusedRefreshToken(Uuid),
    /// The access token is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The access token is good, its account is gone.
    #[error("the account of this token is gone")]
    AccountGone,
    /// The store could not do its step.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source of randomness failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// The service, complete with what it needs.
#[derive(Debug, Clone)]
pub struct Auth<S, C, R> {
    /// Where everything is kept.
    pub store: S,
    /// The time.
    pub clock: C,
    /// Randomness.
    pub random: R,
    /// How passwords are hashed.
    pub hasher: Hasher,
    /// How long things live.
    pub policy: Policy,
}

impl<S: Store, C: Clock, R: Random> Auth<S, C, R> {
    /// Makes a customer's account and logs it in. Charged to the client like a failed login when the address is
    /// taken, so that asking for addresses is as slow as guessing passwords.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn register(&self, email: &str, password: &str, client: &Client) -> Result<Grant, AuthError> {
        let email: Email = email.parse()?;
        let password = Password::new(password)?;
        let charges = [Charge::client(client)];
        self.admit(&charges).await?;
        let account = self.new_account(email, &password, Role::Customer)?;
        let (grant, session) = self.grant(&account).await?;
        match self.store.create_account(&account, &session, &charges).await? {
            Creation::Created => Ok(grant),
            Creation::EmailTaken => Err(AuthError::EmailTaken),
        }
    }

    /// Logs in. A wrong password and an unknown address take the same time and give the same answer.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn login(&self, email: &str, password: &str, client: &Client) -> Result<Grant, AuthError> {
        let email: Email = email.parse().map_err(|_| AuthError::BadCredentials)?;
        if password.chars().count() > password::MAX_LENGTH {
            return Err(AuthError::BadCredentials);
        }
        let charges = [Charge::client(client), Charge::account(&email)];
        self.admit(&charges).await?;
        let account = self.store.account_by_email(&email).await?;
        let stored = account.as_ref().map(|account| account.password_hash.as_str());
        let account = match (self.hasher.verify(password, stored)?, account) {
            (true, Some(account)) => account,
            _ => return Err(AuthError::BadCredentials),
        };
        let (grant, session) = self.grant(&account).await?;
        self.store.open_session(&session, &charges).await?;
        Ok(grant)
    }

    /// Trades a refresh token for a new grant. The token is used up, whatever comes of it.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn refresh(&self, refresh_token: &str) -> Result<Grant, AuthError> {
        let presented = RefreshToken::parse(refresh_token).ok_or(AuthError::BadRefreshToken)?;
        // Before the token is used up, so that a failure here does not cost the client its session.
        let key = self.signing_key().await?;
        let next = presented.next(self.bytes()?);
        let jti = self.uuid()?;
        let now = self.clock.now();
        let expires_at = now.plus(self.policy.refresh_token);
        let digests = (presented.session(), presented.secret());
        match self
            .store
            .rotate_session(digests, next.secret(), expires_at, now)
            .await?
        {
            Rotation::Continued(account) => Ok(Grant {
                access_token: jwt::sign(&key, &self.claims(&account, jti)),
                refresh_token: next,
                expires_in: self.policy.access_token,
            }),
            Rotation::Refused => Err(AuthError::BadRefreshToken),
            Rotation::Reused(account) => Err(AuthError::ReusedRefreshToken(account)),
        }
    }

    /// Ends the session of a refresh token, used or not. Of a token that is none: nothing to end, no error.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn logout(&self, refresh_token: &str) -> Result<(), AuthError> {
        match RefreshToken::parse(refresh_token) {
            Some(token) => Ok(self.store.end_session(token.session()).await?),
            None => Ok(()),
        }
    }

    /// The account of an access token, as it is now.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn me(&self, access_token: &str) -> Result<Account, AuthError> {
        let claims = self.verify(access_token).await?;
        let id = Uuid::try_parse(&claims.sub).map_err(|_| TokenError::Malformed("sub is not a UUID"))?;
        self.store.account_by_id(id).await?.ok_or(AuthError::AccountGone)
    }

    /// Checks an access token and says what it says.
    ///
    /// # Errors
    /// [`AuthError::Token`] or [`AuthError::Store`].
    pub async fn verify(&self, access_token: &str) -> Result<Claims, AuthError> {
        let ring = self.store.keys().await?;
        Ok(jwt::verify(
            access_token,
            |kid| ring.public(kid),
            self.clock.now(),
        )?)
    }

    /// The public keys that tokens can be checked with.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn jwks(&self) -> Result<Jwks, AuthError> {
        Ok(self
            .current_ring()
            .await?
            .published(&self.policy, self.clock.now()))
    }

    /// Makes the first admin, once in the life of the store. `announce` hears of it, and of a made-up password, just
    /// before it becomes final.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn bootstrap(&self, admin: &Admin, announce: &dyn Fn(&Announcement)) -> Result<(), AuthError> {
        if self.store.bootstrapped().await? {
            return Ok(());
        }
        let (password, generated_password) = match &admin.password {
            Some(password) => (password.clone(), None),
            None => {
                let made_up = URL_SAFE_NO_PAD.encode(self.bytes::<18>()?);
                (Password::new(made_up.clone())?, Some(made_up))
            }
        };
        let account = self.new_account(admin.email.clone(), &password, Role::Admin)?;
        let announcement = Announcement {
            email: admin.email.clone(),
            generated_password,
        };
        self.store
            .bootstrap(&account, &|| announce(&announcement))
            .await?;
        Ok(())
    }

    async fn admit(&self, charges: &[Charge]) -> Result<(), AuthError> {
        match self.store.charge(charges, self.clock.now()).await? {
            Admission::Admitted => Ok(()),
            Admission::Refused(wait) => Err(AuthError::Throttled(wait)),
        }
    }

    fn new_account(&self, email: Email, password: &Password, role: Role) -> Result<Account, AuthError> {
        Ok(Account {
            id: self.uuid()?,
            email,
            roles: vec![role],
            password_hash: self.hasher.hash(password, &self.bytes()?)?,
            created_at: self.clock.now(),
        })
    }

    async fn grant(&self, account: &Account) -> Result<(Grant, Session), AuthError> {
        let key = self.signing_key().await?;
        let refresh_token = RefreshToken::first(self.bytes::<TOKEN_LENGTH>()?);
        let now = self.clock.now();
        let session = Session {
            id: refresh_token.session(),
            secret: refresh_token.secret(),
            account: account.id,
            used_at: now,
            expires_at: now.plus(self.policy.refresh_token),
        };
        let access_token = jwt::sign(&key, &self.claims(account, self.uuid()?));
        Ok((
            Grant {
                access_token,
                refresh_token,
                expires_in: self.policy.access_token,
            },
            session,
        ))
    }

    fn claims(&self, account: &Account, jti: Uuid) -> Claims {
        let now = self.clock.now();
        Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: account.id.to_string(),
            email: account.email.to_string(),
            roles: account.roles.iter().map(Role::to_string).collect(),
            iat: now.seconds(),
            exp: now.plus(self.policy.access_token).seconds(),
            jti: jti.to_string(),
        }
    }

    async fn signing_key(&self) -> Result<SigningKey, AuthError> {
        let ring = self.current_ring().await?;
        let missing = || StoreError::Failed("a signing key was stored and is not there".to_owned());
        Ok(ring.newest().cloned().ok_or_else(missing)?)
    }

    /// The keys, the newest of which is good for signing: makes one if there is none or its time is up.
    async fn current_ring(&self) -> Result<KeyRing, AuthError> {
        let ring = self.store.keys().await?;
        let now = self.clock.now();
        if ring.current(&self.policy, now).is_some() {
            return Ok(ring);
        }
        let next = SigningKey::new(self.bytes()?, now);
        let newest = ring.newest().map(SigningKey::kid);
        Ok(self
            .store
            .succeed_key(newest, &next, &ring.retired(&self.policy, now))
            .await?)
    }

    fn uuid(&self) -> Result<Uuid, RandomError> {
        Ok(uuid::Builder::from_random_bytes(self.bytes()?).into_uuid())
    }

    fn bytes<const N: usize>(&self) -> Result<[u8; N], RandomError> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
