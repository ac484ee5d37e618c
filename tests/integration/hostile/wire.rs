//! Rows of bytes, how they are replayed, and a reader of answers that forgives nothing.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{PATIENCE, TestHost, soon};

/// In the statuses of [`Want::Refused`]: the connection is closed without an answer.
pub const NOTHING: u16 = 0;

/// A request that must never be answered. Whoever takes the end of the bytes before it for an earlier one would answer it.
pub const SMUGGLED: &str = "GET /p3/smuggled HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";

/// Bytes that a client sends on a connection of its own, and what must come of it.
pub struct Row {
    pub what: String,
    /// The standard that says so, or the name of the attack.
    pub source: &'static str,
    pub bytes: Vec<u8>,
    /// Whether the client says that it sends no more.
    pub ends: bool,
    pub want: Want,
}

#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// One answer at most, with one of these statuses, and then the connection is closed, whatever else was sent.
    Refused(&'static [u16]),
    /// These answers, by their statuses and what their bodies contain, and no other, and then the connection is closed.
    Answers(&'static [(u16, &'static str)]),
}

impl Row {
    pub fn new(what: impl Into<String>, source: &'static str, bytes: impl Into<Vec<u8>>, want: Want) -> Self {
        Self {
            what: what.into(),
            source,
            bytes: bytes.into(),
            ends: false,
            want,
        }
    }

    /// The client ends after its bytes: what they begin never comes to its end.
    pub fn and_ends(mut self) -> Self {
        self.ends = true;
        self
    }

    async fn replay(&self, host: &TestHost) -> Result<(), String> {
        let (said, closed) = talk(host.address, &self.bytes, self.ends).await;
        let told = |why: &str| {
            let text: String = String::from_utf8_lossy(&said).chars().take(600).collect();
            format!("- {} ({}): {why}; the host said {text:?}", self.what, self.source)
        };
        if !closed {
            return Err(told("the connection stays open"));
        }
        let answers = answers(&said).map_err(|why| told(&why))?;
        if answers.iter().any(|answer| !answer.whole) {
            return Err(told("an answer is not whole"));
        }
        match self.want {
            Want::Refused(statuses) => match answers.as_slice() {
                [] if statuses.contains(&NOTHING) => Ok(()),
                [answer] if statuses.contains(&answer.status) => Ok(()),
                _ => Err(told(&format!("should be refused with one of {statuses:?}"))),
            },
            Want::Answers(wanted) => {
                let fit = answers.len() == wanted.len()
                    && answers.iter().zip(wanted).all(|(answer, (status, text))| {
                        answer.status == *status && String::from_utf8_lossy(&answer.body).contains(text)
                    });
                if fit {
                    Ok(())
                } else {
                    Err(told(&format!("should be answered with {wanted:?}")))
                }
            }
        }
    }
}

/// Replays every row, one after another, and fails with all that went wrong.
pub async fn replay(rows: Vec<Row>) {
    let host = super::guests().await;
    let mut wrong = Vec::new();
    for row in &rows {
        wrong.extend(row.replay(&host).await.err());
    }
    super::assert_all(rows.len(), &wrong);
    super::stop(host).await;
}

/// Sends bytes as they are and reads what the host says until it closes the connection, if it does.
pub async fn talk(address: SocketAddr, bytes: &[u8], ends: bool) -> (Vec<u8>, bool) {
    let stream = soon("a connection", TcpStream::connect(address))
        .await
        .expect("the host accepts");
    let (mut from, mut to) = stream.into_split();
    let mut said = Vec::new();
    let sending = async {
        // The host may close before it has read everything: what it said still counts.
        if to.write_all(bytes).await.is_ok() && ends {
            let _ = to.shutdown().await;
        }
        to
    };
    let exchange = async { tokio::join!(sending, from.read_to_end(&mut said)) };
    let closed = tokio::time::timeout(PATIENCE, exchange).await.is_ok();
    (said, closed)
}

/// One answer of HTTP/1.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Statuses of the interim answers before it.
    pub interim: Vec<u16>,
    /// Whether it came to the end that its framing announced.
    pub whole: bool,
}

