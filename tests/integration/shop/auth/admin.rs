//! The first admin, and what the operator hears of it.

use serde_json::json;

use crate::harness::{Line, TestHost};
use crate::shop::application::{Shape, manifest};
use crate::shop::client::{at_once, credentials};
use crate::shop::{ADMIN_EMAIL, Shop, get, post, shop, variable};

fn announcements(lines: &[Line]) -> Vec<String> {
    let messages = lines.iter().map(Line::message);
    messages
        .filter(|message| message.contains("created the admin"))
        .collect()
}

#[tokio::test]
async fn a_password_that_nobody_chose_is_shown_once() {
    let builder = TestHost::builder().manifest(manifest(Shape::PerService).await);
    let shop = Shop::start(&builder).await;
    // Many come first.
    at_once((0..8).map(|_| shop.expect(200, get("/auth/jwks.json")))).await;
    let said = "with the password ";
    let line = shop
        .wait_for_log("the admin's password", |line| line.message().contains(said))
        .await;
    assert_eq!(line.field("service"), "auth");
    let message = line.message();
    let (_, rest) = message.split_once(said).unwrap();
    let password = rest.split(' ').next().unwrap().to_owned();
    assert!(password.len() >= 24, "{password} is easily guessed");
    let token = shop.login(ADMIN_EMAIL, &password).await.access;
    let account = shop.expect(200, get("/auth/me").bearer(&token)).await.json();
    assert_eq!(account["roles"], json!(["admin"]));
    let lines = shop.host.stop().await;
    assert_eq!(announcements(&lines).len(), 1, "{:#?}", announcements(&lines));

    let shop = Shop::start(&builder).await;
    shop.login(ADMIN_EMAIL, &password).await;
    let lines = shop.host.stop().await;
    assert_eq!(announcements(&lines), Vec::<String>::new());
    assert!(!lines.iter().any(|line| line.text().contains(&password)));
}

#[tokio::test]
async fn a_password_from_the_variable_is_taken_at_the_first_start_and_never_shown() {
    let first = variable(shop().await, "admin_email", "Root@Example.com");
    let shop = Shop::start(&first).await;
    let token = shop
        .login("root@example.com", crate::shop::ADMIN_PASSWORD)
        .await
        .access;
    let account = shop.expect(200, get("/auth/me").bearer(&token)).await.json();
    assert_eq!(
        (&account["email"], &account["roles"]),
        (&"root@example.com".into(), &json!(["admin"]))
    );
    shop.expect(
        401,
        post("/auth/login").json(&credentials(ADMIN_EMAIL, crate::shop::ADMIN_PASSWORD)),
    )
    .await;
    let lines = shop.host.stop().await;
    assert_eq!(announcements(&lines).len(), 1);
    assert!(
        !lines
            .iter()
            .any(|line| line.text().contains(crate::shop::ADMIN_PASSWORD))
    );

    // Another value later changes nothing: passwords live in the database.
    let second = variable(first, "admin_password", "another password of the tests");
    let shop = Shop::start(&second).await;
    shop.login("root@example.com", crate::shop::ADMIN_PASSWORD).await;
    let other = credentials("root@example.com", "another password of the tests");
    shop.expect(401, post("/auth/login").json(&other)).await;
}

#[tokio::test]
async fn a_variable_that_does_not_do_is_told_to_the_operator_and_not_to_clients() {
    for (name, value) in [
        ("admin_password", "too short"),
        ("admin_email", "nobody"),
        ("access_token_seconds", "soon"),
        ("access_token_seconds", "0"),
        ("key_rotation_seconds", "8"),
    ] {
        let shop = Shop::start(&variable(shop().await, name, value)).await;
        let answer = shop.expect(503, get("/auth/jwks.json")).await;
        assert!(!answer.text().contains(name), "{answer:?}");
        let line = shop.wait_for_log(name, |line| {
            line.field("service") == "auth" && line.message().contains(name)
        });
        assert!(
            !line.await.text().contains("too short"),
            "the log shows a password"
        );
        // What needs no settings works.
        shop.expect(200, get("/auth/openapi.json")).await;
    }
}
