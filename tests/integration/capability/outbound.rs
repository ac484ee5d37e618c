//! Outbound HTTP and sockets: only where the manifest allows it.

use http::Request;
use serde_json::Value;

use super::{GUESTS, http};
use crate::harness::{Builder, TestHost, Upstream, full, soon};

fn allowing(hosts: &str) -> Builder {
    http(&format!("allowed_outbound_hosts = {hosts}"))
}

async fn fetch(host: &TestHost, guest: &str, url: &str) -> Value {
    host.get(&format!("/{guest}/outbound?url={url}")).await.json()
}

#[tokio::test]
async fn an_allowed_host_answers() {
    let upstream = Upstream::start().await;
    let host = allowing(&format!("[{:?}]", upstream.url(""))).start().await;
    for guest in GUESTS {
        let answer = fetch(&host, guest, &upstream.url("/some/path?a=b%26c")).await;
        assert_eq!(
            (&answer["status"], &answer["body"]),
            (&200.into(), &"the upstream".into()),
            "{answer}"
        );
        assert!(answer["headers"].to_string().contains("x-upstream"), "{answer}");

        let post = Request::post(format!("/{guest}/outbound?url={}", upstream.url("/echo")));
        let post = post.header("x-forward", "kept").body(full("a body")).unwrap();
        assert_eq!(host.request(post).await.json()["body"], "a body");
        let seen = upstream.seen().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/echo"));
        assert!(
            seen.headers.contains(&("x-forward".into(), "kept".into())),
            "{seen:?}"
        );
        assert!(
            seen.headers
                .contains(&("host".into(), upstream.address.to_string())),
            "{seen:?}"
        );
    }
    assert_eq!(upstream.seen()[0].path, "/some/path?a=b&c");
}

