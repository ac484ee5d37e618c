//! As much of JSON Schema (2020-12) as the document of the API uses, read strictly: an object has what is described and
//! nothing else.

use serde_json::{Map, Value};

/// Keywords that say nothing about which values are right, as far as this goes.
const IGNORED: [&str; 6] = [
    "description",
    "examples",
    "default",
    "format",
    "pattern",
    "contentMediaType",
];

/// What is wrong with `value`, one line each.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(document, schema, value, "", &mut faults);
    faults
}

/// The schema of that name.
pub(super) fn named<'a>(document: &'a Value, name: &str) -> &'a Value {
    document
        .pointer(&format!("/components/schemas/{name}"))
        .unwrap_or_else(|| panic!("there is no schema {name}"))
}

/// What a `$ref` leads to, or `value` itself.
pub(super) fn followed<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        None => value,
        Some(place) => {
            let pointer = place.strip_prefix('#').expect("within the document");
            document
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{place} leads nowhere"))
        }
    }
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = followed(document, schema);
    let keywords = schema.as_object().expect("a schema is an object");
    let mut fault = |text: String| faults.push(format!("{at}: {text}"));
    for (keyword, wanted) in keywords {
        match keyword.as_str() {
            "type" => {
                let is_right = match wanted.as_str().expect("one type") {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    other => panic!("type {other}"),
                };
                if !is_right {
                    fault(format!("{value} is no {wanted}"));
                }
            }
            "enum" => {
                if !wanted.as_array().expect("a list").contains(value) {
                    fault(format!("{value} is none of {wanted}"));
                }
            }
            "minimum" => {
                if value
                    .as_f64()
                    .is_some_and(|value| value < wanted.as_f64().unwrap())
                {
                    fault(format!("{value} is less than {wanted}"));
                }
            }
            "maximum" => {
                if value
                    .as_f64()
                    .is_some_and(|value| value > wanted.as_f64().unwrap())
                {
                    fault(format!("{value} is more than {wanted}"));
                }
            }
            "required" => {
                for name in wanted.as_array().expect("a list") {
                    if value.get(name.as_str().expect("a name")).is_none() {
                        fault(format!("{name} is missing"));
                    }
                }
            }
            "minProperties" | "maxProperties" => {
                let count = value.as_object().map_or(0, Map::len) as u64;
                let wanted = wanted.as_u64().unwrap();
                if (keyword == "minProperties" && count < wanted)
                    || (keyword == "maxProperties" && count > wanted)
                {
                    fault(format!("it has {count} properties"));
                }
            }
            "properties" | "additionalProperties" | "items" | "oneOf" => {}
            other => assert!(IGNORED.contains(&other), "{at}: keyword {other}"),
        }
    }
    if let (Some(object), true) = (
        value.as_object(),
        keywords.contains_key("properties") || is_map(schema),
    ) {
        for (name, value) in object {
            let at = format!("{at}/{name}");
            match (
                &schema["properties"][name.as_str()],
                &schema["additionalProperties"],
            ) {
                (Value::Null, map @ Value::Object(_)) => check(document, map, value, &at, faults),
                (Value::Null, _) => faults.push(format!("{at}: it is not described")),
                (schema, _) => check(document, schema, value, &at, faults),
            }
        }
    }
    if let (Some(items), Some(schema)) = (value.as_array(), keywords.get("items")) {
        for (index, item) in items.iter().enumerate() {
            check(document, schema, item, &format!("{at}/{index}"), faults);
        }
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let right = choices
            .iter()
            .filter(|choice| self::faults(document, choice, value).is_empty())
            .count();
        if right != 1 {
            faults.push(format!("{at}: {right} of the choices are right"));
        }
    }
}

fn is_map(schema: &Value) -> bool {
    schema["additionalProperties"].is_object()
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let document = serde_json::json!({ "components": { "schemas": {
        "A": {
            "type": "object",
            "required": ["n"],
            "properties": {
                "n": { "type": "integer", "minimum": 1, "maximum": 3 },
                "list": { "type": "array", "items": { "$ref": "#/components/schemas/B" } },
                "map": { "type": "object", "minProperties": 1, "additionalProperties": { "type": "boolean" } },
                "one": { "oneOf": [{ "type": "string" }, { "type": "number" }] },
            },
        },
        "B": { "enum": ["x"] },
    }}});
    let schema = named(&document, "A");
    let good = serde_json::json!({ "n": 1, "list": ["x"], "map": { "k": true }, "one": 1.5 });
    assert_eq!(faults(&document, schema, &good), Vec::<String>::new());
    for bad in [
        serde_json::json!([]),
        serde_json::json!({}),
        serde_json::json!({ "n": 0 }),
        serde_json::json!({ "n": 4 }),
        serde_json::json!({ "n": "1" }),
        serde_json::json!({ "n": 1, "list": ["y"] }),
        serde_json::json!({ "n": 1, "map": {} }),
        serde_json::json!({ "n": 1, "map": { "k": 1 } }),
        serde_json::json!({ "n": 1, "one": true }),
        serde_json::json!({ "n": 1, "more": 1 }),
    ] {
        assert!(!faults(&document, schema, &bad).is_empty(), "{bad}");
    }
}
