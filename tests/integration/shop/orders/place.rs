//! Ordering: what is bought at which price, and what cannot be had.

use serde_json::{Value, json};

use super::{Counter, order, read};
use crate::shop::client::{product, text};
use crate::shop::{delete, put};

#[tokio::test]
async fn what_is_ordered_is_priced_confirmed_and_gone_from_the_stock() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let (lamp, shade) = (
        counter.stocked("LAMP", 10).await,
        counter.stocked("SHADE", 5).await,
    );
    let call = order(&ada, "first", &[(&lamp, 3), (&shade, 5)]);
    let answer = counter.expect(201, call).await;
    let placed = answer.json();
    let id = text(&placed, "id");
    assert_eq!(answer.header("location"), format!("/orders/{id}"));
    assert_eq!(placed["status"], "confirmed");
    let euros = |amount: u64| json!({ "amount": amount, "currency": "EUR" });
    assert_eq!(placed["total"], euros(8 * 1250));
    let line = |id: &str, sku: &str, quantity: u64| -> Value {
        json!({
            "product_id": id, "name": format!("Product {sku}"), "quantity": quantity,
            "unit_price": euros(1250), "price": euros(quantity * 1250),
        })
    };
    assert_eq!(
        placed["items"],
        json!([line(&lamp, "LAMP", 3), line(&shade, "SHADE", 5)])
    );
    assert_eq!(
        (&placed["expires_at"], &placed["refusal"]),
        (&Value::Null, &Value::Null)
    );
    assert!(placed["cancellable_until"].as_str() > placed["updated_at"].as_str());
    assert_eq!(counter.pieces(&lamp).await, (7, 7));
    assert_eq!(counter.pieces(&shade).await, (0, 0));
    assert_eq!(counter.expect(200, read(&ada, &id)).await.json(), placed);

    // The order keeps the price and the name of its day.
    let dearer = json!({
        "sku": "LAMP", "name": "Dear lamp", "category": "test", "price": { "amount": 9999, "currency": "EUR" },
    });
    let path = format!("/catalog/products/{lamp}");
    let change = put(&path).bearer(&counter.admin).header("if-match", "*");
    counter.expect(200, change.json(&dearer)).await;
    assert_eq!(counter.expect(200, read(&ada, &id)).await.json(), placed);
    let second = counter.placed(&ada, "second", &[(&lamp, 1)]).await;
    assert_eq!(second["total"], euros(9999));
    assert_eq!(second["items"][0]["name"], "Dear lamp");

    // An id means the same in capitals, and is shown in lower case.
    let upper = counter.placed(&ada, "third", &[(&lamp.to_uppercase(), 1)]).await;
    assert_eq!(upper["items"][0]["product_id"], lamp);
    let found = counter
        .expect(200, read(&ada, &text(&upper, "id").to_uppercase()))
        .await;
    assert_eq!(found.json(), upper);
}

#[tokio::test]
async fn all_items_are_ordered_or_none() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let (many, few) = (
        counter.stocked("MANY", 100).await,
        counter.stocked("FEW", 2).await,
    );
    let short = counter
        .expect(409, order(&ada, "short", &[(&many, 10), (&few, 3)]))
        .await
        .json();
    assert!(text(&short, "type").ends_with("/InsufficientStock"), "{short}");
    let numbers = |problem: &Value| [&problem["requested"], &problem["available"]].map(Value::as_u64);
    assert_eq!(
        (&short["product_id"], numbers(&short)),
        (&json!(few), [Some(3), Some(2)])
    );
    assert_eq!(counter.pieces(&many).await, (100, 100));
    assert_eq!(counter.pieces(&few).await, (2, 2));
    // What could not be had is on record.
    let rejected = counter
        .expect(200, read(&ada, &text(&short, "order_id")))
        .await
        .json();
    assert_eq!(
        (&rejected["status"], numbers(&rejected["refusal"])),
        (&json!("rejected"), [Some(3), Some(2)])
    );
    assert_eq!(rejected["refusal"]["product_id"], few);
    // It is so for good, also once there is enough: it is the key of that attempt.
    let count = put(format!("/catalog/products/{few}/stock")).bearer(&counter.admin);
    counter.expect(200, count.json(&json!({ "on_hand": 50 }))).await;
    let again = counter
        .expect(409, order(&ada, "short", &[(&many, 10), (&few, 3)]))
        .await
        .json();
    assert_eq!(again, short);
    counter.placed(&ada, "enough", &[(&many, 10), (&few, 3)]).await;
    assert_eq!(counter.pieces(&few).await, (47, 47));
}

#[tokio::test]
async fn what_is_not_for_sale_or_in_another_currency_is_no_order() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let mut foreign = product("DOLLAR", 10);
    foreign["price"]["currency"] = "USD".into();
    let foreign = text(&counter.create(&counter.admin, &foreign).await, "id");
    let gone = counter.stocked("GONE", 10).await;
    let path = format!("/catalog/products/{gone}");
    let remove = delete(path).bearer(&counter.admin).header("if-match", "*");
    counter.expect(204, remove).await;
    let unknown = "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21";
    for (items, pointer) in [
        ([(lamp.as_str(), 1), (gone.as_str(), 1)], "/items/1/product_id"),
        ([(unknown, 1), (lamp.as_str(), 1)], "/items/0/product_id"),
        ([(lamp.as_str(), 1), (foreign.as_str(), 1)], "/items/1/product_id"),
    ] {
        let problem = counter.expect(422, order(&ada, "key", &items)).await.json();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    // None of that used up the key, nor stock.
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
    let dollars = counter.placed(&ada, "key", &[(&foreign, 2)]).await;
    assert_eq!(dollars["total"], json!({ "amount": 2500, "currency": "USD" }));

    // A product that was ordered can still be looked up in the order, whatever becomes of it.
    let sold_out = counter.stocked("LAST", 1).await;
    let last = counter.placed(&ada, "last", &[(&sold_out, 1)]).await;
    let path = format!("/catalog/products/{sold_out}");
    let remove = delete(path).bearer(&counter.admin).header("if-match", "*");
    counter.expect(204, remove).await;
    let found = counter.expect(200, read(&ada, &text(&last, "id"))).await;
    assert_eq!(found.json(), last);
}

#[tokio::test]
async fn an_order_may_have_as_many_lines_as_the_document_says() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let mut ids = Vec::new();
    for number in 0..100 {
        ids.push(counter.stocked(&format!("SKU-{number}"), 2).await);
    }
    let items: Vec<_> = ids.iter().map(|id| (id.as_str(), 2)).collect();
    let placed = counter.placed(&ada, "all", &items).await;
    assert_eq!(placed["items"].as_array().map(Vec::len), Some(100));
    assert_eq!(placed["total"]["amount"], 200 * 1250);
    for id in [&ids[0], &ids[99]] {
        assert_eq!(counter.pieces(id).await, (0, 0));
    }
}
