//! Candidates: who meets them, and what becomes of them.

mod judged;

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::*;

/// Users that are asked about. Shares of so many lie within [`SPREAD`] of the weight unless lots are not fair.
const USERS: usize = 300;
/// Five standard deviations, for the weight where it is largest.
const SPREAD: usize = 45;

/// What most tests hold clients by.
const BY_HEADER: &str = "header:x-user";

/// Deploys a candidate, which is expected to go well.
async fn candidate(stage: &Stage, service: &str, component: Vec<u8>, share: &str, by: &str) -> Value {
    let file = stage.put("candidate.wasm", component);
    let file = file.to_str().expect("a temporary folder is text");
    stage
        .json(&["deploy", service, file, "--canary", share, "--sticky", by])
        .await
}

/// A request by a user, who is known by what `by` says.
fn asked(path: &str, by: &str, user: usize) -> Request<crate::harness::Body> {
    let (header, value) = match by.split_once(':') {
        Some(("header", name)) => (name, format!("user-{user}")),
        Some(("cookie", name)) => ("cookie", format!("theme=dark; {name}=user-{user}")),
        _ => panic!("{by} is neither a header nor a cookie"),
    };
    let request = Request::get(path).header(header, value);
    request.body(full("")).expect("the test's headers are valid")
}

/// What each of [`USERS`] is answered.
async fn answers(host: &TestHost, path: &str, by: &str) -> Vec<String> {
    let connection = host.connect(Protocol::Http1).await;
    let mut answers = Vec::new();
    for user in 0..USERS {
        let answer = connection.exchange(asked(path, by, user)).await;
        let answer = answer.expect("the host answers");
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answers.push(answer.text().trim_end().to_owned());
    }
    answers
}

/// The users who meet `new`; all others meet `old`.
async fn who_meet(host: &TestHost, path: &str, by: &str, [old, new]: [&str; 2]) -> BTreeSet<usize> {
    let mut met = BTreeSet::new();
    for (user, answer) in answers(host, path, by).await.into_iter().enumerate() {
        if answer == new {
            met.insert(user);
        } else {
            assert_eq!(answer, old, "user {user}");
        }
    }
    met
}

fn is_about(count: usize, percent: usize) {
    let wanted = USERS * percent / 100;
    assert!(
        count.abs_diff(wanted) <= SPREAD,
        "{count} of {USERS} users are far from {percent} %"
    );
}

/// The candidate of a service, as the status has it; null where there is none.
async fn status(stage: &Stage, service: &str) -> Value {
    stage.json(&["status", service]).await["candidate"].clone()
}

#[tokio::test]
async fn users_meet_a_candidate_by_its_weight_and_nobody_goes_back_while_it_rises() {
    let stage = Stage::new(&Manifest::new().service("a", "").service("b", ""));
    stage.put("a.wasm", good("r1"));
    stage.put("b.wasm", good("r1"));
    let host = stage.start().await;
    let services = [("a", BY_HEADER), ("b", "cookie:session")];
    for (service, by) in services {
        candidate(&stage, service, good("r2"), "10%", by).await;
    }
    for (service, by) in services {
        let path = format!("/{service}/");
        let mut before = BTreeSet::new();
        for percent in [10, 30, 60] {
            let share = format!("{percent}%");
            if percent > 10 {
                let told = stage.done(&["promote", service, "--canary", &share]).await;
                assert!(told.contains(&format!("gets {share} of the requests")), "{told}");
            }
            let met = who_meet(&host, &path, by, ["r1", "r2"]).await;
            is_about(met.len(), percent);
            assert!(
                met.is_superset(&before),
                "{service}: somebody went back at {share}"
            );
            // Over other connections and at other times it is the same.
            assert_eq!(who_meet(&host, &path, by, ["r1", "r2"]).await, met);
            before = met;
        }
        stage.done(&["promote", service]).await;
        assert_eq!(answers(&host, &path, by).await, vec!["r2"; USERS]);
    }
    host.stop().await;
}

