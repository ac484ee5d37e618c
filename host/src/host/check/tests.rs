//! Apps of components that are written out here: what no guest fixture has in it.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::manifest;

/// Exports `f` of `acme:a/b@1.0.0`, which gives a number.
const EXPORTER: &str = r#"(component
    (core module $m (func (export "f") (result i32) i32.const 7))
    (core instance $i (instantiate $m))
    (func $f (result u32) (canon lift (core func $i "f")))
    (instance $b (export "f" (func $f)))
    (export "acme:a/b@1.0.0" (instance $b)))"#;

/// Imports the same.
const IMPORTER: &str = r#"(component
    (import "acme:a/b@1.0.0" (instance (export "f" (func (result u32))))))"#;

struct Fixture {
    dir: TempDir,
    tables: String,
}

impl Fixture {
    fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            tables: String::new(),
        }
    }

    /// A service with a component in text format.
    fn service(self, name: &str, component: &str) -> Self {
        let file = self.dir.path().join(name).with_extension("wasm");
        fs::write(&file, wat::parse_str(component).unwrap()).unwrap();
        self.lines(&format!("[component.{name}]\nsource = \"{name}.wasm\""))
    }

    fn lines(mut self, lines: &str) -> Self {
        self.tables.push_str(lines);
        self.tables.push('\n');
        self
    }

    fn app(&self) -> App {
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"x\"\n{}",
            self.tables
        );
        fs::write(self.dir.path().join("spin.toml"), text).unwrap();
        manifest::load(self.dir.path()).unwrap()
    }

    async fn check(&self) -> Checked {
        check(&self.app(), &Options::default(), &Tasks::new()).await
    }

    async fn fuse(&self, root: &str) -> Result<Fused, FusionError> {
        let root = ServiceName::parse(root).unwrap();
        fuse(&self.app(), &root, &Options::default(), &Tasks::new()).await
    }
}

fn texts(checked: &Checked, severity: Severity) -> Vec<String> {
    let findings = checked.findings.iter();
    findings
        .filter(|finding| finding.severity == severity)
        .map(ToString::to_string)
        .collect()
}

#[track_caller]
fn assert_has(texts: &[String], words: &[&str]) {
    assert!(
        texts
            .iter()
            .any(|text| words.iter().all(|word| text.contains(word))),
        "no text with {words:?} in {texts:#?}"
    );
}

#[tokio::test]
async fn a_resource_in_a_contract_is_refused_by_name_and_told_once() {
    let fixture = Fixture::new()
        .service(
            "caller",
            r#"(component (import "acme:a/b@1.0.0" (instance
                (export "r" (type $r (sub resource)))
                (export "f" (func (result (own $r)))))))"#,
        )
        .service(
            "callee",
            r#"(component
                (component $c
                    (type $r (resource (rep i32)))
                    (core func $new (canon resource.new $r))
                    (core module $m
                        (import "" "new" (func $new (param i32) (result i32)))
                        (func (export "f") (result i32) (call $new (i32.const 1))))
                    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
                    (export $exported "r" (type $r))
                    (func (export "f") (result (own $exported)) (canon lift (core func $i "f"))))
                (instance $b (instantiate $c))
                (export "acme:a/b@1.0.0" (instance $b)))"#,
        );
    let errors = texts(&fixture.check().await, Severity::Error);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_has(
        &errors,
        &["`caller`", "`acme:a/b@1.0.0`", "`r`", "hint: resources"],
    );
    let Err(FusionError::Findings { findings, .. }) = fixture.fuse("caller").await else {
        panic!("a resource cannot be linked, so it is not composed");
    };
    assert_has(&[findings[0].to_string()], &["`r`"]);
}

