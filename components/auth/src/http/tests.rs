//! The HTTP edge over the in-memory store.

use super::*;
use crate::adapter::database::testing::Sqlite;
use crate::adapter::schema::migrate;
use crate::adapter::store::SqlStore;
use auth_domain::testing::{Counting, StoppedClock, ready};
use auth_domain::{Hasher, Policy, Timestamp};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::time::Duration;

/// The service over a real SQLite, driven through its HTTP entry. Every answer is held against the document.
struct Shop(Auth<SqlStore<Sqlite>, StoppedClock, Counting>);

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Shop {
    fn open() -> Self {
        let database = Sqlite::new();
        ready(migrate(&database)).unwrap();
        Self(Auth {
            store: SqlStore(database),
            clock: StoppedClock::at(Timestamp::from_seconds(1_800_000_000)),
            random: Counting::default(),
            hasher: Hasher::with_cost(8, 1).unwrap(),
            policy: Policy::DEFAULT,
        })
    }

    fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = ready(handle(request, async || Ok(self.0.clone())));
        let (parts, body) = response.into_parts();
        let bytes = ready(body.collect()).unwrap().to_bytes();
        let answer = Answer {
            status: parts.status.as_u16(),
            body: if bytes.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&bytes).unwrap()
            },
            headers: parts.headers,
        };
        if let rest::Outcome::Matched(_) = rest::match_route(ROUTES, &method, &path) {
            assert_documented(&method, &path, &answer);
        }
        answer
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, "application/json", body.to_string().into_bytes())
    }

    fn post_bytes(&self, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let request = Request::post(path)
            .header(CONTENT_TYPE, content_type)
            .header(CLIENT_ADDRESS, "192.0.2.1:5");
        self.send(request.body(Full::new(body.into())).unwrap())
    }

    fn get(&self, path: &str, token: Option<&str>) -> Answer {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(Full::default()).unwrap())
    }
}

/// That the document has this status, media type and set of members for this operation.
fn assert_documented(method: &Method, path: &str, answer: &Answer) {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let operation = &document["paths"][path][method.as_str().to_lowercase()];
    let place = format!("{method} {path} {}", answer.status);
    let mut response = &operation["responses"][answer.status.to_string()];
    if let Some(reference) = response["$ref"].as_str() {
        response = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
    }
    assert!(response.is_object(), "{place} is not in the document");
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let sent = answer
            .headers
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{place} without {name}"));
        if let Some(constant) = header["schema"]["const"].as_str() {
            assert_eq!(sent, constant, "{place}");
        }
    }
    let Some(content) = response["content"].as_object() else {
        assert_eq!(answer.body, Value::Null, "{place}");
        return;
    };
    let media_type = answer.headers[CONTENT_TYPE].to_str().unwrap();
    let schema = &content
        .get(media_type)
        .unwrap_or_else(|| panic!("{place} as {media_type}"))["schema"];
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    };
    for required in schema["required"].as_array().unwrap() {
        assert!(
            !answer.body[required.as_str().unwrap()].is_null(),
            "{place} without {required}: {}",
            answer.body
        );
    }
    if schema["additionalProperties"] == false {
        for member in answer.body.as_object().unwrap().keys() {
            assert!(schema["properties"][member].is_object(), "{place} has {member}");
        }
    }
}

