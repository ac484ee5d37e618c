//! Refresh tokens: good for one use, and stolen if used twice.

use serde_json::json;

use crate::shop::client::{Tokens, at_once};
use crate::shop::{Call, Shop, get, post, shop};

const PASSWORD: &str = "a password of the tests";

fn refresh(token: &str) -> Call {
    post("/auth/refresh").json(&json!({ "refresh_token": token }))
}

fn logout(token: &str) -> Call {
    post("/auth/logout").json(&json!({ "refresh_token": token }))
}

async fn refused(shop: &Shop, token: &str) {
    let answer = shop.expect(401, refresh(token)).await;
    assert_eq!(answer.json()["type"], "urn:problem-type:shop:bad-refresh-token");
}

#[tokio::test]
async fn a_refresh_token_is_traded_for_new_tokens_again_and_again() {
    let builder = shop().await;
    let shop = Shop::start(&builder).await;
    let mut tokens = shop.register("ada@example.com", PASSWORD).await;
    let mut seen = vec![tokens.refresh.clone()];
    for _ in 0..5 {
        tokens = Tokens::from(&shop.expect(200, refresh(&tokens.refresh)).await);
        assert!(
            !seen.contains(&tokens.refresh),
            "a refresh token was given out twice"
        );
        seen.push(tokens.refresh.clone());
        shop.expect(200, get("/auth/me").bearer(&tokens.access)).await;
    }
    shop.host.stop().await;
    let shop = Shop::start(&builder).await;
    shop.expect(200, get("/auth/me").bearer(&tokens.access)).await;
    shop.expect(200, refresh(&tokens.refresh)).await;
}

#[tokio::test]
async fn a_used_refresh_token_ends_its_whole_session_and_no_other() {
    let shop = Shop::start(&shop().await).await;
    let stolen = shop.register("ada@example.com", PASSWORD).await;
    let other = shop.login("ada@example.com", PASSWORD).await;
    let newest = Tokens::from(&shop.expect(200, refresh(&stolen.refresh)).await);
    refused(&shop, &stolen.refresh).await;
    refused(&shop, &newest.refresh).await;
    refused(&shop, &stolen.refresh).await;
    let line = shop.wait_for_log("news of the reuse", |line| {
        line.message().contains("used refresh token came back")
    });
    assert_eq!(line.await.field("service"), "auth");
    shop.expect(200, refresh(&other.refresh)).await;
    shop.login("ada@example.com", PASSWORD).await;
}

#[tokio::test]
async fn of_many_that_use_one_refresh_token_one_wins_at_most() {
    let shop = Shop::start(&shop().await).await;
    let tokens = shop.register("ada@example.com", PASSWORD).await;
    let answers = at_once((0..16).map(|_| shop.send(refresh(&tokens.refresh)))).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(won.len(), 1, "{answers:#?}");
    assert!(
        answers
            .iter()
            .all(|answer| [200, 401].contains(&answer.status.as_u16())),
        "{answers:#?}"
    );
    // The others were reuse.
    refused(&shop, &Tokens::from(won[0]).refresh).await;
}

#[tokio::test]
async fn logging_out_ends_a_session_by_any_of_its_tokens() {
    let shop = Shop::start(&shop().await).await;
    let first = shop.register("ada@example.com", PASSWORD).await;
    let other = shop.login("ada@example.com", PASSWORD).await;
    let second = Tokens::from(&shop.expect(200, refresh(&first.refresh)).await);
    for _ in 0..2 {
        shop.expect(204, logout(&first.refresh)).await;
    }
    refused(&shop, &second.refresh).await;
    // As described: access tokens are valid until they expire.
    shop.expect(200, get("/auth/me").bearer(&second.access)).await;
    shop.expect(200, refresh(&other.refresh)).await;
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused_to_refresh_and_nothing_to_log_out() {
    let shop = Shop::start(&shop().await).await;
    let tokens = shop.register("ada@example.com", PASSWORD).await;
    let strange = [
        String::new(),
        "x".to_owned(),
        "A".repeat(64),
        format!("{}=", tokens.refresh),
        tokens.refresh[..63].to_owned(),
        format!("{}!", &tokens.refresh[..63]),
        "💡".repeat(16),
        tokens.access.clone(),
        "' OR 1=1 --".to_owned(),
    ];
    for token in &strange {
        refused(&shop, token).await;
        shop.expect(204, logout(token)).await;
    }
    shop.expect(200, refresh(&tokens.refresh)).await;
}

#[tokio::test]
async fn a_refresh_token_expires() {
    let builder = crate::shop::variable(shop().await, "refresh_token_seconds", "1");
    let shop = Shop::start(&builder).await;
    let mut tokens = shop.register("ada@example.com", PASSWORD).await;
    let expired = async |token: &str| {
        let answer = shop.send(refresh(token)).await;
        (answer.status == 401).then_some(()).ok_or(answer)
    };
    // Each use gives a new one; at last one is not used for a second.
    crate::harness::soon("a refresh token to expire", async {
        let mut pause = std::time::Duration::from_millis(500);
        while let Err(answer) = expired(&tokens.refresh).await {
            tokens = Tokens::from(&answer);
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    })
    .await;
    shop.login("ada@example.com", PASSWORD).await;
}
