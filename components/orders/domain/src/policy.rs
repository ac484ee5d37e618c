//! How long things last: what the operator sets, within bounds.

use std::time::Duration;

/// The longest reservation: one day, which is what the stock allows.
pub const RESERVATION_MAX: Duration = Duration::from_secs(86_400);
/// The longest time to cancel in. Well within the thirty days for which the stock remembers a reservation.
pub const CANCELLATION_MAX: Duration = Duration::from_secs(14 * 86_400);
/// How long an idempotency key is kept.
pub const KEY_LIFETIME: Duration = Duration::from_secs(86_400);
/// The longest lease.
const LEASE_MAX: Duration = Duration::from_secs(10);

/// A duration out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} must be {from} to {to} seconds")]
pub struct PolicyError {
    /// Which one.
    pub name: &'static str,
    /// The least, in seconds.
    pub from: u64,
    /// The most, in seconds.
    pub to: u64,
}

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    reservation: Duration,
    cancellation: Duration,
}

impl Policy {
    /// Five minutes to be confirmed in, one day to be cancelled in.
    pub const DEFAULT: Self = Self {
        reservation: Duration::from_secs(300),
        cancellation: Duration::from_secs(86_400),
    };

    /// Both in seconds.
    ///
    /// # Errors
    /// The first that is out of its bounds.
    pub fn new(reservation_seconds: u64, cancellation_seconds: u64) -> Result<Self, PolicyError> {
        Ok(Self {
            reservation: bounded("reservation_seconds", reservation_seconds, 1, RESERVATION_MAX)?,
            cancellation: bounded("cancellation_seconds", cancellation_seconds, 0, CANCELLATION_MAX)?,
        })
    }

    /// How long an order may take to be confirmed, and stock is held for it.
    pub fn reservation(&self) -> Duration {
        self.reservation
    }

    /// How long after it was confirmed an order can be cancelled: until it is handed to shipping.
    pub fn cancellation(&self) -> Duration {
        self.cancellation
    }

    /// How long whoever works on an order keeps others from it. Never longer than the order's own time.
    pub fn lease(&self) -> Duration {
        self.reservation.min(LEASE_MAX)
    }
}

/// How much the clocks of those who serve one shop may differ, beyond which a time is not to be believed.
pub(crate) const CLOCKS_DIFFER: Duration = Duration::from_secs(10);

fn bounded(name: &'static str, seconds: u64, from: u64, to: Duration) -> Result<Duration, PolicyError> {
    let to = to.as_secs();
    if (from..=to).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(PolicyError { name, from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_bounded() {
        assert_eq!(Policy::new(300, 86_400), Ok(Policy::DEFAULT));
        assert_eq!(Policy::new(1, 0).map(|policy| policy.lease().as_secs()), Ok(1));
        assert_eq!(Policy::DEFAULT.lease().as_secs(), 10);
        for (reservation, cancellation, name) in [
            (0, 0, "reservation_seconds"),
            (86_401, 0, "reservation_seconds"),
            (1, 14 * 86_400 + 1, "cancellation_seconds"),
        ] {
            assert_eq!(Policy::new(reservation, cancellation).unwrap_err().name, name);
        }
    }
}
