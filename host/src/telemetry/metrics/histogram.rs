//! A histogram of durations made of atomics. The one of the OpenMetrics library holds a lock while it counts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The scale of requests: upper bounds in nanoseconds, from a warm hello (100 µs) to the longest wait that a
/// default limit allows (30 s).
pub(super) const REQUESTS: [u64; 17] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// The scale of calls over links, which take about a microsecond: upper bounds in nanoseconds, up to 10 s.
pub(super) const CALLS: [u64; 16] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
    500_000_000,
    2_500_000_000,
    10_000_000_000,
];

/// Counts durations by size.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    /// Upper bounds in nanoseconds, rising.
    bounds: &'static [u64; N],
    buckets: [AtomicU64; N],
    beyond: AtomicU64,
    sum: AtomicU64,
}

/// What a histogram holds at one moment.
#[derive(Debug, PartialEq)]
pub(super) struct Snapshot {
    /// Upper bound in seconds and how many fell between the bound before and this one.
    pub(super) buckets: Vec<(f64, u64)>,
    /// Seconds.
    pub(super) sum: f64,
    pub(super) count: u64,
}

impl<const N: usize> Histogram<N> {
    pub(super) fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            buckets: [const { AtomicU64::new(0) }; N],
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    pub(super) fn observe(&self, duration: Duration) {
        let nanos = nanos(duration);
        let index = self.bounds.partition_point(|bound| *bound < nanos);
        self.buckets
            .get(index)
            .unwrap_or(&self.beyond)
            .fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The count is that of the buckets read, so that the two never disagree.
    pub(super) fn snapshot(&self) -> Snapshot {
        let bounds = self
            .bounds
            .iter()
            .map(|bound| seconds(*bound))
            .chain([f64::INFINITY]);
        let counts = self
            .buckets
            .iter()
            .chain([&self.beyond])
            .map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Snapshot {
            buckets,
            sum: seconds(self.sum.load(Ordering::Relaxed)),
            count,
        }
    }
}

/// Nothing counted, on the scale of requests.
impl Default for Histogram<{ REQUESTS.len() }> {
    fn default() -> Self {
        Self::new(&REQUESTS)
    }
}

/// Whole nanoseconds, enough for 584 years.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds as seconds.
pub(super) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CALLS, Histogram, REQUESTS};

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 30_000_000, 30_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.buckets[0], (0.0001, 2));
        assert_eq!(snapshot.buckets[1], (0.00025, 1));
        assert_eq!(snapshot.buckets[16], (30.0, 1));
        assert_eq!(snapshot.buckets[17], (f64::INFINITY, 1));
        assert_eq!(snapshot.count, 5);
        assert!((snapshot.sum - 60.000_202).abs() < 1e-9);
    }

    #[test]
    fn the_scale_of_calls_tells_microseconds_apart() {
        let histogram = Histogram::new(&CALLS);
        for nanos in [700, 1_000, 1_001, 4_000, 10_000_000_001] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        let counts: Vec<_> = histogram
            .snapshot()
            .buckets
            .iter()
            .map(|(_, count)| *count)
            .collect();
        assert_eq!(counts[..4], [2, 1, 1, 0]);
        assert_eq!((counts[15], counts[16]), (0, 1));
    }

    #[test]
    fn bounds_rise() {
        assert!(REQUESTS.is_sorted_by(|one, next| one < next));
        assert!(CALLS.is_sorted_by(|one, next| one < next));
    }
}