#[tokio::test]
async fn clients_are_held_by_their_address_also_where_the_header_is_missing() {
    let stage = Stage::one();
    let host = stage.start().await;
    for by in ["client", "header:x-nobody-sends-it"] {
        candidate(&stage, "a", good("r2"), "40%", by).await;
        let mut met = 0;
        for number in 0..100_u8 {
            let address = Ipv4Addr::new(127, 0, 1, number);
            let first = from(&host, address).await;
            assert_eq!(from(&host, address).await, first, "{by}: {address}");
            met += usize::from(first == "r2");
        }
        assert!((15..=65).contains(&met), "{by}: {met} of 100 are far from 40 %");
        stage.done(&["abort", "a"]).await;
    }
    host.stop().await;
}

/// What the revision that a client of this address meets is called.
async fn from(host: &TestHost, address: Ipv4Addr) -> &'static str {
    let socket = TcpSocket::new_v4().expect("there are sockets");
    socket
        .bind((address, 0).into())
        .expect("all of 127.0.0.0/8 is this machine");
    let stream = soon("a connection", socket.connect(host.address)).await;
    let mut stream = stream.expect("the host accepts");
    let request = format!(
        "GET /a/ HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        host.address
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the host reads");
    let mut answer = String::new();
    let read = soon("an answer", stream.read_to_string(&mut answer)).await;
    read.expect("the host answers in text");
    let names: Vec<_> = ["r1", "r2"]
        .into_iter()
        .filter(|name| answer.contains(&format!("{name}\n")))
        .collect();
    match names.as_slice() {
        [name] => name,
        _ => panic!("nobody knows who answered: {answer}"),
    }
}

#[tokio::test]
async fn candidates_of_one_set_are_met_together_on_all_hops_also_after_a_restart() {
    let stage = Stage::pair();
    let host = stage.start().await;
    let files = [
        stage.put("f2.wasm", front(Condition::Good, 2)),
        stage.put("b2.wasm", back(Condition::Good, 2)),
    ];
    let set = [
        format!("front={}", files[0].display()),
        format!("back={}", files[1].display()),
    ];
    let canary = [
        "deploy", &set[0], &set[1], "--canary", "40%", "--sticky", BY_HEADER,
    ];
    stage.json(&canary).await;
    let path = "/front/link?ms=0";
    // Front, and what is behind the link, twice.
    let met = who_meet(&host, path, BY_HEADER, ["1 1 1", "2 2 2"]).await;
    is_about(met.len(), 40);
    let candidates = (status(&stage, "front").await, status(&stage, "back").await);
    assert_eq!(candidates.0["rollout"], candidates.1["rollout"]);
    host.stop().await;

    let mut host = stage.start().await;
    assert_eq!(who_meet(&host, path, BY_HEADER, ["1 1 1", "2 2 2"]).await, met);
    host.signal(Signal::KILL);
    host.finish().await;
    let host = stage.start().await;
    assert_eq!(who_meet(&host, path, BY_HEADER, ["1 1 1", "2 2 2"]).await, met);
    for (service, before) in [("front", candidates.0), ("back", candidates.1)] {
        let after = status(&stage, service).await;
        for same in ["rollout", "weight", "sticky"] {
            assert_eq!(after[same], before[same], "{service}");
        }
        assert_eq!(after["revision"]["revision"], before["revision"]["revision"]);
    }
    // One stands for the other.
    stage.done(&["promote", "back"]).await;
    assert_eq!(answers(&host, path, BY_HEADER).await, vec!["2 2 2"; USERS]);
    assert!(status(&stage, "front").await.is_null());
    host.stop().await;
}

#[tokio::test]
async fn candidates_of_different_rollouts_are_met_apart_and_each_keeps_its_users() {
    let stage = Stage::pair();
    let host = stage.start().await;
    candidate(&stage, "front", front(Condition::Good, 2), "50%", BY_HEADER).await;
    let path = "/front/link?ms=0";
    let of_front = who_meet(&host, path, BY_HEADER, ["1 1 1", "2 1 1"]).await;
    candidate(&stage, "back", back(Condition::Good, 2), "50%", BY_HEADER).await;
    let answers = answers(&host, path, BY_HEADER).await;
    for (user, answer) in answers.iter().enumerate() {
        let front = if of_front.contains(&user) { "2" } else { "1" };
        assert!(
            answer == &format!("{front} 1 1") || answer == &format!("{front} 2 2"),
            "user {user}: {answer}"
        );
    }
    for met in ["1 1 1", "1 2 2", "2 1 1", "2 2 2"] {
        let count = answers.iter().filter(|answer| *answer == met).count();
        is_about(count, 25);
    }
    host.stop().await;
}

