//! The contract entry: `shop:auth/tokens`.
//!
//! Other services call it for each of their requests, so an instance keeps the keys that it has read for a while. A
//! key never changes, and a token by one that is not among them is worth another look; only a key that the operator
//! deletes by hand is trusted up to [`KEEP`] too long.

use std::cell::RefCell;
use std::time::Duration;

use auth_domain::jwt::{self, TokenError};
use auth_domain::key::KeyRing;
use auth_domain::service::AuthError;
use auth_domain::{Clock, Store, Timestamp};

use crate::adapter::system::SystemClock;
use crate::{app, http};

/// How long keys are kept.
const KEEP: Duration = Duration::from_secs(60);

thread_local! {
    /// The keys that this instance has read, and when.
    static KEPT: RefCell<Option<(Timestamp, KeyRing)>> = const { RefCell::new(None) };
}

#[expect(unsafe_code, unreachable_pub, reason = "generated from the contract")]
mod bindings {
    spin_sdk::wit_bindgen::generate!({
        path: "../../wit/shop-auth",
        inline: "
            package shop:auth-provider;
            world provider {
                export shop:auth/tokens@1.0.0;
            }
        ",
        world: "shop:auth-provider/provider",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        generate_all,
    });

    export!(Contract with_types_in self);

    pub struct Contract;
}

use bindings::Contract;
use bindings::exports::shop::auth::tokens::{Claims, Error, Guest};

impl Guest for Contract {
    async fn verify(token: String) -> Result<Claims, Error> {
        let now = SystemClock.now();
        if let Some(verified) = KEPT.with_borrow(|kept| verify_kept(&token, kept.as_ref(), now)) {
            return answer(verified.map_err(AuthError::from));
        }
        let store = app::store().await.map_err(|error| {
            http::log(&error);
            Error::Unavailable("the service cannot start; its log says why".to_owned())
        })?;
        let verified = match store.keys().await {
            Ok(keys) => {
                let verified = jwt::verify(&token, |kid| keys.public(kid), now);
                KEPT.set(Some((now, keys)));
                verified.map_err(AuthError::from)
            }
            Err(error) => Err(AuthError::Store(error)),
        };
        answer(verified)
    }
}

/// What the kept keys say of a token. Nothing, if there are none, they are too old, or the token names another.
fn verify_kept(
    token: &str,
    kept: Option<&(Timestamp, KeyRing)>,
    now: Timestamp,
) -> Option<Result<auth_domain::Claims, TokenError>> {
    let (read_at, keys) = kept?;
    if now < *read_at || now.since(*read_at) >= KEEP {
        return None;
    }
    match jwt::verify(token, |kid| keys.public(kid), now) {
        Err(TokenError::UnknownKey) => None,
        verified => Some(verified),
    }
}

fn answer(verified: Result<auth_domain::Claims, AuthError>) -> Result<Claims, Error> {
    match verified {
        Ok(claims) => Ok(Claims {
            subject: claims.sub,
            email: claims.email,
            roles: claims.roles,
            expires_at: claims.exp,
        }),
        Err(AuthError::Token(TokenError::Expired)) => Err(Error::Expired),
        Err(AuthError::Token(error)) => Err(Error::Invalid(error.to_string())),
        Err(error) => {
            http::log(&error);
            Err(Error::Unavailable(
                "the service could not decide; its log says why".to_owned(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use auth_domain::key::SigningKey;
    use auth_domain::policy::{AUDIENCE, ISSUER};
    use auth_domain::port::StoreError;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn token(key: &SigningKey) -> String {
        let claims = auth_domain::Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: "s".to_owned(),
            email: "ada@example.com".to_owned(),
            roles: vec![],
            iat: NOW.seconds(),
            exp: NOW.seconds() + 900,
            jti: "j".to_owned(),
        };
        jwt::sign(key, &claims)
    }

    #[test]
    fn kept_keys_answer_for_a_while_and_only_for_themselves() {
        let (ours, newer) = (SigningKey::new([1; 32], NOW), SigningKey::new([2; 32], NOW));
        let kept = (NOW, KeyRing::new(vec![ours.clone()]));
        let at = |seconds| NOW.plus(Duration::from_secs(seconds));
        assert!(matches!(
            verify_kept(&token(&ours), Some(&kept), at(59)),
            Some(Ok(_))
        ));
        assert!(
            verify_kept(&token(&ours), Some(&kept), at(60)).is_none(),
            "too old"
        );
        assert!(
            verify_kept(&token(&ours), Some(&kept), Timestamp::from_seconds(0)).is_none(),
            "the clock was set back"
        );
        assert!(
            verify_kept(&token(&newer), Some(&kept), NOW).is_none(),
            "another look for a key that may be new"
        );
        assert!(verify_kept(&token(&ours), None, NOW).is_none());
        assert_eq!(
            verify_kept("x", Some(&kept), NOW),
            Some(Err(TokenError::Malformed("not three parts")))
        );
    }

    #[test]
    fn expired_is_told_from_invalid_and_from_failure() {
        assert!(matches!(
            answer(Err(TokenError::Expired.into())),
            Err(Error::Expired)
        ));
        let Err(Error::Invalid(text)) = answer(Err(TokenError::Signature.into())) else {
            panic!()
        };
        assert_eq!(text, "the token's signature is wrong");
        let busy = AuthError::Store(StoreError::Busy("/secret/path is locked".to_owned()));
        let Err(Error::Unavailable(text)) = answer(Err(busy)) else {
            panic!()
        };
        assert!(!text.contains("path"), "{text}");
    }
}
