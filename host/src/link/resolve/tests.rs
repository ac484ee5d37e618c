//! Who serves whom, and what is said when nobody can.

use super::*;
use crate::link::contract::Type;
use crate::link::contract::sample::{contract, function, result};
use crate::link::contract::{Item, Unsupported};

const PRODUCTS: &str = "shop:catalog/products@1.0.0";

fn service(name: &str) -> ServiceContracts {
    ServiceContracts {
        name: ServiceName::parse(name).unwrap(),
        imports: Vec::new(),
        other_imports: Vec::new(),
        exports: Vec::new(),
        links: BTreeMap::new(),
        sync_only: false,
    }
}

/// A function whose failures are carried.
fn get() -> Function {
    function(
        &[("id", Type::String)],
        Some(result(Some(Type::U64), Some(Type::String))),
    )
}

fn with_get(interface: &str) -> Contract {
    contract(interface, &[("get", get())])
}

fn interface(text: &str) -> InterfaceName {
    InterfaceName::parse(text).unwrap()
}

impl ServiceContracts {
    fn importing(mut self, interface: &str) -> Self {
        self.imports.push(with_get(interface));
        self
    }

    fn exporting(mut self, interface: &str) -> Self {
        self.exports.push(with_get(interface));
        self
    }

    fn linking(mut self, key: &str, to: &str) -> Self {
        let link = ExplicitLink {
            service: ServiceName::parse(to).unwrap(),
            location: "spin.toml:7:1".into(),
        };
        self.links.insert(interface(key), link);
        self
    }
}

/// `caller import -> callee export` for each link of an app without errors.
fn links(services: &[ServiceContracts]) -> Vec<String> {
    let resolution = resolve(services);
    assert_eq!(resolution.errors, []);
    let shown = resolution.links.iter().map(|link| {
        let arrow = if link.explicit { "=>" } else { "->" };
        format!(
            "{} {} {arrow} {} {}",
            link.caller, link.import, link.callee, link.export
        )
    });
    shown.collect()
}

/// The one error of an app, and its hint.
fn error(services: &[ServiceContracts]) -> (String, String) {
    let errors = resolve(services).errors;
    assert_eq!(errors.len(), 1, "{errors:?}");
    (errors[0].to_string(), errors[0].hint().unwrap_or_default())
}

#[test]
fn the_single_other_service_that_exports_an_interface_serves_it() {
    let orders = service("orders").importing(PRODUCTS);
    let catalog = service("catalog").exporting("shop:catalog/products@1.2.0");
    let auth = service("auth").exporting("shop:auth/tokens@1.0.0");
    assert_eq!(
        links(&[orders, catalog, auth]),
        ["orders shop:catalog/products@1.0.0 -> catalog shop:catalog/products@1.2.0"]
    );
}

#[test]
fn the_newest_version_that_serves_is_taken() {
    let orders = service("orders").importing(PRODUCTS);
    let catalog = service("catalog")
        .exporting("shop:catalog/products@1.9.0")
        .exporting("shop:catalog/products@1.10.0")
        .exporting("shop:catalog/products@2.0.0");
    let found = links(&[orders, catalog]);
    assert!(found[0].ends_with("products@1.10.0"), "{found:?}");
}

#[test]
fn an_explicit_link_decides_between_exporters_and_outranks_the_only_one() {
    let catalogs = [
        service("catalog").exporting(PRODUCTS),
        service("old-catalog").exporting(PRODUCTS),
    ];
    let with = |orders: ServiceContracts| [&[orders], catalogs.as_slice()].concat();
    for key in [PRODUCTS, "shop:catalog/products@1.4.0"] {
        let orders = service("orders").importing(PRODUCTS).linking(key, "old-catalog");
        let found = links(&with(orders));
        assert!(found[0].contains("=> old-catalog"), "{key}: {found:?}");
    }
    // The key of the import's own version comes before others of its track.
    let orders = service("orders")
        .importing(PRODUCTS)
        .linking("shop:catalog/products@1.4.0", "catalog")
        .linking(PRODUCTS, "old-catalog");
    let resolution = resolve(&with(orders));
    assert_eq!(resolution.links[0].callee.to_string(), "old-catalog");
    assert_eq!(resolution.warnings.len(), 1, "the other key is not used");
}

