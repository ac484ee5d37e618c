//! The JSON documents that come and go, as `openapi.json` describes them.

use auth_domain::account::Role;
use auth_domain::{Account, Grant};
use serde::{Deserialize, Serialize};

/// What registering and logging in take. No `Debug`: it has a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    pub(super) email: String,
    pub(super) password: String,
}

/// What refreshing and logging out take.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshRequest {
    pub(super) refresh_token: String,
}

/// A grant, in the shape of RFC 6749, section 5.1.
#[derive(Serialize)]
pub(super) struct TokenDocument {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: u64,
}

impl From<Grant> for TokenDocument {
    fn from(grant: Grant) -> Self {
        Self {
            access_token: grant.access_token,
            refresh_token: grant.refresh_token.reveal(),
            token_type: "Bearer",
            expires_in: grant.expires_in.as_secs(),
        }
    }
}

/// An account as its owner sees it.
#[derive(Serialize)]
pub(super) struct AccountDocument {
    id: String,
    email: String,
    roles: Vec<&'static str>,
    created_at: String,
}

impl From<Account> for AccountDocument {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.email.to_string(),
            roles: account.roles.iter().copied().map(Role::name).collect(),
            created_at: rest::time::rfc3339(account.created_at.seconds()),
        }
    }
}
