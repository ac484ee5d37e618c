//! Header fields: their grammar, their number and size, and those that speak of the connection.

use super::wire::{NOTHING, Row, SMUGGLED, Want, answers, replay, talk};

const FIELD: &str = "RFC 9112 §5, RFC 9110 §5.1";
const VALUE: &str = "RFC 9110 §5.5";
const CONNECTION: &str = "RFC 9112 §9.3, RFC 9110 §7.6.1";

const REFUSED: Want = Want::Refused(&[400]);
const HELLO: Want = Want::Answers(&[(200, "hello\n")]);

fn never(fields: impl AsRef<[u8]>) -> Vec<u8> {
    let begin: &[u8] = b"GET /p2/never HTTP/1.1\r\nhost: test\r\n";
    [begin, fields.as_ref(), b"\r\n\r\n", SMUGGLED.as_bytes()].concat()
}

fn last(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{fields}\r\n{SMUGGLED}")
}

#[tokio::test]
async fn a_field_is_a_name_and_a_value_on_one_line() {
    let mut rows = Vec::new();
    for field in [
        "x : 1",
        "x\t: 1",
        ": 1",
        ":",
        " : 1",
        "x",
        "x 1",
        "x y: 1",
        "x\0: 1",
        "x\x01: 1",
        "x\x7f: 1",
        "x\x0b: 1",
        "(x): 1",
        "x,y: 1",
        "x/y: 1",
        "x;y: 1",
        "x=y: 1",
        "x\"y: 1",
        "x@y: 1",
        "x[y]: 1",
        "x\\y: 1",
        "x{y}: 1",
        "<x>: 1",
        "\u{e9}: 1",
        "x\u{2028}: 1",
        " x: 1",
        "\tx: 1",
        "x\r: 1",
        "x\ny: 1",
    ] {
        rows.push(Row::new(
            format!("the field {field:?}"),
            FIELD,
            never(field),
            REFUSED,
        ));
    }
    rows.push(Row::new(
        "white space before the first field",
        "RFC 9112 §2.2",
        format!("GET /p2/never HTTP/1.1\r\n x: 1\r\nhost: test\r\n\r\n{SMUGGLED}"),
        REFUSED,
    ));
    for value in [
        "a\0b",
        "a\x01b",
        "a\x08b",
        "a\x0bb",
        "a\x0cb",
        "a\x1bb",
        "a\x7fb",
        "a\rb",
        "a\r\r\nb: c",
        "a\r\n b",
        "a\r\n\tb: c",
        "\0",
        "a\r\n\r b: c\r\n",
    ] {
        rows.push(Row::new(
            format!("the value {value:?}"),
            VALUE,
            never(format!("x: {value}")),
            REFUSED,
        ));
    }
    // Bytes over 127 are opaque data, and white space around a value is none of it.
    for (value, seen) in [
        ("a\u{e9}b", Want::Answers(&[(200, "[\"x\",\"a\u{e9}b\"]")])),
        (" \t a\tb \t ", Want::Answers(&[(200, "[\"x\",\"a\\tb\"]")])),
        ("", Want::Answers(&[(200, "[\"x\",\"\"]")])),
        ("a%0d%0ay: b", Want::Answers(&[(200, "[\"x\",\"a%0d%0ay: b\"]")])),
        // May end a line, so it does, and the next one is a field.
        ("a\ny: b", Want::Answers(&[(200, "[\"y\",\"b\"]")])),
    ] {
        let bytes = last("/p2/headers", &format!("x: {value}\r\n"));
        rows.push(Row::new(format!("the value {value:?}"), VALUE, bytes, seen));
    }
    replay(rows).await;
}

