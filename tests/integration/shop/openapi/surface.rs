//! What holds for a document as a whole: it is the one that is served, its examples are true, and beside what it
//! describes there is nothing.

use std::collections::BTreeSet;
use std::fs;

use http::Method;
use serde_json::{Value, json};

use crate::harness::Line;
use crate::shop::application::{Shape, manifest, replace, repository};
use crate::shop::client::{Contracts, product, text};
use crate::shop::contract::Contract;
use crate::shop::schema::{resolve, violations};
use crate::shop::{Call, Shop, get, post, shop};

#[tokio::test]
async fn a_service_gives_out_the_document_that_its_answers_are_held_against() {
    let shop = Shop::start(&shop().await).await;
    for (service, path) in [
        ("auth", "/auth/openapi.json"),
        ("catalog", "/catalog/openapi.json"),
        ("orders", "/orders/openapi.json"),
    ] {
        let served = shop.expect(200, get(path)).await;
        let file = repository().join(format!("components/{service}/openapi.json"));
        let text = fs::read_to_string(file).expect("a service has a document");
        assert_eq!(
            served.text(),
            text,
            "the component of {service} was not built from this document"
        );
    }
}

#[tokio::test]
async fn reading_can_be_asked_for_its_head_alone() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let id = text(&shop.list("").await[0], "id");
    shop.expect(201, Shop::reservation(&admin, "r", &id, 1, 600))
        .await;
    let items = json!([{ "product_id": id, "quantity": 1 }]);
    let place = post("/orders").header("idempotency-key", "key").bearer(&admin);
    let placed = shop.expect(201, place.json(&json!({ "items": items }))).await;
    for path in [
        "/auth/me",
        "/auth/jwks.json",
        "/auth/openapi.json",
        "/catalog/openapi.json",
        "/catalog/products",
        "/catalog/products?limit=0",
        "/catalog/products/none",
        &format!("/catalog/products/{id}"),
        "/catalog/reservations/r",
        "/orders",
        "/orders?limit=0",
        "/orders/none",
        "/orders/openapi.json",
        placed.header("location"),
    ] {
        let whole = shop.send(get(path).bearer(&admin)).await;
        let head = shop.send(Call::new(Method::HEAD, path).bearer(&admin)).await;
        assert_eq!(head.status, whole.status, "{path}");
        let fields = |mut headers: http::HeaderMap| {
            headers.remove("date");
            headers
        };
        assert_eq!(fields(head.headers), fields(whole.headers), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_there_are() {
    let shop = Shop::start(&shop().await).await;
    let contracts = Contracts::load();
    let mut refused = 0;
    for contract in contracts.all() {
        for (template, operations) in contract.paths() {
            let mut allowed: BTreeSet<_> = operations.iter().map(|(method, _)| method.as_str()).collect();
            if allowed.contains("GET") {
                allowed.insert("HEAD");
            }
            let path = template.replace("{id}", "some");
            for method in [
                "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE",
            ] {
                if allowed.contains(method) {
                    continue;
                }
                let answer = shop
                    .probe(Call::new(method.parse().expect("a method"), &path))
                    .await;
                assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
                assert_eq!(answer.header("content-type"), "application/problem+json");
                let listed: BTreeSet<_> = answer.header("allow").split(", ").collect();
                assert_eq!(listed, allowed, "{method} {path}");
                if method != "HEAD" {
                    assert_eq!(answer.json()["status"], 405);
                }
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

#[tokio::test]
async fn paths_that_nobody_described_lead_nowhere() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    for path in [
        "/",
        "/auth",
        "/auth/",
        "/auth/login/",
        "/auth//login",
        "/auth/Login",
        "/auth/users",
        "/auth/jwks",
        "/auth/.well-known/jwks.json",
        "/auth/me/roles",
        "/auth/..%2fcatalog/products",
        "/auth/../catalog/products",
        "/catalog",
        "/catalog/",
        "/catalog/products/",
        "/catalog//products",
        "/catalog/product",
        "/catalog/products/some/stock/",
        "/catalog/products/some/price",
        "/catalog/reservations/some/expire",
        "/catalog/reservations/some/commit/",
        "/catalog/%70roducts/some/more",
        "/orders/",
        "/orders//cancel",
        "/Orders",
        "/orders/some/cancel/",
        "/orders/some/confirm",
        "/orders/some/items/0",
        "/orders/%6fpenapi.json/more",
        "/ordersx",
        "/authx/login",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = shop.probe(Call::new(method.clone(), path).bearer(&admin)).await;
            assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{method} {path}"
            );
            assert_eq!(answer.json()["status"], 404);
        }
    }
}

#[test]
fn the_examples_of_a_document_fit_its_schemas() {
    for service in ["auth", "catalog", "orders"] {
        let contract = Contract::of(service);
        let document = &contract.document;
        let mut examples = 0;
        let mut check = |place: &str, media: &Value| {
            let named = media["examples"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, example)| &example["value"]);
            for example in media.get("example").into_iter().chain(named) {
                let wrong = violations(document, &media["schema"], example);
                assert!(wrong.is_empty(), "{service}: {place}: {example:#}: {wrong:#?}");
                examples += 1;
            }
        };
        for (path, operations) in contract.paths() {
            for (method, operation) in operations {
                let content = |node: &'_ Value| node["content"].as_object().cloned().unwrap_or_default();
                for media in content(&operation["requestBody"]).values() {
                    check(&format!("{method} {path}"), media);
                }
                for (status, response) in operation["responses"]
                    .as_object()
                    .expect("an operation has responses")
                {
                    for media in content(resolve(document, response)).values() {
                        check(&format!("{method} {path} {status}"), media);
                    }
                }
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    check(&format!("{method} {path}"), resolve(document, parameter));
                }
            }
        }
        assert!(examples > 20, "{service}: {examples}");
    }
}

#[tokio::test]
async fn the_catalog_says_that_it_cannot_check_tokens_where_nobody_gives_it_keys() {
    let manifest = manifest(Shape::PerService).await;
    for address in [
        "http://auth.spin.internal/auth/nothing",
        "http://nobody.spin.internal/auth/jwks.json",
        "http://127.0.0.1:9/auth/jwks.json",
        "http://auth.spin.internal/auth/openapi.json",
        "no address",
    ] {
        let manifest = replace(&manifest, "http://auth.spin.internal/auth/jwks.json", address);
        let shop = Shop::start(&shop().await.manifest(manifest)).await;
        let admin = shop.admin().await;
        let create = post("/catalog/products")
            .bearer(&admin)
            .json(&product("SKU-1", 1));
        let answer = shop.expect(503, create).await;
        assert!(!answer.text().contains("spin.internal"), "{answer:?}");
        let said = |line: &Line| line.field("service") == "catalog" && line.message().contains("no key set");
        shop.wait_for_log("why", said).await;
        shop.expect(200, get("/catalog/products")).await;
    }
}
