//! Services fused along their links.

use std::collections::BTreeMap;

use super::super::*;
use super::support::{MEMORY, Running, component, interface};

/// A component that exports `app:NAME/api@1.0.0`, or `run` if it is the root: the sum of `own`, counted up at each call, and what
/// the services `uses` give.
fn service(name: &str, own: u32, uses: &[&str]) -> Vec<u8> {
    let api = |name: &str| format!("app:{name}/api@1.0.0");
    let packages: String = ["shop", "cart", "price", "stock"]
        .iter()
        .map(|name| format!("package app:{name}@1.0.0 {{ interface api {{ get: func() -> u32; }} }}"))
        .collect();
    let imports: String = uses.iter().map(|name| format!("import {};", api(name))).collect();
    let (exports, export) = match name {
        "root" => ("export run: func() -> u32;".to_owned(), "run".to_owned()),
        name => (format!("export {};", api(name)), format!("{}#get", api(name))),
    };
    let functions: String = uses
        .iter()
        .map(|name| format!(r#"(import "{}" "get" (func ${name} (result i32)))"#, api(name)))
        .collect();
    let calls: String = uses
        .iter()
        .map(|name| format!("(call ${name}) i32.add "))
        .collect();
    component(
        &format!("package test:service; world test {{ {imports} {exports} }} {packages}"),
        &format!(
            r#"{functions} {MEMORY} (global $own (mut i32) (i32.const {own}))
            (func (export "{export}") (result i32)
                (global.get $own) (global.set $own (i32.add (global.get $own) (i32.const 1)))
                {calls})"#
        ),
    )
}

fn link(caller: &str, callee: &str) -> FusedLink {
    let api = format!("app:{callee}/api@1.0.0");
    FusedLink {
        caller: caller.into(),
        import: api.clone(),
        callee: callee.into(),
        export: api,
    }
}

fn app(services: &[(&str, u32, &[&str])]) -> BTreeMap<String, Vec<u8>> {
    services
        .iter()
        .map(|(name, own, uses)| ((*name).to_owned(), service(name, *own, uses)))
        .collect()
}

#[tokio::test]
async fn services_are_fused_along_their_links_each_once() {
    let components = app(&[
        ("root", 1, &["cart", "price"]),
        ("cart", 10, &["price"]),
        ("price", 100, &[]),
        ("stock", 1000, &[]),
    ]);
    let links = [link("root", "cart"), link("root", "price"), link("cart", "price")];
    let fused = fuse("root", &components, &links).unwrap();
    assert_eq!(interface(&fused), (vec![], vec!["run".to_owned()]));
    // Both callers reach the one `price`, which counts.
    assert_eq!(Running::start(&fused).await.run().await, 1 + 10 + 100 + 101);
}

#[test]
fn an_import_without_a_link_is_left_and_a_root_alone_is_what_it_was() {
    let components = app(&[("root", 1, &["cart", "price"]), ("cart", 10, &[])]);
    let fused = fuse("root", &components, &[link("root", "cart")]).unwrap();
    assert_eq!(interface(&fused).0, ["app:price/api@1.0.0"]);
    assert_eq!(fuse("root", &components, &[]).unwrap(), components["root"]);
}

#[test]
fn a_circle_is_named() {
    let components = app(&[
        ("root", 1, &["cart"]),
        ("cart", 1, &["price"]),
        ("price", 1, &["stock"]),
        ("stock", 1, &["cart"]),
    ]);
    let links = [
        link("root", "cart"),
        link("cart", "price"),
        link("price", "stock"),
        link("stock", "cart"),
    ];
    assert_eq!(
        fuse("root", &components, &links).unwrap_err().to_string(),
        "the links lead in a circle: cart → price → stock → cart"
    );
    let components = app(&[("cart", 1, &["cart"])]);
    let error = fuse("cart", &components, &[link("cart", "cart")]).unwrap_err();
    assert_eq!(error.to_string(), "the links lead in a circle: cart → cart");
}

#[test]
fn a_link_that_does_not_hold_is_named() {
    let components = app(&[("root", 1, &["cart"]), ("cart", 1, &[]), ("price", 1, &[])]);
    let refused = |links: &[FusedLink]| fuse("root", &components, links).unwrap_err().to_string();
    assert_eq!(
        refused(&[link("root", "price")]),
        "the component `root` does not import `app:price/api@1.0.0`"
    );
    assert_eq!(
        refused(&[link("root", "stock")]),
        "there is no component `stock` to fuse"
    );
    assert_eq!(
        refused(&[FusedLink {
            callee: "price".into(),
            ..link("root", "cart")
        }]),
        "the component `price` does not export `app:cart/api@1.0.0`"
    );
    let second = FusedLink {
        callee: "price".into(),
        export: "app:price/api@1.0.0".into(),
        ..link("root", "cart")
    };
    assert_eq!(
        refused(&[link("root", "cart"), second]),
        "the import `app:cart/api@1.0.0` of the component `root` is linked twice"
    );
    assert!(fuse("nobody", &components, &[]).is_err());
}
