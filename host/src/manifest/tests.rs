//! What a manifest means, and that no text makes the parser fail in any other way than with a message.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::model::{DataScope, Label};

mod connection;
mod limits;
mod probe;
mod refused;

/// The start of most manifests in these tests.
const HEAD: &str = "spin_manifest_version = 2\napplication = { name = \"app\" }\n";

/// Two services, one of which calls the other: by a link here, composed on Spin.
const LIVE_LINK: &str = r#"
spin_manifest_version = 2

[application]
name = "live-link"
version = "0.1.0"

[application.tool.midplane]
data = "per-service"

[[trigger.http]]
route = "/catalog"
component = "catalog"

[[trigger.http]]
route = "/orders"
component = "orders"

[component.catalog]
source = "catalog/target/wasm32-wasip2/release/catalog.wasm"
key_value_stores = ["default"]

[component.orders]
source = "orders/target/wasm32-wasip2/release/orders.wasm"
key_value_stores = ["default"] # for Spin: the composed catalog inherits it

[component.orders.dependencies]
"shop:catalog@1.0.0" = { path = "catalog/target/wasm32-wasip2/release/catalog.wasm", inherit_configuration = ["key_value_stores"] }

[component.orders.tool.midplane.links]
"shop:catalog/products@1.0.0" = "catalog"
"#;

/// Every key that is supported, once.
const EVERYTHING: &str = r#"
spin_manifest_version = 2

[application]
name = "Every thing"
version = "1.2.3"
description = "all of it"
authors = ["A <a@example.com>"]

[application.tool.other]
whatever = [1, { two = 2 }]

[application.trigger.http]
base = "/"

[variables]
api_host = { default = "api.example.com", description = "where the API is" }
api_key = { required = true, secret = true }

[[trigger.http]]
id = "front"
route = "/..."
component = "front-end"
executor = { type = "http" }

[[trigger.http]]
route = "/front/:id"
component = "front-end"

[[trigger.http]]
route = { private = true }
component = "worker"

[[trigger.http]]
route = "/robots.txt"
static_response = { status_code = 203, headers = { Content-Type = "text/plain", x-a = "b" }, body = "no" }

[[trigger.http]]
id = "inline"
route = "/inline"
component = { source = "inline.wasm" }

[component.front-end]
source = "front/front.wasm"
description = "the front"
variables = { url = "https://{{ api_host }}/v1", key = "{{api_key}}" }
environment = { MODE = "{{ not a template }}" }
files = ["assets/**/*.css", { source = "static", destination = "public" }]
exclude_files = ["assets/**/secret*"]
allowed_outbound_hosts = ["https://{{ api_host }}", "http://worker.spin.internal"]
key_value_stores = ["default", "my_cache", "default"]
sqlite_databases = ["default"]
ai_models = []
dependencies_inherit_configuration = false

[component.front-end.build]
command = "cargo build"
workdir = "front"
watch = ["src/**/*.rs"]

[component.front-end.tool.other]
x = 1

[component.front-end.tool.midplane]

[component.front-end.tool.midplane.probe]
path = "/healthz?deep=1"
method = "POST"
status = 204
body_contains = "ok"
timeout = "1500ms"
headers = { x-probe = "1", Accept = "text/plain" }

[component.front-end.tool.midplane.links]
"shop:catalog/products@1.0.0" = "worker"
"shop:catalog/stock@1.2.0" = { service = "inline-component", timeout = "500ms", concurrency = 16 }
"shop:catalog/products@2.0.0-rc.1" = { service = "worker", timeout = "1h" }
"shop:catalog/products" = { service = "worker", concurrency = 0x10 }

[component.front-end.dependencies]
"shop:catalog@1.0.0" = { path = "lib/catalog.wasm", inherit_configuration = ["key_value_stores", "ai_models"] }
"shop:catalog/products@2.0.0" = { path = "/opt/products.wasm", export = "shop:new/products", inherit_configuration = false }
"shop:mail" = { component = "worker", inherit_configuration = true }
"my-import" = { url = "https://example.com/my.wasm", digest = "sha256:00112233445566778899AABBccddeeff00112233445566778899aabbccddeeff", export = "my-export" }

[component.worker]
source = "/opt/worker.wasm"
build = { command = ["make clean", "make"] }
dependencies_inherit_configuration = true

[component.worker.dependencies]
"shop:log@1.0.0" = { path = "log.wasm" }
"#;

