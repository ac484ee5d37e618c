//! What the operator sets in the manifest, checked and with its defaults. A variable that is absent or empty
//! has its default.

use orders_domain::policy::{Policy, PolicyError};

/// How long an order may take to be confirmed, in seconds.
pub const RESERVATION_SECONDS: &str = "reservation_seconds";
/// How long a confirmed order can be cancelled, in seconds.
pub const CANCELLATION_SECONDS: &str = "cancellation_seconds";

/// A variable that does not do. The texts are for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// It is no number.
    #[error("the variable {name} must be a number of seconds, not {value:?}")]
    NotANumber {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// It is out of its bounds.
    #[error("the variable {0}")]
    Policy(#[from] PolicyError),
    /// The host does not give it out.
    #[error("the variable {name} cannot be read: {reason}")]
    Unreadable {
        /// Its name.
        name: &'static str,
        /// The host's reason.
        reason: String,
    },
}

/// How long things last, from the variables' values.
///
/// # Errors
/// The first that does not do.
pub fn policy(reservation: Option<&str>, cancellation: Option<&str>) -> Result<Policy, VariableError> {
    let default = Policy::DEFAULT;
    Ok(Policy::new(
        seconds(RESERVATION_SECONDS, reservation, default.reservation().as_secs())?,
        seconds(
            CANCELLATION_SECONDS,
            cancellation,
            default.cancellation().as_secs(),
        )?,
    )?)
}

fn seconds(name: &'static str, value: Option<&str>, default: u64) -> Result<u64, VariableError> {
    match value.map(str::trim).filter(|value| !value.is_empty()) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| VariableError::NotANumber {
            name,
            value: value.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_its_default_and_what_is_set_is_taken() {
        assert_eq!(policy(None, Some(" ")), Ok(Policy::DEFAULT));
        assert_eq!(policy(Some(" 2 "), Some("0")), Ok(Policy::new(2, 0).unwrap()));
    }

    #[test]
    fn what_does_not_do_is_named() {
        for (reservation, cancellation, says) in [
            (
                "5m",
                "1",
                "the variable reservation_seconds must be a number of seconds, not \"5m\"",
            ),
            (
                "1",
                "-1",
                "the variable cancellation_seconds must be a number of seconds, not \"-1\"",
            ),
            (
                "0",
                "1",
                "the variable reservation_seconds must be 1 to 86400 seconds",
            ),
        ] {
            let error = policy(Some(reservation), Some(cancellation)).unwrap_err();
            assert_eq!(error.to_string(), says);
        }
    }
}
