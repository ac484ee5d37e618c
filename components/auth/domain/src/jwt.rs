//! Access tokens: JSON Web Tokens (RFC 7519) in compact form, signed with EdDSA over Ed25519 (RFC 8037).
//!
//! There is one algorithm and one kind of key, so nothing in a token chooses how it is checked: a header that names
//! another algorithm, no key, or anything that we do not write ourselves is refused before any cryptography.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::key::SigningKey;
use crate::policy::{AUDIENCE, ISSUER};

/// The longest token that is looked at, in bytes. Ours have about 600.
pub const MAX_LENGTH: usize = 4096;

/// How far ahead of ours the clock of the instance that signed may be.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "JWT";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed it: [`ISSUER`].
    pub iss: String,
    /// Whom it is for: [`AUDIENCE`].
    pub aud: String,
    /// The account's id.
    pub sub: String,
    /// The account's address.
    pub email: String,
    /// Names of roles.
    pub roles: Vec<String>,
    /// When it was signed, in seconds since the Unix epoch.
    pub iat: u64,
    /// When it stops being valid, in seconds since the Unix epoch.
    pub exp: u64,
    /// The token's own id.
    pub jti: String,
}

/// Why a token is not good. None of these quotes the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not of the form of a token.
    #[error("malformed token: {0}")]
    Malformed(&'static str),
    /// Another algorithm than ours, `none` included.
    #[error("the token is not signed with EdDSA")]
    Algorithm,
    /// Signed, it says, with a key that we do not have.
    #[error("the token names a signing key that is not ours, or no longer")]
    UnknownKey,
    /// The signature is not that key's over this text.
    #[error("the token's signature is wrong")]
    Signature,
    /// Rightly signed, for another purpose.
    #[error("the token is from another issuer or for another audience")]
    Purpose,
    /// Rightly signed, in the future.
    #[error("the token was issued in the future")]
    NotYetValid,
    /// It was valid once.
    #[error("the token has expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// Writes and signs a token.
pub fn sign(key: &SigningKey, claims: &Claims) -> String {
    let header = Header {
        alg: ALGORITHM.to_owned(),
        kid: key.kid().to_owned(),
        typ: TYPE.to_owned(),
    };
    let mut token = format!("{}.{}", encode(&header), encode(claims));
    let signature = key.secret().sign(token.as_bytes());
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature.to_bytes()));
    token
}

/// Reads a token and checks all that it says: form, algorithm, key, signature, purpose and lifetime, in this order.
/// `key` finds a public key by its `kid`.
///
/// # Errors
/// The first of these that is not right. [`TokenError::Expired`] is only ever said of a token that is ours.
pub fn verify(
    token: &str,
    key: impl FnOnce(&str) -> Option<VerifyingKey>,
    now: Timestamp,
) -> Result<Claims, TokenError> {
    if token.len() > MAX_LENGTH {
        return Err(TokenError::Malformed("too long"));
    }
    let (signed, signature) = token
        .rsplit_once('.')
        .ok_or(TokenError::Malformed("not three parts"))?;
    let (header, claims) = signed
        .split_once('.')
        .ok_or(TokenError::Malformed("not three parts"))?;
    let algorithm: Algorithm = decode(header).ok_or(TokenError::Malformed("the header is not JSON"))?;
    if algorithm.alg != ALGORITHM {
        return Err(TokenError::Algorithm);
    }
    let header: Header = decode(header).ok_or(TokenError::Malformed("the header is not alg, kid and typ"))?;
    if header.typ != TYPE {
        return Err(TokenError::Malformed("typ is not JWT"));
    }
    let key = key(&header.kid).ok_or(TokenError::UnknownKey)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .ok()
        .and_then(|bytes| Signature::from_slice(&bytes).ok())
        .ok_or(TokenError::Malformed(
            "the signature is not 64 bytes of base64url",
        ))?;
    key.verify_strict(signed.as_bytes(), &signature)
        .map_err(|_| TokenError::Signature)?;
    let claims: Claims = decode(claims).ok_or(TokenError::Malformed(
        "the claims are not those of an access token",
    ))?;
    if claims.iss != ISSUER || claims.aud != AUDIENCE {
        return Err(TokenError::Purpose);
    }
    if claims.exp <= now.seconds() {
        return Err(TokenError::Expired);
    }
    if claims.iat > now.plus(CLOCK_SKEW).seconds() {
        return Err(TokenError::NotYetValid);
    }
    Ok(claims)
}

#[derive(Deserialize)]
struct Algorithm {
    alg: String,
}

fn encode<T: Serialize>(part: &T) -> String {
    // Structs of strings and numbers always have a JSON form.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap_or_default())
}

fn decode<T: for<'a> Deserialize<'a>>(part: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    // A derived struct would also be read from an array.
    if json.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests;
