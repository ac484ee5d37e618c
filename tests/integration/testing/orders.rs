//! The service `orders` without `auth` and without `catalog`: both are stubs, and time passes when a test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use midplane::testing::value::{self, Value};
use midplane::testing::{Clock, Service};
use serde_json::{Value as Json, json};

use super::text;
use crate::harness::component;

const TOKENS: &str = "shop:auth/tokens@1.0.0";
const PRODUCTS: &str = "shop:catalog/products@1.1.0";
const INVENTORY: &str = "shop:catalog/inventory@1.1.0";

const COFFEE: &str = "018f0000-0000-7000-8000-000000000001";
const NOW: u64 = 1_800_000_000;

/// As much of a catalog as `orders` asks for: one product, its stock, and whether it can be asked at all.
#[derive(Default)]
struct Catalog {
    pieces: u32,
    away: bool,
    /// Pieces and state by reservation.
    reservations: BTreeMap<String, (u32, &'static str)>,
}

impl Catalog {
    fn reserve(&mut self, id: &str, lines: &[Value]) -> Value {
        let wanted = lines.iter().map(|line| {
            assert_eq!(
                value::field(line, "product-id").and_then(value::text),
                Some(COFFEE)
            );
            let quantity = value::field(line, "quantity").and_then(value::number);
            u32::try_from(quantity.expect("a line has a quantity")).expect("it is a u32")
        });
        let wanted: u32 = wanted.sum();
        if wanted > self.pieces {
            return value::err(value::variant(
                "insufficient",
                value::record([
                    ("product-id", value::string(COFFEE)),
                    ("requested", value::int(wanted)),
                    ("available", value::int(self.pieces)),
                ]),
            ));
        }
        self.pieces -= wanted;
        self.reservations.insert(id.to_owned(), (wanted, "held"));
        self.reservation(id)
    }

    /// Moves a reservation on; stock that is given back returns.
    fn turn(&mut self, id: &str, to: &'static str) -> Value {
        let Some((pieces, state)) = self.reservations.get_mut(id) else {
            return value::err(value::variant("not-found", value::string(id)));
        };
        if to == "released" && *state != "released" {
            self.pieces += *pieces;
        }
        *state = to;
        self.reservation(id)
    }

    fn reservation(&self, id: &str) -> Value {
        let (pieces, state) = self.reservations[id];
        let line = value::record([
            ("product-id", value::string(COFFEE)),
            ("quantity", value::int(pieces)),
        ]);
        value::ok(value::record([
            ("id", value::string(id)),
            ("lines", value::list([line])),
            ("state", value::case(state)),
            ("expires-at", value::int(NOW + 300)),
        ]))
    }
}

/// `orders`, what it is given, and the clock that it goes by.
struct Shop {
    orders: Service,
    catalog: Arc<Mutex<Catalog>>,
    clock: Clock,
}

impl Shop {
    async fn with_pieces(pieces: u32) -> Self {
        let catalog = Arc::new(Mutex::new(Catalog {
            pieces,
            ..Catalog::default()
        }));
        let clock = Clock::at_unix(NOW);
        // Each stub answers out of the same catalog, unless that is away.
        let inventory = |answer: fn(&mut Catalog, &str, &[Value]) -> Value| {
            let catalog = catalog.clone();
            move |arguments: Vec<Value>| {
                let mut catalog = catalog.lock().unwrap_or_else(PoisonError::into_inner);
                if catalog.away {
                    return Err("the catalog is away");
                }
                let id = arguments.first().and_then(value::text).expect("the id is first");
                let lines = arguments.get(1).and_then(value::elements).unwrap_or_default();
                Ok(answer(&mut catalog, id, lines))
            }
        };
        let orders = Service::builder(component("orders"))
            .name("orders")
            .sqlite("default")
            .variable("reservation_seconds", "300")
            .variable("cancellation_seconds", "3600")
            .clock(clock.clone())
            .stub_sync(TOKENS, "verify", |arguments| verify(&arguments))
            .stub_sync(PRODUCTS, "get-many", |arguments| products(&arguments))
            .stub_sync(INVENTORY, "reserve", inventory(Catalog::reserve))
            .stub_sync(
                INVENTORY,
                "commit",
                inventory(|catalog, id, _| catalog.turn(id, "committed")),
            )
            .stub_sync(
                INVENTORY,
                "release",
                inventory(|catalog, id, _| catalog.turn(id, "released")),
            )
            .stub_sync(
                INVENTORY,
                "cancel",
                inventory(|catalog, id, _| catalog.turn(id, "released")),
            )
            .start()
            .await
            .expect("orders is served");
        Self {
            orders,
            catalog,
            clock,
        }
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: Request<String>) -> Response<Bytes> {
        self.orders.request(request).await.expect("orders answers")
    }

