//! What is secret is where it has to be and nowhere else.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::shop::client::{Tokens, credentials, product};
use crate::shop::{ADMIN_EMAIL, ADMIN_PASSWORD, Shop, get, post, shop, sqlite, token};

const PASSWORD: &str = "canary password of a customer";
const WRONG: &str = "canary password that is wrong";
const ELSEWHERE: &str = "canary password in a wrong place";

/// The files below a folder that contain one of these.
fn holding(folder: &Path, secrets: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            found.extend(holding(&path, secrets));
            continue;
        }
        let content = fs::read(&path).expect("the file is readable");
        for (name, secret) in secrets {
            if content.windows(secret.len()).any(|window| window == secret) {
                found.push(format!("{name} in {}", path.display()));
            }
        }
    }
    found
}

#[tokio::test]
async fn passwords_and_tokens_are_in_no_log_no_metric_and_no_file() {
    let builder = shop().await.arg("--access-log").arg("--log").arg("trace");
    let shop = Shop::start(&builder).await;
    let admin = shop.login(ADMIN_EMAIL, ADMIN_PASSWORD).await;
    let first = shop.register("ada@example.com", PASSWORD).await;
    let refresh = |tokens: &Tokens| post("/auth/refresh").json(&json!({ "refresh_token": tokens.refresh }));
    let second = Tokens::from(&shop.expect(200, refresh(&first)).await);
    shop.expect(200, get("/auth/me").bearer(&second.access)).await;
    shop.create(&admin.access, &product("SKU-1", 1)).await;
    // Failures are where secrets leak.
    shop.expect(
        401,
        post("/auth/login").json(&credentials("ada@example.com", WRONG)),
    )
    .await;
    shop.expect(401, refresh(&first)).await;
    shop.expect(
        403,
        post("/catalog/products")
            .bearer(&second.access)
            .json(&product("SKU-2", 1)),
    )
    .await;
    for body in [
        json!({ "email": "ada@example.com", "password": [ELSEWHERE] }),
        json!({ "email": "ada@example.com", "password": PASSWORD, "again": ELSEWHERE }),
        json!({ "email": "ada@example.com" , ELSEWHERE: PASSWORD }),
        json!([ELSEWHERE]),
    ] {
        shop.expect(400, post("/auth/register").json(&body)).await;
        shop.expect(400, post("/auth/login").json(&body)).await;
    }
    let broken = format!("{{\"email\":\"ada@example.com\",\"password\":\"{ELSEWHERE}\"");
    shop.expect(400, post("/auth/login").body("application/json", broken))
        .await;

    let mut secrets = vec![
        ("the admin's password".to_owned(), ADMIN_PASSWORD.into()),
        ("a customer's password".to_owned(), PASSWORD.into()),
        ("a wrong password".to_owned(), WRONG.into()),
        ("a password elsewhere".to_owned(), ELSEWHERE.into()),
    ];
    for (whose, tokens) in [
        ("the admin's", &admin),
        ("the first", &first),
        ("the second", &second),
    ] {
        let (_, signature) = tokens.access.rsplit_once('.').unwrap();
        secrets.push((format!("{whose} access token"), signature.into()));
        secrets.push((
            format!("{whose} access token's signature"),
            token::decode(signature),
        ));
        secrets.push((format!("{whose} refresh token"), tokens.refresh.as_str().into()));
        let bytes = token::decode(&tokens.refresh);
        secrets.push((format!("{whose} session id"), bytes[..16].into()));
        secrets.push((format!("{whose} refresh secret"), bytes[16..].into()));
    }
    let mut shown = vec![("the announcement", shop.announcement.to_string())];
    for path in ["/metrics", "/ready"] {
        shown.push(("the admin listener", shop.admin_get(path).await.text()));
    }
    let auth = sqlite::database(&shop.announcement, "auth");
    let state = builder.folder().join("state");
    // While the write-ahead log is there, and when it is folded in.
    assert_eq!(holding(&state, &secrets), Vec::<String>::new());
    let lines = shop.host.stop().await;
    shown.push((
        "the log",
        lines.iter().map(|line| format!("{}\n", line.text())).collect(),
    ));
    assert!(shown.iter().all(|(_, text)| !text.is_empty()));
    for (place, text) in &shown {
        for (name, secret) in &secrets {
            let found = String::from_utf8(secret.clone()).is_ok_and(|secret| text.contains(&secret));
            assert!(!found, "{name} is in {place}");
        }
    }
    assert_eq!(holding(&state, &secrets), Vec::<String>::new());
    // The search does find what is there.
    let address = [("an address".to_owned(), b"ada@example.com".to_vec())];
    assert_eq!(holding(&state.join("data"), &address).len(), 1);

    let hashes = sqlite::run(&auth, "SELECT password_hash FROM auth_accounts;").await;
    assert_eq!(hashes.len(), 2);
    assert_ne!(hashes[0], hashes[1]);
    for hash in hashes {
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    }
}
