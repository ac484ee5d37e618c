//! Malformed requests.

use super::frame::{DATA, END_HEADERS, END_STREAM, HEADERS, field, fields, frame, post};
use super::{COMPRESSION_ERROR, HEAD, MALFORMED, PROTOCOL_ERROR, Row, Want, replay};

const PSEUDO: &str = "RFC 9113 §8.3";
const FIELDS: &str = "RFC 9113 §8.2.1";
const HOP: &str = "RFC 9113 §8.2.2";
const OK: &[Want] = &[Want::Status(200)];

fn head(block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
}

/// The head of [`HEAD`] with something after it.
fn with(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    head(&[fields(&HEAD), field(name, value)].concat())
}

/// The head of [`HEAD`] with another value.
fn but(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let block: Vec<u8> = HEAD
        .iter()
        .flat_map(|(key, usual)| {
            if *key == name {
                field(key, value.as_ref())
            } else {
                field(key, usual)
            }
        })
        .collect();
    head(&block)
}

fn without(name: &str) -> Vec<u8> {
    let block: Vec<u8> = HEAD
        .iter()
        .filter(|(key, _)| *key != name)
        .flat_map(|(key, value)| field(key, value))
        .collect();
    head(&block)
}

#[tokio::test]
async fn a_request_has_each_pseudo_field_once_and_first() {
    let mut rows = Vec::new();
    for (name, value) in HEAD {
        rows.push(Row::new(format!("no {name}"), PSEUDO, without(name), MALFORMED));
        rows.push(Row::new(
            format!("{name} twice"),
            PSEUDO,
            with(name, value),
            MALFORMED,
        ));
        let block = [field("x", "y"), fields(&HEAD)].concat();
        rows.push(Row::new(
            format!("a field before {name}"),
            PSEUDO,
            head(&block),
            MALFORMED,
        ));
    }
    for (name, value) in [
        (":status", "200"),
        (":protocol", "websocket"),
        (":unknown", "x"),
        (":", "x"),
        (":Path", "/p2/never"),
        ("::path", "/"),
    ] {
        let block = [field(name, value), fields(&HEAD)].concat();
        rows.push(Row::new(
            format!("the pseudo-field {name}"),
            PSEUDO,
            head(&block),
            MALFORMED,
        ));
    }
    for path in [
        "",
        "p2/never",
        "*never",
        " /p2/never",
        "/p2/ne ver",
        "/p2/never\r\nx: y",
        "/p2/never\n",
        "/p2/never\0",
        "/p2/never\x7f",
        "/p2/<never>",
        "http://test/p2/never",
    ] {
        rows.push(Row::new(
            format!("the path {path:?}"),
            "RFC 9113 §8.3.1",
            but(":path", path),
            MALFORMED,
        ));
    }
    rows.push(Row::new(
        "a path that is no UTF-8",
        "RFC 9113 §8.3.1",
        but(":path", b"/p2/never\xff"),
        MALFORMED,
    ));
    for authority in [
        "user@test",
        "test/p2",
        "te st",
        "test:99999",
        "test:x",
        "[::1",
        "test\r\nx: y",
        "test\0",
        "",
        "a, b",
        "test#",
    ] {
        rows.push(Row::new(
            format!("the authority {authority:?}"),
            "RFC 9113 §8.3.1",
            but(":authority", authority),
            MALFORMED,
        ));
    }
    for scheme in ["", "ftp", "javascript", "ht tp", "http://", "http\0"] {
        rows.push(Row::new(
            format!("the scheme {scheme:?}"),
            "RFC 9113 §8.3.1",
            but(":scheme", scheme),
            MALFORMED,
        ));
    }
    for method in [
        "",
        "G ET",
        "GET\r\n",
        "G\0T",
        "G(T)",
        "GET /p3/smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        rows.push(Row::new(
            format!("the method {method:?}"),
            "RFC 9113 §8.3.1",
            but(":method", method),
            MALFORMED,
        ));
    }
    rows.push(Row::new(
        "a host that differs from the authority",
        "RFC 9113 §8.3.1",
        with("host", "elsewhere"),
        MALFORMED,
    ));
    rows.push(Row::new(
        "two hosts that agree",
        "RFC 9110 §7.2",
        head(&[fields(&HEAD), field("host", "test"), field("host", "test")].concat()),
        MALFORMED,
    ));
    // A tunnel is refused, and so is one of the extended kind.
    rows.push(Row::new(
        "a tunnel",
        "RFC 9113 §8.5",
        head(&fields(&[(":method", "CONNECT"), (":authority", "test:443")])),
        &[Want::Status(405)],
    ));
    rows.push(Row::new(
        "a tunnel with a path",
        "RFC 9113 §8.5",
        but(":method", "CONNECT"),
        MALFORMED,
    ));
    let extended = [
        fields(&[(":method", "CONNECT"), (":protocol", "websocket")]),
        fields(&HEAD[1..]),
    ]
    .concat();
    rows.push(Row::new(
        "an extended tunnel",
        "RFC 8441 §4",
        head(&extended),
        MALFORMED,
    ));
    // What reads a path drops a fragment, which no client sends; the guest never sees it.
    rows.push(Row::new(
        "a path with a fragment",
        "RFC 9113 §8.3.1",
        but(":path", "/p2/hello#/../p3/never"),
        OK,
    ));
    rows.push(Row::new(
        "a host that agrees",
        "RFC 9113 §8.3.1",
        head(
            &[
                fields(&HEAD[..3]),
                field(":path", "/p2/hello"),
                field("host", "TEST:80"),
            ]
            .concat(),
        ),
        OK,
    ));
    replay(rows).await;
}

