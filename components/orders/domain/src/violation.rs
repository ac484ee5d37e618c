//! What is wrong with an input: every offending place at once, so that a client corrects them in one go.

use std::fmt;

/// One offending value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where it stands in the input: a JSON pointer (RFC 6901) or the name of a query parameter.
    pub place: String,
    /// The rule that it breaks, in words for the client. Never repeats the value.
    pub detail: String,
}

/// At least one [`Violation`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid(Vec<Violation>);

impl Invalid {
    /// A single violation.
    pub fn one(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(vec![Violation {
            place: place.into(),
            detail: detail.into(),
        }])
    }

    /// `Err` with them all, if there are any.
    ///
    /// # Errors
    /// The violations.
    pub fn check(violations: Vec<Violation>) -> Result<(), Self> {
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Self(violations))
        }
    }

    /// The offending places, in the order of the input.
    pub fn violations(&self) -> &[Violation] {
        &self.0
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", violation.place, violation.detail)?;
        }
        Ok(())
    }
}
