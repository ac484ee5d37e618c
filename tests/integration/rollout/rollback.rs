//! `midplane rollback`: a revision of before becomes current again, with its code and its manifest entry, not its data.

use super::*;

#[tokio::test]
async fn a_rollback_brings_back_what_was_current_before() {
    let stage = Stage::one();
    let host = stage.start().await;
    let r1 = stage.revision("a").await;
    stage.deploy("a", good("r2")).await;
    let r2 = stage.revision("a").await;
    let connection = host.connect(Protocol::Http1).await;
    let held = Held::open(&host, "a", Protocol::Http2).await;

    let told = stage.done(&["rollback", "a"]).await;
    assert!(
        told.starts_with(&format!("a: {r2} → {r1} published in ")),
        "{told}"
    );
    assert_eq!(connection.get("/a/").await.text(), "r1\n");
    assert_eq!(held.end().await.as_deref(), Some("r2 begin\nr2 end\n"));
    let status = stage.json(&["status", "a"]).await;
    assert_eq!(status["current"]["origin"], "rollback");
    let entry = stage.newest().await;
    assert_eq!(
        (&entry["action"], &entry["outcome"]),
        (&json!("rollback"), &json!("published"))
    );
    assert_eq!(
        (&entry["changes"][0]["from"], &entry["changes"][0]["to"]),
        (&json!(r2), &json!(r1))
    );

    // What was current before that is what was taken back.
    stage.done(&["rollback", "a"]).await;
    assert_eq!(stage.revision("a").await, r2);
    assert_eq!(connection.get("/a/").await.text(), "r2\n");
    host.stop().await;
}

#[tokio::test]
async fn a_rollback_to_a_revision_takes_its_identity_or_the_beginning_of_it() {
    let stage = Stage::one();
    let host = stage.start().await;
    let r1 = stage.revision("a").await;
    for name in ["r2", "r3"] {
        stage.deploy("a", good(name)).await;
    }
    stage.done(&["rollback", "a", &r1]).await;
    assert_eq!(says(&host, "/a/").await, "r1");
    let listed = stage.api(&host).get("/services/a/revisions").await.json();
    let listed: Vec<String> = listed["revisions"]
        .as_array()
        .expect("a service has revisions")
        .iter()
        .map(|revision| text(&revision["revision"]))
        .collect();
    assert_eq!(listed.len(), 3, "{listed:?}");
    let r3 = text(&stage.history().await[1]["changes"][0]["to"]);
    let beginning = (1..=r3.len())
        .map(|length| &r3[..length])
        .find(|beginning| listed.iter().filter(|id| id.starts_with(beginning)).count() == 1)
        .expect("identities differ");
    stage.done(&["rollback", "a", beginning]).await;
    assert_eq!(says(&host, "/a/").await, "r3");
    let same = stage.json(&["rollback", "a", &r3]).await;
    assert_eq!(same["outcome"], "unchanged", "{same}");
    host.stop().await;
}

#[tokio::test]
async fn what_cannot_be_meant_changes_nothing_and_says_what_there_is() {
    let stage = Stage::one();
    let host = stage.start().await;
    let r1 = stage.revision("a").await;
    let first = stage.exits(1, &["rollback", "a"]).await;
    assert!(
        first.stderr.contains("nothing was current before in `a`"),
        "{first:?}"
    );
    let service = stage.exits(1, &["rollback", "b"]).await;
    assert!(
        service.stderr.contains("the app has no service `b`"),
        "{service:?}"
    );
    let other: String = r1
        .chars()
        .map(|digit| if digit == '0' { '1' } else { '0' })
        .collect();
    let unknown = stage.exits(1, &["rollback", "a", &other]).await;
    assert!(
        unknown.stderr.contains(&format!("`a` has no revision `{other}`")),
        "{unknown:?}"
    );
    assert!(unknown.stderr.contains(&r1), "{unknown:?}");
    let word = stage.exits(1, &["rollback", "a", "newest"]).await;
    assert!(word.stderr.contains("hexadecimal digits"), "{word:?}");
    assert_eq!(stage.history().await.len(), 1);
    assert_eq!(says(&host, "/a/").await, "r1");
    host.stop().await;
}

