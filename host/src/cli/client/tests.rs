//! Finding a host that answers, and what is said where none does.

use serde_json::json;
use tokio::net::TcpListener;

use super::stand_in::{StandIn, TOKEN, service};
use super::{Client, ClientError};
use crate::cli::{Exit, Failure};

/// What a command prints and how it ends.
fn told(error: ClientError) -> (String, String, Exit) {
    let failure = Failure::from(error);
    let chain: Vec<String> = failure.error.chain().map(ToString::to_string).collect();
    (chain.join(": "), failure.hint.unwrap_or_default(), failure.exit)
}

async fn refused(stand_in: &StandIn, options: &[&str], token: Option<&str>) -> (String, String, Exit) {
    told(stand_in.connect(options, token).await.unwrap_err())
}

#[tokio::test]
async fn a_host_is_found_by_the_state_directory_or_by_its_address() {
    let stand_in = StandIn::start().await;
    assert_eq!(stand_in.client().await.base, "/v1/apps/shop");
    let url = format!("http://{}", stand_in.address());
    let client = stand_in.connect(&["--admin", &url], Some(TOKEN)).await.unwrap();
    assert_eq!(client.base, "/v1/apps/shop");
    assert!(client.must_serve("shop").is_ok());
    assert!(matches!(
        client.must_serve("bank"),
        Err(ClientError::OtherApp { .. })
    ));
}

#[tokio::test]
async fn the_name_of_an_app_is_one_segment_of_a_path() {
    let stand_in = StandIn::start().await;
    stand_in.answer("GET /v1/apps", json!({"apps": ["a shop/é"]}));
    let url = format!("http://{}", stand_in.address());
    let options = ["--admin", url.as_str()];
    // The first answer is that of every stand-in.
    stand_in.connect(&options, Some(TOKEN)).await.unwrap();
    let client = stand_in.connect(&options, Some(TOKEN)).await.unwrap();
    assert_eq!(client.base, "/v1/apps/a%20shop%2F%C3%A9");
}

#[tokio::test]
async fn several_hosts_do_not_get_into_each_others_way() {
    let (one, other) = (StandIn::start().await, StandIn::start().await);
    let what = "GET /v1/apps/shop/services/orders";
    for (stand_in, revision) in [(&one, "aaa"), (&other, "bbb")] {
        stand_in.answer(what, service("orders", revision, json!({})));
    }
    for (stand_in, revision) in [(&one, "aaa"), (&other, "bbb")] {
        let service = stand_in.client().await.service("orders").await.unwrap();
        assert_eq!(service.current.revision, revision);
    }
}

#[tokio::test]
async fn a_host_that_is_gone_is_told_with_how_to_start_it() {
    let stand_in = StandIn::start().await;
    let dir = stand_in.app_dir();
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let file = dir.path().join(".midplane/admin.json");
    let running = json!({"admin": format!("http://{address}"), "app": "shop"});
    std::fs::write(&file, running.to_string()).unwrap();
    let from = dir.path().to_str().unwrap();
    let (message, hint, exit) = refused(&stand_in, &["-f", from], None).await;
    let start = format!(
        "no host answers at http://{address}, which {} names: ",
        file.display()
    );
    assert!(message.starts_with(&start), "{message}");
    assert!(hint.contains("midplane up"), "{hint}");
    assert_eq!(exit.code(), 1);

    let empty = tempfile::tempdir().unwrap();
    let from = empty.path().to_str().unwrap();
    let (message, hint, _) = refused(&stand_in, &["-f", from], None).await;
    assert!(message.contains("no running host is known"), "{message}");
    assert!(
        hint.contains("midplane up") && hint.contains("--state-dir"),
        "{hint}"
    );
}

#[tokio::test]
async fn a_host_of_another_app_is_not_asked_for_anything() {
    let stand_in = StandIn::start().await;
    let dir = tempfile::tempdir().unwrap();
    stand_in.write_state(dir.path(), "bank");
    let from = dir.path().to_str().unwrap();
    let (message, hint, exit) = refused(&stand_in, &["-f", from], None).await;
    assert!(message.ends_with("serves `shop`, not `bank`"), "{message}");
    assert!(hint.contains("midplane up"), "{hint}");
    assert_eq!(exit, Exit::Failed);
    assert!(stand_in.asked().is_empty());
}

