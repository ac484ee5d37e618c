//! Names: newtypes over a shared text that was checked once. Cheap to clone, compared as text.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name that is accepted, in bytes. Names become file names, metric labels and log fields.
pub const MAX_NAME_BYTES: usize = 64;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing between the quotes.
    #[error("a name must not be empty")]
    Empty,
    /// More than [`MAX_NAME_BYTES`].
    #[error("a name has at most {MAX_NAME_BYTES} bytes, this one has {bytes}")]
    TooLong {
        /// Length of the refused text.
        bytes: usize,
    },
    /// `a_b` where `a-b` is wanted, or the other way round.
    #[error("words are separated by `{wanted}`, not by `{found}`")]
    Separator {
        /// The separator of this kind of name.
        wanted: char,
        /// The separator that was written.
        found: char,
    },
    /// `-a`, `a-` or `a--b`.
    #[error("there is an empty word before, after or between `{separator}`")]
    EmptyWord {
        /// The separator of this kind of name.
        separator: char,
    },
    /// A word that starts with a digit or something else that is no ASCII letter.
    #[error("every word starts with an ASCII letter, not with {found:?}")]
    WordStart {
        /// The first character of that word.
        found: char,
    },
    /// A character that no word may hold.
    #[error("a word has only ASCII letters and digits, not {found:?}")]
    Character {
        /// The character.
        found: char,
    },
    /// `fooBar`.
    #[error("a word is all lower case or all upper case, {word:?} is mixed")]
    MixedCase {
        /// The word.
        word: String,
    },
    /// An upper-case word where only lower case is allowed.
    #[error("this name is all lower case, {word:?} is not")]
    UpperCase {
        /// The word.
        word: String,
    },
    /// A control character, or a blank at either end.
    #[error("a name has no control characters and no blank at its start or end")]
    NotPrintable,
}

/// Which letters a word of a name may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    /// Each word all lower or all upper case.
    PerWord,
    /// All words lower case.
    Lower,
}

/// Checks `text` against Spin's rule for ids: words of ASCII letters and digits that start with a letter, joined
/// by `separator`.
fn check_words(text: &str, separator: char, case: Case) -> Result<(), NameError> {
    check_length(text)?;
    let other = if separator == '-' { '_' } else { '-' };
    if text.contains(other) {
        return Err(NameError::Separator {
            wanted: separator,
            found: other,
        });
    }
    for word in text.split(separator) {
        let Some(first) = word.chars().next() else {
            return Err(NameError::EmptyWord { separator });
        };
        if !first.is_ascii_alphabetic() {
            return Err(NameError::WordStart { found: first });
        }
        if let Some(found) = word.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(NameError::Character { found });
        }
        let upper = first.is_ascii_uppercase();
        if word
            .chars()
            .any(|c| c.is_ascii_alphabetic() && c.is_ascii_uppercase() != upper)
        {
            return Err(NameError::MixedCase {
                word: word.to_owned(),
            });
        }
        if upper && case == Case::Lower {
            return Err(NameError::UpperCase {
                word: word.to_owned(),
            });
        }
    }
    Ok(())
}

fn check_length(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { bytes: text.len() });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes a name of `text`.
            ///
            /// # Errors
            /// [`NameError`] says which rule `text` breaks.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
    };
}

name! {
    /// The name of an app. Spin takes any text here, so this takes any printable one; use
    /// [`AppName::path_segment`] where it becomes a file name.
    AppName, |text| {
        check_length(text)?;
        if text.chars().any(char::is_control) || text.trim() != text {
            return Err(NameError::NotPrintable);
        }
        Ok(())
    }
}

name! {
    /// The name of a service: the id of its `[component.<id>]`, in kebab-case as Spin has it (`hello`,
    /// `order-desk`, `FAQ-bot`).
    ServiceName, |text| check_words(text, '-', Case::PerWord)
}

name! {
    /// The name of a data store in the manifest (`key_value_stores`, `sqlite_databases`), in kebab-case or
    /// snake_case as Spin has it.
    Label, |text| {
        let separator = if text.contains('_') && !text.contains('-') { '_' } else { '-' };
        check_words(text, separator, Case::PerWord)
    }
}

name! {
    /// The name of a variable: snake_case, lower case only, as Spin has it.
    VariableName, |text| check_words(text, '_', Case::Lower)
}

impl AppName {
    /// The name as one segment of a path: ASCII letters, digits, `-` and `_` stand for themselves, every other
    /// byte is `%XX`. Two names never share a segment.
    #[must_use]
    pub fn path_segment(&self) -> String {
        use fmt::Write as _;
        let mut segment = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
                segment.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(segment, "%{byte:02X}");
            }
        }
        segment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_names_follow_the_rules_of_spin() {
        for good in ["a", "hello", "order-desk", "FAQ-bot", "v2-x9"] {
            assert_eq!(ServiceName::parse(good).unwrap().as_str(), good);
        }
        let bad = [
            ("", "must not be empty"),
            ("hello_world", "separated by `-`, not by `_`"),
            ("-a", "empty word"),
            ("a--b", "empty word"),
            ("a-", "empty word"),
            ("9a", "starts with an ASCII letter, not with '9'"),
            ("a-9", "starts with an ASCII letter"),
            ("a.b", "not '.'"),
            ("helloWorld", "\"helloWorld\" is mixed"),
            ("../etc", "starts with an ASCII letter"),
            ("é", "starts with an ASCII letter"),
        ];
        for (text, expected) in bad {
            let message = ServiceName::parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text:?}: {message}");
        }
        assert!(ServiceName::parse(&"a".repeat(64)).is_ok());
        assert_eq!(
            ServiceName::parse(&"a".repeat(65)),
            Err(NameError::TooLong { bytes: 65 })
        );
    }

    #[test]
    fn labels_are_kebab_or_snake_case_but_not_both() {
        for good in ["default", "my-cache", "my_cache", "A_b"] {
            assert!(Label::parse(good).is_ok(), "{good}");
        }
        for bad in ["my-cache_b", "a__b", "", "a/b", "a.b"] {
            assert!(Label::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variable_names_are_lower_snake_case() {
        assert!(VariableName::parse("api_host2").is_ok());
        for bad in ["API", "api-host", "apiHost", "2a", "a b"] {
            assert!(VariableName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn app_names_are_free_text_and_their_path_segments_are_distinct_and_safe() {
        for good in ["shop", "My Shop", "spin_app.v2", "../up", "läden"] {
            let segment = AppName::parse(good).unwrap().path_segment();
            assert!(
                segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_%".contains(&b)),
                "{segment}"
            );
        }
        assert_eq!(AppName::parse("../a b").unwrap().path_segment(), "%2E%2E%2Fa%20b");
        assert_ne!(
            AppName::parse("a%20b").unwrap().path_segment(),
            AppName::parse("a b").unwrap().path_segment()
        );
        for bad in ["", " a", "a\n", "a\u{7}b"] {
            assert!(AppName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
