//! Signing keys that follow each other.

use serde_json::Value;

use crate::harness::eventually;
use crate::shop::client::{at_once, product, text};
use crate::shop::token::Token;
use crate::shop::{Shop, get, post, shop, variable};

async fn kids(shop: &Shop) -> Vec<String> {
    let set = shop.expect(200, get("/auth/jwks.json")).await.json();
    set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| text(key, "kid"))
        .collect()
}

#[tokio::test]
async fn one_key_serves_for_long_and_over_a_restart() {
    let builder = shop().await;
    let shop = Shop::start(&builder).await;
    // Whoever asks first makes it, and there is one only.
    let sets = at_once((0..16).map(|_| kids(&shop))).await;
    assert_eq!(sets[0].len(), 1);
    assert!(sets.iter().all(|set| *set == sets[0]), "{sets:?}");
    let token = shop.admin().await;
    assert_eq!(Token::parse(&token).kid(), sets[0][0]);
    shop.host.stop().await;
    let shop = Shop::start(&builder).await;
    assert_eq!(kids(&shop).await, sets[0]);
    shop.expect(200, get("/auth/me").bearer(&token)).await;
    shop.create(&token, &product("SKU-1", 1)).await;
}

#[tokio::test]
async fn a_new_key_signs_new_tokens_and_the_old_one_keeps_its_own_valid() {
    let builder = variable(shop().await, "key_rotation_seconds", "1");
    let builder = variable(builder, "access_token_seconds", "100");
    let shop = Shop::start(&builder).await;
    let old = shop.admin().await;
    let first = Token::parse(&old).kid().to_owned();
    shop.create(&old, &product("OLD-1", 1)).await;
    // Reading the set is enough to have an old key replaced.
    eventually("a second key", async || kids(&shop).await.len() > 1).await;
    let published = kids(&shop).await;
    assert_eq!(
        published[0], first,
        "the old one stays published, before the new one"
    );
    let new = shop.admin().await;
    let second = Token::parse(&new).kid().to_owned();
    assert_ne!(second, first);
    assert!(kids(&shop).await.contains(&second));
    for token in [&old, &new] {
        shop.expect(200, get("/auth/me").bearer(token)).await;
    }
    shop.create(&old, &product("OLD-2", 1)).await;
    // The catalog hears of a new key when it first meets one, but does not ask more often than every few seconds.
    eventually("the catalog to know the new key", async || {
        let answer = shop
            .send(post("/catalog/products").bearer(&new).json(&product("NEW-1", 1)))
            .await;
        answer.status == 201
    })
    .await;
    shop.host.stop().await;

    let shop = Shop::start(&builder).await;
    let kept = kids(&shop).await;
    assert!(kept.contains(&first) && kept.contains(&second), "{kept:?}");
    for (number, token) in [&old, &new].into_iter().enumerate() {
        shop.expect(200, get("/auth/me").bearer(token)).await;
        shop.create(token, &product(&format!("LATER-{number}"), 1)).await;
    }
}

#[tokio::test]
async fn the_set_holds_nothing_but_public_halves() {
    let shop = Shop::start(&shop().await).await;
    let set = shop.expect(200, get("/auth/jwks.json")).await.json();
    for key in set["keys"].as_array().unwrap() {
        assert_eq!(key["d"], Value::Null, "a private key is published: {key}");
        // The name is the key's own thumbprint (RFC 7638), not a number that another key could have.
        let digest = {
            let x = text(key, "x");
            let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
            ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes())
        };
        assert_eq!(text(key, "kid"), crate::shop::token::encode(digest.as_ref()));
    }
}
