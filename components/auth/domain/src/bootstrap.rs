//! The first account: an admin, made when the store is empty.

use std::fmt;

use crate::{Email, Password};

/// Who the first admin is.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The address.
    pub email: Email,
    /// The password, or none to have one made up.
    pub password: Option<Password>,
}

/// That the first admin has been made, and what the operator has to know to log in.
#[derive(Clone)]
pub struct Announcement {
    /// The address.
    pub email: Email,
    /// The password, if it was made up here. It is said this once and stored nowhere.
    pub generated_password: Option<String>,
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.generated_password {
            Some(password) => {
                write!(
                    f,
                    "created the admin {} with the password {password} (shown only this once)",
                    self.email
                )
            }
            None => write!(
                f,
                "created the admin {} with the password from admin_password",
                self.email
            ),
        }
    }
}