#[tokio::test]
async fn a_head_is_bounded_by_bytes_and_by_fields() {
    let many = |count: usize| {
        (0..count)
            .map(|number| format!("x-{number}: v\r\n"))
            .collect::<String>()
    };
    let name = |count: usize| format!("{}: v\r\n", "n".repeat(count));
    let value = |count: usize| format!("x: {}\r\n", "v".repeat(count));
    let flood = "x: v\r\n".repeat(200_000);
    let rows = vec![
        Row::new(
            "98 fields beside two others",
            "RFC 6585 §5",
            last("/p2/hello", &many(98)),
            HELLO,
        ),
        Row::new(
            "99 fields beside two others",
            "RFC 6585 §5",
            last("/p2/never", &many(99)),
            Want::Refused(&[431]),
        ),
        Row::new(
            "1,000 fields",
            "RFC 6585 §5",
            last("/p2/never", &many(1000)),
            Want::Refused(&[431]),
        ),
        Row::new(
            "a value of 30,000 bytes",
            "RFC 6585 §5",
            last("/p2/hello", &value(30_000)),
            HELLO,
        ),
        Row::new(
            "a value of 33,000 bytes",
            "RFC 6585 §5",
            last("/p2/never", &value(33_000)),
            Want::Refused(&[431]),
        ),
        Row::new(
            "a value of 1,000,000 bytes",
            "RFC 6585 §5",
            last("/p2/never", &value(1_000_000)),
            Want::Refused(&[431]),
        ),
        Row::new(
            "a name of 33,000 bytes",
            "RFC 6585 §5",
            last("/p2/never", &name(33_000)),
            Want::Refused(&[431]),
        ),
        // A name may have 64 KiB less one where it is read; what is longer is an end without an answer, if it is read at all.
        Row::new(
            "a name of 70,000 bytes",
            "RFC 6585 §5",
            last("/p2/never", &name(70_000)),
            Want::Refused(&[400, 431, NOTHING]),
        ),
        Row::new(
            "200,000 fields and no end",
            "RFC 6585 §5, WSTG-BUSL-07",
            never(&flood),
            Want::Refused(&[431]),
        ),
        Row::new(
            "a line without an end",
            "RFC 6585 §5",
            never("x".repeat(1_000_000)),
            Want::Refused(&[400, 431]),
        ),
        Row::new(
            "empty lines without a request",
            "RFC 9112 §2.2",
            "\r\n".repeat(300_000),
            Want::Refused(&[400, 431, NOTHING]),
        )
        .and_ends(),
    ];
    replay(rows).await;
}

