//! Holds an answer against `openapi.json`: its status, media type, required header fields and body. Knows as
//! much of JSON Schema as the document uses for answers, and fails on what it does not know.

use serde_json::Value;

use super::{Answer, OPENAPI};

pub(super) fn check(operation_id: &str, answer: &Answer) {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let operation = operations
        .into_iter()
        .find(|operation| operation["operationId"] == operation_id)
        .unwrap();
    let place = format!("{operation_id} {}", answer.status);
    let response = operation["responses"].get(answer.status.to_string());
    let response = response.unwrap_or_else(|| panic!("{place} is not described: {}", answer.body));
    let response = resolve(&document, response);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let constant = header["schema"]["const"].as_str();
        let sent = answer.header(name);
        if sent.is_empty() && header["required"] != true {
            continue;
        }
        assert!(
            constant.map_or(!sent.is_empty(), |constant| constant == sent),
            "{place}: {name}: {sent:?}"
        );
    }
    match response["content"]
        .as_object()
        .map(|content| content.iter().next().unwrap())
    {
        Some((media_type, content)) => {
            assert_eq!(answer.header("content-type"), media_type, "{place}");
            validate(&document, &content["schema"], &answer.body)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
        }
        None => assert_eq!(answer.body, Value::Null, "{place}"),
    }
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(target) => document.pointer(target.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

fn validate(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$ref" => {
                validate(document, resolve(document, schema), value)?;
                true
            }
            "allOf" => {
                rule.as_array()
                    .unwrap()
                    .iter()
                    .try_for_each(|schema| validate(document, schema, value))?;
                true
            }
            "oneOf" => {
                let fits = |schema: &&Value| validate(document, schema, value).is_ok();
                rule.as_array().unwrap().iter().filter(fits).count() == 1
            }
            "type" => match rule.as_array() {
                Some(types) => types.iter().any(|one| is(one, value)),
                None => is(rule, value),
            },
            "properties" => {
                let rules = rule.as_object().unwrap().iter();
                let mut present = rules.filter_map(|(name, schema)| Some((schema, value.get(name)?)));
                present.try_for_each(|(schema, value)| validate(document, schema, value))?;
                true
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object().unwrap();
                let all_known = |object: &serde_json::Map<String, Value>| {
                    object.keys().all(|name| known.contains_key(name))
                };
                *rule == Value::Bool(true) || value.as_object().is_none_or(all_known)
            }
            "items" => {
                let mut items = value.as_array().into_iter().flatten();
                items.try_for_each(|item| validate(document, rule, item))?;
                true
            }
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|name| value.get(name.as_str().unwrap()).is_some()),
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "minimum" => value.as_u64() >= rule.as_u64(),
            "maximum" => value.as_u64() <= rule.as_u64(),
            "minLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap()),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
            "minItems" => value.as_array().unwrap().len() as u64 >= rule.as_u64().unwrap(),
            "maxItems" => value.as_array().unwrap().len() as u64 <= rule.as_u64().unwrap(),
            // Patterns and formats are the domain's, and tested there.
            "description" | "default" | "pattern" | "format" => true,
            other => return Err(format!("the keyword {other} is not known here")),
        };
        if !holds {
            return Err(format!("{keyword}: {rule} does not hold of {value}"));
        }
    }
    Ok(())
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    }
}
