//! The HTTP interface over a real SQLite and real tokens. Every answer is held against `openapi.json`.

mod products;
mod reservations;
mod schema;

use std::cell::Cell;
use std::rc::Rc;

use catalog_domain::memory::{CountedIds, SetClock};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::*;
use crate::access::keys::FetchError;
use crate::access::tests::{NOW, set_of, token, token_with};
use crate::adapter::native::{File, ready};
use crate::adapter::store::Sqlite;

/// The key set of `auth`, while it is up.
#[derive(Clone, Default)]
struct Auth {
    down: Rc<Cell<bool>>,
}

impl Fetch for Auth {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        if self.down.get() {
            Err(FetchError::Status(502))
        } else {
            Ok(set_of(&["k"]))
        }
    }
}

struct Shop {
    edge: Edge<Sqlite<File>, SetClock, CountedIds, Auth>,
    clock: SetClock,
    auth: Auth,
    file: File,
}

/// An answer, its body read.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The places of a problem's `errors`.
    fn places(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|e| e["pointer"].as_str().or(e["parameter"].as_str()).unwrap())
            .collect()
    }
}

impl Shop {
    fn over(file: File) -> Self {
        let (clock, auth) = (SetClock::default(), Auth::default());
        clock.set(NOW * 1000);
        let catalog = Catalog::new(Sqlite::new(file.clone()), clock.clone(), CountedIds::default());
        let edge = Edge::new(catalog, Verifier::new(auth.clone(), clock.clone()));
        Self {
            edge,
            clock,
            auth,
            file,
        }
    }

    fn seeded() -> Self {
        Self::over(File::seeded())
    }

    fn empty() -> Self {
        Self::over(File::empty())
    }

    /// Sends a request as it is.
    fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = ready(self.edge.answer(request));
        let (head, body) = response.into_parts();
        let bytes = ready(body.collect()).unwrap().to_bytes();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap()
        };
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        };
        if let Ok(found) = rest::route(ROUTES, &method, &path) {
            schema::check(found.operation_id, &answer);
        }
        answer
    }

    /// Sends a request as an administrator, or as nobody for what everybody may do.
    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if method != "GET" || path.starts_with("/catalog/reservations") {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token("k", &["admin"])));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(request.body(Full::new(Bytes::from(body))).unwrap())
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], None)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &[], Some(body))
    }

    fn put(&self, path: &str, if_match: &str, body: &Value) -> Answer {
        self.request("PUT", path, &[("if-match", if_match)], Some(body))
    }

    /// Creates a product and answers its path and id.
    fn product(&self, sku: &str, stock: i64) -> (String, String) {
        let mut body = lamp(sku);
        body["stock"] = stock.into();
        let created = self.post("/catalog/products", &body);
        assert_eq!(created.status, 201, "{}", created.body);
        let id = created.body["id"].as_str().unwrap().to_owned();
        (format!("/catalog/products/{id}"), id)
    }
}

fn lamp(sku: &str) -> Value {
    json!({
        "sku": sku, "name": "Lamp", "description": "Bright.", "category": "lighting",
        "price": { "amount": 1999, "currency": "EUR" }
    })
}

#[test]
fn the_table_and_the_document_describe_the_same_operations() {
    assert_eq!(rest::openapi::differences(ROUTES, OPENAPI), Vec::<String>::new());
}

#[test]
fn every_route_is_dispatched() {
    let shop = Shop::seeded();
    for route in ROUTES {
        let path = route.path.replace("{id}", "x");
        let answer = shop.request(route.method.as_str(), &path, &[], None);
        assert_ne!(answer.status, 500, "{} {path} falls through", route.method);
        assert_ne!(answer.status, 405, "{} {path}", route.method);
    }
}

#[test]
fn every_type_of_problem_is_described() {
    use super::refusal::{INSUFFICIENT_STOCK, RESERVATION_CONFLICT, SKU_TAKEN, STOCK_HELD};
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    for type_ in [INSUFFICIENT_STOCK, RESERVATION_CONFLICT, SKU_TAKEN, STOCK_HELD] {
        let pointer = type_.strip_prefix("/catalog/openapi.json#").unwrap();
        assert!(document.pointer(pointer).is_some(), "{type_}");
    }
}

#[test]
fn the_document_is_served_as_it_is() {
    let answer = Shop::seeded().get("/catalog/openapi.json");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, serde_json::from_str::<Value>(OPENAPI).unwrap());
}

