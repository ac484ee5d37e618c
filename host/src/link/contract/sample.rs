//! Types for tests: arbitrary ones, single changes of them, and components in the text format that have them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use wasmtime::{Config, Engine};

use super::{Contract, Function, Type};
use crate::model::InterfaceName;

/// An engine that takes everything that the component model has.
pub(in crate::link) fn engine() -> Engine {
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .wasm_component_model_map(true)
        .wasm_component_model_fixed_length_lists(true)
        .wasm_component_model_error_context(true);
    Engine::new(&config).unwrap()
}

pub(in crate::link) fn contract(interface: &str, functions: &[(&str, Function)]) -> Contract {
    Contract {
        interface: InterfaceName::parse(interface).unwrap(),
        functions: functions
            .iter()
            .map(|(name, function)| ((*name).to_owned(), function.clone()))
            .collect(),
        items: Default::default(),
    }
}

pub(in crate::link) fn function(params: &[(&str, Type)], result: Option<Type>) -> Function {
    Function {
        is_async: false,
        params: params
            .iter()
            .map(|(name, ty)| ((*name).to_owned(), ty.clone()))
            .collect(),
        result,
    }
}

pub(in crate::link) fn result(ok: Option<Type>, err: Option<Type>) -> Type {
    Type::Result {
        ok: ok.map(Box::new),
        err: err.map(Box::new),
    }
}

fn leaf() -> impl Strategy<Value = Type> {
    prop::sample::select(vec![
        Type::Bool,
        Type::S8,
        Type::U8,
        Type::S16,
        Type::U16,
        Type::S32,
        Type::U32,
        Type::S64,
        Type::U64,
        Type::F32,
        Type::F64,
        Type::Char,
        Type::String,
    ])
}

/// Names that differ, so that they can stand in one record.
fn numbered<T>(members: Vec<(&'static str, T)>) -> Vec<(String, T)> {
    let members = members.into_iter().enumerate();
    members
        .map(|(index, (word, member))| (format!("{word}{index}"), member))
        .collect()
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["id", "price-in-cents", "x", "type", "a-b-c"])
}

fn words() -> impl Strategy<Value = Vec<String>> {
    vec(word(), 1..6).prop_map(|words| {
        let words = words.into_iter().map(|word| (word, ())).collect();
        numbered(words).into_iter().map(|(name, ())| name).collect()
    })
}

/// Any type that can cross a link.
pub(in crate::link) fn ty() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        4 => leaf(),
        1 => words().prop_map(Type::Enum),
        1 => words().prop_map(Type::Flags),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let optional = || prop::option::of(boxed());
        let key = prop::sample::select(vec![Type::String, Type::U32, Type::Char]).prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Type::List),
            (boxed(), 1_u32..9).prop_map(|(element, length)| Type::FixedList(element, length)),
            (key, boxed()).prop_map(|(key, value)| Type::Map(key, value)),
            vec(inner.clone(), 1..4).prop_map(Type::Tuple),
            vec((word(), inner.clone()), 1..5).prop_map(|fields| Type::Record(numbered(fields))),
            vec((word(), prop::option::of(inner.clone())), 1..5)
                .prop_map(|cases| Type::Variant(numbered(cases))),
            boxed().prop_map(Type::Option),
            (optional(), optional()).prop_map(|(ok, err)| Type::Result { ok, err }),
        ]
    })
}

/// A type, and the same with one change somewhere in it.
pub(in crate::link) fn changed() -> impl Strategy<Value = (Type, Type)> {
    (ty(), any::<Index>(), any::<Index>()).prop_map(|(original, place, change)| {
        let mut changed = original.clone();
        let mut places = 0;
        visit(&mut changed, &mut |_| places += 1);
        let place = place.index(places);
        let mut at = 0;
        visit(&mut changed, &mut |ty| {
            if at == place {
                alter(ty, &change);
            }
            at += 1;
        });
        (original, changed)
    })
}

