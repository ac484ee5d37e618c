//! The keys of `auth`: a JSON Web Key Set (RFC 7517), fetched when needed and kept for a while.
//!
//! Bounds: a set is at most [`SET_MAX`] bytes and [`KEYS_MAX`] keys, is used for [`FRESH`] at most, and is
//! fetched no more often than every [`PAUSE`], whatever key ids tokens name.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalog_domain::port::Clock;
use catalog_domain::time::Timestamp;
use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

use super::{Principal, TokenError, Unverified};

/// The largest key set that is read, in bytes.
pub const SET_MAX: usize = 64 * 1024;
/// The most keys that are kept of a set.
pub const KEYS_MAX: usize = 128;
/// How long a set is used without asking for it again.
pub const FRESH: Duration = Duration::from_secs(300);
/// The least time between two fetches.
pub const PAUSE: Duration = Duration::from_secs(3);

/// Why no key set could be had. For the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The service has no usable address for it.
    #[error("no address: {0}")]
    Address(String),
    /// No answer came.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer has another status than 200.
    #[error("answered with status {0}")]
    Status(u16),
    /// The answer is no key set, or too large.
    #[error("answered something that is no key set: {0}")]
    NoKeySet(String),
}

/// Fetches the key set's JSON.
pub trait Fetch {
    /// At most [`SET_MAX`] bytes.
    fn fetch(&self) -> impl Future<Output = Result<Vec<u8>, FetchError>>;
}

/// Why nobody can be told from a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Whether it is good cannot be said for now.
    #[error("the keys of the service auth cannot be had: {0}")]
    NoKeys(#[source] FetchError),
}

#[derive(Deserialize)]
struct SetDocument {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct KeyDocument {
    kty: String,
    crv: String,
    kid: String,
    x: String,
    r#use: Option<String>,
    alg: Option<String>,
}

/// The Ed25519 signing keys of a set; keys of other kinds are left out.
///
/// # Errors
/// [`FetchError::NoKeySet`].
pub fn parse(json: &[u8]) -> Result<Vec<(String, VerifyingKey)>, FetchError> {
    let set: SetDocument =
        serde_json::from_slice(json).map_err(|error| FetchError::NoKeySet(error.to_string()))?;
    Ok(set.keys.into_iter().filter_map(key).take(KEYS_MAX).collect())
}

fn key(document: serde_json::Value) -> Option<(String, VerifyingKey)> {
    let document: KeyDocument = serde_json::from_value(document).ok()?;
    let is = |field: &Option<String>, wanted: &str| field.as_deref().is_none_or(|text| text == wanted);
    let ours = document.kty == "OKP"
        && document.crv == "Ed25519"
        && is(&document.r#use, "sig")
        && (is(&document.alg, "EdDSA") || is(&document.alg, "Ed25519"));
    let bytes = URL_SAFE_NO_PAD.decode(&document.x).ok().filter(|_| ours)?;
    let key = VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()?;
    // Of a small-order key, anybody can make signatures that fit.
    (!key.is_weak()).then_some((document.kid, key))
}

#[derive(Debug, Default)]
struct Kept {
    keys: Vec<(String, VerifyingKey)>,
    fetched: Option<Timestamp>,
    tried: Option<(Timestamp, Option<FetchError>)>,
}

/// Checks tokens, with a key set that is kept between them.
#[derive(Debug)]
pub struct Verifier<F, C> {
    fetch: F,
    clock: C,
    kept: RefCell<Kept>,
}

impl<F: Fetch, C: Clock> Verifier<F, C> {
    /// With no keys yet: the first token fetches them.
    pub fn new(fetch: F, clock: C) -> Self {
        Self {
            fetch,
            clock,
            kept: RefCell::default(),
        }
    }

    /// Who a token speaks for.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn principal(&self, token: &str) -> Result<Principal, Denied> {
        let token = Unverified::parse(token)?;
        let key = self.key(&token.kid).await?.ok_or(TokenError::Forged)?;
        Ok(token.verify(&key, self.clock.now())?)
    }

    /// The key of an id; `None` when `auth` has no such key.
    async fn key(&self, kid: &str) -> Result<Option<VerifyingKey>, Denied> {
        let now = self.clock.now();
        if let Some(answer) = self.kept.borrow().answer(kid, now) {
            return answer.map_err(Denied::NoKeys);
        }
        let outcome = self.fetch.fetch().await.and_then(|json| parse(&json));
        let mut kept = self.kept.borrow_mut();
        kept.tried = Some((now, outcome.as_ref().err().cloned()));
        kept.keys = outcome.map_err(Denied::NoKeys)?;
        kept.fetched = Some(now);
        Ok(kept.find(kid))
    }
}

impl Kept {
    fn find(&self, kid: &str) -> Option<VerifyingKey> {
        self.keys.iter().find(|(id, _)| id == kid).map(|(_, key)| *key)
    }

