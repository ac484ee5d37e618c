//! A candidate that does worse than the current revision is taken back without anybody asking; one that does not stays.

use std::pin::pin;
use std::time::Duration;

use super::*;
use crate::rollout::events::Events;

/// Sends requests of one user after the other, until `work` is done.
async fn under_load<T>(host: &TestHost, path: &str, work: impl Future<Output = T>) -> T {
    let connection = host.connect(Protocol::Http1).await;
    let mut work = pin!(work);
    let mut user = 0;
    loop {
        user += 1;
        tokio::select! {
            done = &mut work => return done,
            answer = connection.exchange(asked(path, BY_HEADER, user)) => drop(answer.expect("the host answers")),
        }
    }
}

/// From one time of the journal to a later one, in seconds.
fn between(earlier: &Value, later: &Value) -> f64 {
    let seconds = |at: &Value| {
        let at = text(at);
        let time = at
            .split_once('T')
            .expect("a time follows a date")
            .1
            .trim_end_matches('Z');
        time.split(':')
            .map(|part| part.parse::<f64>().expect("a time is made of numbers"))
            .fold(0.0, |sum, part| sum * 60.0 + part)
    };
    // Midnight may lie between the two.
    (seconds(later) - seconds(earlier)).rem_euclid(86_400.0)
}

/// Deploys a candidate that does badly, and looks on until it is gone.
async fn is_taken_back(mode: Mode) {
    let stage = Stage::one();
    let host = stage.start().await;
    let file = stage.put("r2.wasm", swap(mode, "r2"));
    let file = file.to_str().expect("a temporary folder is text");
    let canary = [
        "deploy", "a", file, "--canary", "50%", "--sticky", BY_HEADER, "--wait",
    ];
    let finished = under_load(&host, "/a/", stage.exits(4, &canary)).await;

    let history = stage.history().await;
    let [end, begin, ..] = history.as_slice() else {
        panic!("two entries are missing: {history:?}");
    };
    assert_eq!(
        (&begin["action"], &begin["outcome"]),
        (&json!("canary"), &json!("published"))
    );
    assert_eq!(
        (&end["action"], &end["outcome"], &end["by"]),
        (&json!("abort"), &json!("rolled back"), &json!("midplane"))
    );
    let revision = &begin["changes"][0]["to"];
    assert_eq!(end["changes"][0]["from"], *revision);
    let cause = text(&end["cause"]);
    assert!(
        cause.starts_with("`a`: ") && cause.contains("requests failed"),
        "{cause}"
    );
    let took = between(&begin["at"], &end["at"]);
    assert!(took < 5.0, "{took} s passed under load");
    assert!(
        finished
            .stderr
            .contains(&format!("the host took candidate {} of a back", text(revision)))
            && finished.stderr.contains(&cause),
        "{finished:?}"
    );
    let mut events = Events::open(&stage, &host, Some(0)).await;
    let told = events.until(|event| event.name == "rolled-back").await;
    let told = &told.last().expect("there is one").data;
    assert_eq!(told["detail"], end["cause"]);
    assert_eq!(told["entry"], end["number"]);
    assert_eq!(told["revision"], *revision);
    assert_eq!(told["service"], "a");

    assert_eq!(answers(&host, "/a/", BY_HEADER).await, vec!["r1"; USERS]);
    assert!(status(&stage, "a").await.is_null());
    // It is over for good, and the way is free.
    stage.deploy("a", good("r3")).await;
    assert_eq!(says(&host, "/a/").await, "r3");
    host.stop().await;
}

#[tokio::test]
async fn a_candidate_that_answers_with_errors_is_taken_back_by_itself() {
    is_taken_back(Mode::Fails).await;
}

#[tokio::test]
async fn a_candidate_that_traps_is_taken_back_by_itself() {
    is_taken_back(Mode::Traps).await;
}

#[tokio::test]
async fn where_one_of_a_set_does_worse_all_of_it_is_taken_back() {
    let stage = Stage::new(&Manifest::new().service("a", "").service("b", ""));
    stage.put("a.wasm", good("r1"));
    stage.put("b.wasm", good("r1"));
    let host = stage.start().await;
    let files = [
        stage.put("a2.wasm", good("r2")),
        stage.put("b2.wasm", swap(Mode::Traps, "r2")),
    ];
    let set = [
        format!("a={}", files[0].display()),
        format!("b={}", files[1].display()),
    ];
    let canary = [
        "deploy", &set[0], &set[1], "--canary", "50%", "--sticky", BY_HEADER, "--wait",
    ];
    under_load(&host, "/b/", stage.exits(4, &canary)).await;
    let end = stage.newest().await;
    assert_eq!(end["outcome"], "rolled back");
    assert!(text(&end["cause"]).starts_with("`b`: "), "{end}");
    let services = end["changes"].as_array().into_iter().flatten();
    let services: Vec<_> = services.map(|change| text(&change["service"])).collect();
    assert_eq!(services, ["a", "b"]);
    for (service, path) in [("a", "/a/"), ("b", "/b/")] {
        assert!(status(&stage, service).await.is_null());
        assert_eq!(answers(&host, path, BY_HEADER).await, vec!["r1"; USERS]);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_candidate_that_fails_no_more_than_the_current_revision_stays() {
    let stage = Stage::one();
    let host = stage.start().await;
    candidate(&stage, "a", good("r2"), "50%", BY_HEADER).await;
    let met = who_meet(&host, "/a/", BY_HEADER, ["r1", "r2"]).await;
    let other = (0..USERS).find(|user| !met.contains(user));
    let other = other.expect("half of them do not meet it");
    // The current revision is known to fail before the candidate does.
    let connection = host.connect(Protocol::Http1).await;
    let first = connection.exchange(asked("/a/fail", BY_HEADER, other)).await;
    assert_eq!(first.expect("the host answers").text(), "r1\n");
    for path in ["/a/", "/a/fail", "/a/trap", "/a/"] {
        // So long both are looked at, under load.
        under_load(&host, path, tokio::time::sleep(Duration::from_millis(1_500))).await;
    }
    let service = stage.json(&["status", "a"]).await;
    for side in [&service["current"], &service["candidate"]["revision"]] {
        assert!(
            side["failed"].as_u64().is_some_and(|failed| failed > 20),
            "{side}"
        );
    }
    assert_eq!(stage.newest().await["action"], "canary");
    assert_eq!(who_meet(&host, "/a/", BY_HEADER, ["r1", "r2"]).await, met);
    host.stop().await;
}
