//! `request_body` and `response_body`.

use http::Request;

use super::{GUESTS, assert_logged_once, assert_problem, errors, failures, http, instances, table};
use crate::harness::{Protocol, TestHost, empty, fixture, full, raw};

#[tokio::test]
async fn a_response_that_announces_too_much_is_a_500_before_any_of_it_is_sent() {
    // The guest announces 100 bytes.
    let host = http("response_body = \"64B\"").start().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let answer = connection.get(&format!("/{guest}/short-body")).await;
            assert_problem(&answer, 500, "response-too-large");
            assert_eq!(connection.get(&format!("/{guest}/hello")).await.text(), "hello\n");
        }
        assert_eq!(errors(&host, guest, "response_too_large").await, 2.0);
    }
    host.stop().await;
}

#[tokio::test]
async fn the_length_that_a_response_without_a_body_announces_is_no_size_of_its_own() {
    let host = http("response_body = \"64B\"").start().await;
    // `content-length: 10000`, and no body.
    let ordered = "respond?header=636f6e74656e742d6c656e677468:3130303030";
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            // Of the first, a part of the body follows, which nobody gets.
            for (path, length) in [("short-body", "100"), (ordered, "10000")] {
                let request = Request::head(format!("/{guest}/{path}"));
                let answer = connection.exchange(request.body(empty()).unwrap()).await.unwrap();
                assert_eq!(answer.status, 200, "{guest} {path}: {answer:?}");
                assert_eq!(answer.header("content-length"), length, "{guest} {path}");
                assert!(answer.body.is_empty());
            }
            for status in [204, 304] {
                let path = format!("/{guest}/{ordered}&status={status}");
                let answer = connection.get(&path).await;
                assert_eq!(answer.status, status, "{path}: {answer:?}");
            }
        }
        assert_eq!(errors(&host, guest, "response_too_large").await, 0.0);
    }
    host.stop().await;
}

/// Whether the head has gone out by then is the host's choice; a whole response it is not.
#[tokio::test]
async fn a_response_whose_first_part_is_too_much_is_a_500_or_a_cut() {
    let host = http("response_body = \"1KiB\"").start().await;
    for guest in GUESTS {
        assert_eq!(host.get(&format!("/{guest}/large/1024")).await.body.len(), 1024);
        let connection = host.connect(Protocol::Http1).await;
        let request = Request::get(format!("/{guest}/large/1025"));
        match connection.exchange(request.body(empty()).unwrap()).await {
            Ok(answer) => assert_problem(&answer, 500, "response-too-large"),
            Err(cut) => assert!(!cut.is_timeout(), "{guest}: {cut:?}"),
        }
        assert_eq!(errors(&host, guest, "response_too_large").await, 1.0);
    }
    let lines = host.stop().await;
    for guest in GUESTS {
        let words = ["response_body", "1024 bytes"];
        assert_logged_once(&lines, guest, "response-too-large", &words);
    }
}

#[tokio::test]
async fn a_response_that_grows_too_large_is_cut() {
    let host = http("response_body = \"64B\"").start().await;
    for guest in GUESTS {
        let head = format!(
            "GET /{guest}/slow-stream?chunks=100&ms=1 HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
        );
        let answer = raw(host.address, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("chunk 0\n"), "{answer}");
        assert!(!answer.contains("chunk 8\n"), "{answer}");
        // Nobody takes it for whole.
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
        assert_eq!(errors(&host, guest, "response_too_large").await, 1.0);
        assert_eq!(errors(&host, guest, "cancelled").await, 0.0);
        assert_eq!(host.get(&format!("/{guest}/hello")).await.text(), "hello\n");
    }
    let lines = host.stop().await;
    for guest in GUESTS {
        assert_logged_once(
            &lines,
            guest,
            "response-too-large",
            &["response_body", "64 bytes"],
        );
    }
}

