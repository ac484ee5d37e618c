//! The two guests: their interface for a type, and their code.

use midplane::link::Type;

/// Numbers that follow the value, so that it goes through memory.
pub(super) const PADDING: usize = 17;

/// The package with the worlds of both guests.
pub(super) fn wit(ty: &Type, is_async: bool) -> String {
    let mut definitions = Definitions::default();
    let value = definitions.refer(ty);
    let padding = vec!["u32"; PADDING].join(", ");
    let kind = if is_async { "async " } else { "" };
    format!(
        "package fuzz:bridge@1.0.0;
        interface api {{
            {}
            generic: {kind}func(value: {value}, padding: tuple<{padding}>) -> tuple<{value}, u32, u32>;
            number: {kind}func(value: u32) -> u32;
            long: {kind}func(value: u64) -> u64;
            text: {kind}func(value: string) -> string;
            bytes: {kind}func(value: list<u8>) -> list<u8>;
            pair: {kind}func(name: string, value: list<u8>) -> list<u8>;
            maybe: {kind}func(value: string) -> option<string>;
            outcome: {kind}func(value: string) -> result<list<u8>, string>;
        }}
        world callee {{ export api; }}
        world caller {{ import api; export api; }}",
        definitions.text
    )
}

/// Named types, and how to refer to them.
#[derive(Default)]
struct Definitions {
    text: String,
    count: usize,
}

impl Definitions {
    fn refer(&mut self, ty: &Type) -> String {
        let side = |this: &mut Self, side: &Option<Box<Type>>| {
            side.as_ref()
                .map_or_else(|| String::from("_"), |ty| this.refer(ty))
        };
        match ty {
            Type::List(element) => format!("list<{}>", self.refer(element)),
            Type::Option(some) => format!("option<{}>", self.refer(some)),
            Type::Tuple(members) => {
                let members: Vec<String> = members.iter().map(|ty| self.refer(ty)).collect();
                format!("tuple<{}>", members.join(", "))
            }
            Type::Result { ok: None, err: None } => String::from("result"),
            Type::Result { ok, err: None } => format!("result<{}>", side(self, ok)),
            Type::Result { ok, err } => format!("result<{}, {}>", side(self, ok), side(self, err)),
            Type::Record(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, ty)| format!("{name}: {}", self.refer(ty)));
                let fields: Vec<String> = fields.collect();
                self.define("record", &fields)
            }
            Type::Variant(cases) => {
                let cases = cases.iter().map(|(name, ty)| match ty {
                    Some(ty) => format!("{name}({})", self.refer(ty)),
                    None => name.clone(),
                });
                let cases: Vec<String> = cases.collect();
                self.define("variant", &cases)
            }
            Type::Enum(names) => self.define("enum", names),
            Type::Flags(names) => self.define("flags", names),
            Type::Bool => String::from("bool"),
            plain => plain.to_string(),
        }
    }

    fn define(&mut self, kind: &str, members: &[String]) -> String {
        let name = format!("t{}", self.count);
        self.count += 1;
        self.text
            .push_str(&format!("{kind} {name} {{ {} }}\n", members.join(", ")));
        name
    }
}