    async fn order(&self, key: &str, quantity: u32) -> Response<Bytes> {
        let body = json!({ "items": [{ "product_id": COFFEE, "quantity": quantity }] });
        let request = signed(Request::post("/orders"))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(body.to_string());
        self.send(request.expect("the request is valid")).await
    }

    async fn get(&self, path: &str) -> Json {
        let request = signed(Request::get(path))
            .body(String::new())
            .expect("the request is valid");
        let response = self.send(request).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", text(&response));
        json_of(&response)
    }

    /// The functions of the inventory that were called, in order.
    fn asked(&self) -> Vec<String> {
        let calls = self.orders.calls().into_iter();
        calls
            .filter(|call| call.interface == INVENTORY)
            .map(|call| call.function)
            .collect()
    }
}

fn signed(request: http::request::Builder) -> http::request::Builder {
    request.header("authorization", "Bearer good")
}

fn json_of(response: &Response<Bytes>) -> Json {
    serde_json::from_slice(response.body()).expect("it answers JSON")
}

fn verify(arguments: &[Value]) -> Value {
    match arguments.first().and_then(value::text) {
        Some("good") => value::ok(value::record([
            ("subject", value::string("018f0000-0000-7000-8000-00000000000a")),
            ("email", value::string("customer@example.com")),
            ("roles", value::list([])),
            ("expires-at", value::int(NOW + 900)),
        ])),
        Some("old") => value::err(value::case("expired")),
        _ => value::err(value::variant(
            "invalid",
            value::string("its signature is not ours"),
        )),
    }
}

fn products(arguments: &[Value]) -> Value {
    let ids = arguments
        .first()
        .and_then(value::elements)
        .expect("the ids come first");
    assert_eq!(ids, [value::string(COFFEE)]);
    value::ok(value::list([value::record([
        ("id", value::string(COFFEE)),
        ("name", value::string("Coffee")),
        (
            "price",
            value::record([("amount", value::int(450)), ("currency", value::string("EUR"))]),
        ),
        ("available", value::int(0)),
    ])]))
}

#[tokio::test]
async fn an_order_is_priced_reserved_and_committed() {
    let shop = Shop::with_pieces(10).await;
    let response = shop.order("one", 3).await;
    assert_eq!(response.status(), StatusCode::CREATED, "{}", text(&response));
    let order = json_of(&response);
    assert_eq!(order["status"], "confirmed");
    assert_eq!(order["total"], json!({ "amount": 1350, "currency": "EUR" }));
    assert_eq!(order["created_at"], "2027-01-15T08:00:00Z", "the clock says so");
    assert_eq!(shop.asked(), ["reserve", "commit"]);
    let calls = shop.orders.calls();
    let reserved = calls
        .iter()
        .find(|call| call.function == "reserve")
        .expect("it reserved");
    assert_eq!(
        reserved.arguments.first(),
        Some(&value::string(order["id"].as_str().expect("a text")))
    );
    assert_eq!(reserved.arguments.get(2), Some(&Value::U32(300)));
    assert_eq!(shop.catalog().pieces, 7);
    assert_eq!(
        shop.get("/orders").await["items"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn more_than_there_is_cannot_be_ordered() {
    let shop = Shop::with_pieces(2).await;
    let response = shop.order("one", 3).await;
    assert_eq!(response.status(), StatusCode::CONFLICT, "{}", text(&response));
    let problem = json_of(&response);
    assert!(
        problem["type"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("/InsufficientStock")),
        "{problem}"
    );
    assert_eq!(
        (&problem["requested"], &problem["available"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(shop.asked(), ["reserve"]);
    assert_eq!(shop.catalog().pieces, 2);
}

#[tokio::test]
async fn a_token_that_is_not_good_orders_nothing() {
    let shop = Shop::with_pieces(10).await;
    for token in ["old", "forged"] {
        let request = Request::get("/orders").header("authorization", format!("Bearer {token}"));
        let response = shop
            .send(request.body(String::new()).expect("the request is valid"))
            .await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{}", text(&response));
    }
    let calls = shop.orders.calls();
    assert!(calls.iter().all(|call| call.function == "verify"), "{calls:?}");
}

#[tokio::test]
async fn an_order_goes_on_where_it_stopped_once_the_catalog_is_back() {
    let shop = Shop::with_pieces(10).await;
    shop.catalog().away = true;
    let response = shop.order("one", 3).await;
    assert_eq!(
        response.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        text(&response)
    );
    assert!(response.headers().contains_key("retry-after"));
    assert!(
        shop.orders
            .logs()
            .iter()
            .any(|line| line.text.contains("the catalog is away")),
        "the operator is told why: {:?}",
        shop.orders.logs()
    );
    shop.catalog().away = false;
    let response = shop.order("one", 3).await;
    assert_eq!(response.status(), StatusCode::CREATED, "{}", text(&response));
    assert_eq!(shop.asked(), ["reserve", "reserve", "commit"]);
    let reserved: Vec<_> = shop.orders.calls();
    let ids: Vec<_> = reserved
        .iter()
        .filter(|call| call.function == "reserve")
        .filter_map(|call| call.arguments.first())
        .collect();
    assert_eq!(ids[0], ids[1], "it is the same order");
    assert_eq!(
        shop.get("/orders").await["items"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(shop.catalog().pieces, 7);
}

#[tokio::test]
async fn a_repeated_request_is_answered_and_not_done_again() {
    let shop = Shop::with_pieces(10).await;
    let first = shop.order("one", 3).await;
    let again = shop.order("one", 3).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(json_of(&again), json_of(&first));
    assert_eq!(shop.asked(), ["reserve", "commit"]);
    let other = shop.order("one", 4).await;
    assert_eq!(
        other.status(),
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        text(&other)
    );
    assert_eq!(shop.catalog().pieces, 7);
}

#[tokio::test]
async fn an_order_whose_time_is_over_gives_its_stock_back() {
    let shop = Shop::with_pieces(10).await;
    shop.catalog().away = true;
    shop.order("one", 3).await;
    // The stock was held after all: the answer alone was lost.
    let order = shop.get("/orders").await["items"][0].clone();
    assert_eq!(order["status"], "pending");
    let id = order["id"].as_str().expect("a text").to_owned();
    {
        let mut catalog = shop.catalog();
        catalog.away = false;
        catalog.pieces = 7;
        catalog.reservations.insert(id.clone(), (3, "held"));
    }
    let asked = shop.asked().len();
    shop.clock.advance(Duration::from_secs(301));
    let order = shop.get(&format!("/orders/{id}")).await;
    assert_eq!(order["status"], "expired");
    assert_eq!(shop.asked()[asked..], ["release"]);
    assert_eq!(shop.catalog().pieces, 10);
}

#[tokio::test]
async fn a_confirmed_order_can_be_cancelled_for_an_hour() {
    let shop = Shop::with_pieces(10).await;
    let in_time = json_of(&shop.order("one", 3).await);
    let late = json_of(&shop.order("two", 2).await);
    let cancel = async |order: &Json| {
        let path = format!("/orders/{}/cancel", order["id"].as_str().expect("a text"));
        let request = signed(Request::post(path)).body(String::new());
        shop.send(request.expect("the request is valid")).await
    };
    shop.clock.advance(Duration::from_secs(3599));
    let response = cancel(&in_time).await;
    assert_eq!(response.status(), StatusCode::OK, "{}", text(&response));
    assert_eq!(json_of(&response)["status"], "cancelled");
    assert_eq!(shop.catalog().pieces, 8);
    shop.clock.advance(Duration::from_secs(1));
    let response = cancel(&late).await;
    assert_eq!(response.status(), StatusCode::CONFLICT, "{}", text(&response));
    assert_eq!(shop.catalog().pieces, 8);
}
