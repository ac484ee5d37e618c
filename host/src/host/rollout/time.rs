//! Durations as the admin API shows them.

use std::time::Duration;

/// In milliseconds, to the microsecond.
pub(in crate::host) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
