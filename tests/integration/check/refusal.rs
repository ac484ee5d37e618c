//! Each refusal and each warning once, on guests as they are built.

use super::{app, assert_has, findings, json, route, run, service};

/// What `check` finds in an app that it refuses. `up` must refuse it too.
async fn refused(tables: &[String], arguments: &[&str]) -> Vec<String> {
    let app = app(tables);
    let (object, finished) = json(&app, arguments).await;
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert_eq!(object["ok"], false, "{object}");
    assert!(
        finished
            .stderr
            .contains("error: `midplane up` would refuse the app"),
        "{finished:?}"
    );
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    let mut up = app;
    for argument in arguments {
        up = up.arg(argument);
    }
    let failure = up.fail().await;
    assert_eq!(failure.status.code(), Some(1), "{failure:?}");
    findings(&object)
}

/// What `check` finds in an app that it takes. `up` must take it too.
async fn taken(tables: &[String]) -> Vec<String> {
    let app = app(tables);
    let (object, finished) = json(&app, &[]).await;
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert_eq!(object["ok"], true, "{object}");
    app.start().await.stop().await;
    findings(&object)
}

#[tokio::test]
async fn a_manifest_without_a_meaning_is_an_error_with_its_place() {
    let app = app(&["key = 1\n".into()]);
    let finished = run(&app, &["check"]).await;
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("spin.toml:5"), "{finished:?}");
    assert_eq!(finished.stdout, "");
}

#[tokio::test]
async fn variables_without_a_value_and_values_without_a_variable_are_refused() {
    let tables = [
        service("web", "hello-p2"),
        route("/...", "web"),
        "[variables]\nsecret = { required = true }\n".into(),
    ];
    let found = refused(&tables, &[]).await;
    assert_has(&found, &["error: no value for", "`secret`", "--variable"]);
    let found = refused(&tables, &["--variable", "sekret=1"]).await;
    assert_has(&found, &["error: the app has no variable `sekret`"]);
    let (object, _) = json(&app(&tables), &["--variable", "secret=1"]).await;
    assert_eq!(object["ok"], true, "{object}");
}

#[tokio::test]
async fn a_runtime_configuration_without_a_meaning_is_refused() {
    let app = app(&[service("web", "hello-p2"), route("/...", "web")]).file("runtime.toml", "nothing = 1\n");
    let finished = run(&app, &["check", "--runtime-config-file", "runtime.toml"]).await;
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("runtime.toml:1"), "{finished:?}");
}

#[tokio::test]
async fn components_that_are_missing_or_lack_something_are_refused_together() {
    let found = refused(
        &[
            service("unknown", "import-unknown"),
            route("/unknown", "unknown"),
            "[component.web]\nsource = \"web.wasm\"\nbuild = { command = \"make\" }\n".into(),
            route("/web", "web"),
            "[component.host]\nsource = \"spin.toml\"\nallowed_outbound_hosts = [\"https://{{ name }}\"]\n"
                .into(),
            "[variables]\nname = { default = \"not a host\" }\n".into(),
        ],
        &[],
    )
    .await;
    assert_has(&found, &["error: service `web`", "web.wasm", "midplane build"]);
    assert_has(&found, &["error: service `host`", "not WebAssembly"]);
    assert_has(&found, &["error: ", "not a host", "scheme://host"]);
}

