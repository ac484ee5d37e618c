//! The documents, held against the services: every operation with every status that it is said to have.

mod surface;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use serde_json::json;

use super::client::{Contracts, at_once, credentials, product, text};
use super::contract::Outcome;
use super::sqlite::{self, Lock};
use super::token::{encode, forgeries};
use super::{Call, Shop, delete, get, post, put, shop, variable};

const PASSWORD: &str = "a password of the tests";

/// Described, and not to be had from outside: a document that is part of the component is always there.
const UNTRIED: [(&str, &str); 1] = [("getOpenApi", "500")];

/// One request for each operation, by its id, that is right as far as it says itself.
struct Requests {
    admin: String,
    product: String,
    reservation: String,
    order: String,
    refresh: String,
}

impl Requests {
    fn auth(&self) -> [(&'static str, Call); 6] {
        let refresh = json!({ "refresh_token": self.refresh });
        [
            (
                "register",
                post("/auth/register").json(&credentials("new@example.com", PASSWORD)),
            ),
            (
                "login",
                post("/auth/login").json(&credentials("ada@example.com", PASSWORD)),
            ),
            ("refresh", post("/auth/refresh").json(&refresh)),
            ("logout", post("/auth/logout").json(&refresh)),
            ("me", get("/auth/me").bearer(&self.admin)),
            ("jwks", get("/auth/jwks.json")),
        ]
    }

    fn reading(&self) -> [(&'static str, Call); 2] {
        [
            ("listProducts", get("/catalog/products")),
            ("getProduct", get(format!("/catalog/products/{}", self.product))),
        ]
    }

    fn admins(&self) -> [(&'static str, Call); 8] {
        let path = format!("/catalog/products/{}", self.product);
        let reservation = format!("/catalog/reservations/{}", self.reservation);
        let mut update = product("UPDATED-1", 0);
        update
            .as_object_mut()
            .expect("a product is an object")
            .remove("stock");
        let calls = [
            (
                "createProduct",
                post("/catalog/products").json(&product("NEW-1", 10)),
            ),
            ("updateProduct", put(&path).header("if-match", "*").json(&update)),
            ("deleteProduct", delete(&path).header("if-match", "*")),
            (
                "setStock",
                put(format!("{path}/stock")).json(&json!({ "on_hand": 10 })),
            ),
            (
                "reserve",
                Shop::reservation("", &self.reservation, &self.product, 1, 600),
            ),
            ("getReservation", get(&reservation)),
            ("commitReservation", post(format!("{reservation}/commit"))),
            ("releaseReservation", post(format!("{reservation}/release"))),
        ];
        calls.map(|(operation, call)| (operation, call.bearer(&self.admin)))
    }

    fn orders(&self) -> [(&'static str, Call); 4] {
        let items = json!([{ "product_id": self.product, "quantity": 1 }]);
        let place = post("/orders").header("idempotency-key", "first");
        let path = format!("/orders/{}", self.order);
        let calls = [
            ("placeOrder", place.json(&json!({ "items": items }))),
            ("listOrders", get("/orders")),
            ("getOrder", get(&path)),
            ("cancelOrder", post(format!("{path}/cancel"))),
        ];
        calls.map(|(operation, call)| (operation, call.bearer(&self.admin)))
    }
}

#[tokio::test]
async fn every_operation_answers_as_described_and_nothing_described_stays_untried() {
    let contracts = Contracts::load();
    services_that_cannot_work(&contracts).await;

    let builder = shop().await;
    let [of_catalog, of_orders] = ["catalog", "orders"].map(|service| {
        let file = builder
            .folder()
            .join(format!("state/data/shop/{service}/sqlite/default.db"));
        fs::create_dir_all(file.parent().expect("a file has a folder")).expect("the folder is ours");
        file
    });
    let locks = [Lock::take(&of_catalog).await, Lock::take(&of_orders).await];
    let shop = Shop::start_with(&builder, contracts.clone()).await;
    for (service, file) in [("catalog", of_catalog), ("orders", of_orders)] {
        let found = sqlite::database(&shop.announcement, service);
        assert_eq!(found, file.canonicalize().expect("it was made"));
    }
    let mut requests = Requests {
        admin: shop.admin().await,
        product: "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21".to_owned(),
        reservation: "first".to_owned(),
        order: "019b79d0-2c00-7c1e-8a55-1f60c3d2a917".to_owned(),
        refresh: "A".repeat(64),
    };
    // Databases that somebody else writes to, before there is even a table in them.
    let busy = requests.reading().into_iter().chain(requests.admins());
    let busy = busy.chain(requests.orders());
    at_once(busy.map(|(_, call)| shop.expect(503, call))).await;
    for lock in locks {
        lock.release().await;
    }

    accounts(&shop, &mut requests).await;
    products(&shop, &mut requests).await;
    reservations(&shop, &requests).await;
    orders(&shop, &mut requests).await;
    malformed(&shop, &requests).await;
    failures(&shop, &requests).await;
    too_many(&shop).await;

    let untried: BTreeSet<Outcome> = UNTRIED
        .map(|(id, status)| (id.to_owned(), status.to_owned()))
        .into();
    for contract in contracts.all() {
        let missing: BTreeSet<_> = contract
            .described()
            .difference(&contract.driven())
            .cloned()
            .collect();
        let excused: BTreeSet<_> = contract.described().intersection(&untried).cloned().collect();
        assert_eq!(missing, excused, "described, and driven by nothing");
    }
}

/// `auth` with a setting that does not do, and therefore `catalog` without keys.
async fn services_that_cannot_work(contracts: &Arc<Contracts>) {
    let builder = variable(shop().await, "access_token_seconds", "0");
    let shop = Shop::start_with(&builder, contracts.clone()).await;
    let some = format!(
        "{}.{}.{}",
        encode(br#"{"alg":"EdDSA","kid":"k","typ":"JWT"}"#),
        encode(b"{}"),
        encode(&[0; 64])
    );
    let requests = Requests {
        admin: some,
        product: "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21".to_owned(),
        reservation: "none".to_owned(),
        order: "none".to_owned(),
        refresh: "A".repeat(64),
    };
    for (_, call) in requests.auth().into_iter().chain(requests.admins()) {
        shop.expect(503, call).await;
    }
    shop.expect(200, get("/auth/openapi.json")).await;
    shop.expect(200, get("/catalog/products")).await;
}

async fn accounts(shop: &Shop, requests: &mut Requests) {
    requests.refresh = shop.register("ada@example.com", PASSWORD).await.refresh;
    for (operation, call) in requests.auth() {
        let status = match operation {
            "register" => 201,
            "logout" => 204,
            _ => 200,
        };
        shop.expect(status, call).await;
    }
    shop.expect(
        409,
        post("/auth/register").json(&credentials("ada@example.com", PASSWORD)),
    )
    .await;
    shop.expect(
        422,
        post("/auth/register").json(&credentials("ada@example.com", "short")),
    )
    .await;
    shop.expect(
        401,
        post("/auth/login").json(&credentials("ada@example.com", "wrong")),
    )
    .await;
    shop.expect(
        401,
        post("/auth/refresh").json(&json!({ "refresh_token": requests.refresh })),
    )
    .await;
    shop.expect(401, get("/auth/me")).await;
}

async fn products(shop: &Shop, requests: &mut Requests) {
    let created = shop.expect(201, requests.admins()[0].1.clone()).await;
    requests.product = text(&created.json(), "id");
    let path = format!("/catalog/products/{}", requests.product);
    assert_eq!(created.header("location"), path);
    let tag = created.header("etag").to_owned();
    shop.expect(409, requests.admins()[0].1.clone()).await;
    for (_, call) in requests.reading() {
        shop.expect(200, call).await;
    }
    shop.expect(304, get(&path).header("if-none-match", &tag)).await;
    let [create, update, remove, count, ..] = requests.admins().map(|(_, call)| call);
    shop.expect(422, create.clone().json(&product("lower case", 1)))
        .await;
    shop.expect(
        409,
        update.clone().json(&json!({
            "sku": "LGT-0101", "name": "x", "category": "x", "price": { "amount": 0, "currency": "EUR" },
        })),
    )
    .await;
    shop.expect(200, update.clone()).await;
    shop.expect(412, update.clone().header("if-match", &tag)).await;
    shop.expect(428, update.clone().without("if-match")).await;
    shop.expect(
        422,
        update.clone().json(&json!({
            "sku": "", "name": "x", "category": "x", "price": { "amount": 0, "currency": "EUR" },
        })),
    )
    .await;
    shop.expect(412, remove.clone().header("if-match", &tag)).await;
    shop.expect(428, remove.clone().without("if-match")).await;
    shop.expect(400, remove.clone().header("if-match", "no tag"))
        .await;
    shop.expect(200, count.clone()).await;
    shop.expect(422, count.clone().json(&json!({ "on_hand": -1 })))
        .await;
    for call in [update, remove, count, get(&path)] {
        let missing = Call {
            path: call.path.replace(&requests.product, "none"),
            ..call
        };
        shop.expect(404, missing).await;
    }
    let gone = shop.create(&requests.admin, &product("GONE-1", 1)).await;
    let gone = delete(format!("/catalog/products/{}", text(&gone, "id"))).bearer(&requests.admin);
    shop.expect(204, gone.header("if-match", "*")).await;
}

async fn reservations(shop: &Shop, requests: &Requests) {
    let [_, _, remove, count, reserve, read, commit, release] = requests.admins().map(|(_, call)| call);
    shop.expect(201, reserve.clone()).await;
    shop.expect(200, reserve.clone()).await;
    shop.expect(200, read.clone()).await;
    shop.expect(409, remove).await;
    shop.expect(409, count.json(&json!({ "on_hand": 0 }))).await;
    shop.expect(200, commit.clone()).await;
    shop.expect(409, release.clone()).await;
    // Both kinds of conflict.
    shop.expect(409, reserve.clone()).await;
    shop.expect(
        409,
        Shop::reservation(&requests.admin, "second", &requests.product, 1000, 600),
    )
    .await;
    shop.expect(
        422,
        Shop::reservation(&requests.admin, "second", &requests.product, 0, 600),
    )
    .await;
    shop.expect(
        201,
        Shop::reservation(&requests.admin, "second", &requests.product, 1, 600),
    )
    .await;
    let second = |call: &Call| Call {
        path: call.path.replace("/first", "/second"),
        ..call.clone()
    };
    shop.expect(200, second(&release)).await;
    shop.expect(409, second(&commit)).await;
    for call in [read, commit, release] {
        shop.expect(
            404,
            Call {
                path: call.path.replace("/first", "/none"),
                ..call
            },
        )
        .await;
    }
    shop.expect(200, get("/catalog/openapi.json")).await;
}

async fn orders(shop: &Shop, requests: &mut Requests) {
    let product = shop.create(&requests.admin, &product("ORDERED-1", 2)).await;
    requests.product = text(&product, "id");
    let [place, list, ..] = requests.orders().map(|(_, call)| call);
    let placed = shop.expect(201, place.clone()).await.json();
    requests.order = text(&placed, "id");
    let [_, _, read, cancel] = requests.orders().map(|(_, call)| call);
    shop.expect(200, list).await;
    shop.expect(200, read.clone()).await;
    let order = |key: &str, quantity: u32| {
        let items = json!([{ "product_id": requests.product, "quantity": quantity }]);
        let place = place.clone().header("idempotency-key", key);
        place.json(&json!({ "items": items }))
    };
    // Both kinds of refusal.
    shop.expect(422, order("first", 2)).await;
    shop.expect(422, order("other", 0)).await;
    let short = shop.expect(409, order("short", 2)).await.json();
    shop.expect(400, place.without("idempotency-key")).await;
    shop.expect(200, cancel.clone()).await;
    let missing = |call: Call, id: &str| Call {
        path: call.path.replace(&requests.order, id),
        ..call
    };
    shop.expect(409, missing(cancel.clone(), &text(&short, "order_id")))
        .await;
    for call in [read, cancel] {
        shop.expect(404, missing(call, "none")).await;
    }
    shop.expect(200, get("/orders/openapi.json")).await;
}

/// What is wrong in the same way wherever it happens.
async fn malformed(shop: &Shop, requests: &Requests) {
    let customer = shop.login("ada@example.com", PASSWORD).await.access;
    let (_, forged) = forgeries(&requests.admin, &[0; 32]).remove(0);
    shop.expect(401, get("/auth/me").bearer(&forged)).await;
    for (_, call) in requests.admins() {
        shop.expect(401, call.clone().without("authorization")).await;
        shop.expect(401, call.clone().bearer(&forged)).await;
        shop.expect(403, call.bearer(&customer)).await;
    }
    for (_, call) in requests.orders() {
        shop.expect(401, call.clone().without("authorization")).await;
        shop.expect(401, call.bearer(&forged)).await;
    }
    shop.expect(403, get("/orders?all=true").bearer(&customer)).await;
    let documents = [get("/catalog/openapi.json"), get("/orders/openapi.json")];
    let calls = requests
        .reading()
        .into_iter()
        .chain(requests.admins())
        .chain(requests.orders())
        .map(|(_, call)| call);
    for call in calls.chain(documents) {
        let path = format!("{}?unknown=1", call.path);
        shop.expect(400, Call { path, ..call }).await;
    }
    let calls = requests.auth().into_iter().chain(requests.admins());
    for (_, call) in calls.chain(requests.orders()) {
        if call.has_body() {
            shop.expect(400, call.clone().body("application/json", "{")).await;
            shop.expect(413, call.clone().body("application/json", " ".repeat(65_537)))
                .await;
            shop.expect(415, call.body("text/plain", "{}")).await;
        }
    }
}

/// Tables that are gone: nobody is told more than that something failed, and it works again when they are back.
async fn failures(shop: &Shop, requests: &Requests) {
    let rename = async |services: &[(&str, &[&str])], from: &str, to: &str| {
        for (service, tables) in services {
            let rename = |table: &&str| format!("ALTER TABLE {table}{from} RENAME TO {table}{to};");
            let statements: Vec<_> = tables.iter().map(rename).collect();
            sqlite::run(
                &sqlite::database(&shop.announcement, service),
                &statements.join("\n"),
            )
            .await;
        }
    };
    let calls = || {
        requests
            .auth()
            .into_iter()
            .chain(requests.reading())
            .chain(requests.admins())
    };
    let own: &[(&str, &[&str])] = &[("orders", &["orders_orders", "orders_keys"])];
    let partners: &[(&str, &[&str])] = &[
        ("auth", &["auth_accounts", "auth_sessions", "auth_signing_keys"]),
        ("catalog", &["catalog_products", "catalog_reservations"]),
    ];
    let fail = async |status: u16, operation: &str, call: Call| {
        let answer = shop.expect(status, call).await.text();
        for inside in ["auth_", "catalog_", "orders_", "table", "SQL", "sql", "default"] {
            assert!(!answer.contains(inside), "{operation} tells {inside}: {answer}");
        }
    };
    rename(own, "", "_gone").await;
    for (operation, call) in requests.orders() {
        fail(500, operation, call).await;
    }
    rename(own, "_gone", "").await;
    rename(partners, "", "_gone").await;
    for (operation, call) in calls() {
        // The keys that the catalog knows already do for a while.
        fail(500, operation, call).await;
    }
    rename(partners, "_gone", "").await;
    for (operation, call) in calls().chain(requests.orders()) {
        let answer = shop.send(call).await;
        assert!(
            answer.status.as_u16() < 500,
            "{operation}: {answer:?}\n{}",
            shop.log_text()
        );
    }
}

async fn too_many(shop: &Shop) {
    let guesses = (0..60).map(|number| {
        let email = format!("user{}@example.com", number % 5);
        shop.send(post("/auth/login").json(&credentials(&email, "a wrong password")))
    });
    at_once(guesses).await;
    let taken = post("/auth/register").json(&credentials("ada@example.com", PASSWORD));
    at_once((0..15).map(|_| shop.send(taken.clone()))).await;
}
