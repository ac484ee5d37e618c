//! Guests that try to write more into a response than its parts: what reaches a client is well framed, or it is cut.

use std::fmt::Write as _;

use super::wire::{Answer, answers, talk};
use super::{assert_all, guests, stop};
use crate::harness::{Protocol, TestHost};

const SPLITTING: &str = "CWE-113, RFC 9110 §5.5";
const HOP: &str = "RFC 9110 §7.6.1";

struct Row {
    what: &'static str,
    source: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static [u8])],
    body: &'static str,
    want: Want,
}

#[derive(Clone, Copy, Debug)]
enum Want {
    /// The guest may not do that: a problem with the status 500, and nothing of what it wrote.
    Refused,
    /// It arrives: this status and this body.
    Answer(u16, &'static str),
    /// It arrives as far as it is true, and then the connection is cut.
    Cut,
    /// Refused, or as [`Want::Answer`].
    Either(u16, &'static str),
    /// Refused, or cut, or less arrives than the guest wrote: what it announced, and the connection is in step.
    Less,
}

const INJECTED: &[u8] = b"x\r\ninjected: yes";

const ROWS: &[Row] = &[
    Row {
        what: "CRLF in a value",
        source: SPLITTING,
        status: 200,
        headers: &[("x", INJECTED)],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "LF in a value",
        source: SPLITTING,
        status: 200,
        headers: &[("x", b"x\ninjected: yes")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "CR in a value",
        source: SPLITTING,
        status: 200,
        headers: &[("x", b"x\rinjected: yes")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "a whole response in a value",
        source: SPLITTING,
        status: 200,
        headers: &[("x", b"x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "a zero byte in a value",
        source: SPLITTING,
        status: 200,
        headers: &[("x", b"a\0b")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "an escape in a value",
        source: SPLITTING,
        status: 200,
        headers: &[("x", b"a\x1bb")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "a deletion in a value",
        source: SPLITTING,
        status: 200,
        headers: &[("x", b"a\x7fb")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "opaque bytes in a value",
        source: "RFC 9110 §5.5",
        status: 200,
        headers: &[("x", b"\xff\xfe\x80")],
        body: "b",
        want: Want::Answer(200, "b"),
    },
    Row {
        what: "a tab in a value",
        source: "RFC 9110 §5.5",
        status: 200,
        headers: &[("x", b"a\tb")],
        body: "b",
        want: Want::Answer(200, "b"),
    },
    Row {
        what: "CRLF in a location",
        source: SPLITTING,
        status: 302,
        headers: &[("location", b"/\r\nset-cookie: a=b")],
        body: "",
        want: Want::Refused,
    },
    Row {
        what: "CRLF in a name",
        source: SPLITTING,
        status: 200,
        headers: &[("x\r\ninjected", b"yes")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "a colon in a name",
        source: SPLITTING,
        status: 200,
        headers: &[("x: y\r\ninjected", b"yes")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "a space in a name",
        source: SPLITTING,
        status: 200,
        headers: &[("x y", b"v")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "an empty name",
        source: SPLITTING,
        status: 200,
        headers: &[("", b"v")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "a pseudo-field",
        source: "RFC 9113 §8.3",
        status: 200,
        headers: &[(":status", b"500")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "a name in another alphabet",
        source: SPLITTING,
        status: 200,
        headers: &[("\u{e9}", b"v")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "connection",
        source: HOP,
        status: 200,
        headers: &[("connection", b"upgrade")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "keep-alive",
        source: HOP,
        status: 200,
        headers: &[("keep-alive", b"timeout=5")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "proxy-connection",
        source: HOP,
        status: 200,
        headers: &[("proxy-connection", b"close")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "upgrade",
        source: HOP,
        status: 200,
        headers: &[("upgrade", b"h2c")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "transfer-encoding",
        source: HOP,
        status: 200,
        headers: &[("transfer-encoding", b"chunked")],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "Transfer-Encoding of nothing",
        source: HOP,
        status: 200,
        headers: &[("Transfer-Encoding", b"identity")],
        body: "b",
        want: Want::Refused,
    },
    // These two mean something between others than the host and its client, and pass as any field does, or do not.
    Row {
        what: "te",
        source: HOP,
        status: 200,
        headers: &[("te", b"trailers")],
        body: "b",
        want: Want::Either(200, "b"),
    },
    Row {
        what: "trailer",
        source: "RFC 9110 §6.6.2",
        status: 200,
        headers: &[("trailer", b"content-length, host")],
        body: "b",
        want: Want::Either(200, "b"),
    },
    Row {
        what: "a length as it is",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"5")],
        body: "hello",
        want: Want::Answer(200, "hello"),
    },
    Row {
        what: "a length that is too long",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"50")],
        body: "hello",
        want: Want::Cut,
    },
    Row {
        what: "a length that is too short",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"3")],
        body: "hello",
        want: Want::Less,
    },
    Row {
        what: "a length and no body",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"5")],
        body: "",
        want: Want::Less,
    },
    Row {
        what: "a length of none and a body",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"0")],
        body: "HTTP/1.1 200 OK\r\n\r\n",
        want: Want::Less,
    },
    Row {
        what: "two lengths",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"5"), ("content-length", b"6")],
        body: "hello",
        want: Want::Refused,
    },
    Row {
        what: "the same length twice",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"5"), ("content-length", b"5")],
        body: "hello",
        want: Want::Refused,
    },
    Row {
        what: "a list of lengths",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"5, 5")],
        body: "hello",
        want: Want::Refused,
    },
    Row {
        what: "a length with a sign",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"+5")],
        body: "hello",
        want: Want::Refused,
    },
    Row {
        what: "a length that is no number",
        source: "RFC 9110 §8.6",
        status: 200,
        headers: &[("content-length", b"five")],
        body: "hello",
        want: Want::Refused,
    },
    Row {
        what: "switching protocols",
        source: "RFC 9110 §15.2.2",
        status: 101,
        headers: &[],
        body: "",
        want: Want::Refused,
    },
    Row {
        what: "switching protocols with a body",
        source: "RFC 9110 §15.2.2",
        status: 101,
        headers: &[],
        body: "b",
        want: Want::Refused,
    },
    Row {
        what: "to continue",
        source: "RFC 9110 §15.2",
        status: 100,
        headers: &[],
        body: "",
        want: Want::Refused,
    },
    Row {
        what: "early hints",
        source: "RFC 8297 §2",
        status: 103,
        headers: &[("link", b"</x>")],
        body: "",
        want: Want::Refused,
    },
    Row {
        what: "no content, and a body",
        source: "RFC 9110 §15.3.5",
        status: 204,
        headers: &[],
        body: "HTTP/1.1 200 OK\r\n\r\n",
        want: Want::Answer(204, ""),
    },
    Row {
        what: "no content of a length",
        source: "RFC 9110 §8.6",
        status: 204,
        headers: &[("content-length", b"0")],
        body: "",
        want: Want::Answer(204, ""),
    },
    Row {
        what: "not modified, and a body",
        source: "RFC 9110 §15.4.5",
        status: 304,
        headers: &[],
        body: "HTTP/1.1 200 OK\r\n\r\n",
        want: Want::Answer(304, ""),
    },
    Row {
        what: "a status of two digits",
        source: "RFC 9110 §15",
        status: 42,
        headers: &[],
        body: "",
        want: Want::Refused,
    },
    Row {
        what: "a status of four digits",
        source: "RFC 9110 §15",
        status: 2000,
        headers: &[],
        body: "",
        want: Want::Refused,
    },
    Row {
        what: "a status of no class",
        source: "RFC 9110 §15",
        status: 999,
        headers: &[],
        body: "b",
        want: Want::Either(999, "b"),
    },
    Row {
        what: "a body that is a response",
        source: SPLITTING,
        status: 200,
        headers: &[],
        body: "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ninjected: yes\r\n\r\n",
        want: Want::Answer(200, "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ninjected: yes\r\n\r\n"),
    },
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes text");
        text
    })
}

