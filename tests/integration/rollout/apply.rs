//! `midplane apply`: a changed manifest takes effect in one step, without a restart and without touching connections.

use super::*;

/// One service `a` with a color.
fn colored(color: &str) -> Manifest {
    Manifest::new().service("a", &format!("environment = {{ COLOR = {color:?} }}"))
}

#[tokio::test]
async fn a_dry_run_shows_everything_that_would_change_and_changes_nothing() {
    let stage = Stage::new(
        &Manifest::new()
            .service("a", "")
            .service("gone", "")
            .service("front", "")
            .hidden("back", ""),
    );
    stage.put("a.wasm", good("a1"));
    stage.put("gone.wasm", good("gone1"));
    stage.put("front.wasm", front(Condition::Good, 1));
    stage.put("back.wasm", back(Condition::Good, 1));
    let host = stage.start().await;
    let old = stage.revision("a").await;
    stage.put("a.wasm", good("a2"));
    stage.put("new.wasm", good("new1"));
    let stage = stage.manifest(
        &Manifest::new()
            .service("a", "key_value_stores = [\"default\"]\nvariables = { greeting = \"{{ greeting }}\" }")
            .route("/more/...", "a")
            .service("new", "")
            .service("front", "[component.front.tool.midplane.links]\n\"storm:contract/waiting@1.0.0\" = { service = \"back\", timeout = \"7s\" }")
            .hidden("back", "")
            .tables("[variables]\ngreeting = { default = \"hello\" }"),
    );
    let before = (stage.json(&["status"]).await, stage.history().await);
    let told = stage.done(&["apply", "--dry-run"]).await;
    let new_component = {
        let planned = stage.json(&["apply", "--dry-run"]).await;
        assert_eq!(planned["outcome"], "planned");
        let changes = planned["changes"].as_array().expect("a plan has changes").clone();
        let of_a = changes.into_iter().find(|change| change["service"] == "a");
        text(&of_a.expect("`a` would change")["component"])
    };
    let digest = new_component.strip_prefix("sha256:").expect("it is a digest");
    for said in [
        format!("a: {old} → "),
        format!("  component {}", &digest[..12]),
        "  + key-value: default".into(),
        "  + variable: greeting (from greeting)".into(),
        "new: new → ".into(),
        "gone: ".into(),
        " → gone\n".into(),
        "route /more/... added: service a".into(),
        "route /new/... added: service new".into(),
        "route /gone/... removed: service gone".into(),
        "variable greeting added: default \"hello\"".into(),
        "storm:contract/waiting@1.0.0".into(),
        "this is the plan: nothing was changed (generation 1)\n".into(),
    ] {
        assert!(told.contains(&said), "{said} is missing:\n{told}");
    }
    assert_eq!((stage.json(&["status"]).await, stage.history().await), before);
    assert_eq!(says(&host, "/a/").await, "a1");
    assert_eq!(host.get("/more/").await.status, StatusCode::NOT_FOUND);
    host.stop().await;
}

