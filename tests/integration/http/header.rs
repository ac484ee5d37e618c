//! Which headers a guest and a client get to see.

use std::collections::BTreeMap;

use http::Request;
use serde_json::Value;

use super::{GUESTS, guests};
use crate::harness::{Answer, Protocol, TestHost, empty};

/// The headers that a guest saw, of `/headers`.
fn seen(answer: &Answer) -> BTreeMap<String, Vec<String>> {
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    for pair in answer.json()["headers"]
        .as_array()
        .expect("the fixture lists headers")
    {
        let text = |value: &Value| value.as_str().expect("the fixture lists text").to_owned();
        headers.entry(text(&pair[0])).or_default().push(text(&pair[1]));
    }
    headers
}

#[tokio::test]
async fn a_guest_gets_the_headers_of_spin_and_no_others() {
    let host = TestHost::builder()
        .service("p2", "http-p2")
        .service("p3", "http-p3")
        .route("/p2/:user_name/items/...", "p2")
        .route("/p3/:user_name/items/...", "p3")
        .start()
        .await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            // The fixture reads the path below the route from `spin-path-info`.
            let answer = connection.get(&format!("/{guest}/ada/items/headers/?q=1")).await;
            let mut headers = seen(&answer);
            headers.remove("host");
            let client = headers.remove("spin-client-addr").unwrap_or_default();
            assert!(
                client[0]
                    .parse::<std::net::SocketAddr>()
                    .is_ok_and(|address| address.ip().is_loopback())
            );
            let one = |name: &str, value: String| (name.to_owned(), vec![value]);
            let wanted = BTreeMap::from([
                one("spin-path-info", "/headers/".into()),
                one(
                    "spin-full-url",
                    format!("http://{}/{guest}/ada/items/headers/?q=1", host.address),
                ),
                one("spin-matched-route", format!("/{guest}/:user_name/items/...")),
                one("spin-base-path", "/".into()),
                one(
                    "spin-raw-component-route",
                    format!("/{guest}/:user_name/items/..."),
                ),
                one("spin-component-route", format!("/{guest}/:user_name/items")),
                one("spin-path-match-user-name", "ada".into()),
            ]);
            assert_eq!(headers, wanted, "{guest} over {protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_guest_sees_the_target_as_the_client_wrote_it() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let request = Request::get(format!("/{guest}/headers?a=%2F&b=c%20d"));
            let request = request.header("host", "shop.example:8080").body(empty()).unwrap();
            let target = connection.exchange(request).await.unwrap().json();
            assert_eq!(target["path"], format!("/{guest}/headers?a=%2F&b=c%20d"));
            assert_eq!(target["scheme"], "http");
            assert_eq!(target["authority"], "shop.example:8080");
        }
    }
}

#[tokio::test]
async fn headers_of_the_client_pass_and_those_of_the_host_cannot_be_forged() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let request = Request::get(format!("/{guest}/headers"))
                .header("x-many", "one")
                .header("x-many", "two")
                .header("x-bytes", http::HeaderValue::from_bytes(b"caf\xc3\xa9").unwrap())
                .header("spin-client-addr", "203.0.113.9:1")
                .header("spin-path-match-admin", "yes")
                .header("spin-matched-route", "/elsewhere");
            let headers = seen(&connection.exchange(request.body(empty()).unwrap()).await.unwrap());
            assert_eq!(headers["x-many"], ["one", "two"]);
            assert_eq!(headers["x-bytes"], ["café"]);
            assert_eq!(headers["spin-matched-route"], [format!("/{guest}/...")]);
            assert_eq!(headers["spin-client-addr"].len(), 1);
            assert!(!headers["spin-client-addr"][0].starts_with("203."), "{headers:?}");
            assert!(!headers.contains_key("spin-path-match-admin"), "{headers:?}");
        }
    }
}

#[tokio::test]
async fn a_response_has_the_headers_of_the_guest_and_a_date() {
    let host = guests().await;
    for guest in GUESTS {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            let answer = connection.get(&format!("/{guest}/cookies")).await;
            let mut names: Vec<_> = answer.headers.keys().map(http::HeaderName::as_str).collect();
            // Framing; HTTP/2 needs none to say that there is no body.
            names.retain(|name| !["content-length", "transfer-encoding"].contains(name));
            names.sort_unstable();
            assert_eq!(
                names,
                ["date", "set-cookie"],
                "{guest} over {protocol:?}: {answer:?}"
            );
            let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
            assert_eq!(cookies, ["a=1", "b=2"]);
            assert!(answer.header("date").ends_with(" GMT"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_header_of_the_guest_may_be_long() {
    let host = guests().await;
    for guest in GUESTS {
        let answer = host.get(&format!("/{guest}/header/8192")).await;
        assert_eq!(answer.header("x-large").len(), 8192);
    }
}
