//! Whose orders they are, and how a caller shows who they are.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Counter, cancel, order, read};
use crate::harness::eventually;
use crate::shop::client::text;
use crate::shop::token::{decode, forgeries};
use crate::shop::{Call, get, shop, variable};

fn ids(page: &Value) -> BTreeSet<String> {
    let items = page["items"].as_array().expect("a page has items");
    items.iter().map(|item| text(item, "id")).collect()
}

#[tokio::test]
async fn nobody_but_an_admin_learns_of_the_orders_of_others() {
    let counter = Counter::open().await;
    let (ada, bob) = (counter.customer("ada").await, counter.customer("bob").await);
    let lamp = counter.stocked("LAMP", 10).await;
    let [hers, his] = [
        counter.placed(&ada, "key", &[(&lamp, 1)]).await,
        counter.placed(&bob, "key", &[(&lamp, 1)]).await,
    ];
    let me = counter.expect(200, get("/auth/me").bearer(&ada)).await.json();
    assert_eq!(hers["customer_id"], me["id"]);
    let id = text(&hers, "id");
    // The same answer as for an order that is not there at all.
    let none = "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21";
    for call in [read, cancel] {
        let other = counter.expect(404, call(&bob, &id)).await;
        let absent = counter.expect(404, call(&bob, none)).await;
        assert_eq!(other.text(), absent.text());
    }
    assert_eq!(counter.status(&ada, &id).await, "confirmed");
    let list = async |token: &str, query: &str| {
        let call = get(format!("/orders{query}")).bearer(token);
        ids(&counter.expect(200, call).await.json())
    };
    let [hers_id, his_id] = [&hers, &his].map(|order| text(order, "id"));
    assert_eq!(list(&ada, "").await, [hers_id.clone()].into());
    assert_eq!(list(&bob, "?all=false").await, [his_id.clone()].into());
    counter.expect(403, get("/orders?all=true").bearer(&bob)).await;

    // The admin has no orders, sees all of them, and may cancel them.
    let admin = &counter.admin;
    assert_eq!(list(admin, "").await, BTreeSet::new());
    assert_eq!(list(admin, "?all=true").await, [hers_id, his_id].into());
    assert_eq!(counter.expect(200, read(admin, &id)).await.json(), hers);
    let cancelled = counter.expect(200, cancel(admin, &id)).await.json();
    assert_eq!(cancelled["customer_id"], me["id"]);
    assert_eq!(counter.expect(200, read(&ada, &id)).await.json(), cancelled);
}

fn calls(lamp: &str) -> [Call; 4] {
    [
        get("/orders"),
        order("", "key", &[(lamp, 1)]),
        read("", "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21"),
        cancel("", "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21"),
    ]
}

#[tokio::test]
async fn without_a_token_that_auth_gave_nothing_is_told_or_ordered() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let keys = counter.expect(200, get("/auth/jwks.json")).await.json();
    let public = decode(&text(&keys["keys"][0], "x"));
    for call in calls(&lamp) {
        let answer = counter.expect(401, call.clone().without("authorization")).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        for header in ["", "Bearer", "Basic YTpi", "Token x"] {
            counter
                .expect(401, call.clone().header("authorization", header))
                .await;
        }
        for (how, token) in forgeries(&ada, &public) {
            let answer = counter.send(call.clone().bearer(&token)).await;
            assert_eq!(answer.status, 401, "{how}: {answer:?}");
            assert_eq!(
                answer.header("www-authenticate"),
                "Bearer error=\"invalid_token\"",
                "{how}"
            );
        }
    }
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
    let all = counter
        .expect(200, get("/orders?all=true").bearer(&counter.admin))
        .await;
    assert_eq!(all.json()["items"], json!([]));
}

#[tokio::test]
async fn a_token_is_good_until_it_expires() {
    let counter = Counter::open_with(&variable(shop().await, "access_token_seconds", "1")).await;
    let ada = counter.customer("ada").await;
    let list = || get("/orders").bearer(&ada);
    eventually("the token to expire", async || {
        counter.send(list()).await.status == 401
    })
    .await;
    let problem = counter.expect(401, list()).await.json();
    assert!(text(&problem, "detail").contains("expired"), "{problem}");
    let unknown = "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21";
    for call in calls(unknown) {
        counter.expect(401, call.bearer(&ada)).await;
    }
}