#[tokio::test]
async fn other_services_are_deployed_beside_a_candidate_and_its_users_stay_the_same() {
    let stage = Stage::new(&Manifest::new().service("a", "").service("b", ""));
    stage.put("a.wasm", good("r1"));
    stage.put("b.wasm", good("r1"));
    let host = stage.start().await;
    candidate(&stage, "a", good("r2"), "30%", BY_HEADER).await;
    let before = status(&stage, "a").await;
    let met = who_meet(&host, "/a/", BY_HEADER, ["r1", "r2"]).await;
    stage.deploy("b", good("r3")).await;
    assert_eq!(says(&host, "/b/").await, "r3");
    stage.done(&["rollback", "b"]).await;
    assert_eq!(says(&host, "/b/").await, "r1");
    assert_eq!(who_meet(&host, "/a/", BY_HEADER, ["r1", "r2"]).await, met);
    assert_eq!(status(&stage, "a").await["rollout"], before["rollout"]);
    host.stop().await;
}

#[tokio::test]
async fn a_candidate_gets_another_share_becomes_current_or_goes_and_all_is_in_the_journal() {
    let stage = Stage::one();
    let host = stage.start().await;
    for what in ["promote", "abort"] {
        let finished = stage.exits(1, &[what, "a"]).await;
        assert!(
            finished.stderr.contains("`a` has no candidate"),
            "{what}: {finished:?}"
        );
    }
    let begun = candidate(&stage, "a", good("r2"), "20%", BY_HEADER).await;
    let first = status(&stage, "a").await;
    assert_eq!(
        (&first["weight"], &first["sticky"], &first["revision"]["revision"]),
        (&json!("20%"), &json!(BY_HEADER), &begun["changes"][0]["to"])
    );
    stage.done(&["promote", "a", "--canary", "60%"]).await;
    let second = status(&stage, "a").await;
    assert_eq!(
        (&second["weight"], &second["rollout"]),
        (&json!("60%"), &first["rollout"])
    );
    // As long as it is there, nothing else becomes of the service.
    let told = stage.refused("a", good("r3")).await;
    assert!(told.contains("`a` has a candidate"), "{told}");
    for what in [["rollback", "a"].as_slice(), &["apply"]] {
        stage.exits(3, what).await;
    }
    stage.done(&["promote", "a", "--by", "the boss"]).await;
    assert_eq!(answers(&host, "/a/", BY_HEADER).await, vec!["r2"; USERS]);
    candidate(&stage, "a", good("r3"), "20%", BY_HEADER).await;
    stage.done(&["abort", "a"]).await;
    assert_eq!(answers(&host, "/a/", BY_HEADER).await, vec!["r2"; USERS]);
    // Back to what was current before, not to what was only a candidate.
    stage.done(&["rollback", "a"]).await;
    assert_eq!(answers(&host, "/a/", BY_HEADER).await, vec!["r1"; USERS]);

    let history = stage.history().await;
    let actions: Vec<_> = history.iter().map(|entry| text(&entry["action"])).collect();
    assert_eq!(
        actions,
        [
            "rollback", "abort", "canary", "promote", "canary", "canary", "start"
        ]
    );
    assert!(history.iter().all(|entry| entry["outcome"] == "published"));
    let promoted = &history[3];
    assert_eq!(promoted["by"], "the boss");
    assert_eq!(promoted["changes"][0]["to"], begun["changes"][0]["to"]);
    assert_eq!(promoted["changes"][0]["from"], begun["changes"][0]["from"]);
    assert_eq!(history[1]["changes"][0]["to"], begun["changes"][0]["to"]);
    host.stop().await;
}

