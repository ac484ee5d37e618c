//! Reservations: what happens to one of them.

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::shop::client::{product, text};
use crate::shop::{Call, Shop, get, post, put, shop};

struct Store {
    shop: Shop,
    admin: String,
    id: String,
}

impl Store {
    /// With one product of ten pieces.
    async fn open() -> Self {
        let shop = Shop::start(&shop().await).await;
        let admin = shop.admin().await;
        let created = shop.create(&admin, &product("SKU-1", 10)).await;
        Self {
            id: text(&created, "id"),
            shop,
            admin,
        }
    }

    fn reserve(&self, id: &str, quantity: u64, seconds: u64) -> Call {
        Shop::reservation(&self.admin, id, &self.id, quantity, seconds)
    }

    fn act(&self, id: &str, action: &str) -> Call {
        post(format!("/catalog/reservations/{id}/{action}")).bearer(&self.admin)
    }

    async fn state(&self, id: &str) -> String {
        let call = get(format!("/catalog/reservations/{id}")).bearer(&self.admin);
        text(&self.shop.expect(200, call).await.json(), "state")
    }

    async fn stock(&self) -> (u64, u64) {
        let product = self.shop.product(&self.id).await;
        (
            product["stock"].as_u64().unwrap(),
            product["available"].as_u64().unwrap(),
        )
    }

    async fn conflict(&self, call: Call, state: &str) {
        let answer = self.shop.expect(409, call).await.json();
        assert!(
            text(&answer, "type").ends_with("/ReservationConflict"),
            "{answer}"
        );
        assert_eq!(answer["state"], state);
    }
}

#[tokio::test]
async fn what_is_reserved_leaves_or_comes_back() {
    let store = Store::open().await;
    let answer = store.shop.expect(201, store.reserve("a", 3, 600)).await;
    assert_eq!(answer.header("location"), "/catalog/reservations/a");
    assert_eq!(
        answer.json()["lines"],
        json!([{ "product_id": store.id, "quantity": 3 }])
    );
    assert_eq!(store.stock().await, (10, 7));
    store.shop.expect(201, store.reserve("b", 7, 600)).await;
    assert_eq!(store.stock().await, (10, 0));
    let short = store.shop.expect(409, store.reserve("c", 1, 600)).await.json();
    assert!(text(&short, "type").ends_with("/InsufficientStock"), "{short}");
    assert_eq!((&short["requested"], &short["available"]), (&1.into(), &0.into()));
    store
        .shop
        .expect(404, get("/catalog/reservations/c").bearer(&store.admin))
        .await;

    store.shop.expect(200, store.act("a", "commit")).await;
    assert_eq!(
        (store.stock().await, store.state("a").await.as_str()),
        ((7, 0), "committed")
    );
    store.shop.expect(200, store.act("b", "release")).await;
    assert_eq!(
        (store.stock().await, store.state("b").await.as_str()),
        ((7, 7), "released")
    );
    store.shop.expect(201, store.reserve("c", 7, 600)).await;
}

#[tokio::test]
async fn repeating_a_step_repeats_its_answer() {
    let store = Store::open().await;
    let first = store.shop.expect(201, store.reserve("a", 3, 600)).await.json();
    // Also with another time to live: the first one counts.
    for seconds in [600, 1, 86_400] {
        assert_eq!(
            store
                .shop
                .expect(200, store.reserve("a", 3, seconds))
                .await
                .json(),
            first
        );
    }
    assert_eq!(store.stock().await, (10, 7));
    store.conflict(store.reserve("a", 4, 600), "held").await;
    let other = store.shop.create(&store.admin, &product("SKU-2", 10)).await;
    store
        .conflict(
            Shop::reservation(&store.admin, "a", &text(&other, "id"), 3, 600),
            "held",
        )
        .await;

    let committed = store.shop.expect(200, store.act("a", "commit")).await.json();
    for _ in 0..2 {
        assert_eq!(
            store.shop.expect(200, store.act("a", "commit")).await.json(),
            committed
        );
    }
    assert_eq!(store.stock().await, (7, 7), "committing again took stock again");
    store.conflict(store.act("a", "release"), "committed").await;
    store.conflict(store.reserve("a", 3, 600), "committed").await;

    store.shop.expect(201, store.reserve("b", 2, 600)).await;
    let released = store.shop.expect(200, store.act("b", "release")).await.json();
    assert_eq!(
        store.shop.expect(200, store.act("b", "release")).await.json(),
        released
    );
    store.conflict(store.act("b", "commit"), "released").await;
    store.conflict(store.reserve("b", 2, 600), "released").await;
    assert_eq!(store.stock().await, (7, 7));

    for action in ["commit", "release"] {
        store.shop.expect(404, store.act("never", action)).await;
        store.shop.expect(404, store.act("%20", action)).await;
    }
}