fn ada() -> Value {
    json!({ "email": "ada@example.com", "password": "correct horse battery" })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn the_routes_and_the_document_agree() {
    assert_eq!(rest::openapi::differences(ROUTES, DOCUMENT), Vec::<String>::new());
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn walk(value: &Value, document: &Value, seen: &mut usize) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            assert!(
                document.pointer(reference.strip_prefix('#').unwrap()).is_some(),
                "{reference}"
            );
            *seen += 1;
        }
        match value {
            Value::Object(members) => members.values().for_each(|value| walk(value, document, seen)),
            Value::Array(items) => items.iter().for_each(|value| walk(value, document, seen)),
            _ => {}
        }
    }
    let document = serde_json::from_str(DOCUMENT).unwrap();
    let mut seen = 0;
    walk(&document, &document, &mut seen);
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_customer_comes_and_goes() {
    let shop = Shop::open();
    let registered = shop.post("/auth/register", &ada());
    assert_eq!(registered.status, 201);
    assert_eq!(registered.body["token_type"], "Bearer");
    assert_eq!(registered.body["expires_in"], 900);
    assert_eq!(registered.headers["location"], "/auth/me");

    let logged_in = shop.post("/auth/login", &ada());
    assert_eq!(logged_in.status, 200);
    let me = shop.get("/auth/me", Some(text(&logged_in.body["access_token"])));
    assert_eq!(me.status, 200);
    assert_eq!(me.body["email"], "ada@example.com");
    assert_eq!(me.body["roles"], json!(["customer"]));
    assert_eq!(me.body["created_at"], "2027-01-15T08:00:00Z");

    let first = json!({ "refresh_token": logged_in.body["refresh_token"] });
    let refreshed = shop.post("/auth/refresh", &first);
    assert_eq!(refreshed.status, 200);
    let second = json!({ "refresh_token": refreshed.body["refresh_token"] });
    assert_eq!(shop.post("/auth/logout", &second).status, 204);
    assert_eq!(shop.post("/auth/refresh", &second).status, 401);
    assert_eq!(shop.post("/auth/logout", &second).status, 204);
}

#[test]
fn a_stolen_refresh_token_ends_its_session() {
    let shop = Shop::open();
    let first = json!({ "refresh_token": shop.post("/auth/register", &ada()).body["refresh_token"] });
    let second = json!({ "refresh_token": shop.post("/auth/refresh", &first).body["refresh_token"] });
    let reused = shop.post("/auth/refresh", &first);
    assert_eq!(reused.status, 401);
    assert_eq!(reused.body["type"], "urn:problem-type:shop:bad-refresh-token");
    let revoked = shop.post("/auth/refresh", &second);
    assert_eq!(
        (revoked.status, &revoked.body),
        (401, &reused.body),
        "the answers do not tell the two apart"
    );
}

#[test]
fn wrong_password_and_unknown_address_get_one_answer() {
    let shop = Shop::open();
    shop.post("/auth/register", &ada());
    let wrong = shop.post(
        "/auth/login",
        &json!({ "email": "ada@example.com", "password": "wrong" }),
    );
    let unknown = shop.post(
        "/auth/login",
        &json!({ "email": "bob@example.com", "password": "wrong" }),
    );
    let no_address = shop.post(
        "/auth/login",
        &json!({ "email": "' OR 1=1 --", "password": "wrong" }),
    );
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.body, unknown.body);
    assert_eq!(wrong.body, no_address.body);
}

#[test]
fn guessing_is_throttled_and_says_for_how_long() {
    let shop = Shop::open();
    let wrong = json!({ "email": "ada@example.com", "password": "wrong" });
    for _ in 0..10 {
        assert_eq!(shop.post("/auth/login", &wrong).status, 401);
    }
    let throttled = shop.post("/auth/login", &wrong);
    assert_eq!(throttled.status, 429);
    assert_eq!(throttled.headers["retry-after"], "60");
    shop.0.clock.advance(Duration::from_secs(60));
    assert_eq!(shop.post("/auth/login", &wrong).status, 401);
}

#[test]
fn an_address_registers_once() {
    let shop = Shop::open();
    assert_eq!(shop.post("/auth/register", &ada()).status, 201);
    let taken = shop.post(
        "/auth/register",
        &json!({ "email": "ADA@example.com", "password": "another password" }),
    );
    assert_eq!(taken.status, 409);
    assert_eq!(taken.body["type"], "urn:problem-type:shop:email-taken");
}