#[tokio::test]
async fn a_connection_ends_when_one_of_both_says_so() {
    let get = |version: &str, fields: &str| {
        format!("GET /p2/hello HTTP/{version}\r\nhost: test\r\n{fields}\r\n{SMUGGLED}")
    };
    let again = |version: &str, fields: &str| {
        format!(
            "GET /p2/hello HTTP/{version}\r\nhost: test\r\n{fields}\r\nGET /p3/hello HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
        )
    };
    const TWICE: Want = Want::Answers(&[(200, "hello\n"), (200, "hello\n")]);
    let rows = vec![
        Row::new("close", CONNECTION, get("1.1", "connection: close\r\n"), HELLO),
        Row::new(
            "CLOSE among others",
            CONNECTION,
            get("1.1", "connection: x, CLOSE ,y\r\n"),
            HELLO,
        ),
        Row::new(
            "close, keep-alive",
            CONNECTION,
            get("1.1", "connection: close, keep-alive\r\n"),
            HELLO,
        ),
        Row::new(
            "keep-alive, close",
            CONNECTION,
            get("1.1", "connection: keep-alive, close\r\n"),
            HELLO,
        ),
        Row::new(
            "close, then keep-alive",
            CONNECTION,
            get("1.1", "connection: close\r\nconnection: keep-alive\r\n"),
            HELLO,
        ),
        Row::new(
            "keep-alive, then close",
            CONNECTION,
            get("1.1", "connection: keep-alive\r\nconnection: close\r\n"),
            HELLO,
        ),
        Row::new("HTTP/1.0", CONNECTION, get("1.0", ""), HELLO),
        Row::new(
            "HTTP/1.0 with close and keep-alive",
            CONNECTION,
            get("1.0", "connection: keep-alive, close\r\n"),
            HELLO,
        ),
        // A body whose length nobody says ends with the connection, whatever was agreed on (RFC 9112 §6.3).
        Row::new(
            "HTTP/1.0 with keep-alive, and a body without a length",
            CONNECTION,
            get("1.0", "connection: keep-alive\r\n"),
            HELLO,
        ),
        Row::new(
            "HTTP/1.0 with keep-alive",
            "RFC 9112 appendix C.2.2",
            again("1.0", "connection: keep-alive\r\n").replacen("/p2/hello", "/p2/empty", 1),
            Want::Answers(&[(200, ""), (200, "hello\n")]),
        ),
        // What a hop names as its own is not taken away: a client can make no field of another vanish.
        Row::new(
            "a field that is said to be of the hop",
            "RFC 9110 §7.6.1",
            last(
                "/p2/headers",
                "connection: authorization, x\r\nauthorization: secret\r\n",
            ),
            Want::Answers(&[(200, "[\"authorization\",\"secret\"]")]),
        ),
        Row::new(
            "an upgrade to HTTP/2",
            "RFC 9113 §3.1",
            again(
                "1.1",
                "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
            ),
            TWICE,
        ),
        Row::new(
            "an upgrade to WebSocket",
            "RFC 6455 §4.2.2",
            again(
                "1.1",
                "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n",
            ),
            TWICE,
        ),
        Row::new(
            "an upgrade to TLS",
            "RFC 2817 §3.1",
            again("1.1", "connection: upgrade\r\nupgrade: TLS/1.2\r\n"),
            TWICE,
        ),
        Row::new(
            "an upgrade that the guest agrees to",
            "RFC 9110 §15.2.2",
            format!(
                "GET /p2/status/101 HTTP/1.1\r\nhost: test\r\nconnection: upgrade, close\r\nupgrade: x\r\n\r\n{SMUGGLED}"
            ),
            Want::Answers(&[(500, "problem")]),
        ),
    ];
    replay(rows).await;
}

#[tokio::test]
async fn a_client_is_told_to_continue_if_it_asks_and_there_is_something_to_send() {
    let post = |version: &str, expect: &str, body: &str| {
        format!(
            "POST /p2/upload-count HTTP/{version}\r\nhost: test\r\nconnection: close\r\nexpect: {expect}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let host = super::guests().await;
    let mut wrong = Vec::new();
    let rows: [(&str, String, &[u16]); 7] = [
        ("as it should be", post("1.1", "100-continue", "hello"), &[100]),
        ("in capitals", post("1.1", "100-Continue", "hello"), &[100]),
        ("without a body", post("1.1", "100-continue", ""), &[]),
        // A server may ignore what it does not know, and must ignore all of it in HTTP/1.0 (RFC 9110 §10.1.1).
        ("something else", post("1.1", "200-ok", "hello"), &[]),
        ("two things", post("1.1", "100-continue, 200-ok", "hello"), &[]),
        ("with a parameter", post("1.1", "100-continue;q=1", "hello"), &[]),
        ("in HTTP/1.0", post("1.0", "100-continue", "hello"), &[]),
    ];
    for (what, bytes, interim) in &rows {
        let (said, closed) = talk(host.address, bytes.as_bytes(), false).await;
        let fits = answers(&said).is_ok_and(|answers| match answers.as_slice() {
            [answer] => answer.status == 200 && answer.interim == *interim && answer.whole,
            _ => false,
        });
        if !closed || !fits {
            wrong.push(format!(
                "- {what} (RFC 9110 §10.1.1): {:?}",
                String::from_utf8_lossy(&said)
            ));
        }
    }
    super::assert_all(rows.len(), &wrong);
    super::stop(host).await;
}
