//! Values of WIT types, made and read in a line.
//!
//! ```
//! use midplane::testing::value;
//!
//! let product = value::record([
//!     ("id", value::string("coffee")),
//!     ("price", value::int(450)),
//!     ("tags", value::list(["hot", "black"].map(value::string))),
//! ]);
//! assert_eq!(value::field(&product, "id").and_then(value::text), Some("coffee"));
//! ```
//!
//! Where a value meets a function's type it is brought to its exact form: the fields of a record may come in any order, a
//! number may be of any integer type that has room for it, and [`case`] is good for an `enum` as well as for a `variant`.

pub use crate::engine::Value;

/// `bool`.
#[must_use]
pub fn bool(value: bool) -> Value {
    Value::Bool(value)
}

/// A number of whatever integer type is wanted (`s8` to `s64`, `u8` to `u64`), of those that it fits into. One that fits into
/// none of them fits nothing.
#[must_use]
pub fn int(value: impl Into<i128>) -> Value {
    let value = value.into();
    match (u64::try_from(value), i64::try_from(value)) {
        (Ok(value), _) => Value::U64(value),
        (_, Ok(value)) => Value::S64(value),
        // No name in WIT begins with a digit or a sign, so it is shown as it is and taken by nothing.
        (Err(_), Err(_)) => Value::Enum(value.to_string()),
    }
}

/// `f64`, or `f32` where that is wanted.
#[must_use]
pub fn float(value: f64) -> Value {
    Value::Float64(value)
}

/// `char`.
#[must_use]
pub fn char(value: char) -> Value {
    Value::Char(value)
}

/// `string`.
#[must_use]
pub fn string(value: impl Into<String>) -> Value {
    Value::String(value.into())
}

/// `list<T>`.
#[must_use]
pub fn list(elements: impl IntoIterator<Item = Value>) -> Value {
    Value::List(elements.into_iter().collect())
}

/// `list<u8>`.
#[must_use]
pub fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    list(bytes.as_ref().iter().copied().map(Value::U8))
}

/// A record, its fields in any order.
#[must_use]
pub fn record<N: Into<String>>(fields: impl IntoIterator<Item = (N, Value)>) -> Value {
    Value::Record(
        fields
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
    )
}

/// A tuple.
#[must_use]
pub fn tuple(members: impl IntoIterator<Item = Value>) -> Value {
    Value::Tuple(members.into_iter().collect())
}

/// A case without a payload, of an `enum` or of a `variant`.
#[must_use]
pub fn case(name: impl Into<String>) -> Value {
    Value::Variant(name.into(), None)
}

/// A case of a `variant` with its payload.
#[must_use]
pub fn variant(name: impl Into<String>, payload: Value) -> Value {
    Value::Variant(name.into(), Some(Box::new(payload)))
}

/// `flags`, those that are set.
#[must_use]
pub fn flags<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Value {
    Value::Flags(names.into_iter().map(Into::into).collect())
}

/// An `option` with something in it.
#[must_use]
pub fn some(value: Value) -> Value {
    Value::Option(Some(Box::new(value)))
}

/// An `option` with nothing in it.
#[must_use]
pub fn none() -> Value {
    Value::Option(None)
}

/// A `result` that is well.
#[must_use]
pub fn ok(value: Value) -> Value {
    Value::Result(Ok(Some(Box::new(value))))
}

/// A `result<_, E>` that is well.
#[must_use]
pub fn ok_unit() -> Value {
    Value::Result(Ok(None))
}

/// A `result` that is an error.
#[must_use]
pub fn err(error: Value) -> Value {
    Value::Result(Err(Some(Box::new(error))))
}

/// A `result<T>` that is an error.
#[must_use]
pub fn err_unit() -> Value {
    Value::Result(Err(None))
}

/// The field of a record.
#[must_use]
pub fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Record(fields) => fields.iter().find(|(own, _)| own == name).map(|(_, value)| value),
        _ => None,
    }
}

/// The text of a `string`.
#[must_use]
pub fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The number of any integer type.
#[must_use]
pub fn number(value: &Value) -> Option<i128> {
    Some(match *value {
        Value::S8(number) => number.into(),
        Value::U8(number) => number.into(),
        Value::S16(number) => number.into(),
        Value::U16(number) => number.into(),
        Value::S32(number) => number.into(),
        Value::U32(number) => number.into(),
        Value::S64(number) => number.into(),
        Value::U64(number) => number.into(),
        _ => return None,
    })
}

/// The elements of a list or a tuple.
#[must_use]
pub fn elements(value: &Value) -> Option<&[Value]> {
    match value {
        Value::List(elements) | Value::FixedLengthList(elements) | Value::Tuple(elements) => Some(elements),
        _ => None,
    }
}

/// What is in a `result`, or in an `option`: `Err` for an error, and for an `option` with nothing in it.
#[must_use]
pub fn outcome(value: &Value) -> Option<Result<Option<&Value>, Option<&Value>>> {
    match value {
        Value::Result(Ok(value)) => Some(Ok(value.as_deref())),
        Value::Result(Err(error)) => Some(Err(error.as_deref())),
        Value::Option(Some(value)) => Some(Ok(Some(value))),
        Value::Option(None) => Some(Err(None)),
        _ => None,
    }
}

/// The name of a case of an `enum` or a `variant`.
#[must_use]
pub fn name(value: &Value) -> Option<&str> {
    match value {
        Value::Enum(name) | Value::Variant(name, _) => Some(name),
        _ => None,
    }
}

/// The payload of a case of a `variant`.
#[must_use]
pub fn payload(value: &Value) -> Option<&Value> {
    match value {
        Value::Variant(_, payload) => payload.as_deref(),
        _ => None,
    }
}
