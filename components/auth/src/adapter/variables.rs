//! What the operator sets in the manifest, checked and with its defaults. A variable that is absent or empty has its
//! default.

use auth_domain::email::EmailError;
use auth_domain::password::PasswordError;
use auth_domain::policy::PolicyError;
use auth_domain::{Admin, Password, Policy};
use spin_sdk::variables;

const ADMIN_EMAIL: &str = "admin@example.com";

/// A variable that does not do. The texts are for the operator and never repeat a password.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum VariableError {
    #[error("{name} must be a number of seconds, not {value:?}")]
    NotANumber { name: &'static str, value: String },
    #[error("a variable is out of its bounds")]
    Policy(#[from] PolicyError),
    #[error("admin_email is no e-mail address")]
    AdminEmail(#[from] EmailError),
    #[error("admin_password does not do")]
    AdminPassword(#[from] PasswordError),
    #[error("the variable {name} cannot be read: {reason}")]
    Unreadable { name: &'static str, reason: String },
}

/// How long things live.
pub(crate) async fn policy() -> Result<Policy, VariableError> {
    let default = Policy::DEFAULT;
    Ok(Policy::new(
        seconds(
            "access_token_seconds",
            read("access_token_seconds").await?,
            default.access_token.as_secs(),
        )?,
        seconds(
            "refresh_token_seconds",
            read("refresh_token_seconds").await?,
            default.refresh_token.as_secs(),
        )?,
        seconds(
            "key_rotation_seconds",
            read("key_rotation_seconds").await?,
            default.key_rotation.as_secs(),
        )?,
    )?)
}

/// Who the first admin is.
pub(crate) async fn admin() -> Result<Admin, VariableError> {
    admin_from(read("admin_email").await?, read("admin_password").await?)
}

fn admin_from(email: Option<String>, password: Option<String>) -> Result<Admin, VariableError> {
    Ok(Admin {
        email: email.as_deref().unwrap_or(ADMIN_EMAIL).parse()?,
        password: password.map(Password::new).transpose()?,
    })
}

fn seconds(name: &'static str, value: Option<String>, default: u64) -> Result<u64, VariableError> {
    match value {
        Some(value) => value
            .trim()
            .parse()
            .map_err(|_| VariableError::NotANumber { name, value }),
        None => Ok(default),
    }
}

async fn read(name: &'static str) -> Result<Option<String>, VariableError> {
    match variables::get(name).await {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(variables::Error::Undefined(_)) => Ok(None),
        Err(error) => Err(VariableError::Unreadable {
            name,
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_its_default() {
        assert_eq!(seconds("access_token_seconds", None, 900), Ok(900));
        let admin = admin_from(None, None).unwrap();
        assert_eq!(admin.email.as_str(), "admin@example.com");
        assert!(admin.password.is_none());
    }

    #[test]
    fn what_is_set_is_taken() {
        assert_eq!(
            seconds("access_token_seconds", Some(" 60 ".to_owned()), 900),
            Ok(60)
        );
        let admin = admin_from(
            Some("Root@Example.com".to_owned()),
            Some("twelve chars".to_owned()),
        )
        .unwrap();
        assert_eq!(admin.email.as_str(), "root@example.com");
        assert_eq!(admin.password.unwrap().reveal(), "twelve chars");
    }

    #[test]
    fn what_does_not_do_is_named_without_the_password() {
        let wrong = seconds("access_token_seconds", Some("15m".to_owned()), 900).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "access_token_seconds must be a number of seconds, not \"15m\""
        );
        assert!(seconds("access_token_seconds", Some("-1".to_owned()), 900).is_err());
        let short = admin_from(None, Some("tooshort".to_owned())).unwrap_err();
        assert!(!format!("{short:?} {short}").contains("tooshort"));
        assert!(matches!(
            admin_from(Some("root".to_owned()), None),
            Err(VariableError::AdminEmail(_))
        ));
    }
}
