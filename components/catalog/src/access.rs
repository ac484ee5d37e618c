//! Who sent a request: access tokens of the service `auth`, checked here against its published keys.
//!
//! A token is a JWT (RFC 7519) signed with Ed25519 (`EdDSA`, RFC 8037); no other algorithm is looked at.
//! Pure: where the keys come from is [`keys`]' business.

pub mod keys;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalog_domain::time::Timestamp;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The `iss` of every token of the shop.
pub const ISSUER: &str = "shop-auth";
/// The `aud` of every token of the shop.
pub const AUDIENCE: &str = "shop";
/// The role that may write.
pub const ADMIN: &str = "admin";
/// The longest token that is looked at, in bytes.
pub const TOKEN_MAX: usize = 4096;
/// How far the clock of `auth` may be ahead of ours, in seconds.
const AHEAD_SECONDS: u64 = 5;

/// Why a token is not good. The texts are safe to show and to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT of the kind that `auth` issues.
    #[error("the access token is malformed: {0}")]
    Malformed(&'static str),
    /// Not signed by a key of `auth`.
    #[error("the access token was not issued here")]
    Forged,
    /// Good, but for another time.
    #[error("the access token is not valid yet")]
    NotYet,
    /// It was good once.
    #[error("the access token has expired: get a new one")]
    Expired,
}

/// Who a good token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user's id.
    pub subject: String,
    /// Lower-case role names.
    pub roles: Vec<String>,
}

impl Principal {
    /// Whether they have a role.
    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|has| has == role)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: u64,
    nbf: Option<u64>,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// A token whose form is right and whose signature has not been looked at.
#[derive(Debug)]
pub struct Unverified<'a> {
    /// The id of the key that is said to have signed it.
    pub kid: String,
    signed: &'a [u8],
    claims: &'a str,
    signature: Signature,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn parse(token: &'a str) -> Result<Self, TokenError> {
        use TokenError::Malformed;
        if token.len() > TOKEN_MAX {
            return Err(Malformed("it is too long"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Malformed("it has no three parts"))?;
        let (header, claims) = signed.split_once('.').ok_or(Malformed("it has no three parts"))?;
        if claims.contains('.') {
            return Err(Malformed("it has no three parts"));
        }
        let header: Header = part(header).ok_or(Malformed("its header cannot be read"))?;
        if header.alg != "EdDSA" {
            return Err(Malformed("its algorithm is not EdDSA"));
        }
        let jwt = |typ: &str| {
            ["jwt", "at+jwt", "application/at+jwt"]
                .iter()
                .any(|t| typ.eq_ignore_ascii_case(t))
        };
        if header.crit.is_some() || !header.typ.as_deref().is_none_or(jwt) {
            return Err(Malformed("it is of a kind that is not known here"));
        }
        let kid = header.kid.ok_or(Malformed("it does not name its key"))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok();
        let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
        let signature = signature.ok_or(Malformed("its signature cannot be read"))?;
        Ok(Self {
            kid,
            signed: signed.as_bytes(),
            claims,
            signature,
        })
    }

    /// Who the token speaks for, if it was signed by this key, for us, and is valid now.
    ///
    /// # Errors
    /// The first that is not so; what it says is not looked at before its signature is known to be right.
    pub fn verify(&self, key: &VerifyingKey, now: Timestamp) -> Result<Principal, TokenError> {
        key.verify_strict(self.signed, &self.signature)
            .map_err(|_| TokenError::Forged)?;
        let claims: Claims = part(self.claims).ok_or(TokenError::Malformed("its claims cannot be read"))?;
        let for_us = match &claims.aud {
            Audience::One(audience) => audience == AUDIENCE,
            Audience::Several(audiences) => audiences.iter().any(|audience| audience == AUDIENCE),
        };
        if claims.iss != ISSUER || !for_us {
            return Err(TokenError::Forged);
        }
        if claims.exp <= now.seconds() {
            return Err(TokenError::Expired);
        }
        if claims
            .nbf
            .is_some_and(|begin| begin > now.seconds().saturating_add(AHEAD_SECONDS))
        {
            return Err(TokenError::NotYet);
        }
        Ok(Principal {
            subject: claims.sub,
            roles: claims.roles,
        })
    }
}

fn part<T: DeserializeOwned>(part: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    // A derived struct could also be read from an array.
    json.first().filter(|first| **first == b'{')?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
pub(crate) mod tests;
