//! Points in time as text, in UTC. The host needs no more of a calendar than this.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A point in time, shown as `2026-03-01T12:03:04.123Z` (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::telemetry) struct Timestamp {
    year: u64,
    month: u64,
    day: u64,
    clock: Clock,
}

/// The time of a day, shown as `12:03:04.123Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    second: u64,
    millisecond: u32,
}

impl Timestamp {
    /// Times before 1970 count as 1970.
    pub(in crate::telemetry) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        // The Gregorian calendar in eras of 400 years that begin on the first of March of year 0, so that the
        // leap day is the last of a year.
        let days = since.as_secs() / 86_400 + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let march_month = (5 * day + 2) / 153;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        Self {
            year: era * 400 + year + u64::from(month <= 2),
            month,
            day: day - (153 * march_month + 2) / 5 + 1,
            clock: Clock {
                second: since.as_secs() % 86_400,
                millisecond: since.subsec_millis(),
            },
        }
    }

    pub(super) fn clock(self) -> Clock {
        self.clock
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            clock,
        } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{clock}")
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        write!(f, "{hour:02}:{minute:02}:{second:02}.{:03}Z", self.millisecond)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::Timestamp;

    fn at(milliseconds: u64) -> String {
        Timestamp::of(UNIX_EPOCH + Duration::from_millis(milliseconds)).to_string()
    }

    #[test]
    fn shows_utc_with_milliseconds() {
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_827_696_789), "2000-02-29T12:34:56.789Z");
        assert_eq!(at(1_735_689_599_999), "2024-12-31T23:59:59.999Z");
        assert_eq!(at(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for count in 0..146_097_u64 {
            assert_eq!(
                at(count * 86_400_000),
                format!("{year:04}-{month:02}-{day:02}T00:00:00.000Z")
            );
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = match month {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > days {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn the_time_before_1970_is_its_first_moment() {
        assert_eq!(
            Timestamp::of(UNIX_EPOCH - Duration::from_secs(9)).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
    }
}