    /// What can be said without fetching; `None` when it is time to fetch.
    fn answer(&self, kid: &str, now: Timestamp) -> Option<Result<Option<VerifyingKey>, FetchError>> {
        // A clock that went back makes what is kept look like the future: that is as good as old.
        let within = |since: Timestamp, span: Duration| since <= now && since > now.before(span);
        let fresh = self.fetched.is_some_and(|at| within(at, FRESH));
        if let Some(key) = self.find(kid).filter(|_| fresh) {
            return Some(Ok(Some(key)));
        }
        let (_, failure) = self.tried.as_ref().filter(|(at, _)| within(*at, PAUSE))?;
        Some(failure.clone().map_or(Ok(None), Err))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use catalog_domain::memory::SetClock;

    use super::*;
    use crate::access::tests::{NOW, set_of, signing_key, token};
    use crate::adapter::native::ready;

    #[derive(Clone, Default)]
    struct Auth {
        set: Rc<RefCell<Option<Vec<u8>>>>,
        fetches: Rc<Cell<u32>>,
    }

    impl Fetch for Auth {
        async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
            self.fetches.set(self.fetches.get() + 1);
            self.set.borrow().clone().ok_or(FetchError::Status(500))
        }
    }

    fn bench(kids: &[&str]) -> (Verifier<Auth, SetClock>, Auth, SetClock) {
        let (auth, clock) = (Auth::default(), SetClock::default());
        auth.set.replace(Some(set_of(kids)));
        clock.set(NOW * 1000);
        (Verifier::new(auth.clone(), clock.clone()), auth, clock)
    }

    fn check(verifier: &Verifier<Auth, SetClock>, kid: &str) -> Result<Principal, Denied> {
        ready(verifier.principal(&token(kid, &["admin"])))
    }

    #[test]
    fn a_set_is_fetched_once_in_five_minutes() {
        let (verifier, auth, clock) = bench(&["a", "b"]);
        assert_eq!(auth.fetches.get(), 0);
        for kid in ["a", "b", "a"] {
            assert!(check(&verifier, kid).unwrap().has("admin"));
        }
        clock.set(NOW * 1000 + 299_999);
        assert!(check(&verifier, "a").is_ok());
        assert_eq!(auth.fetches.get(), 1);
        clock.set(NOW * 1000 + 300_000);
        assert!(check(&verifier, "a").is_ok());
        assert_eq!(auth.fetches.get(), 2);
    }

    #[test]
    fn a_new_key_is_found_and_unknown_ones_cannot_make_it_fetch_often() {
        let (verifier, auth, clock) = bench(&["a"]);
        assert!(check(&verifier, "a").is_ok());
        clock.set(NOW * 1000 + 3_000);
        auth.set.replace(Some(set_of(&["a", "b"])));
        assert!(check(&verifier, "b").is_ok());
        for number in 0..100 {
            let forged = check(&verifier, &format!("x{number}"));
            assert_eq!(forged, Err(Denied::Token(TokenError::Forged)));
        }
        assert_eq!(auth.fetches.get(), 2);
        clock.set(NOW * 1000 + 6_000);
        assert!(check(&verifier, "x").is_err());
        assert_eq!(auth.fetches.get(), 3);
    }

    #[test]
    fn without_keys_nothing_can_be_said() {
        let (verifier, auth, clock) = bench(&["a"]);
        auth.set.replace(None);
        for _ in 0..10 {
            assert_eq!(
                check(&verifier, "a"),
                Err(Denied::NoKeys(FetchError::Status(500)))
            );
        }
        assert_eq!(auth.fetches.get(), 1, "nor is it asked all the time");
        auth.set.replace(Some(b"<html>".to_vec()));
        clock.set(NOW * 1000 + 3_000);
        assert!(matches!(
            check(&verifier, "a"),
            Err(Denied::NoKeys(FetchError::NoKeySet(_)))
        ));
        auth.set.replace(Some(set_of(&["a"])));
        clock.set(NOW * 1000 + 6_000);
        assert!(check(&verifier, "a").is_ok());
        auth.set.replace(None);
        clock.set(NOW * 1000 + 10_000);
        assert!(
            matches!(check(&verifier, "b"), Err(Denied::NoKeys(_))),
            "it may be a new key"
        );
        assert!(check(&verifier, "a").is_ok(), "those that are fresh still serve");
    }

    #[test]
    fn a_malformed_token_fetches_nothing() {
        let (verifier, auth, _) = bench(&["a"]);
        assert!(ready(verifier.principal("garbage")).is_err());
        assert_eq!(auth.fetches.get(), 0);
    }

    #[test]
    fn keys_of_other_kinds_are_left_out() {
        let x = URL_SAFE_NO_PAD.encode(signing_key("a").verifying_key().as_bytes());
        let weak = URL_SAFE_NO_PAD.encode([1_u8].iter().chain(&[0; 31]).copied().collect::<Vec<_>>());
        let set = serde_json::json!({ "keys": [
            { "kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB" },
            { "kty": "OKP", "crv": "X25519", "kid": "x", "x": x },
            { "kty": "OKP", "crv": "Ed25519", "kid": "enc", "x": x, "use": "enc" },
            { "kty": "OKP", "crv": "Ed25519", "kid": "alg", "x": x, "alg": "ES256" },
            { "kty": "OKP", "crv": "Ed25519", "kid": "short", "x": "AAAA" },
            { "kty": "OKP", "crv": "Ed25519", "kid": "weak", "x": weak },
            "nonsense",
            { "kty": "OKP", "crv": "Ed25519", "kid": "good", "x": x, "use": "sig", "alg": "EdDSA" },
        ]});
        let keys = parse(set.to_string().as_bytes()).unwrap();
        assert_eq!(
            keys.iter().map(|(kid, _)| kid.as_str()).collect::<Vec<_>>(),
            ["good"]
        );
        for bad in ["", "[]", "{}", "{\"keys\":1}"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
