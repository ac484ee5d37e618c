//! From a path to a service, as Spin does it.

use http::Request;

use super::assert_problem;
use crate::harness::{Protocol, TestHost, empty, eventually};

#[tokio::test]
async fn exact_beats_wildcard_and_the_longest_prefix_wins() {
    let host = TestHost::builder()
        .service("exact", "http-p2")
        .service("parameter", "http-p2")
        .service("inner", "http-p3")
        .service("outer", "http-p2")
        .route("/...", "outer")
        .route("/a/...", "inner")
        .route("/a/:name", "parameter")
        .route("/a/headers", "exact")
        .arg("--access-log")
        .start()
        .await;
    let cases = [
        ("/a/headers", "exact"),
        ("/a/hello", "parameter"),
        ("/a/status/204", "inner"),
        ("/a", "inner"),
        ("/a/", "inner"),
        ("/hello", "outer"),
        ("/abc", "outer"),
        ("/", "outer"),
    ];
    for (path, service) in cases {
        host.get(path).await;
        let line = host
            .wait_for_log("the access log", |line| line.field("path") == path)
            .await;
        assert_eq!(line.field("service"), service, "{path}");
    }
}

#[tokio::test]
async fn a_path_without_a_route_is_a_404() {
    let host = TestHost::builder()
        .service("p2", "http-p2")
        .route("/hello", "p2")
        .start()
        .await;
    for protocol in Protocol::ALL {
        let connection = host.connect(protocol).await;
        for path in ["/", "/hell", "/hello/more", "/Hello", "/.well-known/spin/secret"] {
            assert_problem(&connection.get(path).await, 404);
        }
        assert_eq!(connection.get("/hello").await.status, 200);
        assert_eq!(
            connection.get("/hello/").await.status,
            200,
            "a trailing slash makes no difference"
        );
    }
}

#[tokio::test]
async fn of_equal_routes_the_last_wins_and_the_host_warns() {
    let host = TestHost::builder()
        .service("first", "hello-p2")
        .service("last", "http-p2")
        .route("/hello", "first")
        .route("/hello", "last")
        .start()
        .await;
    assert_eq!(
        host.get("/hello").await.text(),
        "hello\n",
        "the fixture of `last` ends with a line feed"
    );
    let warning = host
        .wait_for_log("a warning", |line| {
            line.field("level").eq_ignore_ascii_case("warn")
        })
        .await;
    for word in ["/hello", "spin.toml:7", "line 11", "last wins"] {
        assert!(warning.text().contains(word), "no {word} in {}", warning.text());
    }
}

#[tokio::test]
async fn a_private_service_has_no_path() {
    let host = TestHost::builder()
        .service("open", "http-p2")
        .service("inner", "http-p2")
        .route("/open/...", "open")
        .tables("[[trigger.http]]\nroute = { private = true }\ncomponent = \"inner\"")
        .start()
        .await;
    assert_eq!(host.get("/open/hello").await.status, 200);
    assert_problem(&host.get("/inner/hello").await, 404);
}

#[tokio::test]
async fn static_responses_need_no_guest() {
    let host = TestHost::builder()
        .service("p2", "http-p2")
        .route("/p2/...", "p2")
        .tables(
            "[[trigger.http]]\nroute = \"/robots.txt\"\n\
             static_response = { status_code = 203, headers = { x-robots = \"none\" }, body = \"Disallow: /\" }\n\n\
             [[trigger.http]]\nroute = \"/old\"\n\
             static_response = { status_code = 302, headers = { location = \"/new\" } }",
        )
        .start()
        .await;
    for protocol in Protocol::ALL {
        let connection = host.connect(protocol).await;
        let answer = connection.get("/robots.txt").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (203, "Disallow: /")
        );
        assert_eq!(
            (answer.header("x-robots"), answer.header("content-length")),
            ("none", "11")
        );
        let answer = connection.get("/old").await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (302, "/new"));
        let head = Request::head("/robots.txt").body(empty()).unwrap();
        let answer = connection.exchange(head).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (203, 0));
    }
}

#[tokio::test]
async fn health_and_info_come_before_every_route() {
    let host = TestHost::builder()
        .service("p2", "http-p2")
        .route("/...", "p2")
        .start()
        .await;
    let health = host.get("/.well-known/spin/health").await;
    assert_eq!((health.status.as_u16(), health.text().as_str()), (200, "OK"));
    let info = host.get("/.well-known/spin/info").await.json();
    assert_eq!(
        (&info["name"], &info["version"]),
        (&"test".into(), &"1.2.3".into())
    );
    assert_problem(&host.get("/.well-known/spin/hello").await, 404);
    assert_eq!(host.get("/hello").await.text(), "hello\n");
}

#[tokio::test]
async fn a_service_reaches_another_in_process_where_it_may() {
    let host = TestHost::builder()
        .service("caller", "chain-caller")
        .grant("allowed_outbound_hosts = [\"http://inner.spin.internal\"]")
        .service("inner", "http-p2")
        .service("other", "http-p3")
        .route("/caller/...", "caller")
        .tables("[[trigger.http]]\nroute = { private = true }\ncomponent = \"inner\"")
        .tables("[[trigger.http]]\nroute = { private = true }\ncomponent = \"other\"")
        .start()
        .await;
    let answer = host.get("/caller/call/inner/hello").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "hello\n"));
    assert_eq!(host.get("/caller/call/inner/status/418").await.status, 418);

    for refused in ["other", "nobody"] {
        let answer = host.get(&format!("/caller/call/{refused}/hello")).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(answer.text().contains("HttpRequestDenied"), "{answer:?}");
    }
    let trapped = host.get("/caller/call/inner/trap-before-head").await;
    assert!(trapped.status.is_server_error(), "{trapped:?}");
}

#[tokio::test]
async fn a_service_that_calls_itself_without_end_is_stopped_and_the_host_serves_on() {
    let host = TestHost::builder()
        .service("caller", "chain-caller")
        .grant("allowed_outbound_hosts = [\"http://*.spin.internal\"]")
        .service("other", "http-p2")
        .route("/caller/...", "caller")
        .route("/other/...", "other")
        .start()
        .await;
    for protocol in Protocol::ALL {
        let connection = host.connect(protocol).await;
        let answer = connection.get("/caller/loop/caller").await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(answer.text().contains("LoopDetected"), "{answer:?}");
        assert_eq!(connection.get("/other/hello").await.text(), "hello\n");
        let answer = connection.get("/caller/call/other/hello").await;
        assert_eq!(answer.text(), "hello\n", "{answer:?}");
    }
    let label = ["service=\"caller\""];
    eventually("every instance of the chain to go", async || {
        host.metric("midplane_requests_in_flight", &label).await == Some(0.0)
    })
    .await;
    host.stop().await;
}

#[tokio::test]
async fn an_internal_name_means_nothing_from_outside() {
    let host = TestHost::builder()
        .service("open", "http-p2")
        .service("inner", "http-p2")
        .route("/open/...", "open")
        .tables("[[trigger.http]]\nroute = { private = true }\ncomponent = \"inner\"")
        .start()
        .await;
    for protocol in Protocol::ALL {
        let connection = host.connect(protocol).await;
        let request = Request::get("/hello")
            .header("host", "inner.spin.internal")
            .body(empty())
            .unwrap();
        assert_problem(&connection.exchange(request).await.unwrap(), 404);
        let request = Request::get("/open/headers")
            .header("host", "inner.spin.internal")
            .body(empty())
            .unwrap();
        let answer = connection.exchange(request).await.unwrap();
        assert!(!answer.text().contains("spin.internal"), "{}", answer.text());
    }
}
