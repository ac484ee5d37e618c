//! Signing keys and their rotation.
//!
//! The newest key signs until its time is up, then a new one takes over. The old one stays published as long as a
//! token that it signed can live, and is then forgotten. Whether the time is up is a question of stored times alone,
//! so that all instances answer it alike; who comes first stores the successor (see [`crate::Store::succeed_key`]).

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{Policy, Timestamp};

/// How long after a rotation an instance may still sign with the key that it had read before.
const HANDOVER: Duration = Duration::from_secs(60);

/// An Ed25519 key pair with its name and age.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    secret: ed25519_dalek::SigningKey,
    created_at: Timestamp,
}

/// A public key as a JSON Web Key (RFC 7517, RFC 8037).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    r#use: &'static str,
    kid: String,
    x: String,
}

/// A JSON Web Key Set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

impl SigningKey {
    /// The key pair of a seed of 32 random bytes.
    pub fn new(seed: [u8; 32], created_at: Timestamp) -> Self {
        let secret = ed25519_dalek::SigningKey::from_bytes(&seed);
        Self {
            kid: thumbprint(&secret.verifying_key()),
            secret,
            created_at,
        }
    }

    /// The name that tokens and the key set have for it: its thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// When it was made.
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// What [`SigningKey::new`] makes it from.
    pub fn seed(&self) -> [u8; 32] {
        self.secret.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> VerifyingKey {
        self.secret.verifying_key()
    }

    pub(crate) const fn secret(&self) -> &ed25519_dalek::SigningKey {
        &self.secret
    }

    fn jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            r#use: "sig",
            kid: self.kid.clone(),
            x: URL_SAFE_NO_PAD.encode(self.public().as_bytes()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

fn thumbprint(key: &VerifyingKey) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
    let digest = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    URL_SAFE_NO_PAD.encode(digest)
}

/// All keys that are stored, oldest first.
#[derive(Debug, Clone, Default)]
pub struct KeyRing(Vec<SigningKey>);

impl KeyRing {
    /// Takes stored keys in any order.
    pub fn new(mut keys: Vec<SigningKey>) -> Self {
        keys.sort_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)));
        Self(keys)
    }

    /// The key that was stored last.
    pub fn newest(&self) -> Option<&SigningKey> {
        self.0.last()
    }

    /// The key to sign with, unless it is time for another.
    pub fn current(&self, policy: &Policy, now: Timestamp) -> Option<&SigningKey> {
        self.newest()
            .filter(|key| key.created_at.plus(policy.key_rotation) > now)
    }

    /// A key by its name, retired or not: what a retired key signed has expired.
    pub fn public(&self, kid: &str) -> Option<VerifyingKey> {
        self.0.iter().find(|key| key.kid == kid).map(SigningKey::public)
    }

    /// What the world checks our tokens with: the newest key, and those before it while they can matter.
    pub fn published(&self, policy: &Policy, now: Timestamp) -> Jwks {
        let live = self.with_retirement(policy, now).filter(|(_, retired)| !retired);
        Jwks {
            keys: live.map(|(key, _)| key.jwk()).collect(),
        }
    }

    /// The names of keys that no living token can need.
    pub fn retired(&self, policy: &Policy, now: Timestamp) -> Vec<String> {
        let retired = self.with_retirement(policy, now).filter(|(_, retired)| *retired);
        retired.map(|(key, _)| key.kid.clone()).collect()
    }

    fn with_retirement(&self, policy: &Policy, now: Timestamp) -> impl Iterator<Item = (&SigningKey, bool)> {
        let needed = policy.access_token + HANDOVER;
        let successors = self.0.iter().skip(1).map(Some).chain([None]);
        self.0.iter().zip(successors).map(move |(key, successor)| {
            let retired = successor.is_some_and(|successor| successor.created_at.plus(needed) <= now);
            (key, retired)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);
    const POLICY: Policy = Policy {
        access_token: Duration::from_secs(900),
        refresh_token: Duration::from_secs(3600),
        key_rotation: Duration::from_secs(10_000),
    };

    fn at(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    fn key(seed: u8, seconds: u64) -> SigningKey {
        SigningKey::new([seed; 32], at(seconds))
    }

    fn published(ring: &KeyRing, seconds: u64) -> Vec<String> {
        ring.published(&POLICY, at(seconds))
            .keys
            .into_iter()
            .map(|key| key.kid)
            .collect()
    }

    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        // RFC 8037, appendices A.1 to A.3.
        let seed = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap();
        let key = SigningKey::new(seed.try_into().unwrap(), START);
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(key.jwk().x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    }

    #[test]
    fn the_newest_key_signs_until_its_time_is_up() {
        let ring = KeyRing::new(vec![key(2, 100), key(1, 0)]);
        assert_eq!(ring.current(&POLICY, at(100)).unwrap().kid(), key(2, 0).kid());
        assert!(ring.current(&POLICY, at(10_099)).is_some());
        assert!(ring.current(&POLICY, at(10_100)).is_none());
        assert!(KeyRing::default().current(&POLICY, START).is_none());
    }

    #[test]
    fn an_old_key_stays_published_while_its_tokens_live() {
        let ring = KeyRing::new(vec![key(1, 0), key(2, 10_000)]);
        let (old, new) = (key(1, 0).kid().to_owned(), key(2, 0).kid().to_owned());
        assert_eq!(published(&ring, 10_000), [old.clone(), new.clone()]);
        assert_eq!(published(&ring, 10_959), [old.clone(), new.clone()]);
        assert!(ring.retired(&POLICY, at(10_959)).is_empty());
        assert_eq!(published(&ring, 10_960), [new]);
        assert_eq!(ring.retired(&POLICY, at(10_960)), [old]);
    }

    #[test]
    fn the_newest_key_is_published_however_old_it_is() {
        let ring = KeyRing::new(vec![key(1, 0)]);
        assert_eq!(published(&ring, 1_000_000).len(), 1);
        assert!(ring.retired(&POLICY, at(1_000_000)).is_empty());
    }

    #[test]
    fn keys_of_one_second_are_ordered_alike_everywhere() {
        let one = KeyRing::new(vec![key(1, 0), key(2, 0)]);
        let other = KeyRing::new(vec![key(2, 0), key(1, 0)]);
        assert_eq!(one.newest().unwrap().kid(), other.newest().unwrap().kid());
    }

    #[test]
    fn neither_documents_nor_debug_output_have_the_secret() {
        let key = key(7, 0);
        let secret = URL_SAFE_NO_PAD.encode(key.seed());
        let document =
            serde_json::to_string(&KeyRing::new(vec![key.clone()]).published(&POLICY, START)).unwrap();
        assert!(
            !document.contains(&secret) && !document.contains("\"d\""),
            "{document}"
        );
        assert!(
            document.contains(r#""kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig""#),
            "{document}"
        );
        assert!(!format!("{key:?}").contains('7'.to_string().repeat(2).as_str()));
    }
}
