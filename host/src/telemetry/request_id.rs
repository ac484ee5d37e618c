//! The id of a request: what ties its log lines together.
//!
//! Ids are made without a lock, a shared counter or a system call: each thread walks through a lane of its
//! own, and a bijection that is keyed at random per process spreads the lanes. Within a process no two are
//! equal. They are not secrets and prove nothing.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many of the 64 bits count the requests of a lane; the others number the lanes.
const LANE_BITS: u32 = 40;

static KEY: LazyLock<[u64; 2]> = LazyLock::new(|| {
    [
        RandomState::new().hash_one("request"),
        RandomState::new().hash_one("id"),
    ]
});
static NEXT_LANE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The next position and the key; the position is zero (modulo the lane's size) when a lane must be
    /// taken.
    static LANE: Cell<(u64, [u64; 2])> = const { Cell::new((0, [0; 2])) };
}

/// 64 bits, written as 16 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// An id that no other request of this process has.
    #[must_use]
    pub fn next() -> Self {
        LANE.with(|lane| {
            let (mut position, mut key) = lane.get();
            if position.trailing_zeros() >= LANE_BITS {
                // Position 0 of a lane is never used: it stands for "take a lane".
                position = (NEXT_LANE.fetch_add(1, Ordering::Relaxed) << LANE_BITS) + 1;
                key = *KEY;
            }
            lane.set((position.wrapping_add(1), key));
            let [first, second] = key;
            Self(mix(position ^ first) ^ second)
        })
    }
}

/// The finaliser of SplitMix64: one-to-one, so different positions give different ids.
const fn mix(position: u64) -> u64 {
    let mut bits = position;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl RequestId {
    /// The id that is shown as `text`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain.then(|| u64::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::RequestId;

    #[test]
    fn ids_of_all_threads_differ_and_have_sixteen_lower_case_digits() {
        let threads: Vec<_> = (0..8)
            .map(|_| std::thread::spawn(|| (0..5000).map(|_| RequestId::next()).collect::<Vec<_>>()))
            .collect();
        let ids: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 8 * 5000);
        for id in ids {
            let text = id.to_string();
            assert_eq!(text.len(), 16);
            assert!(
                text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
                "{text}"
            );
        }
    }

    #[test]
    fn neighbours_share_no_prefix() {
        let (first, second) = (RequestId::next().to_string(), RequestId::next().to_string());
        assert_ne!(first[..8], second[..8]);
    }
}
