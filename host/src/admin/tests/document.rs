//! The committed document of the API, held against the routes, against the types, and against every answer of these tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use http::Method;
use serde_json::Value;

use super::super::router::{DOCUMENT, Endpoint, ROUTES, Verb};
use super::client::Reply;
use super::examples;
use super::schema::{faults, followed, named};

static PARSED: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(DOCUMENT).expect("it is JSON"));

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

pub(super) fn parsed() -> &'static Value {
    &PARSED
}

/// Method and path of every operation, with what is said of it.
fn operations() -> BTreeMap<(String, String), &'static Value> {
    let mut operations = BTreeMap::new();
    for (path, item) in parsed()["paths"].as_object().expect("there are paths") {
        for (method, operation) in item.as_object().expect("a path has operations") {
            if METHODS.contains(&method.as_str()) {
                operations.insert((method.clone(), path.clone()), operation);
            }
        }
    }
    operations
}

/// The ids of all operations.
pub(super) fn ids() -> BTreeSet<String> {
    let id = |operation: &Value| operation["operationId"].as_str().expect("an id").to_owned();
    operations().values().map(|operation| id(operation)).collect()
}

/// The operation that a request means.
pub(super) fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let method = match *method {
        Method::HEAD => "get".to_owned(),
        _ => method.as_str().to_lowercase(),
    };
    let path = path.split('?').next().unwrap_or_default();
    operations().into_iter().find_map(|((of, pattern), operation)| {
        let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
        let is_this = of == method
            && wanted
                .by_ref()
                .zip(given.by_ref())
                .all(|(wanted, given)| wanted == given || (wanted.starts_with('{') && wanted.ends_with('}')))
            && pattern.split('/').count() == path.split('/').count();
        is_this.then_some(operation)
    })
}

/// Panics where `reply` is not what the document says of the operation.
pub(super) fn check(method: &Method, path: &str, reply: &Reply) {
    let Some(operation) = operation(method, path) else {
        return;
    };
    let id = &operation["operationId"];
    let described = &operation["responses"][reply.status.to_string().as_str()];
    assert!(
        described.is_object(),
        "{id} is not said to answer {}: {reply:?}",
        reply.status
    );
    let content = followed(parsed(), described)["content"]
        .as_object()
        .expect("it has content");
    let of = reply.header("content-type").split(';').next().unwrap_or_default();
    let described = content
        .get(of)
        .unwrap_or_else(|| panic!("{id}: {of} is not described"));
    let is_json = matches!(of, "application/json" | "application/problem+json");
    if is_json && *method != Method::HEAD {
        let faults = faults(parsed(), &described["schema"], &reply.json());
        assert!(
            faults.is_empty() || id == "getOpenApi",
            "{id}: {faults:#?} {reply:?}"
        );
    }
}

#[test]
fn every_route_is_described_and_everything_described_is_routed() {
    let described: BTreeSet<(String, String)> = operations().into_keys().collect();
    let mut routed = BTreeSet::new();
    for route in ROUTES {
        for verb in route.verbs {
            let method = match verb {
                Verb::Get => "get",
                Verb::Put => "put",
                Verb::Post => "post",
            };
            assert!(
                routed.insert((method.to_owned(), route.path.to_owned())),
                "{} is there twice",
                route.path
            );
        }
    }
    assert_eq!(described, routed);
    assert_eq!(ids().len(), described.len(), "two operations have the same id");
}

#[test]
fn what_needs_no_token_is_described_so() {
    for route in ROUTES {
        for ((_, path), operation) in operations() {
            if path != route.path {
                continue;
            }
            let expected = match route.endpoint {
                Endpoint::Ready | Endpoint::Document => serde_json::json!([]),
                Endpoint::Metrics => serde_json::json!([{}, { "token": [] }]),
                _ => Value::Null,
            };
            assert_eq!(operation["security"], expected, "{path}");
        }
    }
    assert_eq!(parsed()["security"], serde_json::json!([{ "token": [] }]));
    assert_eq!(
        parsed()["components"]["securitySchemes"]["token"]["scheme"],
        "bearer"
    );
}

#[test]
fn names_in_paths_are_parameters_and_all_references_lead_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    for (path, item) in parsed()["paths"].as_object().unwrap() {
        let named: BTreeSet<&str> = path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let described: BTreeSet<&str> = item["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| followed(parsed(), parameter)["name"].as_str().unwrap())
            .collect();
        assert_eq!(named, described, "{path}");
    }
    let mut found = BTreeSet::new();
    references(parsed(), &mut found);
    for place in &found {
        assert!(parsed().pointer(&place[1..]).is_some(), "{place} leads nowhere");
    }
    for kind in ["schemas", "responses", "parameters"] {
        for name in parsed()["components"][kind].as_object().unwrap().keys() {
            let place = format!("#/components/{kind}/{name}");
            assert!(found.contains(place.as_str()), "{place} is used nowhere");
        }
    }
}

/// The types of `api.rs`, as they stand in its text.
fn types() -> BTreeSet<&'static str> {
    include_str!("../api.rs")
        .lines()
        .filter_map(|line| {
            line.strip_prefix("pub struct ")
                .or(line.strip_prefix("pub enum "))
        })
        .map(|rest| rest.split(' ').next().unwrap())
        .collect()
}

#[test]
fn every_type_has_a_schema_and_every_schema_a_type() {
    let schemas: BTreeSet<&str> = parsed()["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(schemas, types());
    let shown: BTreeSet<&str> = examples::all().iter().map(|example| example.name).collect();
    assert_eq!(shown, types(), "a type has no example");
}

#[test]
fn schemas_have_the_fields_of_the_types_and_require_what_is_always_there() {
    for example in examples::all() {
        let (name, schema) = (example.name, named(parsed(), example.name));
        let whole = example.whole.as_object().expect("all types are objects");
        let choices = schema["oneOf"].as_array().filter(|_| name == "Source");
        let schema = match choices {
            None => schema,
            Some(choices) => choices
                .iter()
                .find(|choice| faults(parsed(), choice, &example.whole).is_empty())
                .expect("a choice"),
        };
        if name != "DeployOne" {
            // The whole of that one has what excludes each other.
            let faults = faults(parsed(), schema, &example.whole);
            assert!(faults.is_empty(), "{name}: {faults:#?}");
        }
        let fields: BTreeSet<&String> = whole.keys().collect();
        let described: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(fields, described, "{name}");

        let required: BTreeSet<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|name| name.as_str().unwrap())
            .collect();
        let mut least = whole.clone();
        least.retain(|field, _| required.contains(field.as_str()));
        let least = Value::Object(least);
        let again = (example.again)(&least).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(again, least, "{name}: what is not required is there all the same");
        for field in required {
            let mut less = whole.clone();
            less.remove(field);
            if let Ok(again) = (example.again)(&Value::Object(less)) {
                assert!(again.get(field).is_some(), "{name}: {field} is not always there");
            }
        }
        let mut more = whole.clone();
        more.insert("a-new-field".into(), Value::Null);
        let is_closed = schema["additionalProperties"] == Value::Bool(false);
        let is_refused = (example.again)(&Value::Object(more)).is_err();
        assert_eq!(is_closed, is_refused, "{name}: an unknown field");
    }
}
