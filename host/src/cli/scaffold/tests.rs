//! Apps and services in temporary directories: what is written, what is refused, and that a refusal leaves nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

/// Every file below a directory, with its text. Directories end with `/` and have none.
fn tree(directory: &Path) -> BTreeMap<String, String> {
    fn collect(directory: &Path, prefix: &str, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                collect(&path, &format!("{name}/"), into);
                into.insert(format!("{name}/"), String::new());
            } else {
                into.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(directory, "", &mut found);
    found
}

fn demo() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    new_app("demo", root.path()).unwrap();
    root
}

fn uses(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Asserts that a service is refused with this text and hint, and that nothing changed.
fn assert_refused(root: &Path, name: &str, used: &[&str], text: &str, hint: &str) {
    let before = tree(root);
    let error = add_service(root, name, &uses(used)).unwrap_err();
    let (message, hinted) = (error.to_string(), error.hint().unwrap_or_default());
    assert!(message.contains(text), "{message}");
    assert!(hinted.contains(hint), "{message}: {hinted}");
    assert!(hint.is_empty() == hinted.is_empty(), "{message}: {hinted}");
    assert_eq!(tree(root), before, "{message}");
}

#[test]
fn a_new_app_is_a_manifest_a_workspace_and_what_belongs_to_them() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("a/b");
    let app = new_app("demo", &directory).unwrap();
    let files = tree(&directory);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            ".gitignore",
            "README.md",
            "components/",
            "components/Cargo.toml",
            "rust-toolchain.toml",
            "spin.toml",
            "wit/",
            "wit/README.md",
        ]
    );
    assert_eq!(app.written.new.len(), 6);
    let parsed = manifest::load(&directory).unwrap();
    assert_eq!(parsed.name.as_str(), "demo");
    assert_eq!(parsed.data, crate::model::DataScope::PerService);
    let warnings: Vec<String> = parsed
        .warnings
        .iter()
        .map(|warning| warning.message.clone())
        .collect();
    assert_eq!(
        warnings,
        ["the app has no component and no trigger: there is nothing to serve"]
    );
    let workspace: toml::Table = files["components/Cargo.toml"].parse().unwrap();
    assert_eq!(workspace["workspace"]["members"].as_array().unwrap().len(), 0);
    assert_eq!(
        workspace["workspace"]["dependencies"]["spin-sdk"]["version"].as_str(),
        Some("7")
    );
}

#[test]
fn an_app_is_made_only_where_nothing_is() {
    let root = demo();
    let before = tree(root.path());
    for directory in [root.path().to_owned(), root.path().join("spin.toml")] {
        let error = new_app("other", &directory).unwrap_err();
        assert!(
            error.to_string().contains("exists and is not an empty directory"),
            "{error}"
        );
        assert_eq!(error.hint().as_deref(), Some("name another place with `--dir`"));
    }

    let cloned = tempfile::tempdir().unwrap();
    fs::create_dir(cloned.path().join(".git")).unwrap();
    new_app("other", cloned.path()).unwrap();
    assert!(cloned.path().join("spin.toml").is_file());

    let error = new_app("My App", &root.path().join("new")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`My App` cannot be the name of an app"),
        "{error}"
    );
    assert_eq!(error.hint().as_deref(), Some("for example `my-app`"));
    assert_eq!(tree(root.path()), before);
}

#[test]
fn a_service_is_added_to_what_is_there() {
    let root = demo();
    let manifest_file = root.path().join("spin.toml");
    let old = fs::read_to_string(&manifest_file).unwrap() + "# mine, without an end of line";
    fs::write(&manifest_file, &old).unwrap();

    let service = add_service(root.path(), "order-desk", &[]).unwrap();
    assert!(service.caller.is_none() && service.uses.is_empty());
    let text = fs::read_to_string(&manifest_file).unwrap();
    assert!(text.starts_with(&old), "{text}");

    let app = manifest::load(root.path()).unwrap();
    assert_eq!(app.warnings, []);
    let added = &app.services[&ServiceName::parse("order-desk").unwrap()];
    let build = added.build.as_ref().unwrap();
    assert_eq!(
        build.command,
        ["cargo build --release --target wasm32-wasip2 --manifest-path order-desk/Cargo.toml"]
    );
    assert_eq!(build.workdir, app.dir.join("components"));
    let artifact = "components/target/wasm32-wasip2/release/order_desk.wasm";
    assert_eq!(added.source, app.dir.join(artifact));
    let labels: Vec<&str> = added.sqlite_databases.iter().map(AsRef::as_ref).collect();
    assert_eq!(labels, ["default"]);
    let TriggerRoute::Path(route) = &app.triggers[0].route else {
        panic!("the route is private")
    };
    assert_eq!(route.to_string(), "/order-desk/...");

    let files = tree(root.path());
    let own = |prefix: &str| files.keys().filter(|file| file.starts_with(prefix)).count();
    assert_eq!(own("wit/demo-order-desk/"), 2);
    assert_eq!(
        own("components/order-desk/"),
        13,
        "nine files in four directories"
    );
    let contract = &files["wit/demo-order-desk/order-desk.wit"];
    assert!(
        contract.starts_with("package demo:order-desk@0.1.0;\n"),
        "{contract}"
    );
    let entry = &files["components/order-desk/src/contract.rs"];
    assert!(
        entry.contains("bindings::exports::demo::order_desk::entries::"),
        "{entry}"
    );
    let workspace = &files["components/Cargo.toml"];
    assert!(
        workspace.contains("members = [\"order-desk\", \"order-desk/domain\"]"),
        "{workspace}"
    );

    let second = add_service(&manifest_file, "greetings", &[]).unwrap();
    assert_eq!(second.caller.unwrap().as_str(), "order-desk");
    assert_eq!(manifest::load(root.path()).unwrap().services.len(), 2);
}

