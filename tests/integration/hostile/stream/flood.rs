//! Much of what costs the host more than the client. It is either more than the connection may have and ends it, or of no
//! consequence; the others are served meanwhile, and memory stays where it was.

use super::frame::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, field, fields, frame, get, post, setting,
};
use super::{COMPRESSION_ERROR, ENHANCE_YOUR_CALM, HEAD, PROTOCOL_ERROR, Want, fits};
use crate::harness::{Protocol, TestHost};

/// Frames of a flood.
const MANY: usize = 20_000;

/// The stream that is asked what came of it, where it is not one of the flood.
const LAST: u32 = 0x7fff_ffff;

/// What a flood may leave behind in the host, in bytes: a fraction of what it would if something were kept of every frame.
const MEMORY: f64 = 64.0 * 1024.0 * 1024.0;

struct Flood {
    what: &'static str,
    source: &'static str,
    frames: Vec<u8>,
    stream: u32,
    want: &'static [Want],
}

const CALM: &[Want] = &[Want::GoAway(ENHANCE_YOUR_CALM)];
/// Nothing comes of it, or the host has enough of it.
const SERVED: &[Want] = &[Want::Status(200), Want::GoAway(ENHANCE_YOUR_CALM)];
/// The head is too large: an answer, or the end of all.
const TOO_LARGE: &[Want] = &[
    Want::Status(431),
    Want::Reset,
    Want::GoAway(ENHANCE_YOUR_CALM),
    Want::GoAway(COMPRESSION_ERROR),
];

fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| number * 2 + 1)
}

/// So many frames, and then a request that the host answers if it did not mind.
fn and_then_hello(what: &'static str, source: &'static str, frame: &[u8]) -> Flood {
    Flood {
        what,
        source,
        frames: [frame.repeat(MANY), get(LAST, "/p2/hello")].concat(),
        stream: LAST,
        want: SERVED,
    }
}

fn head(what: &'static str, source: &'static str, frames: Vec<u8>, want: &'static [Want]) -> Flood {
    Flood {
        what,
        source,
        frames,
        stream: 1,
        want,
    }
}

/// One head of these bytes in frames that fit.
fn in_pieces(block: &[u8]) -> Vec<u8> {
    let mut pieces = block.chunks(16_384).peekable();
    let mut frames = Vec::new();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let end = if kind == HEADERS { END_STREAM } else { 0 };
        frames.extend(frame(kind, last | end, 1, piece));
        kind = CONTINUATION;
    }
    frames
}

fn heads() -> Vec<Flood> {
    let begin = frame(HEADERS, END_STREAM, 1, &fields(&HEAD));
    let usual = fields(&HEAD);
    // A field of 4,000 bytes that goes into the table, and then 12,000 mentions of it, of one byte each.
    let mut bomb = usual.clone();
    bomb.extend([0x40, 0x01, b'x', 0x7f, 0xa1, 0x1e]);
    bomb.extend([b'v'; 4000]);
    bomb.extend([0xbe; 12_000]);
    vec![
        head(
            "pieces of a head without bytes",
            "CVE-2024-27316",
            [begin.clone(), frame(CONTINUATION, 0, 1, b"").repeat(MANY)].concat(),
            CALM,
        ),
        head(
            "pieces of a head of a field each",
            "CVE-2024-27316",
            [begin, frame(CONTINUATION, 0, 1, &field("x", "v")).repeat(MANY)].concat(),
            CALM,
        ),
        head(
            "a head of 40,000 bytes",
            "RFC 9113 §10.5.1",
            in_pieces(&[usual.clone(), field("x", "v".repeat(40_000))].concat()),
            TOO_LARGE,
        ),
        head(
            "a head of 2,000,000 bytes",
            "RFC 9113 §10.5.1",
            in_pieces(&[usual.clone(), field("x", "v".repeat(2_000_000))].concat()),
            TOO_LARGE,
        ),
        head(
            "a head of 5,000 empty fields",
            "CVE-2019-9516",
            in_pieces(&[usual.clone(), field("x", "").repeat(5000)].concat()),
            TOO_LARGE,
        ),
        head(
            "fields without a name",
            "CVE-2019-9516",
            in_pieces(&[usual, field("", "").repeat(5000)].concat()),
            &[
                Want::Reset,
                Want::Status(431),
                Want::GoAway(PROTOCOL_ERROR),
                Want::GoAway(ENHANCE_YOUR_CALM),
            ],
        ),
        head(
            "a head of 16 KB that unfolds to 48 MB",
            "CVE-2016-6581 (HPACK bomb)",
            in_pieces(&bomb),
            TOO_LARGE,
        ),
    ]
}

