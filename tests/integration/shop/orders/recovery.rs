//! What a host that is killed between two steps leaves behind, one state at a time, and who goes on with it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::books::{self, Files, Known};
use super::{Counter, order, read};
use crate::harness::{Builder, eventually};
use crate::shop::client::text;
use crate::shop::{Shop, get, shop, sqlite};

/// An order and its reservation as they are found, and what has to come of them: in time, and when it is too late.
/// No reservation is an empty state.
const FOUND: [(&str, &str, &str, &str); 9] = [
    ("pending", "", "confirmed", "expired"),
    ("pending", "held", "confirmed", "expired"),
    ("pending", "released", "expired", "expired"),
    // By an administrator of the catalog, in between.
    ("pending", "committed", "confirmed", "confirmed"),
    ("reserved", "held", "confirmed", "expired"),
    ("reserved", "committed", "confirmed", "confirmed"),
    ("reserved", "released", "expired", "expired"),
    ("cancelling", "committed", "cancelled", "cancelled"),
    ("cancelling", "released", "cancelled", "cancelled"),
];

/// One order of the product LAMP, put into a state.
struct Found {
    id: String,
    key: String,
    comes_to: &'static str,
}

struct Scene {
    counter: Counter,
    ada: String,
    bob: String,
    lamp: String,
    known: Known,
    found: Vec<Found>,
    builder: Builder,
}

impl Scene {
    /// Each state of [`FOUND`] as often as asked for, with this time left, in milliseconds.
    async fn set(copies: usize, left: i64) -> Self {
        let builder = shop().await;
        let counter = Counter::open_with(&builder).await;
        let (ada, bob) = (counter.customer("ada").await, counter.customer("bob").await);
        let lamp = counter.stocked("LAMP", 1000).await;
        let known = Known::of(&counter).await;
        let mut found = Vec::new();
        let (mut of_orders, mut of_catalog) = (Vec::new(), Vec::new());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is after 1970");
        let end = i64::try_from(now.as_millis()).expect("it is before the year 200000000") + left;
        for (index, (status, state, in_time, too_late)) in
            FOUND.into_iter().cycle().take(copies * FOUND.len()).enumerate()
        {
            let key = format!("key-{index}");
            let id = text(&counter.placed(&ada, &key, &[(&lamp, 2)]).await, "id");
            of_orders.push(format!(
                "UPDATE orders_orders SET status = '{status}', confirmed_at = NULL, leased_until = 0, \
                 expires_at = {end}, due_at = {end} WHERE id = '{id}';"
            ));
            of_catalog.push(reservation(&id, state, end));
            let comes_to = if left > 0 { in_time } else { too_late };
            found.push(Found { id, key, comes_to });
        }
        let files = Files::of(&counter);
        counter.shop.host.stop().await;
        sqlite::run(&files.orders, &of_orders.join("\n")).await;
        sqlite::run(&files.catalog, &of_catalog.join("\n")).await;
        let shop = Shop::start(&builder).await;
        let admin = counter.admin;
        Self {
            counter: Counter { shop, admin },
            ada,
            bob,
            lamp,
            known,
            found,
            builder,
        }
    }

    /// What a repeated request is told: the order, if it was confirmed, or else what became of it.
    async fn repeat(&mut self, index: usize) {
        let found = &self.found[index];
        let call = order(&self.ada, &found.key, &[(&self.lamp, 2)]);
        if found.comes_to == "confirmed" {
            let answer = self.counter.expect(201, call).await.json();
            assert_eq!(
                (&answer["id"], &answer["status"]),
                (&found.id.clone().into(), &"confirmed".into())
            );
            self.known.told(&answer);
        } else {
            let answer = self.counter.expect(409, call).await.json();
            let told = [&answer["order_id"], &answer["order_status"]];
            assert_eq!(
                told,
                [&Value::from(found.id.clone()), &found.comes_to.into()],
                "{:?}",
                FOUND[index % FOUND.len()]
            );
            self.known.refused(&answer);
        }
    }

    async fn end(self) -> (Files, Known, Builder) {
        let files = Files::of(&self.counter);
        self.counter.shop.host.stop().await;
        books::agree(&files, &self.known).await;
        (files, self.known, self.builder)
    }
}

/// Turns a committed reservation of two pieces into one of another state.
fn reservation(id: &str, state: &str, end: i64) -> String {
    let back = format!(
        "UPDATE catalog_products SET on_hand = on_hand + 2 WHERE id = \
         (SELECT product_id FROM catalog_reservation_lines WHERE reservation_id = '{id}');"
    );
    match state {
        "committed" => String::new(),
        "" => format!("{back}\nDELETE FROM catalog_reservations WHERE id = '{id}';"),
        "held" => format!(
            "{back}\nUPDATE catalog_reservations SET state = 'held', expires_at = {end} WHERE id = '{id}';\n\
             UPDATE catalog_reservation_lines SET held_until = {end} WHERE reservation_id = '{id}';"
        ),
        state => format!("{back}\nUPDATE catalog_reservations SET state = '{state}' WHERE id = '{id}';"),
    }
}

#[tokio::test]
async fn an_order_that_was_left_is_gone_on_with_when_its_buyer_repeats_the_request_or_looks_at_it() {
    let mut scene = Scene::set(2, 240_000).await;
    for index in 0..FOUND.len() {
        scene.repeat(index).await;
    }
    for index in FOUND.len()..2 * FOUND.len() {
        let found = &scene.found[index];
        let seen = scene
            .counter
            .expect(200, read(&scene.ada, &found.id))
            .await
            .json();
        assert_eq!(seen["status"], found.comes_to, "{:?}", FOUND[index % FOUND.len()]);
        // Nobody was told before: what is repeated now is told the same.
        scene.repeat(index).await;
    }
    scene.end().await;
}

#[tokio::test]
async fn whoever_comes_by_first_settles_what_is_too_late_for_everybody() {
    let mut scene = Scene::set(11, -1000).await;
    // One request of somebody else, whatever it is about, settles up to a hundred, once it has its answer: ninety-nine here.
    scene.counter.expect(200, get("/orders").bearer(&scene.bob)).await;
    let files = Files::of(&scene.counter);
    let open = "SELECT count(*) FROM orders_orders WHERE status IN ('pending', 'reserved', 'cancelling');";
    eventually("every order to be settled", async || {
        sqlite::run(&files.orders, open).await == ["0"]
    })
    .await;
    for index in 0..scene.found.len() {
        scene.repeat(index).await;
    }
    let bob = scene.bob.clone();
    let (files, known, builder) = scene.end().await;
    // Nothing of it comes back to life.
    let shop = Shop::start(&builder).await;
    shop.expect(200, get("/orders").bearer(&bob)).await;
    shop.host.stop().await;
    books::agree(&files, &known).await;
}
