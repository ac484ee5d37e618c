//! What a start serves: what was published last, unless the manifest or the component files say something new.

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::*;

#[tokio::test]
async fn a_deploy_outlives_the_host_however_that_ends() {
    let stage = Stage::one();
    let host = stage.start().await;
    assert_eq!(by(&host, "a"), "files");
    stage.deploy("a", good("r2")).await;
    let r2 = stage.revision("a").await;
    host.stop().await;
    let mut host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), says(&host, "/a/").await),
        ("deploy".into(), "r2".into())
    );
    assert_eq!(stage.revision("a").await, r2);
    stage.deploy("a", good("r3")).await;
    host.signal(Signal::KILL);
    host.finish().await;
    let mut host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), says(&host, "/a/").await),
        ("deploy".into(), "r3".into())
    );
    host.signal(Signal::KILL);
    host.finish().await;
    let host = stage.start().await;
    assert_eq!(says(&host, "/a/").await, "r3");
    assert_eq!(
        stage.history().await.len(),
        3,
        "starts that change nothing are no entries"
    );
    host.stop().await;
}

#[tokio::test]
async fn a_component_file_that_changed_wins() {
    let stage = Stage::one();
    let host = stage.start().await;
    stage.deploy("a", good("r2")).await;
    host.stop().await;
    stage.put("a.wasm", good("r3"));
    let host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), says(&host, "/a/").await),
        ("files".into(), "r3".into())
    );
    let entry = stage.newest().await;
    assert_eq!(
        (&entry["action"], &entry["outcome"]),
        (&json!("start"), &json!("published"))
    );
    assert_eq!(entry["by"], "up");
    host.stop().await;
    let host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), says(&host, "/a/").await),
        ("unchanged".into(), "r3".into())
    );
    // What the start replaced can be brought back.
    stage.done(&["rollback", "a"]).await;
    assert_eq!(says(&host, "/a/").await, "r2");
    host.stop().await;
}

#[tokio::test]
async fn a_file_that_becomes_what_was_deployed_is_no_change_of_what_is_served() {
    let stage = Stage::one();
    let host = stage.start().await;
    stage.deploy("a", good("r2")).await;
    let r2 = stage.revision("a").await;
    host.stop().await;
    stage.put("a.wasm", good("r2"));
    let host = stage.start().await;
    assert_eq!(
        (stage.revision("a").await, says(&host, "/a/").await),
        (r2, "r2".into())
    );
    host.stop().await;
    // From here on the file is what was applied last.
    let host = stage.start().await;
    assert_eq!(by(&host, "a"), "unchanged");
    host.stop().await;
}

#[tokio::test]
async fn a_manifest_that_changed_takes_effect_and_keeps_what_was_deployed() {
    let of = |color: &str| Manifest::new().service("a", &format!("environment = {{ COLOR = {color:?} }}"));
    let stage = Stage::new(&of("red"));
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    stage.deploy("a", good("r2")).await;
    let before = stage.revision("a").await;
    assert_eq!(says(&host, "/a/env/COLOR").await, "r2 red");
    host.stop().await;
    let stage = stage.manifest(&of("blue"));
    let host = stage.start().await;
    assert_eq!(says(&host, "/a/env/COLOR").await, "r2 blue");
    assert_eq!(by(&host, "a"), "manifest, with the component that was deployed");
    assert_ne!(
        stage.revision("a").await,
        before,
        "another entry is another revision"
    );
    assert_eq!(stage.newest().await["action"], "start");
    host.stop().await;
}

#[tokio::test]
async fn services_come_and_go_with_the_manifest() {
    let stage = Stage::new(&Manifest::new().service("a", "").service("b", ""));
    for name in ["a", "b", "c"] {
        stage.put(&format!("{name}.wasm"), good(&format!("{name}1")));
    }
    let host = stage.start().await;
    stage.deploy("a", good("a2")).await;
    host.stop().await;
    let stage = stage.manifest(&Manifest::new().service("a", "").service("c", ""));
    let host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), by(&host, "c")),
        ("deploy".into(), "files".into())
    );
    assert_eq!(
        (says(&host, "/a/").await, says(&host, "/c/").await),
        ("a2".into(), "c1".into())
    );
    assert_eq!(host.get("/b/").await.status, StatusCode::NOT_FOUND);
    let entry = stage.newest().await;
    let change = |service: &str| {
        let changes = entry["changes"].as_array().expect("an entry has changes");
        changes
            .iter()
            .find(|change| change["service"] == service)
            .cloned()
    };
    assert!(
        change("a").is_none_or(|change| change["from"] == change["to"]),
        "{entry}"
    );
    assert!(change("b").is_some_and(|change| change["from"].is_string() && change["to"].is_null()));
    assert!(change("c").is_some_and(|change| change["from"].is_null() && change["to"].is_string()));
    host.stop().await;
}