#[tokio::test]
async fn parts_of_two_binding_generators_are_named_with_what_to_write() {
    let guest = |versions: &[&str]| {
        let paths: Vec<_> = versions
            .iter()
            .map(|version| format!("/reg/wit-bindgen-{version}/src/rt/async_support.rs"))
            .collect();
        format!(
            "(component (core module (memory 1) (data (i32.const 0) {:?})))",
            paths.join(" ")
        )
    };
    let fixture = Fixture::new()
        .service("mixed", &guest(&["0.57.1", "0.51.0"]))
        .service("pure", &guest(&["0.57.1"]))
        .service("other", &guest(&["0.62.0", "0.63.0"]));
    let warnings = texts(&fixture.check().await, Severity::Warning);
    assert_has(
        &warnings,
        &[
            "`mixed`",
            "`wit-bindgen` 0.51.0 and `wit-bindgen` 0.57.1",
            "wit-bindgen = \"0.57.1\"",
            "spin_sdk::wit_bindgen",
        ],
    );
    assert_has(
        &warnings,
        &["`other`", "0.62.0 and `wit-bindgen` 0.63.0", "one version"],
    );
    assert!(
        !warnings.iter().any(|text| text.contains("`pure` has")),
        "{warnings:#?}"
    );
}

#[tokio::test]
async fn every_fault_is_told_at_once() {
    let fixture = Fixture::new()
        .service("module", "(module)")
        .lines("allowed_outbound_hosts = [\"https://{{ host }}\"]")
        .service(
            "unknown",
            r#"(component (import "wasi:nothing/here@0.2.0" (instance (export "f" (func)))))"#,
        )
        .service("caller", IMPORTER)
        .service("callee", &EXPORTER.replace("u32", "s32"))
        .lines("[component.missing]\nsource = \"missing.wasm\"\nbuild = { command = \"make\" }")
        .lines("[variables]\nhost = { required = true }")
        .lines("[[trigger.http]]\nroute = \"/\"\ncomponent = \"callee\"");
    let errors = texts(&fixture.check().await, Severity::Error);
    assert_has(&errors, &["no value for", "`host`"]);
    assert_has(
        &errors,
        &[
            "`module`",
            "core WebAssembly module",
            "hint: build for a component target",
        ],
    );
    assert_has(&errors, &["`missing`", "missing.wasm", "midplane build"]);
    assert_has(&errors, &["`unknown`", "wasi:nothing/here@0.2.0"]);
    assert_has(&errors, &["`caller`", "`callee`", "u32", "s32"]);
    assert_has(&errors, &["`callee` exports no HTTP handler"]);
    assert_eq!(errors.len(), 6, "{errors:#?}");
}

#[tokio::test]
async fn what_is_missing_because_of_a_missing_file_is_not_told_as_well() {
    let missing = Fixture::new()
        .service("caller", IMPORTER)
        .lines("tool.midplane.links = { \"acme:a/b@1.0.0\" = \"callee\" }")
        .lines("[component.callee]\nsource = \"callee.wasm\"")
        .service("other", &IMPORTER.replace("acme:a", "acme:other"));
    let errors = texts(&missing.check().await, Severity::Error);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_has(&errors, &["callee.wasm"]);
    let there = Fixture::new()
        .service("caller", IMPORTER)
        .service("other", "(component)");
    let errors = texts(&there.check().await, Severity::Error);
    assert_has(
        &errors,
        &["`caller`", "neither the host nor another service provides"],
    );
}

#[tokio::test]
async fn links_that_go_without_saying_count_and_services_without_a_way_to_them_are_named() {
    let fixture = Fixture::new()
        .service("caller", IMPORTER)
        .service("callee", EXPORTER);
    let checked = fixture.check().await;
    assert_eq!(texts(&checked, Severity::Error), Vec::<String>::new());
    let warnings = texts(&checked, Severity::Warning);
    for name in ["caller", "callee"] {
        assert_has(
            &warnings,
            &[&format!("`{name}` is reached by nobody"), "trigger.http"],
        );
    }
    // A number cannot carry a failure.
    assert_has(
        &warnings,
        &[
            "`caller` traps when a call of `acme:a/b@1.0.0` to `callee` fails",
            "hint: return `result",
        ],
    );
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    let [link] = &checked.graph.links[..] else {
        panic!("{:?}", checked.graph.links)
    };
    assert_eq!(
        (link.kind, link.callee.clone()),
        (
            LinkKind::Automatic,
            LinkCallee::Service(ServiceName::parse("callee").unwrap())
        )
    );
    assert_eq!(link.functions[0].signature, "func() -> u32");
}

