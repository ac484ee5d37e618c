//! A host that is killed: what it acknowledged is there, and what is there is whole.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Connection, Protocol, full};
use crate::shop::client::{at_once, credentials, product, text};
use crate::shop::{Shop, get, post, shop, sqlite};

/// What was acknowledged before the host died.
#[derive(Default)]
struct Acknowledged {
    products: Mutex<BTreeMap<String, Value>>,
    reservations: Mutex<BTreeMap<String, Value>>,
    accounts: Mutex<Vec<String>>,
}

/// Sends a request on a connection that may break; nothing then.
async fn attempt(connection: &Connection, token: &str, path: &str, body: &Value) -> Option<Value> {
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"))
        .body(full(body.to_string()))
        .expect("the test's request is valid");
    let answer = connection.exchange(request).await.ok()?;
    assert!(answer.status.is_success(), "{answer:?}");
    Some(answer.json())
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let builder = shop().await;
    let mut pool = (String::new(), 0);
    for round in 0..2 {
        let mut shop = Shop::start(&builder).await;
        let admin = shop.admin().await;
        if round == 0 {
            pool.0 = text(&shop.create(&admin, &product("POOL", 1_000_000)).await, "id");
        }
        let acknowledged = Acknowledged::default();
        let writers = (0..6).map(|writer| {
            let (shop, admin, acknowledged, pool) = (&shop, &admin, &acknowledged, &pool.0);
            async move {
                let connection = shop.connect(Protocol::Http1).await;
                for number in 0.. {
                    let name = format!("R{round}-W{writer}-{number}");
                    let done = match writer {
                        0..3 => attempt(&connection, admin, "/catalog/products", &product(&name, 1))
                            .await
                            .map(|answer| {
                                acknowledged
                                    .products
                                    .lock()
                                    .unwrap()
                                    .insert(text(&answer, "id"), answer);
                            }),
                        3..5 => {
                            let lines = json!([{ "product_id": pool, "quantity": 1 }]);
                            let body = json!({ "id": name, "lines": lines, "ttl_seconds": 86_400 });
                            attempt(&connection, admin, "/catalog/reservations", &body)
                                .await
                                .map(|answer| {
                                    acknowledged.reservations.lock().unwrap().insert(name, answer);
                                })
                        }
                        _ => {
                            let email = format!("{name}@example.com");
                            let body = credentials(&email, "a password of the tests");
                            attempt(&connection, admin, "/auth/register", &body)
                                .await
                                .map(|_| {
                                    acknowledged.accounts.lock().unwrap().push(email);
                                })
                        }
                    };
                    if done.is_none() {
                        break;
                    }
                    // The host dies while the others are at it.
                    if number == 20 {
                        shop.signal(Signal::KILL);
                    }
                }
            }
        });
        at_once(writers).await;
        let status = shop.host.finish().await;
        assert!(!status.success(), "{status}");
        let (products, reservations) = (
            acknowledged.products.into_inner().unwrap(),
            acknowledged.reservations.into_inner().unwrap(),
        );
        assert!(
            products.len() >= 20 || reservations.len() >= 20,
            "too little was written"
        );

        let shop = Shop::start(&builder).await;
        let admin = shop.admin().await;
        let kept: BTreeMap<_, _> = shop
            .list("category=test")
            .await
            .into_iter()
            .map(|item| (text(&item, "id"), item))
            .collect();
        for (id, product) in &products {
            assert_eq!(
                kept.get(id),
                Some(product),
                "an acknowledged product is gone or another"
            );
        }
        for (id, reservation) in &reservations {
            let found = shop
                .expect(200, get(format!("/catalog/reservations/{id}")).bearer(&admin))
                .await;
            assert_eq!(found.json(), *reservation);
        }
        for email in acknowledged.accounts.into_inner().unwrap() {
            shop.login(&email, "a password of the tests").await;
        }
        // Whatever was under way is there as a whole or not at all.
        let catalog = sqlite::database(&shop.announcement, "catalog");
        let counts = [
            "SELECT count(*) FROM catalog_reservations WHERE state = 'held';",
            "SELECT count(*) FROM catalog_reservation_lines WHERE held_until IS NOT NULL;",
            "SELECT count(*) FROM catalog_reservation_lines
             WHERE reservation_id NOT IN (SELECT id FROM catalog_reservations);",
        ];
        let counts = counts.map(|statement| statement.replace('\n', " ")).join("\n");
        let held = sqlite::run(&catalog, &counts).await;
        let held: Vec<u64> = held.iter().map(|line| line.parse().unwrap()).collect();
        assert_eq!(held[..], [held[0], held[0], 0]);
        assert!(held[0] >= pool.1 + u64::try_from(reservations.len()).unwrap());
        pool.1 = held[0];
        assert_eq!(shop.product(&pool.0).await["available"], 1_000_000 - held[0]);
        for service in ["auth", "catalog"] {
            let file = sqlite::database(&shop.announcement, service);
            assert_eq!(sqlite::run(&file, "PRAGMA integrity_check;").await, ["ok"]);
        }
        // And writing goes on.
        shop.expect(
            201,
            Shop::reservation(&admin, &format!("after-{round}"), &pool.0, 1, 60),
        )
        .await;
        shop.expect(
            200,
            post(format!("/catalog/reservations/after-{round}/release")).bearer(&admin),
        )
        .await;
        pool.1 = sqlite::run(
            &catalog,
            "SELECT count(*) FROM catalog_reservations WHERE state = 'held';",
        )
        .await[0]
            .parse()
            .unwrap();
        shop.host.stop().await;
    }
}
