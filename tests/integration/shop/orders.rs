//! The service `orders`: what was bought, over the contracts of `auth` and `catalog`.
//!
//! [`books`] reads the databases of all three services and says where they contradict each other.

pub(super) mod books;
mod cancel;
mod composed;
mod crash;
mod input;
mod isolation;
mod listing;
mod owner;
mod place;
mod race;
mod recovery;
mod repeat;

use std::ops::Deref;

use serde_json::{Value, json};

use super::client::{product, text};
use super::{Call, Shop, get, post, shop};
use crate::harness::Builder;

const PASSWORD: &str = "a password of the tests";

/// A request to order pieces of products.
pub(super) fn order(token: &str, key: &str, items: &[(&str, u64)]) -> Call {
    let item = |(id, quantity): &(&str, u64)| json!({ "product_id": id, "quantity": quantity });
    let items: Value = items.iter().map(item).collect();
    post("/orders")
        .bearer(token)
        .header("idempotency-key", key)
        .json(&json!({ "items": items }))
}

pub(super) fn cancel(token: &str, id: &str) -> Call {
    post(format!("/orders/{id}/cancel")).bearer(token)
}

pub(super) fn read(token: &str, id: &str) -> Call {
    get(format!("/orders/{id}")).bearer(token)
}

/// The shop with its admin at the counter.
pub(super) struct Counter {
    pub(super) shop: Shop,
    pub(super) admin: String,
}

impl Deref for Counter {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

impl Counter {
    async fn open() -> Self {
        Self::open_with(&shop().await).await
    }

    pub(super) async fn open_with(builder: &Builder) -> Self {
        let shop = Shop::start(builder).await;
        let admin = shop.admin().await;
        Self { shop, admin }
    }

    /// The id of a new product with so many pieces.
    pub(super) async fn stocked(&self, sku: &str, pieces: u64) -> String {
        text(&self.shop.create(&self.admin, &product(sku, pieces)).await, "id")
    }

    /// The token of a new customer.
    pub(super) async fn customer(&self, name: &str) -> String {
        let email = format!("{name}@example.com");
        self.shop.register(&email, PASSWORD).await.access
    }

    /// Pieces that are there, and those of them that can be had.
    async fn pieces(&self, id: &str) -> (u64, u64) {
        let product = self.shop.product(id).await;
        let count = |member: &str| product[member].as_u64().expect("pieces are counted");
        (count("stock"), count("available"))
    }

    /// An order that is expected to be confirmed.
    async fn placed(&self, token: &str, key: &str, items: &[(&str, u64)]) -> Value {
        self.shop.expect(201, order(token, key, items)).await.json()
    }

    async fn status(&self, token: &str, id: &str) -> String {
        text(&self.shop.expect(200, read(token, id)).await.json(), "status")
    }
}
