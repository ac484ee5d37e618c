//! One monotonic clock for everybody who writes records.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// Nanoseconds since the first question, and 1 at that: 0 is before everything.
pub fn now() -> u64 {
    let origin = origin();
    1 + u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX - 1)
}

/// The instant of a time on this clock, for those who have to wait for it.
pub fn instant(at: u64) -> Instant {
    origin() + Duration::from_nanos(at)
}