#[tokio::test]
async fn deploying_a_candidate_once_more_changes_its_share_or_makes_it_current() {
    let stage = Stage::one();
    let host = stage.start().await;
    candidate(&stage, "a", good("r2"), "20%", BY_HEADER).await;
    let again = candidate(&stage, "a", good("r2"), "20%", BY_HEADER).await;
    assert_eq!(again["outcome"], "unchanged");
    let more = candidate(&stage, "a", good("r2"), "70%", BY_HEADER).await;
    assert_eq!(more["outcome"], "published");
    assert_eq!(status(&stage, "a").await["weight"], "70%");
    let met = who_meet(&host, "/a/", BY_HEADER, ["r1", "r2"]).await;
    is_about(met.len(), 70);
    stage.deploy("a", good("r2")).await;
    assert!(status(&stage, "a").await.is_null());
    assert_eq!(answers(&host, "/a/", BY_HEADER).await, vec!["r2"; USERS]);
    assert_eq!(stage.newest().await["action"], "promote");
    host.stop().await;
}

#[tokio::test]
async fn a_contract_that_only_a_candidate_needs_is_not_broken() {
    let stage = Stage::new(&pair());
    // Only the candidate calls anybody.
    stage.put("front.wasm", good("r1"));
    stage.put("back.wasm", storm("storm-back-p2", Condition::Good, 1));
    let host = stage.start().await;
    let file = stage.put("candidate.wasm", storm("storm-front-p2", Condition::Good, 2));
    let file = file.to_str().expect("a temporary folder is text");
    let canary = [
        "deploy",
        "front",
        file,
        "--canary",
        "50%",
        "--sticky",
        BY_HEADER,
        "--allow-new-grants",
    ];
    stage.done(&canary).await;
    let told = stage.refused("back", bare("storm-back-breaking")).await;
    assert!(
        told.contains("storm:contract/plain") && told.contains("front"),
        "{told}"
    );
    assert_eq!(stage.newest().await["outcome"], "refused");
    // Once it is gone, nobody needs it.
    stage.done(&["abort", "front"]).await;
    stage.deploy("back", bare("storm-back-breaking")).await;
    host.stop().await;
}

#[tokio::test]
async fn a_candidate_that_breaks_the_contract_of_a_current_caller_is_refused() {
    let stage = Stage::new(&pair());
    stage.put("front.wasm", storm("storm-front-p2", Condition::Good, 1));
    stage.put("back.wasm", storm("storm-back-p2", Condition::Good, 1));
    let host = stage.start().await;
    let breaking = stage.put("breaking.wasm", bare("storm-back-breaking"));
    let breaking = breaking.to_str().expect("a temporary folder is text");
    let finished = stage
        .exits(3, &["deploy", "back", breaking, "--canary", "1%"])
        .await;
    assert!(finished.stderr.contains("storm:contract/plain"), "{finished:?}");
    assert_eq!(says(&host, "/front/link?ms=0").await, "1 1 1");
    host.stop().await;
}

#[tokio::test]
async fn what_a_candidate_is_judged_by_is_in_the_metrics_and_in_the_status() {
    let stage = Stage::one();
    let host = stage.start().await;
    candidate(&stage, "a", good("r2"), "50%", BY_HEADER).await;
    let met = who_meet(&host, "/a/", BY_HEADER, ["r1", "r2"]).await;
    let service = stage.json(&["status", "a"]).await;
    let sides = [
        (&service["current"], USERS - met.len()),
        (&service["candidate"]["revision"], met.len()),
    ];
    for (side, count) in sides {
        let label = format!("revision=\"{}\"", text(&side["revision"]));
        let labels = ["service=\"a\"", "status=\"2xx\"", &label];
        eventually("all requests to be counted", async || {
            host.metric("midplane_requests_total", &labels).await == Some(count as f64)
        })
        .await;
        assert_eq!(
            host.metric("midplane_traps_total", &["service=\"a\"", &label])
                .await,
            Some(0.0)
        );
        eventually("the status to have them too", async || {
            let service = stage.api(&host).get("/services/a").await.json();
            let sides = [&service["current"], &service["candidate"]["revision"]];
            sides.iter().any(|now| {
                now["revision"] == side["revision"] && now["served"] == count && now["failed"] == 0
            })
        })
        .await;
    }
    host.stop().await;
}
