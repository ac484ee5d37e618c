//! Passwords: what one must be like, and how it is kept: argon2id (RFC 9106) as a PHC string.
//!
//! Bounds are the only rule (NIST SP 800-63B asks for length and against recipes). The text is taken as it is: no
//! trimming, no normalisation, so that what was typed is what is checked.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};

/// The fewest characters (Unicode scalar values) of a password.
pub const MIN_LENGTH: usize = 12;
/// The most characters of a password: enough for a sentence, too few to make hashing expensive.
pub const MAX_LENGTH: usize = 128;

/// The bytes of salt of one hash.
pub const SALT_LENGTH: usize = 16;

/// A password within its bounds. Its `Debug` output does not show it.
#[derive(Clone)]
pub struct Password(String);

/// Why a text may not be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has {MIN_LENGTH} to {MAX_LENGTH} characters, this one has {length}")]
pub struct PasswordError {
    /// Its characters.
    pub length: usize,
}

impl Password {
    /// Takes a text as a password.
    ///
    /// # Errors
    /// If it is shorter than [`MIN_LENGTH`] or longer than [`MAX_LENGTH`] characters.
    pub fn new(text: impl Into<String>) -> Result<Self, PasswordError> {
        let text = text.into();
        let length = text.chars().count();
        if (MIN_LENGTH..=MAX_LENGTH).contains(&length) {
            Ok(Self(text))
        } else {
            Err(PasswordError { length })
        }
    }

    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Hashing failed: not enough memory, or a stored hash that is none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the password hash cannot be computed: {0}")]
pub struct HashError(pub String);

/// Hashes passwords, with a fixed amount of work.
#[derive(Debug, Clone)]
pub struct Hasher {
    argon2: Argon2<'static>,
}

impl Hasher {
    /// The parameters that OWASP recommends: 19 MiB, two passes, one lane.
    ///
    /// # Errors
    /// Never in practice: the parameters are within the bounds of argon2.
    pub fn owasp() -> Result<Self, HashError> {
        Self::with_cost(19_456, 2)
    }

    /// Other costs: memory in KiB, and passes. One lane.
    ///
    /// # Errors
    /// If argon2 does not allow them.
    pub fn with_cost(memory_kib: u32, passes: u32) -> Result<Self, HashError> {
        let params =
            Params::new(memory_kib, passes, 1, None).map_err(|error| HashError(error.to_string()))?;
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
        })
    }

    /// The PHC string of a password.
    ///
    /// # Errors
    /// If the memory for it cannot be had.
    pub fn hash(&self, password: &Password, salt: &[u8; SALT_LENGTH]) -> Result<String, HashError> {
        self.phc(password.reveal(), salt).map(|hash| hash.to_string())
    }

    /// Whether `attempt` is the password whose PHC string is `stored`, in constant time.
    ///
    /// Without a stored hash (no such account) the answer is no, after the same work, so that the time it takes says
    /// nothing about which accounts exist.
    ///
    /// # Errors
    /// If the memory cannot be had, or `stored` is no PHC string of argon2.
    pub fn verify(&self, attempt: &str, stored: Option<&str>) -> Result<bool, HashError> {
        let Some(stored) = stored else {
            self.phc(attempt, &[0; SALT_LENGTH])?;
            return Ok(false);
        };
        let stored = PasswordHash::new(stored).map_err(|error| HashError(error.to_string()))?;
        match self.argon2.verify_password(attempt.as_bytes(), &stored) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(HashError(error.to_string())),
        }
    }

    fn phc(&self, password: &str, salt: &[u8]) -> Result<PasswordHash, HashError> {
        use argon2::PasswordHasher;
        self.argon2
            .hash_password_with_salt(password.as_bytes(), salt)
            .map_err(|error| HashError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text).unwrap()
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        assert_eq!(
            Password::new("elevenchars").unwrap_err(),
            PasswordError { length: 11 }
        );
        assert!(Password::new("twelve chars").is_ok());
        assert!(Password::new("ü".repeat(12)).is_ok());
        assert_eq!(Password::new("ü".repeat(11)).unwrap_err().length, 11);
        assert!(Password::new("🔑".repeat(128)).is_ok());
        assert_eq!(Password::new("x".repeat(129)).unwrap_err().length, 129);
        let says = Password::new("").unwrap_err().to_string();
        assert_eq!(says, "a password has 12 to 128 characters, this one has 0");
    }

    #[test]
    fn a_password_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", password("correct horse")), "Password(…)");
    }

    #[test]
    fn the_hash_is_argon2id_with_the_recommended_cost() {
        let hash = Hasher::owasp()
            .unwrap()
            .hash(&password("correct horse"), &[7; 16])
            .unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(
            Hasher::owasp()
                .unwrap()
                .verify("correct horse", Some(&hash))
                .unwrap()
        );
    }

    #[test]
    fn only_the_password_itself_verifies() {
        let hasher = Hasher::with_cost(8, 1).unwrap();
        let hash = hasher.hash(&password("correct horse"), &[7; 16]).unwrap();
        assert!(hasher.verify("correct horse", Some(&hash)).unwrap());
        for attempt in [
            "correct horsf",
            "Correct horse",
            "correct horse ",
            "correct hors",
            "",
            "correct horse\0",
        ] {
            assert!(!hasher.verify(attempt, Some(&hash)).unwrap(), "{attempt:?}");
        }
        assert_ne!(hasher.hash(&password("correct horse"), &[8; 16]).unwrap(), hash);
    }

    #[test]
    fn a_hash_made_at_another_cost_still_verifies() {
        let hash = Hasher::with_cost(16, 2)
            .unwrap()
            .hash(&password("correct horse"), &[7; 16])
            .unwrap();
        assert!(
            Hasher::with_cost(8, 1)
                .unwrap()
                .verify("correct horse", Some(&hash))
                .unwrap()
        );
    }

    #[test]
    fn without_an_account_nothing_verifies() {
        let hasher = Hasher::with_cost(8, 1).unwrap();
        assert!(!hasher.verify("correct horse", None).unwrap());
        assert!(!hasher.verify("", None).unwrap());
    }

    #[test]
    fn a_stored_text_that_is_no_hash_is_an_error_not_a_refusal() {
        assert!(
            Hasher::with_cost(8, 1)
                .unwrap()
                .verify("correct horse", Some("plain text"))
                .is_err()
        );
    }
}
