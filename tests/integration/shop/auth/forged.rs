//! Tokens that are not good (any more), at both services.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::{Answer, soon};
use crate::shop::client::{Tokens, product, text};
use crate::shop::token::{self, Token};
use crate::shop::{Call, Shop, get, post, shop, variable};

const PASSWORD: &str = "a password of the tests";

/// Requests that need a token, one of each service.
fn doors(number: usize) -> [Call; 2] {
    [
        get("/auth/me"),
        post("/catalog/products").json(&product(&format!("SKU-{number}"), 1)),
    ]
}

fn refused_as_invalid(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {answer:?}");
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer error=\"invalid_token\"",
        "{what}"
    );
}

#[tokio::test]
async fn forged_tokens_are_refused_by_both_services() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let customer = shop.register("ada@example.com", PASSWORD).await.access;
    let keys = shop.expect(200, get("/auth/jwks.json")).await.json();
    let public = token::decode(&text(&keys["keys"][0], "x"));
    let mut tried = 0;
    for good in [&admin, &customer] {
        for (what, forged) in token::forgeries(good, &public) {
            for door in doors(tried) {
                refused_as_invalid(&shop.send(door.bearer(&forged)).await, what);
            }
            tried += 1;
        }
    }
    // The doors do open.
    for door in doors(tried) {
        assert!(shop.send(door.bearer(&admin)).await.status.is_success());
    }
    let listed = shop.list("category=test").await;
    assert_eq!(listed.len(), 1, "a forged token wrote: {listed:#?}");
}

#[tokio::test]
async fn tokens_of_another_shop_are_refused() {
    let (ours, theirs) = (Shop::start(&shop().await).await, Shop::start(&shop().await).await);
    let admin = theirs.admin().await;
    ours.admin().await;
    for door in doors(0) {
        refused_as_invalid(&ours.send(door.bearer(&admin)).await, "another shop's admin");
    }
}

#[tokio::test]
async fn other_ways_to_say_who_one_is_are_refused() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    for door in doors(0) {
        let missing = shop.send(door.clone()).await;
        assert_eq!(missing.status, 401);
        assert_eq!(missing.header("www-authenticate"), "Bearer");
        for value in [
            "Basic YWRtaW46YWRtaW4=",
            "Bearer",
            "Bearer ",
            &admin,
            &format!("Bearer {admin} x"),
        ] {
            let answer = shop.send(door.clone().header("authorization", value)).await;
            refused_as_invalid(&answer, value);
        }
        let path = format!("{}?access_token={admin}", door.path);
        let query = shop.send(Call { path, ..door.clone() }).await;
        assert_eq!(query.status, 401, "a token in the query counts: {query:?}");
        let cookie = shop
            .send(door.header("cookie", &format!("access_token={admin}")))
            .await;
        assert_eq!(cookie.status, 401, "a token in a cookie counts: {cookie:?}");
    }
}

#[tokio::test]
async fn a_token_is_good_until_it_expires() {
    let shop = Shop::start(&variable(shop().await, "access_token_seconds", "1")).await;
    let mut tokens = shop
        .login(crate::shop::ADMIN_EMAIL, crate::shop::ADMIN_PASSWORD)
        .await;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // Its life is counted in whole seconds and ends at once when the second of its birth does. Only answers that
    // came before that, and requests that began after it, tell something.
    let mut accepted = 0;
    soon("tokens to be accepted and to expire", async {
        let mut number = 0;
        while accepted < 2 {
            let refresh = serde_json::json!({ "refresh_token": tokens.refresh });
            tokens = Tokens::from(&shop.expect(200, post("/auth/refresh").json(&refresh)).await);
            let end = Duration::from_secs(Token::parse(&tokens.access).expires());
            number += 1;
            for door in doors(number) {
                let answer = shop.send(door.bearer(&tokens.access)).await;
                if now() < end {
                    assert!(answer.status.is_success(), "{answer:?}");
                    accepted += 1;
                }
            }
            tokio::time::sleep(end.saturating_sub(now())).await;
            for door in doors(number + 1_000_000) {
                let answer = shop.send(door.bearer(&tokens.access)).await;
                refused_as_invalid(&answer, "expired");
                let detail = text(&answer.json(), "detail");
                assert!(detail.contains("has expired"), "{detail}");
            }
        }
    })
    .await;
}
