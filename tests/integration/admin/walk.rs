//! What an operator does with the API, from the first look to the last change.

use std::fs;
use std::time::Duration;

use http::{Method, StatusCode};
use midplane_storm::stamp::{Condition, stamped, stripped};
use serde_json::{Value, json};

use super::api::Api;
use super::*;
use crate::harness::{fixture, soon};

const APP: &str = "/v1/apps/test";
const BACK: &str = "/v1/apps/test/services/back";
const WASM: &str = "application/wasm";

const MANIFEST: &str = r#"spin_manifest_version = 2

[application]
name = "test"

[[trigger.http]]
route = "/front/..."
component = "front"

[component.front]
source = "front.wasm"

[component.back]
source = "back.wasm"
"#;

/// A fixture of the swap storm with a number on it.
fn revision(name: &str, number: u32) -> Vec<u8> {
    let component = fs::read(fixture(name)).expect("the fixture is built");
    let component = stripped(&component).expect("the fixture is a component");
    stamped(&component, Condition::Good, number).expect("the fixture has a stamp")
}

fn back(number: u32) -> Vec<u8> {
    revision("storm-back-p3", number)
}

/// An app of two services: `front` has the route, and asks `back` for its number.
struct Shown {
    host: TestHost,
    api: Api,
    folder: std::path::PathBuf,
}

impl Shown {
    async fn start() -> Self {
        let builder = TestHost::builder()
            .manifest(MANIFEST)
            .file("front.wasm", revision("storm-front-p3", 1))
            .file("back.wasm", back(1));
        let host = builder.start().await;
        let folder = builder.folder().to_owned();
        Self {
            api: Api::of(&host, &folder.join("state")).await,
            host,
            folder,
        }
    }

    /// The number of the revision of `back` that a request meets.
    async fn number(&self) -> String {
        let answer = self.host.get("/front/link").await.text();
        answer.split_whitespace().last().unwrap_or_default().to_owned()
    }

    /// The current revision of `back`.
    async fn current(&self) -> String {
        text(&self.api.read(BACK).await["current"]["revision"])
    }
}

fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => panic!("{value} is no text"),
    }
}

