//! What is wrong with an input: every offending place at once, so that a client corrects them in one go.

use std::fmt;

/// One offending value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where it stands in the input, as a JSON pointer (RFC 6901), for example `/price/amount`.
    pub pointer: String,
    /// The rule that it breaks, in words for the client. Never repeats the value.
    pub detail: String,
}

/// At least one [`Violation`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid(Vec<Violation>);

impl Invalid {
    /// A single violation.
    pub fn one(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(vec![Violation {
            pointer: pointer.into(),
            detail: detail.into(),
        }])
    }

    /// The offending places, in the order of the input's fields.
    pub fn violations(&self) -> &[Violation] {
        &self.0
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", violation.pointer, violation.detail)?;
        }
        Ok(())
    }
}

/// Gathers violations while the fields of an input are parsed one by one.
#[derive(Debug, Default)]
pub(crate) struct Gather(Vec<Violation>);

impl Gather {
    /// The value, or `None` after noting what is wrong with it.
    pub(crate) fn field<T>(&mut self, pointer: impl Into<String>, parsed: Result<T, String>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(detail) => {
                self.0.push(Violation {
                    pointer: pointer.into(),
                    detail,
                });
                None
            }
        }
    }

    /// The value, or `None` after taking over what is wrong within it.
    pub(crate) fn nested<T>(&mut self, parsed: Result<T, Invalid>) -> Option<T> {
        parsed.map_err(|Invalid(found)| self.0.extend(found)).ok()
    }

    /// The whole, when every part of it was fine.
    pub(crate) fn finish<T>(self, whole: Option<T>) -> Result<T, Invalid> {
        match whole {
            Some(whole) if self.0.is_empty() => Ok(whole),
            _ => Err(Invalid(self.0)),
        }
    }
}
