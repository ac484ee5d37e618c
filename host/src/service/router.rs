//! From the path of a request to the route that serves it, by Spin's rules.
//!
//! Owns the order of precedence: at each segment, from left to right, fixed text beats a name, a name beats a
//! wildcard; so an exact route beats a wildcard and the longest prefix wins. Slashes at either end of the
//! path mean nothing for the choice; percent-encoding is left as it is. The router knows no methods, hosts or
//! services.
//!
//! One deviation, in routes whose names have dots (`/a.:x`, `/:x.json`) only: the order that Spin's router
//! sorts these by is not transitive, so that there the winner among several can hang on which other routes
//! exist. Here it never does: each segment is decided before the next, fixed text first.
//!
//! Bounds: a lookup allocates nothing and visits each node of the tree at most once; a path that only fixed
//! text matches costs one binary search per segment. The length of the path is the listener's bound.

use crate::model::route::{RoutePattern, Segment, SegmentPattern};

/// An immutable table of routes with what each leads to.
#[derive(Debug)]
pub struct Router<T> {
    routes: Vec<(RoutePattern, T)>,
    root: Node,
}

/// The route that serves a path. Borrows from the router and from the path.
#[derive(Debug)]
pub struct Match<'a, T> {
    /// What the route leads to.
    pub target: &'a T,
    /// The route.
    pub pattern: &'a RoutePattern,
    /// What `/...` stands for (`spin-path-info`), with its slash and that at the end of the path: for
    /// `/a/...` it is `/b/` of `/a/b/` and empty of `/a`. Empty if the route has no wildcard.
    pub trailing: &'a str,
    path: &'a str,
}

/// A place in the tree: what may follow after the segments on the way to it. Routes are positions in the
/// table.
#[derive(Debug, Default)]
struct Node {
    /// Sorted by text.
    literals: Vec<(Box<str>, Node)>,
    /// Segments with names and dots, in the order in which they are tried.
    patterns: Vec<(SegmentPattern, Node)>,
    name: Option<Box<Node>>,
    ends_here: Option<usize>,
    wildcard: Option<usize>,
}

impl<T> Router<T> {
    /// Builds the table. Of equal routes the last one wins.
    pub fn new(routes: Vec<(RoutePattern, T)>) -> Self {
        let mut root = Node::default();
        for (position, (pattern, _)) in routes.iter().enumerate() {
            let node = pattern.segments().iter().fold(&mut root, Node::child);
            let place = if pattern.is_wildcard() {
                &mut node.wildcard
            } else {
                &mut node.ends_here
            };
            *place = Some(position);
        }
        Self { routes, root }
    }

    /// The best route for `path`, the path of a request as it came, without its query. A path that does not
    /// start with a slash (`*`) has none.
    pub fn route<'a>(&'a self, path: &'a str) -> Option<Match<'a, T>> {
        if !path.starts_with('/') {
            return None;
        }
        let body = path.trim_matches('/');
        let position = self.root.find(Some(body).filter(|body| !body.is_empty()))?;
        let (pattern, target) = self.routes.get(position)?;
        let trailing = if pattern.is_wildcard() {
            after(path, pattern.segments().len())
        } else {
            ""
        };
        Some(Match {
            target,
            pattern,
            trailing,
            path: body,
        })
    }

    /// All routes, in the order of the manifest, those that an equal one overrules included.
    pub fn routes(&self) -> impl Iterator<Item = (&RoutePattern, &T)> {
        self.routes.iter().map(|(pattern, target)| (pattern, target))
    }
}

impl<'a, T> Match<'a, T> {
    /// The named parts of the route with what they stand for in the path, raw, from left to right.
    pub fn segments(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a, T> {
        self.pattern
            .segments()
            .iter()
            .zip(self.path.split('/'))
            .flat_map(|(segment, text)| segment.captures(text))
    }
}

impl Node {
    /// The node behind `segment`, made if it is new.
    fn child(&mut self, segment: &Segment) -> &mut Self {
        match segment {
            Segment::Pattern(pattern) if pattern.is_lone_name() => self.name.get_or_insert_default(),
            Segment::Literal(text) => {
                let found = self.literals.binary_search_by(|(key, _)| key.cmp(text));
                insert_at(&mut self.literals, found, || (text.clone(), Self::default()))
            }
            Segment::Pattern(pattern) => {
                let found = match self.patterns.iter().position(|(key, _)| key == pattern) {
                    Some(position) => Ok(position),
                    None => Err(self
                        .patterns
                        .partition_point(|(key, _)| key.precedence(pattern).is_le())),
                };
                insert_at(&mut self.patterns, found, || (pattern.clone(), Self::default()))
            }
        }
    }

    /// The best route below this node for the segments left, `None` at the end of the path. Recursion is as
    /// deep as the longest route.
    fn find(&self, rest: Option<&str>) -> Option<usize> {
        let Some(rest) = rest else {
            return self.ends_here.or(self.wildcard);
        };
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (rest, None),
        };
        let literal = self
            .literals
            .binary_search_by(|(key, _)| (**key).cmp(segment))
            .ok();
        literal
            .and_then(|position| self.literals.get(position))
            .and_then(|(_, node)| node.find(rest))
            .or_else(|| {
                let mut fitting = self
                    .patterns
                    .iter()
                    .filter(|(key, _)| key.matches(segment, rest.is_none()));
                fitting.find_map(|(_, node)| node.find(rest))
            })
            .or_else(|| self.name.as_ref().and_then(|node| node.find(rest)))
            .or(self.wildcard)
    }
}

/// The node at `found`, or a new one inserted where the search says.
#[expect(
    clippy::indexing_slicing,
    reason = "the position was found in, or has just been inserted into, this vector"
)]
fn insert_at<K>(
    children: &mut Vec<(K, Node)>,
    found: Result<usize, usize>,
    new: impl FnOnce() -> (K, Node),
) -> &mut Node {
    let position = found.unwrap_or_else(|position| {
        children.insert(position, new());
        position
    });
    &mut children[position].1
}

/// What follows the first `segments` segments of `path`. Repeated slashes at either end of the path count as
/// one.
fn after(path: &str, segments: usize) -> &str {
    let body = path.trim_matches('/');
    if body.is_empty() {
        return path.get(..1).unwrap_or_default();
    }
    let start = path.len() - path.trim_start_matches('/').len();
    let end = start + body.len() + usize::from(path.ends_with('/'));
    let framed = path.get(start.saturating_sub(1)..end).unwrap_or_default();
    framed
        .match_indices('/')
        .nth(segments)
        .and_then(|(slash, _)| framed.get(slash..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
