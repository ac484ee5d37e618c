//! A value and the type that it is to be of: brought to its exact form, or told where it is another.
//!
//! Wasmtime would say so too, but as a trap of the guest, in the middle of a call.

use std::fmt::Write as _;

use crate::engine::Value;
use crate::link::Type;
use crate::testing::value::number;

/// A value is not of the type that it is to be of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}it is {found}, not {wanted}", place(path))]
pub struct Mismatch {
    /// The way to the place, from there outwards.
    path: Vec<String>,
    found: String,
    wanted: String,
}

fn place(path: &[String]) -> String {
    let mut text = String::new();
    for (index, step) in path.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{step}", if index == 0 { "at " } else { " of " });
    }
    if !text.is_empty() {
        text.push_str(": ");
    }
    text
}

impl Mismatch {
    fn new(found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            found: found.into(),
            wanted: wanted.into(),
        }
    }

    fn within(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }
}

/// `value` as a value of the type `ty`.
pub(super) fn fit(value: Value, ty: &Type) -> Result<Value, Mismatch> {
    if let Some(number) = number(&value) {
        return integer(number, ty).ok_or_else(|| Mismatch::new(show(&value), ty.to_string()));
    }
    Ok(match (ty, value) {
        (Type::Bool, value @ Value::Bool(_))
        | (Type::F32, value @ Value::Float32(_))
        | (Type::F64, value @ Value::Float64(_))
        | (Type::Char, value @ Value::Char(_))
        | (Type::String, value @ Value::String(_)) => value,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is wanted is a number of less precision"
        )]
        (Type::F32, Value::Float64(number)) => Value::Float32(number as f32),
        (Type::List(element), Value::List(elements)) => Value::List(all(elements, |_| Some(element))?),
        (Type::FixedList(element, length), Value::List(elements) | Value::FixedLengthList(elements))
            if u32::try_from(elements.len()) == Ok(*length) =>
        {
            Value::FixedLengthList(all(elements, |_| Some(element))?)
        }
        (Type::Tuple(types), Value::Tuple(members)) if types.len() == members.len() => {
            Value::Tuple(all(members, |index| types.get(index))?)
        }
        (Type::Map(key, value), Value::Map(entries)) => Value::Map(
            entries
                .into_iter()
                .map(|(name, entry)| Ok((fit(name, key)?, fit(entry, value)?)))
                .collect::<Result<_, Mismatch>>()?,
        ),
        (Type::Record(types), Value::Record(fields)) => record(types, fields)?,
        (Type::Variant(cases), Value::Variant(name, payload)) => {
            let Some((_, ty)) = cases.iter().find(|(own, _)| *own == name) else {
                return Err(Mismatch::new(format!("the case `{name}`"), ty.to_string()));
            };
            let payload = boxed(payload, ty.as_ref()).map_err(|wrong| wrong.within(format!("`{name}`")))?;
            Value::Variant(name, payload)
        }
        (Type::Variant(cases), Value::Enum(name)) if cases.contains(&(name.clone(), None)) => {
            Value::Variant(name, None)
        }
        (Type::Enum(names), Value::Enum(name) | Value::Variant(name, None)) if names.contains(&name) => {
            Value::Enum(name)
        }
        (Type::Flags(names), Value::Flags(set)) if set.iter().all(|name| names.contains(name)) => {
            Value::Flags(set)
        }
        (Type::Option(ty), Value::Option(value)) => Value::Option(match value {
            Some(value) => Some(Box::new(fit(*value, ty)?)),
            None => None,
        }),
        (Type::Result { ok, .. }, Value::Result(Ok(value))) => Value::Result(Ok(
            boxed(value, ok.as_deref()).map_err(|wrong| wrong.within("`ok`"))?
        )),
        (Type::Result { err, .. }, Value::Result(Err(error))) => {
            Value::Result(Err(
                boxed(error, err.as_deref()).map_err(|wrong| wrong.within("`err`"))?
            ))
        }
        (ty, value) => return Err(Mismatch::new(show(&value), ty.to_string())),
    })
}

fn integer(number: i128, ty: &Type) -> Option<Value> {
    Some(match ty {
        Type::S8 => Value::S8(number.try_into().ok()?),
        Type::U8 => Value::U8(number.try_into().ok()?),
        Type::S16 => Value::S16(number.try_into().ok()?),
        Type::U16 => Value::U16(number.try_into().ok()?),
        Type::S32 => Value::S32(number.try_into().ok()?),
        Type::U32 => Value::U32(number.try_into().ok()?),
        Type::S64 => Value::S64(number.try_into().ok()?),
        Type::U64 => Value::U64(number.try_into().ok()?),
        _ => return None,
    })
}

fn all<'t>(values: Vec<Value>, ty: impl Fn(usize) -> Option<&'t Type>) -> Result<Vec<Value>, Mismatch> {
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| match ty(index) {
            Some(ty) => fit(value, ty).map_err(|wrong| wrong.within(format!("number {}", index + 1))),
            None => Ok(value),
        })
        .collect()
}