#[test]
fn what_is_out_of_bounds_is_pointed_at() {
    let shop = Shop::open();
    for (email, password, pointer) in [
        ("ada", "correct horse battery", "/email"),
        ("ada@example.com", "short", "/password"),
        ("ada@example.com", &*"x".repeat(129), "/password"),
    ] {
        let answer = shop.post("/auth/register", &json!({ "email": email, "password": password }));
        assert_eq!(answer.status, 422);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
    }
}

#[test]
fn bodies_that_are_not_what_they_should_be_are_refused() {
    let shop = Shop::open();
    for path in ["/auth/register", "/auth/login", "/auth/refresh", "/auth/logout"] {
        let post =
            |content_type: &str, body: &[u8]| shop.post_bytes(path, content_type, body.to_vec()).status;
        assert_eq!(post("application/json", b"{"), 400, "{path}");
        assert_eq!(post("application/json", b"[]"), 400, "{path}");
        assert_eq!(post("application/json", b"{}"), 400, "{path}");
        assert_eq!(post("application/json", b"{\"email\":\"\xff\"}"), 400, "{path}");
        assert_eq!(post("application/json", &[b' '; BODY_LIMIT + 1]), 413, "{path}");
        assert_eq!(
            post("application/x-www-form-urlencoded", b"email=a"),
            415,
            "{path}"
        );
    }
    let mut more = ada();
    more["role"] = json!("admin");
    let unknown = shop.post("/auth/register", &more);
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.body["errors"][0]["pointer"], "/role");
    let typed = shop.post("/auth/login", &json!({ "email": 1, "password": null }));
    assert_eq!(
        (typed.status, &typed.body["errors"][0]["pointer"]),
        (400, &json!("/email"))
    );
}

#[test]
fn me_needs_a_good_token() {
    let shop = Shop::open();
    let token = text(&shop.post("/auth/register", &ada()).body["access_token"]).to_owned();
    assert_eq!(shop.get("/auth/me", None).headers["www-authenticate"], "Bearer");
    let forged = shop.get("/auth/me", Some(&format!("{}x", &token[..token.len() - 1])));
    assert_eq!(forged.status, 401);
    assert_eq!(
        forged.headers["www-authenticate"],
        "Bearer error=\"invalid_token\""
    );
    assert_eq!(shop.get("/auth/me", Some("a.b.c")).status, 401);
    shop.0.clock.advance(Duration::from_secs(900));
    let expired = shop.get("/auth/me", Some(&token));
    assert_eq!(
        (expired.status, &expired.body["detail"]),
        (401, &json!("the token has expired"))
    );
}

#[test]
fn the_key_set_has_the_key_of_the_token() {
    use base64::Engine;
    let shop = Shop::open();
    let token = text(&shop.post("/auth/register", &ada()).body["access_token"]).to_owned();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    let keys = shop.get("/auth/jwks.json", None);
    assert_eq!(keys.status, 200);
    assert_eq!(keys.body["keys"][0]["kid"], header["kid"]);
    assert_eq!(keys.body["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn other_paths_and_methods_are_told_apart() {
    let shop = Shop::open();
    assert_eq!(shop.get("/auth", None).status, 404);
    assert_eq!(shop.get("/auth/me/", None).status, 404);
    let wrong = shop.get("/auth/login", None);
    assert_eq!(
        (wrong.status, &wrong.headers["allow"]),
        (405, &http::HeaderValue::from_static("POST"))
    );
}

#[test]
fn the_document_is_served_although_nothing_else_works() {
    let broken = async || -> Result<Auth<SqlStore<Sqlite>, StoppedClock, Counting>, OpenError> {
        Err(OpenError::Store(auth_domain::port::StoreError::Busy(
            "locked".to_owned(),
        )))
    };
    let get = |path: &str| Request::get(path).body(Full::<Bytes>::default()).unwrap();
    assert_eq!(ready(handle(get("/auth/openapi.json"), broken)).status(), 200);
    let keys = ready(handle(get("/auth/jwks.json"), broken));
    assert_eq!(
        (keys.status().as_u16(), &keys.headers()["retry-after"]),
        (503, &http::HeaderValue::from_static("1"))
    );
}
