//! `midplane deploy` of one service: what clients meet before, meanwhile and afterwards, and what the operator is told.

use tempfile::TempDir;

use super::*;

#[tokio::test]
async fn every_request_after_a_deploy_meets_the_new_revision_also_over_connections_of_before() {
    let stage = Stage::one();
    let host = stage.start().await;
    let mut connections = Vec::new();
    for protocol in Protocol::ALL {
        let connection = host.connect(protocol).await;
        assert_eq!(connection.get("/a/").await.text(), "r1\n", "{protocol:?}");
        connections.push(connection);
    }
    for name in ["r2", "r3"] {
        stage.deploy("a", good(name)).await;
        for connection in &connections {
            assert_eq!(connection.get("/a/").await.text(), format!("{name}\n"));
        }
        assert_eq!(says(&host, "/a/").await, name);
    }
    host.stop().await;
}

#[tokio::test]
async fn what_began_before_a_deploy_ends_whole_on_the_revision_that_it_began_on() {
    let stage = Stage::one();
    let host = stage.start().await;
    let mut held = Vec::new();
    for protocol in Protocol::ALL {
        held.push(Held::open(&host, "a", protocol).await);
    }
    stage.deploy("a", good("r2")).await;
    for mut held in held {
        assert_eq!(says(&host, "/a/").await, "r2");
        assert_eq!(held.say("after").await, "r1 after");
        let whole = held.end().await;
        assert_eq!(whole.as_deref(), Some("r1 begin\nr1 after\nr1 end\n"));
    }
    host.stop().await;
}

#[tokio::test]
async fn a_stream_goes_on_across_a_deploy_and_is_whole() {
    let stage = Stage::one();
    let host = stage.start().await;
    let connection = host.connect(Protocol::Http2).await;
    let request = Request::get("/a/stream?count=50&ms=10").body(empty());
    let request = request.expect("the path is valid");
    let streaming = connection.send(request).await.expect("the host answers");
    stage.deploy("a", good("r2")).await;
    // Over the same connection, beside the stream.
    assert_eq!(connection.get("/a/").await.text(), "r2\n");
    let streamed = Answer::read(streaming).await.expect("the stream is not cut off");
    let mut whole: String = (0..50).map(|number| format!("r1 {number}\n")).collect();
    whole.push_str("r1 end\n");
    assert_eq!(streamed.text(), whole);
    host.stop().await;
}

#[tokio::test]
async fn a_deploy_tells_people_and_programs_what_came_of_it() {
    let stage = Stage::one();
    let host = stage.start().await;
    let r1 = stage.revision("a").await;

    stage.put("r2.wasm", good("r2"));
    let told = stage.done(&["deploy", "a", "r2.wasm", "--by", "Ada"]).await;
    let r2 = stage.revision("a").await;
    assert_ne!(r1, r2);
    let pattern = format!("^a: {r1} → {r2} published in [^ ]+ m?s \\(generation 2\\)\n$");
    let pattern = regex_lite::Regex::new(&pattern).expect("the pattern is one");
    assert!(pattern.is_match(&told), "{told}");

    let entry = stage.newest().await;
    let of = |key: &str| entry[key].clone();
    assert_eq!(of("by"), "Ada");
    assert_eq!(
        (of("action"), of("outcome")),
        ("deploy".into(), "published".into())
    );
    assert_eq!(of("generation"), 2);
    let change = &entry["changes"][0];
    assert_eq!((&change["from"], &change["to"]), (&json!(r1), &json!(r2)));

    let outcome = stage.deploy("a", good("r3")).await;
    let r3 = stage.revision("a").await;
    assert_eq!(outcome["outcome"], "published");
    assert_eq!(outcome["generation"], 3);
    let changes = outcome["changes"].as_array().expect("a deploy has changes");
    assert_eq!(changes.len(), 1, "{outcome}");
    assert_eq!(changes[0]["service"], "a");
    assert_eq!((&changes[0]["from"], &changes[0]["to"]), (&json!(r2), &json!(r3)));
    let entry = stage.newest().await;
    assert_eq!(outcome["entry"], entry["number"]);
    assert_eq!(changes[0]["component"], entry["changes"][0]["component"]);
    // The account that runs the command, unless it is said.
    assert!(text(&entry["by"]).starts_with("tester@"), "{entry}");
    host.stop().await;
}

