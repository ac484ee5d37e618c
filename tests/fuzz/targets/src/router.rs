//! The router against a matcher that tries every route.
//!
//! The last line is a path, those before are routes.

use std::cmp::Reverse;

use midplane::model::route::RoutePattern;
use midplane::service::router::Router;

use crate::Target;
use crate::input::text;

pub(crate) const TARGET: Target = Target {
    name: "router",
    run: router,
    cases: 10_000,
    words: &[
        "/", "//", "/a", "/:x", "/:y.json", "/a.:x", "/...", "/*", "\n/", ".", ":", "%2f", "..", "a", "é",
    ],
};

const MAX_ROUTES: usize = 16;

/// Finds the route of a path.
pub fn router(data: &[u8]) -> bool {
    let text = text(data);
    let (routes, path) = text.rsplit_once('\n').unwrap_or(("", &text));
    let routes: Vec<RoutePattern> = routes
        .split('\n')
        .filter_map(|route| RoutePattern::parse(route).ok())
        .take(MAX_ROUTES)
        .collect();
    for route in &routes {
        assert_eq!(RoutePattern::parse(route.raw()).as_ref(), Ok(route));
        assert!(route.matched_route().starts_with(route.component_route()));
    }
    let table = routes
        .iter()
        .cloned()
        .enumerate()
        .map(|(position, route)| (route, position));
    let router = Router::new(table.collect());
    let found = router.route(path);

    let fitting: Vec<(Fit, usize)> = routes
        .iter()
        .enumerate()
        .filter_map(|(position, route)| Some((fit(route.raw(), path)?, position)))
        .collect();
    let Some(found) = found else {
        assert!(fitting.is_empty(), "{path:?} has a route among {routes:?}");
        return false;
    };
    let chosen = fitting
        .iter()
        .find(|(_, position)| position == found.target)
        .map(|(fit, _)| fit)
        .unwrap_or_else(|| panic!("{} does not lead to {path:?}", found.pattern));
    // Of routes that are equal the last one.
    let last = routes.iter().rposition(|route| route == found.pattern);
    assert_eq!(last, Some(*found.target));
    assert_eq!(found.trailing, chosen.trailing);
    let named: Vec<(&str, &str)> = found.segments().collect();
    assert_eq!(named, chosen.named, "{} and {path:?}", found.pattern);
    // Two dotted segments of which neither says more: which of them comes first is not settled by a rule.
    let is_settled = fitting
        .iter()
        .all(|(one, _)| fitting.iter().all(|(other, _)| !one.ties_with(other)));
    if is_settled {
        let best = fitting.iter().map(|(fit, _)| &fit.rank).min();
        assert_eq!(
            Some(&chosen.rank),
            best,
            "{} for {path:?} among {routes:?}",
            found.pattern
        );
    }
    true
}

/// The kind of a segment, whether it begins with a name, and its bytes of fixed text, most first.
type Rank = (u8, bool, Reverse<usize>);

/// How a route fits a path.
struct Fit<'a> {
    rank: Vec<Rank>,
    /// The segments with `:` for each name.
    shape: Vec<String>,
    named: Vec<(&'a str, &'a str)>,
    trailing: String,
}

impl Fit<'_> {
    fn ties_with(&self, other: &Self) -> bool {
        let segments = self.shape.iter().zip(&self.rank);
        let others = other.shape.iter().zip(&other.rank);
        segments
            .zip(others)
            .find(|((shape, _), (other, _))| shape != other)
            .is_some_and(|((_, rank), (_, other))| rank == other)
    }
}

/// Written on texts, without anything of the router.
fn fit<'a>(route: &'a str, path: &'a str) -> Option<Fit<'a>> {
    if !path.starts_with('/') {
        return None;
    }
    let mut wanted: Vec<&str> = route.split('/').filter(|segment| !segment.is_empty()).collect();
    let wildcard = matches!(wanted.last(), Some(&"..." | &"*"));
    if wildcard {
        wanted.pop();
    }
    let trimmed = path.trim_matches('/');
    let given: Vec<&str> = if trimmed.is_empty() {
        Vec::new()
    } else {
        trimmed.split('/').collect()
    };
    if given.len() < wanted.len() || (given.len() > wanted.len() && !wildcard) {
        return None;
    }
    let mut fit = Fit {
        rank: Vec::new(),
        shape: Vec::new(),
        named: Vec::new(),
        trailing: String::new(),
    };
    for (position, (wanted, given_text)) in wanted.iter().zip(&given).enumerate() {
        let ends_path = position + 1 == given.len();
        let parts: Vec<&str> = wanted.split('.').collect();
        let named = parts.iter().filter(|part| part.starts_with(':')).count();
        // The dots between count too.
        let literals = parts.iter().filter(|part| !part.starts_with(':'));
        let fixed = literals.map(|part| part.len()).sum::<usize>() + parts.len();
        let kind = match (named, parts.len()) {
            (0, _) => 0,
            (_, 1) => 2,
            _ => 1,
        };
        if kind == 0 && wanted != given_text {
            return None;
        }
        // A name reaches to the next dot, and the last one to the end.
        let values: Vec<&str> = given_text.splitn(parts.len(), '.').collect();
        if values.len() != parts.len() {
            return None;
        }
        for (index, (part, value)) in parts.iter().zip(&values).enumerate() {
            match part.strip_prefix(':') {
                Some(_) if index + 1 == parts.len() && ends_path && value.is_empty() => return None,
                Some(name) => fit.named.push((name, value)),
                None if part == value => {}
                None => return None,
            }
        }
        let fixed = if kind == 1 { fixed } else { 0 };
        fit.rank
            .push((kind, kind == 1 && wanted.starts_with(':'), Reverse(fixed)));
        let shape = parts
            .iter()
            .map(|part| if part.starts_with(':') { ":" } else { part });
        fit.shape.push(shape.collect::<Vec<_>>().join("."));
    }
    fit.rank.push((if wildcard { 3 } else { 0 }, false, Reverse(0)));
    fit.shape.push(String::from(if wildcard { "..." } else { "" }));
    let rest = given[wanted.len()..].join("/");
    let slash = if path.ends_with('/') { "/" } else { "" };
    fit.trailing = match (wildcard, given.len() == wanted.len()) {
        (false, _) => String::new(),
        (true, true) => slash.to_owned(),
        (true, false) => format!("/{rest}{slash}"),
    };
    Some(fit)
}