fn record(types: &[(String, Type)], mut fields: Vec<(String, Value)>) -> Result<Value, Mismatch> {
    let mut ordered = Vec::with_capacity(types.len());
    for (name, ty) in types {
        let Some(at) = fields.iter().position(|(own, _)| own == name) else {
            return Err(Mismatch::new(
                format!("a record without the field `{name}`"),
                Type::Record(types.to_vec()).to_string(),
            ));
        };
        let (name, value) = fields.swap_remove(at);
        let value = fit(value, ty).map_err(|wrong| wrong.within(format!("`{name}`")))?;
        ordered.push((name, value));
    }
    match fields.first() {
        Some((name, _)) => Err(Mismatch::new(
            format!("a record with a field `{name}` more"),
            Type::Record(types.to_vec()).to_string(),
        )),
        None => Ok(Value::Record(ordered)),
    }
}

fn boxed(value: Option<Box<Value>>, ty: Option<&Type>) -> Result<Option<Box<Value>>, Mismatch> {
    match (value, ty) {
        (Some(value), Some(ty)) => fit(*value, ty).map(|value| Some(Box::new(value))),
        (None, None) => Ok(None),
        (Some(value), None) => Err(Mismatch::new(show(&value), "without a payload")),
        (None, Some(ty)) => Err(Mismatch::new("without a payload", ty.to_string())),
    }
}

/// A value for a message.
pub(super) fn show(value: &Value) -> String {
    const MAX_CHARS: usize = 200;
    let text = format!("{value:?}");
    match text.char_indices().nth(MAX_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::value;

    fn product() -> Type {
        Type::Record(vec![
            ("id".into(), Type::String),
            ("pieces".into(), Type::U32),
            (
                "state".into(),
                Type::Option(Box::new(Type::Enum(vec!["held".into(), "released".into()]))),
            ),
        ])
    }

    fn answer() -> Type {
        Type::Result {
            ok: Some(Box::new(Type::List(Box::new(product())))),
            err: Some(Box::new(Type::Variant(vec![
                ("expired".into(), None),
                ("unavailable".into(), Some(Type::String)),
            ]))),
        }
    }

    #[test]
    fn a_value_is_brought_to_its_exact_form() {
        let loose = value::ok(value::list([value::record([
            ("state", value::some(value::case("held"))),
            ("pieces", value::int(3)),
            ("id", value::string("a")),
        ])]));
        let exact = Value::Result(Ok(Some(Box::new(Value::List(vec![Value::Record(vec![
            ("id".into(), Value::String("a".into())),
            ("pieces".into(), Value::U32(3)),
            (
                "state".into(),
                Value::Option(Some(Box::new(Value::Enum("held".into())))),
            ),
        ])])))));
        assert_eq!(fit(loose, &answer()), Ok(exact.clone()));
        assert_eq!(fit(exact.clone(), &answer()), Ok(exact));
        for error in [
            value::case("expired"),
            value::variant("unavailable", value::string("x")),
        ] {
            assert!(fit(value::err(error), &answer()).is_ok());
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let wrong = |value: Value| fit(value, &answer()).expect_err("it does not fit").to_string();
        let with = |pieces: Value| {
            value::ok(value::list([value::record([
                ("id", value::string("a")),
                ("pieces", pieces),
                ("state", value::none()),
            ])]))
        };
        assert_eq!(
            wrong(with(value::string("3"))),
            "at `pieces` of number 1 of `ok`: it is String(\"3\"), not u32"
        );
        assert_eq!(
            wrong(with(value::int(-1))),
            "at `pieces` of number 1 of `ok`: it is S64(-1), not u32"
        );
        assert_eq!(
            wrong(value::err(value::case("unavailable"))),
            "at `unavailable` of `err`: it is without a payload, not string"
        );
        assert!(wrong(value::err(value::case("gone"))).contains("it is the case `gone`, not variant"));
        assert!(
            wrong(value::ok(value::list([value::record([(
                "id",
                value::string("a")
            )])])))
            .contains("it is a record without the field `pieces`, not record")
        );
        assert!(wrong(value::string("x")).starts_with("it is String(\"x\"), not result<"));
    }

    #[test]
    fn a_number_fits_where_it_has_room_and_nowhere_else() {
        assert_eq!(fit(value::int(255), &Type::U8), Ok(Value::U8(255)));
        assert!(fit(value::int(256), &Type::U8).is_err());
        assert_eq!(fit(value::int(-128), &Type::S8), Ok(Value::S8(-128)));
        assert_eq!(fit(value::int(u64::MAX), &Type::U64), Ok(Value::U64(u64::MAX)));
        assert!(fit(value::int(1), &Type::F64).is_err());
        let too_large = fit(value::int(1_i128 << 64), &Type::U64).unwrap_err();
        assert!(
            too_large.to_string().contains("18446744073709551616"),
            "{too_large}"
        );
        assert!(fit(value::int(i128::from(i64::MIN) - 1), &Type::S64).is_err());
    }
}
