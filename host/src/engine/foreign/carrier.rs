//! How a failure of a call reaches the caller as a value.
//!
//! A function whose result is `result<_, E>` can carry a failure if `E` is
//! - `string`: the failure's text;
//! - a `variant` or an `enum` with a case for it: `timeout` for a callee that took too long, or too much CPU time, `overloaded`
//!   for one that has no place or no memory for one more instance (or where too much is on its way between services), else (and for everything else) `unavailable`; each with no payload, or with a `string` for the text.
//!
//! Everything else cannot carry one, and the caller traps.

use wasmtime::component::Val;
use wasmtime::component::types::{ComponentFunc, Type};

use super::result_type;
use crate::engine::CallError;

/// Where the `result` of a function has room for a failure.
pub(super) enum Carrier {
    /// Nowhere.
    None,
    /// The error is a string.
    Text,
    /// The error has cases for it.
    Cases(Cases),
}

/// The cases of an error that have room for a failure.
#[derive(Default)]
pub(super) struct Cases {
    is_enum: bool,
    timeout: Option<Payload>,
    overloaded: Option<Payload>,
    unavailable: Option<Payload>,
}

/// What a case has beside its name.
#[derive(Clone, Copy)]
enum Payload {
    Nothing,
    Text,
}

const TIMEOUT: &str = "timeout";
const OVERLOADED: &str = "overloaded";
const UNAVAILABLE: &str = "unavailable";

impl Carrier {
    /// What the result of `ty` has room for.
    pub(super) fn of(ty: &ComponentFunc) -> Self {
        let Some(Type::Result(result)) = result_type(ty) else {
            return Self::None;
        };
        let mut cases = Cases::default();
        match result.err() {
            Some(Type::String) => return Self::Text,
            Some(Type::Variant(variant)) => {
                for case in variant.cases() {
                    match case.ty {
                        None => cases.add(case.name, Payload::Nothing),
                        Some(Type::String) => cases.add(case.name, Payload::Text),
                        Some(_) => {}
                    }
                }
            }
            Some(Type::Enum(cases_of)) => {
                cases.is_enum = true;
                for name in cases_of.names() {
                    cases.add(name, Payload::Nothing);
                }
            }
            _ => {}
        }
        match cases {
            Cases {
                timeout: None,
                overloaded: None,
                unavailable: None,
                ..
            } => Self::None,
            cases => Self::Cases(cases),
        }
    }

    /// The value of the function's result that tells of `error`.
    pub(super) fn carry(&self, error: &CallError, text: impl FnOnce() -> String) -> Option<Val> {
        let value = match self {
            Self::None => return None,
            Self::Text => Val::String(text()),
            Self::Cases(cases) => {
                let (name, payload) = cases.fitting(error)?;
                match (cases.is_enum, payload) {
                    (true, _) => Val::Enum(name.into()),
                    (false, Payload::Nothing) => Val::Variant(name.into(), None),
                    (false, Payload::Text) => Val::Variant(name.into(), Some(Box::new(Val::String(text())))),
                }
            }
        };
        Some(Val::Result(Err(Some(Box::new(value)))))
    }
}

impl Cases {
    fn add(&mut self, name: &str, payload: Payload) {
        match name {
            TIMEOUT => self.timeout = Some(payload),
            OVERLOADED => self.overloaded = Some(payload),
            UNAVAILABLE => self.unavailable = Some(payload),
            _ => {}
        }
    }

    fn fitting(&self, error: &CallError) -> Option<(&'static str, Payload)> {
        let own = match error {
            CallError::TimedOut(_) | CallError::OutOfCpu(_) => self.timeout.map(|payload| (TIMEOUT, payload)),
            CallError::Overloaded(_)
            | CallError::NoInstance
            | CallError::OutOfMemory
            | CallError::Congested => self.overloaded.map(|payload| (OVERLOADED, payload)),
            CallError::Trapped
            | CallError::TooLarge
            | CallError::NotInstantiated
            | CallError::Missing(_)
            | CallError::NoFunction
            | CallError::TooDeep(_)
            | CallError::NoRequest
            | CallError::Refused(_)
            | CallError::Interrupted
            | CallError::Abandoned
            | CallError::Host => None,
        };
        own.or_else(|| self.unavailable.map(|payload| (UNAVAILABLE, payload)))
    }
}
