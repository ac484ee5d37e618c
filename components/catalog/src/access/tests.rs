//! Good tokens, and every way to be a bad one.

use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use super::*;

/// The time at which test tokens are valid, in seconds.
pub(crate) const NOW: u64 = 1_767_268_800;

/// A key of its own for each id.
pub(crate) fn signing_key(kid: &str) -> SigningKey {
    let mut seed = [7; 32];
    for (byte, from) in seed.iter_mut().zip(kid.bytes()) {
        *byte ^= from;
    }
    SigningKey::from_bytes(&seed)
}

/// The key set of these ids.
pub(crate) fn set_of(kids: &[&str]) -> Vec<u8> {
    let key = |kid: &&str| {
        let x = URL_SAFE_NO_PAD.encode(signing_key(kid).verifying_key().as_bytes());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x })
    };
    json!({ "keys": kids.iter().map(key).collect::<Vec<_>>() })
        .to_string()
        .into_bytes()
}

/// A good token.
pub(crate) fn token(kid: &str, roles: &[&str]) -> String {
    sign(&header(kid), &claims(roles), &signing_key(kid))
}

fn header(kid: &str) -> Value {
    json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid })
}

fn claims(roles: &[&str]) -> Value {
    json!({
        "iss": "shop-auth", "aud": "shop", "sub": "018f5b0c-0000-7000-8000-000000000000",
        "email": "a@b.example", "roles": roles, "iat": NOW - 10, "exp": NOW + 900, "jti": "1"
    })
}

fn sign(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let signed = [header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

/// A good token but for some members of its header or claims; `Null` removes one.
pub(crate) fn token_with(header_change: &Value, claims_change: &Value) -> String {
    let (mut header, mut claims) = (header("k"), claims(&["admin"]));
    for (part, change) in [(&mut header, header_change), (&mut claims, claims_change)] {
        for (member, value) in change.as_object().unwrap() {
            part[member] = value.clone();
            part.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        }
    }
    sign(&header, &claims, &signing_key("k"))
}

fn check(token: &str) -> Result<Principal, TokenError> {
    let at = Timestamp::from_millis(NOW * 1000);
    Unverified::parse(token)?.verify(&signing_key("k").verifying_key(), at)
}

#[test]
fn a_good_token_says_who_sent_it() {
    let principal = check(&token("k", &["customer", "admin"])).unwrap();
    assert_eq!(principal.subject, "018f5b0c-0000-7000-8000-000000000000");
    assert!(principal.has(ADMIN) && !principal.has("Admin") && !principal.has(""));
    assert_eq!(Unverified::parse(&token("k", &[])).unwrap().kid, "k");
    let none = json!({});
    for (header, claims) in [
        (json!({ "typ": null }), none.clone()),
        (json!({ "typ": "JWT" }), none.clone()),
        (none.clone(), json!({ "aud": ["other", "shop"] })),
        (none.clone(), json!({ "roles": null })),
        (none.clone(), json!({ "nbf": NOW + 5 })),
        (none, json!({ "exp": NOW + 1 })),
    ] {
        assert!(check(&token_with(&header, &claims)).is_ok(), "{header} {claims}");
    }
}

#[test]
fn only_eddsa_with_a_key_id_is_looked_at() {
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "eddsa" }),
        json!({ "alg": null }),
        json!({ "kid": null }),
        json!({ "kid": 1 }),
        json!({ "typ": "refresh" }),
        json!({ "crit": ["exp"] }),
    ] {
        let refused = check(&token_with(&header, &json!({})));
        assert!(matches!(refused, Err(TokenError::Malformed(_))), "{header}");
    }
}

#[test]
fn what_is_said_must_be_for_us_and_for_now() {
    for (claims, error) in [
        (json!({ "iss": "other" }), TokenError::Forged),
        (json!({ "aud": "other" }), TokenError::Forged),
        (json!({ "aud": [] }), TokenError::Forged),
        (json!({ "exp": NOW }), TokenError::Expired),
        (json!({ "exp": 0 }), TokenError::Expired),
        (json!({ "nbf": NOW + 6 }), TokenError::NotYet),
        (
            json!({ "exp": null }),
            TokenError::Malformed("its claims cannot be read"),
        ),
        (
            json!({ "exp": -1 }),
            TokenError::Malformed("its claims cannot be read"),
        ),
        (
            json!({ "sub": null }),
            TokenError::Malformed("its claims cannot be read"),
        ),
        (
            json!({ "roles": "admin" }),
            TokenError::Malformed("its claims cannot be read"),
        ),
    ] {
        assert_eq!(check(&token_with(&json!({}), &claims)), Err(error), "{claims}");
    }
}

#[test]
fn another_key_or_one_changed_character_is_forgery() {
    let good = token("k", &["customer"]);
    let other = sign(&header("k"), &claims(&["admin"]), &signing_key("other"));
    assert_eq!(check(&other), Err(TokenError::Forged));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = head.split_once('.').unwrap();
    let swapped = URL_SAFE_NO_PAD.encode(claims(&["admin"]).to_string());
    assert_eq!(
        check(&format!("{head}.{swapped}.{signature}")),
        Err(TokenError::Forged)
    );
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(check(&changed).is_err(), "changed at {at}");
    }
}

#[test]
fn what_is_no_token_is_malformed() {
    let good = token("k", &[]);
    let (head, _) = good.rsplit_once('.').unwrap();
    let array = URL_SAFE_NO_PAD.encode("[\"EdDSA\",\"k\"]");
    for bad in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        head,
        &format!("{head}."),
        &format!("{good}.x"),
        &format!("{good}="),
        &good.replacen('.', "..", 1),
        &format!("{array}.e30.AAAA"),
        &"a".repeat(TOKEN_MAX + 1),
        "\u{e9}.\u{e9}.\u{e9}",
    ] {
        assert!(matches!(check(bad), Err(TokenError::Malformed(_))), "{bad}");
    }
}
