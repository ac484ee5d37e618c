//! The clock and randomness of wherever this runs.

use std::time::SystemTime;

use orders_domain::order::OrderId;
use orders_domain::port::{Clock, Ids};
use orders_domain::time::Timestamp;

/// The system's wall clock, which is 1970 before 1970, and ids with the system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Ids for System {
    fn order(&self, now: Timestamp) -> OrderId {
        let mut random = [0; 10];
        #[expect(
            clippy::expect_used,
            reason = "where there is no randomness, no id can be made at all"
        )]
        getrandom::fill(&mut random).expect("the system has randomness");
        OrderId::new(now, &random)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_of_one_moment_differ() {
        let now = System.now();
        let ids: BTreeSet<_> = (0..1000).map(|_| System.order(now)).collect();
        assert_eq!(ids.len(), 1000);
    }
}
