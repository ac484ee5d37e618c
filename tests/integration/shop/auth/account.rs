//! Registering, logging in, and what is refused on the way.

use serde_json::json;

use crate::shop::client::{Tokens, at_once, credentials};
use crate::shop::token::Token;
use crate::shop::{Shop, get, post, shop};

const PASSWORD: &str = "a password of the tests";

#[tokio::test]
async fn whoever_registers_is_logged_in_and_can_log_in() {
    let shop = Shop::start(&shop().await).await;
    let first = shop.register("Ada@Example.COM", PASSWORD).await;
    let again = shop.login(" ADA@example.com\n", PASSWORD).await;
    assert_ne!(first.access, again.access);
    assert_ne!(first.refresh, again.refresh);
    let mut accounts = Vec::new();
    for tokens in [&first, &again] {
        let account = shop
            .expect(200, get("/auth/me").bearer(&tokens.access))
            .await
            .json();
        assert_eq!(account["email"], "ada@example.com");
        assert_eq!(account["roles"], json!(["customer"]));
        accounts.push(account);
    }
    assert_eq!(accounts[0], accounts[1], "both tokens are of one account");
    let token = Token::parse(&first.access);
    assert_eq!(token.header["alg"], "EdDSA");
    assert_eq!(token.claims["sub"], accounts[0]["id"]);
    assert_eq!(token.claims["roles"], json!(["customer"]));
    assert_eq!(token.claims["iss"], "shop-auth");
    assert_eq!(token.claims["aud"], "shop");
    assert_eq!(token.expires() - token.claims["iat"].as_u64().unwrap(), 900);
    assert_ne!(token.claims["jti"], Token::parse(&again.access).claims["jti"]);
    // The scheme is a word in any case (RFC 9110, section 11.1).
    let lower = get("/auth/me").header("authorization", &format!("bearer {}", first.access));
    shop.expect(200, lower).await;
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_do_not_say_which_part_is_wrong() {
    let shop = Shop::start(&shop().await).await;
    shop.register("ada@example.com", PASSWORD).await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("ada@example.com", "another password of the tests"),
        ("bob@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        ("ada@example.com", ""),
        ("ada@example.com", "x"),
        ("ada@example.com", &"x".repeat(5000)),
        ("ada@example.com' OR '1'='1", PASSWORD),
        ("ada@example.com", "' OR '1'='1' --"),
    ] {
        let answer = shop
            .expect(401, post("/auth/login").json(&credentials(email, password)))
            .await;
        answers.push((answer.header("www-authenticate").to_owned(), answer.json()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(answers[0].1["type"], "urn:problem-type:shop:bad-credentials");
    shop.login("ada@example.com", PASSWORD).await;
}

#[tokio::test]
async fn an_address_can_be_registered_once() {
    let shop = Shop::start(&shop().await).await;
    let attempts = (0..8).map(|_| {
        let call = post("/auth/register").json(&credentials("ada@example.com", PASSWORD));
        shop.send(call)
    });
    let answers = at_once(attempts).await;
    let created: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(created.len(), 1, "{answers:#?}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.status, 409);
        assert_eq!(refused.json()["type"], "urn:problem-type:shop:email-taken");
    }
    let access = Tokens::from(created[0]).access;
    shop.expect(200, get("/auth/me").bearer(&access)).await;
    for spelling in ["ADA@EXAMPLE.com", "  ada@example.com\t"] {
        shop.expect(409, post("/auth/register").json(&credentials(spelling, PASSWORD)))
            .await;
    }
}

#[tokio::test]
async fn what_is_out_of_bounds_is_named_by_its_place() {
    let shop = Shop::start(&shop().await).await;
    let long = format!("{}@example.com", "a".repeat(65));
    for (email, password, pointer) in [
        ("", PASSWORD, "/email"),
        ("ada", PASSWORD, "/email"),
        ("ada@example", PASSWORD, "/email"),
        ("ada@@example.com", PASSWORD, "/email"),
        ("ada..b@example.com", PASSWORD, "/email"),
        ("ada@-example.com", PASSWORD, "/email"),
        ("ada\r\nset-cookie: a=b@example.com", PASSWORD, "/email"),
        ("ädä@example.com", PASSWORD, "/email"),
        (&long, PASSWORD, "/email"),
        ("ada@example.com", "eleven char", "/password"),
        ("ada@example.com", &"x".repeat(129), "/password"),
    ] {
        let answer = shop
            .expect(422, post("/auth/register").json(&credentials(email, password)))
            .await;
        assert_eq!(
            answer.json()["errors"][0]["pointer"],
            pointer,
            "{email:?} {password:?}"
        );
        assert!(!answer.text().contains(password), "the answer repeats a password");
    }
    // Bounds count characters, and any of them will do.
    for (number, password) in [
        "💡".repeat(12),
        "x".repeat(128),
        " \u{0}'\"\\;--\n\u{202e}xyz".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let email = format!("user{number}@example.com");
        shop.register(&email, password).await;
        shop.login(&email, password).await;
        let trimmed = password.trim();
        if trimmed != password {
            shop.expect(401, post("/auth/login").json(&credentials(&email, trimmed)))
                .await;
        }
    }
}
