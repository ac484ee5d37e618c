//! The HTTP interface over a real SQLite, with partners in memory. Every answer is held against
//! `openapi.json`.

mod errors;
mod schema;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use orders_domain::testing::{Bench, Fault, SetTime, Warehouse, product};
use serde_json::{Value, json};

use super::*;
use crate::adapter::native::{File, ready};
use crate::adapter::store::Sqlite;

struct Site {
    bench: Bench<Sqlite<File>>,
    edge: Edge<Warehouse, Sqlite<File>, SetTime>,
    file: File,
}

/// An answer, its body read.
#[derive(Debug, PartialEq)]
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

impl Site {
    /// Ten pieces of product 1 at 2.50, five of product 2 at 1.00, and one that is sold in dollars.
    fn open() -> Self {
        let file = File::empty();
        let bench = Bench::over(Sqlite::new(file.clone()));
        bench.warehouse.stock(product(1), 10, 250, "EUR");
        bench.warehouse.stock(product(2), 5, 100, "EUR");
        bench.warehouse.stock(product(3), 5, 100, "USD");
        let edge = Edge::new(bench.shop());
        Self { bench, edge, file }
    }

    /// Sends a request as it is.
    fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (response, known) = ready(self.edge.answer(request));
        let (head, body) = response.into_parts();
        let bytes = ready(body.collect()).unwrap().to_bytes();
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&bytes).unwrap(),
        };
        if known {
            ready(self.edge.sweep());
        }
        if let Ok(found) = rest::route(ROUTES, &method, &path) {
            schema::check(found.operation_id, &answer);
        }
        answer
    }

    /// Sends a request with the token of a name.
    fn request(&self, name: &str, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {name}"));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::from(body.to_owned()));
        self.send(request.body(body).unwrap())
    }

    fn get(&self, name: &str, path: &str) -> Answer {
        self.request(name, "GET", path, &[], "")
    }

    fn cancel(&self, name: &str, order: &Answer) -> Answer {
        let path = format!("/orders/{}/cancel", order.body["id"].as_str().unwrap());
        self.request(name, "POST", &path, &[], "")
    }

    fn place(&self, name: &str, key: &str, body: &Value) -> Answer {
        let fields = [("content-type", "application/json"), ("idempotency-key", key)];
        self.request(name, "POST", "/orders", &fields, &body.to_string())
    }
}

/// The body of an order.
fn wanted(items: &[(u8, i64)]) -> Value {
    let item = |(number, quantity): &(u8, i64)| {
        let product_id = product(*number).to_string();
        json!({ "product_id": product_id, "quantity": quantity })
    };
    json!({ "items": items.iter().map(item).collect::<Vec<_>>() })
}

#[test]
fn the_table_and_the_document_describe_the_same_operations() {
    assert_eq!(rest::openapi::differences(ROUTES, OPENAPI), Vec::<String>::new());
}

#[test]
fn the_document_is_served_as_it_is_to_everybody() {
    let site = Site::open();
    let request = Request::get("/orders/openapi.json")
        .body(Full::default())
        .unwrap();
    let answer = site.send(request);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, serde_json::from_str::<Value>(OPENAPI).unwrap());
    assert_eq!(site.get("ada", "/orders/openapi.json?x=1").status, 400);
}

#[test]
fn an_order_is_answered_whole_and_can_be_read() {
    let site = Site::open();
    let placed = site.place("ada", "k", &wanted(&[(1, 2), (2, 1)]));
    assert_eq!((placed.status, placed.header("cache-control")), (201, "no-store"));
    let id = placed.body["id"].as_str().unwrap();
    assert_eq!(placed.header("location"), format!("/orders/{id}"));
    let euro = |amount: u64| json!({ "amount": amount, "currency": "EUR" });
    assert_eq!(
        placed.body,
        json!({
            "id": id,
            "customer_id": "ada",
            "status": "confirmed",
            "items": [
                { "product_id": product(1).to_string(), "name": "Thing", "quantity": 2,
                  "unit_price": euro(250), "price": euro(500) },
                { "product_id": product(2).to_string(), "name": "Thing", "quantity": 1,
                  "unit_price": euro(100), "price": euro(100) },
            ],
            "total": euro(600),
            "created_at": "2026-01-01T12:00:00Z",
            "updated_at": "2026-01-01T12:00:00Z",
            "expires_at": null,
            "cancellable_until": "2026-01-01T13:00:00Z",
            "refusal": null,
        })
    );
    let read = site.get("ada", placed.header("location"));
    assert_eq!((read.status, &read.body), (200, &placed.body));
    assert_eq!(site.get("admin", placed.header("location")).body, placed.body);
    assert_eq!(site.get("bob", placed.header("location")).status, 404);
    assert_eq!(site.request("ada", "HEAD", "/orders", &[], "").status, 200);
}

#[test]
fn a_repeated_request_is_answered_as_the_first() {
    let site = Site::open();
    let first = site.place("ada", "k", &wanted(&[(1, 2), (2, 1)]));
    assert_eq!(site.place("ada", "k", &wanted(&[(1, 2), (2, 1)])), first);
    assert_eq!(site.place("ada", "k", &wanted(&[(2, 1), (1, 2)])), first);
    let other = site.place("ada", "k", &wanted(&[(1, 3)]));
    assert_eq!(
        (other.status, &other.body["type"]),
        (422, &json!(refusal::KEY_REUSED))
    );
    assert_eq!(site.place("bob", "k", &wanted(&[(1, 3)])).status, 201);
    assert_eq!(site.cancel("ada", &first).status, 200);
    let again = site.place("ada", "k", &wanted(&[(1, 2), (2, 1)]));
    assert_eq!((again.status, &again.body["status"]), (201, &json!("cancelled")));
}

