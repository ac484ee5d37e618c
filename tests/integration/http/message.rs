//! Whole requests and responses.

use http::Request;

use super::{GUESTS, guests};
use crate::harness::{Protocol, TestHost, empty, full};

#[tokio::test]
async fn the_smallest_guests_say_hello() {
    let host = TestHost::builder()
        .service("p2", "hello-p2")
        .service("p3", "hello-p3")
        .route("/p2", "p2")
        .route("/p3", "p3")
        .start()
        .await;
    for path in ["/p2", "/p3"] {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            for _ in 0..3 {
                let answer = connection.get(path).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.text().as_str()),
                    (200, "Hello, world!"),
                    "{path}"
                );
            }
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn every_method_and_status_passes_through() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
                let request = Request::builder().method(method).uri(format!("/{guest}/headers"));
                let answer = connection.exchange(request.body(empty()).unwrap()).await.unwrap();
                assert_eq!(answer.json()["method"], method);
            }
            for status in [200, 201, 204, 301, 304, 400, 404, 418, 429, 500, 503, 599] {
                let answer = connection.get(&format!("/{guest}/status/{status}")).await;
                assert_eq!(answer.status, status);
                assert!(answer.body.is_empty(), "{guest} {status}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_empty_body_has_the_length_zero() {
    let host = guests().await;
    for guest in GUESTS {
        let mut answer = host.get(&format!("/{guest}/empty")).await;
        // A head goes out before the end of its body is known where the machine has no time for the guest.
        for _ in 0..10 {
            if answer.header("content-length") == "0" {
                break;
            }
            answer = host.get(&format!("/{guest}/empty")).await;
        }
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-length"), "0", "{guest}: {answer:?}");
        assert_eq!(answer.header("transfer-encoding"), "", "{guest}: {answer:?}");
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let request = Request::head(format!("/{guest}/hello")).body(empty()).unwrap();
            let answer = connection.exchange(request).await.unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), "text/plain");
            assert!(answer.body.is_empty(), "{answer:?}");
            // The connection is still in step: nothing of a body was sent.
            assert_eq!(connection.get(&format!("/{guest}/hello")).await.text(), "hello\n");
        }
    }
}

#[tokio::test]
async fn large_bodies_arrive_whole_in_both_directions() {
    const SIZE: usize = 8 << 20;
    let host = guests().await;
    let content: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let answer = connection.get(&format!("/{guest}/large/{SIZE}")).await;
            assert_eq!(answer.body.len(), SIZE);
            let request = Request::post(format!("/{guest}/upload-count"))
                .body(full(content.clone()))
                .unwrap();
            let answer = connection.exchange(request).await.unwrap();
            assert_eq!(answer.json()["bytes"], SIZE);
            let request = Request::post(format!("/{guest}/echo"))
                .body(full(content.clone()))
                .unwrap();
            let answer = connection.exchange(request).await.unwrap();
            assert!(
                answer.body == content,
                "{guest} over {protocol:?} changed the body"
            );
        }
    }
}

#[tokio::test]
async fn an_upload_that_the_guest_ignores_does_not_hinder_the_answer() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let request = Request::post(format!("/{guest}/hello"))
                .body(full(vec![0; 1 << 20]))
                .unwrap();
            assert_eq!(connection.exchange(request).await.unwrap().text(), "hello\n");
        }
    }
}

#[tokio::test]
async fn a_guest_of_wasi_0_2_gets_a_fresh_instance_for_every_request() {
    let host = guests().await;
    let connection = host.connect(Protocol::Http1).await;
    for _ in 0..5 {
        assert_eq!(connection.get("/p2/counter").await.json()["seen"], 1);
    }
}

#[tokio::test]
async fn a_guest_of_wasi_0_3_finishes_its_work_after_the_response() {
    let host = guests().await;
    let answer = host.get("/p3/post-return").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "accepted")
    );
    let line = host
        .wait_for_log("what the guest does afterwards", |line| {
            line.message() == "work after the response is done"
        })
        .await;
    assert_eq!(line.field("service"), "p3");
}

#[tokio::test]
async fn a_guest_that_answers_head_finishes_its_work_too() {
    let host = guests().await;
    let request = Request::head("/p3/post-return").body(empty()).unwrap();
    let answer = host.request(request).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, ""));
    host.wait_for_log("what the guest does afterwards", |line| {
        line.message() == "work after the response is done"
    })
    .await;
}
