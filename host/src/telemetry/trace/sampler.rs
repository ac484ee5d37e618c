//! Which traces are recorded. The decision is made of the trace's id alone, or is that of the caller, so that
//! every span of a trace meets the same one.

use super::{context::TraceContext, id::TraceId};

/// Ids are compared by 63 bits, as other implementations do, so that equal ratios choose equal traces.
const WHOLE: u64 = 1 << 63;

/// Decides whether a trace is recorded (`OTEL_TRACES_SAMPLER`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Ids below this are recorded.
    below: u64,
    caller: CallerDecision,
}

/// What a caller's decision counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerDecision {
    /// It holds; only traces that begin here are decided here (`parentbased_…`).
    Holds,
    /// Nothing.
    Ignored,
}

impl Sampler {
    /// Records this part of all traces, from 0 (none) to 1 (all); beyond that as the nearer of the two.
    #[must_use]
    pub fn ratio(ratio: f64, caller: CallerDecision) -> Self {
        // Casts of floats saturate, and 2^63 is exact in both types.
        let below = (ratio.clamp(0.0, 1.0) * WHOLE as f64) as u64;
        Self { below, caller }
    }

    /// Records all traces.
    #[must_use]
    pub const fn always(caller: CallerDecision) -> Self {
        Self { below: WHOLE, caller }
    }

    /// Records no trace of its own accord.
    #[must_use]
    pub const fn never(caller: CallerDecision) -> Self {
        Self { below: 0, caller }
    }

    pub(super) fn samples(self, parent: Option<TraceContext>, trace_id: TraceId) -> bool {
        match (self.caller, parent) {
            (CallerDecision::Holds, Some(parent)) => parent.sampled,
            _ => trace_id.lower_half() >> 1 < self.below,
        }
    }
}

/// What callers decided holds, and all other traces are recorded: `parentbased_always_on`.
impl Default for Sampler {
    fn default() -> Self {
        Self::always(CallerDecision::Holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::trace::id::SpanId;

    fn parent(sampled: bool) -> TraceContext {
        TraceContext {
            trace_id: TraceId::next(),
            span_id: SpanId::next(),
            sampled,
        }
    }

    #[test]
    fn the_caller_decides_where_its_decision_holds() {
        let new = TraceId::next();
        for sampled in [true, false] {
            let parent = parent(sampled);
            let samples = |sampler: Sampler| sampler.samples(Some(parent), parent.trace_id);
            assert_eq!(samples(Sampler::always(CallerDecision::Holds)), sampled);
            assert_eq!(samples(Sampler::never(CallerDecision::Holds)), sampled);
            assert!(samples(Sampler::always(CallerDecision::Ignored)));
            assert!(!samples(Sampler::never(CallerDecision::Ignored)));
        }
        assert!(Sampler::default().samples(None, new));
        assert!(!Sampler::never(CallerDecision::Holds).samples(None, new));
    }

    #[test]
    fn a_ratio_takes_its_part_and_whatever_a_smaller_one_takes() {
        let ids: Vec<_> = (0..20_000).map(|_| TraceId::next()).collect();
        let taken = |ratio: f64| -> Vec<bool> {
            let sampler = Sampler::ratio(ratio, CallerDecision::Ignored);
            ids.iter().map(|id| sampler.samples(None, *id)).collect()
        };
        let (none, tenth, half, all) = (taken(0.0), taken(0.1), taken(0.5), taken(1.0));
        let count = |taken: &[bool]| taken.iter().filter(|taken| **taken).count();
        assert_eq!((count(&none), count(&all)), (0, 20_000));
        // More than ten standard deviations around the mean.
        assert!((1500..2500).contains(&count(&tenth)), "{}", count(&tenth));
        assert!((9200..10_800).contains(&count(&half)), "{}", count(&half));
        assert!(tenth.iter().zip(&half).all(|(tenth, half)| !tenth || *half));
    }

    #[test]
    fn the_bound_is_that_of_the_other_implementations() {
        let id = |lower: u64| {
            let mut bytes = [0xff; 16];
            bytes[8..].copy_from_slice(&lower.to_be_bytes());
            TraceId::from_bytes(bytes).unwrap()
        };
        let half = Sampler::ratio(0.5, CallerDecision::Ignored);
        assert!(half.samples(None, id(0x7fff_ffff_ffff_ffff)));
        assert!(!half.samples(None, id(0x8000_0000_0000_0000)));
    }
}
