//! Clients that are slow, and clients that are many. What the host holds for them is bounded, and the others are served
//! meanwhile; that they are cut in the end is tested where the deadlines are, within the gateway.

use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::stream::frame::{Client, GOAWAY, HEADERS, RST_STREAM, SETTINGS, code, frame, get, setting};
use super::wire::answers;
use super::{guests, stop};
use crate::harness::{TestHost, eventually, soon};

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = soon("a connection", TcpStream::connect(address))
        .await
        .expect("the host accepts");
    stream.set_nodelay(true).expect("the option exists");
    stream
}

async fn assert_served(host: &TestHost) {
    for guest in ["p2", "p3"] {
        assert_eq!(
            host.get(&format!("/{guest}/hello")).await.text(),
            "hello\n",
            "{guest}"
        );
    }
}

/// Sends the same bytes on many connections, a byte of each in turn, and expects the same answer for all.
async fn trickle(host: &TestHost, connections: usize, begin: &str, slow: &str, wanted: &str) {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let mut stream = connect(host.address).await;
        stream.write_all(begin.as_bytes()).await.expect("the host reads");
        streams.push(stream);
    }
    for (number, byte) in slow.bytes().enumerate() {
        for stream in &mut streams {
            stream.write_all(&[byte]).await.expect("the host reads");
        }
        if number % 16 == 0 {
            assert_served(host).await;
        }
    }
    for mut stream in streams {
        let mut said = Vec::new();
        soon("the answer", stream.read_to_end(&mut said))
            .await
            .expect("no reset");
        let answers = answers(&said).expect("well framed");
        assert!(
            matches!(answers.as_slice(), [answer] if answer.status == 200 && answer.body == wanted.as_bytes() && answer.whole),
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn heads_that_come_a_byte_at_a_time_keep_nobody_waiting() {
    let host = guests().await;
    let head = "GET /p2/hello HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    trickle(&host, 100, "", head, "hello\n").await;
    stop(host).await;
}

#[tokio::test]
async fn bodies_that_come_a_byte_at_a_time_keep_nobody_waiting() {
    let host = guests().await;
    let head = |guest: &str, framing: &str| {
        format!("POST /{guest}/upload-count HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{framing}\r\n\r\n")
    };
    trickle(
        &host,
        32,
        &head("p3", "content-length: 40"),
        &"x".repeat(40),
        "{\"bytes\":40}",
    )
    .await;
    let chunks = format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(10));
    trickle(
        &host,
        32,
        &head("p2", "transfer-encoding: chunked"),
        &chunks,
        "{\"bytes\":10}",
    )
    .await;
    stop(host).await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_all_of_it_and_the_others_are_served() {
    // More than the buffers of both sockets have room for.
    const SIZE: usize = 16 << 20;
    let host = guests().await;
    let mut slow = Vec::new();
    for guest in ["p2", "p3"] {
        for _ in 0..3 {
            let mut stream = connect(host.address).await;
            let request =
                format!("GET /{guest}/large/{SIZE} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
            stream
                .write_all(request.as_bytes())
                .await
                .expect("the host reads");
            let mut said = vec![0; 64];
            soon("the first bytes", stream.read_exact(&mut said))
                .await
                .expect("the host answers");
            slow.push((stream, said));
        }
    }
    for _ in 0..10 {
        assert_served(&host).await;
    }
    for (mut stream, mut said) in slow {
        // Some, then nothing for a while, and then the rest.
        let mut some = vec![0; 1 << 20];
        soon("a part of the body", stream.read_exact(&mut some))
            .await
            .expect("the host goes on");
        said.extend(some);
        assert_served(&host).await;
        soon("the rest of the body", stream.read_to_end(&mut said))
            .await
            .expect("the host goes on");
        let answers = answers(&said).expect("well framed");
        assert!(answers.len() == 1 && answers[0].whole && answers[0].body.len() == SIZE);
    }
    stop(host).await;
}

#[tokio::test]
async fn two_thousand_idle_connections_cost_little_and_nobody_notices() {
    const COUNT: usize = 2_000;
    /// What an idle connection may cost, in bytes of resident memory: with a read buffer of 8 KiB, in a build that is not
    /// optimised.
    const EACH: f64 = 64.0 * 1024.0;
    allow_files(3 * COUNT as u64);
    let host = guests().await;
    assert_served(&host).await;
    let resident = async || {
        let bytes = host.metric("midplane_process_resident_memory_bytes", &[]).await;
        bytes.expect("the host knows its memory")
    };
    let before = resident().await;
    let preface = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
        &frame(SETTINGS, 0, 0, &[]),
    ]
    .concat();
    let mut idle = Vec::new();
    for number in 0..COUNT {
        let mut stream = connect(host.address).await;
        match number % 4 {
            // Says nothing.
            0 => {}
            // Has begun a head.
            1 => stream
                .write_all(b"GET /p2/hello HTTP/1.1\r\nhost: te")
                .await
                .expect("the host reads"),
            // Has had an answer.
            2 => {
                stream
                    .write_all(b"GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n")
                    .await
                    .expect("the host reads");
                soon("an answer", stream.read(&mut [0; 1024]))
                    .await
                    .expect("the host answers");
            }
            // Speaks HTTP/2.
            _ => {
                stream.write_all(&preface).await.expect("the host reads");
                soon("settings", stream.read(&mut [0; 9]))
                    .await
                    .expect("the host answers");
            }
        }
        idle.push(stream);
        if number % 200 == 0 {
            assert_served(&host).await;
        }
    }
    eventually("every connection to be open", async || {
        host.metric("midplane_connections", &[]).await.unwrap_or_default() >= COUNT as f64
    })
    .await;
    let each = (resident().await - before) / COUNT as f64;
    assert!(each < EACH, "an idle connection costs {each} bytes");
    assert_served(&host).await;
    drop(idle);
    eventually("every connection to be closed", async || {
        host.metric("midplane_connections", &[]).await.unwrap_or(1.0) == 0.0
    })
    .await;
    stop(host).await;
}

/// Lets this process, and the hosts that it starts, have so many files open.
fn allow_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        let raised = Rlimit { current, ..limit };
        setrlimit(Resource::Nofile, raised).expect("a soft limit may rise to the hard one");
    }
}

