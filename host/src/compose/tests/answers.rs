//! The answers of denials in the layout of the canonical ABI, as a host reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::component::{Component, Linker, Resource, ResourceAny, ResourceType, Val};
use wasmtime::{Store, StoreContextMut};

use super::super::*;
use super::support::{engine, prober};

const WIT: &str = "package wasi:new@0.2.0 { interface thing {
    enum level { low, not-supported, high }
    flags rights { read, write }
    record place { line: u64, column: option<u8>, name: string }
    variant cause {
        hung(stream<u8>),
        known(tuple<u8, s64, f32>),
        refused(record-of-all),
    }
    record record-of-all { first: bool, level: level, rights: rights, places: list<place>, place: place, why: string }
    record nested { inner: result<u8, level>, size: u16, end: char }
    plain: func() -> result<u8, level>;
    deep: func() -> result<list<u8>, record-of-all>;
    chosen: func() -> result<f64, cause>;
    bare: func() -> level;
    alone: func() -> tuple<u8, rights, string, nested>;
    unit: func() -> result;
    many: func(a: list<place>, b: string, c: record-of-all, d: record-of-all) -> result<_, string>;
} }";

const TEXT: &str =
    "access denied: this dependency does not inherit all configuration (`inherit_configuration`)";

/// What a host reads that calls `function` of the denial itself.
fn answer(function: &str, arguments: &[Val]) -> Val {
    let name = "wasi:new/thing@0.2.0";
    let dependency = prober(WIT, &[&format!("{name}#{function}")]);
    let target = deny::Target {
        interface: InterfaceName::parse(name).unwrap(),
        needs: Needs::Everything,
    };
    let denial = deny::generate(&dependency, &[target]).unwrap();
    let engine = engine();
    let component = Component::new(&engine, denial).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let interface = instance.get_export_index(&mut store, None, name).unwrap();
    let function = instance
        .get_export_index(&mut store, Some(&interface), function)
        .unwrap();
    let function = instance.get_func(&mut store, function).unwrap();
    let mut results = [Val::Bool(false)];
    // More than once, since nothing of a call may be left in the way of the next.
    for _ in 0..3 {
        function.call(&mut store, arguments, &mut results).unwrap();
    }
    let [result] = results;
    result
}

fn text(text: &str) -> Val {
    Val::String(text.into())
}

fn err(value: Val) -> Val {
    Val::Result(Err(Some(Box::new(value))))
}

fn level(case: &str) -> Val {
    Val::Enum(case.into())
}

fn place(name: &str) -> Val {
    Val::Record(vec![
        ("line".into(), Val::U64(0)),
        ("column".into(), Val::Option(None)),
        ("name".into(), text(name)),
    ])
}

fn record_of_all(case: &str, told: &str) -> Val {
    Val::Record(vec![
        ("first".into(), Val::Bool(false)),
        ("level".into(), level(case)),
        ("rights".into(), Val::Flags(vec![])),
        ("places".into(), Val::List(vec![])),
        ("place".into(), place(told)),
        ("why".into(), text(told)),
    ])
}

#[test]
fn errors_say_what_is_not_inherited() {
    assert_eq!(answer("plain", &[]), err(level("not-supported")));
    assert_eq!(answer("deep", &[]), err(record_of_all("not-supported", TEXT)));
    assert_eq!(answer("unit", &[]), Val::Result(Err(None)));
    // The first case needs a stream, which cannot be made.
    let known = Val::Tuple(vec![Val::U8(0), Val::S64(0), Val::Float32(0.0)]);
    assert_eq!(
        answer("chosen", &[]),
        err(Val::Variant("known".into(), Some(Box::new(known))))
    );
}

#[test]
fn what_is_no_result_is_empty() {
    assert_eq!(answer("bare", &[]), level("low"));
    let nested = Val::Record(vec![
        ("inner".into(), err(level("not-supported"))),
        ("size".into(), Val::U16(0)),
        ("end".into(), Val::Char('\0')),
    ]);
    assert_eq!(
        answer("alone", &[]),
        Val::Tuple(vec![Val::U8(0), Val::Flags(vec![]), text(""), nested])
    );
}

