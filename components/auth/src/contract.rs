//! The contract entry: `shop:auth/tokens`.

use auth_domain::jwt::TokenError;
use auth_domain::service::AuthError;

use crate::{app, http};

#[expect(
    unsafe_code,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::allow_attributes,
    reason = "generated from the contract"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/shop-auth",
        inline: "
            package shop:auth-provider;
            world provider {
                export shop:auth/tokens@1.0.0;
            }
        ",
        world: "shop:auth-provider/provider",
        generate_all,
    });

    export!(Contract with_types_in self);

    pub struct Contract;
}

use bindings::Contract;
use bindings::exports::shop::auth::tokens::{Claims, Error, Guest};

impl Guest for Contract {
    async fn verify(token: String) -> Result<Claims, Error> {
        let service = app::open().await.map_err(|error| {
            http::log(&error);
            Error::Unavailable("the service cannot start; its log says why".to_owned())
        })?;
        answer(service.verify(&token).await)
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
    use auth_domain::port::StoreError;

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