/// Every operation of the document is asked for here, and goes well.
#[tokio::test]
async fn an_operator_looks_deploys_rolls_back_and_shifts_requests() {
    let shown = Shown::start().await;
    let api = &shown.api;

    // What is served.
    assert_eq!(api.read("/v1/apps").await, json!({ "apps": ["test"] }));
    let app = api.read(APP).await;
    assert_eq!(
        (&app["app"], &app["url"]),
        (&json!("test"), &shown.host.announcement["base_url"])
    );
    let services = api.read(&format!("{APP}/services")).await;
    assert_eq!(services["services"], app["services"]);
    let names: Vec<String> = services["services"]
        .as_array()
        .expect("it is a list")
        .iter()
        .map(|service| text(&service["service"]))
        .collect();
    assert_eq!(names, ["back", "front"]);
    let routes = api.read(&format!("{APP}/routes")).await;
    assert_eq!(
        routes["routes"],
        json!([{ "route": "/front/...", "service": "front" }])
    );
    let links = api.read(&format!("{APP}/links")).await;
    let link = &links["links"][0];
    assert_eq!(
        (&link["caller"], &link["callee"], &link["import"]),
        (
            &json!("front"),
            &json!("back"),
            &json!("storm:contract/waiting@1.0.0")
        )
    );
    let first = shown.current().await;
    assert_eq!(shown.number().await, "1");

    // An upload, and a deploy of it.
    let stored = api
        .send(Method::PUT, &format!("{APP}/components"), WASM, back(2))
        .await;
    assert_eq!(stored.status, StatusCode::CREATED, "{stored:?}");
    let again = api
        .send(Method::POST, &format!("{APP}/components"), WASM, back(2))
        .await;
    assert_eq!(again.json(), stored.json());
    assert_eq!(shown.number().await, "1", "nothing is served by being stored");
    let deploy = json!({ "services": { "back": { "component": stored.json()["component"] } } });
    let published = api.change(&format!("{APP}/deploy"), &deploy).await;
    assert_eq!(published["outcome"], "published");
    assert_eq!(published["changes"][0]["from"], json!(first));
    let second = shown.current().await;
    assert_eq!(published["changes"][0]["to"], json!(second));
    assert_eq!(
        published["generation"],
        json!(app["generation"].as_u64().map(|number| number + 1))
    );
    assert_eq!(shown.number().await, "2");
    let unchanged = api.change(&format!("{APP}/deploy"), &deploy).await;
    assert_eq!(unchanged["outcome"], "unchanged");
    assert_eq!(unchanged["generation"], published["generation"]);

    // Of one service: by its bytes, and by a file.
    let one = format!("{BACK}/deploy");
    let sent = api.send(Method::POST, &one, WASM, back(3)).await;
    assert_eq!(sent.status, StatusCode::OK, "{sent:?}");
    assert_eq!(shown.number().await, "3");
    let file = shown.folder.join("fourth.wasm");
    fs::write(&file, back(4)).expect("the folder is ours");
    api.change(&one, &json!({ "path": file })).await;
    assert_eq!(shown.number().await, "4");
    assert_eq!(
        api.change(&format!("{BACK}/drain"), &json!({})).await["interrupted"],
        0
    );

    // What was published, and what is in the journal.
    let revisions = api.read(&format!("{BACK}/revisions")).await;
    let revisions: Vec<String> = revisions["revisions"]
        .as_array()
        .expect("it is a list")
        .iter()
        .map(|revision| text(&revision["revision"]))
        .collect();
    assert_eq!(revisions.len(), 4, "{revisions:?}");
    assert_eq!(
        (&revisions[0], &revisions[2], &revisions[3]),
        (&shown.current().await, &second, &first)
    );
    // An entry says how its replaced revision ended as soon as that is known: once all do, nothing changes any more.
    let history = settled(api).await;
    let entries = history["entries"].as_array().expect("it is a list");
    let actions: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert_eq!(actions, ["deploy", "deploy", "deploy", "start"]);
    // Page by page it is the same.
    let mut paged = Vec::new();
    let mut page = api.read(&format!("{APP}/history?limit=1")).await;
    loop {
        paged.extend(page["entries"].as_array().expect("it is a list").clone());
        let Some(next) = page["next"].as_u64() else { break };
        page = api.read(&format!("{APP}/history?limit=1&before={next}")).await;
    }
    assert_eq!(&paged, entries);
    let of_back = api.read(&format!("{BACK}/history")).await;
    assert_eq!(of_back["entries"], history["entries"]);

    // Back, and further back.
    let back_one = api.change(&format!("{BACK}/rollback"), &json!({})).await;
    assert_eq!(back_one["changes"][0]["to"], json!(revisions[1]));
    assert_eq!(shown.number().await, "3");
    api.change(&format!("{BACK}/rollback"), &json!({ "revision": first }))
        .await;
    assert_eq!(
        (shown.number().await, shown.current().await),
        ("1".to_owned(), first.clone())
    );

    // A share of requests, more of them, all of them; and another one that is taken back.
    let canary = json!({ "path": file, "canary": { "weight": "10%", "sticky": "header:x-user" } });
    api.change(&one, &canary).await;
    let candidate = api.read(BACK).await["candidate"].clone();
    assert_eq!(
        (&candidate["weight"], &candidate["sticky"]),
        (&json!("10%"), &json!("header:x-user"))
    );
    api.change(&format!("{BACK}/canary"), &json!({ "weight": "60%" }))
        .await;
    assert_eq!(api.read(BACK).await["candidate"]["weight"], "60%");
    api.change(&format!("{BACK}/promote"), &json!({})).await;
    assert_eq!(shown.number().await, "4");
    assert_eq!(api.read(BACK).await.get("candidate"), None);
    let canary = json!({ "services": { "back": { "component": stored.json()["component"] } }, "canary": { "weight": "1%" } });
    api.change(&format!("{APP}/deploy"), &canary).await;
    api.change(&format!("{BACK}/abort"), &json!({})).await;
    assert_eq!(shown.number().await, "4");
    assert_eq!(api.read(BACK).await.get("candidate"), None);

    // Another manifest: planned, and put in force.
    let manifest = shown.folder.join("spin.toml");
    let more = MANIFEST.replace("\"/front/...\"", "\"/other/...\"");
    fs::write(&manifest, more).expect("the folder is ours");
    let planned = api
        .change(
            &format!("{APP}/apply"),
            &json!({ "manifest": manifest, "dry_run": true }),
        )
        .await;
    assert_eq!(planned["outcome"], "planned");
    assert_eq!(shown.host.get("/front/").await.status, StatusCode::OK);
    let applied = api
        .change(&format!("{APP}/apply"), &json!({ "manifest": manifest }))
        .await;
    assert_eq!(applied["outcome"], "published");
    assert_eq!(applied["differences"], planned["differences"]);
    assert_eq!(shown.host.get("/front/").await.status, StatusCode::NOT_FOUND);
    let routes = api.read(&format!("{APP}/routes")).await;
    assert_eq!(
        routes["routes"],
        json!([{ "route": "/other/...", "service": "front" }])
    );

    streams(&shown).await;
    api.get("/v1/openapi.json").await;
    for open in ["/ready", "/metrics"] {
        assert_eq!(api.get(open).await.status, StatusCode::OK);
    }
    assert_eq!(api.done(), api.document.ids());
    shown.host.stop().await;
}