#[tokio::test]
async fn a_broken_file_leaves_the_last_published_serving_and_up_says_so() {
    let stage = Stage::new(&Manifest::new().service("a", "").service("b", ""));
    stage.put("a.wasm", good("a1"));
    stage.put("b.wasm", good("b1"));
    let host = stage.start().await;
    stage.deploy("a", good("a2")).await;
    let a2 = stage.revision("a").await;
    host.stop().await;
    stage.put("a.wasm", "not Wasm");
    stage.put("b.wasm", good("b2"));
    let host = stage.start().await;
    // All or nothing: what else changed is not let in either.
    assert_eq!(
        (says(&host, "/a/").await, says(&host, "/b/").await),
        ("a2".into(), "b1".into())
    );
    assert_eq!(
        (by(&host, "a"), by(&host, "b")),
        ("last published".into(), "last published".into())
    );
    assert_eq!(stage.revision("a").await, a2);
    let refused = text(&host.announcement["refused"]);
    assert!(
        refused.contains("service `a`") && refused.contains("it is not WebAssembly"),
        "{refused}"
    );
    host.wait_for_log("the refusal", |line| {
        line.text().contains("it is not WebAssembly")
    })
    .await;
    let entry = stage.newest().await;
    assert_eq!(
        (&entry["action"], &entry["outcome"]),
        (&json!("start"), &json!("refused"))
    );
    assert!(text(&entry["cause"]).contains("it is not WebAssembly"), "{entry}");
    // It still takes deploys.
    stage.deploy("a", good("a3")).await;
    assert_eq!(says(&host, "/a/").await, "a3");
    host.stop().await;
    // A file that is well again says something new.
    stage.put("a.wasm", good("a4"));
    let host = stage.start().await;
    assert_eq!(
        (says(&host, "/a/").await, says(&host, "/b/").await),
        ("a4".into(), "b2".into())
    );
    assert!(
        host.announcement.get("refused").is_none(),
        "{}",
        host.announcement
    );
    host.stop().await;
}

#[tokio::test]
async fn what_a_start_finds_passes_the_gate_as_well() {
    let probe = "[component.a.tool.midplane.probe]\npath = \"/healthz\"\nstatus = 200";
    let stage = Stage::new(&Manifest::new().service("a", probe));
    stage.put("a.wasm", good("r1"));
    stage.start().await.stop().await;
    for (mode, cause) in [(Mode::Sick, "/healthz"), (Mode::Stillborn, "does not start")] {
        stage.put("a.wasm", swap(mode, "r2"));
        let host = stage.start().await;
        assert_eq!(says(&host, "/a/").await, "r1");
        let refused = text(&host.announcement["refused"]);
        assert!(refused.contains(cause), "{refused}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_manifest_that_is_refused_is_not_in_force_in_any_part() {
    let stage = Stage::new(&pair());
    stage.put("front.wasm", front(Condition::Good, 1));
    stage.put("back.wasm", back(Condition::Good, 1));
    stage.start().await.stop().await;
    // What the front calls is gone, there is a route more, and the app has another name.
    let manifest = Manifest::new()
        .service("front", "")
        .route("/more/...", "front")
        .named("other");
    let stage = stage.manifest(&manifest);
    let host = stage.start().await;
    assert_eq!(says(&host, "/front/link").await, "1 1 1");
    assert_eq!(host.announcement["app"], "test");
    assert_eq!(stage.json(&["status"]).await["app"], "test");
    assert_eq!(host.get("/more/").await.status, StatusCode::NOT_FOUND);
    let refused = text(&host.announcement["refused"]);
    assert!(refused.contains("storm:contract/waiting@1.0.0"), "{refused}");
    assert_eq!(by(&host, "back"), "last published");
    let routes = host.announcement["routes"].as_array().expect("`up` lists routes");
    let routes: Vec<String> = routes.iter().map(|route| text(&route["route"])).collect();
    assert_eq!(routes, ["/front/..."], "only what is served is shown");
    host.stop().await;
}

#[tokio::test]
async fn a_first_start_has_nothing_to_fall_back_on() {
    let stage = Stage::one();
    for (component, cause) in [
        (b"not Wasm".to_vec(), "it is not WebAssembly"),
        (swap(Mode::Stillborn, "r1"), "does not start"),
    ] {
        stage.put("a.wasm", component);
        let failed = stage.fail().await;
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");
        assert!(
            failed.stderr.contains("service `a`") && failed.stderr.contains(cause),
            "{failed:?}"
        );
    }
    fs::remove_file(stage.path("a.wasm")).expect("the file is ours");
    let failed = stage.fail().await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(failed.stderr.contains("a.wasm"), "{failed:?}");
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), says(&host, "/a/").await),
        ("files".into(), "r1".into())
    );
    host.stop().await;
}

