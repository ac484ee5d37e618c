//! What a start says of contracts that nobody serves, that more than one serves, or that do not fit.

use std::fs;

use super::{links, links_with};
use crate::harness::{Builder, Finished, TestHost, fixture};

const PLAIN: &str = "link:fault/plain@1.0.0";

/// A service whose component is a fixture in which names were replaced by others of the same length, all in one
/// pass.
fn renamed(builder: Builder, service: &str, of: &str, names: &[(&str, &str)]) -> Builder {
    let mut bytes = fs::read(fixture(of)).expect("the fixture is readable");
    let mut at = 0;
    while at < bytes.len() {
        let found = names
            .iter()
            .find(|(name, _)| bytes[at..].starts_with(name.as_bytes()));
        if let Some((name, other)) = found {
            assert_eq!(
                name.len(),
                other.len(),
                "a component stores the lengths of its names"
            );
            bytes[at..at + other.len()].copy_from_slice(other.as_bytes());
            at += name.len();
        } else {
            at += 1;
        }
    }
    let file = format!("{service}.wasm");
    let table = format!("[component.{service}]\nsource = {file:?}\n");
    builder.file(&file, bytes).tables(&table)
}

/// A caller of the plain contract, with or without a table of links.
fn caller(builder: Builder, name: &str, links: &str) -> Builder {
    let builder = builder.service(name, "link-fault-caller-p2").tables(links);
    builder.route(&format!("/{name}/..."), name)
}

async fn refused(builder: Builder, words: &[&str]) -> Finished {
    let failure = builder.fail().await;
    assert!(failure.status.code().is_some_and(|code| code != 0), "{failure:?}");
    for word in words {
        assert!(
            failure.stderr.contains(word),
            "no {word:?} in:\n{}",
            failure.stderr
        );
    }
    assert!(!failure.stderr.contains("panicked"), "{}", failure.stderr);
    failure
}

#[tokio::test]
async fn the_only_exporter_is_linked_without_a_word() {
    let builder = TestHost::builder().service("callee", "link-fault-callee-p2");
    let host = caller(builder, "caller", "").start().await;
    let answer = host.get("/caller/plain/with-error/answer/3").await;
    assert_eq!(answer.text(), "ok answer 3\n");
}