#[tokio::test]
async fn which_app_is_meant_must_be_clear() {
    for (apps, found) in [
        (json!(["shop", "bank"]), "serves shop, bank:"),
        (json!([]), "serves no app:"),
    ] {
        let stand_in = StandIn::start().await;
        stand_in.answer("GET /v1/apps", json!({"apps": apps}));
        let url = format!("http://{}", stand_in.address());
        // The first answer is that of every stand-in.
        stand_in.connect(&["--admin", &url], Some(TOKEN)).await.unwrap();
        let (message, ..) = refused(&stand_in, &["--admin", &url], Some(TOKEN)).await;
        assert!(message.contains(found), "{message}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_told_with_where_it_is_from() {
    let stand_in = StandIn::start().await;
    let dir = stand_in.app_dir();
    let from = dir.path().to_str().unwrap();
    let (message, hint, exit) = refused(&stand_in, &["-f", from], Some("another")).await;
    assert!(
        message.ends_with("does not take the token of MIDPLANE_ADMIN_TOKEN"),
        "{message}"
    );
    assert!(
        hint.contains("admin.token") && !message.contains("another"),
        "{hint}"
    );
    assert_eq!(exit, Exit::Failed);
    let file = dir.path().join(".midplane/admin.token");
    std::fs::write(&file, "stale").unwrap();
    let (message, ..) = refused(&stand_in, &["-f", from], None).await;
    assert!(
        message.ends_with(&format!("the token of {}", file.display())),
        "{message}"
    );
}

#[tokio::test]
async fn what_is_no_admin_api_is_told_so() {
    let path = "GET /v1/apps/shop";
    for (status, text, why) in [
        (200, "<html>", "expected value"),
        (200, "{}", "missing field"),
        (404, "Not found", "status 404 Not Found"),
        (502, "", "status 502 Bad Gateway"),
    ] {
        let stand_in = StandIn::start().await;
        stand_in.text(path, status, text);
        let (message, hint, exit) = told(stand_in.client().await.status().await.unwrap_err());
        assert!(
            message.contains("cannot be understood") && message.contains(why),
            "{message}"
        );
        assert!(!hint.is_empty());
        assert_eq!(exit, Exit::Failed);
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_the_end() {
    let stand_in = StandIn::start().await;
    let long = "a".repeat(17 * 1024 * 1024);
    stand_in.text("GET /v1/apps/shop", 200, &long);
    let (message, ..) = told(stand_in.client().await.status().await.unwrap_err());
    assert!(message.contains("more than 16777216 bytes"), "{message}");
}

#[tokio::test]
async fn a_host_that_goes_away_before_it_answers_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stand_in = StandIn::start().await;
    let options = ["--admin", url.as_str()];
    let (connected, ()) = tokio::join!(stand_in.connect(&options, Some(TOKEN)), async {
        drop(listener.accept().await.unwrap());
    });
    let (message, hint, exit) = told(connected.unwrap_err());
    assert!(message.contains("has gone away"), "{message}");
    assert!(hint.contains("midplane history"), "{hint}");
    assert_eq!(exit, Exit::Failed);
}

#[tokio::test]
async fn each_kind_of_problem_has_its_exit_code_and_the_hint_of_the_host() {
    for (kind, status, code) in [
        (json!("refused"), 422, 3),
        (json!("busy"), 409, 3),
        (json!("invalid"), 400, 1),
        (json!("not-found"), 404, 1),
        (json!("failed"), 500, 1),
        (json!("stopping"), 503, 1),
        (json!(null), 413, 1),
    ] {
        let stand_in = StandIn::start().await;
        let problem = json!({"detail": "this is why", "kind": kind, "hint": "do that"});
        stand_in.problem("GET /v1/apps/shop", status, problem);
        let told = told(stand_in.client().await.status().await.unwrap_err());
        assert_eq!((told.0.as_str(), told.1.as_str()), ("this is why", "do that"));
        assert_eq!(told.2.code(), code, "{kind}");
    }
    let stand_in = StandIn::start().await;
    stand_in.problem("GET /v1/apps/shop", 400, json!({"detail": ""}));
    let (message, hint, _) = told(stand_in.client().await.status().await.unwrap_err());
    assert_eq!((message.as_str(), hint.as_str()), ("A title (400)", ""));
}

#[tokio::test]
async fn requests_have_a_host_and_the_token_and_changes_have_who_asks() {
    let stand_in = StandIn::start().await;
    let mut client: Client = stand_in.client().await;
    client.act_as("ada@desk");
    stand_in.answer("PUT /v1/apps/shop/components", json!({"component": "sha256:00"}));
    client.upload(b"\0asm"[..].into()).await.unwrap();
    let asked = stand_in.asked_for("PUT /v1/apps/shop/components");
    assert_eq!(asked.body, b"\0asm");
    assert_eq!(asked.headers["content-type"], "application/wasm");
    assert_eq!(asked.headers["host"], stand_in.address());
    assert_eq!(asked.headers["content-length"], "4");
    let events = "GET /v1/apps/shop/events";
    stand_in.events(&[json!({"event": "published", "service": "orders"})]);
    let mut seen = client.events().await.unwrap();
    assert_eq!(
        seen.next().await.unwrap().map(|event| (event.id, event.event)),
        Some((1, "published".to_owned()))
    );
    assert_eq!(stand_in.asked_for(events).headers["accept"], "text/event-stream");
}
