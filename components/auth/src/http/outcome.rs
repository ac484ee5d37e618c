//! The one place where errors become problems, and where the operator hears of those that are not the client's.

use std::error::Error;

use auth_domain::port::StoreError;
use auth_domain::service::AuthError;
use rest::Problem;

use crate::app::OpenError;

/// What the client hears of an operation that did not do what was asked.
pub(super) fn problem(error: AuthError) -> Problem {
    match error {
        AuthError::Email(error) => Problem::invalid_value("/email", error.to_string()),
        AuthError::Password(error) => Problem::invalid_value("/password", error.to_string()),
        AuthError::EmailTaken => {
            Problem::conflict("an account with this e-mail address exists: log in instead")
                .typed("urn:problem-type:shop:email-taken", "E-mail address taken")
        }
        AuthError::BadCredentials => Problem::unauthorized("the e-mail address or the password is wrong")
            .typed("urn:problem-type:shop:bad-credentials", "Bad credentials"),
        AuthError::Throttled(wait) => Problem::too_many_requests(
            format!("too many attempts: try again in {} seconds", wait.as_secs()),
            wait.as_secs(),
        ),
        AuthError::BadRefreshToken => bad_refresh_token(),
        AuthError::ReusedRefreshToken(account) => {
            eprintln!("a used refresh token came back, its session is over (account {account})");
            bad_refresh_token()
        }
        AuthError::Token(error) => Problem::invalid_token(error.to_string()),
        AuthError::AccountGone => Problem::invalid_token("the account of this token is gone"),
        AuthError::Store(error) => {
            log(&error);
            storage(&error)
        }
        AuthError::Random(_) | AuthError::Hash(_) => {
            log(&error);
            Problem::internal()
        }
    }
}

/// What the client hears when there is no service to ask.
pub(super) fn not_open(error: OpenError) -> Problem {
    log(&error);
    match error {
        OpenError::Store(error) | OpenError::Bootstrap(AuthError::Store(error)) => storage(&error),
        OpenError::Variable(_) => Problem::unavailable(
            "the service is not configured; the operator finds the reason in its log",
            60,
        ),
        OpenError::Hash(_) | OpenError::Bootstrap(_) => Problem::internal(),
    }
}

/// Tells the operator, in one line, the error and its causes.
pub(crate) fn log(error: &dyn Error) {
    eprintln!("{}", chain(error));
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn bad_refresh_token() -> Problem {
    Problem::invalid_token("the refresh token is unknown, used, expired or revoked: log in again")
        .typed("urn:problem-type:shop:bad-refresh-token", "Bad refresh token")
}

fn storage(error: &StoreError) -> Problem {
    match error {
        StoreError::Busy(_) => Problem::unavailable("the service is busy: try again", 1),
        StoreError::Full(_) => Problem::unavailable("the service has no room left to store anything", 60),
        StoreError::Failed(_) => Problem::internal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use auth_domain::policy::PolicyError;

    #[test]
    fn clients_read_nothing_of_the_inside() {
        let inside = "near \"SELEC\": syntax error in /var/db";
        for error in [
            StoreError::Busy(inside.into()),
            StoreError::Full(inside.into()),
            StoreError::Failed(inside.into()),
        ] {
            let open = not_open(OpenError::Store(error.clone()));
            let during = problem(AuthError::Store(error));
            assert_eq!(open, during);
            assert!(open.status.is_server_error());
            assert!(!open.to_string().contains("SELEC"), "{open}");
        }
    }

    #[test]
    fn operators_read_the_whole_chain() {
        let error = OpenError::from(crate::adapter::variables::VariableError::from(
            PolicyError::RotationTooFast,
        ));
        assert_eq!(
            chain(&error),
            "a variable is out of its bounds: key_rotation_seconds must be at least a hundredth of access_token_seconds"
        );
        assert_eq!(not_open(error).status, 503);
    }
}