#[tokio::test]
async fn a_contract_that_nobody_exports_is_refused_with_what_to_write() {
    let builder = TestHost::builder().service("other", "hello-p3");
    refused(
        caller(builder, "caller", ""),
        &[
            "`caller` imports `link:fault/plain@1.0.0`, which neither the host nor another service provides",
            "hint: ",
            "[component.caller.dependencies]",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_link_to_a_service_that_exports_something_else_is_refused() {
    let builder = TestHost::builder().service("other", "hello-p3");
    let links = links("caller", &[(PLAIN, "other")]);
    refused(
        caller(builder, "caller", &links),
        &[
            "spin.toml:",
            "`other` is to serve `link:fault/plain@1.0.0` for `caller`, and it does not export `link:fault/plain`",
            "hint: ",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_link_to_no_service_is_refused_where_it_stands() {
    let builder = TestHost::builder().service("callee", "link-fault-callee-p2");
    let links = links("caller", &[(PLAIN, "calee")]);
    refused(
        caller(builder, "caller", &links),
        &["spin.toml:", "calee", "callee"],
    )
    .await;
}

#[tokio::test]
async fn two_exporters_are_a_choice_that_the_manifest_makes() {
    let two = || {
        TestHost::builder()
            .service("first", "link-fault-callee-p2")
            .service("second", "link-fault-callee")
    };
    refused(
        caller(two(), "caller", ""),
        &[
            "`caller` imports `link:fault/plain@1.0.0`, which 2 services export: `first`, `second`",
            "[component.caller.tool.midplane.links]",
            "\"link:fault/plain@1.0.0\" = \"first\"",
        ],
    )
    .await;
    let links = links("caller", &[(PLAIN, "second")]);
    let host = caller(two(), "caller", &links).start().await;
    assert_eq!(
        host.get("/caller/plain/with-error/answer").await.text(),
        "ok answer 0\n"
    );
    let label = ["callee=\"second\"", "outcome=\"answered\""];
    assert_eq!(host.metric("midplane_link_calls_total", &label).await, Some(1.0));
}

#[tokio::test]
async fn a_later_compatible_version_serves() {
    for table in ["", &links("caller", &[(PLAIN, "callee")])] {
        let later = [("link:fault/plain@1.0.0", "link:fault/plain@1.2.0")];
        let builder = renamed(TestHost::builder(), "callee", "link-fault-callee-p2", &later);
        let host = caller(builder, "caller", table).start().await;
        let answer = host.get("/caller/plain/with-error/answer/3").await;
        assert_eq!(answer.text(), "ok answer 3\n");
        let failed = host.get("/caller/plain/with-text/trap").await;
        assert_eq!(
            failed.text(),
            "err calling `link:fault/plain@1.0.0.with-text` of `callee` failed: it trapped (caller → callee)\n"
        );
    }
}

/// The user imports two of the three functions that the store exports.
#[tokio::test]
async fn a_later_version_may_have_functions_that_the_caller_does_not_know() {
    let later = [("link:store/cells@1.0.0", "link:store/cells@1.2.0")];
    let host = renamed(TestHost::builder(), "store", "link-store", &later)
        .grant("key_value_stores = [\"default\"]")
        .service("user", "link-store-user")
        .route("/...", "user")
        .start()
        .await;
    assert_eq!(host.get("/other/put/key/value").await.text(), "ok kept\n");
    assert_eq!(host.get("/other/get/key").await.text(), "ok value\n");
}

#[tokio::test]
async fn an_incompatible_or_earlier_version_does_not_serve() {
    for (imported, exported) in [
        ("link:fault/plain@1.0.0", "link:fault/plain@2.0.0"),
        ("link:fault/plain@1.0.0", "link:fault/plain@0.9.0"),
    ] {
        let other = [(imported, exported)];
        let builder = || renamed(TestHost::builder(), "callee", "link-fault-callee-p2", &other);
        refused(
            caller(builder(), "caller", ""),
            &[
                "`caller` imports `link:fault/plain@1.0.0`",
                &format!("`callee` exports `{exported}`"),
            ],
        )
        .await;
        let links = links("caller", &[(PLAIN, "callee")]);
        refused(
            caller(builder(), "caller", &links),
            &[
                "`callee` is to serve `link:fault/plain@1.0.0` for `caller`",
                &format!("it exports only `{exported}`"),
            ],
        )
        .await;
    }
}

/// The types of two functions change places.
#[tokio::test]
async fn types_that_do_not_fit_are_refused_for_every_caller_with_what_was_expected() {
    let names = [("with-kind", "with-code"), ("with-code", "with-kind")];
    let builder = renamed(TestHost::builder(), "callee", "link-fault-callee-p2", &names);
    let builder = caller(builder, "first", &links_with("first", &[PLAIN], "callee", ""));
    let builder = caller(builder, "second", "");
    let failure = refused(
        builder,
        &[
            "2 imports cannot be linked",
            "`first` imports `link:fault/plain@1.0.0`",
            "`second` imports `link:fault/plain@1.0.0`",
            "hint: ",
        ],
    )
    .await;
    for function in ["with-kind", "with-code"] {
        let lines: Vec<_> = failure
            .stderr
            .lines()
            .filter(|line| line.contains(function))
            .collect();
        assert_eq!(lines.len(), 2, "one line for each caller:\n{}", failure.stderr);
        for line in lines {
            assert!(line.contains("u32"), "{line}");
            assert!(line.contains("enum") || line.contains("overloaded"), "{line}");
        }
    }
}
