//! Bodies piece by piece: every test holds one side back until the other has been heard.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{GUESTS, guests};
use crate::harness::{Answer, Protocol, Upstream, empty, eventually, full, soon, streamed};

/// The next data of a body; `None` at its end, an error where it was cut.
async fn next(body: &mut Incoming) -> Option<hyper::Result<String>> {
    let frame = soon("a piece of the body", body.frame()).await?;
    Some(frame.map(|frame| {
        let data = frame.into_data().unwrap_or_default();
        String::from_utf8_lossy(&data).into_owned()
    }))
}

#[tokio::test]
async fn request_and_response_interleave() {
    let host = guests().await;
    for path in ["/p2/echo", "/p3/echo", "/p3/echo-direct"] {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let (sender, body) = streamed();
            assert!(sender.data("piece 0").await);
            let response = connection
                .send(Request::post(path).body(body).unwrap())
                .await
                .unwrap();
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            for number in 0..3 {
                let mut piece = String::new();
                let wanted = format!("piece {number}");
                while piece.len() < wanted.len() {
                    piece += &next(&mut body).await.unwrap().unwrap();
                }
                assert_eq!(piece, wanted, "{path} over {protocol:?}");
                assert!(sender.data(format!("piece {}", number + 1)).await);
            }
            drop(sender);
            assert_eq!(
                body.collect().await.unwrap().to_bytes(),
                "piece 3",
                "{path} over {protocol:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_slow_response_arrives_in_pieces() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let answer = connection
                .get(&format!("/{guest}/slow-stream?chunks=3&ms=5"))
                .await;
            assert_eq!(answer.text(), "chunk 0\nchunk 1\nchunk 2\n");
        }
    }
}

#[tokio::test]
async fn trailers_of_the_guest_reach_the_client() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let request = Request::get(format!("/{guest}/trailers")).header("te", "trailers");
            let answer = connection.exchange(request.body(empty()).unwrap()).await.unwrap();
            assert_eq!(answer.text(), "body");
            assert_eq!(answer.trailers["x-checksum"], "abc", "{guest} over {protocol:?}");
            assert_eq!(answer.trailers["x-count"], "4", "{guest} over {protocol:?}");
        }
    }
}

#[tokio::test]
async fn trailers_of_the_client_reach_the_guest() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let (sender, body) = streamed();
            let request =
                Request::post(format!("/{guest}/request-trailers")).header("trailer", "x-signature");
            let trailers =
                HeaderMap::from_iter([("x-signature".parse().unwrap(), HeaderValue::from_static("signed"))]);
            let (answer, ()) = tokio::join!(connection.exchange(request.body(body).unwrap()), async {
                assert!(sender.data("body").await);
                assert!(sender.trailers(trailers).await);
            });
            let answer = answer.unwrap();
            assert_eq!(
                answer.json(),
                serde_json::json!([["x-signature", "signed"]]),
                "{guest} {protocol:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_the_request_and_what_it_waits_for() {
    let upstream = Upstream::start().await;
    let host = crate::harness::TestHost::builder()
        .service("p2", "http-p2")
        .grant(&format!("allowed_outbound_hosts = [{:?}]", upstream.url("")))
        .service("p3", "http-p3")
        .grant(&format!("allowed_outbound_hosts = [{:?}]", upstream.url("")))
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .start()
        .await;
    let mut hung_up = 0;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let path = format!("/{guest}/outbound?url={}", upstream.url("/hang"));
            let request =
                tokio::spawn(async move { connection.send(Request::get(path).body(empty()).unwrap()).await });
            hung_up += 1;
            upstream.requests(hung_up).await;
            request.abort();
            // The guest waits for the upstream; only its end can close that connection.
            upstream.closed(hung_up).await;
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_a_guest_that_never_waits() {
    let host = guests().await;
    for guest in GUESTS {
        let connection = host.connect(Protocol::Http1).await;
        let path = format!("/{guest}/infinite-loop");
        let request =
            tokio::spawn(async move { connection.send(Request::get(path).body(empty()).unwrap()).await });
        let label = format!("service=\"{guest}\"");
        let running = async || host.metric("midplane_requests_in_flight", &[&label]).await;
        eventually("the request to run", async || running().await == Some(1.0)).await;
        request.abort();
        eventually("the request to end", async || running().await == Some(0.0)).await;
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_whole_chain() {
    let host = crate::harness::TestHost::builder()
        .service("caller", "chain-caller")
        .grant("allowed_outbound_hosts = [\"http://*.spin.internal\"]")
        .service("p2", "http-p2")
        .service("p3", "http-p3")
        .route("/caller/...", "caller")
        .tables("[[trigger.http]]\nroute = { private = true }\ncomponent = \"p2\"")
        .tables("[[trigger.http]]\nroute = { private = true }\ncomponent = \"p3\"")
        .start()
        .await;
    for guest in GUESTS {
        for behaviour in ["never-responds", "infinite-loop"] {
            let connection = host.connect(Protocol::Http1).await;
            let path = format!("/caller/call/{guest}/{behaviour}");
            let request =
                tokio::spawn(async move { connection.send(Request::get(path).body(empty()).unwrap()).await });
            let running = async |count| {
                for service in [guest, "caller"] {
                    let label = format!("service=\"{service}\"");
                    if host.metric("midplane_requests_in_flight", &[&label]).await != Some(count) {
                        return false;
                    }
                }
                true
            };
            eventually("the chain to run", async || running(1.0).await).await;
            request.abort();
            eventually("the chain to end", async || running(0.0).await).await;
        }
    }
    host.stop().await;
}

/// On HTTP/2 only: below HTTP/1.1 the kernel alone may buffer more than a request body may have.
#[tokio::test]
async fn a_reader_that_stops_reading_stops_the_guest() {
    let host = guests().await;
    for guest in GUESTS {
        let connection = host.connect(Protocol::Http2).await;
        let (sender, body) = streamed();
        assert!(sender.data(vec![b'x'; 1024]).await);
        let request = Request::post(format!("/{guest}/echo")).body(body).unwrap();
        let response = connection.send(request).await.unwrap();
        // Nobody reads the response: once the windows on the way are full, the upload stands still.
        let upload = async {
            for _ in 0..9 * 1024 {
                assert!(sender.data(vec![b'x'; 1024]).await);
            }
        };
        let stood_still = tokio::time::timeout(Duration::from_secs(2), upload)
            .await
            .is_err();
        assert!(stood_still, "{guest}: nine mebibytes found a place in the host");
        drop(sender);
        let answer = Answer::read(response).await.unwrap();
        assert!(answer.body.len() > 1024);
    }
}

#[tokio::test]
async fn a_connection_outlives_many_requests() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            for number in 0..50 {
                let text = format!("request {number}");
                let request = Request::post(format!("/{guest}/echo"))
                    .body(full(text.clone()))
                    .unwrap();
                assert_eq!(connection.exchange(request).await.unwrap().text(), text);
            }
        }
    }
}
