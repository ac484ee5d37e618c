//! Components as toolchains make them, below manifests that grant much.

use super::*;
use crate::link::ResolvedLink;
use crate::model::ServiceName;

/// What Rust's standard library imports, whatever the program does (target `wasm32-wasip2`).
const RUST: [&str; 20] = [
    "wasi:cli/environment@0.2.6",
    "wasi:cli/exit@0.2.6",
    "wasi:cli/stderr@0.2.6",
    "wasi:cli/stdin@0.2.6",
    "wasi:cli/stdout@0.2.6",
    "wasi:cli/terminal-input@0.2.6",
    "wasi:cli/terminal-output@0.2.6",
    "wasi:cli/terminal-stderr@0.2.6",
    "wasi:cli/terminal-stdin@0.2.6",
    "wasi:cli/terminal-stdout@0.2.6",
    "wasi:clocks/monotonic-clock@0.2.6",
    "wasi:clocks/wall-clock@0.2.6",
    "wasi:filesystem/preopens@0.2.6",
    "wasi:filesystem/types@0.2.6",
    "wasi:io/error@0.2.6",
    "wasi:io/poll@0.2.6",
    "wasi:io/streams@0.2.6",
    "wasi:random/insecure-seed@0.2.6",
    "wasi:random/random@0.2.6",
    "wasi:http/types@0.3.0",
];

const MANIFEST: &str = r#"
spin_manifest_version = 2
application = { name = "app", tool.midplane.data = "per-service" }
[variables]
host = { default = "example.com" }
key = { required = true, secret = true }
[component.catalog]
source = "catalog.wasm"
[component.orders]
source = "orders.wasm"
variables = { url = "https://{{ host }}/{{ key }}/{{ host }}", mode = "fast" }
environment = { RUST_LOG = "info", MODE = "x" }
files = ["assets/**", { source = "static", destination = "/public" }, { source = "/etc/ssl", destination = "/ssl" }]
allowed_outbound_hosts = ["https://{{ host }}"]
key_value_stores = ["default", "cache"]
sqlite_databases = ["default"]
"#;

const HOSTS: [&str; 6] = [
    "https://API.example.com/",
    "http://self",
    "http://catalog.spin.internal",
    "*://10.0.0.0/8:*",
    "tcp://10.1.2.3:5000",
    "redis://cache.example.com",
];

fn app(text: &str) -> App {
    crate::manifest::parse(text, Path::new("/apps/shop/spin.toml")).unwrap()
}

fn of(app: &App, imports: &[&str], links: &[ResolvedLink]) -> Vec<String> {
    let imports: Vec<&str> = RUST.iter().chain(imports).copied().collect();
    let grants = grants(app, &app.services["orders"], &imports, &HOSTS, links);
    grants.lines().map(str::to_owned).collect()
}

/// What `imports` add to what Rust's standard library touches.
fn added_by(imports: &[&str]) -> Vec<String> {
    let app = app(MANIFEST);
    let base: Grants = of(&app, &[], &[]).into_iter().collect();
    let all: Grants = of(&app, imports, &[]).into_iter().collect();
    let change = diff(&base, &all);
    assert_eq!(change.lost, Vec::<String>::new());
    change.new
}

fn link(caller: &str, callee: &str, import: &str) -> ResolvedLink {
    let import = InterfaceName::parse(import).unwrap();
    ResolvedLink {
        caller: ServiceName::parse(caller).unwrap(),
        export: import.clone(),
        import,
        callee: ServiceName::parse(callee).unwrap(),
        explicit: false,
        functions: std::collections::BTreeMap::new(),
    }
}

#[test]
fn the_standard_library_touches_what_is_put_before_it_and_no_data_and_no_network() {
    assert_eq!(
        of(&app(MANIFEST), &[], &[]),
        [
            "environment: MODE",
            "environment: RUST_LOG",
            "files: /etc/ssl at /ssl",
            "files: assets/**",
            "files: static at /public",
        ]
    );
}

#[test]
fn a_service_that_is_granted_nothing_touches_nothing_whatever_it_imports() {
    let text =
        "spin_manifest_version = 2\napplication = { name = \"app\" }\n[component.orders]\nsource = \"a\"\n";
    let app = app(text);
    let imports: Vec<&str> = RUST
        .into_iter()
        .chain([
            "spin:sqlite/sqlite@3.1.0",
            "wasi:http/client@0.3.0",
            "wasi:nn/graph@0.2.0",
        ])
        .collect();
    let grants = grants(&app, &app.services["orders"], &imports, &[] as &[&str], &[]);
    assert_eq!(grants.lines().count(), 0, "{grants:?}");
}