#[tokio::test]
async fn streams_without_a_window_hold_the_places_of_one_service_and_no_more() {
    /// Requests of a service at once, and streams of a connection.
    const PLACES: usize = 64;
    const STREAMS: u32 = 256;
    let host = guests().await;
    let mut client = Client::with(host.address, &setting(4, 0)).await;
    let ids = (0..=STREAMS).map(|number| number * 2 + 1);
    let requests: Vec<u8> = ids.flat_map(|stream| get(stream, "/p3/large/65536")).collect();
    assert!(client.send(&requests).await);
    let (mut served, mut full, mut refused) = (0, 0, 0);
    while served + full + refused <= STREAMS as usize {
        let frame = client.next().await.expect("the connection stays");
        match frame.kind {
            // The static table has 200 as a field of one byte (RFC 7541 appendix A).
            HEADERS if frame.payload.starts_with(&[0x88]) => served += 1,
            HEADERS => full += 1,
            RST_STREAM if code(&frame.payload) == 7 => refused += 1,
            GOAWAY => panic!("the connection ends"),
            _ => {}
        }
        assert!(frame.kind != super::stream::frame::DATA, "data without a window");
    }
    assert_eq!(
        (served, refused),
        (PLACES, 1),
        "{full} were told that there is no place"
    );
    // The other service has places of its own.
    assert_eq!(host.get("/p2/hello").await.text(), "hello\n");
    // Nothing is kept for a client that has left.
    drop(client);
    eventually("the places to be free", async || {
        let held = host
            .metric("midplane_requests_in_flight", &["service=\"p3\""])
            .await;
        held.unwrap_or_default() == 0.0
    })
    .await;
    stop(host).await;
}
