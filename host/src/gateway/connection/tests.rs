//! Clients that outstay their time, with deadlines that a test can wait for.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::gateway::Settings;
use crate::manifest::StaticResponse;
use crate::model::AppName;
use crate::service::router::Router;
use crate::service::{Generation, Registry, Target};
use crate::telemetry::Metrics;
use crate::telemetry::trace::Tracer;

/// Long after every deadline of these tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than sockets have room for.
const LARGE: usize = 64 << 20;

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(600);

struct Served {
    address: SocketAddr,
    metrics: Metrics,
}

/// A gateway without services, whose `/large` has a body of [`LARGE`].
async fn served(settings: Settings) -> Served {
    let large = StaticResponse {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::from(vec![b'x'; LARGE]),
    };
    let routes = Router::new(vec![("/large".parse().unwrap(), Target::Static(Arc::new(large)))]);
    let app = AppName::parse("app").unwrap();
    let registry = Arc::new(Registry::new(Generation::new(app, 1, routes, BTreeMap::new())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Metrics::new();
    let gateway = Gateway::new(
        registry,
        metrics.clone(),
        Tracer::disabled(),
        Tasks::new(),
        settings,
        address,
    );
    tokio::spawn(serve(listener, gateway));
    Served { address, metrics }
}

impl Served {
    async fn connect(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    async fn closes_all(&self) {
        let closed = async {
            while !self.metrics.encode().contains("midplane_connections 0\n") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, closed)
            .await
            .expect("all connections are closed");
    }
}

/// What the host says until it closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said))
        .await
        .expect("the host closes the connection");
    String::from_utf8_lossy(&said).into_owned()
}

const NOWHERE: &[u8] = b"GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n";

#[tokio::test]
async fn a_client_that_does_not_come_to_the_end_of_a_head_is_not_waited_for() {
    let served = served(Settings {
        head_timeout: SHORT,
        write_timeout: LONG,
        ..Settings::default()
    })
    .await;
    for begun in [
        &b""[..],
        b"P",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET /now",
        b"GET /nowhere HTTP/1.1\r\nhost: test\r\nx: and so on for ever",
    ] {
        let mut stream = served.connect(begun).await;
        let said = rest(&mut stream).await;
        assert!(!said.contains("200") && !said.contains("404"), "{said:?}");
    }
    // One after an answer is given the same time, and no more.
    let mut stream = served.connect(NOWHERE).await;
    assert_eq!(rest(&mut stream).await.matches("HTTP/1.1 404 ").count(), 1);
    served.closes_all().await;
}

#[tokio::test]
async fn a_head_that_trickles_has_the_same_time_as_one_that_does_not() {
    let served = served(Settings {
        head_timeout: SHORT,
        ..Settings::default()
    })
    .await;
    let mut stream = served
        .connect(b"GET /nowhere HTTP/1.1\r\nhost: test\r\nx: ")
        .await;
    let trickle = async {
        // Ends with an error once the host has closed the connection.
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trickle)
        .await
        .expect("the host closes the connection");
    served.closes_all().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_response_is_cut() {
    let served = served(Settings {
        head_timeout: LONG,
        write_timeout: SHORT,
        ..Settings::default()
    })
    .await;
    let mut stuck = Vec::new();
    for _ in 0..3 {
        stuck.push(served.connect(b"GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await);
    }
    served.closes_all().await;
    for mut stream in stuck {
        assert!(rest(&mut stream).await.len() < LARGE);
    }
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[tokio::test]
async fn a_stream_without_a_window_is_reset() {
    let served = served(Settings {
        head_timeout: LONG,
        write_timeout: SHORT,
        ..Settings::default()
    })
    .await;
    let mut request = vec![0x82, 0x86, 0x04, 6];
    request.extend(b"/large");
    request.extend([0x01, 4]);
    request.extend(b"test");
    let mut stream = served.connect(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    // An initial window of nothing, and a whole GET.
    let said = [frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]), frame(1, 0x5, 1, &request)].concat();
    stream.write_all(&said).await.unwrap();
    let reset = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let [_, high, low, kind, _, _, _, _, id] = head;
            let mut payload = vec![0; usize::from(high) << 8 | usize::from(low)];
            stream.read_exact(&mut payload).await.unwrap();
            assert_ne!(kind, 0, "data without a window");
            if kind == 3 {
                return id;
            }
        }
    };
    let id = tokio::time::timeout(PATIENCE, reset)
        .await
        .expect("the host resets the stream");
    assert_eq!(id, 1);
}

#[tokio::test]
async fn more_clients_than_there_are_places_wait_for_one() {
    let served = served(Settings {
        max_connections: 2,
        ..Settings::default()
    })
    .await;
    let mut first = served.connect(NOWHERE).await;
    let second = served.connect(b"").await;
    let mut said = [0; 12];
    first.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 404");
    let mut third = served
        .connect(b"GET /nowhere HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        .await;
    while !served.metrics.encode().contains("midplane_connections 2\n") {
        tokio::task::yield_now().await;
    }
    let early = tokio::time::timeout(SHORT, third.read_exact(&mut said)).await;
    assert!(early.is_err(), "a third connection has a place: {early:?}");
    drop(second);
    assert!(rest(&mut third).await.contains("404"));
}

#[tokio::test]
async fn a_head_that_is_never_ended_is_not_kept() {
    let served = served(Settings::default()).await;
    let mut stream = served
        .connect(b"GET /nowhere HTTP/1.1\r\nhost: test\r\nx: ")
        .await;
    let mut sent = 0;
    // Blocks when the host reads no more, and fails when it has closed the connection.
    while stream.write_all(&[b'x'; 4096]).await.is_ok() && sent < LARGE {
        sent += 4096;
    }
    assert!(sent < LARGE, "the host takes a head without end");
    let said = rest(&mut stream).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_cannot_accept_tries_less_and_less_often_until_it_can() {
    let (mut trouble, error) = (Trouble::default(), io::Error::other("no descriptor"));
    let mut waits = async |attempts: u32| {
        let begun = tokio::time::Instant::now();
        for _ in 0..attempts {
            trouble.wait(&error).await;
        }
        begun.elapsed()
    };
    let growing = Duration::from_millis(10 + 20 + 40 + 80 + 160 + 320 + 640);
    assert_eq!(waits(7).await, growing);
    assert_eq!(waits(3600).await, Duration::from_secs(3600));
    trouble.is_over();
    trouble.wait(&error).await;
    assert_eq!(trouble.back_off, Duration::from_millis(10));
}
