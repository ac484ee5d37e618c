//! Two contracts held against each other: what a caller imports, and what another service exports.
//!
//! Every function that is imported must be exported with the same `async`, the same parameters in name, order and type,
//! and the same result. Types must be equal in all their parts, names and order included: the component model has no
//! subtyping between value types today, a record with one more field is another record. Functions that are exported
//! beyond what is imported do no harm. Types that belong to one Wasm store are found by [`unsupported`].

use std::collections::BTreeMap;

use super::{Contract, Function, Item, Type, Unsupported};
use crate::model::InterfaceName;

mod message;

/// A function that is imported does not fit what is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The interface, as it is imported.
    pub interface: InterfaceName,
    /// The function.
    pub function: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// In what an imported and an exported function differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is not exported.
    Missing {
        /// What is exported.
        offered: Vec<String>,
    },
    /// One is an `async func`, the other is not.
    Async {
        /// Whether the caller expects an `async func`.
        wanted: bool,
        /// Whether it is one.
        offered: bool,
    },
    /// The parameters differ.
    Parameters {
        /// What the caller expects.
        wanted: Vec<(String, Type)>,
        /// What there is.
        offered: Vec<(String, Type)>,
        /// Where they part first.
        difference: Difference,
    },
    /// The results differ.
    Result {
        /// What the caller expects.
        wanted: Option<Type>,
        /// What there is.
        offered: Option<Type>,
        /// Where they part first.
        difference: Difference,
    },
}

/// The first place where two signatures part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The way to that place; empty for the list of parameters as a whole.
    pub path: Vec<Step>,
    /// What differs there.
    pub parting: Parting,
}

/// A step into a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in WIT")]
pub enum Step {
    Parameter(String),
    Result,
    Element,
    Key,
    Value,
    /// Counted from 1.
    Member(usize),
    Field(String),
    Case(String),
    Some,
    Ok,
    Err,
}

/// What differs at one place of two signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parting {
    /// The types, or one of them is absent.
    Type {
        /// What the caller expects.
        wanted: Option<Type>,
        /// What there is.
        offered: Option<Type>,
    },
    /// The names of what they consist of.
    Names {
        /// Of what.
        kind: Names,
        /// What the caller expects.
        wanted: Vec<String>,
        /// What there is.
        offered: Vec<String>,
    },
}

/// What names are the names of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in WIT")]
pub enum Names {
    Parameter,
    Field,
    Case,
    Flag,
}

/// Something in an imported contract that cannot cross a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A type in a function.
    Type {
        /// The interface.
        interface: InterfaceName,
        /// The function.
        function: String,
        /// The way to the type.
        path: Vec<Step>,
        /// The type.
        what: Unsupported,
    },
    /// Something beside the functions.
    Item {
        /// The interface.
        interface: InterfaceName,
        /// Its name.
        name: String,
        /// What it is.
        what: Item,
    },
}

/// All in which `offered` does not have what `wanted` asks for. Their names are not compared: see
/// [`InterfaceName::serves`].
#[must_use]
pub fn mismatches(wanted: &Contract, offered: &Contract) -> Vec<Mismatch> {
    function_mismatches(&wanted.interface, &wanted.functions, offered)
}

/// The same for the functions that are imported of `interface`.
pub(in crate::link) fn function_mismatches(
    interface: &InterfaceName,
    wanted: &BTreeMap<String, Function>,
    offered: &Contract,
) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for (name, wanted) in wanted {
        let mut report = |problem| {
            found.push(Mismatch {
                interface: interface.clone(),
                function: name.clone(),
                problem,
            });
        };
        let Some(offered_function) = offered.functions.get(name) else {
            report(Problem::Missing {
                offered: offered.functions.keys().cloned().collect(),
            });
            continue;
        };
        let offered = offered_function;
        if wanted.is_async != offered.is_async {
            report(Problem::Async {
                wanted: wanted.is_async,
                offered: offered.is_async,
            });
        }
        if let Some(difference) = parameters(&wanted.params, &offered.params) {
            report(Problem::Parameters {
                wanted: wanted.params.clone(),
                offered: offered.params.clone(),
                difference,
            });
        }
        let mut path = vec![Step::Result];
        if let Some(parting) = optional(wanted.result.as_ref(), offered.result.as_ref(), &mut path) {
            report(Problem::Result {
                wanted: wanted.result.clone(),
                offered: offered.result.clone(),
                difference: Difference { path, parting },
            });
        }
    }
    found
}

/// Everything in `contract` that cannot cross a link: resources, streams, futures and error-contexts, and what an
/// interface has beside functions and types.
#[must_use]
pub fn unsupported(contract: &Contract) -> Vec<Refused> {
    let items = contract.items.iter().map(|(name, what)| Refused::Item {
        interface: contract.interface.clone(),
        name: name.clone(),
        what: *what,
    });
    let mut refused: Vec<Refused> = items.collect();
    for (name, function) in &contract.functions {
        let mut found = |path: &[Step], what: &Unsupported| {
            refused.push(Refused::Type {
                interface: contract.interface.clone(),
                function: name.clone(),
                path: path.to_vec(),
                what: what.clone(),
            });
        };
        for (name, ty) in &function.params {
            search(ty, &mut vec![Step::Parameter(name.clone())], &mut found);
        }
        if let Some(ty) = &function.result {
            search(ty, &mut vec![Step::Result], &mut found);
        }
    }
    refused
}

fn parameters(wanted: &[(String, Type)], offered: &[(String, Type)]) -> Option<Difference> {
    if let Some(parting) = names(Names::Parameter, first(wanted), first(offered)) {
        let path = Vec::new();
        return Some(Difference { path, parting });
    }
    wanted
        .iter()
        .zip(offered)
        .find_map(|((name, wanted), (_, offered))| {
            let mut path = vec![Step::Parameter(name.clone())];
            let parting = part(wanted, offered, &mut path)?;
            Some(Difference { path, parting })
        })
}

