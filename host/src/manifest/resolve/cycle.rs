//! Dependencies of services on services: a component that is composed into itself has no end.

use std::collections::BTreeMap;
use std::ops::Range;

use super::invalid;
use crate::manifest::read::Result;
use crate::model::ServiceName;

/// A longer cycle is cut when it is shown.
const MAX_SHOWN_SERVICES: usize = 16;

/// `from` has the component of `to` composed into it.
pub(super) struct Edge {
    pub(super) from: ServiceName,
    pub(super) to: ServiceName,
    pub(super) span: Range<usize>,
}

/// Refuses a cycle at its first edge in the file.
pub(super) fn refuse(edges: &[Edge]) -> Result<()> {
    let cycle = find(edges);
    let Some(first) = cycle.iter().enumerate().min_by_key(|(_, edge)| edge.span.start) else {
        return Ok(());
    };
    let (at, edge) = first;
    let in_order = cycle.iter().cycle().skip(at).take(cycle.len());
    let mut shown: Vec<String> = in_order
        .take(MAX_SHOWN_SERVICES)
        .map(|edge| format!("`{}`", edge.from))
        .collect();
    if cycle.len() > MAX_SHOWN_SERVICES {
        shown.push("…".to_owned());
    }
    shown.push(format!("`{}`", edge.from));
    let reason = format!("a component would be composed into itself: {}", shown.join(" → "));
    let hint = format!(
        "make one of them a link, which may lead in a circle: `[component.{}.tool.midplane.links]`",
        edge.from
    );
    invalid(
        format!("the dependency on `{}`", edge.to),
        reason,
        Some(&hint),
        edge.span.clone(),
    )
}

/// The edges of one cycle, in their order; none if there is no cycle.
fn find(edges: &[Edge]) -> Vec<&Edge> {
    // Whoever depends on nobody is in no cycle, and then neither is whoever depends on such only, and so on.
    let mut open: BTreeMap<&ServiceName, usize> = BTreeMap::new();
    let mut users: BTreeMap<&ServiceName, Vec<&ServiceName>> = BTreeMap::new();
    for edge in edges {
        *open.entry(&edge.from).or_default() += 1;
        open.entry(&edge.to).or_default();
        users.entry(&edge.to).or_default().push(&edge.from);
    }
    let mut settled: Vec<&ServiceName> = open
        .iter()
        .filter(|(_, uses)| **uses == 0)
        .map(|(name, _)| *name)
        .collect();
    while let Some(name) = settled.pop() {
        open.remove(name);
        for user in users.get(name).into_iter().flatten() {
            if let Some(uses) = open.get_mut(user) {
                *uses -= 1;
                if *uses == 0 {
                    settled.push(user);
                }
            }
        }
    }
    // Everybody who is left depends on somebody who is left, so a walk comes back to where it was.
    let mut next: BTreeMap<&ServiceName, &Edge> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| open.contains_key(&edge.to)) {
        next.entry(&edge.from).or_insert(edge);
    }
    let mut walk: Vec<&Edge> = Vec::new();
    let mut visited: BTreeMap<&ServiceName, usize> = BTreeMap::new();
    let mut at = open.keys().next().copied();
    while let Some(edge) = at.and_then(|name| next.get(name)) {
        if let Some(start) = visited.insert(&edge.from, walk.len()) {
            return walk.split_off(start);
        }
        walk.push(edge);
        at = Some(&edge.to);
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(text: &str) -> Vec<Edge> {
        let edge = |(at, pair): (usize, &str)| {
            let (from, to) = pair.split_once('>').unwrap();
            Edge {
                from: ServiceName::parse(from).unwrap(),
                to: ServiceName::parse(to).unwrap(),
                span: at..at + 1,
            }
        };
        text.split_whitespace().enumerate().map(edge).collect()
    }

    fn cycle(text: &str) -> String {
        let edges = edges(text);
        let shown: Vec<&str> = find(&edges).iter().map(|edge| edge.from.as_str()).collect();
        shown.join(">")
    }

    #[test]
    fn what_leads_nowhere_twice_has_no_cycle() {
        for text in ["", "a>b", "a>b b>c a>c", "a>b a>b b>c", "a>d b>d c>d d>e"] {
            assert_eq!(cycle(text), "", "{text}");
        }
    }

    #[test]
    fn a_cycle_is_found_without_what_leads_to_it_or_from_it() {
        assert_eq!(cycle("a>b b>a"), "a>b");
        assert_eq!(cycle("a>b b>c c>d d>b c>e e>f"), "b>c>d");
        assert_eq!(cycle("z>y y>x x>z a>z"), "z>y>x");
    }

    #[test]
    fn a_long_chain_takes_no_stack_and_a_long_cycle_a_short_message() {
        let mut text = String::new();
        for at in 0..20_000 {
            text.push_str(&format!("s{at}>s{} ", at + 1));
        }
        assert_eq!(cycle(&text), "");
        text.push_str("s20000>s0");
        let fault = refuse(&edges(&text)).unwrap_err();
        let shown = fault.get_ref().to_string();
        assert!(shown.contains("`s15` → … → `s0`"), "{shown}");
        assert!(shown.len() < 500);
    }
}
