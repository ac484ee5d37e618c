//! The clock and randomness of wherever this runs.

use std::time::SystemTime;

use catalog_domain::port::{Clock, Ids};
use catalog_domain::product::ProductId;
use catalog_domain::time::Timestamp;

/// The system's wall clock. Before 1970 it is 1970.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Ids with the system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn product(&self, now: Timestamp) -> ProductId {
        let mut random = [0; 10];
        #[expect(
            clippy::expect_used,
            reason = "where there is no randomness, no id can be made at all"
        )]
        getrandom::fill(&mut random).expect("the system has randomness");
        ProductId::new(now, &random)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_of_one_moment_differ() {
        let now = SystemClock.now();
        let ids: BTreeSet<_> = (0..1000).map(|_| RandomIds.product(now)).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn the_clock_is_of_this_age() {
        assert!(SystemClock.now().to_string().as_str() > "2026-01-01T00:00:00Z");
    }
}