#[tokio::test]
async fn every_other_host_is_denied_before_a_connection_is_opened() {
    let upstream = Upstream::start().await;
    let port = upstream.address.port();
    let forbidding = [
        "[]".to_owned(),
        "[\"http://127.0.0.1:1\"]".to_owned(),
        format!("[\"https://127.0.0.1:{port}\"]"),
        format!("[\"http://example.com:{port}\"]"),
        format!("[\"http://*.0.0.1.example:{port}\"]"),
    ];
    for hosts in forbidding {
        let host = allowing(&hosts).start().await;
        for guest in GUESTS {
            let answer = fetch(&host, guest, &upstream.url("/")).await;
            let error = answer["error"].as_str().unwrap_or_default();
            assert!(
                error.contains("HttpRequestDenied"),
                "{guest} with {hosts}: {answer}"
            );
        }
        // Whoever runs the host reads what would allow it.
        let line = host
            .wait_for_log("the denial", |line| {
                line.text().contains("allowed_outbound_hosts")
            })
            .await;
        assert!(
            line.text().contains(&format!("http://127.0.0.1:{port}")),
            "{}",
            line.text()
        );
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn patterns_allow_what_they_say() {
    let upstream = Upstream::start().await;
    let port = upstream.address.port();
    let allowing_it = [
        "[\"*://*:*\"]".to_owned(),
        format!("[\"http://*:{port}\"]"),
        format!("[\"*://127.0.0.1:{port}\"]"),
        format!("[\"http://127.0.0.0/8:{port}\"]"),
        format!("[\"http://127.0.0.1:{port}..{}\"]", u32::from(port) + 1),
    ];
    for hosts in allowing_it {
        let host = allowing(&hosts).start().await;
        for guest in GUESTS {
            assert_eq!(
                fetch(&host, guest, &upstream.url("/")).await["status"],
                200,
                "{guest} with {hosts}"
            );
        }
    }
}

#[tokio::test]
async fn networks_that_the_operator_blocks_are_out_of_reach_whatever_the_manifest_allows() {
    let upstream = Upstream::start().await;
    let host = allowing("[\"*://*:*\"]")
        .file(
            "runtime.toml",
            "[outbound_networking]\nblock_networks = [\"127.0.0.0/8\"]\n",
        )
        .arg("--runtime-config-file")
        .arg("runtime.toml")
        .start()
        .await;
    for guest in GUESTS {
        for url in [
            upstream.url("/"),
            format!("http://localhost:{}/", upstream.address.port()),
        ] {
            let answer = fetch(&host, guest, &url).await;
            let error = answer["error"].as_str().unwrap_or_default();
            assert!(
                error.contains("DestinationIpProhibited"),
                "{guest} {url}: {answer}"
            );
        }
        let socket = host
            .get(&format!("/{guest}/tcp?address={}", upstream.address))
            .await
            .json();
        assert_eq!(socket["done"], false, "{guest}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn an_allowed_host_may_come_from_a_variable() {
    let upstream = Upstream::start().await;
    let host = allowing("[\"http://{{ backend }}\"]")
        .tables("[variables]\nbackend = { required = true }")
        .arg("--variable")
        .arg(format!("backend={}", upstream.address))
        .start()
        .await;
    for guest in GUESTS {
        assert_eq!(fetch(&host, guest, &upstream.url("/")).await["status"], 200);
    }
}

#[tokio::test]
async fn connections_are_kept_and_redirects_are_the_guests_business() {
    let upstream = Upstream::start().await;
    let host = allowing(&format!("[{:?}]", upstream.url(""))).start().await;
    for _ in 0..5 {
        for guest in GUESTS {
            assert_eq!(
                fetch(&host, guest, &upstream.url("/redirect")).await["status"],
                302
            );
        }
    }
    assert_eq!(upstream.seen().len(), 10);
    assert!(
        upstream.connections() < 10,
        "{} connections for ten requests",
        upstream.connections()
    );
}

#[tokio::test]
async fn a_host_that_is_not_there_is_an_error_of_the_guest() {
    let gone = Upstream::start().await.address;
    let host = allowing("[\"http://127.0.0.1:*\", \"http://nowhere.invalid\"]")
        .start()
        .await;
    for guest in GUESTS {
        let answer = fetch(&host, guest, &format!("http://{gone}/")).await;
        assert!(
            answer["error"]
                .as_str()
                .is_some_and(|error| error.contains("Connection")),
            "{answer}"
        );
        let answer = fetch(&host, guest, "http://nowhere.invalid/").await;
        assert!(answer["error"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn sockets_obey_the_same_list() {
    let upstream = Upstream::start().await;
    let address = upstream.address;
    for (grant, allowed) in [
        (format!("*://{address}"), true),
        (format!("tcp://{address}"), true),
        (format!("http://{address}"), false),
        (format!("udp://{address}"), false),
        ("*://127.0.0.1:1".to_owned(), false),
    ] {
        let host = allowing(&format!("[{grant:?}]")).start().await;
        for guest in GUESTS {
            let answer = host.get(&format!("/{guest}/tcp?address={address}")).await.json();
            let error = if allowed {
                Value::Null
            } else {
                "PermissionDenied".into()
            };
            assert_eq!(
                (&answer["done"], &answer["error"]),
                (&allowed.into(), &error),
                "{guest}: {grant}"
            );
        }
    }
}

#[tokio::test]
async fn datagrams_obey_the_same_list() {
    let receiver = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = receiver.local_addr().unwrap();
    let open = allowing(&format!("[\"udp://{address}\"]")).start().await;
    let closed = allowing(&format!("[\"tcp://{address}\"]")).start().await;
    for guest in GUESTS {
        let path = format!("/{guest}/udp?address={address}");
        assert_eq!(
            closed.get(&path).await.json()["error"],
            "PermissionDenied",
            "{guest}"
        );
        assert_eq!(open.get(&path).await.json()["done"], true, "{guest}");
        let mut datagram = [0; 64];
        let length = soon("the datagram", receiver.recv(&mut datagram)).await.unwrap();
        assert_eq!(&datagram[..length], b"a datagram");
    }
}

#[tokio::test]
async fn a_guest_never_listens() {
    let host = allowing("[\"*://*:*\"]").start().await;
    for guest in GUESTS {
        let answer = host
            .get(&format!("/{guest}/listen?address=127.0.0.1:0"))
            .await
            .json();
        assert_eq!(answer["done"], false, "{guest}: {answer}");
    }
}

/// Without a host, or under the name for guests whose interface insists on one, as that of WASI 0.3 does.
const SELF: [(&str, &str); 3] = [("p2", ""), ("p2", "http://self.alt"), ("p3", "http://self.alt")];

#[tokio::test]
async fn self_is_the_application_itself() {
    let open = allowing("[\"http://self\"]").start().await;
    let closed = allowing("[\"http://127.0.0.1:1\"]").start().await;
    for (guest, base) in SELF {
        let url = format!("{base}/{guest}/hello");
        let answer = fetch(&open, guest, &url).await;
        assert_eq!(answer["body"], "hello\n", "{guest} {base:?}: {answer}");
        let error = fetch(&closed, guest, &url).await["error"].to_string();
        assert!(error.contains("HttpRequestDenied"), "{guest} {base:?}: {error}");
    }
}
