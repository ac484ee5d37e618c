//! Holds a table of routes against an OpenAPI 3.1 document. For the tests of each service.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Route;

/// Where table and document disagree, one sentence each: a route that is not described, an operation that has no
/// route, a difference in `operationId`, or a document that is none. Empty means that they agree.
pub fn differences(table: &[Route], document: &str) -> Vec<String> {
    let document: Value = match serde_json::from_str(document) {
        Ok(document) => document,
        Err(error) => return vec![format!("the document is not JSON: {error}")],
    };
    let mut found = Vec::new();
    let version = document
        .get("openapi")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !version.starts_with("3.1.") {
        found.push(format!("the document is of OpenAPI {version:?}, not 3.1"));
    }
    let described = operations(&document);
    let routed: BTreeSet<_> = table
        .iter()
        .map(|route| {
            (
                route.method.to_string(),
                route.path.to_owned(),
                route.operation_id.to_owned(),
            )
        })
        .collect();
    if routed.len() != table.len() {
        found.push("the table has a route twice".to_owned());
    }
    for (method, path, id) in routed.difference(&described) {
        found.push(format!("{method} {path} ({id}) is routed and not described"));
    }
    for (method, path, id) in described.difference(&routed) {
        found.push(format!("{method} {path} ({id}) is described and not routed"));
    }
    found
}

fn operations(document: &Value) -> BTreeSet<(String, String, String)> {
    const METHODS: [&str; 8] = [
        "get", "put", "post", "delete", "options", "head", "patch", "trace",
    ];
    let paths = document
        .get("paths")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    paths
        .flat_map(|(path, item)| {
            METHODS
                .iter()
                .map(move |method| (path, *method, item.get(*method)))
        })
        .filter_map(|(path, method, operation)| {
            let id = operation?
                .get("operationId")
                .and_then(Value::as_str)
                .unwrap_or("without operationId");
            Some((method.to_uppercase(), path.clone(), id.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    const DOCUMENT: &str = r#"{"openapi":"3.1.0","paths":{"/a/{id}":{"parameters":[],
        "get":{"operationId":"readA"},"delete":{"operationId":"deleteA"}}}}"#;

    fn table() -> Vec<Route> {
        vec![
            Route {
                method: Method::GET,
                path: "/a/{id}",
                operation_id: "readA",
            },
            Route {
                method: Method::DELETE,
                path: "/a/{id}",
                operation_id: "deleteA",
            },
        ]
    }

    #[test]
    fn agreement_is_silent() {
        assert_eq!(differences(&table(), DOCUMENT), Vec::<String>::new());
    }

    #[test]
    fn each_disagreement_is_named() {
        let mut missing = table();
        missing.pop();
        assert_eq!(
            differences(&missing, DOCUMENT),
            ["DELETE /a/{id} (deleteA) is described and not routed"]
        );
        let mut more = table();
        more.push(Route {
            method: Method::PUT,
            path: "/a/{id}",
            operation_id: "putA",
        });
        assert_eq!(
            differences(&more, DOCUMENT),
            ["PUT /a/{id} (putA) is routed and not described"]
        );
        let mut renamed = table();
        renamed[0].operation_id = "getA";
        assert_eq!(differences(&renamed, DOCUMENT).len(), 2);
        assert!(differences(&table(), "{").len() == 1);
        assert!(differences(&[], r#"{"openapi":"3.0.3"}"#)[0].contains("3.0.3"));
    }
}
