//! The ids of traces and spans, and where new ones come from.
//!
//! New ids are drawn from a generator of the thread (xoshiro256++), seeded from the keys that the standard
//! library draws for its hash maps: no lock and no system call per id. They are unpredictable enough never to
//! meet those of another process; they are no secrets and prove nothing. An id is never zero, which the
//! recommendation calls invalid.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, RandomState},
};

thread_local! {
    /// The state of the generator; all zero until the thread draws its first number.
    static STATE: Cell<[u64; 4]> = const { Cell::new([0; 4]) };
}

/// The id of a trace: 16 bytes, not all of them zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span in its trace: 8 bytes, not all of them zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The id of these bytes, big-endian. `None` if all are zero.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// The 16 bytes, big-endian.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// A new id.
    pub(super) fn next() -> Self {
        Self(((u128::from(random()) << 64) | u128::from(random_but_zero())).to_be_bytes())
    }

    /// The lower half, which the ratio of a sampler is compared with.
    pub(super) fn lower_half(self) -> u64 {
        // The cast keeps the lower 64 bits.
        u128::from_be_bytes(self.0) as u64
    }
}

impl SpanId {
    /// The id of these bytes, big-endian. `None` if all are zero.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// The 8 bytes, big-endian.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    /// A new id.
    pub(super) fn next() -> Self {
        Self(random_but_zero().to_be_bytes())
    }
}

/// 32 hexadecimal digits, lower case.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// 16 hexadecimal digits, lower case.
impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number of 64 random bits.
pub(super) fn random() -> u64 {
    STATE.with(|cell| {
        let mut state = cell.get();
        if state == [0; 4] {
            let keys = RandomState::new();
            state = [0_u8, 1, 2, 3].map(|word| keys.hash_one(word));
        }
        let [mut s0, mut s1, mut s2, mut s3] = state;
        let drawn = s0.wrapping_add(s3).rotate_left(23).wrapping_add(s0);
        let shifted = s1 << 17;
        s2 ^= s0;
        s3 ^= s1;
        s1 ^= s2;
        s0 ^= s3;
        s2 ^= shifted;
        s3 = s3.rotate_left(45);
        cell.set([s0, s1, s2, s3]);
        drawn
    })
}

/// One in 2^64 numbers is zero and drawn again.
fn random_but_zero() -> u64 {
    loop {
        let drawn = random();
        if drawn != 0 {
            return drawn;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{STATE, SpanId, TraceId, random};

    #[test]
    fn ids_of_all_threads_differ() {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(|| {
                    (0..5000)
                        .map(|_| (TraceId::next(), SpanId::next()))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let ids: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        let traces: HashSet<_> = ids.iter().map(|(trace, _)| trace).collect();
        let spans: HashSet<_> = ids.iter().map(|(_, span)| span).collect();
        assert_eq!((traces.len(), spans.len()), (40_000, 40_000));
    }

    #[test]
    fn the_generator_draws_the_numbers_of_its_reference() {
        // xoshiro256plusplus.c with the state 1, 2, 3, 4.
        STATE.set([1, 2, 3, 4]);
        assert_eq!(
            [random(), random(), random()],
            [41_943_041, 58_720_359, 3_588_806_011_781_223]
        );
    }

    #[test]
    fn zero_is_no_id() {
        assert_eq!(TraceId::from_bytes([0; 16]), None);
        assert_eq!(SpanId::from_bytes([0; 8]), None);
    }

    #[test]
    fn ids_are_written_with_all_their_zeros() {
        let mut bytes = [0; 16];
        bytes[15] = 0xab;
        let trace = TraceId::from_bytes(bytes).unwrap();
        assert_eq!(trace.to_string(), "000000000000000000000000000000ab");
        assert_eq!(trace.lower_half(), 0xab);
        let span = SpanId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        assert_eq!(span.to_string(), "0001020304050607");
    }
}
