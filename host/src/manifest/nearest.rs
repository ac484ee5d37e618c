//! What an unknown word was most likely meant to be.

/// The candidate that `text` was most likely meant to be, if one is near enough.
pub(super) fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    // Names are at most 64 bytes, so nothing longer is near to one.
    if text.len() > 80 {
        return None;
    }
    let text = text.to_lowercase().replace('-', "_");
    let limit = (text.chars().count() / 3).max(1);
    candidates
        .take(1_000)
        .map(|candidate| {
            (
                distance(&text, &candidate.to_lowercase().replace('-', "_")),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) between two texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, from) in a.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in b.iter().enumerate() {
            let at = |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, column) + usize::from(from != *to))
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            let swapped = column > 0 && previous == Some(*to) && b.get(column - 1) == Some(&from);
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        previous = Some(from);
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("source", "sorce", 1),
            ("route", "ruote", 1),
            ("abc", "xyz", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_candidate_is_suggested_only_when_it_is_near() {
        let known = ["source", "files", "environment", "key_value_stores"];
        assert_eq!(nearest("sorce", known.into_iter()), Some("source"));
        assert_eq!(
            nearest("key-value-stores", known.into_iter()),
            Some("key_value_stores")
        );
        assert_eq!(nearest("enviroment", known.into_iter()), Some("environment"));
        assert_eq!(nearest("banana", known.into_iter()), None);
        assert_eq!(nearest(&"source".repeat(100), known.into_iter()), None);
    }
}