#[test]
fn each_capability_touches_what_is_granted_of_it_in_every_version_of_its_interface() {
    for (import, lines) in [
        (
            "fermyon:spin/key-value@2.0.0",
            &["key-value: cache", "key-value: default"][..],
        ),
        (
            "spin:key-value/key-value@3.0.0",
            &["key-value: cache", "key-value: default"],
        ),
        ("spin:sqlite/sqlite@3.1.0", &["sqlite: default"]),
        ("fermyon:spin/sqlite@2.0.0", &["sqlite: default"]),
        (
            "spin:variables/variables@3.0.0",
            &["variable: mode", "variable: url (from host, key)"],
        ),
        (
            "fermyon:spin/variables@2.0.0",
            &["variable: mode", "variable: url (from host, key)"],
        ),
        ("wasi:http/types@0.2.6", &[]),
        ("wasi:sockets/network@0.2.6", &[]),
        ("wasi:sockets/tcp@0.2.6", &[]),
        ("shop:catalog/products@1.0.0", &[]),
        ("not-an-interface", &[]),
    ] {
        assert_eq!(added_by(&[import]), lines, "{import}");
    }
}

#[test]
fn requests_and_sockets_reach_what_is_granted_to_their_schemes() {
    let requests = [
        "outbound: *://10.0.0.0/8:*",
        "outbound: http://catalog.spin.internal:80",
        "outbound: http://self",
        "outbound: https://api.example.com:443",
    ];
    assert_eq!(added_by(&["wasi:http/outgoing-handler@0.2.6"]), requests);
    assert_eq!(added_by(&["wasi:http/client@0.3.0"]), requests);
    let sockets = ["outbound: *://10.0.0.0/8:*", "outbound: tcp://10.1.2.3:5000"];
    for import in [
        "wasi:sockets/tcp-create-socket@0.2.6",
        "wasi:sockets/udp-create-socket@0.2.6",
        "wasi:sockets/ip-name-lookup@0.2.6",
        "wasi:sockets/types@0.3.0",
    ] {
        assert_eq!(added_by(&[import]), sockets, "{import}");
    }
    let both = added_by(&["wasi:http/client@0.3.0", "wasi:sockets/types@0.3.0"]);
    assert_eq!(both.len(), 5);
    let all = added_by(&["spin:redis/redis@3.0.0"]);
    assert!(
        all.len() == 6 && all.contains(&"outbound: redis://cache.example.com:6379".to_owned()),
        "{all:?}"
    );
}

#[test]
fn an_interface_that_nobody_knows_touches_everything() {
    let everything = added_by(&["wasi:nn/graph@0.2.0"]);
    assert_eq!(everything.len(), 2 + 1 + 2 + HOSTS.len(), "{everything:?}");
}

#[test]
fn a_link_reaches_its_callee_and_those_of_others_do_not_count() {
    let links = [
        link("orders", "catalog", "shop:catalog/inventory@1.1.0"),
        link("catalog", "auth", "shop:auth/tokens@1.0.0"),
    ];
    let app = app(MANIFEST);
    let change = diff(
        &of(&app, &[], &[]).into_iter().collect(),
        &of(&app, &[], &links).into_iter().collect(),
    );
    assert_eq!(change.new, ["link: catalog (shop:catalog/inventory@1.1.0)"]);
}

#[test]
fn data_that_becomes_shared_is_a_new_right() {
    let shared = app(&MANIFEST.replace("per-service", "app"));
    let own = app(MANIFEST);
    let import = ["spin:sqlite/sqlite@3.1.0"];
    let change = diff(
        &of(&own, &import, &[]).into_iter().collect(),
        &of(&shared, &import, &[]).into_iter().collect(),
    );
    assert_eq!(change.new, ["sqlite: default (shared by the app)"]);
    assert_eq!(change.lost, ["sqlite: default"]);
}

#[test]
fn files_that_are_no_longer_left_out_are_a_new_right() {
    let careful = app(&MANIFEST.replace(
        "files = [\"assets/**\"",
        "exclude_files = [\"assets/*.key\"]\nfiles = [\"assets/**\"",
    ));
    let change = diff(
        &of(&careful, &[], &[]).into_iter().collect(),
        &of(&app(MANIFEST), &[], &[]).into_iter().collect(),
    );
    assert!(change.new.contains(&"files: assets/**".to_owned()), "{change:?}");
    assert!(
        change
            .lost
            .contains(&"files: assets/** without assets/*.key".to_owned()),
        "{change:?}"
    );
}

#[test]
fn spellings_of_one_host_are_one_line() {
    for (entry, line) in [
        ("https://api.example.com", "https://api.example.com:443"),
        (" HTTPS://Api.Example.com:443/ ", "https://api.example.com:443"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://10.0.0.0/8", "http://10.0.0.0/8:80"),
        ("*://*:*", "*://*:*"),
        ("https://self", "https://self"),
        ("http://localhost:8000..9000", "http://localhost:8000..9000"),
    ] {
        assert_eq!(normal(entry), line, "{entry}");
    }
}

#[test]
fn a_name_cannot_forge_a_line() {
    let text = "spin_manifest_version = 2\napplication = { name = \"app\" }\n[component.orders]\nsource = \"a\"\n\
                environment = { \"A\\nsqlite: default\" = \"\" }\n";
    let app = app(text);
    assert_eq!(of(&app, &[], &[]), ["environment: A\\nsqlite: default"]);
}
