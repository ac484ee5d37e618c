//! The bridge of live links: values of any type go through a caller and a callee, each in a Wasm store of its own, and come
//! back equal.
//!
//! The input is choices: of a type, of its values, of texts and numbers for the shapes that pass typed. Both guests are made
//! for the type. Their code is the same for all types, since a function with more than 16 flat parameters and more than one
//! flat result gets and gives an address: what arrives there is what is returned.

use std::sync::Arc;

use midplane::engine::{Called, Program, Value};
use midplane::link::{Contract, Type, exports, imports};
use midplane::model::InterfaceName;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use crate::Target;
use crate::bench::{self, Bench};
use crate::input::Choices;

mod guest;
mod shape;

pub(crate) const TARGET: Target = Target {
    name: "value_bridge",
    run: value_bridge,
    cases: 60,
    words: &[
        "\u{0}\u{0}\u{0}\u{0}",
        "\u{7f}\u{7f}",
        "\u{10ffff}",
        "text",
        "\r",
        "\u{e}",
        "\u{f}",
        "\u{10}",
        "\u{11}",
    ],
};

/// The interface that the callee exports, and that the caller imports and exports.
const API: &str = "fuzz:bridge/api@1.0.0";

/// Calls through a link with arbitrary types and values.
pub fn value_bridge(data: &[u8]) -> bool {
    let mut choices = Choices::new(data);
    let is_async = choices.byte() % 4 == 1;
    let ty = shape::ty(&mut choices, 3);
    bench::with(|bench| {
        let bridge = Bridge::new(bench, &ty, is_async);
        for _ in 0..3 {
            bridge.generic(&shape::value(&mut choices, &ty), &mut choices);
            bridge.typed(&mut choices);
        }
    });
    true
}

struct Bridge<'a> {
    bench: &'a Bench,
    caller: Arc<Program>,
    api: InterfaceName,
    is_async: bool,
}

impl<'a> Bridge<'a> {
    fn new(bench: &'a Bench, ty: &Type, is_async: bool) -> Self {
        let wit = guest::wit(ty, is_async);
        let callee = component(&wit, "callee", guest::CALLEE);
        let caller = component(&wit, "caller", guest::CALLER);
        let api = InterfaceName::parse(API).expect("it is the name of an interface");
        assert_reflected(bench, &callee, &caller, ty);
        let callee = bench.program(&callee, &api, None);
        Self {
            bench,
            caller: bench.program(&caller, &api, Some(&callee)),
            api,
            is_async,
        }
    }

    fn call(&self, function: &str, arguments: Vec<Value>) -> Value {
        let called = Called {
            interface: self.api.clone(),
            function: function.to_owned(),
            is_async: self.is_async,
            has_result: true,
        };
        let answer = self.bench.call(&self.caller, &called, arguments);
        answer
            .unwrap_or_else(|error| panic!("{function}: {error}"))
            .unwrap_or_else(|| panic!("{function} returned nothing"))
    }

    /// A tree of values.
    fn generic(&self, value: &Value, choices: &mut Choices<'_>) {
        let padding: Vec<Value> = (0..guest::PADDING)
            .map(|_| Value::U32(choices.number() as u32))
            .collect();
        let expected = Value::Tuple(vec![value.clone(), padding[0].clone(), padding[1].clone()]);
        let answer = self.call("generic", vec![value.clone(), Value::Tuple(padding)]);
        assert_eq!(answer, expected);
    }

    /// The shapes that pass as Rust types.
    fn typed(&self, choices: &mut Choices<'_>) {
        let bytes = |bytes: &[u8]| Value::List(bytes.iter().map(|byte| Value::U8(*byte)).collect());
        let boxed = |value: Value| Some(Box::new(value));
        let (number, text, raw) = (choices.number(), choices.string(64), choices.bytes(200));
        let short = Value::U32(number as u32);
        assert_eq!(self.call("number", vec![short.clone()]), short);
        assert_eq!(self.call("long", vec![Value::U64(number)]), Value::U64(number));
        let given = Value::String(text.clone());
        assert_eq!(self.call("text", vec![given.clone()]), given);
        assert_eq!(self.call("bytes", vec![bytes(&raw)]), bytes(&raw));
        let both = vec![given.clone(), bytes(&raw)];
        assert_eq!(self.call("pair", both), bytes(&raw));
        let maybe = if text.is_empty() {
            None
        } else {
            boxed(given.clone())
        };
        assert_eq!(self.call("maybe", vec![given.clone()]), Value::Option(maybe));
        let outcome = match text.len() % 2 {
            0 => Ok(boxed(bytes(text.as_bytes()))),
            _ => Err(boxed(given.clone())),
        };
        assert_eq!(self.call("outcome", vec![given]), Value::Result(outcome));
    }
}

/// What is read of both components is the type that they were made for.
fn assert_reflected(bench: &Bench, callee: &[u8], caller: &[u8], ty: &Type) {
    let exported = bench.compile(callee).expect("the callee is valid");
    let imported = bench.compile(caller).expect("the caller is valid");
    let exported = exports(exported.component()).expect("the callee is within bounds");
    let imported = imports(imported.component(), &|_| false).expect("the caller is within bounds");
    let of = |contracts: &[Contract]| {
        let contract = contracts
            .iter()
            .find(|contract| contract.interface.to_string() == API);
        let function = contract
            .and_then(|contract| contract.functions.get("generic"))
            .cloned();
        function.expect("the interface has the function")
    };
    let (exported, imported) = (of(&exported.contracts), of(&imported.contracts));
    assert_eq!(exported, imported);
    assert_eq!(exported.params.first().map(|(_, ty)| ty), Some(ty));
}

fn component(wit: &str, world: &str, core: &str) -> Vec<u8> {
    let mut module = wat::parse_str(core).unwrap_or_else(|error| panic!("{error}"));
    let mut resolve = Resolve::default();
    let package = resolve
        .push_str("bridge.wit", wit)
        .unwrap_or_else(|error| panic!("{error:?}\n{wit}"));
    let world = resolve
        .select_world(&[package], Some(world))
        .expect("the world is there");
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the types can be told");
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .unwrap_or_else(|error| panic!("{error:?}\n{wit}"))
}
