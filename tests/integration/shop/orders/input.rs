//! What is wrong with a request, and how the service says so.

use serde_json::{Value, json};

use super::{Counter, cancel, order};
use crate::shop::client::text;
use crate::shop::{Call, get};

#[tokio::test]
async fn every_wrong_item_is_named() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let many: Vec<_> = (0..101).map(|_| (lamp.as_str(), 1)).collect();
    let item = |id: &str, quantity: Value| json!({ "product_id": id, "quantity": quantity });
    let items: [(Value, &[&str]); 9] = [
        (json!([]), &["/items"]),
        (
            many.iter().map(|(id, one)| item(id, json!(one))).collect(),
            &["/items"],
        ),
        (json!([item(&lamp, json!(0))]), &["/items/0/quantity"]),
        (json!([item(&lamp, json!(-1))]), &["/items/0/quantity"]),
        (json!([item(&lamp, json!(1_000_001))]), &["/items/0/quantity"]),
        (json!([item(&lamp, json!(i64::MAX))]), &["/items/0/quantity"]),
        (
            json!([item(&lamp, json!(1)), item(&lamp.to_uppercase(), json!(1))]),
            &["/items/1/product_id"],
        ),
        (
            json!([item("lamp", json!(1)), item("", json!(0))]),
            &["/items/0/product_id", "/items/1/product_id", "/items/1/quantity"],
        ),
        (
            json!([item(&lamp, json!(1)), item("' OR 1=1 --", json!(1))]),
            &["/items/1/product_id"],
        ),
    ];
    for (items, places) in items {
        let call = order(&ada, "key", &[]).json(&json!({ "items": items }));
        let problem = counter.expect(422, call).await.json();
        let errors = problem["errors"].as_array().expect("places are listed");
        let found: Vec<_> = errors.iter().map(|error| text(error, "pointer")).collect();
        assert_eq!(found, places, "{problem}");
        assert_eq!(problem["type"], "about:blank");
    }
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
}

#[tokio::test]
async fn what_is_no_order_is_refused() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let call = order(&ada, "key", &[(&lamp, 1)]);
    let right = json!({ "product_id": lamp, "quantity": 1 });
    for body in [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\u{feff}{}".to_owned(),
        json!({ "items": null }).to_string(),
        json!({ "items": {} }).to_string(),
        json!({ "items": [1] }).to_string(),
        json!({ "items": [{}] }).to_string(),
        json!({ "items": [{ "product_id": lamp }] }).to_string(),
        json!({ "items": [{ "product_id": lamp, "quantity": "1" }] }).to_string(),
        json!({ "items": [{ "product_id": lamp, "quantity": 1.5 }] }).to_string(),
        json!({ "items": [{ "product_id": 1, "quantity": 1 }] }).to_string(),
        // Nobody sets a price, or orders for somebody else.
        json!({ "items": [{ "product_id": lamp, "quantity": 1, "unit_price": 1 }] }).to_string(),
        json!({ "items": [right], "customer_id": "ada" }).to_string(),
        format!("{{\"items\": [{right}], \"items\": [{right}]}}"),
        format!("{{\"items\": [{right}]}} {{}}"),
        format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)),
    ] {
        counter
            .expect(400, call.clone().body("application/json", body))
            .await;
    }
    counter
        .expect(
            400,
            call.clone()
                .body("application/json", b"{\"items\": \"\xff\"}".as_slice()),
        )
        .await;
    let large = call.clone().body("application/json", " ".repeat(65_537));
    assert_eq!(counter.expect(413, large).await.json()["limit_bytes"], 65_536);
    let padded = |length: usize| {
        let mut body = json!({ "items": [right] }).to_string();
        body.push_str(&" ".repeat(length - body.len()));
        call.clone().body("application/json", body)
    };
    counter.expect(413, padded(65_537)).await;
    for media_type in ["text/plain", "application/jsonx", ""] {
        counter.expect(415, call.clone().body(media_type, "{}")).await;
    }
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
    counter.expect(201, padded(65_536)).await;
}

#[tokio::test]
async fn a_query_says_what_the_document_knows() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let placed = counter.placed(&ada, "key", &[(&lamp, 1)]).await;
    let id = text(&placed, "id");
    for query in [
        "unknown=1",
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "status=Confirmed",
        "status=",
        "status=confirmed%20OR%201=1",
        "all=1",
        "all=",
        "all=TRUE",
        "cursor=",
        "cursor=x",
        "cursor=%00",
        &format!("cursor={}", "A".repeat(2000)),
        &format!("cursor={id}"),
    ] {
        let problem = counter
            .expect(400, get(format!("/orders?{query}")).bearer(&ada))
            .await
            .json();
        assert!(!text(&problem, "detail").is_empty());
    }
    for call in [
        order(&ada, "other", &[(&lamp, 1)]),
        super::read(&ada, &id),
        cancel(&ada, &id),
        get("/orders/openapi.json"),
    ] {
        let path = format!("{}?unknown=1", call.path);
        counter.expect(400, Call { path, ..call }).await;
    }
    assert_eq!(counter.pieces(&lamp).await, (9, 9));
    assert_eq!(counter.status(&ada, &id).await, "confirmed");
}
