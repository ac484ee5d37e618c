//! JSON Schema (draft 2020-12), as much of it as the shop's documents use. A keyword that is not known here fails the
//! test instead of letting everything through.

use regex_lite::Regex;
use serde_json::Value;

/// Every place where a value does not fit its schema; none if it does. References are looked up in `document`.
pub fn violations(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check {
        document,
        found: &mut found,
    }
    .value(schema, value, "");
    found
}

/// What a schema or an object of the document says, behind its references.
pub fn resolve<'a>(document: &'a Value, mut node: &'a Value) -> &'a Value {
    while let Some(reference) = node.get("$ref").and_then(Value::as_str) {
        let pointer = reference
            .strip_prefix('#')
            .expect("references stay within the document");
        node = document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{reference} leads nowhere"));
    }
    node
}

struct Check<'a> {
    document: &'a Value,
    found: &'a mut Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, place: &str) {
        let keywords = match schema {
            Value::Bool(true) => return,
            Value::Bool(false) => return self.wrong(place, "nothing may be here"),
            Value::Object(keywords) => keywords,
            other => panic!("{other} is no schema"),
        };
        for (keyword, rule) in keywords {
            match keyword.as_str() {
                "$ref" => {
                    let pointer = rule
                        .as_str()
                        .and_then(|text| text.strip_prefix('#'))
                        .expect("a local reference");
                    let target = self.document.pointer(pointer);
                    self.value(
                        target.unwrap_or_else(|| panic!("{rule} leads nowhere")),
                        value,
                        place,
                    );
                }
                "allOf" => list(rule)
                    .iter()
                    .for_each(|schema| self.value(schema, value, place)),
                "oneOf" => {
                    let fits = |schema: &&Value| violations(self.document, schema, value).is_empty();
                    let fitting = list(rule).iter().filter(fits).count();
                    self.hold(fitting == 1, place, || format!("fits {fitting} alternatives"));
                }
                "type" => {
                    let fits = match rule {
                        Value::Array(names) => names.iter().any(|name| is(value, name)),
                        name => is(value, name),
                    };
                    self.hold(fits, place, || format!("is no {rule}"));
                }
                "const" => self.hold(value == rule, place, || format!("is not {rule}")),
                "enum" => self.hold(list(rule).contains(value), place, || format!("is none of {rule}")),
                "description" | "default" | "example" | "examples" | "title" => {}
                _ => self.keyword(keyword, rule, keywords, value, place),
            }
        }
    }

    /// Keywords that say something about one type of value only.
    fn keyword(
        &mut self,
        keyword: &str,
        rule: &Value,
        keywords: &serde_json::Map<String, Value>,
        value: &Value,
        place: &str,
    ) {
        match (keyword, value) {
            ("minimum", Value::Number(_)) => self.hold(number(value) >= number(rule), place, || {
                format!("is below {rule}")
            }),
            ("maximum", Value::Number(_)) => self.hold(number(value) <= number(rule), place, || {
                format!("is above {rule}")
            }),
            ("minLength", Value::String(text)) => {
                self.hold(text.chars().count() >= size(rule), place, || {
                    "is too short".into()
                })
            }
            ("maxLength", Value::String(text)) => {
                self.hold(text.chars().count() <= size(rule), place, || "is too long".into())
            }
            ("pattern", Value::String(text)) => {
                let pattern =
                    Regex::new(rule.as_str().expect("a pattern is text")).expect("a pattern is one");
                self.hold(pattern.is_match(text), place, || format!("does not match {rule}"));
            }
            ("format", Value::String(text)) => {
                self.hold(has_format(text, rule), place, || format!("is no {rule}"))
            }
            ("minItems", Value::Array(items)) => {
                self.hold(items.len() >= size(rule), place, || "has too few items".into())
            }
            ("maxItems", Value::Array(items)) => {
                self.hold(items.len() <= size(rule), place, || "has too many items".into())
            }
            ("uniqueItems", Value::Array(items)) => {
                let repeated = items
                    .iter()
                    .enumerate()
                    .any(|(index, item)| items[..index].contains(item));
                self.hold(rule != true || !repeated, place, || "repeats an item".into());
            }
            ("items", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(rule, item, &format!("{place}/{index}"));
                }
            }
            ("required", Value::Object(members)) => {
                for name in list(rule) {
                    let name = name.as_str().expect("names are text");
                    self.hold(members.contains_key(name), place, || format!("has no {name}"));
                }
            }
            ("properties", Value::Object(members)) => {
                for (name, schema) in rule.as_object().expect("properties are an object") {
                    if let Some(member) = members.get(name) {
                        self.value(schema, member, &format!("{place}/{name}"));
                    }
                }
            }
            ("additionalProperties", Value::Object(members)) => {
                let described = keywords.get("properties").and_then(Value::as_object);
                for (name, member) in members {
                    if !described.is_some_and(|described| described.contains_key(name)) {
                        self.value(rule, member, &format!("{place}/{name}"));
                    }
                }
            }
            (
                "minimum"
                | "maximum"
                | "minLength"
                | "maxLength"
                | "pattern"
                | "format"
                | "minItems"
                | "maxItems"
                | "uniqueItems"
                | "items"
                | "required"
                | "properties"
                | "additionalProperties",
                _,
            ) => {}
            _ => panic!("the schema keyword {keyword} is not known to this test"),
        }
    }

    fn hold(&mut self, fits: bool, place: &str, what: impl FnOnce() -> String) {
        if !fits {
            self.wrong(place, &what());
        }
    }

    fn wrong(&mut self, place: &str, what: &str) {
        self.found.push(format!("{place:?} {what}"));
    }
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().expect("the keyword takes a list")
}

