//! An account and what it may do.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::{Email, Timestamp};

/// What an account may do. Tokens carry the lower-case name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs the shop.
    Admin,
    /// Buys in it.
    Customer,
}

impl Role {
    /// The name as tokens and documents have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Customer => "customer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no role.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0:?} is not a role: admin, customer")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        match name {
            "admin" => Ok(Self::Admin),
            "customer" => Ok(Self::Customer),
            other => Err(UnknownRole(other.to_owned())),
        }
    }
}

/// Someone who can log in.
#[derive(Clone, PartialEq)]
pub struct Account {
    /// Stable for the life of the account; the `sub` of its tokens.
    pub id: Uuid,
    /// Unique among accounts.
    pub email: Email,
    /// In the order of [`Role`], without repetition.
    pub roles: Vec<Role>,
    /// The password as a PHC string.
    pub password_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for Account {
    /// Without the hash, which has no business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("email", &self.email)
            .field("roles", &self.roles)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_by_their_own_names() {
        for role in [Role::Admin, Role::Customer] {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("Admin".parse::<Role>().is_err());
        assert!("".parse::<Role>().is_err());
    }

    #[test]
    fn debug_output_has_no_hash() {
        let account = Account {
            id: Uuid::nil(),
            email: "a@example.com".parse().unwrap(),
            roles: vec![Role::Customer],
            password_hash: "$argon2id$secret".to_owned(),
            created_at: Timestamp::from_seconds(0),
        };
        assert!(!format!("{account:?}").contains("argon2id"));
    }
}