#[tokio::test]
async fn wrong_usage_and_what_is_not_there_have_their_own_exit_codes_and_change_nothing() {
    let stage = Stage::one();
    let host = stage.start().await;
    let usage: [&[&str]; 6] = [
        &["deploy"],
        &["deploy", "a"],
        &["deploy", "a", "a.wasm", "more.wasm"],
        &["deploy", "a=a.wasm", "a=b.wasm"],
        &["deploy", "not a name", "a.wasm"],
        &["deploy", "a", "a.wasm", "--canary", "120%"],
    ];
    for arguments in usage {
        let finished = stage.exits(2, arguments).await;
        assert!(finished.stdout.is_empty(), "{finished:?}");
    }
    let missing = stage.exits(1, &["deploy", "a", "nowhere.wasm"]).await;
    assert!(missing.stderr.contains("cannot read nowhere.wasm"), "{missing:?}");
    let unknown = stage.exits(1, &["deploy", "b", "a.wasm"]).await;
    assert!(
        unknown.stderr.contains("the app has no service `b`"),
        "{unknown:?}"
    );
    assert!(
        unknown.stderr.contains("hint: its services are a;"),
        "{unknown:?}"
    );
    assert_eq!(stage.history().await.len(), 1, "only the start is journalled");
    assert_eq!(says(&host, "/a/").await, "r1");
    host.stop().await;
}

#[tokio::test]
async fn a_component_that_is_served_already_is_no_change() {
    let stage = Stage::one();
    let host = stage.start().await;
    let told = stage.done(&["deploy", "a", "a.wasm"]).await;
    assert_eq!(told, "a: unchanged (generation 1)\n");
    assert_eq!(stage.deploy("a", good("r2")).await["outcome"], "published");
    let again = stage.deploy("a", good("r2")).await;
    assert_eq!(again["outcome"], "unchanged");
    assert_eq!((&again["generation"], &again["changes"]), (&json!(2), &json!([])));
    assert_eq!(stage.history().await.len(), 2);
    // The same again has the same identity.
    let r2 = stage.revision("a").await;
    stage.deploy("a", good("r1")).await;
    stage.deploy("a", good("r2")).await;
    assert_eq!(stage.revision("a").await, r2);
    host.stop().await;
}

#[tokio::test]
async fn a_deploy_with_build_takes_what_the_build_command_makes() {
    let lines = "[component.a.build]\ncommand = \"cp next.wasm a.wasm\"";
    let stage = Stage::new(&Manifest::new().service("a", lines));
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    let failed = stage.exits(1, &["deploy", "a", "--build"]).await;
    assert!(
        failed.stderr.contains("next.wasm"),
        "the command's own words: {failed:?}"
    );
    assert_eq!(says(&host, "/a/").await, "r1");
    assert_eq!(stage.history().await.len(), 1);

    stage.put("next.wasm", good("r2"));
    let outcome = stage.json(&["deploy", "a", "--build"]).await;
    assert_eq!(outcome["outcome"], "published");
    assert_eq!(says(&host, "/a/").await, "r2");
    host.stop().await;
}

#[tokio::test]
async fn a_host_elsewhere_is_named_by_its_url_and_opened_by_a_token_of_the_environment() {
    let stage = Stage::one();
    let host = stage.start().await;
    let elsewhere = TempDir::with_prefix("midplane-test-").expect("the system has a temporary folder");
    let file = stage.put("r2.wasm", good("r2"));
    let token = stage.token();
    let url = format!("http://{}", host.admin);
    let deploy = async |token: Option<&str>| {
        let mut command = program();
        command.current_dir(elsewhere.path());
        command.args(["deploy", "a"]).arg(&file).args(["--admin", &url]);
        command.envs(token.map(|token| ("MIDPLANE_ADMIN_TOKEN", token)));
        Finished::by(command).await
    };
    let without = deploy(None).await;
    assert_eq!(without.status.code(), Some(1));
    assert!(
        without.stderr.contains("there is no token for the admin API"),
        "{without:?}"
    );
    let wrong = deploy(Some("guessed")).await;
    assert_eq!(wrong.status.code(), Some(1));
    let said = "does not take the token of MIDPLANE_ADMIN_TOKEN";
    assert!(wrong.stderr.contains(said), "{wrong:?}");
    assert!(
        !wrong.stderr.contains("guessed") && !wrong.stderr.contains(&token),
        "{wrong:?}"
    );
    assert_eq!(says(&host, "/a/").await, "r1");
    let right = deploy(Some(&token)).await;
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    assert_eq!(says(&host, "/a/").await, "r2");
    host.stop().await;
}

#[tokio::test]
async fn two_hosts_on_one_machine_do_not_get_into_each_others_way() {
    let (one, other) = (Stage::one(), Stage::one());
    let (first, second) = (one.start().await, other.start().await);
    one.deploy("a", good("r2")).await;
    assert_eq!(
        (says(&first, "/a/").await, says(&second, "/a/").await),
        ("r2".into(), "r1".into())
    );
    // From elsewhere, by the folder of the app.
    let file = one.path("deployed.wasm");
    let (file, folder) = (file.to_str(), other.path(""));
    let (file, folder) = (file.expect("it is text"), folder.to_str().expect("it is text"));
    one.done(&["deploy", "a", file, "-f", folder]).await;
    assert_eq!(says(&second, "/a/").await, "r2");
    assert_eq!((one.history().await.len(), other.history().await.len()), (2, 2));
    first.stop().await;
    assert_eq!(says(&second, "/a/").await, "r2");
    other.deploy("a", good("r3")).await;
    assert_eq!(says(&second, "/a/").await, "r3");
    second.stop().await;
}

