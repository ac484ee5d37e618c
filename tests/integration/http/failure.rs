//! Guests that fail: what the client learns, and that nobody else is hurt.

use http::Request;

use super::{GUESTS, assert_problem, guests};
use crate::harness::{Answer, Protocol, empty, raw, streamed};

#[tokio::test]
async fn a_failure_before_the_head_is_a_500_that_tells_nothing_of_the_guest() {
    let host = guests().await;
    let behaviours = [
        "trap-before-head",
        "panic?message=the-inner-secret",
        "deep-recursion",
        "error",
    ];
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            for behaviour in behaviours {
                let answer = connection.get(&format!("/{guest}/{behaviour}")).await;
                assert_problem(&answer, 500);
                for secret in [
                    "the-inner-secret",
                    "the fixture gives up",
                    "unreachable",
                    "wasm",
                    ".rs",
                ] {
                    assert!(
                        !answer.text().contains(secret),
                        "{secret} leaks: {}",
                        answer.text()
                    );
                }
            }
            assert_eq!(connection.get(&format!("/{guest}/hello")).await.text(), "hello\n");
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn a_guest_that_returns_without_a_response_is_a_500() {
    let host = guests().await;
    assert_problem(&host.get("/p2/no-outparam").await, 500);
}

#[tokio::test]
async fn a_trap_after_the_head_cuts_the_body() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            // The guest sends a head and a chunk, reads what it is sent to the end, and traps.
            let (sender, body) = streamed();
            let request = Request::post(format!("/{guest}/trap-after-head"))
                .body(body)
                .unwrap();
            let response = connection.send(request).await.unwrap();
            assert_eq!(response.status(), 200);
            drop(sender);
            let read = Answer::read(response).await;
            assert!(
                read.is_err(),
                "{guest} over {protocol:?}: the client takes the body for whole: {read:?}"
            );
        }
        assert_eq!(host.get(&format!("/{guest}/hello")).await.text(), "hello\n");
    }
    host.stop().await;
}

/// Whether the head has gone out by then is the host's choice; a whole response it is not.
#[tokio::test]
async fn a_trap_right_after_the_head_is_a_500_or_a_cut() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let request = Request::get(format!("/{guest}/trap-after-head"));
            match connection.exchange(request.body(empty()).unwrap()).await {
                Ok(answer) => assert_problem(&answer, 500),
                Err(cut) => assert!(!cut.is_timeout(), "{guest} over {protocol:?}: {cut:?}"),
            }
        }
        assert_eq!(host.get(&format!("/{guest}/hello")).await.text(), "hello\n");
    }
}

#[tokio::test]
async fn a_stream_that_fails_on_http_2_leaves_its_siblings_alone() {
    let host = guests().await;
    let connection = host.connect(Protocol::Http2).await;
    for guest in GUESTS {
        let (sender, body) = streamed();
        assert!(sender.data("before, ").await);
        let request = Request::post(format!("/{guest}/echo")).body(body).unwrap();
        let sibling = connection.send(request).await.unwrap();
        let (failing, body) = streamed();
        let request = Request::post(format!("/{guest}/trap-after-head"))
            .body(body)
            .unwrap();
        let response = connection.send(request).await.unwrap();
        drop(failing);
        let cut = Answer::read(response).await;
        assert!(cut.is_err(), "{guest}: {cut:?}");
        assert!(sender.data("after").await);
        drop(sender);
        assert_eq!(Answer::read(sibling).await.unwrap().text(), "before, after");
    }
}

#[tokio::test]
async fn a_body_shorter_than_promised_is_never_taken_for_whole() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let request = Request::get(format!("/{guest}/short-body"))
                .body(empty())
                .unwrap();
            let answer = connection.exchange(request).await;
            let noticed = answer.as_ref().is_ok_and(|answer| answer.status == 500) || answer.is_err();
            assert!(noticed, "{guest} over {protocol:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_informational_status_is_no_response() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            for status in [100, 101, 103] {
                assert_problem(&connection.get(&format!("/{guest}/status/{status}")).await, 500);
            }
            assert_eq!(connection.get(&format!("/{guest}/hello")).await.text(), "hello\n");
        }
    }
}

#[tokio::test]
async fn a_body_that_the_client_breaks_is_a_400() {
    let host = guests().await;
    for guest in GUESTS {
        let request = format!(
            "POST /{guest}/upload-count HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\
             connection: close\r\n\r\n4\r\nbody\r\nno-size\r\n"
        );
        let answer = raw(host.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{guest}: {answer}");
        assert!(answer.contains("application/problem+json"), "{guest}: {answer}");
    }
    // It is the client's failure and nobody else's.
    let lines = host.stop().await;
    assert!(
        lines.iter().all(|line| line.field("kind").is_empty()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_guest_that_never_answers_is_ended() {
    let host = guests().await;
    let (wait_2, wait_3, loop_2, loop_3) = tokio::join!(
        host.get("/p2/never-responds"),
        host.get("/p3/never-responds"),
        host.get("/p2/infinite-loop"),
        host.get("/p3/infinite-loop"),
    );
    for (answer, status, kind) in [
        (wait_2, 504, "timeout"),
        (wait_3, 504, "timeout"),
        (loop_2, 500, "cpu-time"),
        (loop_3, 500, "cpu-time"),
    ] {
        assert_problem(&answer, status);
        let id = answer.json()["request_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let line = host
            .wait_for_log("the failure", |line| line.field("request_id") == id)
            .await;
        assert_eq!(line.field("kind"), kind, "{}", line.text());
    }
    for guest in GUESTS {
        assert_eq!(host.get(&format!("/{guest}/hello")).await.text(), "hello\n");
    }
    host.stop().await;
}