#[tokio::test]
async fn routes_variables_and_services_change_in_one_step_without_touching_connections() {
    let stage = Stage::new(&colored("red").service("old", "").route("/either/...", "a"));
    for name in ["a", "old", "new"] {
        stage.put(&format!("{name}.wasm"), good(&format!("{name}1")));
    }
    let mut host = stage.start().await;
    let mut connections = Vec::new();
    for protocol in Protocol::ALL {
        let connection = host.connect(protocol).await;
        assert_eq!(connection.get("/a/env/COLOR").await.text(), "a1 red\n");
        connections.push(connection);
    }
    let stage = stage.manifest(&colored("blue").service("new", "").route("/either/...", "new"));
    let outcome = stage.json(&["apply"]).await;
    assert_eq!(
        (&outcome["outcome"], &outcome["generation"]),
        (&json!("published"), &json!(2))
    );
    for connection in &connections {
        assert_eq!(connection.get("/a/env/COLOR").await.text(), "a1 blue\n");
        assert_eq!(connection.get("/new/").await.text(), "new1\n");
        assert_eq!(connection.get("/either/").await.text(), "new1\n");
        assert_eq!(connection.get("/old/").await.status, StatusCode::NOT_FOUND);
    }
    let entry = stage.newest().await;
    assert_eq!(
        (&entry["action"], &entry["outcome"]),
        (&json!("apply"), &json!("published"))
    );
    let routes = stage.api(&host).get("/routes").await.json();
    let routes: Vec<String> = routes["routes"]
        .as_array()
        .expect("an app has routes")
        .iter()
        .map(|route| text(&route["route"]))
        .collect();
    assert_eq!(routes, ["/a/...", "/new/...", "/either/..."]);
    let gone = stage.exits(1, &["status", "old"]).await;
    assert!(gone.stderr.contains("`old`"), "{gone:?}");

    // It is what the next start goes by.
    host.signal(Signal::KILL);
    host.finish().await;
    let host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), by(&host, "new")),
        ("unchanged".into(), "unchanged".into())
    );
    assert_eq!(says(&host, "/a/env/COLOR").await, "a1 blue");
    assert_eq!(stage.history().await.len(), 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_met_one_part_of_a_change_meets_all_of_it() {
    // What both routes answer is of one manifest.
    let of = |color: &str, service: &str| {
        colored(color)
            .service("b", &format!("environment = {{ COLOR = {color:?} }}"))
            .route("/switch/...", service)
    };
    let stage = Stage::new(&of("0", "a"));
    stage.put("a.wasm", good("a"));
    stage.put("b.wasm", good("b"));
    let host = stage.start().await;
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = Protocol::ALL
        .into_iter()
        .map(|protocol| {
            let (address, stop, asked) = (host.address, stop.clone(), asked.clone());
            tokio::spawn(async move {
                let connection = Connection::open(address, protocol).await;
                let mut newest = 0;
                while !stop.load(Ordering::Relaxed) {
                    for path in ["/switch/env/COLOR", "/a/env/COLOR", "/b/env/COLOR"] {
                        let answer = connection.get(path).await;
                        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                        let answer = answer.text();
                        let (name, color) = answer.trim_end().split_once(' ').expect("two words");
                        let number: u32 = color.parse().expect("a color of this test is a number");
                        assert!(number >= newest, "{path}: {number} after {newest}");
                        newest = number;
                        if path.starts_with("/switch") {
                            assert_eq!(
                                name == "a",
                                number.is_multiple_of(2),
                                "{name} of manifest {number}"
                            );
                        }
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 1..=6 {
        let before = asked.load(Ordering::Relaxed);
        let service = if number % 2 == 0 { "a" } else { "b" };
        stage.put("spin.toml", of(&number.to_string(), service).text());
        let outcome = stage.json(&["apply"]).await;
        assert_eq!(outcome["outcome"], "published");
        assert_eq!(
            says(&host, "/switch/env/COLOR").await,
            format!("{service} {number}")
        );
        eventually("clients that meet each manifest", async || {
            asked.load(Ordering::Relaxed) > before + 2
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no client meets two manifests at once");
    }
    host.stop().await;
}

#[tokio::test]
async fn requests_of_a_service_that_is_removed_end_whole() {
    let stage = Stage::new(&Manifest::new().service("a", "").service("old", ""));
    stage.put("a.wasm", good("a1"));
    stage.put("old.wasm", good("old1"));
    let host = stage.start().await;
    let mut held = Held::open(&host, "old", Protocol::Http1).await;
    let stage = stage.manifest(&Manifest::new().service("a", ""));
    stage.done(&["apply"]).await;
    assert_eq!(host.get("/old/").await.status, StatusCode::NOT_FOUND);
    assert_eq!(held.say("after").await, "old1 after");
    assert_eq!(
        held.end().await.as_deref(),
        Some("old1 begin\nold1 after\nold1 end\n")
    );
    let deploy = stage.exits(1, &["deploy", "old", "old.wasm"]).await;
    assert!(
        deploy.stderr.contains("the app has no service `old`"),
        "{deploy:?}"
    );
    host.stop().await;
}

#[tokio::test]
async fn an_equal_manifest_is_no_change() {
    let stage = Stage::new(&colored("red"));
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    assert_eq!(stage.done(&["apply"]).await, "nothing to change (generation 1)\n");
    assert_eq!(
        stage.done(&["apply", "--dry-run"]).await,
        "nothing to change (generation 1)\n"
    );
    let outcome = stage.json(&["apply"]).await;
    assert_eq!(
        (&outcome["outcome"], &outcome["generation"]),
        (&json!("unchanged"), &json!(1))
    );
    assert_eq!(stage.history().await.len(), 1);
    host.stop().await;
}

#[tokio::test]
async fn what_was_deployed_stays_unless_its_file_changed() {
    let stage = Stage::new(&colored("red"));
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    stage.deploy("a", good("r2")).await;
    let stage = stage.manifest(&colored("blue"));
    stage.done(&["apply"]).await;
    assert_eq!(says(&host, "/a/env/COLOR").await, "r2 blue");
    stage.put("a.wasm", good("r3"));
    let outcome = stage.json(&["apply"]).await;
    assert_eq!(outcome["outcome"], "published");
    assert_eq!(says(&host, "/a/env/COLOR").await, "r3 blue");
    host.stop().await;
}

#[tokio::test]
async fn what_is_refused_changes_nothing_of_what_came_with_it() {
    let stage = Stage::new(&colored("red"));
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    stage.put("new.wasm", swap(Mode::Stillborn, "new1"));
    let stage = stage.manifest(&colored("blue").service("new", "").route("/more/...", "a"));
    let refused = stage.exits(3, &["apply"]).await;
    assert!(refused.stderr.contains("service `new`"), "{refused:?}");
    assert_eq!(says(&host, "/a/env/COLOR").await, "r1 red");
    for path in ["/new/", "/more/"] {
        assert_eq!(host.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let entry = stage.newest().await;
    assert_eq!(
        (&entry["action"], &entry["outcome"]),
        (&json!("apply"), &json!("refused"))
    );
    assert!(text(&entry["cause"]).contains("service `new`"), "{entry}");
    stage.put("new.wasm", good("new1"));
    stage.done(&["apply"]).await;
    assert_eq!(says(&host, "/new/").await, "new1");
    assert_eq!(says(&host, "/more/env/COLOR").await, "r1 blue");
    host.stop().await;
}

#[tokio::test]
async fn a_component_that_the_manifest_newly_names_must_be_there() {
    let stage = Stage::one();
    let host = stage.start().await;
    let stage = stage.manifest(&Manifest::new().service("a", "").service("new", ""));
    let refused = stage.exits(3, &["apply"]).await;
    assert!(refused.stderr.contains("new.wasm"), "{refused:?}");
    assert_eq!(host.get("/new/").await.status, StatusCode::NOT_FOUND);
    let elsewhere = Manifest::new()
        .service("a", "")
        .text()
        .replace("a.wasm", "b.wasm");
    let stage = stage.manifest_text(&elsewhere);
    let refused = stage.exits(3, &["apply"]).await;
    assert!(refused.stderr.contains("b.wasm"), "{refused:?}");
    assert_eq!(says(&host, "/a/").await, "r1");
    stage.put("b.wasm", good("r2"));
    stage.done(&["apply"]).await;
    assert_eq!(says(&host, "/a/").await, "r2");
    host.stop().await;
}

#[tokio::test]
async fn files_of_a_service_are_those_of_the_last_apply() {
    let stage = Stage::new(&Manifest::new().service("a", "files = [\"*.txt\"]"));
    stage.put("a.wasm", good("r1"));
    stage.put("greeting.txt", "hello");
    let host = stage.start().await;
    stage.put("greeting.txt", "good morning");
    assert_eq!(says(&host, "/a/file/greeting.txt").await, "r1 hello");
    stage.done(&["apply"]).await;
    assert_eq!(says(&host, "/a/file/greeting.txt").await, "r1 good morning");
    stage.done(&["rollback", "a"]).await;
    assert_eq!(says(&host, "/a/file/greeting.txt").await, "r1 hello");
    host.stop().await;
    // The files say what they said when they were applied last.
    let host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), says(&host, "/a/file/greeting.txt").await),
        ("rollback".into(), "r1 hello".into())
    );
    host.stop().await;
    stage.put("greeting.txt", "good evening");
    let host = stage.start().await;
    assert_eq!(
        (by(&host, "a"), says(&host, "/a/file/greeting.txt").await),
        ("files".into(), "r1 good evening".into())
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_every_kind_at_the_same_time_come_one_after_the_other() {
    let of = |color: &str| colored(color).service("b", "");
    let stage = Arc::new(Stage::new(&of("0")));
    for name in ["a", "b"] {
        stage.put(&format!("{name}.wasm"), good(&format!("{name}1")));
        for number in 2..=4 {
            stage.put(&format!("{name}{number}.wasm"), good(&format!("{name}{number}")));
        }
    }
    for number in 1..=3 {
        stage.put(&format!("{number}.toml"), of(&number.to_string()).text());
    }
    let host = stage.start().await;
    stage.deploy("a", good("a2")).await;
    stage.deploy("b", good("b2")).await;
    let changes: [&[&str]; 10] = [
        &["deploy", "a", "a3.wasm"],
        &["apply", "-f", "1.toml"],
        &["rollback", "b"],
        &["deploy", "b", "b3.wasm"],
        &["rollback", "a"],
        &["apply", "-f", "2.toml"],
        &["deploy", "a=a4.wasm", "b=b4.wasm"],
        &["rollback", "b"],
        &["apply", "-f", "3.toml"],
        &["deploy", "a", "a2.wasm"],
    ];
    let changes: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let stage = stage.clone();
            tokio::spawn(async move { stage.done(change).await })
        })
        .collect();
    for change in changes {
        change.await.expect("every change goes well");
    }
    let mut entries = stage.history().await;
    entries.reverse();
    let current = stage.current().await;
    assert_eq!(current, replayed(&entries), "{entries:#?}");
    let answers = (says(&host, "/a/env/COLOR").await, says(&host, "/b/").await);

    // The next start goes by the manifest that was applied last.
    let mut applied = None;
    for number in ["1", "2", "3"] {
        let planned = stage
            .done(&["apply", "--dry-run", "-f", &format!("{number}.toml")])
            .await;
        if planned.starts_with("nothing ") {
            assert_eq!(applied.replace(number), None);
        }
    }
    host.stop().await;
    let stage = Arc::into_inner(stage).expect("nobody else has it any more");
    let stage = stage.manifest(&of(applied.expect("one of them was the last")));
    let host = stage.start().await;
    assert_eq!(stage.current().await, current);
    assert_eq!(
        (says(&host, "/a/env/COLOR").await, says(&host, "/b/").await),
        answers
    );
    assert_eq!(stage.history().await.len(), entries.len());
    host.stop().await;
}

#[tokio::test]
async fn more_grants_are_shown_and_let_in_only_if_that_is_wanted() {
    let stage = Stage::one();
    let host = stage.start().await;
    assert_eq!(
        host.get("/a/key-value/get?key=k").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let stage = stage.manifest(&Manifest::new().service("a", "key_value_stores = [\"default\"]"));
    let refused = stage.exits(3, &["apply"]).await;
    assert!(
        refused.stderr.contains("\n  + a: key-value: default"),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("--allow-new-grants"), "{refused:?}");
    assert_eq!(
        host.get("/a/key-value/get?key=k").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(stage.newest().await["outcome"], "refused");
    let told = stage.done(&["apply", "--allow-new-grants"]).await;
    assert!(told.contains("\n  + key-value: default"), "{told}");
    assert_eq!(says(&host, "/a/key-value/set?key=k&value=v").await, "r1 v");
    // Fewer need no word.
    let stage = stage.manifest(&Manifest::new().service("a", ""));
    let told = stage.done(&["apply"]).await;
    assert!(told.contains("\n  - key-value: default"), "{told}");
    host.stop().await;
}

#[tokio::test]
async fn a_variable_without_a_value_is_said_before_anything_changes() {
    let stage = Stage::one();
    let host = stage.start().await;
    let lines = "variables = { name = \"{{ wanted }}\" }";
    let required = "[variables]\nwanted = { required = true }";
    let stage = stage.manifest(&Manifest::new().service("a", lines).tables(required));
    for arguments in [&["apply"] as &[&str], &["apply", "--dry-run"]] {
        let refused = stage.exits(3, arguments).await;
        assert!(refused.stderr.contains("`wanted`"), "{refused:?}");
    }
    assert_eq!(
        host.get("/a/variable/name").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let given = required.replace("required = true", "default = \"given\"");
    let stage = stage.manifest(&Manifest::new().service("a", lines).tables(&given));
    stage.done(&["apply", "--allow-new-grants"]).await;
    assert_eq!(says(&host, "/a/variable/name").await, "r1 given");
    host.stop().await;
}

#[tokio::test]
async fn while_there_are_candidates_only_the_plan_is_shown() {
    let stage = Stage::new(&colored("red"));
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    stage.put("r2.wasm", good("r2"));
    stage.done(&["deploy", "a", "r2.wasm", "--canary", "10%"]).await;
    let stage = stage.manifest(&colored("blue"));
    let busy = stage.exits(3, &["apply"]).await;
    assert!(busy.stderr.contains("candidates"), "{busy:?}");
    assert!(
        busy.stderr.contains("`midplane promote` or `midplane abort`"),
        "{busy:?}"
    );
    let planned = stage.json(&["apply", "--dry-run"]).await;
    assert_eq!(planned["outcome"], "planned");
    stage.done(&["abort", "a"]).await;
    stage.done(&["apply"]).await;
    assert_eq!(says(&host, "/a/env/COLOR").await, "r1 blue");
    host.stop().await;
}

#[tokio::test]
async fn the_manifest_of_another_app_is_not_taken() {
    let stage = Stage::one();
    let host = stage.start().await;
    let stage = stage.manifest(&Manifest::new().named("other").service("a", ""));
    let other = stage.exits(1, &["apply"]).await;
    assert!(
        other
            .stderr
            .contains("the manifest is of the app `other`, and this host serves `test`"),
        "{other:?}"
    );
    assert_eq!(stage.history().await.len(), 1);
    host.stop().await;
}

#[tokio::test]
async fn a_manifest_that_is_wrong_shows_where() {
    let stage = Stage::one();
    let host = stage.start().await;
    let text = Manifest::new().service("a", "colour = \"red\"").text();
    let line = text
        .lines()
        .position(|line| line.starts_with("colour"))
        .expect("it is there")
        + 1;
    stage.put("spin.toml", text);
    let wrong = stage.exits(3, &["apply"]).await;
    let place = format!("spin.toml:{line}:1: unknown key `colour` in `component.a`");
    assert!(wrong.stderr.contains(&place), "{wrong:?}");
    assert!(wrong.stderr.contains("colour = \"red\"\n"), "{wrong:?}");
    assert_eq!(wrong.stderr.matches("hint:").count(), 1, "{wrong:?}");
    stage.put("spin.toml", "this is no TOML");
    let wrong = stage.exits(3, &["apply", "--dry-run"]).await;
    assert!(wrong.stderr.contains("spin.toml:1:"), "{wrong:?}");
    fs::remove_file(stage.path("spin.toml")).expect("the file is ours");
    let missing = stage.exits(3, &["apply"]).await;
    assert!(missing.stderr.contains("spin.toml"), "{missing:?}");
    assert_eq!(says(&host, "/a/").await, "r1");
    host.stop().await;
}
