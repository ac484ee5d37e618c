//! Responses of WASI 0.3 whose stream the host fills: their handler has returned, and nothing of the guest runs beside them.

use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::harness::{Protocol, TestHost, empty};

const SIZE: usize = 4 << 20;

/// The same service with each of the ways to serve with its instances.
const INSTANCES: [(&str, &str); 3] = [
    ("fresh", "policy = \"fresh\""),
    ("reuse", "policy = \"reuse\""),
    ("shared", "policy = \"reuse\"\nconcurrency = 4"),
];

fn content() -> Vec<u8> {
    (0..SIZE).map(|index| (index % 251) as u8).collect()
}

async fn services() -> TestHost {
    let mut host = TestHost::builder().file("assets/large", content());
    for (service, instances) in INSTANCES {
        host = host
            .service(service, "http-p3")
            .grant("files = [{ source = \"assets\", destination = \"/\" }]")
            .grant("allowed_outbound_hosts = [\"tcp://127.0.0.1:*\"]")
            .tables(&format!(
                "[component.{service}.tool.midplane.instances]\n{instances}"
            ))
            .route(&format!("/{service}/..."), service);
    }
    host.start().await
}

#[tokio::test]
async fn a_file_that_the_guest_hands_on_arrives_whole() {
    let host = services().await;
    for (service, _) in INSTANCES {
        for protocol in Protocol::ALL {
            let connection = host.connect(protocol).await;
            for _ in 0..2 {
                let answer = connection.get(&format!("/{service}/file-stream/large")).await;
                assert_eq!(answer.status, 200, "{service}: {answer:?}");
                assert!(
                    answer.body == content(),
                    "{service}, {protocol:?}: {} bytes",
                    answer.body.len()
                );
            }
            // Nobody reads that one; the connection and the service go on.
            let head = Request::head(format!("/{service}/file-stream/large"))
                .body(empty())
                .unwrap();
            let answer = connection.exchange(head).await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{service}");
            assert_eq!(
                connection.get(&format!("/{service}/hello")).await.text(),
                "hello\n"
            );
        }
    }
}

#[tokio::test]
async fn what_a_socket_receives_arrives_whole() {
    let host = services().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sender = tokio::spawn(async move {
        for _ in INSTANCES {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&content()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    for (service, _) in INSTANCES {
        let answer = host.get(&format!("/{service}/socket-stream/{port}")).await;
        assert_eq!(answer.status, 200, "{service}: {answer:?}");
        assert!(answer.body == content(), "{service}: {} bytes", answer.body.len());
    }
    sender.await.unwrap();
}
