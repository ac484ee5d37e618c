//! Syntax, names and equality of routes. What they match is tested with the router.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn route(raw: &str) -> RoutePattern {
    RoutePattern::parse(raw).unwrap_or_else(|error| panic!("{raw}: {error}"))
}

#[test]
fn the_header_texts_of_a_route() {
    //        raw, matched route, component route, wildcard, names
    let table: [(&str, &str, &str, bool, &[&str]); 10] = [
        ("/", "/", "/", false, &[]),
        ("//", "/", "/", false, &[]),
        ("/...", "/...", "", true, &[]),
        ("/*", "/*", "", true, &[]),
        ("/a", "/a", "/a", false, &[]),
        ("/a/", "/a", "/a", false, &[]),
        ("/a/...", "/a/...", "/a", true, &[]),
        ("/a/.../", "/a/...", "/a", true, &[]),
        (
            "/users/:id/posts/:post_id/*",
            "/users/:id/posts/:post_id/*",
            "/users/:id/posts/:post_id",
            true,
            &["id", "post_id"],
        ),
        (
            "/v1.:minor/:file.json",
            "/v1.:minor/:file.json",
            "/v1.:minor/:file.json",
            false,
            &["minor", "file"],
        ),
    ];
    for (raw, matched, component, wildcard, names) in table {
        let pattern = route(raw);
        assert_eq!(pattern.to_string(), raw);
        assert_eq!(pattern.raw(), raw);
        assert_eq!(pattern.matched_route(), matched, "{raw}");
        assert_eq!(pattern.component_route(), component, "{raw}");
        assert_eq!(pattern.is_wildcard(), wildcard, "{raw}");
        assert_eq!(pattern.names().collect::<Vec<_>>(), names, "{raw}");
    }
}

#[test]
fn routes_that_cover_the_same_paths_are_equal() {
    for (one, other) in [
        ("/a", "/a/"),
        ("/a//b", "/a/b"),
        ("/...", "/*"),
        ("/a/*", "/a/.../"),
        ("/:a", "/:b"),
        ("/:a.json/...", "/:b.json/*"),
        ("/v.1.:x", "/v.1.:y"),
    ] {
        assert_eq!(route(one), route(other));
        assert_eq!(
            HashSet::from([route(one), route(other)]).len(),
            1,
            "{one} and {other} hash apart"
        );
    }
}

#[test]
fn routes_that_cover_different_paths_differ() {
    let routes = [
        "/", "/...", "/a", "/A", "/a/...", "/:a", "/:a/...", "/a/b", "/:a.json", "/a.:b", "/a.b", "/:a.:b",
        "/%61", "/a:b",
    ];
    let distinct: HashSet<_> = routes.iter().map(|raw| route(raw)).collect();
    assert_eq!(distinct.len(), routes.len());
}

#[test]
fn a_wrong_route_is_refused_with_its_reason() {
    let wildcard = |segment: &str| RouteError::WildcardInSegment {
        segment: String::from(segment),
    };
    let not_last = |wildcard: &str| RouteError::WildcardNotLast {
        wildcard: String::from(wildcard),
    };
    let duplicate = |name: &str| RouteError::DuplicateName {
        name: String::from(name),
    };
    let invalid = |name: &str| RouteError::InvalidName {
        name: String::from(name),
    };
    for (raw, error) in [
        ("", RouteError::NoLeadingSlash),
        ("a/b", RouteError::NoLeadingSlash),
        ("...", RouteError::NoLeadingSlash),
        ("/a?b", RouteError::NotAPath { found: '?' }),
        ("/a#b", RouteError::NotAPath { found: '#' }),
        ("/a b", RouteError::Character { found: ' ' }),
        ("/a\n", RouteError::Character { found: '\n' }),
        ("/.../a", not_last("...")),
        ("/*/...", not_last("*")),
        ("/a...", wildcard("a...")),
        ("/....", wildcard("....")),
        ("/*name", wildcard("*name")),
        ("/a.*", wildcard("a.*")),
        ("/:", RouteError::EmptyName),
        ("/:.json", RouteError::EmptyName),
        ("/:a b", RouteError::Character { found: ' ' }),
        ("/:a:b", invalid("a:b")),
        ("/:é", invalid("é")),
        ("/:id/:id", duplicate("id")),
        ("/:user_id/:User-Id", duplicate("User-Id")),
        ("/:a.:a", duplicate("a")),
    ] {
        assert_eq!(RoutePattern::parse(raw), Err(error), "{raw:?}");
    }
    let long = format!("/{}", "a".repeat(MAX_ROUTE_BYTES));
    assert_eq!(
        RoutePattern::parse(&long),
        Err(RouteError::TooLong {
            bytes: MAX_ROUTE_BYTES + 1
        })
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(raw in "\\PC{0,40}") {
        let _ = RoutePattern::parse(&raw);
    }

    #[test]
    fn no_route_like_text_makes_the_parser_panic(raw in "/[a:*./_?é-]{0,24}") {
        if let Ok(pattern) = RoutePattern::parse(&raw) {
            prop_assert_eq!(pattern.to_string(), raw);
            prop_assert!(pattern.matched_route().starts_with('/'));
            prop_assert!(pattern.matched_route().starts_with(pattern.component_route()));
            prop_assert_eq!(RoutePattern::parse(pattern.matched_route()), Ok(pattern.clone()));
        }
    }
}
