//! What is typed, what is sent, and what is told.

use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::cli::Exit;
use crate::cli::client::stand_in::{StandIn, entry, outcome, revision, service};

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    deploy: Deploy,
}

const DEPLOY: &str = "POST /v1/apps/shop/deploy";
const UPLOAD: &str = "PUT /v1/apps/shop/components";

fn typed(arguments: &[&str]) -> Deploy {
    let arguments = ["midplane"].iter().chain(arguments);
    Typed::try_parse_from(arguments).unwrap().deploy
}

/// Deploys the files that `arguments` name within a directory that has `orders.wasm` and `auth.wasm`.
async fn deploy(stand_in: &StandIn, arguments: &[&str]) -> (Result<(), Failure>, String) {
    let dir = tempfile::tempdir().unwrap();
    let typed = typed(arguments);
    let Ok(Wanted::Files(mut files)) = wanted(&typed.what, typed.build) else {
        panic!("{arguments:?} name no files");
    };
    for (service, file) in &mut files {
        *file = dir.path().join(&*file);
        std::fs::write(&*file, format!("component of {service}")).unwrap();
    }
    let client = stand_in.client().await;
    let mut told = Vec::new();
    let done = typed.act(&client, &files, &mut Output::to(&mut told)).await;
    (done, String::from_utf8(told).unwrap())
}

fn change() -> Value {
    json!([{"service": "orders", "from": "aaa", "to": "bbb"}])
}

#[test]
fn what_is_typed_names_files_or_services() {
    let files = |arguments: &[&str]| {
        let typed = typed(arguments);
        match wanted(&typed.what, typed.build) {
            Ok(Wanted::Files(files)) => files
                .iter()
                .map(|(service, file)| format!("{service} {}", file.display()))
                .collect::<Vec<_>>(),
            _ => panic!("{arguments:?} name no files"),
        }
    };
    assert_eq!(files(&["orders", "a=b.wasm"]), ["orders a=b.wasm"]);
    assert_eq!(files(&["orders=a=b.wasm"]), ["orders a=b.wasm"]);
    assert_eq!(
        files(&["orders=o.wasm", "auth=a.wasm"]),
        ["auth a.wasm", "orders o.wasm"]
    );
    let built = typed(&["orders", "auth", "--build"]);
    let orders_and_auth = ["orders", "auth"].map(|name| ServiceName::parse(name).unwrap());
    assert!(
        wanted(&built.what, built.build).is_ok_and(|wanted| wanted == Wanted::Built(orders_and_auth.into()))
    );
}

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    for bad in [
        &["orders"][..],
        &["orders", "auth", "x.wasm"],
        &["orders=o.wasm", "auth"],
        &["orders=", "auth=a.wasm"],
        &["=o.wasm"],
        &["or_ders", "o.wasm"],
        &["orders=1.wasm", "orders=2.wasm"],
        &["orders", "orders", "--build"],
        &["orders=o.wasm", "--build"],
    ] {
        let typed = typed(bad);
        let failure = wanted(&typed.what, typed.build).unwrap_err();
        assert_eq!(failure.exit.code(), 2, "{bad:?}");
        assert!(failure.hint.unwrap().contains("midplane deploy SERVICE FILE"));
    }
    for bad in [
        &[][..],
        &["orders", "o.wasm", "--canary", "0%"],
        &["orders", "o.wasm", "--sticky", "client"],
        &["orders", "o.wasm", "--canary", "5%", "--sticky", "user"],
        &["orders", "o.wasm", "--drain-timeout", "-1"],
        &["orders", "o.wasm", "--admin", "https://localhost"],
    ] {
        let arguments = ["midplane"].iter().chain(bad);
        let refused = Typed::try_parse_from(arguments).err().unwrap();
        assert_eq!(refused.exit_code(), 2, "{bad:?}");
    }
}

