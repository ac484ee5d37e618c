//! The gate: what it does not let in changes nothing, is journalled with its cause, and leaves nothing behind.

use super::*;

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let component = good("r2");
    let half = component[..component.len() / 2].to_vec();
    let stage = Stage::one().with(Builder::default_cache);
    let host = stage.start().await;
    let cases: [(&str, Vec<u8>, &str); 3] = [
        ("text", b"text\n".to_vec(), "it is not WebAssembly"),
        (
            "core",
            b"\0asm\x01\0\0\0".to_vec(),
            "it is a core WebAssembly module, not a component",
        ),
        ("half", half, "cannot be run"),
    ];
    for (name, bytes, cause) in cases {
        refused(&stage, "a", name, bytes, cause).await;
        assert_eq!(says(&host, "/a/").await, "r1");
    }
    leaves_nothing(&stage, host).await;
}

#[tokio::test]
async fn what_traps_at_its_start_is_refused() {
    let stage = Stage::one().with(Builder::default_cache);
    let host = stage.start().await;
    let stillborn = swap(Mode::Stillborn, "r2");
    refused(&stage, "a", "stillborn", stillborn, "`unreachable`").await;
    assert_eq!(says(&host, "/a/").await, "r1");
    leaves_nothing(&stage, host).await;
}

#[tokio::test]
async fn what_does_not_pass_its_probe_is_refused() {
    let probe = "[component.a.tool.midplane.probe]\npath = \"/healthz\"\nstatus = 200";
    let stage = Stage::new(&Manifest::new().service("a", probe));
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    for (name, mode) in [
        ("sick", Mode::Sick),
        ("fails", Mode::Fails),
        ("traps", Mode::Traps),
    ] {
        refused(&stage, "a", name, swap(mode, name), "/healthz").await;
        assert_eq!(says(&host, "/a/").await, "r1");
    }
    stage.deploy("a", good("r2")).await;
    assert_eq!(says(&host, "/a/").await, "r2");
    host.stop().await;
}

#[tokio::test]
async fn without_a_probe_only_what_lives_is_asked_for() {
    let stage = Stage::one();
    let host = stage.start().await;
    stage.deploy("a", swap(Mode::Sick, "r2")).await;
    assert_eq!(says(&host, "/a/").await, "r2");
    host.stop().await;
}

#[tokio::test]
async fn what_breaks_the_contract_of_a_caller_is_refused() {
    let manifest = Manifest::new().service("front", "").hidden("back", "");
    let stage = Stage::new(&manifest).with(Builder::default_cache);
    stage.put("front.wasm", storm("storm-front-p2", Condition::Good, 1));
    stage.put("back.wasm", storm("storm-back-p2", Condition::Good, 1));
    let host = stage.start().await;
    let contract = "`front` imports `storm:contract/plain@1.0.0`";
    let cases = [
        ("no-export", bare("hello-p2"), "provides"),
        ("other-export", back(Condition::Good, 1), "provides"),
        (
            "breaking",
            bare("storm-back-breaking"),
            "expected u64, found string",
        ),
    ];
    for (name, component, cause) in cases {
        let said = refused(&stage, "back", name, component, contract).await;
        assert!(said.contains(cause), "{said}");
        assert_eq!(says(&host, "/front/link").await, "1 1 1");
    }
    leaves_nothing(&stage, host).await;
}

#[tokio::test]
async fn what_imports_something_that_nobody_provides_is_refused() {
    let stage = Stage::one();
    let host = stage.start().await;
    let component = bare("import-unknown");
    let cause = "`a` imports `acme:warehouse/robots@1.2.3`";
    refused(&stage, "a", "unknown", component, cause).await;
    assert_eq!(says(&host, "/a/").await, "r1");
    host.stop().await;
}