#[test]
fn a_link_that_no_import_needs_is_warned_of() {
    let orders = service("orders")
        .importing(PRODUCTS)
        .linking("shop:catalog/products@2.0.0", "catalog");
    let catalog = service("catalog").exporting(PRODUCTS);
    let warnings = resolve(&[orders, catalog]).warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        warnings[0].to_string(),
        "spin.toml:7:1: the link of `shop:catalog/products@2.0.0` to `catalog` is not used: `orders` has no import that \
         it could serve"
    );
    assert_eq!(
        warnings[0].hint().unwrap(),
        "did you mean `shop:catalog/products@1.0.0`?"
    );
}

#[test]
fn an_explicit_link_to_a_service_that_cannot_serve_says_what_it_exports() {
    let orders = service("orders").importing(PRODUCTS).linking(PRODUCTS, "catalog");
    let newer = service("catalog").exporting("shop:catalog/products@2.0.0");
    let (message, hint) = error(&[orders.clone(), newer]);
    assert_eq!(
        message,
        "spin.toml:7:1: `catalog` is to serve `shop:catalog/products@1.0.0` for `orders`, and it exports only \
         `shop:catalog/products@2.0.0`"
    );
    assert!(
        hint.contains("build `orders` against `shop:catalog/products@2.0.0`"),
        "{hint}"
    );

    let other = service("catalog")
        .exporting("shop:catalog/prices@1.0.0")
        .exporting("shop:auth/tokens@1.0.0");
    let (message, hint) = error(&[orders.clone(), other]);
    assert!(
        message.ends_with("it does not export `shop:catalog/products`"),
        "{message}"
    );
    assert!(hint.contains("it exports `shop:catalog/prices@1.0.0`"), "{hint}");

    // Even if another service does export it.
    let (message, _) = error(&[orders, service("catalog"), service("rest").exporting(PRODUCTS)]);
    assert!(message.contains("`catalog` is to serve"), "{message}");
}

#[test]
fn an_explicit_link_to_itself_or_to_nobody_is_an_error() {
    let orders = |to| {
        service("orders")
            .importing(PRODUCTS)
            .exporting(PRODUCTS)
            .linking(PRODUCTS, to)
    };
    let (message, _) = error(&[orders("orders")]);
    assert!(message.contains("no service serves itself"), "{message}");
    let (message, hint) = error(&[orders("catalogue"), service("catalog")]);
    assert!(message.contains("`catalogue`"), "{message}");
    assert_eq!(hint, "the other services are `catalog`");
}

#[test]
fn an_older_export_does_not_serve_and_is_named() {
    let orders = service("orders").importing("shop:catalog/products@1.2.0");
    let (message, hint) = error(&[orders, service("catalog").exporting(PRODUCTS)]);
    assert_eq!(
        message,
        "`orders` imports `shop:catalog/products@1.2.0`, which neither the host nor another service provides"
    );
    assert_eq!(
        hint,
        "`catalog` exports `shop:catalog/products@1.0.0`: build `catalog` against `shop:catalog/products@1.2.0`; what it \
         exports is older"
    );

    // Of two that do not serve, the one that would after a new build is the one to build.
    let (_, hint) = error(&[
        service("orders").importing("shop:catalog/products@1.2.0"),
        service("next").exporting("shop:catalog/products@2.0.0"),
        service("catalog").exporting(PRODUCTS),
    ]);
    assert!(hint.contains("build `catalog` against"), "{hint}");
}

#[test]
fn an_import_that_nobody_exports_says_what_to_write() {
    let orders = service("orders").importing(PRODUCTS);
    let (_, hint) = error(&[
        orders.clone(),
        service("stock").exporting("shop:stock/products@1.0.0"),
    ]);
    assert!(
        hint.starts_with("`stock` exports `shop:stock/products@1.0.0`."),
        "{hint}"
    );
    assert!(
        hint.ends_with("[component.orders.dependencies]\n\"shop:catalog@1.0.0\" = { path = \"…\" }"),
        "{hint}"
    );

    let (_, hint) = error(&[orders.exporting(PRODUCTS)]);
    assert!(
        hint.starts_with("`orders` exports it, but no service serves itself."),
        "{hint}"
    );

    let (_, hint) = error(&[service("orders").importing("wasi:nn/tensor@0.2.0")]);
    assert!(hint.contains("an interface of a host"), "{hint}");
}