#[test]
fn a_service_that_uses_others_has_a_port_a_test_and_a_link_for_each() {
    let root = demo();
    add_service(root.path(), "greetings", &[]).unwrap();
    let contract = root.path().join("wit/demo-greetings/greetings.wit");
    let text = fs::read_to_string(&contract).unwrap();
    fs::write(&contract, text.replace("@0.1.0", "@0.1.3")).unwrap();
    add_service(root.path(), "store", &[]).unwrap();

    let service = add_service(root.path(), "clients", &uses(&["store", "greetings", "store"])).unwrap();
    let used: Vec<&str> = service.uses.iter().map(Word::as_str).collect();
    assert_eq!(used, ["greetings", "store"]);
    assert!(service.caller.is_none() && service.chained.is_empty());
    let third = add_service(root.path(), "prices", &[]).unwrap();
    assert_eq!(third.caller.unwrap().as_str(), "clients", "nobody calls it");

    let files = tree(root.path());
    for other in ["greetings", "store"] {
        let port = &files[&format!("components/clients/domain/src/{other}_client.rs")];
        assert!(
            port.contains("#[test]") && port.contains("Client for Fake"),
            "{port}"
        );
        assert!(files.contains_key(&format!("components/clients/src/{other}_client.rs")));
    }
    let bindings = &files["components/clients/src/bindings.rs"];
    for line in [
        "\"../../wit/demo-greetings\",",
        "import demo:greetings/entries@0.1.3;",
        "import demo:store/entries@0.1.0;",
        "export demo:clients/entries@0.1.0;",
    ] {
        assert!(
            bindings.lines().any(|found| found.trim() == line),
            "{line}\n{bindings}"
        );
    }
    let manifest: toml::Table = files["spin.toml"].parse().unwrap();
    let component = &manifest["component"]["clients"];
    let dependency = &component["dependencies"]["demo:greetings@0.1.3"];
    assert_eq!(
        dependency["path"].as_str(),
        Some("components/target/wasm32-wasip2/release/greetings.wasm")
    );
    assert_eq!(
        dependency["inherit_configuration"][0].as_str(),
        Some("sqlite_databases")
    );
    let links = component["tool"]["midplane"]["links"].as_table().unwrap();
    assert_eq!(links["demo:greetings/entries@0.1.3"].as_str(), Some("greetings"));
    assert_eq!(links["demo:store/entries@0.1.0"].as_str(), Some("store"));

    let chained = add_service(root.path(), "front", &uses(&["clients"]))
        .unwrap()
        .chained;
    assert_eq!(chained.iter().map(Word::as_str).collect::<Vec<_>>(), ["clients"]);
}