#[tokio::test]
async fn an_import_that_nobody_exports_is_refused() {
    let found = refused(&[service("web", "import-unknown"), route("/...", "web")], &[]).await;
    assert_has(
        &found,
        &["error: `web`", "acme:warehouse/robots@1.2.3", "dependencies"],
    );
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[tokio::test]
async fn an_import_that_two_export_is_refused_until_the_manifest_chooses() {
    let tables = [
        service("caller", "link-caller-p2"),
        route("/...", "caller"),
        service("one", "link-callee-p2"),
        service("two", "link-callee-p2"),
    ];
    let found = refused(&tables, &[]).await;
    assert_has(
        &found,
        &[
            "error: `caller`",
            "2 services export",
            "`one`, `two`",
            "[component.caller.tool.midplane.links]",
        ],
    );
    let link = "[component.caller.tool.midplane.links]\n\"link:values/plain@1.0.0\" = \"two\"\n";
    let found = taken(&[tables.concat(), link.into()]).await;
    assert_has(&found, &["warning: service `one` is reached by nobody"]);
}

#[tokio::test]
async fn a_caller_that_cannot_wait_is_refused_a_function_that_may() {
    let found = refused(
        &[
            service("caller", "link-caller-p2-waiting"),
            route("/...", "caller"),
            service("callee", "link-callee-p3"),
        ],
        &[],
    )
    .await;
    assert_has(
        &found,
        &[
            "error: `caller` exports nothing that can wait",
            "can only trap",
            "WASI 0.3",
        ],
    );
}

#[tokio::test]
async fn a_link_that_names_no_exporter_is_refused() {
    let found = refused(
        &[
            service("caller", "link-caller-p2"),
            "tool.midplane.links = { \"link:values/plain@1.0.0\" = \"callee\" }\n".into(),
            route("/...", "caller"),
            service("callee", "hello-p2"),
        ],
        &[],
    )
    .await;
    assert_has(
        &found,
        &[
            "error: spin.toml:",
            "`callee` is to serve `link:values/plain@1.0.0`",
            "does not export",
        ],
    );
}

#[tokio::test]
async fn a_route_to_a_service_without_http_is_refused() {
    let found = refused(
        &[service("callee", "link-callee-p2"), route("/...", "callee")],
        &[],
    )
    .await;
    assert_has(
        &found,
        &[
            "error: ",
            "service `callee` exports no HTTP handler",
            "remove the trigger",
        ],
    );
}

#[tokio::test]
async fn functions_that_cannot_tell_of_a_failure_and_links_without_use_are_warned_of() {
    let found = taken(&[
        service("caller", "link-fault-caller-p2"),
        "tool.midplane.links = { \"link:fault/plain@1.0.0\" = \"callee\", \"link:fault/plian@1.0.0\" = \"callee\" }\n".into(),
        route("/...", "caller"),
        service("callee", "link-fault-callee-p2"),
    ])
    .await;
    assert_has(
        &found,
        &[
            "warning: `caller` traps when a call of `link:fault/plain@1.0.0`",
            "without",
        ],
    );
    assert_has(
        &found,
        &[
            "warning: spin.toml:",
            "`link:fault/plian@1.0.0`",
            "not used",
            "did you mean `link:fault/plain@1.0.0`",
        ],
    );
}

#[tokio::test]
async fn what_the_manifest_grants_or_declares_in_vain_is_warned_of() {
    let found = taken(&[
        service("web", "hello-p2"),
        "key_value_stores = [\"default\"]\nsqlite_databases = [\"default\"]\n\
         allowed_outbound_hosts = [\"https://example.com\"]\nvariables = { used = \"{{ used }}\" }\nfiles = [\"nothing-*\"]\n"
            .into(),
        route("/...", "web"),
        "[variables]\nused = { default = \"1\" }\nidle = { default = \"1\" }\n".into(),
        service("lonely", "hello-p2"),
    ])
    .await;
    for words in [
        &["granted the key-value store `default`"][..],
        &["granted the SQLite database `default`"],
        &["granted outbound hosts"],
        &["granted variables"],
        &["no file matches \"nothing-*\""],
        &["the variable `idle`"],
        &["`lonely` is reached by nobody"],
    ] {
        let mut words = words.to_vec();
        words.push("warning: ");
        assert_has(&found, &words);
    }
}

#[tokio::test]
async fn what_is_used_is_not_warned_of() {
    let found = taken(&[
        service("data", "data-p2"),
        "key_value_stores = [\"default\"]\nsqlite_databases = [\"default\"]\nvariables = { used = \"{{ used }}\" }\n".into(),
        route("/data/...", "data"),
        "[variables]\nused = { default = \"1\" }\n".into(),
        service("front", "chain-caller"),
        "allowed_outbound_hosts = [\"http://back.spin.internal\"]\n".into(),
        route("/front/...", "front"),
        service("back", "hello-p3"),
        "[[trigger.http]]\nroute = { private = true }\ncomponent = \"back\"\n".into(),
    ])
    .await;
    assert_eq!(found, Vec::<String>::new());
}