#[tokio::test]
async fn what_may_touch_more_is_shown_and_let_in_only_if_that_is_wanted() {
    let lines = "key_value_stores = [\"default\"]\nenvironment = { COLOR = \"red\" }";
    let stage = Stage::new(&Manifest::new().service("a", lines));
    // Imports no key-value store.
    stage.put("a.wasm", bare("hello-p2"));
    let host = stage.start().await;
    let said = refused(&stage, "a", "r2", good("r2"), "key-value: default").await;
    assert!(said.contains("\n  + a: key-value: default"), "{said}");
    assert!(said.contains("add `--allow-new-grants`"), "{said}");
    assert_eq!(host.get("/a/").await.text(), "Hello, world!");
    let answer = stage.api(&host).deploy("a", good("r2")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.json()["new_grants"][0]
            .as_str()
            .is_some_and(|line| line.contains("key-value: default"))
    );

    let told = stage
        .done(&["deploy", "a", "r2.wasm", "--allow-new-grants"])
        .await;
    assert!(told.contains("\n  + key-value: default"), "{told}");
    let set = says(&host, "/a/key-value/set?key=k&value=v").await;
    assert_eq!(set, "r2 v");
    // What may touch as much, or less, needs no word.
    stage.deploy("a", good("r3")).await;
    let less = stage.deploy("a", bare("hello-p2")).await;
    let lost = less["changes"][0]["lost_grants"]
        .as_array()
        .expect("it lost something");
    assert!(
        lost.iter().any(|line| text(line).contains("key-value: default")),
        "{less}"
    );
    host.stop().await;
}

#[tokio::test]
async fn requests_in_flight_do_not_notice_a_refusal() {
    let stage = Stage::one();
    let host = stage.start().await;
    let mut held = Held::open(&host, "a", Protocol::Http1).await;
    stage.refused("a", swap(Mode::Stillborn, "r2")).await;
    assert_eq!(held.say("after").await, "r1 after");
    assert_eq!(held.end().await.as_deref(), Some("r1 begin\nr1 after\nr1 end\n"));
    host.stop().await;
}

/// Deploys what must be refused, from a file, and returns what is said. The journal has it with its cause, and nothing that
/// is served is another.
async fn refused(stage: &Stage, service: &str, name: &str, component: Vec<u8>, cause: &str) -> String {
    let before = stage.json(&["status"]).await;
    let file = format!("{name}.wasm");
    stage.put(&file, component);
    let finished = stage.exits(3, &["deploy", service, &file]).await;
    assert!(finished.stdout.is_empty(), "{name}: {finished:?}");
    assert!(finished.stderr.contains(cause), "{name}: {finished:?}");
    let entry = stage.newest().await;
    assert_eq!(
        (&entry["action"], &entry["outcome"]),
        (&json!("deploy"), &json!("refused")),
        "{name}"
    );
    assert!(text(&entry["cause"]).contains(cause), "{name}: {entry}");
    assert_eq!(entry["changes"][0]["service"], service, "{name}");
    assert!(entry.get("generation").is_none(), "{name}: {entry}");
    let after = stage.json(&["status"]).await;
    let served = |status: &Value| {
        let services = status["services"].as_array().expect("an app has services").iter();
        let current = services.map(|service| text(&service["current"]["revision"]));
        (status["generation"].clone(), current.collect::<Vec<_>>())
    };
    assert_eq!(served(&before), served(&after), "{name}");
    finished.stderr
}

/// Ends with what a host has that never met what was refused: compiled code goes at once, what was uploaded with the host,
/// since it may be named again for a while.
async fn leaves_nothing(stage: &Stage, host: TestHost) {
    let api = stage.api(&host);
    let status = stage.json(&["status"]).await;
    let mut components = BTreeSet::new();
    for service in status["services"].as_array().expect("an app has services") {
        let path = format!("/services/{}/revisions", text(&service["service"]));
        let revisions = api.get(&path).await.json();
        let revisions = revisions["revisions"]
            .as_array()
            .expect("a service has revisions")
            .clone();
        components.extend(revisions.iter().map(|revision| text(&revision["component"])));
    }
    let digests: BTreeSet<String> = components
        .iter()
        .map(|component| component.trim_start_matches("sha256:").to_owned())
        .collect();
    let compiled = async || named(&stage.state().join("cache")) == digests;
    eventually("compiled code of refused components to go", compiled).await;
    host.stop().await;
    let host = stage.start().await;
    // And the manifest.
    let mut stored = digests.clone();
    stored.insert(text(&stage.json(&["status"]).await["manifest"]).replace("sha256:", ""));
    let content = stage.state().join("content");
    eventually("refused components to go", async || named(&content) == stored).await;
    assert_eq!(named(&stage.state().join("cache")), digests);
    host.stop().await;
}

/// The names of the files below a folder, without their endings.
fn named(folder: &Path) -> BTreeSet<String> {
    let stems = files(folder).into_iter().filter_map(|file| {
        let stem = file.file_stem()?.to_str()?;
        Some(stem.to_owned())
    });
    stems.collect()
}