/// Calls `see` for `ty` and all below it, what is below first, so that a change is made once.
fn visit(ty: &mut Type, see: &mut dyn FnMut(&mut Type)) {
    match ty {
        Type::List(inner) | Type::FixedList(inner, _) | Type::Option(inner) => visit(inner, see),
        Type::Map(key, value) => {
            visit(key, see);
            visit(value, see);
        }
        Type::Tuple(members) => members.iter_mut().for_each(|ty| visit(ty, see)),
        Type::Record(fields) => fields.iter_mut().for_each(|(_, ty)| visit(ty, see)),
        Type::Variant(cases) => cases
            .iter_mut()
            .filter_map(|(_, ty)| ty.as_mut())
            .for_each(|ty| visit(ty, see)),
        Type::Result { ok, err } => [ok, err].into_iter().flatten().for_each(|ty| visit(ty, see)),
        _ => {}
    }
    see(ty);
}

/// Makes one of the changes that a type of this kind can have.
fn alter(ty: &mut Type, change: &Index) {
    let wrapped = Type::Option(Box::new(ty.clone()));
    let nothing = |payload: &mut Option<Box<Type>>| match payload.take() {
        Some(_) => {}
        None => *payload = Some(Box::new(Type::U8)),
    };
    let names = |names: &mut Vec<String>, change: usize| match change {
        0 => names.push("more".into()),
        1 => names.insert(0, "first".into()),
        2 => drop(names.pop()),
        _ => names[0].push_str("-other"),
    };
    match (ty, change.index(5)) {
        (ty, 4) => *ty = wrapped,
        (Type::FixedList(_, length), _) => *length += 1,
        (Type::Tuple(members), 0 | 1) => members.push(Type::Bool),
        (Type::Tuple(members), _) => drop(members.pop()),
        (Type::Enum(list) | Type::Flags(list), change) => names(list, change),
        (Type::Record(fields), 0) => fields.push(("more".into(), Type::U8)),
        (Type::Record(fields), 1) => fields[0].0.push_str("-other"),
        (Type::Record(fields), 2) if fields.len() > 1 => fields.swap(0, 1),
        (Type::Record(fields), _) => drop(fields.pop()),
        (Type::Variant(cases), 0) => cases.push(("more".into(), None)),
        (Type::Variant(cases), 1) => cases[0].0.push_str("-other"),
        (Type::Variant(cases), 2) if cases.len() > 1 => cases.swap(0, 1),
        (Type::Variant(cases), _) => {
            cases[0].1 = if cases[0].1.is_some() {
                None
            } else {
                Some(Type::U8)
            };
        }
        (Type::Result { ok, .. }, 0 | 1) => nothing(ok),
        (Type::Result { err, .. }, _) => nothing(err),
        (ty, _) => *ty = wrapped,
    }
}

/// Definitions of the text format, and what they are called.
#[derive(Default)]
struct Definitions {
    text: String,
    count: usize,
}