/// Where two types part, if they do; `path` then leads there, and is otherwise as it was.
fn part(wanted: &Type, offered: &Type, path: &mut Vec<Step>) -> Option<Parting> {
    match (wanted, offered) {
        (Type::List(wanted), Type::List(offered)) => below(Step::Element, wanted, offered, path),
        (Type::FixedList(wanted, length), Type::FixedList(offered, other)) if length == other => {
            below(Step::Element, wanted, offered, path)
        }
        (Type::Map(key, value), Type::Map(other_key, other_value)) => {
            below(Step::Key, key, other_key, path).or_else(|| below(Step::Value, value, other_value, path))
        }
        (Type::Tuple(wanted), Type::Tuple(offered)) if wanted.len() == offered.len() => {
            let mut members = wanted.iter().zip(offered).zip(1..);
            members.find_map(|((wanted, offered), at)| below(Step::Member(at), wanted, offered, path))
        }
        (Type::Record(wanted), Type::Record(offered)) => names(Names::Field, first(wanted), first(offered))
            .or_else(|| {
                let mut fields = wanted.iter().zip(offered);
                fields.find_map(|((name, wanted), (_, offered))| {
                    below(Step::Field(name.clone()), wanted, offered, path)
                })
            }),
        (Type::Variant(wanted), Type::Variant(offered)) => names(Names::Case, first(wanted), first(offered))
            .or_else(|| {
                let mut cases = wanted.iter().zip(offered);
                cases.find_map(|((name, wanted), (_, offered))| {
                    let step = Step::Case(name.clone());
                    below_optional(step, wanted.as_ref(), offered.as_ref(), path)
                })
            }),
        (Type::Enum(wanted), Type::Enum(offered)) => {
            names(Names::Case, wanted.iter().cloned(), offered.iter().cloned())
        }
        (Type::Flags(wanted), Type::Flags(offered)) => {
            names(Names::Flag, wanted.iter().cloned(), offered.iter().cloned())
        }
        (Type::Option(wanted), Type::Option(offered)) => below(Step::Some, wanted, offered, path),
        (
            Type::Result { ok, err },
            Type::Result {
                ok: other_ok,
                err: other_err,
            },
        ) => below_optional(Step::Ok, ok.as_deref(), other_ok.as_deref(), path)
            .or_else(|| below_optional(Step::Err, err.as_deref(), other_err.as_deref(), path)),
        // Leaves, and what differs in kind or length.
        _ if wanted == offered => None,
        _ => Some(Parting::Type {
            wanted: Some(wanted.clone()),
            offered: Some(offered.clone()),
        }),
    }
}

fn optional(wanted: Option<&Type>, offered: Option<&Type>, path: &mut Vec<Step>) -> Option<Parting> {
    match (wanted, offered) {
        (None, None) => None,
        (Some(wanted), Some(offered)) => part(wanted, offered, path),
        _ => Some(Parting::Type {
            wanted: wanted.cloned(),
            offered: offered.cloned(),
        }),
    }
}

fn below(step: Step, wanted: &Type, offered: &Type, path: &mut Vec<Step>) -> Option<Parting> {
    below_optional(step, Some(wanted), Some(offered), path)
}

fn below_optional(
    step: Step,
    wanted: Option<&Type>,
    offered: Option<&Type>,
    path: &mut Vec<Step>,
) -> Option<Parting> {
    path.push(step);
    let parting = optional(wanted, offered, path);
    if parting.is_none() {
        path.pop();
    }
    parting
}

fn first<T>(members: &[(String, T)]) -> impl Iterator<Item = String> {
    members.iter().map(|(name, _)| name.clone())
}

fn names(
    kind: Names,
    wanted: impl Iterator<Item = String>,
    offered: impl Iterator<Item = String>,
) -> Option<Parting> {
    let (wanted, offered): (Vec<String>, Vec<String>) = (wanted.collect(), offered.collect());
    (wanted != offered).then_some(Parting::Names {
        kind,
        wanted,
        offered,
    })
}

/// Calls `found` for each type below `ty` that cannot cross a link; what such a type carries is not looked at.
fn search(ty: &Type, path: &mut Vec<Step>, found: &mut dyn FnMut(&[Step], &Unsupported)) {
    let mut at = |step: Step, ty: &Type| {
        path.push(step);
        search(ty, path, found);
        path.pop();
    };
    match ty {
        Type::Unsupported(what) => found(path, what),
        Type::List(element) | Type::FixedList(element, _) => at(Step::Element, element),
        Type::Map(key, value) => {
            at(Step::Key, key);
            at(Step::Value, value);
        }
        Type::Tuple(members) => members
            .iter()
            .zip(1..)
            .for_each(|(ty, index)| at(Step::Member(index), ty)),
        Type::Record(fields) => fields
            .iter()
            .for_each(|(name, ty)| at(Step::Field(name.clone()), ty)),
        Type::Variant(cases) => cases.iter().for_each(|(name, payload)| {
            if let Some(ty) = payload {
                at(Step::Case(name.clone()), ty);
            }
        }),
        Type::Option(some) => at(Step::Some, some),
        Type::Result { ok, err } => {
            if let Some(ok) = ok {
                at(Step::Ok, ok);
            }
            if let Some(err) = err {
                at(Step::Err, err);
            }
        }
        Type::Bool
        | Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::S64
        | Type::U64
        | Type::F32
        | Type::F64
        | Type::Char
        | Type::String
        | Type::Enum(_)
        | Type::Flags(_) => {}
    }
}

#[cfg(test)]
mod tests;