/// The history, once each deploy in it says how what it replaced has ended.
async fn settled(api: &Api) -> Value {
    soon("the replaced revisions to end", async {
        loop {
            let history = api.read(&format!("{APP}/history")).await;
            let entries = history["entries"].as_array().expect("it is a list");
            let ended = |entry: &Value| entry["action"] != "deploy" || entry["interrupted"].is_u64();
            if entries.iter().all(ended) {
                return history;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// The events so far and to come, and the lines of a service.
async fn streams(shown: &Shown) {
    let api = &shown.api;
    let mut events = api
        .stream(&format!("{APP}/events"), &[("last-event-id", "0")])
        .await;
    let mut kinds = Vec::new();
    let mut last = 0;
    while kinds.iter().filter(|kind| *kind == "published").count() < 3 {
        let line = events.line().await.expect("events have no end");
        if let Some(kind) = line.strip_prefix("event: ").or(line.strip_prefix("event:")) {
            kinds.push(kind.to_owned());
        }
        if let Some(data) = line.strip_prefix("data: ").or(line.strip_prefix("data:")) {
            let event: Value = serde_json::from_str(data).expect("it is JSON");
            assert_eq!(
                api.document.violations("Event", &event),
                Vec::<String>::new(),
                "{event}"
            );
            let id = event["id"].as_u64().expect("it is a number");
            assert!(id > last, "{id} after {last}");
            last = id;
        }
    }
    // One for each service at the start, and then the first deploy, which finds its code in the cache or does not.
    kinds.retain(|kind| kind != "compiling");
    assert_eq!(kinds, ["published", "published", "preparing", "published"]);

    let mut lines = api.stream(&format!("{BACK}/logs"), &[]).await;
    while let Some(line) = lines.line().await {
        let line: Value = serde_json::from_str(&line).expect("it is JSON");
        assert_eq!(
            api.document.violations("LogLine", &line),
            Vec::<String>::new(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_as_the_document_says() {
    let shown = Shown::start().await;
    let api = &shown.api;
    let digest = format!("sha256:{}", "0".repeat(64));
    let deploy = format!("{APP}/deploy");
    for (path, body, status) in [
        (
            deploy.as_str(),
            json!({ "services": { "nobody": { "component": digest } } }),
            404,
        ),
        (
            &deploy,
            json!({ "services": { "back": { "component": digest } } }),
            404,
        ),
        (&deploy, json!({ "services": {} }), 400),
        (
            &deploy,
            json!({ "services": { "back": { "path": "relative.wasm" } } }),
            400,
        ),
        (&deploy, json!({ "services": {}, "more": 1 }), 400),
        (&deploy, json!([]), 400),
        (
            &format!("{BACK}/rollback"),
            json!({ "revision": "ffffffffffff" }),
            404,
        ),
        (&format!("{BACK}/promote"), json!({}), 404),
        (&format!("{BACK}/canary"), json!({ "weight": "1000%" }), 400),
        ("/v1/apps/other/deploy", json!({ "services": {} }), 404),
        ("/v1/apps/test/services/nobody/rollback", json!({}), 404),
        ("/v1/apps/test/services/no%20body/rollback", json!({}), 400),
    ] {
        let answer = api.post(path, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    for path in [
        "/v1/apps/other",
        "/v1/apps/test/services/nobody",
        "/v1/apps/test/services/nobody/revisions",
    ] {
        assert_eq!(api.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(
        api.get(&format!("{APP}/history?limit=none")).await.status,
        StatusCode::BAD_REQUEST
    );

    // What is no component is refused, and so is one that breaks what its caller needs.
    let text = api
        .send(
            Method::POST,
            &format!("{BACK}/deploy"),
            WASM,
            b"no component".to_vec(),
        )
        .await;
    assert_eq!(text.status, StatusCode::UNPROCESSABLE_ENTITY, "{text:?}");
    let media = api
        .send(Method::POST, &format!("{BACK}/deploy"), "text/plain", back(2))
        .await;
    assert_eq!(media.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{media:?}");
    let breaking = fs::read(fixture("storm-back-breaking")).expect("the fixture is built");
    let refused = api
        .send(Method::POST, &format!("{BACK}/deploy"), WASM, breaking)
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
    assert_eq!(refused.json()["kind"], "refused");
    assert_eq!(shown.number().await, "1");
    let newest = api.read(&format!("{BACK}/history?limit=1")).await;
    assert_eq!(newest["entries"][0]["outcome"], "refused");
    assert_eq!(newest["entries"][0]["number"], refused.json()["entry"]);
    shown.host.stop().await;
}
