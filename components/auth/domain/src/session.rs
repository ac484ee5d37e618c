//! Sessions: chains of refresh tokens, each good for one use.
//!
//! A refresh token is the random id of its session and a random secret of 256 bits. A session knows the digest of
//! one secret: that of the token handed out last. So any other token of the session has been used before, by its
//! owner or by a thief, and nobody can say which: the session ends for both (RFC 9700, section 4.14.2). Only digests
//! are stored, of the id too: what a database shows can neither continue a session nor end one.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::Timestamp;

/// The most sessions of one account; opening another ends the one that was used longest ago.
pub const MAX_SESSIONS: u32 = 50;

const ID_LENGTH: usize = 16;
const SECRET_LENGTH: usize = 32;

/// The random bytes of one token.
pub const TOKEN_LENGTH: usize = ID_LENGTH + SECRET_LENGTH;

/// A SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// A refresh token. Its `Debug` output does not show it.
#[derive(Clone)]
pub struct RefreshToken([u8; TOKEN_LENGTH]);

impl RefreshToken {
    /// The first token of a new session.
    pub const fn first(random: [u8; TOKEN_LENGTH]) -> Self {
        Self(random)
    }

    /// The next token of the same session.
    #[must_use]
    pub fn next(&self, random: [u8; SECRET_LENGTH]) -> Self {
        let mut bytes = self.0;
        for (byte, fresh) in bytes.iter_mut().skip(ID_LENGTH).zip(random) {
            *byte = fresh;
        }
        Self(bytes)
    }

    /// Reads the text of a token. `None` if it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TOKEN_LENGTH / 3 * 4 {
            return None;
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The text that the client gets.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What its session is stored under.
    pub fn session(&self) -> Digest {
        self.digest(0, ID_LENGTH)
    }

    /// What its session knows of it.
    pub fn secret(&self) -> Digest {
        self.digest(ID_LENGTH, SECRET_LENGTH)
    }

    fn digest(&self, skip: usize, take: usize) -> Digest {
        let bytes: Vec<u8> = self.0.iter().copied().skip(skip).take(take).collect();
        Digest(Sha256::digest(bytes).into())
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Digest of its id.
    pub id: Digest,
    /// Digest of the secret of the token handed out last.
    pub secret: Digest,
    /// Whose it is.
    pub account: Uuid,
    /// When its last token was handed out.
    pub used_at: Timestamp,
    /// When that token stops being good.
    pub expires_at: Timestamp,
}

/// What a token of a session is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The next token.
    Continue,
    /// Nothing: it came too late. The session is over.
    Expired,
    /// Nothing: it has been used before. The session is over.
    Reused,
}

impl Session {
    /// Judges a token of this session by the digest of its secret. A used one is a used one, however late it comes.
    pub fn judge(&self, secret: &Digest, now: Timestamp) -> Verdict {
        if !bool::from(self.secret.0.ct_eq(&secret.0)) {
            Verdict::Reused
        } else if self.expires_at <= now {
            Verdict::Expired
        } else {
            Verdict::Continue
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn session(token: &RefreshToken) -> Session {
        Session {
            id: token.session(),
            secret: token.secret(),
            account: Uuid::nil(),
            used_at: NOW,
            expires_at: NOW.plus(Duration::from_secs(60)),
        }
    }

    #[test]
    fn a_token_survives_its_text() {
        let token = RefreshToken::first(std::array::from_fn(|at| at as u8));
        let text = token.reveal();
        assert_eq!(text.len(), 64);
        let read = RefreshToken::parse(&text).unwrap();
        assert_eq!((read.session(), read.secret()), (token.session(), token.secret()));
    }

    #[test]
    fn what_is_no_token_is_none() {
        for text in [
            "",
            "abc",
            &"=".repeat(64),
            &"A".repeat(63),
            &"A".repeat(65),
            &"é".repeat(32),
        ] {
            assert!(RefreshToken::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn the_next_token_belongs_to_the_session_and_has_another_secret() {
        let first = RefreshToken::first([1; TOKEN_LENGTH]);
        let second = first.next([2; SECRET_LENGTH]);
        assert_eq!(first.session(), second.session());
        assert_ne!(first.secret(), second.secret());
    }

    #[test]
    fn only_the_last_token_continues_and_only_in_time() {
        let first = RefreshToken::first([1; TOKEN_LENGTH]);
        let second = first.next([2; SECRET_LENGTH]);
        let session = session(&second);
        let end = session.expires_at;
        assert_eq!(session.judge(&second.secret(), NOW), Verdict::Continue);
        assert_eq!(session.judge(&second.secret(), end), Verdict::Expired);
        assert_eq!(session.judge(&first.secret(), NOW), Verdict::Reused);
        assert_eq!(session.judge(&first.secret(), end), Verdict::Reused);
    }

    #[test]
    fn what_is_stored_is_neither_the_token_nor_a_part_of_it() {
        let token = RefreshToken::first([9; TOKEN_LENGTH]);
        let stored = format!("{:?}", session(&token));
        assert!(!stored.contains("9, 9"), "{stored}");
        assert_eq!(format!("{token:?}"), "RefreshToken(…)");
    }
}
