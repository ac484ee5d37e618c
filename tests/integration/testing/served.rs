//! What a service is given, and how it answers requests.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{Request, StatusCode};
use midplane::model::Limits;
use midplane::testing::{Error, LogSource, Service};
use serde_json::{Value, json};

use super::{get, text};
use crate::harness::{Upstream, fixture};

async fn sql(service: &Service, statement: &str) -> Value {
    let body = json!({ "database": "default", "statements": [[statement]] }).to_string();
    let request = Request::post("/sql").body(body).expect("the request is valid");
    let response = service.request(request).await.expect("it answers");
    assert_eq!(response.status(), StatusCode::OK, "{}", text(&response));
    serde_json::from_slice(response.body()).expect("it answers JSON")
}

async fn service_with_data(component: &str) -> Service {
    Service::builder(fixture(component))
        .variable("greeting", "good day")
        .key_value("default")
        .sqlite("default")
        .start()
        .await
        .expect("it starts")
}

#[tokio::test]
async fn a_service_has_the_data_and_the_variables_that_it_is_given() {
    for component in ["data-p2", "data-p3"] {
        let service = service_with_data(component).await;
        let greeting = service
            .request(get("/variables/greeting"))
            .await
            .expect("it answers");
        assert_eq!(text(&greeting), "good day", "{component}");
        let put = Request::put("/kv/default/key")
            .body("value")
            .expect("the request is valid");
        assert_eq!(service.request(put).await.expect("it answers").status(), 204);
        assert_eq!(
            text(&service.request(get("/kv/default/key")).await.expect("it answers")),
            "value"
        );
        let refused = service.request(get("/kv/other/key")).await.expect("it answers");
        assert_eq!(refused.status(), 422, "no other store was granted");
        let denied = service
            .logs()
            .into_iter()
            .find(|line| line.source == LogSource::Host);
        let denied = denied.expect("the host says what was denied").text;
        assert!(denied.contains("key_value_stores"), "{denied}");
        sql(&service, "create table counted (n integer)").await;
        sql(&service, "insert into counted values (7)").await;
        assert!(
            sql(&service, "select n from counted")
                .await
                .to_string()
                .contains('7')
        );
    }
}

#[tokio::test]
async fn no_service_sees_the_data_of_another_and_none_is_left() {
    let one = service_with_data("data-p3").await;
    let other = service_with_data("data-p3").await;
    sql(&one, "create table mine (n integer)").await;
    let tables = sql(&other, "select name from sqlite_schema where name = 'mine'").await;
    assert!(!tables.to_string().contains("mine"), "{tables}");
    let file = one.sqlite_file("default").expect("it was granted").to_owned();
    assert!(file.is_file());
    assert_eq!(one.sqlite_file("other"), None);
    drop(one);
    assert!(!file.exists(), "{} is left", file.display());
}

#[tokio::test]
async fn a_route_gives_the_guest_the_headers_of_the_gateway() {
    // The fixture goes by `spin-path-info`, which is what the wildcard stands for.
    let service = Service::builder(fixture("data-p3"))
        .name("greeter")
        .route("/app/:tenant/...")
        .variable("greeting", "good day")
        .start()
        .await
        .expect("it starts");
    let answer = service.request(get("/app/mine/variables/greeting")).await;
    assert_eq!(text(&answer.expect("it answers")), "good day");
    let elsewhere = service
        .request(get("/elsewhere"))
        .await
        .expect_err("there is no route");
    assert!(
        format!("{elsewhere:?}").contains("no route matches"),
        "{elsewhere:?}"
    );
}

#[tokio::test]
async fn a_failure_says_what_the_guest_said_and_the_next_request_is_served() {
    for component in ["http-p2", "http-p3"] {
        let service = Service::builder(fixture(component))
            .start()
            .await
            .expect("it starts");
        let failed = service
            .request(get("/panic?message=out+of+luck"))
            .await
            .expect_err("it panics");
        let shown = format!("{failed:?}");
        assert!(matches!(failed, Error::Request { .. }), "{shown}");
        assert!(
            shown.contains("out of luck") || shown.contains("out+of+luck"),
            "{shown}"
        );
        assert!(
            shown.contains("outermost_frame_of_the_panic"),
            "no backtrace: {shown}"
        );
        assert!(
            service
                .logs()
                .iter()
                .any(|line| line.source == LogSource::Failure),
            "{:?}",
            service.logs()
        );
        let served = service
            .request(get("/hello"))
            .await
            .expect("a new instance serves");
        assert_eq!(text(&served), "hello\n");
    }
}

