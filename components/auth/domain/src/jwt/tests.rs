//! Tokens that are right, and every way to be wrong that we know of.

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn key(seed: u8) -> SigningKey {
    SigningKey::new([seed; 32], NOW)
}

fn claims() -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: "0b7c7d0e-0000-4000-8000-000000000001".to_owned(),
        email: "ada@example.com".to_owned(),
        roles: vec!["customer".to_owned()],
        iat: NOW.seconds(),
        exp: NOW.seconds() + 900,
        jti: "0b7c7d0e-0000-4000-8000-000000000002".to_owned(),
    }
}

fn check(token: &str, now: Timestamp) -> Result<Claims, TokenError> {
    let ours = key(1);
    verify(token, |kid| (kid == ours.kid()).then(|| ours.public()), now)
}

/// A token of any header and claims, signed by `key`.
fn forge(key: &SigningKey, header: &str, claims: &str) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(key.secret().sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

fn header(alg: &str) -> String {
    format!(r#"{{"alg":"{alg}","kid":"{}","typ":"JWT"}}"#, key(1).kid())
}

fn body() -> String {
    serde_json::to_string(&claims()).unwrap()
}

#[test]
fn a_signed_token_comes_back_as_its_claims() {
    let token = sign(&key(1), &claims());
    assert_eq!(check(&token, NOW), Ok(claims()));
    assert!(
        token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    );
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(
        header,
        serde_json::json!({ "alg": "EdDSA", "kid": key(1).kid(), "typ": "JWT" })
    );
}

#[test]
fn a_token_lives_until_its_last_second() {
    let token = sign(&key(1), &claims());
    let at = |seconds| check(&token, Timestamp::from_seconds(claims().exp - 900 + seconds));
    assert!(at(899).is_ok());
    assert_eq!(at(900), Err(TokenError::Expired));
    assert_eq!(at(1_000_000), Err(TokenError::Expired));
}

#[test]
fn a_token_from_the_future_is_refused_beyond_the_skew() {
    let mut ahead = claims();
    ahead.iat = NOW.seconds() + 60;
    assert!(check(&sign(&key(1), &ahead), NOW).is_ok());
    ahead.iat += 1;
    assert_eq!(check(&sign(&key(1), &ahead), NOW), Err(TokenError::NotYetValid));
}

#[test]
fn any_changed_character_breaks_it() {
    let token = sign(&key(1), &claims());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(check(&changed, NOW).is_err(), "byte {at}");
    }
}

#[test]
fn a_token_signed_by_another_key_is_refused_whatever_it_names() {
    assert_eq!(check(&sign(&key(2), &claims()), NOW), Err(TokenError::UnknownKey));
    assert_eq!(
        check(&forge(&key(2), &header("EdDSA"), &body()), NOW),
        Err(TokenError::Signature)
    );
}

#[test]
fn other_algorithms_are_refused_before_any_key_is_looked_up() {
    for alg in ["none", "None", "HS256", "RS256", "ES256", "eddsa", ""] {
        let never = |_: &str| -> Option<VerifyingKey> { panic!("looked up a key for {alg}") };
        assert_eq!(
            verify(&forge(&key(1), &header(alg), &body()), never, NOW),
            Err(TokenError::Algorithm)
        );
    }
    let bare = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(body())
    );
    assert_eq!(check(&bare, NOW), Err(TokenError::Algorithm));
}

#[test]
fn the_public_key_is_no_shared_secret() {
    // The classic confusion: an HMAC made with the published key. It never gets as far as the signature.
    let forged = forge(&key(1), &header("HS256"), &body());
    assert_eq!(check(&forged, NOW), Err(TokenError::Algorithm));
}

#[test]
fn headers_with_anything_that_we_do_not_write_are_refused() {
    let kid = key(1).kid().to_owned();
    for header in [
        r#"{"alg":"EdDSA","typ":"JWT"}"#.to_owned(),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWE"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT","crit":["exp"]}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT","jwk":{{}}}}"#),
        format!(r#"{{"alg":"EdDSA","kid":["{kid}"],"typ":"JWT"}}"#),
        format!(r#"["EdDSA","{kid}","JWT"]"#),
        "null".to_owned(),
        String::new(),
    ] {
        let error = check(&forge(&key(1), &header, &body()), NOW).unwrap_err();
        assert!(matches!(error, TokenError::Malformed(_)), "{header}: {error:?}");
    }
}

#[test]
fn tokens_for_another_purpose_are_refused() {
    for change in [
        |claims: &mut Claims| claims.iss = "other".to_owned(),
        |claims: &mut Claims| claims.aud = "other".to_owned(),
    ] {
        let mut other = claims();
        change(&mut other);
        assert_eq!(check(&sign(&key(1), &other), NOW), Err(TokenError::Purpose));
    }
}

#[test]
fn claims_of_other_types_are_refused() {
    for body in [
        body().replace("[\"customer\"]", "\"admin\""),
        body().replace(&claims().exp.to_string(), "-1"),
        body().replace("\"jti\"", "\"id\""),
        "{}".to_owned(),
        "not json".to_owned(),
    ] {
        let error = check(&forge(&key(1), &header("EdDSA"), &body), NOW).unwrap_err();
        assert!(matches!(error, TokenError::Malformed(_)), "{body}: {error:?}");
    }
}

#[test]
fn what_is_no_token_is_malformed() {
    let long = format!("{}.", "a".repeat(MAX_LENGTH));
    let padded = sign(&key(1), &claims()) + "==";
    let four = sign(&key(1), &claims()) + ".x";
    for text in ["", ".", "..", "a.b", "a.b.c", "hello", &long, &padded, &four] {
        let error = check(text, NOW).unwrap_err();
        assert!(matches!(error, TokenError::Malformed(_)), "{text}: {error:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_taken_for_a_token(text in "\\PC*|[A-Za-z0-9_.-]{0,200}", other in "\\PC*", claims in "\\PC*") {
        proptest::prop_assert!(check(&text, NOW).is_err());
        proptest::prop_assert!(check(&forge(&key(1), &other, &claims), NOW).is_err());
        proptest::prop_assert!(check(&forge(&key(1), &header("EdDSA"), &claims), NOW).is_err());
    }
}
