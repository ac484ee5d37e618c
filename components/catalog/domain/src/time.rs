//! Points in time: milliseconds since the Unix epoch, shown as RFC 3339 in UTC.

use std::fmt;
use std::time::Duration;

const DAY_SECONDS: u64 = 86_400;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted; up to the end of
/// year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
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

    /// The first whole second that is at least `wait` later.
    pub fn whole_second_after(self, wait: Duration) -> Self {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.0.saturating_add(wait).div_ceil(1000).saturating_mul(1000))
    }

    /// This long before, or the epoch.
    pub fn before(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// RFC 3339, UTC, with milliseconds when there are any: `2026-01-31T09:30:00Z`, `2026-01-31T09:30:00.250Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let (year, month, day) = civil(seconds / DAY_SECONDS);
        let clock = seconds % DAY_SECONDS;
        let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.0 % 1000 {
            0 => write!(f, "Z"),
            millis => write!(f, ".{millis:03}Z"),
        }
    }
}

/// The year, month and day of a number of days since 1970-01-01, in the Gregorian calendar. Counts from March
/// of year 0, so that a leap day is the last of its year, in eras of 400 years, which all have the same
/// 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::from_millis(seconds * 1000).to_string(), text);
        }
        assert_eq!(Timestamp::from_millis(7).to_string(), "1970-01-01T00:00:00.007Z");
        assert_eq!(
            Timestamp::from_millis(u64::MAX).to_string(),
            "9999-12-31T23:59:59.999Z"
        );
    }

    #[test]
    fn days_follow_each_other_in_the_calendar() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200 * 366 {
            assert_eq!(civil(days), (year, month, day), "day {days}");
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn a_wait_is_never_shortened_by_rounding() {
        let at = |millis, wait| {
            Timestamp(millis)
                .whole_second_after(Duration::from_secs(wait))
                .millis()
        };
        assert_eq!(at(1000, 5), 6000);
        assert_eq!(at(1001, 5), 7000);
        assert_eq!(at(1999, 0), 2000);
        assert_eq!(Timestamp::MAX.whole_second_after(Duration::MAX), Timestamp::MAX);
    }
}