fn size(rule: &Value) -> usize {
    rule.as_u64()
        .and_then(|size| size.try_into().ok())
        .expect("the keyword takes a size")
}

/// Exact for all numbers that the shop knows: they are below 2^53.
fn number(value: &Value) -> f64 {
    value.as_f64().expect("the keyword takes a number")
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("the name of a type is text") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

fn has_format(text: &str, format: &Value) -> bool {
    let pattern = match format.as_str().expect("the name of a format is text") {
        "date-time" => r"^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
        "email" => r"^[^@\s]+@[^@\s]+$",
        "json-pointer" => r"^(/([^/~]|~[01])*)*$",
        "uri-reference" => r"^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*$",
        "uuid" => r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        // For whoever draws the form.
        "password" => return true,
        other => panic!("the format {other} is not known to this test"),
    };
    Regex::new(pattern).expect("the patterns are ours").is_match(text)
}

#[test]
fn what_does_not_fit_is_found_at_its_place() {
    let document = serde_json::json!({ "components": { "Short": { "type": "string", "maxLength": 2 } } });
    let schema = serde_json::json!({
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": { "$ref": "#/components/Short", "description": "siblings of a reference count", "minLength": 1 },
            "count": { "type": "integer", "minimum": 1, "maximum": 3 },
            "kind": { "enum": ["a", null] },
            "fixed": { "const": "x" },
            "when": { "type": ["string", "null"], "format": "date-time" },
            "id": { "format": "uuid", "pattern": "^0" },
            "list": { "items": { "type": "boolean" }, "minItems": 1, "maxItems": 2, "uniqueItems": true },
            "one": { "oneOf": [{ "type": "integer" }, { "minimum": 5 }] },
            "all": { "allOf": [{ "type": "integer" }, { "minimum": 5 }] },
        },
    });
    let with = |name: &str, value: Value| {
        let mut object = serde_json::json!({ "name": "ab" });
        object[name] = value;
        violations(&document, &schema, &object)
    };
    let fits: [(&str, Value); 12] = [
        ("name", "äö".into()),
        ("count", 3.into()),
        ("count", serde_json::json!(2.0)),
        ("kind", Value::Null),
        ("fixed", "x".into()),
        ("when", Value::Null),
        ("when", "2026-01-31T09:30:00.250Z".into()),
        ("id", "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21".into()),
        ("list", serde_json::json!([true, false])),
        ("one", 4.into()),
        // The second alternative says something about numbers only.
        ("one", "text".into()),
        ("all", 5.into()),
    ];
    for (name, value) in fits {
        assert_eq!(with(name, value.clone()), Vec::<String>::new(), "{name}: {value}");
    }
    let wrong: [(&str, Value); 18] = [
        ("name", "abc".into()),
        ("name", "".into()),
        ("name", 1.into()),
        ("other", 1.into()),
        ("count", 0.into()),
        ("count", 4.into()),
        ("count", serde_json::json!(1.5)),
        ("kind", "b".into()),
        ("fixed", "y".into()),
        ("when", "yesterday".into()),
        ("id", "119b79d0-2c00-7a3b-9c41-5d0f3a6e8b21".into()),
        ("id", "0".into()),
        ("list", serde_json::json!([])),
        ("list", serde_json::json!([1])),
        ("list", serde_json::json!([true, true])),
        ("one", 6.into()),
        ("all", 4.into()),
        ("all", "text".into()),
    ];
    for (name, value) in wrong {
        let found = with(name, value.clone());
        assert!(
            found
                .iter()
                .any(|violation| violation.starts_with(&format!("\"/{name}"))),
            "{name}: {value}: {found:?}"
        );
    }
    assert_eq!(
        violations(&document, &schema, &serde_json::json!({})),
        ["\"\" has no name"]
    );
    assert_eq!(
        violations(&document, &schema, &serde_json::json!([])),
        ["\"\" is no \"object\""]
    );
}