#[tokio::test]
async fn a_beginning_that_two_revisions_have_is_refused() {
    let stage = Stage::one();
    let host = stage.start().await;
    let api = stage.api(&host);
    let mut seen = BTreeSet::from([stage.revision("a").await]);
    // There are sixteen first digits, and fewer than that are needed.
    let mut number = 1;
    let shared = loop {
        number += 1;
        assert!(number <= 16, "no two of {seen:?} begin alike");
        let answer = api.deploy("a", good(&format!("r{number}"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let revision = text(&answer.json()["changes"][0]["to"]);
        let first = revision[..1].to_owned();
        if seen.iter().any(|other| other.starts_with(&first)) {
            break first;
        }
        seen.insert(revision);
    };
    let ambiguous = stage.exits(1, &["rollback", "a", &shared]).await;
    let said = format!("`{shared}` is the beginning of several revisions");
    assert!(ambiguous.stderr.contains(&said), "{ambiguous:?}");
    assert_eq!(says(&host, "/a/").await, format!("r{number}"));
    host.stop().await;
}

#[tokio::test]
async fn a_rollback_outlives_the_host() {
    let stage = Stage::one();
    let host = stage.start().await;
    for name in ["r2", "r3"] {
        stage.deploy("a", good(name)).await;
    }
    stage.done(&["rollback", "a"]).await;
    host.stop().await;
    let host = stage.start().await;
    assert_eq!(by(&host, "a"), "rollback");
    assert_eq!(says(&host, "/a/").await, "r2");
    assert_eq!(
        stage.history().await.len(),
        4,
        "a start that changes nothing is no entry"
    );
    // What was current before is known beyond the start.
    stage.done(&["rollback", "a"]).await;
    assert_eq!(says(&host, "/a/").await, "r3");
    host.stop().await;
}

#[tokio::test]
async fn a_revision_comes_back_with_the_manifest_entry_that_it_had() {
    let of = |color: &str| Manifest::new().service("a", &format!("environment = {{ COLOR = {color:?} }}"));
    let stage = Stage::new(&of("red"));
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    assert_eq!(says(&host, "/a/env/COLOR").await, "r1 red");
    let stage = stage.manifest(&of("blue"));
    stage.done(&["apply"]).await;
    assert_eq!(says(&host, "/a/env/COLOR").await, "r1 blue");
    stage.done(&["rollback", "a"]).await;
    assert_eq!(says(&host, "/a/env/COLOR").await, "r1 red");
    host.stop().await;
    let host = stage.start().await;
    assert_eq!(says(&host, "/a/env/COLOR").await, "r1 red");
    assert_eq!(by(&host, "a"), "rollback");
    host.stop().await;
}

#[tokio::test]
async fn a_rollback_brings_back_code_and_not_data() {
    let lines = "key_value_stores = [\"default\"]";
    let stage = Stage::new(&Manifest::new().service("a", lines));
    stage.put("a.wasm", good("r1"));
    let host = stage.start().await;
    says(&host, "/a/key-value/set?key=k&value=first").await;
    stage.deploy("a", good("r2")).await;
    assert_eq!(says(&host, "/a/key-value/get?key=k").await, "r2 first");
    says(&host, "/a/key-value/set?key=k&value=second").await;
    stage.done(&["rollback", "a"]).await;
    assert_eq!(says(&host, "/a/key-value/get?key=k").await, "r1 second");
    host.stop().await;
}

#[tokio::test]
async fn a_rollback_passes_the_gate_as_well() {
    let stage = Stage::pair();
    let host = stage.start().await;
    stage.put("bare.wasm", bare("hello-p2"));
    let old = stage.revision("front").await;
    stage.done(&["deploy", "front", "bare.wasm"]).await;
    stage.done(&["deploy", "back", "bare.wasm"]).await;
    // The front of before calls what the back of now does not export.
    let refused = stage.exits(3, &["rollback", "front", "--allow-new-grants"]).await;
    assert!(
        refused.stderr.contains("storm:contract/waiting@1.0.0"),
        "{refused:?}"
    );
    let entry = stage.newest().await;
    assert_eq!(
        (&entry["action"], &entry["outcome"]),
        (&json!("rollback"), &json!("refused"))
    );
    stage.done(&["rollback", "back"]).await;
    // And it may call again, which is a grant.
    let grant = stage.exits(3, &["rollback", "front"]).await;
    assert!(grant.stderr.contains("link: back"), "{grant:?}");
    stage
        .done(&["rollback", "front", &old, "--allow-new-grants"])
        .await;
    assert_eq!(says(&host, "/front/link").await, "1 1 1");
    host.stop().await;
}