#[test]
fn two_exporters_are_named_with_the_lines_that_choose_one() {
    let (message, hint) = error(&[
        service("a").exporting(PRODUCTS),
        service("orders").importing(PRODUCTS),
        service("b").exporting("shop:catalog/products@1.1.0"),
        service("c").exporting("shop:catalog/products@2.0.0"),
    ]);
    assert_eq!(
        message,
        "`orders` imports `shop:catalog/products@1.0.0`, which 2 services export: `a`, `b`"
    );
    assert_eq!(
        hint,
        "choose one in the manifest:\n[component.orders.tool.midplane.links]\n\"shop:catalog/products@1.0.0\" = \"a\""
    );
}

#[test]
fn a_service_may_export_what_it_imports_and_services_may_serve_each_other() {
    let orders = service("orders").importing(PRODUCTS).exporting(PRODUCTS);
    let catalog = service("catalog").exporting(PRODUCTS).importing(PRODUCTS);
    assert_eq!(
        links(&[orders, catalog]),
        [
            "orders shop:catalog/products@1.0.0 -> catalog shop:catalog/products@1.0.0",
            "catalog shop:catalog/products@1.0.0 -> orders shop:catalog/products@1.0.0",
        ]
    );
}

#[test]
fn what_does_not_fit_is_told_of_every_import_and_the_rest_is_linked() {
    let mut orders = service("orders")
        .importing(PRODUCTS)
        .importing("shop:auth/tokens@1.0.0")
        .importing("shop:stock/levels@1.0.0");
    orders.other_imports.push("log".into());
    let mut catalog = service("catalog");
    let changed = function(
        &[("id", Type::String)],
        Some(result(Some(Type::U32), Some(Type::String))),
    );
    catalog.exports.push(contract(PRODUCTS, &[("get", changed)]));
    let auth = service("auth").exporting("shop:auth/tokens@1.0.0");

    let resolution = resolve(&[orders, catalog, auth]);
    assert_eq!(resolution.links.len(), 1);
    let errors: Vec<String> = resolution.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "`orders` imports `log`, which is no interface and which the host does not provide",
            "`orders` imports `shop:catalog/products@1.0.0`, and `shop:catalog/products@1.0.0` of `catalog` does not fit: \
             `get` of `shop:catalog/products@1.0.0`: in the result, ok: expected u64, found u32 \
             (expected `result<u64, string>`, found `result<u32, string>`)",
            "`orders` imports `shop:stock/levels@1.0.0`, which neither the host nor another service provides",
        ]
    );
    assert!(resolution.errors.iter().all(|error| error.hint().is_some()));
    assert!(
        resolution
            .errors
            .iter()
            .all(|error| error.caller().as_str() == "orders")
    );
}

#[test]
fn resources_and_streams_are_refused_by_name() {
    let mut contract = contract(
        PRODUCTS,
        &[(
            "read",
            function(
                &[],
                Some(Type::Unsupported(Unsupported::Stream(Some(Box::new(Type::U8))))),
            ),
        )],
    );
    contract.items.insert("session".into(), Item::Resource);
    let mut orders = service("orders");
    orders.imports.push(contract.clone());
    let mut catalog = service("catalog");
    catalog.exports.push(contract);
    let (message, hint) = error(&[orders, catalog]);
    assert_eq!(
        message,
        "`orders` imports `shop:catalog/products@1.0.0` from `catalog`, and not all of it can cross from service to \
         service:\n  `shop:catalog/products@1.0.0` has the resource `session`\n  \
         `read` of `shop:catalog/products@1.0.0` has a stream in the result"
    );
    assert!(hint.contains("list<u8>"), "{hint}");
}

