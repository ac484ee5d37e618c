//! The rules as a table, and as a property against a matcher that tries every route.

use std::cmp::Reverse;

use proptest::prelude::*;

use super::*;

/// Path, route, what its wildcard stands for, what its names stand for.
type Expected = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// How a route ranks, segment by segment; the smallest comes first.
type Rank = Vec<(u8, Vec<u8>, Reverse<usize>)>;

fn router(routes: &[&str]) -> Router<usize> {
    let parse = |raw: &&str| RoutePattern::parse(raw).unwrap_or_else(|error| panic!("{raw}: {error}"));
    Router::new(
        routes
            .iter()
            .enumerate()
            .map(|(position, raw)| (parse(raw), position))
            .collect(),
    )
}

#[test]
fn the_rules_of_precedence() {
    let routes = [
        "/",
        "/...",
        "/a",
        "/a/...",
        "/a/b/...",
        "/a/:name",
        "/a/:name/c",
        "/:top",
        "/:top/x/...",
        "/files/:name.json",
        "/files/:name.:extension",
        "/files/report.json",
        "/deep/:one/:two/...",
    ];
    let router = router(&routes);
    let table: [Expected; 33] = [
        ("/", "/", "", &[]),
        ("//", "/", "", &[]),
        ("/a", "/a", "", &[]),
        ("/a/", "/a", "", &[]),
        ("//a//", "/a", "", &[]),
        ("/a/b", "/a/b/...", "", &[]),
        ("/a/b/", "/a/b/...", "/", &[]),
        ("/a/b//", "/a/b/...", "/", &[]),
        ("/a/b/c", "/a/b/...", "/c", &[]),
        ("/a/b/c/d/", "/a/b/...", "/c/d/", &[]),
        ("/a/z", "/a/:name", "", &[("name", "z")]),
        ("/a/z/", "/a/:name", "", &[("name", "z")]),
        ("/a/z/c", "/a/:name/c", "", &[("name", "z")]),
        ("/a//c", "/a/:name/c", "", &[("name", "")]),
        ("/a/z/d", "/a/...", "/z/d", &[]),
        ("/a/z//", "/a/:name", "", &[("name", "z")]),
        ("/a//z", "/a/...", "//z", &[]),
        ("/q", "/:top", "", &[("top", "q")]),
        ("/A", "/:top", "", &[("top", "A")]),
        ("/%61", "/:top", "", &[("top", "%61")]),
        ("/q%2Fr", "/:top", "", &[("top", "q%2Fr")]),
        ("/q/r", "/...", "/q/r", &[]),
        ("//q/r/", "/...", "/q/r/", &[]),
        ("/q/x", "/:top/x/...", "", &[("top", "q")]),
        ("/q/x/y/z", "/:top/x/...", "/y/z", &[("top", "q")]),
        ("/a/x/y", "/a/...", "/x/y", &[]),
        ("/files/report.json", "/files/report.json", "", &[]),
        ("/files/other.json", "/files/:name.json", "", &[("name", "other")]),
        (
            "/files/a.b.c",
            "/files/:name.:extension",
            "",
            &[("name", "a"), ("extension", "b.c")],
        ),
        ("/files/.json", "/files/:name.json", "", &[("name", "")]),
        ("/files/plain", "/...", "/files/plain", &[]),
        ("/files/dot.", "/...", "/files/dot.", &[]),
        (
            "/deep/1/2/3/",
            "/deep/:one/:two/...",
            "/3/",
            &[("one", "1"), ("two", "2")],
        ),
    ];
    for (path, route, trailing, segments) in table {
        let found = router
            .route(path)
            .unwrap_or_else(|| panic!("{path} has no route"));
        assert_eq!(found.pattern.raw(), route, "{path}");
        assert_eq!(routes[*found.target], route, "{path}");
        assert_eq!(found.trailing, trailing, "{path}");
        assert_eq!(found.segments().collect::<Vec<_>>(), segments, "{path}");
    }
}

#[test]
fn a_path_outside_every_route_has_none() {
    let router = router(&["/a", "/b/...", "/c/:id"]);
    for path in [
        "", "*", "a", "b/x", "/", "/a/b", "/ab", "/bc", "/c", "/c/", "/c/1/2", "/d",
    ] {
        assert!(router.route(path).is_none(), "{path} should have no route");
    }
    assert!(Router::<()>::new(Vec::new()).route("/").is_none());
}

#[test]
fn the_last_of_equal_routes_wins() {
    let router = router(&["/a/:x", "/b/...", "/c", "/a/:y", "/b/*", "/c/"]);
    for (path, target, names) in [("/a/1", 3, vec!["y"]), ("/b/1", 4, vec![]), ("/c", 5, vec![])] {
        let found = router.route(path).unwrap();
        assert_eq!(*found.target, target, "{path}");
        assert_eq!(found.segments().map(|(name, _)| name).collect::<Vec<_>>(), names);
    }
    assert_eq!(router.routes().count(), 6);
}

#[test]
fn a_dead_end_under_fixed_text_falls_back_to_names_and_wildcards() {
    let router = router(&["/a/b/c", "/a/:x/d", "/:y/b/e", "/:y/..."]);
    for (path, target) in [
        ("/a/b/c", 0),
        ("/a/b/d", 1),
        ("/a/b/e", 2),
        ("/a/b/f", 3),
        ("/a", 3),
    ] {
        assert_eq!(*router.route(path).unwrap().target, target, "{path}");
    }
}