#[tokio::test]
async fn a_caller_learns_that_what_it_asked_for_is_too_large() {
    let host = TestHost::builder()
        .service("caller", "chain-caller")
        .grant("allowed_outbound_hosts = [\"http://inner.spin.internal\"]")
        .service("inner", "http-p2")
        .tables(&table("inner", "response_body = \"1KiB\""))
        .route("/caller/...", "caller")
        .tables("[[trigger.http]]\nroute = { private = true }\ncomponent = \"inner\"")
        .start()
        .await;
    let answer = host.get("/caller/call/inner/large/4096").await;
    // Before the head, which the fixture tells of; or within the body, at which it gives up.
    let before = answer.status == 502 && answer.text().contains("HttpResponseBodySize");
    let within = answer.status == 500 && answer.text().contains("urn:midplane:problem:no-response");
    assert!(before || within, "{answer:?}");
    assert_eq!(host.get("/caller/call/inner/hello").await.text(), "hello\n");
    let lines = host.stop().await;
    assert_logged_once(&lines, "inner", "response-too-large", &["caller → inner"]);
}

#[tokio::test]
async fn a_request_body_beyond_its_limit_is_a_413() {
    let host = http("request_body = \"1KiB\"").start().await;
    for guest in GUESTS {
        let path = format!("/{guest}/upload-count");
        assert_eq!(host.post(&path, full(vec![0; 1024])).await.json()["bytes"], 1024);
        let answer = host.post(&path, full(vec![0; 1025])).await;
        assert_problem(&answer, 413, "body-too-large");
        assert!(answer.text().contains("1024 bytes"), "{answer:?}");
        assert_eq!(errors(&host, guest, "body_too_large").await, 1.0);
    }
    let lines = host.stop().await;
    // The client's fault, not the guest's.
    assert!(GUESTS.iter().all(|guest| failures(&lines, guest).is_empty()));
}

#[tokio::test]
async fn the_app_has_defaults_that_a_service_overrides_key_by_key() {
    let inline = format!(
        "[[trigger.http]]\nroute = \"/inline/...\"\n\
         component = {{ source = {:?}, tool = {{ midplane = {{ limits = {{ request_body = \"3KiB\" }} }} }} }}",
        fixture("http-p2")
    );
    let host = TestHost::builder()
        .application(
            "[application.tool.midplane.limits]\nrequest_body = \"1KiB\"\nresponse_body = \"1KiB\"\n\
             [application.tool.midplane.instances]\npolicy = \"reuse\"",
        )
        .service("p2", "http-p2")
        .service("p3", "http-p3")
        .tables(&table(
            "p3",
            "request_body = \"2KiB\"\nresponse_body = \"unlimited\"",
        ))
        .tables(&instances("p3", "policy = \"fresh\""))
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .tables(&inline)
        .start()
        .await;
    for (guest, request_body, has_limit) in [("p2", 1024, true), ("p3", 2048, false), ("inline", 3072, true)]
    {
        let path = format!("/{guest}/upload-count");
        assert_eq!(host.post(&path, full(vec![0; request_body])).await.status, 200);
        let answer = host.post(&path, full(vec![0; request_body + 1])).await;
        assert_problem(&answer, 413, "body-too-large");
        let connection = host.connect(Protocol::Http1).await;
        let request = Request::get(format!("/{guest}/large/1025"));
        match connection.exchange(request.body(empty()).unwrap()).await {
            Ok(answer) if has_limit => assert_problem(&answer, 500, "response-too-large"),
            Ok(answer) => assert_eq!(answer.body.len(), 1025),
            Err(cut) => assert!(has_limit && !cut.is_timeout(), "{guest}: {cut:?}"),
        }
    }
    let seen = async |guest: &str| host.get(&format!("/{guest}/counter")).await.json()["seen"].clone();
    assert!(seen("p2").await.as_u64() < seen("p2").await.as_u64());
    assert_eq!((seen("p3").await, seen("p3").await), (1.into(), 1.into()));
    host.stop().await;
}