#[tokio::test]
async fn without_a_running_host_a_deploy_says_where_it_looked() {
    let stage = Stage::one();
    let never = stage.exits(1, &["deploy", "a", "a.wasm"]).await;
    assert!(
        never
            .stderr
            .contains("no running host is known: there is no .midplane/admin.json"),
        "{never:?}"
    );
    assert!(never.stderr.contains("hint: is the host running?"), "{never:?}");
    stage.start().await.stop().await;
    let stopped = stage.exits(1, &["deploy", "a", "a.wasm"]).await;
    assert!(stopped.stderr.contains("no running host is known"), "{stopped:?}");
    // One that is killed cannot take back where it said to be.
    let mut host = stage.start().await;
    host.signal(Signal::KILL);
    host.finish().await;
    let killed = stage.exits(1, &["deploy", "a", "a.wasm"]).await;
    assert!(
        killed.stderr.contains("no host answers at http://127.0.0.1:"),
        "{killed:?}"
    );
}

#[tokio::test]
async fn a_component_is_named_by_its_path_on_the_host_or_uploaded() {
    let stage = Stage::one();
    let host = stage.start().await;
    let api = stage.api(&host);
    let file = stage.put("r2.wasm", good("r2"));
    let by_path = json!({ "services": { "a": { "path": file } } });
    let answer = api.post("/deploy", &by_path).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(says(&host, "/a/").await, "r2");
    let file = stage.put("r3.wasm", good("r3"));
    let answer = api.post("/services/a/deploy", &json!({ "path": file })).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(says(&host, "/a/").await, "r3");
    let answer = api.deploy("a", good("r4")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(says(&host, "/a/").await, "r4");
    let answer = api
        .ask(Method::POST, "/services/a/deploy", "application/wasm", good("r5"))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(says(&host, "/a/").await, "r5");

    let relative = api
        .post("/services/a/deploy", &json!({ "path": "r2.wasm" }))
        .await;
    assert_eq!(relative.status, StatusCode::BAD_REQUEST, "{relative:?}");
    let missing = api
        .post(
            "/services/a/deploy",
            &json!({ "path": stage.path("nowhere.wasm") }),
        )
        .await;
    assert_eq!(missing.status, StatusCode::UNPROCESSABLE_ENTITY, "{missing:?}");
    let digest = format!("sha256:{}", "0".repeat(64));
    let unknown = api
        .post("/services/a/deploy", &json!({ "component": digest }))
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{unknown:?}");
    assert_eq!(says(&host, "/a/").await, "r5");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploys_of_one_service_at_the_same_time_come_one_after_the_other() {
    let stage = Arc::new(Stage::one());
    let host = stage.start().await;
    let first = stage.revision("a").await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = Protocol::ALL
        .into_iter()
        .map(|protocol| tokio::spawn(watch(host.address, protocol, stop.clone())))
        .collect();
    let deploys: Vec<_> = (0..8)
        .map(|number| {
            let stage = stage.clone();
            let file = format!("c{number}.wasm");
            stage.put(&file, good(&format!("c{number}")));
            tokio::spawn(async move { stage.json(&["deploy", "a", &file]).await })
        })
        .collect();
    let mut names = BTreeMap::from([(first, "r1".to_owned())]);
    for (number, deploy) in deploys.into_iter().enumerate() {
        let outcome = deploy.await.expect("the deploy goes well");
        assert_eq!(outcome["outcome"], "published");
        names.insert(text(&outcome["changes"][0]["to"]), format!("c{number}"));
    }
    stop.store(true, Ordering::Relaxed);

    let mut entries = stage.history().await;
    entries.reverse();
    assert_eq!(entries.len(), 9);
    for (earlier, later) in entries.iter().zip(&entries[1..]) {
        assert_eq!(later["changes"][0]["from"], earlier["changes"][0]["to"]);
        assert_eq!(
            later["generation"].as_u64(),
            earlier["generation"].as_u64().map(|number| number + 1)
        );
    }
    let order: Vec<&String> = entries
        .iter()
        .map(|entry| &names[&text(&entry["changes"][0]["to"])])
        .collect();
    assert_eq!(Some(&&says(&host, "/a/").await), order.last());
    for client in clients {
        let met = client.await.expect("every request is answered");
        // What a client meets goes by the journal, and never back.
        let mut rest = order.iter();
        for name in &met {
            assert!(
                rest.any(|published| *published == name),
                "{name} of {met:?} comes late in {order:?}"
            );
        }
    }
    host.stop().await;
}

/// Asks over and over, and returns the different answers in the order in which they came.
async fn watch(address: SocketAddr, protocol: Protocol, stop: Arc<AtomicBool>) -> Vec<String> {
    let connection = Connection::open(address, protocol).await;
    let mut met: Vec<String> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let answer = connection.get("/a/").await;
        assert_eq!(answer.status, StatusCode::OK);
        let name = answer.text().trim_end().to_owned();
        if met.last() != Some(&name) {
            met.push(name);
        }
    }
    met
}
