//! Points in time: milliseconds since the Unix epoch.

use std::time::Duration;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z; up to the end of year 9999.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z: RFC 3339 has no later year.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The time that is this long after the epoch, or [`Timestamp::MAX`].
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(Self::MAX.0))
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This much later, or [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// How long it is until a later time; nothing if it is past.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

/// A span in whole seconds, rounded up.
pub fn whole_seconds(span: Duration) -> u64 {
    let more = u64::from(span.subsec_nanos() > 0);
    span.as_secs().saturating_add(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_never_negative_and_never_leave_the_calendar() {
        let at = Timestamp::from_millis;
        assert_eq!(at(5).plus(Duration::from_millis(7)), at(12));
        assert_eq!(at(5).plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(at(5).until(at(12)), Duration::from_millis(7));
        assert_eq!(at(12).until(at(5)), Duration::ZERO);
        assert_eq!(at(u64::MAX), Timestamp::MAX);
    }

    #[test]
    fn a_wait_is_never_shortened_by_rounding() {
        for (millis, seconds) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