#[test]
fn cancelling_is_answered_with_the_order() {
    let site = Site::open();
    let placed = site.place("ada", "k", &wanted(&[(1, 2)]));
    assert_eq!(site.cancel("bob", &placed).status, 404);
    let cancelled = site.cancel("ada", &placed);
    assert_eq!(
        (cancelled.status, &cancelled.body["status"]),
        (200, &json!("cancelled"))
    );
    assert_eq!(cancelled.body["cancellable_until"], Value::Null);
    assert_eq!(site.cancel("ada", &placed), cancelled);
    assert_eq!(site.bench.warehouse.on_hand(product(1)), 10);
    let late = site.place("ada", "k2", &wanted(&[(1, 2)]));
    site.bench.time.pass(3600);
    let refused = site.cancel("admin", &late);
    assert_eq!(
        (refused.status, &refused.body["order_status"]),
        (409, &json!("confirmed"))
    );
    assert_eq!(refused.body["cancellable_until"], late.body["cancellable_until"]);
}

#[test]
fn orders_are_listed_newest_first() {
    let site = Site::open();
    let mut ids = Vec::new();
    for number in 0..5 {
        let name = if number == 2 { "bob" } else { "ada" };
        let placed = site.place(name, &format!("k{number}"), &wanted(&[(1, 1)]));
        ids.push(placed.body["id"].as_str().unwrap().to_owned());
        site.bench.time.pass(number % 2);
    }
    ids.reverse();
    let listed = |answer: &Answer| -> Vec<String> {
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
        let items = answer.body["items"].as_array().unwrap().iter();
        items
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        listed(&site.get("admin", "/orders")),
        Vec::<String>::new(),
        "their own"
    );
    assert_eq!(listed(&site.get("admin", "/orders?all=true")), ids);
    assert_eq!(listed(&site.get("bob", "/orders?all=false")), [ids[2].as_str()]);
    let (mut path, mut seen) = ("/orders?limit=3".to_owned(), Vec::new());
    loop {
        let page = site.get("ada", &path);
        seen.extend(listed(&page));
        let Some(next) = page.body["next_cursor"].as_str() else {
            break;
        };
        path = format!("/orders?limit=3&cursor={next}");
    }
    assert_eq!(seen, [&ids[..2], &ids[3..]].concat());
    let cancelled = site.get("ada", "/orders?status=cancelled");
    assert_eq!(cancelled.body, json!({ "items": [], "next_cursor": null }));
    let item = &site.get("bob", "/orders?status=confirmed").body["items"][0];
    assert_eq!((&item["item_count"], &item["pieces"]), (&json!(1), &json!(1)));
}

#[test]
fn every_request_goes_on_with_what_is_due() {
    for path in ["/orders", "/orders?status=pending", "/orders/none"] {
        let site = Site::open();
        // The partners are asked about the token, the prices, and then the reservation.
        site.bench.plan.fail(3, Fault::Unanswered);
        assert_eq!(site.place("ada", "k", &wanted(&[(1, 2)])).status, 503, "{path}");
        site.bench.plan.heal();
        assert_eq!(
            site.file
                .count("SELECT count(*) FROM orders_orders WHERE status = 'pending'"),
            1
        );
        site.bench.time.pass(60);
        site.get("bob", path);
        assert_eq!(
            site.file
                .count("SELECT count(*) FROM orders_orders WHERE status = 'expired'"),
            1
        );
    }
}

/// A pending order of ada's with the key `k`, whose time is over.
fn overdue(site: &Site) {
    site.bench.plan.fail(3, Fault::Unanswered);
    assert_eq!(site.place("ada", "k", &wanted(&[(1, 2)])).status, 503);
    site.bench.plan.heal();
    site.bench.time.pass(60);
}

#[test]
fn no_answer_waits_for_what_others_left() {
    let site = Site::open();
    overdue(&site);
    // The token, and then a stock that never answers.
    site.bench.plan.fail(2, Fault::DieBefore);
    let request = Request::get("/orders").header(AUTHORIZATION, "Bearer bob");
    let (response, known) = ready(site.edge.answer(request.body(Full::<Bytes>::default()).unwrap()));
    assert_eq!((response.status(), known), (StatusCode::OK, true));
    assert_eq!(orders_domain::testing::run(site.edge.sweep()), None, "this waits");
}

#[test]
fn nobody_unknown_has_anything_gone_on_with() {
    let site = Site::open();
    for request in [
        Request::get("/orders"),
        Request::get("/orders").header(AUTHORIZATION, "Bearer forged"),
        Request::get("/orders/openapi.json"),
        Request::get("/elsewhere"),
    ] {
        let request = request.body(Full::<Bytes>::default()).unwrap();
        assert!(!ready(site.edge.answer(request)).1);
    }
}

#[test]
fn whoever_was_told_to_repeat_a_request_may_do_so_while_the_catalog_is_away() {
    let site = Site::open();
    overdue(&site);
    for _ in 0..3 {
        // The token, then the stock, whoever asks for it; and what follows the answer does.
        site.bench.plan.fail(2, Fault::Refused);
        let away = site.place("ada", "k", &wanted(&[(1, 2)]));
        assert_eq!((away.status, away.header("retry-after")), (503, "1"));
        site.bench.time.pass(1);
    }
    site.bench.plan.heal();
    let over = site.place("ada", "k", &wanted(&[(1, 2)]));
    assert_eq!(
        (over.status, &over.body["order_status"]),
        (409, &json!("expired"))
    );
}