fn parsed(text: &str) -> App {
    parse(text, Path::new("/apps/shop/spin.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn warnings(tail: &str) -> Vec<String> {
    let app =
        parse(&format!("{HEAD}{tail}"), Path::new("spin.toml")).unwrap_or_else(|error| panic!("{error}"));
    app.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn an_app_of_two_services_is_read_whole() {
    let app = parsed(LIVE_LINK);
    assert_eq!((app.name.as_str(), app.version.as_str()), ("live-link", "0.1.0"));
    assert_eq!(app.data, DataScope::PerService);
    assert_eq!(
        app.services.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["catalog", "orders"]
    );
    let catalog = &app.services["catalog"];
    let source = "/apps/shop/catalog/target/wasm32-wasip2/release/catalog.wasm";
    assert_eq!(catalog.source, PathBuf::from(source));
    assert_eq!(
        catalog
            .key_value_stores
            .iter()
            .map(Label::as_str)
            .collect::<Vec<_>>(),
        ["default"]
    );
    assert_eq!(app.triggers.len(), 2);
    assert_eq!(app.triggers[1].location.to_string(), "/apps/shop/spin.toml:15:1");
    assert_eq!(app.warnings, []);
    assert_eq!(app.digest, crate::model::Digest::of(LIVE_LINK.as_bytes()));
}

#[test]
fn the_shop_is_an_app_without_a_warning() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spin.toml");
    let app = load(&file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(app.data, DataScope::PerService);
    assert!(app.services.contains_key("auth") && app.services.contains_key("catalog"));
    assert_eq!(app.warnings, []);
}

#[test]
fn every_supported_key_arrives_in_the_app() {
    let app = parsed(EVERYTHING);
    assert_eq!(app.warnings, []);
    assert_eq!(app.name.as_str(), "Every thing");
    assert_eq!(app.description.as_deref(), Some("all of it"));
    assert_eq!(app.data, DataScope::App);
    assert_eq!(
        app.variables["api_host"].default.as_deref(),
        Some("api.example.com")
    );
    assert!(app.variables["api_key"].required && app.variables["api_key"].secret);

    let front = &app.services["front-end"];
    assert_eq!(front.description.as_deref(), Some("the front"));
    assert_eq!(front.variables["url"].to_string(), "https://{{ api_host }}/v1");
    assert_eq!(front.environment["MODE"], "{{ not a template }}");
    assert_eq!(
        front.files,
        [
            FileMount::Glob {
                pattern: "assets/**/*.css".to_owned()
            },
            FileMount::Directory {
                source: "/apps/shop/static".into(),
                destination: "/public".to_owned()
            },
        ]
    );
    assert_eq!(front.exclude_files, ["assets/**/secret*"]);
    assert_eq!(
        front.allowed_outbound_hosts[1].template.as_literal(),
        Some("http://worker.spin.internal")
    );
    assert_eq!(front.allowed_outbound_hosts[0].location.line, 50);
    assert_eq!(front.key_value_stores.len(), 2);
    assert_eq!(front.sqlite_databases.len(), 1);
    let build = front.build.as_ref().unwrap();
    assert_eq!(build.command, ["cargo build"]);
    assert_eq!(build.workdir, PathBuf::from("/apps/shop/front"));
    assert_eq!(build.watch, ["src/**/*.rs"]);

    let worker = &app.services["worker"];
    assert_eq!(worker.source, PathBuf::from("/opt/worker.wasm"));
    assert_eq!(worker.build.as_ref().unwrap().command, ["make clean", "make"]);
    assert_eq!(
        worker.build.as_ref().unwrap().workdir,
        PathBuf::from("/apps/shop")
    );
}

#[test]
fn triggers_keep_their_order_and_find_their_targets() {
    let app = parsed(EVERYTHING);
    let shown: Vec<String> = app
        .triggers
        .iter()
        .map(|trigger| {
            let route = match &trigger.route {
                TriggerRoute::Path(route) => route.to_string(),
                TriggerRoute::Private => "private".to_owned(),
            };
            match &trigger.target {
                TriggerTarget::Service(name) => format!("{route} {name}"),
                TriggerTarget::Static(response) => {
                    let kind = response.headers["content-type"].to_str().unwrap();
                    format!("{route} {} {kind} {:?}", response.status.as_u16(), response.body)
                }
            }
        })
        .collect();
    assert_eq!(
        shown,
        [
            "/... front-end",
            "/front/:id front-end",
            "private worker",
            "/robots.txt 203 text/plain b\"no\"",
            "/inline inline-component",
        ]
    );
    assert_eq!(
        app.services["inline-component"].source,
        PathBuf::from("/apps/shop/inline.wasm")
    );
}

#[test]
fn inline_components_get_ids_that_nothing_else_has() {
    let app = parsed(&format!(
        "{HEAD}
        [component.http-trigger1-component]
        source = \"a\"
        [[trigger.http]]
        route = \"/a\"
        component = {{ source = \"b\" }}
        [[trigger.http]]
        route = \"/b\"
        component = {{ source = \"c\" }}
        [[trigger.http]]
        id = \"not kebab\"
        route = \"/c\"
        component = {{ source = \"d\" }}"
    ));
    let names: Vec<&str> = app.services.keys().map(|name| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "http-trigger1-component",
            "http-trigger2-component",
            "inline-component1",
            "inline-component3"
        ]
    );
}

#[test]
fn the_last_of_equal_routes_wins_with_a_warning() {
    let tail = "[component]\na = { source = \"a\" }\nb = { source = \"b\" }\n\
                [[trigger.http]]\nroute = \"/x/\"\ncomponent = \"a\"\n\
                [[trigger.http]]\nroute = \"/y\"\ncomponent = \"a\"\n\
                [[trigger.http]]\nroute = \"/x\"\ncomponent = \"b\"\n";
    assert_eq!(
        warnings(tail),
        ["spin.toml:6:1: the route /x/ is replaced by an equal one at line 12: the last wins"]
    );
    let app = parsed(&format!("{HEAD}{tail}"));
    let lines: Vec<usize> = app.triggers.iter().map(|trigger| trigger.location.line).collect();
    assert_eq!(lines, [9, 12]);
}

#[test]
fn what_is_most_likely_not_meant_is_warned_about() {
    assert_eq!(
        warnings("[component.a]\nsource = \"a\"\n"),
        [
            "spin.toml:3:1: no trigger, link or dependency names `a`: it is reachable only by service chaining, \
             or as the one service that exports what another imports"
        ]
    );
    assert_eq!(
        warnings("[[trigger.http]]\nroute = { private = true }\nstatic_response = { body = \"x\" }\n"),
        ["spin.toml:3:1: no request can reach a static response on a private route"]
    );
    assert_eq!(
        warnings("[[trigger.http]]\nroute = \"/.well-known/spin/...\"\nstatic_response = {}\n"),
        ["spin.toml:4:9: no request can reach \"/.well-known/spin/...\": \
             the host itself answers below /.well-known/spin/"]
    );
    assert_eq!(
        warnings(""),
        ["spin.toml:1:1: the app has no component and no trigger: there is nothing to serve"]
    );
    assert_eq!(
        warnings(
            "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"a\"\n[component.a]\nsource = \"a\"\n\
             allowed_outbound_hosts = [\"http://a.spin.internal\", \"http://*.spin.internal\", \
             \"http://b.spin.internal\"]\n"
        ),
        ["spin.toml:8:79: there is no component `b` to be called"]
    );
}

#[test]
fn the_default_of_a_secret_is_not_shown_by_debug() {
    let app = parsed(&format!(
        "{HEAD}[variables]\nkey = {{ default = \"hunter2\", secret = true }}\n"
    ));
    assert!(!format!("{app:?}").contains("hunter2"));
}

#[test]
fn a_directory_or_a_file_can_be_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("spin.toml");
    std::fs::write(&file, LIVE_LINK).unwrap();
    for path in [dir.path(), file.as_path()] {
        let app = load(path).unwrap();
        assert_eq!((&app.file, app.dir.as_path()), (&file, dir.path()));
    }
}

#[test]
fn what_cannot_be_loaded_says_why() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(load(dir.path()), Err(Error::NoManifest { .. })));
    let error = load(&dir.path().join("nope.toml")).unwrap_err();
    assert!(
        matches!(error, Error::Read { .. }) && error.hint().is_some(),
        "{error}"
    );

    let file = dir.path().join("spin.toml");
    std::fs::write(&file, b"a = \"\xff\"").unwrap();
    assert!(matches!(load(dir.path()), Err(Error::NotUtf8 { offset: 5, .. })));

    let mut large = format!("{HEAD}[component.a]\nsource = \"a\"\n#");
    large.push_str(&"x".repeat(MAX_BYTES - large.len()));
    std::fs::write(&file, &large).unwrap();
    assert!(load(dir.path()).is_ok());
    std::fs::write(&file, large + "x").unwrap();
    assert!(matches!(load(dir.path()), Err(Error::TooLarge { .. })));
}

#[test]
fn deep_nesting_is_refused_by_a_message() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
    ] {
        let error = parse(&text, Path::new("spin.toml")).unwrap_err().to_string();
        assert!(error.contains("not valid TOML"), "{error}");
        assert!(error.len() < 2_000);
    }
}

/// A manifest with one piece cut out and another put in its place.
fn mutated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,8}",
        "[\\[\\]{}=\",.# \n\t'-]{0,6}",
        Just("{{ x }}".to_owned()),
        Just("= 1".to_owned()),
        Just("\u{1b}\u{0}é".to_owned()),
    ];
    (0..EVERYTHING.len(), 0..40_usize, piece).prop_map(|(start, length, piece)| {
        let boundary = |at: usize| {
            (0..=at.min(EVERYTHING.len()))
                .rev()
                .find(|at| EVERYTHING.is_char_boundary(*at))
        };
        let (start, end) = (
            boundary(start).unwrap_or(0),
            boundary(start + length).unwrap_or(0),
        );
        format!("{}{piece}{}", &EVERYTHING[..start], &EVERYTHING[end..])
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = parse(&text, Path::new("spin.toml")).map_err(|error| error.to_string());
    }

    #[test]
    fn a_damaged_manifest_is_an_app_or_a_message_of_bounded_size(text in mutated()) {
        if let Err(error) = parse(&text, Path::new("spin.toml")) {
            let shown = error.to_string();
            prop_assert!(shown.starts_with("spin.toml:"), "{}", shown);
            prop_assert!(shown.len() < 4_000);
            prop_assert!(!shown.contains('\u{1b}'), "a control character is shown");
        }
    }
}
