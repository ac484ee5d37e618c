//! Bodies that are too large, too slow, of another type, or too many.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::MAX_UPLOADS;
use super::MAX_COMPONENT;
use super::client::{Api, Ask, Reply};

const COMPONENTS: &str = "/v1/apps/shop/components";
const DEPLOY: &str = "/v1/apps/shop/services/catalog/deploy";
const WASM: &str = "application/wasm";

fn upload(bytes: &[u8]) -> Ask {
    Ask::new(Method::PUT, COMPONENTS).body(WASM, bytes)
}

/// Sends a head that promises a body, waits for the answer, and only then sends the body.
async fn ask_first(api: &Api, request: &Ask, length: usize) -> Reply {
    let mut stream = api.connect();
    stream.write_all(&request.head(length)).await.unwrap();
    Reply::read(&mut stream).await
}

#[tokio::test]
async fn a_component_has_at_most_so_many_bytes() {
    let api = Api::start();
    assert_eq!(api.ask(&upload(&vec![1; MAX_COMPONENT])).await.status, 201);
    assert_eq!(api.fake.calls(), [("store", json!([MAX_COMPONENT]))]);
    let told = ask_first(&api, &upload(b""), MAX_COMPONENT + 1).await;
    assert_eq!(told.status, 413, "before a byte of it is read");
    assert!(told.json()["detail"].as_str().unwrap().contains("3145728 bytes"));

    // Without a length it is seen on the way, and the answer reaches a client that goes on sending.
    let stream = api.connect();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let head = String::from_utf8(upload(b"").bytes()).unwrap();
    let head = head.replace("content-length: 0", "transfer-encoding: chunked");
    let sending = api.tasks.spawn("client", async move {
        writer.write_all(head.as_bytes()).await.unwrap();
        let chunk = [b"10000\r\n".as_slice(), &[1; 0x10000], b"\r\n"].concat();
        for _ in 0..2 * MAX_COMPONENT / 0x10000 {
            if writer.write_all(&chunk).await.is_err() {
                break;
            }
        }
        writer
    });
    let mut bytes = Vec::new();
    let _ = reader.read_to_end(&mut bytes).await;
    assert_eq!(Reply::parse(&bytes).status, 413);
    drop(sending.await);
    assert!(api.fake.calls().is_empty());
    assert_eq!(api.ask(&upload(b"")).await.status, 400, "nothing is no component");
}

#[tokio::test]
async fn json_has_at_most_a_mebibyte() {
    let api = Api::start();
    let padded = |bytes: usize| {
        let mut body = br#"{"component":"sha256:x"}"#.to_vec();
        body.resize(bytes, b' ');
        Ask::post(DEPLOY).body("application/json", &body)
    };
    assert_eq!(api.ask(&padded(1024 * 1024)).await.status, 400);
    let reply = ask_first(&api, &padded(0), 1024 * 1024 + 1).await;
    assert_eq!(reply.status, 413);
    let promote = Ask::post("/v1/apps/shop/services/catalog/promote").body("application/json", b"");
    assert_eq!(ask_first(&api, &promote, 1024 * 1024 + 1).await.status, 413);
}

#[tokio::test]
async fn bodies_of_other_types_are_refused() {
    let api = Api::start();
    for (path, of) in [
        (COMPONENTS, "application/json"),
        (COMPONENTS, "application/octet-stream"),
        (COMPONENTS, ""),
        (DEPLOY, "text/plain"),
        (DEPLOY, "application/x-www-form-urlencoded"),
        (DEPLOY, "application/jsonx"),
        ("/v1/apps/shop/deploy", WASM),
        ("/v1/apps/shop/apply", "multipart/form-data"),
        ("/v1/apps/shop/services/catalog/promote", "text/plain"),
        ("/v1/apps/shop/services/catalog/canary", "text/plain"),
    ] {
        let reply = api.ask(&Ask::post(path).body(of, b"{}")).await;
        assert_eq!(reply.status, 415, "{path} {of}");
    }
    for path in [COMPONENTS, DEPLOY, "/v1/apps/shop/services/catalog/promote"] {
        let reply = api
            .ask(&Ask::post(path).body("x", b"{}").without("content-type"))
            .await;
        assert_eq!(reply.status, 415, "{path}");
    }
    assert!(api.fake.calls().is_empty());
    for of in ["application/json; charset=utf-8", "Application/JSON"] {
        let reply = api.ask(&Ask::post(DEPLOY).body(of, b"{}")).await;
        assert_eq!(reply.status, 400, "{of} is JSON: {reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_goes_on_as_long_as_bytes_come_and_ends_when_none_does() {
    let api = Api::start();
    let mut slow = api.connect();
    slow.write_all(&upload(b"").head(8)).await.unwrap();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_secs(8)).await;
        slow.write_all(b"x").await.unwrap();
    }
    assert_eq!(Reply::read(&mut slow).await.status, 201);

    let mut silent = api.connect();
    silent.write_all(&upload(b"").head(8)).await.unwrap();
    silent.write_all(b"x").await.unwrap();
    let begun = tokio::time::Instant::now();
    let reply = Reply::read(&mut silent).await;
    assert_eq!(reply.status, 408);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(
        api.server.uploads.available_permits(),
        MAX_UPLOADS,
        "its place is free again"
    );
}

#[tokio::test(start_paused = true)]
async fn json_must_be_there_within_its_time_however_it_comes() {
    let api = Api::start();
    let mut slow = api.connect();
    slow.write_all(&Ask::post(DEPLOY).body("application/json", b"").head(8))
        .await
        .unwrap();
    let (mut reader, mut writer) = tokio::io::split(slow);
    let trickle = api.tasks.spawn("client", async move {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_secs(8)).await;
            let _ = writer.write_all(b" ").await;
        }
    });
    let mut bytes = Vec::new();
    let _ = reader.read_to_end(&mut bytes).await;
    assert_eq!(Reply::parse(&bytes).status, 408);
    let _ = trickle.await;
}

#[tokio::test]
async fn a_body_that_breaks_off_asks_for_nothing() {
    let api = Api::start();
    let mut stream = api.connect();
    stream.write_all(&upload(b"").head(8)).await.unwrap();
    stream.write_all(b"half").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || Reply::parse(&answer).status == 400);
    assert!(api.fake.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_so_many_components_are_in_memory_at_a_time() {
    let api = Api::start();
    api.fake.gate.forget_permits(usize::MAX);
    let mut first = Vec::new();
    for count in 1..=MAX_UPLOADS {
        let mut stream = api.connect();
        stream.write_all(&upload(b"\0asm").bytes()).await.unwrap();
        first.push(stream);
        while api.server.uploads.available_permits() > MAX_UPLOADS - count {
            tokio::task::yield_now().await;
        }
    }
    let mut waiting = api.connect();
    waiting.write_all(&upload(b"\0asm waits").bytes()).await.unwrap();
    let refused = Reply::read(&mut waiting).await;
    assert_eq!(refused.status, 503);
    assert!(refused.json()["detail"].as_str().unwrap().contains("uploads"));

    let mut waiting = api.connect();
    waiting.write_all(&upload(b"\0asm waits").bytes()).await.unwrap();
    api.fake.gate.add_permits(MAX_UPLOADS + 1);
    for stream in first.iter_mut().chain([&mut waiting]) {
        assert_eq!(Reply::read(stream).await.status, 201);
    }
    let stored: Vec<_> = api.fake.calls().into_iter().map(|(_, what)| what).collect();
    assert_eq!(stored, [json!([4]), json!([4]), json!([10])]);
}
