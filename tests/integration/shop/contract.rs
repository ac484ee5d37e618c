//! An OpenAPI document as a test reads it: what may be answered, and what has been.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, Method};
use serde_json::Value;

use super::application::repository;
use super::schema::{resolve, violations};
use crate::harness::Answer;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "patch", "trace"];

/// An operation and a status that it can have.
pub type Outcome = (String, String);

/// The document of one service.
pub struct Contract {
    pub document: Value,
    driven: Mutex<BTreeSet<Outcome>>,
}

impl Contract {
    /// The document as it stands beside the service's sources.
    pub fn of(service: &str) -> Self {
        let file = repository().join(format!("components/{service}/openapi.json"));
        let text = fs::read_to_string(&file).expect("a service has a document");
        let document = serde_json::from_str(&text).expect("the document is JSON");
        let driven = Mutex::default();
        Self { document, driven }
    }

    /// The path templates, each with its methods in upper case and their operations.
    pub fn paths(&self) -> Vec<(&str, Vec<(Method, &Value)>)> {
        let paths = self.document["paths"]
            .as_object()
            .expect("the document has paths");
        let named = paths.iter().map(|(path, item)| {
            let operations = METHODS.iter().filter_map(|name| {
                let method = name.to_uppercase().parse().expect("the names are ours");
                item.get(name).map(|operation| (method, operation))
            });
            (path.as_str(), operations.collect())
        });
        named.collect()
    }

    /// Every operation and status that is described, except for what a gateway may answer in a service's place.
    pub fn described(&self) -> BTreeSet<Outcome> {
        let mut described = BTreeSet::new();
        for (_, operation) in self.paths().into_iter().flat_map(|(_, operations)| operations) {
            let responses = operation["responses"]
                .as_object()
                .expect("an operation has responses");
            let statuses = responses.keys().filter(|status| *status != "default");
            described.extend(statuses.map(|status| (id(operation).to_owned(), status.clone())));
        }
        described
    }

    /// Every operation and status that [`Self::check`] has seen.
    pub fn driven(&self) -> BTreeSet<Outcome> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fails unless the answer is one that the document describes for this request.
    pub fn check(&self, method: &Method, path: &str, sent: Option<&[u8]>, answer: &Answer) {
        let head = *method == Method::HEAD;
        let described = if head { &Method::GET } else { method };
        let path = path.split('?').next().unwrap_or_default();
        let operation = self.operation(described, path);
        let operation = operation.unwrap_or_else(|| panic!("{method} {path} is not described: {answer:?}"));
        let status = answer.status.as_u16().to_string();
        let place = format!("{} ({method} {path}) answered {status}", id(operation));
        let Some(response) = operation["responses"].get(&status) else {
            panic!("{place}, which is not described: {answer:?}");
        };
        let response = resolve(&self.document, response);
        self.check_headers(response, &answer.headers, &place);
        self.check_body(response, answer, head, &place);
        if let (true, Some(sent)) = (answer.status.is_success(), sent) {
            self.check_request(operation, sent, &place);
        }
        if !head {
            let outcome = (id(operation).to_owned(), status);
            self.driven
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(outcome);
        }
    }

    /// The operation of a path, which is percent-encoded and has no query.
    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let fits = |template: &str| {
            let (template, path): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            let pairs = || template.iter().zip(&path);
            template.len() == path.len()
                && pairs()
                    .all(|(part, segment)| part == segment || (part.starts_with('{') && !segment.is_empty()))
        };
        let (_, operations) = self.paths().into_iter().find(|(template, _)| fits(template))?;
        operations
            .into_iter()
            .find(|(other, _)| other == method)
            .map(|(_, operation)| operation)
    }

    fn check_headers(&self, response: &Value, headers: &HeaderMap, place: &str) {
        for (name, described) in response["headers"].as_object().into_iter().flatten() {
            let described = resolve(&self.document, described);
            let values: Vec<_> = headers.get_all(name).iter().collect();
            if values.is_empty() {
                assert!(
                    described["required"] != true,
                    "{place} without {name}: {headers:?}"
                );
                continue;
            }
            assert_eq!(values.len(), 1, "{place} with {name} more than once");
            let text = values[0]
                .to_str()
                .unwrap_or_else(|_| panic!("{place} with {name}: {values:?}"));
            let schema = &described["schema"];
            let value = match resolve(&self.document, schema)["type"].as_str() {
                Some("integer") => text
                    .parse()
                    .map_or(Value::from(text), |number: u64| number.into()),
                _ => Value::from(text),
            };
            let wrong = violations(&self.document, schema, &value);
            assert!(wrong.is_empty(), "{place} with {name}: {text:?}: {wrong:?}");
        }
    }

    fn check_body(&self, response: &Value, answer: &Answer, head: bool, place: &str) {
        let media_type = answer.header("content-type");
        let Some(content) = response.get("content") else {
            assert!(answer.body.is_empty(), "{place} with a body: {:?}", answer.text());
            assert_eq!(
                media_type, "",
                "{place} with the type of a body that is not there"
            );
            return;
        };
        let described = content.get(media_type);
        let described =
            described.unwrap_or_else(|| panic!("{place} with a body of type {media_type:?}: {answer:?}"));
        if head {
            assert!(answer.body.is_empty(), "{place} with a body: {:?}", answer.text());
            return;
        }
        let body = answer.json();
        let wrong = violations(&self.document, &described["schema"], &body);
        assert!(wrong.is_empty(), "{place} with {body:#}: {wrong:#?}");
        if media_type == "application/problem+json" {
            assert_eq!(body["status"], answer.status.as_u16(), "{place} with {body}");
        }
    }

    /// What a service took must be what its document lets clients send.
    fn check_request(&self, operation: &Value, sent: &[u8], place: &str) {
        let schema = operation.pointer("/requestBody/content/application~1json/schema");
        let schema = schema.unwrap_or_else(|| panic!("{place} to a body that is not described"));
        let sent = serde_json::from_slice(sent).expect("what was accepted is JSON");
        let wrong = violations(&self.document, schema, &sent);
        assert!(wrong.is_empty(), "{place} to {sent:#}: {wrong:#?}");
    }
}

fn id(operation: &Value) -> &str {
    operation["operationId"].as_str().expect("an operation has an id")
}
