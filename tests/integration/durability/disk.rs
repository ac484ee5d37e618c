//! A full disk: what changes nothing goes on, what needs room says that there is none, and nothing is damaged. What guests see of
//! it is in `capability/disk.rs`.

use http::{Request, StatusCode};
use midplane_crash::database::{self, Database};
use midplane_storm::stamp;
use serde_json::{Value, json};

use crate::harness::{Answer, Builder, TestHost, empty, fixture, full};

/// The component of the fixture `swap` with a name on it.
fn revision(name: &str) -> Vec<u8> {
    let bytes = std::fs::read(fixture("swap")).expect("the fixture is built");
    let bytes = stamp::stripped(&bytes).expect("the fixture is a component");
    stamp::overwritten(&bytes, b"swap-stamp:", &format!("good_:{name:_<16}"))
        .expect("the fixture has a stamp")
}

fn app() -> Builder {
    TestHost::builder()
        .file("first.wasm", revision("first"))
        .tables("[component.a]\nsource = \"first.wasm\"\nkey_value_stores = [\"default\"]")
        .route("/a/...", "a")
}

async fn upload(host: &TestHost, name: &str) -> Answer {
    let request = Request::put("/v1/apps/test/components").header("content-type", "application/wasm");
    host.admin_request(request, full(revision(name))).await
}

async fn deploy(host: &TestHost, component: &Value) -> Answer {
    let request = Request::post("/v1/apps/test/deploy").header("content-type", "application/json");
    let body = json!({ "services": { "a": { "component": component } } });
    host.admin_request(request, full(body.to_string())).await
}

async fn served(host: &TestHost) -> String {
    host.get("/a/").await.text().trim().to_owned()
}

/// The journal of a host that runs and has nothing to do, by another SQLite.
fn journal_is_whole(host: &TestHost, builder: &Builder) {
    let state = host.seen(&builder.folder().join("disk/state"));
    let journal = Database::copied(&database::journal(&state), builder.folder()).expect("it can be copied");
    journal
        .expect("the journal is there")
        .check()
        .expect("the journal is whole");
}

#[tokio::test]
async fn a_deploy_that_finds_the_disk_full_changes_nothing() {
    let builder = app().small_disk(24 * 1024);
    let host = builder.start().await;
    let mut components = Vec::new();
    for name in ["second", "third"] {
        let answer = upload(&host, name).await;
        assert!(answer.status.is_success(), "{answer:?}");
        components.push((name, answer.json()["component"].clone()));
    }
    host.fill_disk();

    // There is no room for a component.
    let refused = upload(&host, "fourth").await;
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR, "{refused:?}");
    assert!(refused.text().contains("No space left on device"), "{refused:?}");
    assert_eq!(served(&host).await, "first");

    // Nor, sooner or later, for what the journal says of a deploy.
    let mut expected = "first";
    let mut refused = None;
    for (name, component) in components.iter().cycle().take(200) {
        let answer = deploy(&host, component).await;
        if !answer.status.is_success() {
            refused = Some(answer);
            break;
        }
        expected = name;
        assert_eq!(served(&host).await, expected);
    }
    let refused = refused.expect("the journal cannot grow on a full disk");
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR, "{refused:?}");
    assert!(refused.text().contains("the disk is full"), "{refused:?}");
    assert_eq!(served(&host).await, expected);
    journal_is_whole(&host, &builder);

    // With room, the same host goes on.
    host.free_disk();
    for (name, component) in &components {
        let answer = deploy(&host, component).await;
        assert!(answer.status.is_success(), "{answer:?}");
        assert_eq!(served(&host).await, *name);
    }
    let answer = upload(&host, "fourth").await;
    assert!(answer.status.is_success(), "{answer:?}");
    let history = host.admin_get("/v1/apps/test/history").await;
    assert_eq!(history.status, StatusCode::OK, "{history:?}");
    journal_is_whole(&host, &builder);
    host.stop().await;
}

#[tokio::test]
async fn a_start_on_a_full_disk_says_so_and_leaves_everything_as_it_was() {
    let builder = app();
    let host = builder.start().await;
    let answer = host.get("/a/key-value/set?key=k&value=kept").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let answer = upload(&host, "second").await;
    let answer = deploy(&host, &answer.json()["component"]).await;
    assert!(answer.status.is_success(), "{answer:?}");
    // The write-ahead logs go with it: whoever opens a database has to make them, and there is no room for that.
    host.stop().await;

    let state = builder.folder().join("state");
    let builder = builder.full_disk_at_first(48 * 1024, &state);
    let host = builder.start().await;
    let ended = host
        .wait_for_log("the end of the first start", |line| {
            !line.field("ended_with").is_empty()
        })
        .await;
    assert_eq!(ended.field("ended_with"), "1", "{}", host.log_text());
    let said = host.log_text();
    assert!(
        said.contains("journal.db cannot be opened, for the disk is full"),
        "{said}"
    );
    assert!(said.contains("hint:") && !said.contains("panicked"), "{said}");

    // The second start found room.
    assert_eq!(served(&host).await, "second");
    let answer = host.get("/a/key-value/get?key=k").await;
    assert!(answer.text().contains("kept"), "{answer:?}");
    journal_is_whole(&host, &builder);
    let answer = host
        .admin_request(Request::get("/v1/apps/test/history"), empty())
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    host.stop().await;
}