#[test]
fn which_of_two_dotted_routes_wins_does_not_hang_on_others() {
    for others in [&[][..], &["/"], &["/", "/..."], &["/b/c"]] {
        for pair in [["/a.:x", "/:x.b"], ["/:x.b", "/a.:x"]] {
            let routes = [&pair[..], others].concat();
            assert_eq!(
                router(&routes).route("/a.b").unwrap().pattern.raw(),
                "/a.:x",
                "{routes:?}"
            );
        }
    }
    let router = router(&["/:x/a.:y/...", "/:x.b/..."]);
    assert_eq!(*router.route("/.b/a.c").unwrap().target, 1);
}

#[test]
fn the_longest_route_and_a_very_long_path_are_fine() {
    let deepest = format!("/:a{}", "/b".repeat(510));
    let router = router(&[&deepest, "/..."]);
    assert_eq!(
        *router.route(&format!("/x{}", "/b".repeat(510))).unwrap().target,
        0
    );
    let long = "/b".repeat(100_000);
    assert_eq!(router.route(&long).unwrap().trailing, long);
}

/// What one route, written out, makes of one path: nothing, or how it ranks and what its wildcard stands for.
/// Written on strings, without anything of the router.
fn naive(route: &str, path: &str) -> Option<(Rank, String)> {
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
    let mut rank = Vec::new();
    for (position, (wanted, given_text)) in wanted.iter().zip(&given).enumerate() {
        let ends_path = position + 1 == given.len();
        let parts: Vec<&str> = wanted.split('.').collect();
        let values: Vec<&str> = given_text.splitn(parts.len(), '.').collect();
        if values.len() != parts.len() {
            return None;
        }
        for (index, (part, value)) in parts.iter().zip(&values).enumerate() {
            let last = index + 1 == parts.len();
            match part.strip_prefix(':') {
                Some(_) if last && ends_path && value.is_empty() => return None,
                Some(_) => {}
                None if part == value => {}
                None => return None,
            }
        }
        let named: Vec<u8> = parts.iter().map(|part| u8::from(part.starts_with(':'))).collect();
        let kind = match (named.contains(&1), parts.len()) {
            (false, _) => 0,
            (true, 1) => 2,
            (true, _) => 1,
        };
        // Of two dotted segments the one whose parts are fixed earlier comes first, then the one with more
        // text.
        let fixed = if kind == 1 {
            parts
                .iter()
                .filter(|p| !p.starts_with(':'))
                .map(|p| p.len())
                .sum()
        } else {
            0
        };
        rank.push((kind, if kind == 1 { named } else { Vec::new() }, Reverse(fixed)));
    }
    let rest = given[wanted.len()..].join("/");
    let slash = if path.ends_with('/') { "/" } else { "" };
    let trailing = match (wildcard, rest.is_empty() && given.len() == wanted.len()) {
        (false, _) => String::new(),
        (true, true) => String::from(slash),
        (true, false) => format!("/{rest}{slash}"),
    };
    // The end of the route: exact before wildcard.
    rank.push((if wildcard { 3 } else { 0 }, Vec::new(), Reverse(0)));
    Some((rank, trailing))
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]",
        1 => "[ab]\\.[ab]",
        3 => Just(String::from(":n")),
        1 => "[ab]\\.:n",
        1 => ":n\\.[ab]",
    ]
}

fn route() -> impl Strategy<Value = String> {
    (
        prop::collection::vec(segment(), 0..4),
        prop::sample::select(vec!["", "/", "/...", "/*"]),
    )
        .prop_map(|(segments, end)| {
            let named: Vec<_> = segments
                .iter()
                .enumerate()
                .map(|(position, segment)| segment.replace(":n", &format!(":n{position}")))
                .collect();
            let path = if named.is_empty() {
                String::new()
            } else {
                format!("/{}", named.join("/"))
            };
            let route = format!("{path}{end}");
            if route.is_empty() {
                String::from("/")
            } else {
                route
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_router_agrees_with_trying_every_route(
        routes in prop::collection::vec(route(), 0..8),
        path in "(/{1,2}[abc.]{0,3}){1,4}/{0,2}",
    ) {
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        let best = routes
            .iter()
            .enumerate()
            .filter_map(|(position, raw)| {
                let (rank, trailing) = naive(raw, &path)?;
                Some((rank, Reverse(position), trailing))
            })
            .min();
        let router = router(&routes);
        let found = router.route(&path);
        prop_assert_eq!(
            found.as_ref().map(|found| (*found.target, String::from(found.trailing))),
            best.map(|(_, Reverse(position), trailing)| (position, trailing)),
            "routes {:?}, path {}", routes, path
        );
        if let Some(found) = found {
            prop_assert_eq!(found.segments().count(), found.pattern.names().count());
            let filled = found.segments().fold(String::from(found.pattern.raw()), |route, (name, value)| {
                route.replacen(&format!(":{name}"), value, 1)
            });
            let filled = filled.trim_end_matches('/').trim_end_matches('*').trim_end_matches("...");
            prop_assert!(path.trim_start_matches('/').starts_with(filled.trim_matches('/')));
        }
    }

    #[test]
    fn no_path_makes_the_router_panic(path in "\\PC{0,40}") {
        let router = router(&["/a/...", "/:x.json", "/:x/b", "/..."]);
        prop_assert_eq!(router.route(&path).is_some(), path.starts_with('/'));
    }
}
