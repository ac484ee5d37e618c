//! Frames as bytes, with a header compression that compresses nothing.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::harness::soon;

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const PRIORITY: u8 = 0x2;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PUSH_PROMISE: u8 = 0x5;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const CONTINUATION: u8 = 0x9;

pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const WITH_PRIORITY: u8 = 0x20;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    frame_that_says(payload.len(), kind, flags, stream, payload)
}

/// A frame whose length is what it says and not what it has.
pub fn frame_that_says(length: usize, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).expect("a length has 24 bits").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// One setting.
pub fn setting(id: u16, value: u32) -> Vec<u8> {
    [id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()
}

/// A field as it is, never indexed (RFC 7541 §6.2.3).
pub fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = vec![0x10];
    for text in [name.as_ref(), value.as_ref()] {
        integer(&mut bytes, text.len());
        bytes.extend(text);
    }
    bytes
}

/// A length of a string that is not compressed (RFC 7541 §5.1).
fn integer(bytes: &mut Vec<u8>, mut value: usize) {
    const PREFIX: usize = 0x7f;
    if value < PREFIX {
        bytes.push(value as u8);
        return;
    }
    bytes.push(PREFIX as u8);
    value -= PREFIX;
    while value >= 0x80 {
        bytes.push((value % 0x80) as u8 | 0x80);
        value /= 0x80;
    }
    bytes.push(value as u8);
}

/// The fields of a header section, as they are.
pub fn fields(pairs: &[(&str, &str)]) -> Vec<u8> {
    pairs
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

/// A whole `GET`.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let head = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "test"),
        (":path", path),
    ];
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&head))
}

/// The head of a `POST` that has a body.
pub fn post(stream: u32, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "test"),
        (":path", path),
    ];
    let block = [fields(&head), fields(more)].concat();
    frame(HEADERS, END_HEADERS, stream, &block)
}

/// What came of a stream, or of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    Reset(u32),
    GoAway(u32),
    Closed,
}

/// A frame of the host.
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A connection that has said that it speaks HTTP/2.
pub struct Client {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
}

impl Client {
    pub async fn open(address: SocketAddr) -> Self {
        Self::with(address, &[]).await
    }

    /// With these settings.
    pub async fn with(address: SocketAddr, settings: &[u8]) -> Self {
        let stream = soon("a connection", TcpStream::connect(address))
            .await
            .expect("the host accepts");
        let (from, mut to) = stream.into_split();
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
        to.write_all(&hello).await.expect("the host reads");
        Self { from, to }
    }

    /// Sends as much as the host takes.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        soon("the host to read", self.to.write_all(bytes)).await.is_ok()
    }

    /// The next frame; `None` once the host has closed the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        soon("a frame of the host", read(&mut self.from)).await
    }

    /// Sends, and reads until it is clear what comes of `stream`.
    pub async fn outcome(&mut self, bytes: &[u8], stream: u32) -> Outcome {
        let Self { from, to } = self;
        let sending = async {
            // The host may have closed the connection by then.
            let _ = to.write_all(bytes).await;
        };
        let reading = async {
            loop {
                let Some(frame) = read(from).await else {
                    return Outcome::Closed;
                };
                match frame.kind {
                    GOAWAY => return Outcome::GoAway(code(&frame.payload[4..])),
                    RST_STREAM if frame.stream == stream => return Outcome::Reset(code(&frame.payload)),
                    HEADERS if frame.stream == stream => return Outcome::Status(status(&frame.payload)),
                    _ => {}
                }
            }
        };
        let both = async {
            tokio::select! {
                outcome = reading => outcome,
                // Never ready before the other.
                () = async { sending.await; std::future::pending().await } => Outcome::Closed,
            }
        };
        soon("an outcome of the stream", both).await
    }
}

async fn read(from: &mut OwnedReadHalf) -> Option<Frame> {
    let mut head = [0; 9];
    from.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    from.read_exact(&mut payload).await.ok()?;
    Some(Frame {
        kind: head[3],
        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        payload,
    })
}

pub fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().expect("a code has four bytes"))
}

/// The status of an answer, which is its first field: from the static table, or three digits in Huffman's code.
pub fn status(block: &[u8]) -> u16 {
    // A change of the table's size may stand before it (RFC 7541 §6.3).
    let block = if block[0] & 0xe0 == 0x20 {
        &block[1..]
    } else {
        block
    };
    match block[0] {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        0x48 | 0x08 | 0x18 if block[1] & 0x80 == 0 => {
            let text = std::str::from_utf8(&block[2..5]).expect("digits");
            text.parse().expect("a status is a number")
        }
        0x48 | 0x08 | 0x18 => digits(&block[2..2 + usize::from(block[1] & 0x7f)]),
        other => panic!("a first field that is no status: {other:#x}"),
    }
}

/// Three digits: `0` to `2` have five bits, the others six (RFC 7541 appendix B).
fn digits(bytes: &[u8]) -> u16 {
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut value = 0;
    for _ in 0..3 {
        let five = (0..5).fold(0, |code, _| code << 1 | u16::from(bits.next().unwrap_or(1)));
        let digit = match five {
            0..=2 => five,
            _ => (five << 1 | u16::from(bits.next().unwrap_or(1))) - 0x16,
        };
        value = value * 10 + digit;
    }
    value
}

#[test]
fn fields_and_statuses_are_written_and_read_as_the_standard_says() {
    // RFC 7541 appendix C.2.3, with a length of more than one byte beside it.
    let secret = b"\x10\x08password\x06secret";
    assert_eq!(field("password", "secret"), secret);
    assert_eq!(field("a", "b".repeat(1337))[3..6], [0x7f, 0xba, 0x09]);
    // Appendix C.6.1 has `302`, C.6.2 `307`.
    assert_eq!(status(b"\x48\x82\x64\x02"), 302);
    assert_eq!(status(b"\x48\x83\x64\x0e\xff"), 307);
    assert_eq!(status(b"\x20\x8d"), 404);
}
