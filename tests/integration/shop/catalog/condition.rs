//! Conditional requests: an editor overwrites what it has seen and nothing else.

use serde_json::{Value, json};

use crate::shop::client::{at_once, product, text};
use crate::shop::{Shop, delete, get, put, shop};

fn update(sku: &str, name: &str) -> Value {
    json!({
        "sku": sku, "name": name, "description": "Changed.", "category": "changed",
        "price": { "amount": 1, "currency": "USD" },
    })
}

#[tokio::test]
async fn a_copy_is_fresh_until_the_product_changes() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let created = shop.create(&admin, &product("SKU-1", 5)).await;
    let path = format!("/catalog/products/{}", text(&created, "id"));
    let first = shop.expect(200, get(&path)).await;
    assert_eq!(first.json(), created);
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"'), "{tag} is not strong");
    for (condition, status) in [
        (tag.as_str(), 304),
        ("*", 304),
        (&format!("W/{tag}"), 304),
        (&format!("\"other\", {tag}"), 304),
        ("\"other\"", 200),
        ("\"\"", 200),
        ("other", 400),
        ("\"open", 400),
    ] {
        let answer = shop
            .expect(status, get(&path).header("if-none-match", condition))
            .await;
        if status != 400 {
            assert_eq!(answer.header("etag"), tag, "{condition}");
        }
    }
    // Stock is part of what a copy shows.
    let stock = put(format!("{path}/stock"))
        .bearer(&admin)
        .json(&json!({ "on_hand": 4 }));
    let counted = shop.expect(200, stock).await;
    assert_ne!(counted.header("etag"), tag);
    shop.expect(200, get(&path).header("if-none-match", &tag)).await;
    let tag = counted.header("etag").to_owned();
    shop.expect(
        201,
        Shop::reservation(&admin, "one", &text(&created, "id"), 1, 600),
    )
    .await;
    let reserved = shop.expect(200, get(&path).header("if-none-match", &tag)).await;
    assert_eq!(reserved.json()["available"], 3);
}

#[tokio::test]
async fn a_change_needs_the_version_that_it_is_based_on() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let created = shop.create(&admin, &product("SKU-1", 5)).await;
    let path = format!("/catalog/products/{}", text(&created, "id"));
    let tag = shop.expect(200, get(&path)).await.header("etag").to_owned();
    let change = |condition: &str, name: &str| {
        put(&path)
            .bearer(&admin)
            .header("if-match", condition)
            .json(&update("SKU-1", name))
    };
    shop.expect(428, change("*", "x").without("if-match")).await;
    shop.expect(428, delete(&path).bearer(&admin)).await;
    for (condition, status) in [
        ("\"2-5-5\"", 412),
        ("\"nonsense\"", 412),
        (&format!("W/{tag}"), 412),
        ("1", 400),
        ("", 400),
    ] {
        shop.expect(status, change(condition, "x")).await;
        shop.expect(status, delete(&path).bearer(&admin).header("if-match", condition))
            .await;
    }
    assert_eq!(
        shop.product(&text(&created, "id")).await,
        created,
        "a refused change left something behind"
    );

    // A sale in between does not stand in the way of an editor.
    shop.expect(
        201,
        Shop::reservation(&admin, "one", &text(&created, "id"), 1, 600),
    )
    .await;
    let changed = shop.expect(200, change(&tag, "Second")).await;
    let body = changed.json();
    assert_eq!(
        (&body["version"], &body["name"], &body["stock"]),
        (&2.into(), &"Second".into(), &5.into())
    );
    assert_eq!(
        (&body["created_at"], &body["id"]),
        (&created["created_at"], &created["id"])
    );
    let refused = shop.expect(412, change(&tag, "Third")).await;
    assert_eq!(refused.json()["version"], 2);
    let newest = changed.header("etag").to_owned();
    shop.expect(200, change(&format!("\"1-5-5\", {newest}"), "Third"))
        .await;
    shop.expect(200, change("*", "Fourth")).await;
    assert_eq!(shop.product(&text(&created, "id")).await["version"], 4);

    shop.expect(412, delete(&path).bearer(&admin).header("if-match", &tag))
        .await;
    let held = shop
        .expect(409, delete(&path).bearer(&admin).header("if-match", "*"))
        .await;
    assert_eq!(held.json()["held"], 1);
    shop.expect(
        200,
        crate::shop::post("/catalog/reservations/one/release").bearer(&admin),
    )
    .await;
    shop.expect(204, delete(&path).bearer(&admin).header("if-match", "*"))
        .await;
    shop.expect(404, get(&path)).await;
    shop.expect(404, delete(&path).bearer(&admin).header("if-match", "*"))
        .await;
    shop.expect(404, change("*", "Fifth")).await;
    // What is gone leaves its number free.
    shop.create(&admin, &product("SKU-1", 1)).await;
}

#[tokio::test]
async fn of_many_changes_to_one_version_one_wins() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let created = shop.create(&admin, &product("SKU-1", 5)).await;
    let path = format!("/catalog/products/{}", text(&created, "id"));
    for round in 1..=3 {
        let tag = shop.expect(200, get(&path)).await.header("etag").to_owned();
        let changes = (0..16).map(|number| {
            let body = update("SKU-1", &format!("Round {round}, editor {number}"));
            shop.send(put(&path).bearer(&admin).header("if-match", &tag).json(&body))
        });
        let answers = at_once(changes).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "{answers:#?}");
        assert!(
            answers
                .iter()
                .all(|answer| [200, 412].contains(&answer.status.as_u16())),
            "{answers:#?}"
        );
        assert_eq!(shop.product(&text(&created, "id")).await, won[0].json());
    }
}
