//! When each revision of a track was allowed to answer.

use std::collections::HashMap;

use crate::record::{Outcome, Swap};

/// From the beginning of the call that published a revision to the end of the one that replaced it.
#[derive(Debug, Clone, Copy)]
struct Window {
    begin: u64,
    end: u64,
}

/// The windows of a track.
pub struct Windows {
    /// By revision; of each revision in the order of time, so that their ends are in order as well.
    by_revision: HashMap<u32, Vec<Window>>,
}

/// Whether a revision was allowed to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// It was replaced before the request began, at this time.
    Replaced(u64),
    /// It was published after the request was answered.
    Early,
    /// It was never published.
    Never,
}

impl Windows {
    /// Takes the swaps of one track, in the order of time.
    pub fn new(swaps: &[Swap]) -> Self {
        let mut closed: Vec<(u32, Window)> = Vec::new();
        let mut open: Vec<(u32, Window)> = Vec::new();
        for swap in swaps {
            if swap.outcome == Outcome::Published {
                // Whoever was current before, or may have been, is so no more.
                closed.extend(open.drain(..).map(|(revision, window)| {
                    let end = swap.end;
                    (revision, Window { end, ..window })
                }));
            }
            // What nobody knows may be current, and what was before may be too.
            if matches!(swap.outcome, Outcome::Published | Outcome::Unknown) {
                let window = Window {
                    begin: swap.begin,
                    end: u64::MAX,
                };
                open.push((swap.revision, window));
            }
        }
        closed.append(&mut open);
        let mut by_revision: HashMap<u32, Vec<Window>> = HashMap::new();
        for (revision, window) in closed {
            by_revision.entry(revision).or_default().push(window);
        }
        Self { by_revision }
    }

    /// Judges an answer of a revision to a request that entered between `begin` and `head`.
    pub fn judge(&self, revision: u32, begin: u64, head: u64) -> Verdict {
        let Some(windows) = self.by_revision.get(&revision) else {
            return Verdict::Never;
        };
        // Windows have their ends in the order of their beginnings: the last that began in time ends last.
        let began = windows.partition_point(|window| window.begin <= head);
        match began.checked_sub(1).and_then(|last| windows.get(last)) {
            None => Verdict::Early,
            Some(window) if window.end >= begin => Verdict::Allowed,
            Some(window) => Verdict::Replaced(window.end),
        }
    }
}
