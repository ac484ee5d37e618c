//! Reading is for everybody, writing for the admin.

use serde_json::json;

use crate::shop::client::{product, text};
use crate::shop::{Call, Shop, delete, get, post, put, shop};

#[tokio::test]
async fn whatever_is_not_reading_products_needs_the_admin() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let customer = shop
        .register("ada@example.com", "a password of the tests")
        .await
        .access;
    let before = shop.create(&admin, &product("KEPT-1", 5)).await;
    let id = text(&before, "id");
    let path = format!("/catalog/products/{id}");
    shop.expect(201, Shop::reservation(&admin, "kept", &id, 2, 600))
        .await;
    let update =
        json!({ "sku": "GONE-1", "name": "x", "category": "x", "price": { "amount": 0, "currency": "EUR" } });
    let doors: [Call; 8] = [
        post("/catalog/products").json(&product("NEW-1", 1)),
        put(&path).header("if-match", "*").json(&update),
        delete(&path).header("if-match", "*"),
        put(format!("{path}/stock")).json(&json!({ "on_hand": 9 })),
        Shop::reservation("", "new", &id, 1, 600).without("authorization"),
        get("/catalog/reservations/kept"),
        post("/catalog/reservations/kept/commit"),
        post("/catalog/reservations/kept/release"),
    ];
    for door in &doors {
        let answer = shop.expect(401, door.clone()).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{door:?}");
        shop.expect(403, door.clone().bearer(&customer)).await;
        // Who may not write learns nothing of what there is.
        let missing = Call {
            path: door.path.replace(&id, "none").replace("kept", "none"),
            ..door.clone()
        };
        shop.expect(403, missing.bearer(&customer)).await;
        if door.has_body() {
            shop.expect(403, door.clone().bearer(&customer).body("application/json", "{"))
                .await;
            shop.expect(401, door.clone().body("text/plain", "{")).await;
        }
    }
    let after = shop.product(&id).await;
    assert_eq!(
        (&after["version"], &after["stock"], &after["available"]),
        (&1.into(), &5.into(), &3.into())
    );
    assert_eq!(shop.list("category=test").await.len(), 1);
    shop.expect(404, get("/catalog/reservations/new").bearer(&admin))
        .await;

    // Reading needs no token and looks at none.
    for token in ["garbage", &customer] {
        shop.expect(200, get(&path).bearer(token)).await;
        shop.expect(200, get("/catalog/products").bearer(token)).await;
        shop.expect(200, get("/catalog/openapi.json").bearer(token)).await;
    }
    for door in doors {
        let answer = shop.send(door.clone().bearer(&admin)).await;
        assert!(
            ![401, 403].contains(&answer.status.as_u16()),
            "{door:?}: {answer:?}"
        );
    }
}