#[test]
fn arguments_of_any_size_and_shape_are_taken_and_not_read() {
    let record = record_of_all("high", "here");
    let places = (0..1000).map(|_| place(&"x".repeat(200))).collect();
    let arguments = [
        Val::List(places),
        text(&"y".repeat(300_000)),
        record.clone(),
        record,
    ];
    assert_eq!(answer("many", &arguments), err(text(TEXT)));
}

#[test]
fn a_handle_within_a_variant_is_given_back() {
    let name = "wasi:new/thing@0.2.0";
    let wit = "package wasi:io@0.2.0 { interface poll { resource pollable { constructor(); } } }
        package wasi:new@0.2.0 { interface thing {
            use wasi:io/poll@0.2.0.{pollable};
            variant choice { number(u64), one(pollable), two(tuple<u8, pollable>) }
            takes: func(what: choice, seen: option<borrow<pollable>>);
        } }";
    let target = deny::Target {
        interface: InterfaceName::parse(name).unwrap(),
        needs: Needs::Everything,
    };
    let denial = deny::generate(&prober(wit, &[&format!("{name}#takes")]), &[target]).unwrap();
    let (engine, dropped) = (engine(), Arc::new(AtomicUsize::new(0)));
    let mut linker = Linker::new(&engine);
    let counted = Arc::clone(&dropped);
    let count = move |_: StoreContextMut<'_, ()>, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let mut poll = linker.instance("wasi:io/poll@0.2.0").unwrap();
    poll.resource("pollable", ResourceType::host::<()>(), count)
        .unwrap();
    let mut store = Store::new(&engine, ());
    let component = Component::new(&engine, denial).unwrap();
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let interface = instance.get_export_index(&mut store, None, name).unwrap();
    let takes = instance
        .get_export_index(&mut store, Some(&interface), "takes")
        .unwrap();
    let takes = instance.get_func(&mut store, takes).unwrap();
    let pollable = |store: &mut Store<()>| {
        Val::Resource(ResourceAny::try_from_resource(Resource::<()>::new_own(7), store).unwrap())
    };
    for (case, expected) in [("number", 0), ("one", 1), ("two", 2)] {
        let payload = match case {
            "number" => Val::U64(u64::MAX),
            "one" => pollable(&mut store),
            _ => Val::Tuple(vec![Val::U8(1), pollable(&mut store)]),
        };
        let seen = Val::Option(Some(Box::new(pollable(&mut store))));
        let what = Val::Variant(case.into(), Some(Box::new(payload)));
        takes.call(&mut store, &[what, seen], &mut []).unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), expected, "{case}");
    }
}

#[test]
fn a_denied_interface_with_types_that_only_the_host_could_have_is_an_error() {
    let wit = "package wasi:io@0.2.0 { interface odd {
            use wasi:new/thing@0.2.0.{level};
            resource gate { constructor(); at: func() -> level; }
        } }
        package wasi:new@0.2.0 {
            interface thing { enum level { low, high } get: func() -> level; }
        }
        package wasi:newer@0.2.0 {
            interface user { use wasi:io/odd@0.2.0.{gate}; pass: func(through: gate); }
        }";
    let calls = [
        "wasi:new/thing@0.2.0#get",
        "wasi:io/odd@0.2.0#[constructor]gate",
        "wasi:io/odd@0.2.0#[method]gate.at",
        "wasi:newer/user@0.2.0#pass",
    ];
    let targets = ["wasi:new/thing@0.2.0", "wasi:newer/user@0.2.0"].map(|name| deny::Target {
        interface: InterfaceName::parse(name).unwrap(),
        needs: Needs::Everything,
    });
    let error = deny::generate(&prober(wit, &calls), &targets).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it imports `wasi:io/odd@0.2.0`, which has types of the denied `wasi:new/thing@0.2.0`"
    );
}
