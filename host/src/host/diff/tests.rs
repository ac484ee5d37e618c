//! Two manifests, and the lines between them.

use super::*;
use crate::manifest::parse;

const MANIFEST: &str = r#"
spin_manifest_version = 2

[application]
name = "shop"
version = "1.0.0"
description = "a shop"

[variables]
host = { default = "example.com", description = "where" }
key = { default = "hunter2", secret = true }

[[trigger.http]]
route = "/orders/:id"
component = "orders"

[[trigger.http]]
route = "/robots.txt"
static_response = { headers = { content-type = "text/plain" }, body = "no" }

[[trigger.http]]
route = { private = true }
component = "catalog"

[component.catalog]
source = "catalog.wasm"

[component.orders]
source = "target/orders.wasm"
description = "the orders"
variables = { url = "https://{{ host }}" }
environment = { MODE = "fast" }
files = ["assets/**", { source = "static", destination = "/public" }]
exclude_files = ["assets/*.key"]
allowed_outbound_hosts = ["https://{{ host }}", "http://catalog.spin.internal"]
key_value_stores = ["default"]
sqlite_databases = ["default"]

[component.orders.build]
command = "cargo build"
workdir = "orders"
watch = ["src/**"]

[component.orders.dependencies]
"shop:mail@1.0.0" = { path = "mail.wasm" }

[component.orders.tool.midplane.probe]
path = "/healthz"
headers = { authorization = "Bearer a" }

[component.orders.tool.midplane.links]
"shop:catalog/products@1.0.0" = "catalog"
"#;

#[test]
fn limits_that_change_are_told_by_their_keys() {
    let with = |own: &str, of_app: &str| {
        let text = MANIFEST.replace(
            "[component.catalog]\n",
            &format!("[application.tool.midplane.limits]\n{of_app}\n[component.catalog]\ntool.midplane = {{ {own} }}\n"),
        );
        app(&text)
    };
    let old = with("limits = { timeout = \"5s\", response_body = \"1MiB\" }", "");
    let new = with(
        "limits = { memory = \"512MiB\" }, instances = { policy = \"reuse\" }",
        "queue = 3",
    );
    assert_eq!(
        differences(&old, &new),
        [
            "service catalog: limit memory changed: 256MiB → 512MiB",
            "service catalog: limit queue changed: 256 → 3",
            "service catalog: limit response_body changed: 1MiB → unlimited",
            "service catalog: limit timeout changed: 5s → 30s",
            "service catalog: instances: policy changed: as its WASI version is used to → reuse",
            "service orders: limit queue changed: 256 → 3",
        ]
    );
    // A default that is written down is none that changes.
    let written = with("limits = { timeout = \"30s\", instance_memory = \"128MiB\" }", "");
    assert!(differences(&with("", ""), &written).is_empty());
}