#[tokio::test]
async fn fields_that_http_1_would_take_for_framing_are_refused() {
    let mut rows = Vec::new();
    for name in [
        "X",
        "Host",
        "x y",
        "x\r\ny",
        "x\0",
        "x:",
        "",
        "x\u{e9}",
        "(x)",
        "x\x7f",
        "transfer-encoding ",
    ] {
        rows.push(Row::new(
            format!("the name {name:?}"),
            FIELDS,
            with(name, "v"),
            &[
                Want::Reset,
                Want::Status(400),
                Want::GoAway(PROTOCOL_ERROR),
                Want::GoAway(COMPRESSION_ERROR),
            ],
        ));
    }
    for value in [
        "a\r\nx: y",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\x01",
        "a\x7f",
        "\r\n",
        "\0",
        "a\r\n\r\nGET /p3/smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        rows.push(Row::new(
            format!("the value {value:?}"),
            FIELDS,
            with("x", value),
            MALFORMED,
        ));
    }
    for (name, value) in [
        ("connection", "close"),
        ("connection", "x"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
    ] {
        rows.push(Row::new(
            format!("{name}: {value}"),
            HOP,
            with(name, value),
            MALFORMED,
        ));
    }
    let data = |bytes: &str| frame(DATA, END_STREAM, 1, bytes.as_bytes());
    for length in [
        "4",
        "6",
        "+5",
        "-1",
        "5, 5",
        "0x5",
        "",
        "99999999999999999999",
        "5 ",
    ] {
        let frames = [
            post(1, "/p2/upload-count", &[("content-length", length)]),
            data("hello"),
        ]
        .concat();
        rows.push(Row::new(
            format!("the length {length:?} of five bytes"),
            "RFC 9113 §8.1.1",
            frames,
            MALFORMED,
        ));
    }
    let twice = [
        post(
            1,
            "/p2/upload-count",
            &[("content-length", "5"), ("content-length", "6")],
        ),
        data("hello"),
    ]
    .concat();
    rows.push(Row::new("two lengths", "RFC 9113 §8.1.1", twice, MALFORMED));
    let downgrade = [
        post(1, "/p2/upload-count", &[("content-length", "0")]),
        data("GET /p3/smuggled HTTP/1.1\r\nhost: x\r\n\r\n"),
    ]
    .concat();
    rows.push(Row::new(
        "H2.CL: a request after a length of none",
        "RFC 9113 §8.1.1, CWE-444",
        downgrade,
        MALFORMED,
    ));
    rows.push(Row::new(
        "a length and no body",
        "RFC 9113 §8.1.1",
        with("content-length", "5"),
        MALFORMED,
    ));
    let trailers = |block: &[u8], flags| {
        [
            post(1, "/p2/upload-count", &[]),
            frame(DATA, 0, 1, b"hello"),
            frame(HEADERS, flags, 1, block),
        ]
        .concat()
    };
    // It is dropped where it is read, so that the guest meets trailers without it.
    rows.push(Row::new(
        "a pseudo-field among trailers",
        "RFC 9113 §8.1",
        trailers(&field(":path", "/p3/smuggled"), END_HEADERS | END_STREAM),
        &[Want::Reset, Want::Status(200)],
    ));
    rows.push(Row::new(
        "a second head in the middle",
        "RFC 9113 §8.1",
        trailers(&fields(&HEAD), END_HEADERS),
        MALFORMED,
    ));
    rows.push(Row::new(
        "an upper-case trailer",
        FIELDS,
        trailers(&field("X-A", "1"), END_HEADERS | END_STREAM),
        MALFORMED,
    ));
    rows.push(Row::new(
        "trailers",
        "RFC 9113 §8.1",
        trailers(&field("x-a", "1"), END_HEADERS | END_STREAM),
        OK,
    ));
    rows.push(Row::new(
        "te: trailers",
        HOP,
        head(
            &[
                fields(&HEAD[..3]),
                field(":path", "/p2/hello"),
                field("te", "trailers"),
            ]
            .concat(),
        ),
        OK,
    ));
    replay(rows).await;
}
