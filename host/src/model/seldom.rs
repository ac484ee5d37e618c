//! How often the same trouble is told of.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The shortest time between two log lines about the same trouble.
pub const TELL_EVERY: Duration = Duration::from_secs(10);

/// Lets the first of many equal log lines through, and then one every [`TELL_EVERY`].
#[derive(Debug)]
pub struct Seldom(Mutex<Told>);

#[derive(Debug)]
struct Told {
    last: Option<Instant>,
    since: u64,
}

impl Seldom {
    /// Nothing was told yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Told { last: None, since: 0 }))
    }

    /// Takes note of the trouble. If it is to be told now: how many times it came up since it was told last, this one included.
    pub fn note(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock();
        told.since = told.since.saturating_add(1);
        let is_soon = |last| now.saturating_duration_since(last) < TELL_EVERY;
        if told.last.is_some_and(is_soon) {
            return None;
        }
        told.last = Some(now);
        Some(std::mem::take(&mut told.since))
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_then_one_in_a_while_with_their_number() {
        let (seldom, begin) = (Seldom::new(), Instant::now());
        assert_eq!(seldom.note(begin), Some(1));
        for millisecond in 0..500 {
            assert_eq!(seldom.note(begin + Duration::from_millis(millisecond)), None);
        }
        assert_eq!(seldom.note(begin + TELL_EVERY), Some(501));
        assert_eq!(seldom.note(begin + TELL_EVERY), None);
    }
}