impl Definitions {
    /// Defines `ty` and exports it, so that functions may use it, and says how to refer to it.
    fn define(&mut self, ty: &Type) -> String {
        let plain = match ty {
            Type::Bool => "bool",
            Type::S8 => "s8",
            Type::U8 => "u8",
            Type::S16 => "s16",
            Type::U16 => "u16",
            Type::S32 => "s32",
            Type::U32 => "u32",
            Type::S64 => "s64",
            Type::U64 => "u64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            _ => "",
        };
        if !plain.is_empty() {
            return plain.to_owned();
        }
        let strings =
            |names: &[String]| -> String { names.iter().map(|name| format!(" \"{name}\"")).collect() };
        let definition = match ty {
            Type::List(element) => format!("list {}", self.define(element)),
            Type::FixedList(element, length) => format!("list {} {length}", self.define(element)),
            Type::Map(key, value) => format!("map {} {}", self.define(key), self.define(value)),
            Type::Option(some) => format!("option {}", self.define(some)),
            Type::Tuple(members) => {
                let members: Vec<String> = members.iter().map(|ty| self.define(ty)).collect();
                format!("tuple {}", members.join(" "))
            }
            Type::Record(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, ty)| format!("(field \"{name}\" {})", self.define(ty)))
                    .collect();
                format!("record {}", fields.join(" "))
            }
            Type::Variant(cases) => {
                let cases: Vec<String> = cases
                    .iter()
                    .map(|(name, ty)| {
                        let ty = ty.as_ref().map(|ty| self.define(ty)).unwrap_or_default();
                        format!("(case \"{name}\" {ty})")
                    })
                    .collect();
                format!("variant {}", cases.join(" "))
            }
            Type::Result { ok, err } => {
                let ok = ok.as_ref().map(|ty| self.define(ty)).unwrap_or_default();
                let err = err.as_ref().map(|ty| format!("(error {})", self.define(ty)));
                format!("result {ok} {}", err.unwrap_or_default())
            }
            Type::Enum(names) => format!("enum{}", strings(names)),
            Type::Flags(names) => format!("flags{}", strings(names)),
            other => unreachable!("{other} is not made here"),
        };
        let at = self.count;
        self.count += 1;
        self.text.push_str(&format!(
            "(type $d{at} ({definition})) (export \"t{at}\" (type $t{at} (eq $d{at})))\n"
        ));
        format!("$t{at}")
    }
}

/// A component that imports `interface` with one function.
pub(in crate::link) fn importer(interface: &str, name: &str, function: &Function) -> String {
    let mut definitions = Definitions::default();
    let params: Vec<String> = function
        .params
        .iter()
        .map(|(name, ty)| format!("(param \"{name}\" {})", definitions.define(ty)))
        .collect();
    let result = function
        .result
        .as_ref()
        .map(|ty| format!("(result {})", definitions.define(ty)))
        .unwrap_or_default();
    let kind = if function.is_async { "async" } else { "" };
    format!(
        "(component (import \"{interface}\" (instance\n{}(export \"{name}\" (func {kind} {} {result})))))",
        definitions.text,
        params.join(" ")
    )
}

/// A component that exports `interface` with one function, which takes `value: ty` and returns `tuple<ty, u32, u32>`. Seventeen
/// numbers more are taken, so that arguments and results go through memory and the core function is the same for every type.
pub(in crate::link) fn exporter(interface: &str, name: &str, ty: &Type) -> (String, Function) {
    let padding = Type::Tuple(vec![Type::U32; 17]);
    let returned = Type::Tuple(vec![ty.clone(), Type::U32, Type::U32]);
    let mut definitions = Definitions::default();
    let references = [ty, &padding, &returned].map(|ty| definitions.define(ty));
    let mut aliases = String::new();
    let [value, padding_ref, returned_ref] = references.map(|reference| {
        if let Some(exported) = reference.strip_prefix('$') {
            aliases.push_str(&format!(
                "(alias export $types \"{exported}\" (type ${exported}))\n"
            ));
        }
        reference
    });
    let text = format!(
        "(component
            (import \"t:t/types@1.0.0\" (instance $types\n{}))
            {aliases}
            (core module $code
                (memory (export \"memory\") 1)
                (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export \"f\") (param i32) (result i32) unreachable))
            (core instance $core (instantiate $code))
            (func $f (param \"value\" {value}) (param \"padding\" {padding_ref}) (result {returned_ref})
                (canon lift (core func $core \"f\") (memory (core memory $core \"memory\")) (realloc (core func $core \"realloc\"))))
            (instance $served (export \"{name}\" (func $f)))
            (export \"{interface}\" (instance $served)))",
        definitions.text
    );
    let function = function(&[("value", ty.clone()), ("padding", padding)], Some(returned));
    (text, function)
}