#[test]
fn a_service_that_cannot_be_added_leaves_nothing() {
    let root = demo();
    add_service(root.path(), "greetings", &[]).unwrap();
    let root = root.path();
    let other = "take another name";
    assert_refused(
        root,
        "greetings",
        &[],
        "the app has a component `greetings`",
        other,
    );
    assert_refused(
        root,
        "fn",
        &[],
        "it is a keyword of Rust",
        "for example `fn-desk`",
    );
    assert_refused(root, "a", &["b"], "no component `b`", "the app has `greetings`");
    assert_refused(
        root,
        "a",
        &["../b"],
        "no component `../b`",
        "the app has `greetings`",
    );
    assert_refused(root, "a", &["a"], "`a` cannot use itself", "");

    let contract = root.join("wit/demo-greetings/greetings.wit");
    let text = fs::read_to_string(&contract).unwrap();
    fs::write(&contract, text.replace("get:", "look-up:")).unwrap();
    let changed = "has no longer `get: async func";
    assert_refused(root, "a", &["greetings"], changed, "without `--uses greetings`");
    fs::remove_file(contract).unwrap();
    let none = "declares no package `demo:greetings`";
    assert_refused(root, "a", &["greetings"], none, "without `--uses greetings`");

    fs::create_dir(root.join("components/taken")).unwrap();
    assert_refused(root, "taken", &[], "components/taken exists", other);
    fs::create_dir(root.join("wit/demo-agreed")).unwrap();
    assert_refused(root, "agreed", &[], "wit/demo-agreed exists", other);

    let manifest = root.join("spin.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let route = "\n[[trigger.http]]\nroute = \"/routed/*\"\ncomponent = \"greetings\"\n";
    fs::write(&manifest, text.clone() + route).unwrap();
    assert_refused(root, "routed", &[], "the route /routed/... is taken at", other);

    fs::write(&manifest, text.replace("name = \"demo\"", "name = \"My Demo\"")).unwrap();
    assert_refused(
        root,
        "a",
        &[],
        "`My Demo` cannot be the name of an app",
        "`my-demo`",
    );
    fs::write(&manifest, text + "oops").unwrap();
    assert_refused(root, "a", &[], "not valid TOML", "");
}

#[test]
fn files_that_cannot_be_edited_are_left_as_they_are() {
    let root = demo();
    let root = root.path();
    let manifest = root.join("spin.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.clone() + "[trigger]\nhttp = []\n").unwrap();
    assert_refused(root, "a", &[], "at the end of the manifest", "`[[trigger.http]]`");
    fs::write(&manifest, text).unwrap();

    let workspace = root.join("components/Cargo.toml");
    let whole = fs::read_to_string(&workspace).unwrap();
    fs::write(&workspace, whole.replace("serde_json = \"1\"\n", "")).unwrap();
    assert_refused(
        root,
        "a",
        &[],
        "components/Cargo.toml: it lacks `workspace.dependencies.serde_json`",
        "[workspace.dependencies]\n    serde_json = \"1\"",
    );
    fs::write(&workspace, "[workspace]\nmembers = [\"x\"]\n").unwrap();
    assert_refused(
        root,
        "a",
        &[],
        "`workspace.package.edition`",
        "edition = \"2024\"",
    );
    fs::write(&workspace, "[workspace]\n").unwrap();
    assert_refused(root, "a", &[], "has no list of `members`", "members = []");
    fs::remove_file(&workspace).unwrap();
    assert_refused(root, "a", &[], "there is no ", "midplane new");
}

#[test]
fn what_was_made_is_removed_when_a_later_file_fails() {
    let root = demo();
    let before = tree(root.path());
    let workspace = root.path().join(WORKSPACE);
    let changes = || {
        let mut changes = Changes::new(root.path());
        changes.create("x/y/one".to_owned(), "1".to_owned());
        changes.create("x/two".to_owned(), "2".to_owned());
        let old = before["components/Cargo.toml"].clone();
        changes.replace(workspace.clone(), old, "new".to_owned());
        changes
    };

    let mut taken = changes();
    taken.create("spin.toml".to_owned(), String::new());
    let error = taken.apply().unwrap_err();
    assert!(
        error.to_string().contains("spin.toml; nothing was changed"),
        "{error}"
    );
    assert_eq!(tree(root.path()), before);

    let mut stale = changes();
    stale.replace(
        root.path().join("spin.toml"),
        "other".to_owned(),
        "new".to_owned(),
    );
    let error = stale.apply().unwrap_err();
    assert!(error.to_string().contains("changed in the meantime"), "{error}");
    assert_eq!(tree(root.path()), before);

    changes().apply().unwrap();
    let after = tree(root.path());
    assert_eq!((after["x/y/one"].as_str(), after["x/two"].as_str()), ("1", "2"));
    assert_eq!(after["components/Cargo.toml"], "new");
    assert_eq!(after.len(), before.len() + 4);
}

#[cfg(unix)]
#[test]
fn an_edited_file_keeps_its_permissions_and_links() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let root = demo();
    let manifest = root.path().join("spin.toml");
    let real = root.path().join("real.toml");
    fs::rename(&manifest, &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.toml", &manifest).unwrap();

    add_service(root.path(), "greetings", &[]).unwrap();
    assert!(manifest.symlink_metadata().unwrap().is_symlink());
    let mode = real.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(
        fs::read_to_string(&real)
            .unwrap()
            .contains("[component.greetings]")
    );
}
