//! Several services that are deployed as one: at the same instant, or not at all.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_mixes_the_revisions_of_two_sets() {
    let stage = Stage::pair();
    let host = stage.start().await;
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = Protocol::ALL
        .into_iter()
        .flat_map(|protocol| [(protocol, 0), (protocol, 20)])
        .map(|(protocol, pause)| {
            let (stop, asked) = (stop.clone(), asked.clone());
            tokio::spawn(hammer(host.address, protocol, pause, stop, asked))
        })
        .collect();
    for number in 2..=6 {
        let before = asked.load(Ordering::Relaxed);
        stage.put("front2.wasm", front(Condition::Good, number));
        stage.put("back2.wasm", back(Condition::Good, number));
        let outcome = stage
            .json(&["deploy", "front=front2.wasm", "back=back2.wasm"])
            .await;
        assert_eq!(outcome["outcome"], "published");
        assert_eq!(outcome["changes"].as_array().map(Vec::len), Some(2), "{outcome}");
        assert_eq!(
            says(&host, "/front/link").await,
            format!("{number} {number} {number}")
        );
        eventually("clients that meet each set", async || {
            asked.load(Ordering::Relaxed) > before + 8
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no answer mixes sets");
    }
    // One entry and one generation for both.
    let entries = stage.history().await;
    assert_eq!(entries.len(), 6);
    assert_eq!(entries[0]["generation"], 6);
    assert_eq!(entries[0]["changes"].as_array().map(Vec::len), Some(2));
    host.stop().await;
}

/// Asks over and over for the number of the front and, with a pause between, twice for that of the back behind it: all three
/// are of one set, and of no older one than in the answer before.
async fn hammer(
    address: SocketAddr,
    protocol: Protocol,
    pause: u64,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
) {
    let connection = Connection::open(address, protocol).await;
    let mut newest = 1;
    while !stop.load(Ordering::Relaxed) {
        let answer = connection.get(&format!("/front/link?ms={pause}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let numbers: Vec<u32> = answer
            .text()
            .split_whitespace()
            .map(|number| number.parse().expect("the fixture answers with numbers"))
            .collect();
        assert!(
            numbers.len() == 3 && numbers.iter().all(|number| *number == numbers[0]),
            "{numbers:?}"
        );
        assert!(numbers[0] >= newest, "{numbers:?} after {newest}");
        newest = numbers[0];
        asked.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_call_that_follows_a_deploy_within_one_request_still_meets_the_set_of_its_beginning() {
    let stage = Stage::pair();
    let host = stage.start().await;
    let connection = host.connect(Protocol::Http1).await;
    // The fixture's downloads call the back when they end, long after they began.
    let request = Request::get("/front/down?ms=1000").body(empty());
    let request = request.expect("the path is valid");
    let download = connection.send(request).await.expect("the host answers");
    stage.put("front2.wasm", front(Condition::Good, 2));
    stage.put("back2.wasm", back(Condition::Good, 2));
    stage
        .done(&["deploy", "front=front2.wasm", "back=back2.wasm"])
        .await;
    let download = Answer::read(download).await.expect("the download is not cut off");
    assert!(download.text().ends_with("\n1 end 10 1\n"), "{download:?}");
    assert_eq!(says(&host, "/front/link").await, "2 2 2");
    host.stop().await;
}

#[tokio::test]
async fn one_that_is_refused_keeps_the_whole_set_out() {
    let stage = Stage::pair();
    let host = stage.start().await;
    let before = (stage.revision("front").await, stage.revision("back").await);
    stage.put("front2.wasm", front(Condition::Good, 2));
    stage.put("back2.wasm", back(Condition::Traps, 2));
    let refused = stage
        .exits(3, &["deploy", "front=front2.wasm", "back=back2.wasm"])
        .await;
    assert!(refused.stderr.contains("service `back`"), "{refused:?}");
    assert_eq!(says(&host, "/front/link").await, "1 1 1");
    assert_eq!(
        (stage.revision("front").await, stage.revision("back").await),
        before
    );
    let entry = stage.newest().await;
    assert_eq!(entry["outcome"], "refused");
    assert!(text(&entry["cause"]).contains("service `back`"), "{entry}");
    let changes = entry["changes"].as_array().expect("an entry has changes");
    assert!(
        changes.iter().any(|change| change["service"] == "back"),
        "{entry}"
    );

    let unknown = stage
        .exits(1, &["deploy", "front=front2.wasm", "nobody=back2.wasm"])
        .await;
    assert!(
        unknown.stderr.contains("the app has no service `nobody`"),
        "{unknown:?}"
    );
    assert_eq!(says(&host, "/front/link").await, "1 1 1");
    host.stop().await;
}

#[tokio::test]
async fn what_fits_only_together_is_let_in_together() {
    let stage = Stage::pair();
    let host = stage.start().await;
    // Neither calls nor answers.
    stage.put("bare.wasm", bare("hello-p2"));
    let alone = stage.exits(3, &["deploy", "back", "bare.wasm"]).await;
    assert!(alone.stderr.contains("storm:contract/waiting@1.0.0"), "{alone:?}");
    stage.done(&["deploy", "back=bare.wasm", "front=bare.wasm"]).await;
    assert_eq!(host.get("/front/link").await.status, StatusCode::OK);
    // And back again, where the front alone does not fit.
    let alone = stage.exits(3, &["deploy", "front", "front.wasm"]).await;
    assert!(alone.stderr.contains("storm:contract/waiting@1.0.0"), "{alone:?}");
    stage
        .done(&[
            "deploy",
            "back=back.wasm",
            "front=front.wasm",
            "--allow-new-grants",
        ])
        .await;
    assert_eq!(says(&host, "/front/link").await, "1 1 1");
    host.stop().await;
}

#[tokio::test]
async fn of_a_set_only_what_differs_is_a_change() {
    let stage = Stage::pair();
    let host = stage.start().await;
    stage.put("back2.wasm", back(Condition::Good, 2));
    let outcome = stage
        .json(&["deploy", "front=front.wasm", "back=back2.wasm"])
        .await;
    let changes = outcome["changes"].as_array().expect("a deploy has changes");
    assert_eq!(changes.len(), 1, "{outcome}");
    assert_eq!(changes[0]["service"], "back");
    assert_eq!(says(&host, "/front/link").await, "1 2 2");
    let again = stage
        .done(&["deploy", "front=front.wasm", "back=back2.wasm"])
        .await;
    assert_eq!(
        again,
        "back: unchanged (generation 2)\nfront: unchanged (generation 2)\n"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_and_single_services_at_the_same_time_come_one_after_the_other() {
    let stage = Arc::new(Stage::pair());
    let host = stage.start().await;
    for number in 2..=7 {
        stage.put(&format!("front{number}.wasm"), front(Condition::Good, number));
        stage.put(&format!("back{number}.wasm"), back(Condition::Good, number));
    }
    // In either order, so that each could have what the other waits for.
    let deploys: Vec<_> = [
        vec!["front=front2.wasm", "back=back2.wasm"],
        vec!["back=back3.wasm", "front=front3.wasm"],
        vec!["front=front4.wasm"],
        vec!["back=back5.wasm"],
        vec!["back=back6.wasm", "front=front6.wasm"],
        vec!["front=front7.wasm", "back=back7.wasm"],
    ]
    .into_iter()
    .map(|what| {
        let stage = stage.clone();
        tokio::spawn(async move { stage.json(&[&["deploy"], what.as_slice()].concat()).await })
    })
    .collect();
    for deploy in deploys {
        let outcome = deploy.await.expect("the deploy goes well");
        assert_eq!(outcome["outcome"], "published", "{outcome}");
    }
    let mut entries = stage.history().await;
    entries.reverse();
    assert_eq!(entries.len(), 7);
    assert_eq!(stage.current().await, replayed(&entries));
    host.stop().await;
}
