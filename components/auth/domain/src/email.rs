//! E-mail addresses, normalised: two spellings of one mailbox cannot become two accounts.
//!
//! Accepted is what HTML calls a valid e-mail address (the addresses people have, without comments and quoted local
//! parts of RFC 5322), of at least two domain labels. Everything is compared in lower case: RFC 5321 lets a server
//! tell `A@` from `a@`, none that matters does. Internationalised addresses are not accepted yet.

use std::fmt;
use std::str::FromStr;

/// The longest address, from RFC 5321: a path of 256 octets without its angle brackets.
pub const MAX_LENGTH: usize = 254;
const MAX_LOCAL_LENGTH: usize = 64;
const MAX_LABEL_LENGTH: usize = 63;

/// A valid address in lower case, without surrounding white space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

/// Why a text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Nothing but white space.
    #[error("the e-mail address is empty")]
    Empty,
    /// More than [`MAX_LENGTH`] bytes, or more than 64 before the `@`.
    #[error("the e-mail address is too long: at most 64 characters before the @ and 254 in all")]
    TooLong,
    /// Not exactly one `@`.
    #[error("an e-mail address has one @, with something on both sides")]
    NoAt,
    /// A character before the `@` that is not allowed there, or a dot where none may be.
    #[error("the part before the @ may have letters, digits, single dots and !#$%&'*+/=?^_`{{|}}~-")]
    Local,
    /// A domain that is not at least two labels of letters, digits and inner hyphens.
    #[error("the part after the @ must be a domain such as example.com")]
    Domain,
}

impl Email {
    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::NoAt)?;
        if local.is_empty() || domain.is_empty() || local.contains('@') {
            return Err(EmailError::NoAt);
        }
        if local.len() > MAX_LOCAL_LENGTH {
            return Err(EmailError::TooLong);
        }
        if !local.split('.').all(is_atom) {
            return Err(EmailError::Local);
        }
        if !domain.contains('.') || !domain.split('.').all(is_label) {
            return Err(EmailError::Domain);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

fn is_atom(atom: &str) -> bool {
    !atom.is_empty()
        && atom
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_LENGTH).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, EmailError> {
        text.parse().map(|email: Email| email.as_str().to_owned())
    }

    #[test]
    fn spellings_of_one_address_are_one() {
        for text in [
            "Ada.Lovelace@Example.COM",
            " ada.lovelace@example.com\n",
            "ADA.LOVELACE@EXAMPLE.COM",
        ] {
            assert_eq!(read(text).unwrap(), "ada.lovelace@example.com");
        }
    }

    #[test]
    fn addresses_that_people_have_are_accepted() {
        for text in [
            "a@b.co",
            "o'hara+shop@mail.example-site.museum",
            "x_1-y@123.example",
            "a@xn--bcher-kva.example",
        ] {
            assert_eq!(read(text).unwrap(), text);
        }
        let longest = format!("{}@{}.example.com", "a".repeat(64), "b".repeat(63));
        assert_eq!(read(&longest).unwrap(), longest);
    }

    #[test]
    fn what_is_wrong_is_named() {
        use EmailError::{Domain, Empty, Local, NoAt, TooLong};
        for (text, error) in [
            ("", Empty),
            ("  ", Empty),
            ("ada", NoAt),
            ("@example.com", NoAt),
            ("ada@", NoAt),
            ("a@b@example.com", NoAt),
            (".ada@example.com", Local),
            ("ada..l@example.com", Local),
            ("ada l@example.com", Local),
            ("ada\0@example.com", Local),
            ("\"ada\"@example.com", Local),
            ("müller@example.com", Local),
            ("ada@localhost", Domain),
            ("ada@example..com", Domain),
            ("ada@-example.com", Domain),
            ("ada@exam_ple.com", Domain),
            ("ada@example.com.", Domain),
            ("ada@[127.0.0.1]", Domain),
            ("ada@example.com'; drop table auth_accounts; --", Domain),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
        assert_eq!(read(&format!("{}@example.com", "a".repeat(65))), Err(TooLong));
        assert_eq!(read(&format!("a@{}", "b.".repeat(200))), Err(TooLong));
        assert_eq!(read(&format!("a@{}.com", "b".repeat(64))), Err(Domain));
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_is_its_own_normal_form(text in "[ a-zA-Z0-9.@+_-]{1,40}|\\PC*") {
            if let Ok(email) = text.parse::<Email>() {
                proptest::prop_assert_eq!(email.as_str().parse::<Email>(), Ok(email.clone()));
                proptest::prop_assert_eq!(email.as_str(), text.trim().to_lowercase());
            }
        }
    }
}
