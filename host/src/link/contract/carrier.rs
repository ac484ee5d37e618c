//! Whether a function's result can tell its caller that the call failed.
//!
//! A call over a link can fail where a plain call cannot: its time runs out (`timeout`), the callee has no place for it in
//! time (`overloaded`), or anything else, such as a trap of the callee (`unavailable`). The rule, all of it:
//!
//! 1. The function returns `result<_, E>`, or nothing is carried.
//! 2. E is `string`: it carries every failure, as a text.
//! 3. E is a `variant` or an `enum`: a failure is carried by the case of its name, if that has no payload or a `string`;
//!    otherwise by the case `unavailable`, under the same condition; otherwise not at all.
//! 4. Any other E carries nothing.
//!
//! What is not carried traps the caller.

use std::fmt;

use super::show::{list, short};
use super::{Contract, Type};

/// How a call over a link fails, as far as guests are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The deadline passed.
    Timeout,
    /// The callee had no place in time.
    Overloaded,
    /// Anything else.
    Unavailable,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Timeout, Self::Overloaded, Self::Unavailable];

    /// The case of an error type that is meant for it.
    #[must_use]
    pub const fn case(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What of a function's result carries the failures of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// The error is a string: its text says what failed.
    String,
    /// Cases of the error type carry some kinds of failure, or all.
    Case {
        /// Carries [`FailureKind::Timeout`].
        timeout: Option<Slot>,
        /// Carries [`FailureKind::Overloaded`].
        overloaded: Option<Slot>,
        /// Carries [`FailureKind::Unavailable`].
        unavailable: Option<Slot>,
    },
    /// Nothing: a failure traps the caller.
    None,
}

/// A case that carries a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub case: &'static str,
    /// Whether a text goes along.
    pub with_text: bool,
}

impl Carrier {
    /// Whether a failure of this kind reaches the caller as a value.
    #[must_use]
    pub const fn carries(&self, failure: FailureKind) -> bool {
        match self {
            Self::String => true,
            Self::None => false,
            Self::Case {
                timeout,
                overloaded,
                unavailable,
            } => match failure {
                FailureKind::Timeout => timeout.is_some(),
                FailureKind::Overloaded => overloaded.is_some(),
                FailureKind::Unavailable => unavailable.is_some(),
            },
        }
    }
}

/// What carries the failures of a function that returns `result`, by the rule of this module.
#[must_use]
pub fn carrier(result: Option<&Type>) -> Carrier {
    let Some(Type::Result { err: Some(error), .. }) = result else {
        return Carrier::None;
    };
    let find = |failure: FailureKind| {
        let case = failure.case();
        let with_text = match error.as_ref() {
            Type::Enum(names) => names.iter().any(|name| name == case).then_some(false),
            Type::Variant(cases) => match cases.iter().find(|(name, _)| name == case)? {
                (_, None) => Some(false),
                (_, Some(Type::String)) => Some(true),
                (_, Some(_)) => None,
            },
            _ => None,
        };
        with_text.map(|with_text| Slot { case, with_text })
    };
    if matches!(error.as_ref(), Type::String) {
        return Carrier::String;
    }
    let unavailable = find(FailureKind::Unavailable);
    let timeout = find(FailureKind::Timeout).or(unavailable);
    let overloaded = find(FailureKind::Overloaded).or(unavailable);
    if timeout.is_none() && overloaded.is_none() {
        return Carrier::None;
    }
    Carrier::Case {
        timeout,
        overloaded,
        unavailable,
    }
}

/// A function that cannot tell its caller of every failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// Its name.
    pub function: String,
    /// Why.
    pub why: Silence,
}

/// Why a function cannot tell its caller of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// It returns no `result`.
    NoResult,
    /// Its `result` has no error type.
    NoError,
    /// Its error type has no room for any failure.
    NoCase,
    /// Its error type has no room for these.
    Some(Vec<FailureKind>),
}

/// The functions of `contract` whose failures can only trap the caller, wholly or in part.
#[must_use]
pub fn warnings(contract: &Contract) -> Vec<Silent> {
    contract
        .functions
        .iter()
        .filter_map(|(name, function)| {
            let carrier = carrier(function.result.as_ref());
            let missing: Vec<FailureKind> = FailureKind::ALL
                .into_iter()
                .filter(|failure| !carrier.carries(*failure))
                .collect();
            let why = match (&carrier, &function.result) {
                _ if missing.is_empty() => return None,
                (Carrier::None, Some(Type::Result { err: Some(_), .. })) => Silence::NoCase,
                (Carrier::None, Some(Type::Result { err: None, .. })) => Silence::NoError,
                (Carrier::None, _) => Silence::NoResult,
                (Carrier::Case { .. } | Carrier::String, _) => Silence::Some(missing),
            };
            Some(Silent {
                function: name.clone(),
                why,
            })
        })
        .collect()
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.case())
    }
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", short(&self.function))?;
        match &self.why {
            Silence::NoResult => f.write_str("returns no `result`"),
            Silence::NoError => f.write_str("returns a `result` without an error type"),
            Silence::NoCase => f.write_str("has an error type without a case `unavailable`"),
            Silence::Some(missing) => {
                write!(f, "has an error type with no usable case for {}", list(missing))
            }
        }
    }
}

#[cfg(test)]
mod tests;
