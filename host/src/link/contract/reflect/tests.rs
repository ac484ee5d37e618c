//! Components become contracts, hostile ones included.

use proptest::prelude::*;
use wasmtime::component::Component;

use super::*;
use crate::link::contract::sample::{contract, engine, exporter, function, importer, ty};
use crate::link::contract::{mismatches, unsupported};

fn component(text: &str) -> Component {
    match Component::new(&engine(), text) {
        Ok(component) => component,
        Err(error) => panic!("{error:#}\n{text}"),
    }
}

fn all_imports(text: &str) -> Imports {
    imports(&component(text), &|_| false).unwrap()
}

#[test]
fn imports_are_interfaces_that_nobody_provides_and_the_names_of_what_is_none() {
    let component = component(
        r#"(component
            (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func (result u64)))))
            (import "shop:a/b@1.0.0" (instance (export "f" (func async (param "x" u32) (result string)))))
            (import "log" (func (param "line" string)))
            (import "answer" (instance (export "get" (func (result u8))))))"#,
    );
    let found = imports(&component, &|name| name.starts_with("wasi:")).unwrap();
    let wanted = Function {
        is_async: true,
        ..function(&[("x", Type::U32)], Some(Type::String))
    };
    assert_eq!(found.contracts, [contract("shop:a/b@1.0.0", &[("f", wanted)])]);
    assert_eq!(found.others, ["log", "answer"]);
}

#[test]
fn exports_say_whether_anything_in_them_can_wait() {
    let module = r#"(core module $code (func (export "f")))
                    (core instance $core (instantiate $code))
                    (func $f (canon lift (core func $core "f")))
                    (instance $served (export "f" (func $f)))"#;
    let plain = format!("(component {module} (export \"a:b/c@1.0.0\" (instance $served)))");
    let exports_of = |text: &str| exports(&component(text)).unwrap();

    let found = exports_of(&plain);
    assert_eq!(
        found.contracts,
        [contract("a:b/c@1.0.0", &[("f", function(&[], None))])]
    );
    assert!(found.sync_only && found.others.is_empty());

    let bare = exports_of(&format!(
        "(component {module} (export \"run\" (func $f)) (export \"rest\" (instance $served)))"
    ));
    assert_eq!(bare.others, ["run", "rest"]);
    assert!(bare.sync_only && bare.contracts.is_empty());

    let concurrent = r#"(component
        (core module $code (func (export "f")))
        (core instance $core (instantiate $code))
        (func $f async (canon lift (core func $core "f")))
        (instance $served (export "f" (func $f)))
        (export "a:b/c@1.0.0" (instance $served)))"#;
    assert!(!exports_of(concurrent).sync_only);
    let mixed = plain.replace(
        "(export \"a:b/c",
        "(func $g async (canon lift (core func $core \"f\"))) (export \"g\" (func $g)) (export \"a:b/c",
    );
    assert!(!exports_of(&mixed).sync_only);
    assert!(
        !exports_of("(component)").sync_only,
        "nothing is called, so nothing traps"
    );
}

#[test]
fn resources_streams_and_futures_are_named_with_their_place() {
    let found = all_imports(
        r#"(component
            (import "shop:files/types@1.0.0" (instance $types (export "file" (type (sub resource)))))
            (alias export $types "file" (type $file))
            (import "shop:files/store@1.0.0" (instance
                (export "file" (type $own (eq $file)))
                (export "session" (type $session (sub resource)))
                (type $handles (list (own $own)))
                (export "open" (func (param "session" (borrow $session)) (result $handles)))
                (type $bytes (stream u8))
                (type $done (future))
                (type $both (tuple $bytes $done))
                (type $outcome (result $both (error error-context)))
                (export "read" (func (result $outcome)))
                (export "plain" (func (param "x" u8))))))"#,
    );
    let store = &found.contracts[1];
    assert_eq!(store.items.len(), 2);
    let messages: Vec<String> = unsupported(store).iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "`shop:files/store@1.0.0` has the resource `file`",
            "`shop:files/store@1.0.0` has the resource `session`",
            "`open` of `shop:files/store@1.0.0` has a handle that borrows the resource `session` of \
             `shop:files/store@1.0.0` in the parameter `session`",
            "`open` of `shop:files/store@1.0.0` has a handle that owns the resource `file` of \
             `shop:files/types@1.0.0` in the result, list element",
            "`read` of `shop:files/store@1.0.0` has a stream in the result, ok, tuple member 1",
            "`read` of `shop:files/store@1.0.0` has a future in the result, ok, tuple member 2",
            "`read` of `shop:files/store@1.0.0` has an error-context in the result, error",
        ]
    );
}

