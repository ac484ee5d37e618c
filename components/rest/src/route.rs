//! Which operation a request means: one constant table per service, matched in order.
//!
//! The same table is held against the OpenAPI document by [`crate::openapi::differences`].

use http::Method;
use percent_encoding::percent_decode_str;

use crate::Problem;

/// One operation of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The method; a `GET` route also answers `HEAD`.
    pub method: Method,
    /// The path from the root, with `{name}` for a segment of any value: `/catalog/products/{id}`.
    pub path: &'static str,
    /// The `operationId` of the OpenAPI document.
    pub operation_id: &'static str,
}

/// The operation that a request means.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Its place in the table.
    pub index: usize,
    /// The `operation_id` of that route.
    pub operation_id: &'static str,
    /// The values of the path's parameters in the order of the template, percent-decoded.
    pub params: Vec<(&'static str, String)>,
}

impl Match {
    /// The value of a parameter; empty if the template has no such parameter.
    pub fn param(&self, name: &str) -> &str {
        self.params
            .iter()
            .find(|(present, _)| *present == name)
            .map_or("", |(_, value)| value)
    }
}

/// What [`match_route`] found.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// One operation.
    Matched(Match),
    /// The path exists, with these methods only.
    MethodNotAllowed(Vec<Method>),
    /// No template fits the path.
    NotFound,
}

/// Finds the operation for a method and a percent-encoded path (no query). The first route that fits wins.
///
/// A parameter takes exactly one segment that is not empty and decodes to UTF-8. A trailing slash makes another path.
pub fn match_route(table: &'static [Route], method: &Method, path: &str) -> Outcome {
    let Some(segments) = decode(path) else {
        return Outcome::NotFound;
    };
    let mut allow: Vec<Method> = Vec::new();
    for (index, route) in table.iter().enumerate() {
        let Some(params) = fit(route.path, &segments) else {
            continue;
        };
        if route.method == *method || (route.method == Method::GET && *method == Method::HEAD) {
            return Outcome::Matched(Match {
                index,
                operation_id: route.operation_id,
                params,
            });
        }
        allow.push(route.method.clone());
        if route.method == Method::GET {
            allow.push(Method::HEAD);
        }
    }
    if allow.is_empty() {
        Outcome::NotFound
    } else {
        Outcome::MethodNotAllowed(allow)
    }
}

/// [`match_route`], with the problems that answer the other outcomes.
///
/// # Errors
/// 404 and 405.
pub fn route(table: &'static [Route], method: &Method, path: &str) -> Result<Match, Problem> {
    match match_route(table, method, path) {
        Outcome::Matched(found) => Ok(found),
        Outcome::MethodNotAllowed(allow) => Err(Problem::method_not_allowed(method, &allow)),
        Outcome::NotFound => Err(Problem::not_found("no operation has this path")),
    }
}

fn decode(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    path.split('/')
        .map(|segment| {
            percent_decode_str(segment)
                .decode_utf8()
                .ok()
                .map(|text| text.into_owned())
        })
        .collect()
}

fn fit(template: &'static str, segments: &[String]) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    let mut segments = segments.iter();
    for expected in template.strip_prefix('/')?.split('/') {
        let segment = segments.next()?;
        match expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => params.push((name, segment.clone())),
            None if expected == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: &[Route] = &[
        Route {
            method: Method::GET,
            path: "/shop/things",
            operation_id: "list",
        },
        Route {
            method: Method::POST,
            path: "/shop/things",
            operation_id: "create",
        },
        Route {
            method: Method::GET,
            path: "/shop/things/count",
            operation_id: "count",
        },
        Route {
            method: Method::GET,
            path: "/shop/things/{id}",
            operation_id: "get",
        },
        Route {
            method: Method::POST,
            path: "/shop/things/{id}/parts/{part}",
            operation_id: "attach",
        },
    ];

    fn found(method: Method, path: &str) -> Match {
        match match_route(TABLE, &method, path) {
            Outcome::Matched(found) => found,
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    #[test]
    fn the_first_route_that_fits_wins() {
        assert_eq!(found(Method::GET, "/shop/things").operation_id, "list");
        assert_eq!(found(Method::POST, "/shop/things").index, 1);
        assert_eq!(found(Method::GET, "/shop/things/count").operation_id, "count");
        assert_eq!(found(Method::GET, "/shop/things/counter").operation_id, "get");
        assert_eq!(found(Method::HEAD, "/shop/things").operation_id, "list");
    }

    #[test]
    fn parameters_are_one_segment_percent_decoded() {
        let attach = found(Method::POST, "/shop/things/a%2Fb/parts/caf%C3%A9");
        assert_eq!(
            attach.params,
            [("id", "a/b".to_owned()), ("part", "café".to_owned())]
        );
        assert_eq!(attach.param("part"), "café");
        assert_eq!(attach.param("none"), "");
    }

    #[test]
    fn a_known_path_with_another_method_names_the_methods() {
        let Outcome::MethodNotAllowed(allow) = match_route(TABLE, &Method::PUT, "/shop/things") else {
            panic!()
        };
        assert_eq!(allow, [Method::GET, Method::HEAD, Method::POST]);
        let problem = route(TABLE, &Method::PUT, "/shop/things").unwrap_err();
        assert_eq!(problem.header(&http::header::ALLOW).unwrap(), "GET, HEAD, POST");
    }

    #[test]
    fn other_paths_are_not_found() {
        for path in [
            "",
            "/",
            "/shop",
            "/shop/things/",
            "/shop/things/a/parts",
            "//shop/things",
            "/shop/things/%ff",
            "/shop/things/a/parts/b/c",
            "shop/things",
        ] {
            assert_eq!(
                match_route(TABLE, &Method::GET, path),
                Outcome::NotFound,
                "{path}"
            );
        }
        assert_eq!(route(TABLE, &Method::GET, "/").unwrap_err().status, 404);
    }

    proptest::proptest! {
        #[test]
        fn any_segment_comes_back_as_the_parameter_that_it_was(id in "\\PC+") {
            let encoded = percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC);
            let path = format!("/shop/things/x/parts/{encoded}");
            let attach = found(Method::POST, &path);
            proptest::prop_assert_eq!(attach.param("part"), id);
        }

        #[test]
        fn any_path_has_an_answer(path in "(/|%|[a-z{}.]|\\PC)*") {
            match_route(TABLE, &Method::GET, &path);
        }
    }
}