/// Gives back what it was given, from where it lies.
pub(super) const CALLEE: &str = r#"(module
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    (func (export "cabi_realloc") (param $old i32) (param $kept i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and
            (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get $align))))
        (global.set $next (i32.add (local.get $at) (local.get $size)))
        (loop $more
            (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                (then
                    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                    (br $more))))
        (memory.copy (local.get $at) (local.get $old) (local.get $kept))
        (local.get $at))
    (func $slice (param $at i32) (param $length i32) (result i32)
        (i32.store (i32.const 1024) (local.get $at))
        (i32.store (i32.const 1028) (local.get $length))
        (i32.const 1024))
    (func $case (param $case i32) (param $at i32) (param $length i32) (result i32)
        (i32.store (i32.const 1024) (local.get $case))
        (i32.store (i32.const 1028) (local.get $at))
        (i32.store (i32.const 1032) (local.get $length))
        (i32.const 1024))
    (func (export "fuzz:bridge/api@1.0.0#generic") (param i32) (result i32) (local.get 0))
    (func (export "fuzz:bridge/api@1.0.0#number") (param i32) (result i32) (local.get 0))
    (func (export "fuzz:bridge/api@1.0.0#long") (param i64) (result i64) (local.get 0))
    (func (export "fuzz:bridge/api@1.0.0#text") (param i32 i32) (result i32)
        (call $slice (local.get 0) (local.get 1)))
    (func (export "fuzz:bridge/api@1.0.0#bytes") (param i32 i32) (result i32)
        (call $slice (local.get 0) (local.get 1)))
    (func (export "fuzz:bridge/api@1.0.0#pair") (param i32 i32 i32 i32) (result i32)
        (call $slice (local.get 2) (local.get 3)))
    (func (export "fuzz:bridge/api@1.0.0#maybe") (param i32 i32) (result i32)
        (call $case (i32.ne (local.get 1) (i32.const 0)) (local.get 0) (local.get 1)))
    (func (export "fuzz:bridge/api@1.0.0#outcome") (param i32 i32) (result i32)
        (call $case (i32.and (local.get 1) (i32.const 1)) (local.get 0) (local.get 1))))"#;

/// Passes everything on to the callee, and what comes back to whoever called.
pub(super) const CALLER: &str = r#"(module
    (import "fuzz:bridge/api@1.0.0" "generic" (func $generic (param i32 i32)))
    (import "fuzz:bridge/api@1.0.0" "number" (func $number (param i32) (result i32)))
    (import "fuzz:bridge/api@1.0.0" "long" (func $long (param i64) (result i64)))
    (import "fuzz:bridge/api@1.0.0" "text" (func $text (param i32 i32 i32)))
    (import "fuzz:bridge/api@1.0.0" "bytes" (func $bytes (param i32 i32 i32)))
    (import "fuzz:bridge/api@1.0.0" "pair" (func $pair (param i32 i32 i32 i32 i32)))
    (import "fuzz:bridge/api@1.0.0" "maybe" (func $maybe (param i32 i32 i32)))
    (import "fuzz:bridge/api@1.0.0" "outcome" (func $outcome (param i32 i32 i32)))
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    (func (export "cabi_realloc") (param $old i32) (param $kept i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and
            (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get $align))))
        (global.set $next (i32.add (local.get $at) (local.get $size)))
        (loop $more
            (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                (then
                    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                    (br $more))))
        (memory.copy (local.get $at) (local.get $old) (local.get $kept))
        (local.get $at))
    (func (export "fuzz:bridge/api@1.0.0#generic") (param i32) (result i32)
        (call $generic (local.get 0) (i32.const 1024)) (i32.const 1024))
    (func (export "fuzz:bridge/api@1.0.0#number") (param i32) (result i32) (call $number (local.get 0)))
    (func (export "fuzz:bridge/api@1.0.0#long") (param i64) (result i64) (call $long (local.get 0)))
    (func (export "fuzz:bridge/api@1.0.0#text") (param i32 i32) (result i32)
        (call $text (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024))
    (func (export "fuzz:bridge/api@1.0.0#bytes") (param i32 i32) (result i32)
        (call $bytes (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024))
    (func (export "fuzz:bridge/api@1.0.0#pair") (param i32 i32 i32 i32) (result i32)
        (call $pair (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 1024)) (i32.const 1024))
    (func (export "fuzz:bridge/api@1.0.0#maybe") (param i32 i32) (result i32)
        (call $maybe (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024))
    (func (export "fuzz:bridge/api@1.0.0#outcome") (param i32 i32) (result i32)
        (call $outcome (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024)))"#;
