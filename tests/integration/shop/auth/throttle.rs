//! Guessing passwords is slow, for one account and for one client.

use crate::harness::Answer;
use crate::shop::client::{at_once, credentials};
use crate::shop::{Call, Shop, get, post, shop};

const PASSWORD: &str = "a password of the tests";

fn attempt(email: &str, password: &str) -> Call {
    post("/auth/login").json(&credentials(email, password))
}

fn statuses(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn failures_use_up_the_attempts_of_an_account_and_then_of_a_client() {
    let builder = shop().await;
    let shop = Shop::start(&builder).await;
    let tokens = shop.register("ada@example.com", PASSWORD).await;
    // Successes cost nothing.
    for _ in 0..12 {
        shop.login("ada@example.com", PASSWORD).await;
    }
    // Guesses at the same time are counted as well as those one after another.
    let answers = at_once((0..14).map(|_| shop.send(attempt("ada@example.com", "a wrong password")))).await;
    assert_eq!(
        (statuses(&answers, 401), statuses(&answers, 429)),
        (10, 4),
        "{answers:#?}"
    );
    for refused in answers.iter().filter(|answer| answer.status == 429) {
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{refused:?}");
    }
    shop.expect(429, attempt("ADA@example.com", PASSWORD)).await;
    // Whoever is logged in stays so.
    shop.expect(200, get("/auth/me").bearer(&tokens.access)).await;
    let refresh = serde_json::json!({ "refresh_token": tokens.refresh });
    shop.expect(200, post("/auth/refresh").json(&refresh)).await;

    // An account that is not there behaves like one that is; the other accounts have nothing to do with it.
    let answers =
        at_once((0..12).map(|_| shop.send(attempt("nobody@example.com", "a wrong password")))).await;
    assert_eq!(
        (statuses(&answers, 401), statuses(&answers, 429)),
        (10, 2),
        "{answers:#?}"
    );
    shop.admin().await;

    // Twenty failures so far: thirty are left to the client, whatever accounts it tries.
    let many =
        (0..45).map(|number| shop.send(attempt(&format!("user{number}@example.com"), "a wrong password")));
    let answers = at_once(many).await;
    let failed = statuses(&answers, 401);
    // One more for every six seconds that this has taken.
    assert!((30..40).contains(&failed), "{failed}");
    assert_eq!(failed + statuses(&answers, 429), 45);
    // Registering an address that is taken counts as well.
    let taken = post("/auth/register").json(&credentials("ada@example.com", PASSWORD));
    let answers = at_once((0..15).map(|_| shop.send(taken.clone()))).await;
    assert_eq!(
        statuses(&answers, 409) + statuses(&answers, 429),
        15,
        "{answers:#?}"
    );
    assert!(statuses(&answers, 429) > 0, "{answers:#?}");

    // It is not forgotten over a restart.
    shop.host.stop().await;
    let shop = Shop::start(&builder).await;
    let answers = at_once((0..5).map(|_| shop.send(attempt("nobody@example.com", PASSWORD)))).await;
    assert!(statuses(&answers, 429) > 0, "{answers:#?}");
}
