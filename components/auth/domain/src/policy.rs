//! What the operator decides: how long things live.

use std::time::Duration;

/// The `iss` of every token.
pub const ISSUER: &str = "shop-auth";
/// The `aud` of every token.
pub const AUDIENCE: &str = "shop";

/// How long things live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// An access token.
    pub access_token: Duration,
    /// A refresh token that is not used.
    pub refresh_token: Duration,
    /// A signing key, until the next one takes over.
    pub key_rotation: Duration,
}

/// A duration out of its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A single one.
    #[error("{name} must be {min} to {max} seconds, not {seconds}")]
    OutOfBounds {
        /// The variable.
        name: &'static str,
        /// The least, in seconds.
        min: u64,
        /// The most, in seconds.
        max: u64,
        /// What it was.
        seconds: u64,
    },
    /// Keys that change so often that the key set would grow without measure.
    #[error("key_rotation_seconds must be at least a hundredth of access_token_seconds")]
    RotationTooFast,
}

impl Policy {
    /// Fifteen minutes, thirty days, thirty days.
    pub const DEFAULT: Self = Self {
        access_token: Duration::from_secs(900),
        refresh_token: Duration::from_secs(30 * 86_400),
        key_rotation: Duration::from_secs(30 * 86_400),
    };

    /// Takes durations in seconds.
    ///
    /// # Errors
    /// If one is out of its bounds: access tokens live up to a day, the others up to a year.
    pub fn new(access_token: u64, refresh_token: u64, key_rotation: u64) -> Result<Self, PolicyError> {
        const DAY: u64 = 86_400;
        let bounded = |name, seconds, max| {
            if (1..=max).contains(&seconds) {
                Ok(Duration::from_secs(seconds))
            } else {
                Err(PolicyError::OutOfBounds {
                    name,
                    min: 1,
                    max,
                    seconds,
                })
            }
        };
        let policy = Self {
            access_token: bounded("access_token_seconds", access_token, DAY)?,
            refresh_token: bounded("refresh_token_seconds", refresh_token, 366 * DAY)?,
            key_rotation: bounded("key_rotation_seconds", key_rotation, 366 * DAY)?,
        };
        if key_rotation.saturating_mul(100) < access_token {
            return Err(PolicyError::RotationTooFast);
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_within_the_bounds() {
        assert_eq!(Policy::new(900, 2_592_000, 2_592_000), Ok(Policy::DEFAULT));
    }

    #[test]
    fn durations_out_of_bounds_are_named() {
        let says = |policy: Result<Policy, PolicyError>| policy.unwrap_err().to_string();
        assert_eq!(
            says(Policy::new(0, 60, 60)),
            "access_token_seconds must be 1 to 86400 seconds, not 0"
        );
        assert!(says(Policy::new(86_401, 60, 60)).starts_with("access_token_seconds"));
        assert!(says(Policy::new(60, 0, 60)).starts_with("refresh_token_seconds"));
        assert!(says(Policy::new(60, 60, u64::MAX)).starts_with("key_rotation_seconds"));
        assert_eq!(Policy::new(900, 60, 8), Err(PolicyError::RotationTooFast));
        assert!(Policy::new(900, 60, 9).is_ok());
    }
}
