//! A revision's identity: a hash of its component and of everything that its manifest entry resolved to.
//!
//! Two hosts that hold the same component and the same configuration give it the same identity. Every part goes in with its
//! kind and its length, so no two configurations write the same bytes. Secrets go in as keyed hashes: who knows an identity
//! cannot try values.

use crate::model::{Digest, RevisionId, Secret};

/// Collects the parts of an identity.
pub struct Identity {
    bytes: Vec<u8>,
    key: [u8; 32],
}

impl Identity {
    /// Begins with the digest of the component. `key` is the one that secrets are hashed with.
    pub fn of(component: &Digest, key: [u8; 32]) -> Self {
        let mut identity = Self {
            bytes: b"midplane-revision-1".to_vec(),
            key,
        };
        identity.add("component", component.as_bytes());
        identity
    }

    /// Adds a part.
    pub fn add(&mut self, kind: &str, part: &[u8]) {
        for piece in [kind.as_bytes(), part] {
            self.bytes.extend_from_slice(&(piece.len() as u64).to_le_bytes());
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Adds a named value that is not secret.
    pub fn add_value(&mut self, kind: &str, name: &str, value: &str) {
        self.add(kind, name.as_bytes());
        self.add("value", value.as_bytes());
    }

    /// Adds a named value that is secret.
    pub fn add_secret(&mut self, kind: &str, name: &str, value: &Secret) {
        let mut keyed = self.key.to_vec();
        keyed.extend_from_slice(&(name.len() as u64).to_le_bytes());
        keyed.extend_from_slice(name.as_bytes());
        keyed.extend_from_slice(value.expose().as_bytes());
        // The key is of a fixed length and comes first, and the outer hash hides the inner state (as in HMAC's nesting).
        let mut outer = self.key.to_vec();
        outer.extend_from_slice(Digest::of(&keyed).as_bytes());
        let hash = Digest::of(&outer);
        self.add(kind, name.as_bytes());
        self.add("secret", hash.as_bytes());
    }

    /// The identity.
    pub fn finish(self) -> RevisionId {
        RevisionId::new(Digest::of(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(parts: &[(&str, &str)]) -> RevisionId {
        let mut identity = Identity::of(&Digest::of(b"component"), [7; 32]);
        for (name, value) in parts {
            identity.add_value("variable", name, value);
        }
        identity.finish()
    }

    #[test]
    fn equal_configurations_have_equal_identities() {
        assert_eq!(
            identity(&[("a", "1"), ("b", "2")]),
            identity(&[("a", "1"), ("b", "2")])
        );
    }

    #[test]
    fn no_two_configurations_run_together() {
        assert_ne!(identity(&[("a", "12")]), identity(&[("a1", "2")]));
        assert_ne!(identity(&[("a", "1"), ("b", "2")]), identity(&[("a", "1b2")]));
    }

    #[test]
    fn a_secret_counts_and_depends_on_the_key() {
        let with = |key: u8, value: &str| {
            let mut identity = Identity::of(&Digest::of(b"component"), [key; 32]);
            identity.add_secret("variable", "token", &Secret::new(value));
            identity.finish()
        };
        assert_eq!(with(1, "x"), with(1, "x"));
        assert_ne!(with(1, "x"), with(1, "y"));
        assert_ne!(with(1, "x"), with(2, "x"));
    }
}
