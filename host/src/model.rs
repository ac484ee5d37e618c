//! The values that every module speaks of: names, digests, limits, secrets. No I/O, no serde, no policy.
//!
//! Invariants: a name is valid from the moment it exists (`parse` is the only way in) and is safe to show, log
//! and use as a metric label; a [`Secret`] never shows its text through `Debug` or `Display`.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

mod dependency;
mod interface;
mod limits;
mod name;
pub mod outbound_host;
mod probe;
pub mod quantity;
mod rollout;
pub mod route;
mod seldom;

pub use dependency::{DependencyName, DependencyNameError};
pub use interface::{InterfaceName, InterfaceNameError, MAX_INTERFACE_BYTES, Track};
pub use limits::{InstancePolicy, Instances, Limits};
pub use name::{AppName, Label, MAX_NAME_BYTES, NameError, ServiceName, VariableName};
pub use probe::Probe;
pub use rollout::{Sticky, StickyError, WHOLE, Weight, WeightError};
pub use seldom::{Seldom, TELL_EVERY};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere, for instance piece by piece.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits: enough for people to tell digests apart, not for machines.
    #[must_use]
    pub fn short(&self) -> String {
        let mut hex = self.to_string();
        hex.truncate(12);
        hex
    }
}

/// 64 hexadecimal digits, lower case.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

/// What tells one revision of a service from another: a digest over the component and everything resolved from
/// its manifest entry. Shown by its first 12 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionId(Digest);

impl RevisionId {
    /// The revision whose identity hashes to `digest`.
    #[must_use]
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// The whole digest.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.short())
    }
}

impl fmt::Debug for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevisionId({})", self.0.short())
    }
}

/// Whom a data label belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DataScope {
    /// One store per label for the whole app: what Spin means.
    #[default]
    App,
    /// One store per service and label (`[application.tool.midplane] data = "per-service"`).
    PerService,
}

impl fmt::Display for DataScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::App => "app",
            Self::PerService => "per-service",
        })
    }
}

/// What of its caller's configuration a component that is composed into another may use (`inherit_configuration` of Spin).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inherit {
    /// Nothing: every such import answers as if nothing were granted.
    Nothing,
    /// These.
    Some(std::collections::BTreeSet<Inheritable>),
    /// Everything.
    All,
}

/// A part of a component's configuration that can be inherited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Inheritable {
    /// `ai_models`.
    AiModels,
    /// `allowed_outbound_hosts`.
    AllowedOutboundHosts,
    /// `environment`.
    Environment,
    /// `files`.
    Files,
    /// `key_value_stores`.
    KeyValueStores,
    /// `sqlite_databases`.
    SqliteDatabases,
    /// `variables`.
    Variables,
}

impl Inheritable {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AiModels,
        Self::AllowedOutboundHosts,
        Self::Environment,
        Self::Files,
        Self::KeyValueStores,
        Self::SqliteDatabases,
        Self::Variables,
    ];

    /// Its key in the manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AiModels => "ai_models",
            Self::AllowedOutboundHosts => "allowed_outbound_hosts",
            Self::Environment => "environment",
            Self::Files => "files",
            Self::KeyValueStores => "key_value_stores",
            Self::SqliteDatabases => "sqlite_databases",
            Self::Variables => "variables",
        }
    }
}

/// A text that nothing shows by accident: `Debug` and `Display` print a placeholder.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that must have it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_in_hex() {
        let empty = Digest::of(b"");
        assert_eq!(
            empty.to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(empty.short(), "e3b0c44298fc");
        assert_eq!(RevisionId::new(empty).to_string(), "e3b0c44298fc");
        assert_eq!(Digest::from_hex(&empty.to_string()), Some(empty));
        assert_eq!(Digest::from_hex(&empty.to_string().to_uppercase()), Some(empty));
        for bad in [
            "",
            "e3b0c44298fc",
            &"g".repeat(64),
            &"e".repeat(66),
            &"é".repeat(32),
        ] {
            assert_eq!(Digest::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_secret_shows_itself_only_when_asked() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:#?}", Some(&secret))
                .matches("hunter2")
                .count(),
            0
        );
        assert_eq!(secret.expose(), "hunter2");
    }
}