fn app(text: &str) -> App {
    parse(text, Path::new("/apps/shop/spin.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// The lines after each `(old, new)` was replaced in the manifest, and the same the other way round.
fn changed(edits: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let mut text = MANIFEST.to_owned();
    for (old, new) in edits {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    let (old, new) = (app(MANIFEST), app(&text));
    (differences(&old, &new), differences(&new, &old))
}

/// One edit, the one line that it makes, and the one that undoing it makes.
fn check(old: &str, new: &str, there: &str, back: &str) {
    let (lines, undone) = changed(&[(old, new)]);
    assert_eq!(lines, [there], "{new}");
    assert_eq!(undone, [back], "{new}");
}

#[test]
fn equal_manifests_have_no_differences() {
    assert_eq!(differences(&app(MANIFEST), &app(MANIFEST)), Vec::<String>::new());
}

#[test]
fn comments_places_descriptions_and_order_are_no_change() {
    let mut text = format!("# a comment\n\n\n{}", MANIFEST.replace(" = ", "   =   "));
    for (old, new) in [
        ("description   =   \"a shop\"", ""),
        ("\"the orders\"", "\"orders, in other words\""),
        (", description   =   \"where\"", ""),
        (
            "[component.catalog]\nsource   =   \"catalog.wasm\"\n",
            "authors = []\n",
        ),
        (
            "\"https://{{ host }}\", \"http://catalog.spin.internal\"",
            "\"http://catalog.spin.internal\", \"https://{{ host }}\"",
        ),
        ("command   =   \"cargo build\"", "command   =   [\"cargo build\"]"),
        ("\"catalog\"\n", "{ service = \"catalog\" }\n"),
    ] {
        assert!(text.contains(old), "{old}");
        if old.starts_with("[component.catalog]") {
            text = format!("{}\n{old}", text.replacen(old, "", 1));
        } else if old.starts_with("\"catalog\"") {
            let at = text.rfind(old).unwrap();
            text.replace_range(at..at + old.len(), new);
        } else {
            text = text.replacen(old, new, 1);
        }
    }
    let (old, new) = (app(MANIFEST), app(&text));
    assert_ne!(old.digest, new.digest);
    assert_eq!(differences(&old, &new), Vec::<String>::new());
}

#[test]
fn the_app_itself() {
    check(
        "name = \"shop\"",
        "name = \"store\"",
        "app name changed: shop → store",
        "app name changed: store → shop",
    );
    check(
        "version = \"1.0.0\"\n",
        "",
        "app version changed: \"1.0.0\" → none",
        "app version changed: none → \"1.0.0\"",
    );
    check(
        "[variables]",
        "[application.tool.midplane]\ndata = \"per-service\"\n[variables]",
        "app data changed: app → per-service",
        "app data changed: per-service → app",
    );
    let moved = parse(MANIFEST, Path::new("/new/spin.toml")).unwrap();
    assert_eq!(
        differences(&app(MANIFEST), &moved),
        ["app directory changed: /apps/shop → /new"]
    );
    let renamed = parse(MANIFEST, Path::new("/apps/shop/other.toml")).unwrap();
    assert_eq!(differences(&app(MANIFEST), &renamed), Vec::<String>::new());
}

#[test]
fn routes() {
    check(
        "[component.catalog]",
        "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"catalog\"\n[component.catalog]",
        "route /... added: service catalog",
        "route /... removed: service catalog",
    );
    check(
        "component = \"orders\"",
        "component = \"catalog\"",
        "route /orders/:id changed: service orders → service catalog",
        "route /orders/:id changed: service catalog → service orders",
    );
    check(
        "/orders/:id",
        "/orders/:order",
        "route /orders/:order changed: it was written /orders/:id",
        "route /orders/:id changed: it was written /orders/:order",
    );
    let (lines, undone) = changed(&[("route = { private = true }", "route = \"/catalog\"")]);
    assert_eq!(
        lines,
        [
            "route /catalog added: service catalog",
            "private route to catalog removed",
        ]
    );
    assert_eq!(
        undone,
        [
            "route /catalog removed: service catalog",
            "private route to catalog added",
        ]
    );
}

#[test]
fn static_responses() {
    let shown = "static response 200, content-type: \"text/plain\", body \"no\"";
    for (old, new, other) in [
        (
            "{ headers",
            "{ status_code = 404, headers",
            "static response 404, content-type: \"text/plain\", body \"no\"",
        ),
        (
            "body = \"no\"",
            "body = \"\"",
            "static response 200, content-type: \"text/plain\"",
        ),
        (
            "text/plain",
            "text/html",
            "static response 200, content-type: \"text/html\", body \"no\"",
        ),
    ] {
        check(
            old,
            new,
            &format!("route /robots.txt changed: {shown} → {other}"),
            &format!("route /robots.txt changed: {other} → {shown}"),
        );
    }
}

#[test]
fn variables_without_the_defaults_of_secrets() {
    check(
        "\"example.com\"",
        "\"example.org\"",
        "variable host changed: default \"example.com\" → default \"example.org\"",
        "variable host changed: default \"example.org\" → default \"example.com\"",
    );
    check(
        "default = \"example.com\"",
        "required = true",
        "variable host changed: default \"example.com\" → required",
        "variable host changed: required → default \"example.com\"",
    );
    check(
        "hunter2",
        "hunter3",
        "variable key changed: its default",
        "variable key changed: its default",
    );
    check(
        "[[trigger.http]]",
        "other = { default = \"hunter4\", secret = true }\n[[trigger.http]]",
        "variable other added: secret, with a default",
        "variable other removed: secret, with a default",
    );
    // What was no secret is one now, or the other way round.
    check(
        ", secret = true",
        "",
        "variable key changed: secret, with a default → with a default",
        "variable key changed: with a default → secret, with a default",
    );
}

#[test]
fn services() {
    check(
        "[component.catalog]",
        "[component.mail]\nsource = \"mail/mail.wasm\"\n[component.catalog]",
        "service mail added: mail/mail.wasm",
        "service mail removed: mail/mail.wasm",
    );
    check(
        "\"catalog.wasm\"",
        "\"/opt/catalog.wasm\"",
        "service catalog: source changed: catalog.wasm → /opt/catalog.wasm",
        "service catalog: source changed: /opt/catalog.wasm → catalog.wasm",
    );
}

#[test]
fn what_a_service_is_given() {
    for (old, new, line) in [
        (
            "\"https://{{ host }}\" }",
            "\"http://{{ host }}\" }",
            "variable url changed: \"https://{{ host }}\" → \"http://{{ host }}\"",
        ),
        ("{ url =", "{ a = \"\", url =", "variable a added: \"\""),
        (
            "\"fast\"",
            "\"slow\\n\"",
            "environment MODE changed: \"fast\" → \"slow\\n\"",
        ),
        (
            "environment = { MODE = \"fast\" }\n",
            "",
            "environment MODE removed: \"fast\"",
        ),
        ("\"assets/**\", ", "", "files assets/** removed"),
        (
            "exclude_files = [",
            "exclude_files = [\"**/.git\", ",
            "files left out: **/.git added",
        ),
        (
            "[\"https://{{ host }}\", ",
            "[",
            "outbound host https://{{ host }} removed",
        ),
        (
            "key_value_stores = [",
            "key_value_stores = [\"cache\", ",
            "key-value store cache added",
        ),
        ("sqlite_databases = [\"default\"]", "", "database default removed"),
    ] {
        let (lines, undone) = changed(&[(old, new)]);
        assert_eq!(lines, [format!("service orders: {line}")]);
        assert_eq!(undone.len(), 1, "{undone:?}");
    }
    let (lines, _) = changed(&[("source = \"static\"", "source = \"public\"")]);
    assert_eq!(
        lines,
        [
            "service orders: files public at /public added",
            "service orders: files static at /public removed",
        ]
    );
}

#[test]
fn how_a_service_is_made_and_asked() {
    let build = "\"cargo build\" in orders, watches src/**";
    let probe = "GET /healthz answers 200 to 299 within 5s, sent with authorization";
    for (old, new, line) in [
        (
            "\"cargo build\"",
            "[\"make clean\", \"make\"]",
            format!("build changed: {build} → \"make clean\" then \"make\" in orders, watches src/**"),
        ),
        (
            "workdir = \"orders\"\n",
            "",
            format!("build changed: {build} → \"cargo build\" in ., watches src/**"),
        ),
        (
            "watch = [\"src/**\"]\n",
            "",
            format!("build changed: {build} → \"cargo build\" in orders"),
        ),
        (
            "Bearer a",
            "Bearer b",
            "probe changed: the values of its headers".to_owned(),
        ),
        (
            "path = \"/healthz\"\nheaders = { authorization = \"Bearer a\" }",
            "path = \"/ready\"\nmethod = \"POST\"\nstatus = 204\nbody_contains = \"ok\"\ntimeout = \"500ms\"",
            format!("probe changed: {probe} → POST /ready answers 204 with \"ok\" in the body within 500ms"),
        ),
        (
            "[component.orders.tool.midplane.probe]\npath = \"/healthz\"\nheaders = { authorization = \"Bearer a\" }\n",
            "",
            format!("probe removed: {probe}"),
        ),
    ] {
        let (lines, undone) = changed(&[(old, new)]);
        assert_eq!(lines, [format!("service orders: {line}")]);
        assert_eq!(undone.len(), 1, "{undone:?}");
    }
}

#[test]
fn links_and_dependencies() {
    const LINK: &str = "\"shop:catalog/products@1.0.0\" = \"catalog\"";
    for (old, new, line) in [
        (
            LINK,
            "\"shop:catalog/products@1.0.0\" = { service = \"catalog\", timeout = \"500ms\", concurrency = 16 }",
            "link shop:catalog/products@1.0.0 changed: to catalog → to catalog, timeout 500ms, concurrency 16",
        ),
        (LINK, "", "link shop:catalog/products@1.0.0 removed: to catalog"),
        (
            "{ path = \"mail.wasm\" }",
            "{ component = \"catalog\", inherit_configuration = [\"variables\", \"files\"] }",
            "dependency shop:mail@1.0.0 changed: mail.wasm, inherits nothing → component catalog, inherits files and \
             variables",
        ),
        (
            "\"shop:mail@1.0.0\"",
            "\"shop:log/out@1.0.0\" = { path = \"/opt/log.wasm\", export = \"shop:new/out\", inherit_configuration = true }\n\
             \"shop:mail@1.0.0\"",
            "dependency shop:log/out@1.0.0 added: /opt/log.wasm, export shop:new/out, inherits everything",
        ),
    ] {
        let (lines, undone) = changed(&[(old, new)]);
        assert_eq!(lines, [format!("service orders: {line}")]);
        assert_eq!(undone.len(), 1, "{undone:?}");
    }
    let digest = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let url = |password: &str| {
        format!("{{ url = \"https://me:{password}@example.com/m.wasm\", digest = \"sha256:{digest}\" }}")
    };
    let (lines, _) = changed(&[("{ path = \"mail.wasm\" }", &url("hunter5"))]);
    assert_eq!(
        lines,
        [format!(
            "service orders: dependency shop:mail@1.0.0 changed: mail.wasm, inherits nothing → \
             https://me:***@example.com/m.wasm, sha256:{digest}, inherits nothing"
        )]
    );
    let with = |password: &str| app(&MANIFEST.replace("{ path = \"mail.wasm\" }", &url(password)));
    assert_eq!(
        differences(&with("hunter5"), &with("hunter6")),
        ["service orders: dependency shop:mail@1.0.0 changed: the password of its URL"]
    );
}

#[test]
fn lines_come_kind_by_kind_and_service_by_service() {
    let edits = [
        ("name = \"shop\"", "name = \"store\""),
        ("\"catalog.wasm\"", "\"new.wasm\""),
        ("\"example.com\"", "\"example.org\""),
        ("component = \"orders\"", "component = \"catalog\""),
        ("\"fast\"", "\"slow\""),
    ];
    let (lines, _) = changed(&edits);
    let starts: Vec<&str> = lines
        .iter()
        .map(|line| line.split(" changed").next().unwrap())
        .collect();
    assert_eq!(
        starts,
        [
            "app name",
            "route /orders/:id",
            "variable host",
            "service catalog: source",
            "service orders: environment MODE",
        ]
    );
}

#[test]
fn long_values_are_cut_and_told_apart_all_the_same() {
    let long = "x".repeat(5_000);
    let (lines, _) = changed(&[("\"fast\"", &format!("\"{long}\""))]);
    assert!(lines[0].len() < 400, "{lines:?}");
    assert!(lines[0].contains("xx\"… (5000 bytes, sha256 "), "{lines:?}");
    let with = |end: &str| app(&MANIFEST.replace("\"fast\"", &format!("\"{long}{end}\"")));
    assert_eq!(differences(&with("a"), &with("b")).len(), 1);
}

#[test]
fn nothing_gets_to_a_terminal_that_is_no_text() {
    let (lines, _) = changed(&[("{ MODE = \"fast\" }", "{ \"A\\u001b[31m\" = \"\\u202e\" }")]);
    assert_eq!(
        lines,
        [
            r#"service orders: environment A\u{1b}[31m added: "\u{202e}""#,
            r#"service orders: environment MODE removed: "fast""#,
        ]
    );
}
