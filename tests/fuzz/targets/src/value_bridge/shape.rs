//! Types and values by choice.

use midplane::engine::Value;
use midplane::link::Type;

use crate::input::Choices;

/// A type with at most so many levels below it.
pub(super) fn ty(choices: &mut Choices<'_>, depth: usize) -> Type {
    let kinds = if depth == 0 { 15 } else { 21 };
    match choices.below(kinds) {
        0 => Type::U8,
        1 => Type::S8,
        2 => Type::U16,
        3 => Type::S16,
        4 => Type::U32,
        5 => Type::S32,
        6 => Type::U64,
        7 => Type::S64,
        8 => Type::F32,
        9 => Type::F64,
        10 => Type::Char,
        11 => Type::Bool,
        12 => Type::String,
        13 => {
            // More than 256 cases take two bytes.
            let cases = if choices.byte() == 255 {
                300
            } else {
                1 + choices.below(5)
            };
            Type::Enum(names("c", cases))
        }
        14 => Type::Flags(names("g", 1 + choices.below(32))),
        15 => Type::List(Box::new(ty(choices, depth - 1))),
        16 => Type::Option(Box::new(ty(choices, depth - 1))),
        17 => Type::Tuple((0..=choices.below(4)).map(|_| ty(choices, depth - 1)).collect()),
        18 => {
            let fields = names("f", 1 + choices.below(4)).into_iter();
            Type::Record(fields.map(|name| (name, ty(choices, depth - 1))).collect())
        }
        19 => {
            let cases = names("c", 1 + choices.below(4)).into_iter();
            let mut payload = || (!choices.byte().is_multiple_of(3)).then(|| ty(choices, depth - 1));
            Type::Variant(cases.map(|name| (name, payload())).collect())
        }
        _ => {
            let mut side = || (!choices.byte().is_multiple_of(3)).then(|| Box::new(ty(choices, depth - 1)));
            Type::Result {
                ok: side(),
                err: side(),
            }
        }
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

/// A value of the type.
pub(super) fn value(choices: &mut Choices<'_>, ty: &Type) -> Value {
    let boxed = |choices: &mut Choices<'_>, ty: &Option<Box<Type>>| {
        let value = ty.as_ref().map(|ty| value(choices, ty));
        value.map(Box::new)
    };
    match ty {
        Type::Bool => Value::Bool(choices.byte() % 2 == 1),
        Type::U8 => Value::U8(choices.byte()),
        Type::S8 => Value::S8(choices.byte() as i8),
        Type::U16 => Value::U16(choices.number() as u16),
        Type::S16 => Value::S16(choices.number() as i16),
        Type::U32 => Value::U32(choices.number() as u32),
        Type::S32 => Value::S32(choices.number() as i32),
        Type::U64 => Value::U64(choices.number()),
        Type::S64 => Value::S64(choices.number() as i64),
        Type::F32 => Value::Float32(f32::from_bits(choices.number() as u32)),
        Type::F64 => Value::Float64(f64::from_bits(choices.number())),
        Type::Char => Value::Char(char::from_u32(choices.number() as u32 % 0x11_0000).unwrap_or('\u{fffd}')),
        Type::String => Value::String(choices.string(40)),
        Type::List(element) => Value::List((0..choices.below(6)).map(|_| value(choices, element)).collect()),
        Type::Option(some) => {
            let is_some = !choices.byte().is_multiple_of(4);
            Value::Option(is_some.then(|| Box::new(value(choices, some))))
        }
        Type::Tuple(members) => Value::Tuple(members.iter().map(|ty| value(choices, ty)).collect()),
        Type::Record(fields) => {
            let fields = fields.iter().map(|(name, ty)| (name.clone(), value(choices, ty)));
            Value::Record(fields.collect())
        }
        Type::Variant(cases) => {
            let (name, payload) = &cases[choices.below(cases.len())];
            let payload = payload.as_ref().map(|ty| Box::new(value(choices, ty)));
            Value::Variant(name.clone(), payload)
        }
        Type::Enum(names) => Value::Enum(names[choices.number() as usize % names.len()].clone()),
        Type::Flags(names) => {
            let mask = choices.number();
            let set = names.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
            Value::Flags(set.map(|(_, name)| name.clone()).collect())
        }
        Type::Result { ok, err } => Value::Result(match choices.byte() % 2 {
            0 => Ok(boxed(choices, ok)),
            _ => Err(boxed(choices, err)),
        }),
        other => unreachable!("{other:?} is not made here"),
    }
}
