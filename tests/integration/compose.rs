//! `midplane compose`: a service and those that it links to as one component, which runs like the two did.

use std::fs;

use crate::harness::{Builder, Finished, TestHost};

fn app() -> Builder {
    TestHost::builder()
}

/// Writes the manifest that a start of `builder` would have, and runs `midplane compose` on it.
async fn compose(builder: &Builder, manifest: &str, arguments: &[&str]) -> Finished {
    fs::write(builder.folder().join("spin.toml"), manifest).expect("the folder is ours");
    let cache = builder.cache().display().to_string();
    let mut all = vec!["compose"];
    all.extend(arguments);
    all.extend(["--quiet", "--cache-dir", &cache]);
    Finished::of(&all, builder.folder()).await
}

fn manifest(services: &[(&str, &str)], more: &str) -> String {
    let mut text = "spin_manifest_version = 2\n[application]\nname = \"shop\"\n".to_owned();
    for (name, fixture) in services {
        let source = crate::harness::fixture(fixture);
        text.push_str(&format!("[component.{name}]\nsource = {source:?}\n"));
    }
    text + more
}

#[tokio::test]
async fn a_caller_and_its_callee_become_one_component_that_needs_nothing_but_wasi_and_runs() {
    let builder = app();
    let text = manifest(
        &[
            ("caller", "link-caller-p3"),
            ("callee", "link-callee-p3"),
            ("other", "hello-p2"),
        ],
        "",
    );
    let made = compose(&builder, &text, &["caller"]).await;
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let file = builder.folder().join("caller.composed.wasm");
    assert!(file.is_file(), "{made:?}");
    assert!(made.stdout.starts_with("caller.composed.wasm  "), "{made:?}");
    for words in [
        "\n  caller  ",
        "\n  callee  ",
        "\n  caller → callee  link:values/plain@1.0.0\n",
        "\n  caller → callee  link:values/waiting@1.0.0\n",
        "`wasmtime serve`",
    ] {
        assert!(made.stdout.contains(words), "no {words:?} in {}", made.stdout);
    }
    assert!(!made.stdout.contains("\n  other  "), "{made:?}");
    let imports = made.stdout.split("\nImports\n").nth(1).expect("imports are told");
    let imports: Vec<_> = imports.lines().take_while(|line| !line.is_empty()).collect();
    assert!(
        !imports.is_empty() && imports.iter().all(|import| import.starts_with("  wasi:")),
        "{imports:?}"
    );

    let host = app()
        .tables(&format!("[component.web]\nsource = {file:?}"))
        .route("/...", "web")
        .start()
        .await;
    for path in ["/plain/of_string", "/waiting/of_string", "/waiting/of_bytes"] {
        let answer = host.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", host.log_text());
        assert!(answer.text().starts_with("pass: "), "{path}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_file_that_is_there_is_replaced_only_if_that_is_asked_for() {
    let builder = app().file("here.wasm", "mine");
    let text = manifest(&[("web", "hello-p2")], "");
    let file = builder.folder().join("here.wasm");
    let kept = compose(&builder, &text, &["web", "-o", "here.wasm"]).await;
    assert_eq!(kept.status.code(), Some(1), "{kept:?}");
    assert!(
        kept.stderr
            .contains("here.wasm exists already\nhint: replace it with `--force`"),
        "{kept:?}"
    );
    assert_eq!(fs::read(&file).expect("it is there"), b"mine");
    let replaced = compose(&builder, &text, &["web", "-o", "here.wasm", "--force"]).await;
    assert_eq!(replaced.status.code(), Some(0), "{replaced:?}");
    // Nothing is linked to it, so it is what it was.
    let source = fs::read(crate::harness::fixture("hello-p2")).expect("the fixture is built");
    assert!(fs::read(&file).expect("it is there") == source);
    let names: Vec<_> = fs::read_dir(builder.folder())
        .expect("the folder is ours")
        .map(|entry| {
            entry
                .expect("the folder is readable")
                .file_name()
                .into_string()
                .expect("it is text")
        })
        .filter(|name| name.contains("compose"))
        .collect();
    assert_eq!(names, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named() {
    let builder = app();
    let made = compose(
        &builder,
        &manifest(&[("web", "hello-p2")], ""),
        &["web", "-o", "no/where.wasm"],
    )
    .await;
    assert_eq!(made.status.code(), Some(1), "{made:?}");
    assert!(made.stderr.contains("cannot write no/where.wasm"), "{made:?}");
}

#[tokio::test]
async fn links_in_a_circle_are_refused_with_the_circle() {
    let text = manifest(
        &[("one", "link-ring-p2"), ("two", "link-ring-p2")],
        "[component.one.tool.midplane.links]\n\"link:ring/plain-step@1.0.0\" = \"two\"\n\
         [component.two.tool.midplane.links]\n\"link:ring/plain-step@1.0.0\" = \"one\"\n",
    );
    let made = compose(&app(), &text, &["one"]).await;
    assert_eq!(made.status.code(), Some(1), "{made:?}");
    assert!(made.stderr.contains("one → two → one"), "{made:?}");
    assert!(
        made.stderr.contains("hint: a composition cannot have circles"),
        "{made:?}"
    );
}

#[tokio::test]
async fn a_part_that_is_not_built_is_named_and_one_that_is_not_needed_is_not_missed() {
    let callee = "[component.callee]\nsource = \"callee.wasm\"\nbuild = { command = \"make\" }\n";
    let text = manifest(&[("caller", "link-caller-p2")], callee);
    let made = compose(&app(), &text, &["caller"]).await;
    assert_eq!(made.status.code(), Some(1), "{made:?}");
    for words in [
        "service `callee`",
        "callee.wasm",
        "midplane build",
        "`caller` cannot be composed",
    ] {
        assert!(made.stderr.contains(words), "no {words:?} in {}", made.stderr);
    }
    let text = manifest(
        &[("caller", "link-caller-p2"), ("real", "link-callee-p2")],
        callee,
    );
    let made = compose(&app(), &text, &["caller"]).await;
    assert_eq!(made.status.code(), Some(0), "{made:?}");
}

#[tokio::test]
async fn a_service_that_the_app_does_not_have_is_named() {
    let made = compose(&app(), &manifest(&[("web", "hello-p2")], ""), &["webb"]).await;
    assert_eq!(made.status.code(), Some(1), "{made:?}");
    assert!(
        made.stderr
            .contains("no service `webb`\nhint: its services are `web`"),
        "{made:?}"
    );
}