#[test]
fn other_paths_and_methods_are_404_and_405() {
    let shop = Shop::seeded();
    for path in [
        "/",
        "/catalog",
        "/catalog/",
        "/catalog/products/",
        "/catalog/products/a/b",
        "/catalog/%ff",
    ] {
        let answer = shop.get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "application/problem+json"),
            "{path}"
        );
    }
    let answer = shop.request("PATCH", "/catalog/products", &[], None);
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, POST"));
    assert_eq!(shop.request("HEAD", "/catalog/products", &[], None).status, 200);
}

#[test]
fn writing_needs_a_good_token_with_the_role() {
    let shop = Shop::seeded();
    let create = |authorization: Option<String>| {
        let mut request = Request::post("/catalog/products").header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        shop.send(
            request
                .body(Full::new(Bytes::from(lamp("NEW-1").to_string())))
                .unwrap(),
        )
    };
    let none = create(None);
    assert_eq!((none.status, none.header("www-authenticate")), (401, "Bearer"));
    let (same, expired) = (json!({}), json!({ "exp": NOW }));
    for bad in [
        "Basic YTpi".to_owned(),
        "Bearer x".to_owned(),
        format!("Bearer {}", token("unknown", &["admin"])),
        format!("Bearer {}", token_with(&same, &expired)),
        format!("Bearer {}", token_with(&json!({ "alg": "none" }), &same)),
        format!("Bearer {}", token_with(&same, &json!({ "aud": "elsewhere" }))),
    ] {
        let refused = create(Some(bad.clone()));
        let challenge = refused.header("www-authenticate");
        assert_eq!(
            (refused.status, challenge),
            (401, "Bearer error=\"invalid_token\""),
            "{bad}"
        );
    }
    for roles in [&[][..], &["customer"], &["administrator", "ADMIN"]] {
        assert_eq!(
            create(Some(format!("Bearer {}", token("k", roles)))).status,
            403,
            "{roles:?}"
        );
    }
    assert_eq!(
        create(Some(format!("Bearer {}", token("k", &["customer", "admin"])))).status,
        201
    );
}

#[test]
fn every_operation_but_reading_products_asks_who_is_there() {
    let shop = Shop::seeded();
    for route in ROUTES {
        let open = ["listProducts", "getProduct", "getOpenApi"].contains(&route.operation_id);
        let request = Request::builder()
            .method(route.method.clone())
            .uri(route.path.replace("{id}", "x"));
        let answer = shop.send(request.body(Full::default()).unwrap());
        assert_eq!(answer.status == 401, !open, "{}", route.operation_id);
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let method = route.method.as_str().to_lowercase();
        let security = &document["paths"][route.path][method]["security"];
        assert_eq!(*security == json!([]), open, "{} says so", route.operation_id);
    }
}

#[test]
fn without_the_keys_of_auth_reading_goes_on_and_writing_is_503() {
    let shop = Shop::seeded();
    shop.auth.down.set(true);
    let refused = shop.post("/catalog/products", &lamp("NEW-1"));
    assert_eq!((refused.status, refused.header("retry-after")), (503, "3"));
    assert_eq!(shop.get("/catalog/products").status, 200);
    shop.auth.down.set(false);
    shop.clock.set((NOW + 3) * 1000);
    assert_eq!(shop.post("/catalog/products", &lamp("NEW-1")).status, 201);
}

#[test]
fn a_failing_store_tells_the_client_nothing_of_itself() {
    let shop = Shop::seeded();
    shop.file
        .connect()
        .0
        .execute_batch("ALTER TABLE catalog_products RENAME TO elsewhere")
        .unwrap();
    let failed = shop.get("/catalog/products");
    assert_eq!(failed.status, 500);
    let text = failed.body.to_string().to_lowercase();
    assert!(
        !text.contains("catalog_products") && !text.contains("table"),
        "{text}"
    );
}

#[test]
fn a_busy_or_full_store_is_503() {
    let error = refusal::problem(catalog_domain::Error::Store(
        catalog_domain::port::StoreError::Busy,
    ));
    let answer = Response::from(error);
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    let full = refusal::problem(catalog_domain::Error::Store(
        catalog_domain::port::StoreError::Full,
    ));
    assert_eq!(full.status, 503);
}
