//! One database for all services, as Spin gives it: nothing is different from outside.

use serde_json::json;

use crate::shop::application::{Shape, manifest};
use crate::shop::client::{Tokens, at_once, product, text};
use crate::shop::{Shop, delete, get, post, put, shop, sqlite};

#[tokio::test]
async fn the_services_work_in_one_database() {
    let builder = shop().await.manifest(manifest(Shape::Shared).await);
    let shop = Shop::start(&builder).await;
    // Two of them make their tables at the same time.
    let first = at_once((0..16).map(|number| {
        let path = if number % 2 == 0 {
            "/auth/jwks.json"
        } else {
            "/catalog/products"
        };
        shop.expect(200, get(path))
    }))
    .await;
    assert_eq!(first[1].json()["items"].as_array().map(Vec::len), Some(12));
    let admin = shop.admin().await;
    shop.expect(200, get("/orders").bearer(&admin)).await;
    let file = sqlite::database(&shop.announcement, "auth");
    for service in ["catalog", "orders"] {
        assert_eq!(sqlite::database(&shop.announcement, service), file);
    }
    let tables = sqlite::run(
        &file,
        "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%';",
    )
    .await;
    let prefixes = ["auth_", "catalog_", "orders_"];
    for prefix in prefixes {
        assert!(tables.iter().any(|table| table.starts_with(prefix)), "{tables:?}");
    }
    let own = |table: &&String| prefixes.iter().any(|prefix| table.starts_with(prefix));
    assert_eq!(tables.iter().filter(own).count(), tables.len(), "{tables:?}");

    let ada = shop.register("ada@example.com", "a password of the tests").await;
    let refresh = |token: &str| post("/auth/refresh").json(&json!({ "refresh_token": token }));
    let next = Tokens::from(&shop.expect(200, refresh(&ada.refresh)).await);
    shop.expect(200, get("/auth/me").bearer(&next.access)).await;
    shop.expect(401, refresh(&ada.refresh)).await;
    shop.expect(401, refresh(&next.refresh)).await;

    let created = shop.create(&admin, &product("SKU-1", 10)).await;
    let id = text(&created, "id");
    let path = format!("/catalog/products/{id}");
    let call = |number: usize| Shop::reservation(&admin, &format!("r{number}"), &id, 1, 600);
    shop.expect(403, call(0).bearer(&next.access)).await;
    // Buyers and people who log in write to one file.
    let mixed = (0..48).map(|number| {
        let (shop, call) = (&shop, call(number));
        async move {
            if number % 4 == 0 {
                shop.login("ada@example.com", "a password of the tests").await;
            }
            shop.send(call).await.status.as_u16()
        }
    });
    let statuses = at_once(mixed).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        10,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        38,
        "{statuses:?}"
    );
    let winner = statuses
        .iter()
        .position(|status| *status == 201)
        .expect("ten have won");
    shop.expect(
        200,
        post(format!("/catalog/reservations/r{winner}/commit")).bearer(&admin),
    )
    .await;
    let count = put(format!("{path}/stock"))
        .bearer(&admin)
        .json(&json!({ "on_hand": 9 }));
    let tag = shop.expect(200, count).await.header("etag").to_owned();
    shop.expect(304, get(&path).header("if-none-match", &tag)).await;
    shop.expect(409, delete(&path).bearer(&admin).header("if-match", &tag))
        .await;
    let before = shop.product(&id).await;
    shop.host.stop().await;

    let shop = Shop::start(&builder).await;
    assert_eq!(shop.product(&id).await, before);
    shop.expect(200, get("/auth/me").bearer(&admin)).await;
    shop.login("ada@example.com", "a password of the tests").await;
}