#[test]
fn an_async_func_is_refused_to_a_caller_that_cannot_wait() {
    let concurrent = Function {
        is_async: true,
        ..get()
    };
    let both = contract(PRODUCTS, &[("get", concurrent), ("peek", get())]);
    let mut orders = service("orders");
    orders.imports.push(both.clone());
    let mut catalog = service("catalog");
    catalog.exports.push(both);
    assert_eq!(links(&[orders.clone(), catalog.clone()]).len(), 1);

    orders.sync_only = true;
    let (message, hint) = error(&[orders, catalog]);
    assert_eq!(
        message,
        "`orders` exports nothing that can wait, and imports `get` of `shop:catalog/products@1.0.0` from `catalog` as \
         `async func`: such a call can only trap"
    );
    assert!(
        hint.contains("make `get` a plain `func` in `shop:catalog/products@1.0.0`"),
        "{hint}"
    );
}

#[test]
fn functions_that_cannot_carry_a_failure_are_warned_of_once_a_link() {
    let silent = contract(
        PRODUCTS,
        &[
            ("count", function(&[], Some(Type::U32))),
            ("get", get()),
            ("ping", function(&[], None)),
        ],
    );
    let mut orders = service("orders");
    orders.imports.push(silent.clone());
    let mut catalog = service("catalog");
    catalog.exports.push(silent);
    let resolution = resolve(&[orders, catalog]);
    assert_eq!(resolution.links.len(), 1);
    assert_eq!(resolution.warnings.len(), 1);
    assert_eq!(
        resolution.warnings[0].to_string(),
        "`orders` traps when a call of `shop:catalog/products@1.0.0` to `catalog` fails:\n  `count` returns no `result`\n  \
         `ping` returns no `result`"
    );
    assert!(
        resolution.warnings[0]
            .hint()
            .unwrap()
            .contains("unavailable(string)")
    );
}

#[test]
fn a_new_revision_is_held_against_those_who_call_it() {
    let app = [
        service("orders").importing(PRODUCTS),
        service("rest").importing("shop:catalog/products@1.1.0"),
        service("catalog").exporting("shop:catalog/products@1.1.0"),
        service("stock").importing("shop:auth/tokens@1.0.0"),
        service("auth").exporting("shop:auth/tokens@1.0.0"),
    ];
    let links = resolve(&app).links;
    let catalog = ServiceName::parse("catalog").unwrap();
    let gate = |exports: &[Contract]| -> Vec<String> {
        let errors = check_callers(&catalog, exports, &links);
        assert!(errors.iter().all(|error| error.hint().is_some()));
        errors.iter().map(ToString::to_string).collect()
    };

    // The same, newer, or with more functions: no objection.
    assert_eq!(gate(&[with_get("shop:catalog/products@1.1.0")]), [""; 0]);
    let more = contract("shop:catalog/products@1.2.0", &[("get", get()), ("find", get())]);
    assert_eq!(gate(&[more, with_get("shop:catalog/products@2.0.0")]), [""; 0]);

    // Older: one of the two callers asks for more.
    assert_eq!(
        gate(&[with_get(PRODUCTS)]),
        [
            "`rest` imports `shop:catalog/products@1.1.0` from `catalog`, and it exports only \
             `shop:catalog/products@1.0.0`"
        ]
    );
    // Changed, or gone: both.
    let changed = contract("shop:catalog/products@1.1.0", &[("get", function(&[], None))]);
    let errors = gate(&[changed]);
    assert_eq!(errors.len(), 2);
    assert!(
        errors[0].contains("expected the parameter `id` as well"),
        "{errors:?}"
    );
    let errors = gate(&[]);
    assert_eq!(errors.len(), 2);
    assert!(
        errors[1].ends_with("it does not export `shop:catalog/products`"),
        "{errors:?}"
    );
}

#[test]
fn an_interface_of_types_alone_needs_nobody() {
    let mut caller = service("orders").linking("shop:catalog/types@1.0.0", "catalog");
    caller.imports.push(contract("shop:catalog/types@1.0.0", &[]));
    let resolution = resolve(&[caller, service("catalog")]);
    assert_eq!(resolution.errors.len() + resolution.warnings.len(), 0);
    assert!(resolution.links.is_empty());
}