#[test]
fn resources_of_two_components_are_compared_without_a_panic() {
    let text = r#"(component (import "a:b/c@1.0.0" (instance
        (export "r" (type $r (sub resource)))
        (type $list (list (own $r)))
        (export "f" (func (param "all" $list) (result $list))))))"#;
    let (first, second) = (all_imports(text), all_imports(text));
    let (first, second) = (&first.contracts[0], &second.contracts[0]);
    assert_eq!(mismatches(first, second), []);
    assert_eq!(unsupported(first).len(), 3);

    // One that is defined, and exported.
    let defined = component(
        r#"(component
            (type $r' (resource (rep i32)))
            (core module $code
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "f") (param i32 i32) (result i32) unreachable))
            (core instance $core (instantiate $code))
            (export $r "r" (type $r'))
            (type $list (list (own $r)))
            (func $f (param "all" $list) (result $list) (canon lift (core func $core "f")
                (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))
            (instance $served (export "r" (type $r)) (export "f" (func $f)))
            (export "a:b/c@1.0.0" (instance $served)))"#,
    );
    let offered = exports(&defined).unwrap();
    assert_eq!(mismatches(first, &offered.contracts[0]), []);
    assert_eq!(unsupported(&offered.contracts[0]).len(), 3);
}

/// `levels` types, each a pair of the one before.
fn pairs(levels: usize) -> String {
    let mut text = String::from("(component (type $t0 u8)\n");
    for level in 1..=levels {
        text.push_str(&format!("(type $t{level} (tuple $t{0} $t{0}))\n", level - 1));
    }
    format!("{text}(import \"a:b/c@1.0.0\" (instance (export \"f\" (func (param \"x\" $t{levels}))))))")
}

#[test]
fn a_type_that_is_short_in_the_file_and_huge_when_written_out_is_refused_by_name() {
    let read = |levels| imports(&component(&pairs(levels)), &|_| false);
    assert!(read(11).is_ok());
    let error = read(17).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`f` of `a:b/c@1.0.0` has types of more than 10000 parts when they are written out"
    );
    assert!(error.hint().is_some());
    // Beyond that, Wasmtime itself refuses it.
    assert!(Component::new(&engine(), pairs(40)).is_err());
}

#[test]
fn many_functions_with_large_types_are_bounded_together() {
    let mut text = pairs(11);
    text.truncate(text.find("(import").unwrap());
    for interface in 0..60 {
        text.push_str(&format!(
            "(import \"a:b/c{interface}@1.0.0\" (instance (export \"f\" (func (param \"x\" $t11)))))\n"
        ));
    }
    let error = imports(&component(&format!("{text})")), &|_| false).unwrap_err();
    assert!(matches!(error, ReflectError::Component { .. }), "{error}");
}

#[test]
fn names_are_bounded_together() {
    let long = "a".repeat(90_000);
    let mut text = format!("(component (type $t' (enum \"{long}\")) (import \"t\" (type $t (eq $t')))\n");
    let uses: String = (0..100).map(|index| format!("(param \"p{index}\" $t)")).collect();
    text.push_str(&format!(
        "(import \"a:b/c@1.0.0\" (instance (export \"f\" (func {uses})))))"
    ));
    let error = imports(&component(&text), &|_| false).unwrap_err();
    assert!(matches!(error, ReflectError::Component { .. }), "{error}");
}

#[test]
fn a_type_that_is_nested_deeply_is_refused_by_name() {
    let nested = |levels: usize| {
        let ty = (1..levels).fold("u8".to_owned(), |ty, _| format!("(list {ty})"));
        format!("(component (import \"a:b/c@1.0.0\" (instance (export \"f\" (func (result {ty}))))))")
    };
    assert_eq!(all_imports(&nested(MAX_DEPTH)).contracts.len(), 1);
    let error = imports(&component(&nested(MAX_DEPTH + 1)), &|_| false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`f` of `a:b/c@1.0.0` has a type that is nested more than 64 levels deep"
    );
}

#[test]
fn bytes_that_are_no_component_are_an_error() {
    let engine = engine();
    assert!(exports_of_bytes(&engine, b"").is_err());
    assert!(exports_of_bytes(&engine, b"\0asm\x01\0\0\0").is_err());
    assert_eq!(
        exports_of_bytes(&engine, b"\0asm\x0d\0\x01\0").unwrap(),
        Exports::default()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_import_reflects_to_the_types_that_it_was_written_with(
        param in ty(),
        second in ty(),
        result in proptest::option::of(ty()),
        is_async: bool,
    ) {
        let written = Function { is_async, ..function(&[("first", param), ("second", second)], result) };
        let found = all_imports(&importer("t:t/api@1.2.3", "go", &written));
        prop_assert_eq!(found.contracts, [contract("t:t/api@1.2.3", &[("go", written)])]);
    }

    #[test]
    fn an_export_reflects_to_the_types_that_it_was_written_with_and_fits_its_importer(ty in ty()) {
        let (text, written) = exporter("t:t/api@1.0.0", "go", &ty);
        let offered = exports(&component(&text)).unwrap();
        prop_assert_eq!(&offered.contracts, &[contract("t:t/api@1.0.0", &[("go", written.clone())])]);
        let wanted = all_imports(&importer("t:t/api@1.0.0", "go", &written));
        prop_assert_eq!(mismatches(&wanted.contracts[0], &offered.contracts[0]), []);
    }
}