#[tokio::test]
async fn a_component_file_that_is_gone_says_nothing_new() {
    let stage = Stage::one();
    let host = stage.start().await;
    stage.deploy("a", good("r2")).await;
    host.stop().await;
    fs::remove_file(stage.path("a.wasm")).expect("the file is ours");
    let host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), says(&host, "/a/").await),
        ("deploy".into(), "r2".into())
    );
    let is_said = |line: &crate::harness::Line| line.message().contains("its component file is gone");
    host.wait_for_log("what is missing", is_said).await;
    host.stop().await;
    // It is back as it was.
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    assert_eq!(says(&host, "/a/").await, "r2");
    host.stop().await;
}

#[tokio::test]
async fn up_tells_people_for_each_service_by_whose_word_it_is_served() {
    let stage = Stage::new(&Manifest::new().service("a", "").service("b", "").service("c", ""));
    for name in ["a", "b", "c"] {
        stage.put(&format!("{name}.wasm"), good(&format!("{name}1")));
    }
    let host = stage.start().await;
    for name in ["a", "b"] {
        stage.deploy(name, good(&format!("{name}2"))).await;
    }
    stage.done(&["rollback", "b"]).await;
    host.stop().await;
    let mut command = program();
    command.current_dir(stage.path(""));
    command.args(["up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.env("MIDPLANE_CACHE_DIR", stage.builder.cache());
    let mut child = command.spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let mut services = Vec::new();
    while let Some(line) = soon("what `up` prints", lines.next_line())
        .await
        .expect("it is text")
    {
        if line.starts_with("Admin:") {
            break;
        }
        services.extend(line.split_once(": revision ").map(|(service, rest)| {
            let (_, by) = rest.split_once(' ').expect("a word follows the revision");
            format!("{} {by}", service.trim())
        }));
    }
    assert_eq!(services, ["a (deploy)", "b (rollback)", "c (unchanged)"]);
    child.kill().await.expect("the child is ours");
}

#[tokio::test]
async fn the_journal_goes_on_from_start_to_start() {
    let stage = Stage::one();
    for name in ["r2", "r3", "r4"] {
        let host = stage.start().await;
        stage.deploy("a", good(name)).await;
        host.stop().await;
    }
    let host = stage.start().await;
    let mut entries = stage.history().await;
    entries.reverse();
    let actions: Vec<_> = entries.iter().map(|entry| text(&entry["action"])).collect();
    assert_eq!(actions, ["start", "deploy", "deploy", "deploy"]);
    for (earlier, later) in entries.iter().zip(&entries[1..]) {
        assert!(
            later["number"].as_u64() > earlier["number"].as_u64(),
            "{entries:?}"
        );
        assert!(text(&later["at"]) >= text(&earlier["at"]), "{entries:?}");
        assert_eq!(
            later["generation"].as_u64(),
            earlier["generation"].as_u64().map(|number| number + 1)
        );
        assert_eq!(later["changes"][0]["from"], earlier["changes"][0]["to"]);
    }
    let status = stage.json(&["status"]).await;
    assert_eq!(status["generation"], entries[3]["generation"]);
    // Published when it was, not when the host started.
    let published = &status["services"][0]["current"]["published_at"];
    assert_eq!(*published, entries[3]["at"]);
    let revisions = stage.api(&host).get("/services/a/revisions").await.json();
    assert_eq!(
        revisions["revisions"].as_array().map(Vec::len),
        Some(4),
        "{revisions}"
    );
    host.stop().await;
}

#[tokio::test]
async fn a_damaged_journal_is_an_error_that_names_the_file() {
    let stage = Stage::one();
    let host = stage.start().await;
    stage.deploy("a", good("r2")).await;
    host.stop().await;
    let journal = stage.state().join("journal.db");
    for extra in ["journal.db-wal", "journal.db-shm"] {
        let _may_be_gone = fs::remove_file(stage.state().join(extra));
    }
    fs::write(&journal, "this was a journal\n".repeat(1000)).expect("the folder is ours");
    let failed = stage.fail().await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(failed.stderr.contains("journal.db"), "{failed:?}");
    assert!(failed.stderr.contains("hint"), "{failed:?}");
    // It is not thrown away by the way.
    let still = fs::read_to_string(&journal).expect("the file is there");
    assert!(still.starts_with("this was a journal"));
}
