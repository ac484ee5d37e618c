//! A clock that a test moves.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::capability;

/// The last moment, far from what any of the types for a time can hold.
const LAST: Duration = Duration::from_secs(1 << 62);

/// What a service under test is told the time by: both clocks of WASI, the wall clock and the monotonic one, of 0.2 and of
/// 0.3. It stands still until it is moved. Clones are the same clock.
///
/// It is read, and not waited for: a guest that sleeps for a second does so for a second of real time, and
/// [`advance`](Self::advance) neither wakes it nor keeps it asleep. One that sleeps *until* a moment sleeps for as long as
/// that moment was away when it began. The limits of the service and what SQL itself tells of the time (`datetime('now')`)
/// are of real time too.
#[derive(Clone)]
pub struct Clock(Arc<Mutex<Times>>);

struct Times {
    /// Since the Unix epoch.
    wall: Duration,
    monotonic: Duration,
}

impl Clock {
    /// A clock that stands at `time`; before 1970 it stands at 1970, the first moment that WASI knows.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(Times {
            wall: since_the_epoch(time),
            monotonic: Duration::ZERO,
        })))
    }

    /// A clock that stands at so many seconds after the Unix epoch.
    #[must_use]
    pub fn at_unix(seconds: u64) -> Self {
        Self::at(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds).min(LAST))
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let mut times = self.0.lock();
        times.wall = times.wall.saturating_add(time).min(LAST);
        times.monotonic = times.monotonic.saturating_add(time);
    }

    /// Sets the wall clock, forwards or backwards, as an operator does. The monotonic clock does not notice.
    pub fn set(&self, time: SystemTime) {
        self.0.lock().wall = since_the_epoch(time);
    }

    /// What the wall clock shows.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.lock().wall
    }
}

/// What it shows.
impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

impl capability::Clock for Clock {
    fn wall(&self) -> Duration {
        self.0.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().monotonic
    }
}

fn since_the_epoch(time: SystemTime) -> Duration {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().min(LAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::Clock as _;

    #[test]
    fn advancing_moves_both_clocks_and_setting_the_wall_clock_alone() {
        let clock = Clock::at_unix(1_000);
        let same = clock.clone();
        same.advance(Duration::from_secs(5));
        assert_eq!(clock.wall(), Duration::from_secs(1_005));
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
        clock.set(SystemTime::UNIX_EPOCH + Duration::from_secs(10));
        assert_eq!(same.wall(), Duration::from_secs(10));
        assert_eq!(same.monotonic(), Duration::from_secs(5));
    }

    #[test]
    fn no_time_is_before_the_epoch_and_none_overflows() {
        let clock = Clock::at(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);
        assert_eq!(Clock::at_unix(u64::MAX).now(), SystemTime::UNIX_EPOCH + LAST);
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.monotonic(), Duration::MAX);
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + LAST);
    }
}