#[tokio::test]
async fn a_dependency_is_a_link_of_its_own_kind_and_uses_what_it_inherits() {
    let fixture = Fixture::new()
        .service("caller", IMPORTER)
        .lines("key_value_stores = [\"default\"]")
        .lines("dependencies = { \"acme:a@1.0.0\" = { path = \"callee.wasm\", inherit_configuration = [\"key_value_stores\"] } }")
        .service("callee", EXPORTER)
        .lines("sqlite_databases = [\"default\"]");
    let checked = fixture.check().await;
    let warnings = texts(&checked, Severity::Warning);
    assert_has(
        &warnings,
        &["`callee`", "SQLite database `default`", "`sqlite_databases`"],
    );
    assert!(
        !warnings.iter().any(|text| text.contains("key-value")),
        "{warnings:#?}"
    );
    let [link] = &checked.graph.links[..] else {
        panic!("{:?}", checked.graph.links)
    };
    assert_eq!(link.kind, LinkKind::Composed);
    let LinkCallee::Component { name, source } = &link.callee else {
        panic!("{:?}", link.callee)
    };
    assert_eq!(name, "callee.wasm");
    assert!(
        Path::new(source).is_absolute() && source.ends_with(name.as_str()),
        "{source}"
    );
}

#[tokio::test]
async fn a_composition_has_what_is_reached_and_nothing_else_matters() {
    let fixture = Fixture::new()
        .service("caller", IMPORTER)
        .service("callee", EXPORTER)
        .lines("[component.missing]\nsource = \"missing.wasm\"");
    let fused = fixture.fuse("caller").await.unwrap();
    let parts: Vec<_> = fused.parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(parts, ["caller", "callee"]);
    assert_eq!(fused.imports, Vec::<String>::new());
    assert_eq!(fused.home, Home::Library);
    assert!(wasmparser::validate(&fused.bytes).is_ok());
    assert!(matches!(
        fixture.fuse("nobody").await,
        Err(FusionError::UnknownService { services, .. }) if services.len() == 3
    ));
    // Now the one that is missing may be the one that exports what is wanted.
    let fixture = Fixture::new()
        .service("caller", IMPORTER)
        .lines("[component.missing]\nsource = \"missing.wasm\"");
    let Err(FusionError::Findings { findings, .. }) = fixture.fuse("caller").await else {
        panic!("nothing serves the import");
    };
    assert_has(&[findings[0].to_string()], &["missing.wasm"]);
}

#[tokio::test]
async fn data_of_two_kinds_in_one_file_is_refused() {
    let fixture = Fixture::new()
        .service("web", "(component)")
        .lines("key_value_stores = [\"a\"]\nsqlite_databases = [\"b\"]");
    let config = "[key_value_store.a]\ntype = \"spin\"\npath = \"one.db\"\n[sqlite_database.b]\ntype = \"spin\"\npath = \"one.db\"\n\
                  [sqlite_database.c]\ntype = \"spin\"\npath = \"two.db\"\n";
    let file = fixture.dir.path().join("runtime.toml");
    fs::write(&file, config).unwrap();
    let options = Options {
        runtime_config: RuntimeConfig::load(&file).unwrap(),
        ..Options::default()
    };
    let checked = check(&fixture.app(), &options, &Tasks::new()).await;
    assert_has(&texts(&checked, Severity::Error), &["`web`", "`b`", "one.db"]);
    assert_has(
        &texts(&checked, Severity::Warning),
        &["[sqlite_database.c]", "no service has"],
    );
}

#[tokio::test]
async fn a_variable_that_nobody_uses_is_named_and_hosts_are_shown_with_their_values() {
    let fixture = Fixture::new()
        .lines("[variables]\nhost = { default = \"example.com\" }\nidle = { default = \"x\" }")
        .service("web", "(component)")
        .lines("allowed_outbound_hosts = [\"https://{{ host }}\", \"http://*.spin.internal\"]")
        .service("api", "(component)");
    let checked = fixture.check().await;
    let warnings = texts(&checked, Severity::Warning);
    assert_has(&warnings, &["the variable `idle`", "used by no service"]);
    assert!(!warnings.iter().any(|text| text.contains("variable `host`")));
    let hosts: Vec<_> = checked
        .graph
        .hosts
        .iter()
        .map(|edge| edge.host.as_str())
        .collect();
    assert_eq!(hosts, ["https://example.com", "http://*.spin.internal"]);
    let chained: Vec<_> = checked.graph.hosts[1]
        .chained
        .iter()
        .map(ServiceName::as_str)
        .collect();
    assert_eq!(chained, ["api"]);
}