#[tokio::test]
async fn lines_are_held_all_or_none() {
    let store = Store::open().await;
    let other = text(&store.shop.create(&store.admin, &product("SKU-2", 1)).await, "id");
    let lines = |lines: &[(&str, i64)]| -> Value {
        lines
            .iter()
            .map(|(id, quantity)| json!({ "product_id": id, "quantity": quantity }))
            .collect()
    };
    let call = |id: &str, lines: Value| {
        let body = json!({ "id": id, "lines": lines, "ttl_seconds": 600 });
        post("/catalog/reservations").bearer(&store.admin).json(&body)
    };
    let refused = store
        .shop
        .expect(409, call("a", lines(&[(&store.id, 2), (&other, 2)])))
        .await
        .json();
    assert_eq!(refused["product_id"], other);
    assert_eq!(store.stock().await, (10, 10));
    let unknown = "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21";
    let refused = store
        .shop
        .expect(422, call("a", lines(&[(&store.id, 2), (unknown, 1)])))
        .await
        .json();
    assert_eq!(refused["errors"][0]["pointer"], "/lines/1/product_id");
    assert_eq!(store.stock().await, (10, 10));
    store
        .shop
        .expect(201, call("a", lines(&[(&store.id, 2), (&other, 1)])))
        .await;
    // The order of lines is the caller's taste.
    store
        .shop
        .expect(200, call("a", lines(&[(&other, 1), (&store.id, 2)])))
        .await;
    assert_eq!(store.stock().await, (10, 8));

    let many: Vec<_> = (0..101).map(|_| (store.id.as_str(), 1)).collect();
    for (wrong, pointer) in [
        (lines(&[]), "/lines"),
        (lines(&many), "/lines"),
        (lines(&[(&store.id, 1), (&store.id, 1)]), "/lines/1/product_id"),
        (
            lines(&[(&store.id.to_uppercase(), 1), (&store.id, 1)]),
            "/lines/1/product_id",
        ),
        (lines(&[("x", 1)]), "/lines/0/product_id"),
        (lines(&[(&store.id, 0)]), "/lines/0/quantity"),
        (lines(&[(&store.id, -1)]), "/lines/0/quantity"),
        (lines(&[(&store.id, 1_000_001)]), "/lines/0/quantity"),
    ] {
        let answer = store.shop.expect(422, call("b", wrong)).await.json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{answer}");
    }
    for seconds in [0, -1, 86_401] {
        let body = json!({ "id": "b", "lines": lines(&[(&store.id, 1)]), "ttl_seconds": seconds });
        let answer = store
            .shop
            .expect(
                422,
                post("/catalog/reservations").bearer(&store.admin).json(&body),
            )
            .await;
        assert_eq!(answer.json()["errors"][0]["pointer"], "/ttl_seconds");
    }
    for id in ["", ".", "..", "a b", "a/b", "ä", "'; --", &"a".repeat(65)] {
        let answer = store.shop.expect(422, call(id, lines(&[(&store.id, 1)]))).await;
        assert_eq!(answer.json()["errors"][0]["pointer"], "/id", "{id}");
    }
    for id in ["A.b_c:d-9", "...", &"a".repeat(64)] {
        let location = store
            .shop
            .expect(201, call(id, lines(&[(&store.id, 1)])))
            .await
            .header("location")
            .to_owned();
        assert_eq!(
            store
                .shop
                .expect(200, get(location).bearer(&store.admin))
                .await
                .json()["id"],
            id
        );
    }
}

#[tokio::test]
async fn a_reservation_that_nobody_commits_lets_go_of_its_stock() {
    let store = Store::open().await;
    store.shop.expect(201, store.reserve("a", 10, 1)).await;
    store.shop.expect(201, store.reserve_other().await).await;
    eventually("the reservation to expire", async || {
        store.state("a").await == "expired"
    })
    .await;
    assert_eq!(store.stock().await, (10, 10));
    store.conflict(store.act("a", "commit"), "expired").await;
    store.conflict(store.reserve("a", 10, 600), "expired").await;
    store.shop.expect(201, store.reserve("b", 10, 600)).await;
    store.conflict(store.act("a", "commit"), "expired").await;
    // Giving back what was let go gives nothing back twice.
    store.shop.expect(200, store.act("a", "release")).await;
    assert_eq!(
        (store.stock().await, store.state("a").await.as_str()),
        ((10, 0), "released")
    );
    assert_eq!(store.state("long").await, "held");
}

impl Store {
    /// One of another product, that lasts.
    async fn reserve_other(&self) -> Call {
        let other = self.shop.create(&self.admin, &product("SKU-2", 10)).await;
        Shop::reservation(&self.admin, "long", &text(&other, "id"), 10, 86_400)
    }
}

#[tokio::test]
async fn counted_stock_is_never_below_what_is_promised() {
    let store = Store::open().await;
    let count = |on_hand: i64| {
        put(format!("/catalog/products/{}/stock", store.id))
            .bearer(&store.admin)
            .json(&json!({ "on_hand": on_hand }))
    };
    store.shop.expect(201, store.reserve("a", 4, 600)).await;
    let refused = store.shop.expect(409, count(3)).await.json();
    assert_eq!(
        (refused["held"].as_u64(), store.stock().await),
        (Some(4), (10, 6))
    );
    store.shop.expect(200, count(4)).await;
    assert_eq!(store.stock().await, (4, 0));
    for wrong in [-1, 1_000_000_001] {
        let answer = store.shop.expect(422, count(wrong)).await;
        assert_eq!(answer.json()["errors"][0]["pointer"], "/on_hand");
    }
    store.shop.expect(200, count(1_000_000_000)).await;
    store.shop.expect(200, store.act("a", "commit")).await;
    assert_eq!(store.stock().await, (999_999_996, 999_999_996));
}