impl Answer {
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_this_name = self.headers.iter().filter(move |(key, _)| key == name);
        of_this_name.map(|(_, value)| value.as_str())
    }
}

/// Takes what a host said apart by RFC 9112. An error where that is not exactly a row of answers to requests other than HEAD.
pub fn answers(mut said: &[u8]) -> Result<Vec<Answer>, String> {
    let mut answers = Vec::new();
    let mut interim = Vec::new();
    while !said.is_empty() {
        let end = find(said, b"\r\n\r\n").ok_or("a head without an end")?;
        let (status, headers) = head(&said[..end])?;
        said = &said[end + 4..];
        if (100..200).contains(&status) {
            if status == 101 {
                return Err("the host switches protocols".into());
            }
            interim.push(status);
            continue;
        }
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
            interim: std::mem::take(&mut interim),
            whole: true,
        };
        said = body(&mut answer, said)?;
        answers.push(answer);
    }
    Ok(answers)
}

fn head(bytes: &[u8]) -> Result<(u16, Vec<(String, String)>), String> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let status = line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| line.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| format!("the status line {line:?}"))?;
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("the header line {line:?}"))?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(format!("the header name {name:?}"));
        }
        if value.chars().any(|c| c.is_ascii_control() && c != '\t') {
            return Err(format!("the header value {value:?}"));
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok((status, headers))
}

/// The body by its framing; gives back what follows.
fn body<'a>(answer: &mut Answer, said: &'a [u8]) -> Result<&'a [u8], String> {
    let lengths: Vec<_> = answer.all("content-length").map(str::to_owned).collect();
    let codings: Vec<_> = answer.all("transfer-encoding").map(str::to_owned).collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], [coding]) if coding == "chunked" => chunks(answer, said),
        ([length], []) => {
            let length: usize = length.parse().map_err(|_| format!("the length {length:?}"))?;
            if answer.status == 204 {
                return Err("a 204 has no length".into());
            }
            let length = if answer.status == 304 { 0 } else { length };
            answer.whole = said.len() >= length;
            let (body, rest) = said.split_at(length.min(said.len()));
            answer.body = body.to_vec();
            Ok(rest)
        }
        ([], []) if matches!(answer.status, 204 | 304) => Ok(said),
        ([], []) => {
            // Everything until the connection is closed.
            answer.body = said.to_vec();
            Ok(&[])
        }
        _ => Err(format!("the lengths {lengths:?} beside the codings {codings:?}")),
    }
}

fn chunks<'a>(answer: &mut Answer, mut said: &'a [u8]) -> Result<&'a [u8], String> {
    loop {
        let Some(end) = find(said, b"\r\n") else {
            answer.whole = false;
            return Ok(&[]);
        };
        let size = std::str::from_utf8(&said[..end]).unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(|_| format!("the chunk size {size:?}"))?;
        if size == 0 {
            let mut rest = &said[end..];
            // The trailers, and the empty line after them.
            while let Some(line) = find(&rest[2..], b"\r\n") {
                rest = &rest[line + 2..];
                if line == 0 {
                    return Ok(&rest[2..]);
                }
            }
            answer.whole = false;
            return Ok(&[]);
        }
        said = &said[end + 2..];
        if said.len() < size + 2 {
            answer.whole = false;
            return Ok(&[]);
        }
        answer.body.extend_from_slice(&said[..size]);
        if &said[size..size + 2] != b"\r\n" {
            return Err("a chunk that does not end where it says".into());
        }
        said = &said[size + 2..];
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[test]
fn the_reader_takes_answers_apart_and_forgives_nothing() {
    let said = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n\
                 HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nhalf";
    let read = answers(said).expect("well framed");
    let seen: Vec<_> = read
        .iter()
        .map(|a| (a.status, a.body.as_slice(), a.whole))
        .collect();
    let wanted: [(u16, &[u8], bool); 3] = [(200, b"abc", true), (204, b"", true), (404, b"half", false)];
    assert_eq!(seen, wanted);
    assert_eq!(read[0].interim, [100]);
    for broken in [
        "HTTP/1.1 200 OK\r\nx: a\nb: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxy",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n",
    ] {
        assert!(answers(broken.as_bytes()).is_err(), "{broken:?}");
    }
}