#[tokio::test]
async fn what_a_guest_prints_is_kept() {
    let service = Service::builder(fixture("http-p3"))
        .start()
        .await
        .expect("it starts");
    service
        .request(get("/stdout?text=a+line"))
        .await
        .expect("it answers");
    let lines: Vec<String> = service.logs().iter().map(ToString::to_string).collect();
    assert!(
        lines.iter().any(|line| line.starts_with("stdout: a")),
        "{lines:?}"
    );
    assert!(lines.contains(&"stderr: first on stderr".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn a_service_has_its_environment_and_its_files_and_changes_neither() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join("page.txt"), "a page").expect("the folder is writable");
    let service = Service::builder(fixture("http-p2"))
        .environment("MODE", "test")
        .files(folder.path())
        .start()
        .await
        .expect("it starts");
    let environment = service.request(get("/env")).await.expect("it answers");
    assert!(
        text(&environment).contains("\"MODE\":\"test\""),
        "{}",
        text(&environment)
    );
    let page = service.request(get("/files?op=read&path=/page.txt")).await;
    assert_eq!(text(&page.expect("it answers")), "a page");
    let written = service.request(get("/files?op=write&path=/page.txt")).await;
    assert_eq!(written.expect("it answers").status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn requests_go_out_to_where_they_may_and_nowhere_else() {
    let upstream = Upstream::start().await;
    for component in ["http-p2", "http-p3"] {
        let service = Service::builder(fixture(component))
            .allow_outbound(upstream.url(""))
            .start()
            .await
            .expect("it starts");
        let answer = service
            .request(get(&format!("/outbound?url={}", upstream.url("/"))))
            .await;
        let answer = text(&answer.expect("it answers"));
        assert!(answer.contains("the upstream"), "{answer}");
        let denied = service.request(get("/outbound?url=http://127.0.0.1:1/")).await;
        let denied = text(&denied.expect("it answers"));
        assert!(!denied.contains("the upstream"), "{denied}");
        let closed = Service::builder(fixture(component))
            .start()
            .await
            .expect("it starts");
        let denied = closed
            .request(get(&format!("/outbound?url={}", upstream.url("/"))))
            .await;
        assert!(!text(&denied.expect("it answers")).contains("the upstream"));
        let logs = closed.logs();
        assert!(
            logs.iter()
                .any(|line| line.text.contains("allowed_outbound_hosts")),
            "{logs:?}"
        );
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn the_limits_are_those_that_were_given() {
    let limits = Limits {
        timeout: Duration::from_millis(50),
        request_body: 10,
        ..Limits::default()
    };
    let service = Service::builder(fixture("http-p2"))
        .limits(limits)
        .start()
        .await
        .expect("it starts");
    let slow = service
        .request(get("/infinite-loop"))
        .await
        .expect_err("it loops");
    assert!(
        format!("{slow:?}").contains("no response within 50ms"),
        "{slow:?}"
    );
    let long = Request::post("/hello")
        .body("eleven byte")
        .expect("the request is valid");
    let long = service.request(long).await.expect_err("it is too long");
    assert!(format!("{long:?}").contains("exceeds 10 bytes"), "{long:?}");

    let beyond = Limits {
        instance_memory: 1 << 40,
        ..Limits::default()
    };
    let refused = Service::builder(fixture("http-p2")).limits(beyond).start().await;
    assert!(
        matches!(
            refused,
            Err(Error::Limit {
                limit: "instance_memory",
                ..
            })
        ),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_one_process_work_at_the_same_time() {
    // Each with more requests than places, so that some wait.
    let services = (0..8).map(|_| async {
        let limits = Limits {
            concurrency: NonZeroU32::MIN,
            ..Limits::default()
        };
        let builder = Service::builder(fixture("hello-p3")).limits(limits);
        let service = builder.start().await.expect("it starts");
        let (one, other) = tokio::join!(service.request(get("/")), service.request(get("/")));
        assert_eq!(one.expect("it answers").status(), 200);
        assert_eq!(other.expect("it answers").status(), 200);
    });
    let running: Vec<_> = services.map(tokio::spawn).collect();
    for service in running {
        service.await.expect("no task panics");
    }
}

#[test]
fn each_test_may_have_a_runtime_of_its_own() {
    let serve = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("there is a runtime");
        runtime.block_on(async {
            let service = Service::builder(fixture("hello-p3"))
                .start()
                .await
                .expect("it starts");
            assert_eq!(service.request(get("/")).await.expect("it answers").status(), 200);
        });
    };
    serve();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(serve);
        }
    });
}

#[tokio::test]
async fn what_is_wrong_is_told_at_the_start() {
    let missing = Service::builder("no/such/file.wasm").start().await;
    assert!(matches!(missing, Err(Error::Read { .. })), "{missing:?}");
    let text = Service::builder(b"#!/bin/sh\n".as_slice()).start().await;
    assert!(format!("{text:?}").contains("it is not WebAssembly"), "{text:?}");
    let hello = || Service::builder(fixture("hello-p2"));
    for (refused, says) in [
        (
            hello().name("Not A Name").start().await,
            "`Not A Name` is no name",
        ),
        (
            hello().route("elsewhere").start().await,
            "`elsewhere` is no route",
        ),
        (hello().sqlite("").start().await, "`` is no name"),
        (
            hello().variable("Not-A-Name", "x").start().await,
            "`Not-A-Name` is no name",
        ),
        (
            hello().allow_outbound("ftp//x").start().await,
            "an allowed outbound host is wrong",
        ),
    ] {
        let shown = format!("{:?}", refused.expect_err(says));
        assert!(shown.contains(says), "{shown}");
        assert!(shown.contains("caused by: "), "{shown}");
    }
}
