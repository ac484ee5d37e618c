//! Which import is served by what, and what is refused.

use std::borrow::Cow;

use semver::Version;

use super::super::*;
use super::support::{MEMORY, Running, component, interface};

/// The main component: `run` adds up what it imports.
fn main_of(imports: &[(&str, &str)]) -> Vec<u8> {
    let (mut wit, mut packages, mut core, mut calls) = Default::default();
    for (index, (interface, params)) in imports.iter().enumerate() {
        let _: (&String, &String, &String, &String) = (&wit, &packages, &core, &calls);
        let (package, rest) = interface.split_once('/').unwrap();
        let (name, version) = rest.split_once('@').unwrap();
        wit += &format!("import {interface};");
        packages +=
            &format!("package {package}@{version} {{ interface {name} {{ get: func({params}) -> u32; }} }}");
        let params: String = params
            .split(',')
            .filter(|param| !param.is_empty())
            .map(|_| "i32 ")
            .collect();
        core += &format!("(import {interface:?} \"get\" (func $get{index} (param {params}) (result i32)))");
        let arguments = params.replace("i32 ", "(i32.const 0)");
        calls += &format!("(call $get{index} {arguments}) i32.add ");
    }
    let wit = format!("package test:main; world test {{ {wit} export run: func() -> u32; }} {packages}");
    component(
        &wit,
        &format!(r#"{core} {MEMORY} (func (export "run") (result i32) (i32.const 0) {calls})"#),
    )
}

/// A component that exports an interface; each call of `get` gives `first`, then one more.
fn provider(name: &str, first: u32) -> Vec<u8> {
    let (package, rest) = name.split_once('/').unwrap();
    let (short, version) = rest.split_once('@').unwrap();
    component(
        &format!(
            "package test:provider; world test {{ export {name}; }}
             package {package}@{version} {{ interface {short} {{ get: func() -> u32; }} }}"
        ),
        &format!(
            r#"{MEMORY} (global $next (mut i32) (i32.const {first}))
            (func (export "{name}#get") (result i32)
                (global.get $next) (global.set $next (i32.add (global.get $next) (i32.const 1))))"#
        ),
    )
}

fn interface_name(name: &str) -> DependencyName {
    DependencyName::Interface(InterfaceName::parse(name).unwrap())
}

fn package(package: &str, version: &str) -> DependencyName {
    DependencyName::Package {
        package: package.into(),
        version: Some(Version::parse(version).unwrap()),
    }
}

fn part(name: DependencyName, bytes: Vec<u8>) -> Part {
    Part {
        name,
        bytes,
        export: None,
        inherit: Inherit::Nothing,
    }
}

const PRODUCTS: &str = "shop:catalog/products@1.0.0";
const INVENTORY: &str = "shop:stock/inventory@1.0.0";

fn nothing_kept(_: &str) -> bool {
    false
}

fn refused(main: &[u8], parts: &[Part]) -> ComposeError {
    compose(main, parts, &nothing_kept).map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn an_interface_is_served_and_only_the_exports_of_the_main_component_are_left() {
    let main = main_of(&[(PRODUCTS, ""), (INVENTORY, "")]);
    let parts = [part(interface_name(PRODUCTS), provider(PRODUCTS, 40))];
    let composed = compose(&main, &parts, &nothing_kept).unwrap();
    assert_eq!(
        composed.satisfied,
        [Satisfied {
            import: PRODUCTS.into(),
            part: interface_name(PRODUCTS)
        }]
    );
    assert_eq!((composed.unused.len(), composed.denied.len()), (0, 0));
    assert_eq!(
        interface(&composed.bytes),
        (vec![INVENTORY.to_owned()], vec!["run".to_owned()])
    );
    let other = [part(package("shop:stock", "1.0.0"), provider(INVENTORY, 2))];
    let whole = compose(&composed.bytes, &other, &nothing_kept).unwrap();
    assert_eq!(Running::start(&whole.bytes).await.run().await, 42);
}

#[tokio::test]
async fn a_newer_version_serves_an_older_import_and_an_export_can_be_named() {
    let main = main_of(&[(PRODUCTS, "")]);
    let newer = provider("shop:catalog/products@1.2.0", 7);
    let composed = compose(
        &main,
        &[part(package("shop:catalog", "1.0.0"), newer)],
        &nothing_kept,
    )
    .unwrap();
    assert_eq!(Running::start(&composed.bytes).await.run().await, 7);

    let other = Part {
        export: Some("other:shop/wares@3.0.0".into()),
        ..part(interface_name(PRODUCTS), provider("other:shop/wares@3.0.0", 9))
    };
    let composed = compose(&main, &[other], &nothing_kept).unwrap();
    assert_eq!(Running::start(&composed.bytes).await.run().await, 9);

    let older = provider("shop:catalog/products@2.0.0", 7);
    assert!(matches!(
        refused(&main, &[part(package("shop:catalog", "1.0.0"), older)]),
        ComposeError::NoExport { what, export, exports }
            if what == "the dependency `shop:catalog@1.0.0`" && export == PRODUCTS
                && exports == ["shop:catalog/products@2.0.0"]
    ));
}

#[tokio::test]
async fn a_plain_name_is_served() {
    let main = component(
        "package test:main; world test { import price: func() -> u32; export run: func() -> u32; }",
        &format!(
            r#"(import "$root" "price" (func $price (result i32))) {MEMORY}
            (func (export "run") (result i32) (call $price))"#
        ),
    );
    let dependency = component(
        "package test:provider; world test { export cost: func() -> u32; }",
        &format!(r#"{MEMORY} (func (export "cost") (result i32) (i32.const 5))"#),
    );
    let parts = [Part {
        export: Some("cost".into()),
        ..part(DependencyName::Plain("price".into()), dependency)
    }];
    let composed = compose(&main, &parts, &nothing_kept).unwrap();
    assert_eq!(interface(&composed.bytes).0, [""; 0]);
    assert_eq!(Running::start(&composed.bytes).await.run().await, 5);
}

#[tokio::test]
async fn one_component_under_two_names_is_one_instance() {
    let two = [
        ("shop:catalog/products@1.0.0", ""),
        ("shop:catalog/products@2.0.0", ""),
    ];
    let main = main_of(&two);
    let both = |first: Vec<u8>, second: Vec<u8>| {
        let export = Some(PRODUCTS.to_owned());
        [
            part(package("shop:catalog", "1.0.0"), first),
            Part {
                export,
                ..part(package("shop:catalog", "2.0.0"), second)
            },
        ]
    };
    let parts = both(provider(PRODUCTS, 10), provider(PRODUCTS, 10));
    let composed = compose(&main, &parts, &nothing_kept).unwrap();
    assert_eq!(Running::start(&composed.bytes).await.run().await, 10 + 11);
    let parts = both(provider(PRODUCTS, 10), provider(PRODUCTS, 20));
    let composed = compose(&main, &parts, &nothing_kept).unwrap();
    assert_eq!(Running::start(&composed.bytes).await.run().await, 10 + 20);
}

#[test]
fn what_is_kept_is_left_alone_and_nothing_to_do_changes_no_byte() {
    let main = main_of(&[(PRODUCTS, ""), (INVENTORY, "")]);
    let parts = [
        part(package("shop:catalog", "1.0.0"), provider(PRODUCTS, 1)),
        part(package("shop:stock", "1.0.0"), provider(INVENTORY, 1)),
    ];
    let composed = compose(&main, &parts, &|import| import == PRODUCTS).unwrap();
    assert_eq!(composed.unused, [package("shop:catalog", "1.0.0")]);
    assert_eq!(interface(&composed.bytes).0, [PRODUCTS]);

    let composed = compose(&main, &parts, &|_| true).unwrap();
    assert_eq!(composed.unused.len(), 2);
    assert!(matches!(composed.bytes, Cow::Borrowed(bytes) if bytes == main));
    let composed = compose(&main, &[], &nothing_kept).unwrap();
    assert!(matches!(composed.bytes, Cow::Borrowed(bytes) if bytes == main));
}

#[tokio::test]
async fn an_interface_of_types_alone_needs_nobody() {
    let package_of_types = "package shop:catalog@1.0.0 {
        interface types { record price { cents: u32 } }
        interface products { use types.{price}; get: func() -> price; } }";
    let main = component(
        &format!(
            "package test:main; world test {{ import {PRODUCTS}; export run: func() -> u32; }} {package_of_types}"
        ),
        &format!(
            r#"(import "{PRODUCTS}" "get" (func $get (result i32))) {MEMORY}
            (func (export "run") (result i32) (call $get))"#
        ),
    );
    let dependency = component(
        &format!("package test:provider; world test {{ export {PRODUCTS}; }} {package_of_types}"),
        &format!(r#"{MEMORY} (func (export "{PRODUCTS}#get") (result i32) (i32.const 3))"#),
    );
    let parts = [part(package("shop:catalog", "1.0.0"), dependency)];
    let composed = compose(&main, &parts, &nothing_kept).unwrap();
    assert_eq!(composed.satisfied.len(), 1);
    assert_eq!(interface(&composed.bytes).0, ["shop:catalog/types@1.0.0"]);
    assert_eq!(Running::start(&composed.bytes).await.run().await, 3);
}

#[test]
fn a_dependency_must_be_for_something_and_for_something_of_its_own() {
    let main = main_of(&[(PRODUCTS, "")]);
    let error = refused(
        &main,
        &[part(package("shop:stock", "1.0.0"), provider(INVENTORY, 1))],
    );
    assert_eq!(
        error.to_string(),
        "the dependency `shop:stock@1.0.0` matches no import of the component"
    );
    assert_eq!(
        error.hint().unwrap(),
        "the component imports `shop:catalog/products@1.0.0`"
    );

    let parts = [
        part(package("shop:catalog", "1.0.0"), provider(PRODUCTS, 1)),
        part(interface_name(PRODUCTS), provider(PRODUCTS, 2)),
    ];
    assert_eq!(
        refused(&main, &parts).to_string(),
        "the dependencies `shop:catalog@1.0.0` and `shop:catalog/products@1.0.0` are both for the import \
         `shop:catalog/products@1.0.0`"
    );
}

#[test]
fn types_that_do_not_fit_are_named() {
    let main = main_of(&[(PRODUCTS, "id: u32,limit: u32")]);
    let error = refused(&main, &[part(interface_name(PRODUCTS), provider(PRODUCTS, 1))]);
    assert_eq!(
        error.to_string(),
        "the dependency `shop:catalog/products@1.0.0` cannot serve the import `shop:catalog/products@1.0.0` of the \
         component: mismatched type for export `get`: expected function with parameter count 2, found parameter count 0"
    );
}

#[test]
fn what_is_no_component_is_refused() {
    let main = main_of(&[(PRODUCTS, "")]);
    let core = wat::parse_str("(module)").unwrap();
    let error = refused(&main, &[part(interface_name(PRODUCTS), core)]);
    assert_eq!(
        error.to_string(),
        "the dependency `shop:catalog/products@1.0.0` is no WebAssembly component: it is a core module"
    );
    let mut damaged = provider(PRODUCTS, 1);
    damaged.truncate(damaged.len() - 1);
    for bytes in [Vec::new(), b"(component)".to_vec(), damaged] {
        let error = refused(&main, &[part(interface_name(PRODUCTS), bytes)]);
        assert!(matches!(error, ComposeError::NoComponent { .. }), "{error:?}");
    }
}

#[test]
fn a_contract_that_a_dependency_imports_is_named() {
    let main = main_of(&[(PRODUCTS, "")]);
    let needy = component(
        &format!(
            "package test:provider; world test {{ import {INVENTORY}; export {PRODUCTS}; }}
             package shop:catalog@1.0.0 {{ interface products {{ get: func() -> u32; }} }}
             package shop:stock@1.0.0 {{ interface inventory {{ get: func() -> u32; }} }}"
        ),
        &format!(
            r#"(import "{INVENTORY}" "get" (func $get (result i32))) {MEMORY}
            (func (export "{PRODUCTS}#get") (result i32) (call $get))"#
        ),
    );
    let mut needy = part(interface_name(PRODUCTS), needy);
    needy.inherit = Inherit::All;
    assert_eq!(
        refused(&main, &[needy]).to_string(),
        "the dependency `shop:catalog/products@1.0.0` imports `shop:stock/inventory@1.0.0` itself, and what a dependency \
         imports is not resolved"
    );
}

#[test]
fn garbage_is_refused_without_a_panic() {
    let main = main_of(&[(PRODUCTS, "")]);
    let good = provider(PRODUCTS, 1);
    for position in (0..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[position] ^= 0x15;
        // Whatever it is now, there is an answer.
        let _ = compose(&main, &[part(interface_name(PRODUCTS), bad)], &nothing_kept);
    }
}

#[test]
fn a_belief_of_a_library_that_does_not_hold_is_an_error() {
    let error = guarded(|| -> Result<(), ComposeError> { panic!("expected {}", "a resource") }).unwrap_err();
    assert!(matches!(error, ComposeError::Unsupported { reason } if reason == "expected a resource"));
}
