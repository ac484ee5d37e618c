//! The network: sockets by their own interfaces, step by step, and every spelling of a destination.

use serde_json::Value;
use tokio::net::UdpSocket;

use super::{GUESTS, attempts, sandboxed};
use crate::harness::{TestHost, Upstream};

/// Everything that the guests try with sockets.
const ATTEMPTS: [&str; 9] = [
    "resolve",
    "tcp bind and connect",
    "tcp bind to a port",
    "tcp connect",
    "tcp listen",
    "udp bind to a port",
    "udp connect",
    "udp send",
    "udp send elsewhere",
];

#[tokio::test]
async fn each_step_of_a_socket_needs_its_grant() {
    let upstream = Upstream::start().await;
    let address = upstream.address;
    let _datagrams = UdpSocket::bind(address)
        .await
        .expect("TCP and UDP have ports of their own");
    let tcp = ["tcp bind and connect", "tcp connect"];
    let udp = ["udp connect", "udp send"];
    let everywhere = [
        "udp connect",
        "udp send",
        "udp send elsewhere",
        "tcp bind and connect",
        "tcp connect",
        "resolve",
    ];
    for (grants, blocked, allowed) in [
        ("[]".to_owned(), "", &[][..]),
        (format!("[\"http://{address}\"]"), "", &[]),
        (format!("[\"tcp://{address}\"]"), "", &tcp),
        (format!("[\"udp://{address}\"]"), "", &udp),
        ("[\"*://*:*\"]".to_owned(), "", &everywhere),
        ("[\"*://*:*\"]".to_owned(), "private", &["resolve"]),
        (
            format!("[\"tcp://{address}\", \"udp://{address}\"]"),
            "127.0.0.0/8",
            &[],
        ),
    ] {
        let blocked: Vec<&str> = Some(blocked)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect();
        let host = sandboxed(&format!("allowed_outbound_hosts = {grants}"))
            .file(
                "runtime.toml",
                format!("[outbound_networking]\nblock_networks = {blocked:?}\n"),
            )
            .arg("--runtime-config-file")
            .arg("runtime.toml")
            .start()
            .await;
        for guest in GUESTS {
            let tried = attempts(&host, &format!("/{guest}/sockets?address={address}")).await;
            assert_eq!(
                tried.keys().map(String::as_str).collect::<Vec<_>>(),
                ATTEMPTS,
                "{guest}"
            );
            for (name, outcome) in tried {
                assert_eq!(
                    outcome == "ok",
                    allowed.contains(&name.as_str()),
                    "{guest} with {grants}, {blocked:?} blocked: {name} was {outcome}"
                );
            }
        }
    }
}

/// A host with the guests that send requests.
async fn sending(grants: &str, blocked: &str) -> TestHost {
    let grants = format!("allowed_outbound_hosts = {grants}");
    TestHost::builder()
        .service("p2", "http-p2")
        .grant(&grants)
        .service("p3", "http-p3")
        .grant(&grants)
        .route("/p2/...", "p2")
        .route("/p3/...", "p3")
        .file(
            "runtime.toml",
            format!("[outbound_networking]\nblock_networks = [{blocked}]\n"),
        )
        .arg("--runtime-config-file")
        .arg("runtime.toml")
        .start()
        .await
}

async fn fetch(host: &TestHost, guest: &str, url: &str) -> Value {
    let encoded: String = url.bytes().map(|byte| format!("%{byte:02x}")).collect();
    host.get(&format!("/{guest}/outbound?url={encoded}")).await.json()
}

#[tokio::test]
async fn no_spelling_of_an_address_passes_what_is_blocked() {
    let upstream = Upstream::start().await;
    let port = upstream.address.port();
    let host = sending("[\"*://*:*\"]", "\"private\"").await;
    for name in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "169.254.169.254",
        "100.64.0.1",
        "user@127.0.0.1",
        "example.com@127.0.0.1",
        "%31%32%37.0.0.1",
    ] {
        for guest in GUESTS {
            let answer = fetch(&host, guest, &format!("http://{name}:{port}/")).await;
            assert!(answer["error"].is_string(), "{guest} reached {name}: {answer}");
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_grant_for_one_host_is_none_for_another_that_is_written_like_it() {
    let upstream = Upstream::start().await;
    let port = upstream.address.port();
    let host = sending(
        &format!("[\"http://allowed.example:{port}\", \"http://*.allowed.example:*\"]"),
        "",
    )
    .await;
    for authority in [
        format!("allowed.example@127.0.0.1:{port}"),
        format!("allowed.example:{port}@127.0.0.1:{port}"),
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("127.0.0.1.allowed.example.localhost:{port}"),
        format!("xallowed.example.localhost:{port}"),
        format!("127.0.0.1:{port}#.allowed.example"),
        format!("127.0.0.1:{port}?.allowed.example"),
        format!("127.0.0.1:{port}\\.allowed.example"),
    ] {
        for guest in GUESTS {
            let answer = fetch(&host, guest, &format!("http://{authority}/")).await;
            let error = answer
                .as_object()
                .and_then(|answer| answer.get("error"))
                .is_some();
            assert!(error, "{guest} reached {authority}: {answer}");
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn each_hop_of_a_guest_that_follows_redirects_is_checked() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let host = sending(&format!("[{:?}]", first.url("")), "").await;
    for guest in GUESTS {
        let hop = fetch(&host, guest, &first.url("/redirect")).await;
        assert_eq!(hop["status"], 302, "{guest}: the host follows no redirect");
        let next = fetch(&host, guest, &second.url("/elsewhere")).await;
        let error = next["error"].as_str().unwrap_or_default();
        assert!(error.contains("HttpRequestDenied"), "{guest}: {next}");
    }
    assert_eq!(second.connections(), 0);
}