#[tokio::test]
async fn components_are_sent_and_then_deployed_by_their_digests() {
    let stand_in = StandIn::start().await;
    stand_in.answer(UPLOAD, json!({"component": "sha256:aa"}));
    stand_in.answer(UPLOAD, json!({"component": "sha256:bb"}));
    let changes = json!([
        {"service": "auth", "from": "ccc", "to": "ddd"}, {"service": "orders", "from": "aaa", "to": "bbb"},
    ]);
    stand_in.answer(DEPLOY, outcome(json!({"changes": changes})));
    let (done, told) = deploy(&stand_in, &["orders=orders.wasm", "auth=auth.wasm"]).await;
    assert!(done.is_ok());
    assert_eq!(
        told,
        "auth: ccc → ddd published in 38 ms (generation 7)\norders: aaa → bbb published in 38 ms (generation 7)\n"
    );
    let asked = stand_in.asked();
    assert_eq!(asked[0].body, b"component of auth");
    assert_eq!(asked[1].body, b"component of orders");
    assert_eq!(
        asked[2].json(),
        json!({"services": {"auth": {"component": "sha256:aa"}, "orders": {"component": "sha256:bb"}}})
    );
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn every_option_reaches_the_host() {
    let stand_in = StandIn::start().await;
    stand_in.answer(UPLOAD, json!({"component": "sha256:aa"}));
    stand_in.answer(DEPLOY, outcome(json!({"changes": change()})));
    let arguments = [
        "orders",
        "orders.wasm",
        "--canary",
        "2.50",
        "--sticky",
        "header:x-user",
        "--allow-new-grants",
        "--drain-timeout",
        "1.5",
    ];
    let (done, told) = deploy(&stand_in, &arguments).await;
    assert!(done.is_ok());
    assert_eq!(
        told,
        "orders: candidate bbb gets 2.5% of the requests, published in 38 ms (generation 7)\n"
    );
    assert_eq!(
        stand_in.asked_for(DEPLOY).json(),
        json!({
            "services": {"orders": {"component": "sha256:aa"}},
            "canary": {"weight": "2.5%", "sticky": "header:x-user"},
            "allow_new_grants": true,
            "drain_timeout": 1.5,
        })
    );
}

#[tokio::test]
async fn a_component_that_is_served_already_is_no_failure() {
    let stand_in = StandIn::start().await;
    stand_in.answer(UPLOAD, json!({"component": "sha256:aa"}));
    let unchanged = outcome(json!({"outcome": "unchanged", "entry": null}));
    stand_in.answer(DEPLOY, unchanged.clone());
    let (done, told) = deploy(&stand_in, &["orders", "orders.wasm", "--wait"]).await;
    assert!(done.is_ok());
    assert_eq!(told, "orders: unchanged (generation 7)\n");
    let (done, told) = deploy(&stand_in, &["orders", "orders.wasm", "--format", "json"]).await;
    assert!(done.is_ok());
    let printed: Value = serde_json::from_str(&told).unwrap();
    let mut expected = unchanged;
    expected.as_object_mut().unwrap().remove("entry");
    assert_eq!(printed, expected);
}

#[tokio::test]
async fn grants_that_are_new_are_shown_with_the_option_that_allows_them() {
    let stand_in = StandIn::start().await;
    stand_in.answer(UPLOAD, json!({"component": "sha256:aa"}));
    let problem = json!({
        "detail": "orders would touch what it may not touch yet", "kind": "refused",
        "hint": "set `allow_new_grants`", "new_grants": ["sqlite: default"],
    });
    stand_in.problem(DEPLOY, 422, problem);
    let (done, told) = deploy(&stand_in, &["orders", "orders.wasm"]).await;
    let failure = done.unwrap_err();
    assert_eq!(
        failure.error.to_string(),
        "orders would touch what it may not touch yet\n  + sqlite: default"
    );
    assert_eq!(
        failure.hint.as_deref(),
        Some("if that is wanted, add `--allow-new-grants`")
    );
    assert_eq!((failure.exit, told.as_str()), (Exit::Refused, ""));
}

#[tokio::test]
async fn waiting_for_a_deploy_ends_when_requests_have_left_the_old_revision() {
    let stand_in = StandIn::start().await;
    stand_in.answer(UPLOAD, json!({"component": "sha256:aa"}));
    stand_in.answer(DEPLOY, outcome(json!({"changes": change()})));
    let drained = entry(json!({"number": 40, "drain_ms": 5.25}));
    stand_in.answer(
        "GET /v1/apps/shop/history?limit=1&before=41",
        json!({"entries": [drained]}),
    );
    let (done, told) = deploy(&stand_in, &["orders", "orders.wasm", "--wait"]).await;
    assert!(done.is_ok());
    assert!(
        told.ends_with(
            "published in 38 ms (generation 7)\nall requests have left the old revisions after 5.2 ms\n"
        ),
        "{told}"
    );
}

const CANARY: [&str; 5] = ["orders", "orders.wasm", "--canary", "10%", "--wait"];

/// Answers for the time before and after a candidate `bbb` was decided about by `ended`.
async fn with_canary(deployed: Value, ended: Value) -> StandIn {
    let stand_in = StandIn::start().await;
    stand_in.answer(UPLOAD, json!({"component": "sha256:aa"}));
    stand_in.answer(DEPLOY, deployed);
    stand_in.answer(
        "GET /v1/apps/shop/history?limit=1",
        json!({"entries": [entry(json!({"number": 40}))]}),
    );
    let current = service("orders", "aaa", json!({}));
    stand_in.answer("GET /v1/apps/shop/services/orders", current);
    stand_in.answer(
        "GET /v1/apps/shop/services/orders/history?limit=100",
        json!({"entries": [ended, entry(json!({"number": 40, "action": "abort"}))]}),
    );
    stand_in
}

#[tokio::test]
async fn a_candidate_that_is_taken_back_has_an_exit_code_of_its_own() {
    let ended =
        entry(json!({"number": 42, "action": "canary", "outcome": "rolled back", "cause": "it trapped"}));
    let deployed = outcome(json!({"changes": change(), "entry": 41}));
    let stand_in = with_canary(deployed, ended).await;
    let (done, told) = deploy(&stand_in, &CANARY).await;
    let failure = done.unwrap_err();
    assert_eq!(failure.exit.code(), 4);
    assert_eq!(
        failure.error.to_string(),
        "the host took candidate bbb of orders back: it trapped"
    );
    assert!(
        told.starts_with("orders: candidate bbb gets 10% of the requests"),
        "{told}"
    );
}

#[tokio::test]
async fn a_candidate_that_was_there_before_is_waited_for_as_well() {
    let ended = entry(json!({"number": 41, "action": "promote"}));
    let stand_in = with_canary(outcome(json!({"outcome": "unchanged", "entry": null})), ended).await;
    let candidate = json!({"revision": revision("bbb"), "weight": "10%", "sticky": "client", "rollout": 12});
    let served = service("orders", "aaa", json!({"candidate": candidate}));
    stand_in.answer(
        "GET /v1/apps/shop",
        json!({"app": "shop", "url": "", "generation": 7, "manifest": "", "services": [served]}),
    );
    let (done, told) = deploy(&stand_in, &CANARY).await;
    assert!(done.is_ok());
    assert_eq!(
        told,
        "orders: unchanged (generation 7)\norders: candidate bbb is the current revision\n"
    );
}

#[tokio::test]
async fn a_file_that_is_missing_or_too_large_is_never_sent() {
    let dir = tempfile::tempdir().unwrap();
    let missing = read(&dir.path().join("x.wasm")).await.unwrap_err();
    assert!(missing.error.to_string().starts_with("cannot read "));
    let large = dir.path().join("large.wasm");
    let file = std::fs::File::create(&large).unwrap();
    file.set_len(u64::try_from(MAX_COMPONENT_BYTES).unwrap() + 1)
        .unwrap();
    let large = read(&large).await.unwrap_err();
    assert!(large.error.to_string().contains("which no host takes"));
}

#[tokio::test]
async fn a_build_is_not_begun_for_a_host_of_another_app() {
    let stand_in = StandIn::start().await;
    let dir = tempfile::tempdir().unwrap();
    let manifest = |app: &str| {
        let build = "[component.orders.build]\ncommand = \"echo built > orders.wasm\"\n";
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"{app}\"\n[component.orders]\nsource = \"orders.wasm\"\n{build}"
        );
        std::fs::write(dir.path().join("spin.toml"), text).unwrap();
    };
    let typed = typed(&["orders", "--build", "-f", dir.path().to_str().unwrap()]);
    let services = [ServiceName::parse("orders").unwrap()];
    let client = stand_in.client().await;
    manifest("bank");
    let refused = typed.built(&client, &services).await.unwrap_err();
    assert!(refused.error.to_string().ends_with("serves `shop`, not `bank`"));
    let component = dir.path().join("orders.wasm");
    assert!(!component.exists());
    manifest("shop");
    let Ok(built) = typed.built(&client, &services).await else {
        panic!("the build fails");
    };
    assert_eq!(built.values().collect::<Vec<_>>(), [&component]);
    assert!(component.is_file());
}