impl Row {
    fn path(&self, guest: &str) -> String {
        let headers = self
            .headers
            .iter()
            .fold(String::new(), |mut text, (name, value)| {
                write!(text, "&header={}:{}", hex(name.as_bytes()), hex(value)).expect("a string takes text");
                text
            });
        format!(
            "/{guest}/respond?status={}&body={}{headers}",
            self.status,
            hex(self.body.as_bytes())
        )
    }

    /// The length that the guest says, in bytes.
    fn announced(&self) -> usize {
        let length = self.headers.iter().find(|(name, _)| *name == "content-length");
        length
            .and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok())
            .unwrap_or(0)
    }

    /// Whether the connection is still in step is seen by a second request on it.
    async fn over_http_1(&self, host: &TestHost, guest: &str) -> Result<(), String> {
        let text = format!(
            "GET {} HTTP/1.1\r\nhost: test\r\n\r\nGET /{guest}/hello HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n",
            self.path(guest)
        );
        let (said, closed) = talk(host.address, text.as_bytes(), false).await;
        let told = |why: String| {
            format!(
                "- {guest}: {} ({}): {why}: {:?}",
                self.what,
                self.source,
                String::from_utf8_lossy(&said)
            )
        };
        let answers = answers(&said).map_err(&told)?;
        if !closed
            || answers
                .iter()
                .any(|answer| answer.all("injected").next().is_some())
        {
            return Err(told("injected, or never ending".into()));
        }
        if self.fits(&answers) {
            Ok(())
        } else {
            Err(told(format!("wanted {:?}", self.want)))
        }
    }

    fn fits(&self, answers: &[Answer]) -> bool {
        let is_hello = |answer: &Answer| answer.status == 200 && answer.body == b"hello\n" && answer.whole;
        let is_problem = |answer: &Answer| {
            answer.status == 500
                && answer.whole
                && answer.all("content-type").eq(["application/problem+json"])
        };
        let is = |answer: &Answer, status: u16, body: &str| {
            answer.status == status && answer.body == body.as_bytes() && answer.whole
        };
        match (self.want, answers) {
            (Want::Refused, [first, second]) => is_problem(first) && is_hello(second),
            (Want::Answer(status, body), [first, second]) => is(first, status, body) && is_hello(second),
            (Want::Either(status, body), [first, second]) => {
                (is_problem(first) || is(first, status, body)) && is_hello(second)
            }
            (Want::Cut, [only]) => !only.whole,
            (Want::Less, [first, second]) => {
                (is_problem(first) || first.whole && first.body.len() <= self.announced()) && is_hello(second)
            }
            // A guest that was found out late: what was announced came, or less, and the connection ends.
            (Want::Less, [only]) => only.status != 200 || !only.whole || only.body.len() < self.body.len(),
            (Want::Less | Want::Cut, []) => true,
            _ => false,
        }
    }

    /// Over HTTP/2 the client's own implementation reads the frames, and refuses what is malformed.
    async fn over_http_2(&self, host: &TestHost, guest: &str) -> Result<(), String> {
        let connection = host.connect(Protocol::Http2).await;
        let request = http::Request::get(self.path(guest))
            .body(crate::harness::empty())
            .expect("the path is valid");
        let answered = connection.exchange(request).await;
        let fits = match (&answered, self.want) {
            (Ok(answer), Want::Refused) => answer.status == 500,
            (Ok(answer), Want::Answer(status, body)) => answer.status == status && answer.body == body,
            (Ok(answer), Want::Either(status, _)) => answer.status == status || answer.status == 500,
            (Ok(answer), Want::Less) => answer.status == 500 || answer.body.len() <= self.announced(),
            (Ok(_), Want::Cut) => false,
            (Err(_), want) => matches!(want, Want::Cut | Want::Less),
        };
        let injected = answered
            .as_ref()
            .is_ok_and(|answer| answer.headers.contains_key("injected"));
        let in_step = connection.get(&format!("/{guest}/hello")).await.text() == "hello\n";
        if fits && !injected && in_step {
            return Ok(());
        }
        Err(format!(
            "- {guest} over HTTP/2: {} ({}): wanted {:?}, got {answered:?}",
            self.what, self.source, self.want
        ))
    }
}

#[tokio::test]
async fn what_a_guest_writes_reaches_a_client_well_framed_or_not_at_all() {
    let host = guests().await;
    let mut wrong = Vec::new();
    for row in ROWS {
        for guest in ["p2", "p3"] {
            wrong.extend(row.over_http_1(&host, guest).await.err());
            wrong.extend(row.over_http_2(&host, guest).await.err());
        }
    }
    assert_all(ROWS.len(), &wrong);
    stop(host).await;
}
