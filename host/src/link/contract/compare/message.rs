//! What a comparison found, as text: one line each, that names the place and what was expected there.

use std::collections::BTreeSet;
use std::fmt;

use super::{Difference, Mismatch, Names, Parting, Problem, Refused, Step};
use crate::link::contract::show::{list, short};
use crate::link::contract::{Function, Type};

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of `{}`", short(&self.function), self.interface)?;
        match &self.problem {
            Problem::Missing { offered } if offered.is_empty() => {
                f.write_str(" is not exported; no function is")
            }
            Problem::Missing { offered } => write!(f, " is not exported; {} are", list(offered)),
            Problem::Async { wanted, offered } => {
                let kind = |is_async| if is_async { "`async func`" } else { "`func`" };
                write!(f, ": expected an {}, found a {}", kind(*wanted), kind(*offered))
            }
            Problem::Parameters {
                wanted,
                offered,
                difference,
            } => {
                write!(f, ": {difference}")?;
                if difference.is_deep() {
                    let whole = |params: &[(String, Type)]| Function {
                        is_async: false,
                        params: params.to_vec(),
                        result: None,
                    };
                    write!(f, " (expected `{}`, found `{}`)", whole(wanted), whole(offered))?;
                }
                Ok(())
            }
            Problem::Result {
                wanted,
                offered,
                difference,
            } => {
                write!(f, ": {difference}")?;
                match (wanted, offered) {
                    (Some(wanted), Some(offered)) if difference.is_deep() => {
                        write!(f, " (expected `{wanted}`, found `{offered}`)")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

impl Difference {
    /// Whether the message is easier to read with the whole types beside it.
    fn is_deep(&self) -> bool {
        self.path.len() > 1
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return write!(f, "{}", self.parting);
        }
        write!(f, "in the {}: {}", Path(&self.path), self.parting)
    }
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { wanted, offered } => {
                let show = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "nothing".into(), Type::to_string);
                write!(f, "expected {}, found {}", show(wanted), show(offered))
            }
            Self::Names {
                kind,
                wanted,
                offered,
            } => {
                let beyond = |names: &[String], others: &[String]| -> Vec<String> {
                    let others: BTreeSet<&String> = others.iter().collect();
                    names
                        .iter()
                        .filter(|name| !others.contains(name))
                        .cloned()
                        .collect()
                };
                let missing = beyond(wanted, offered);
                let surplus = beyond(offered, wanted);
                match (missing.as_slice(), surplus.as_slice()) {
                    ([], []) => {
                        let (wanted, offered) = (list(wanted), list(offered));
                        write!(f, "expected the {kind}s in the order {wanted}, found {offered}")
                    }
                    (missing, []) => write!(f, "expected {} as well", of(*kind, missing)),
                    ([], surplus) => write!(f, "found {} beyond what was expected", of(*kind, surplus)),
                    (missing, surplus) => {
                        write!(f, "expected {}, found {}", of(*kind, missing), of(*kind, surplus))
                    }
                }
            }
        }
    }
}

/// `the field `a``, `the fields `a`, `b``.
fn of(kind: Names, names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("the {kind}{plural} {}", list(names))
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Parameter => "parameter",
            Self::Field => "field",
            Self::Case => "case",
            Self::Flag => "flag",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "parameter `{}`", short(name)),
            Self::Result => f.write_str("result"),
            Self::Element => f.write_str("list element"),
            Self::Key => f.write_str("map key"),
            Self::Value => f.write_str("map value"),
            Self::Member(index) => write!(f, "tuple member {index}"),
            Self::Field(name) => write!(f, "record field `{}`", short(name)),
            Self::Case(name) => write!(f, "variant case `{}`", short(name)),
            Self::Some => f.write_str("option"),
            Self::Ok => f.write_str("ok"),
            Self::Err => f.write_str("error"),
        }
    }
}

/// Steps one after another.
struct Path<'p>(&'p [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type {
                interface,
                function,
                path,
                what,
            } => write!(
                f,
                "`{}` of `{interface}` has {what} in the {}",
                short(function),
                Path(path)
            ),
            Self::Item {
                interface,
                name,
                what,
            } => {
                write!(f, "`{interface}` has the {what} `{}`", short(name))
            }
        }
    }
}