fn resets() -> Vec<Flood> {
    let cancel = |stream| frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let rapid = streams(5000).flat_map(|stream| [get(stream, "/p2/hello"), cancel(stream)].concat());
    let upload = streams(5000).flat_map(|stream| {
        // The host is made to reset the stream itself.
        let overflow = frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
        [post(stream, "/p2/upload-count", &[]), overflow].concat()
    });
    let malformed = streams(5000)
        .flat_map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&HEAD[..3])));
    let abandoned = streams(5000).flat_map(|stream| post(stream, "/p2/upload-count", &[]));
    let flood = |what, source, frames: Vec<u8>, want| Flood {
        what,
        source,
        frames,
        stream: LAST,
        want,
    };
    vec![
        flood(
            "requests that are taken back at once",
            "CVE-2023-44487 (rapid reset)",
            rapid.collect(),
            CALM,
        ),
        flood(
            "requests that the host must reset",
            "CVE-2025-8671 (MadeYouReset)",
            upload.collect(),
            CALM,
        ),
        flood(
            "malformed requests",
            "CVE-2025-8671 (MadeYouReset)",
            malformed.collect(),
            CALM,
        ),
        // 256 are let in, the others refused, each by a reset that counts.
        flood(
            "more streams than there may be",
            "RFC 9113 §5.1.2",
            abandoned.collect(),
            CALM,
        ),
    ]
}

fn noise() -> Vec<Flood> {
    let empty = frame(DATA, 0, 1, b"");
    let byte = frame(DATA, 0, 1, b"x");
    let end = frame(DATA, END_STREAM, 1, b"");
    let upload = |piece: &[u8]| [post(1, "/p2/upload-count", &[]), piece.repeat(MANY), end.clone()].concat();
    let priority = [3_u32.to_be_bytes().as_slice(), &[1]].concat();
    vec![
        and_then_hello("pings", "CVE-2019-9512", &frame(PING, 0, 0, &[1; 8])),
        and_then_hello(
            "answers to pings that nobody sent",
            "CVE-2019-9512",
            &frame(PING, ACK, 0, &[1; 8]),
        ),
        and_then_hello(
            "settings",
            "CVE-2019-9515",
            &frame(SETTINGS, 0, 0, &setting(3, 100)),
        ),
        and_then_hello(
            "settings that change every window",
            "CVE-2019-9515",
            &[
                frame(SETTINGS, 0, 0, &setting(4, 0)),
                frame(SETTINGS, 0, 0, &setting(4, 65_535)),
            ]
            .concat(),
        ),
        and_then_hello("empty settings", "CVE-2019-9515", &frame(SETTINGS, 0, 0, &[])),
        and_then_hello("priorities", "CVE-2019-9513", &frame(PRIORITY, 0, 5, &priority)),
        and_then_hello(
            "windows that grow by a byte",
            "CVE-2019-9511",
            &frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        ),
        and_then_hello(
            "frames of an unknown kind",
            "RFC 9113 §5.5",
            &frame(0xfa, 0, 0, b""),
        ),
        head("empty pieces of a body", "CVE-2019-9518", upload(&empty), SERVED),
        head(
            "pieces of a body of a byte",
            "CVE-2019-9511",
            upload(&byte),
            SERVED,
        ),
    ]
}

async fn resident(host: &TestHost) -> f64 {
    let resident = host.metric("midplane_process_resident_memory_bytes", &[]).await;
    resident.expect("the host knows its memory")
}

async fn replay(floods: Vec<Flood>) {
    let host = super::super::guests().await;
    for guest in ["p2", "p3"] {
        assert_eq!(host.get(&format!("/{guest}/hello")).await.text(), "hello\n");
    }
    let before = resident(&host).await;
    let mut wrong = Vec::new();
    for flood in &floods {
        let neighbour = async {
            let connection = host.connect(Protocol::Http1).await;
            for _ in 0..5 {
                assert_eq!(
                    connection.get("/p3/hello").await.text(),
                    "hello\n",
                    "beside {}",
                    flood.what
                );
            }
        };
        let flooding = async {
            let mut client = Client::open(host.address).await;
            client.outcome(&flood.frames, flood.stream).await
        };
        let (outcome, ()) = tokio::join!(flooding, neighbour);
        if !fits(flood.want, outcome) {
            wrong.push(format!(
                "- {} ({}): wanted {:?}, got {outcome:?}",
                flood.what, flood.source, flood.want
            ));
        }
    }
    super::super::assert_all(floods.len(), &wrong);
    let grown = resident(&host).await - before;
    assert!(grown < MEMORY, "the host has {grown} bytes more than before");
    super::super::stop(host).await;
}

#[tokio::test]
async fn heads_without_measure_end_the_connection() {
    replay(heads()).await;
}

#[tokio::test]
async fn streams_that_are_reset_without_measure_end_the_connection() {
    replay(resets()).await;
}

#[tokio::test]
async fn frames_without_meaning_are_of_no_consequence() {
    replay(noise()).await;
}
