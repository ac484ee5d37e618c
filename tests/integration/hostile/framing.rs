//! Where a request ends: transfer codings, lengths, chunks and trailers. Whoever shares a connection with others through a
//! proxy must not be able to make the host see another end than the proxy does.

use super::wire::{Row, SMUGGLED, Want, replay};

const CODING: &str = "RFC 9112 §6.1";
const LENGTH: &str = "RFC 9110 §8.6, RFC 9112 §6.3";
const CHUNK: &str = "RFC 9112 §7.1";
const EXTENSION: &str = "RFC 9112 §7.1.1";
const TRAILER: &str = "RFC 9110 §6.5, RFC 9112 §7.1.2";

const REFUSED: Want = Want::Refused(&[400]);
/// `/p2/upload-count` of five bytes.
const FIVE: Want = Want::Answers(&[(200, "{\"bytes\":5}")]);

/// A request that is refused by its head, so that no guest may see it; what follows must not be answered either.
fn never(fields: impl AsRef<[u8]>, body: &str) -> Vec<u8> {
    [
        "POST /p2/never HTTP/1.1\r\nhost: test\r\n".as_bytes(),
        fields.as_ref(),
        b"\r\n\r\n",
        body.as_bytes(),
        SMUGGLED.as_bytes(),
    ]
    .concat()
}

/// An upload that the guest counts.
fn upload(fields: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    [
        "POST /p2/upload-count HTTP/1.1\r\nhost: test\r\nconnection: close\r\n".as_bytes(),
        fields.as_ref(),
        b"\r\n\r\n",
        body.as_ref(),
    ]
    .concat()
}

/// The same with chunks, and with a request behind it that nobody sent.
fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = "POST /p2/upload-count HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
    [head.as_bytes(), body.as_ref(), SMUGGLED.as_bytes()].concat()
}

#[tokio::test]
async fn a_request_has_one_framing() {
    let mut rows = vec![
        // RFC 9112 lets a server go by the coding alone if it then closes the connection.
        Row::new(
            "CL.TE: a length that counts the next request in, beside chunks",
            CODING,
            upload(
                format!(
                    "content-length: {}\r\ntransfer-encoding: chunked",
                    5 + SMUGGLED.len()
                ),
                format!("0\r\n\r\n{SMUGGLED}"),
            ),
            Want::Answers(&[(200, "{\"bytes\":0}")]),
        ),
        Row::new(
            "CL.TE on a connection that would stay open",
            CODING,
            format!(
                "POST /p2/upload-count HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\
                 transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{SMUGGLED}"
            ),
            FIVE,
        ),
        Row::new(
            "TE.CL: chunks with a request in them, beside a length that ends before it",
            CODING,
            upload(
                "transfer-encoding: chunked\r\ncontent-length: 4",
                format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len()),
            ),
            Want::Answers(&[(200, "{\"bytes\":6")]),
        ),
        Row::new(
            "chunks in HTTP/1.0, which has none",
            CODING,
            format!(
                "POST /p2/never HTTP/1.0\r\nhost: test\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n\
                 0\r\n\r\n{SMUGGLED}"
            ),
            REFUSED,
        ),
        Row::new(
            "a name with an underscore is another name",
            "CVE-2019-18277, RFC 9110 §5.1",
            upload("transfer_encoding: chunked\r\ncontent-length: 5", "0\r\n\r\n"),
            FIVE,
        ),
        // A lone line feed may end a line (RFC 9112 §2.2): the coding is a header of its own then, and in force.
        Row::new(
            "a coding behind a lone line feed",
            "RFC 9112 §2.2",
            upload(
                "x: y\ntransfer-encoding: chunked\r\ncontent-length: 3",
                "5\r\nhello\r\n0\r\n\r\n",
            ),
            FIVE,
        ),
    ];
    for field in [
        "Transfer-Encoding: chunked",
        "TRANSFER-ENCODING: CHUNKED",
        "transfer-encoding:\tchunked \t",
    ] {
        let body = format!("5\r\nhello\r\n0\r\n\r\n{SMUGGLED}");
        rows.push(Row::new(format!("{field:?}"), CODING, upload(field, body), FIVE));
    }
    // RFC 9112 would have a 501 for codings that a server does not know; the client is told the same by a 400, and the
    // connection is closed. An empty element of the list could be ignored, and is not.
    for coding in [
        "xchunked",
        "chunkedx",
        "chunk",
        "identity",
        "gzip",
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "chunked, chunked",
        "chunked chunked",
        ", chunked",
        "chunked,",
        "",
        "chunked;q=1",
        "\"chunked\"",
        "\x0bchunked",
        "chunked\0",
        "chun\u{212a}ed",
        "chunked\r\ntransfer-encoding: chunked",
        "identity\r\ntransfer-encoding: chunked",
        "chunked\r\ntransfer-encoding: identity",
        "chunked\r\nTransfer-encoding: x",
        "\r\n chunked",
        "chu\rnked",
    ] {
        for length in ["", "content-length: 5\r\n"] {
            rows.push(Row::new(
                format!("TE.TE: the coding {coding:?} after {length:?}"),
                CODING,
                never(format!("{length}transfer-encoding: {coding}"), "0\r\n\r\n"),
                REFUSED,
            ));
        }
    }
    for field in [
        "transfer-encoding : chunked",
        "transfer-encoding\t: chunked",
        " transfer-encoding: chunked",
        "x: y\r\n transfer-encoding: chunked",
        "x: y\rtransfer-encoding: chunked",
        "transfer-encoding\0: chunked",
        "transfer\r-encoding: chunked",
        "\u{feff}transfer-encoding: chunked",
    ] {
        rows.push(Row::new(
            format!("TE.TE: the line {field:?}"),
            "RFC 9112 §5.1, §5.2",
            never(format!("content-length: 5\r\n{field}"), "0\r\n\r\n"),
            REFUSED,
        ));
    }
    replay(rows).await;
}

#[tokio::test]
async fn a_length_is_a_number_and_one() {
    let mut rows = vec![
        // RFC 9110 lets a server take equal lengths for one.
        Row::new(
            "the same length twice",
            LENGTH,
            upload(
                "content-length: 5\r\ncontent-length: 5",
                format!("hello{SMUGGLED}"),
            ),
            FIVE,
        ),
        Row::new(
            "zeros before the length",
            LENGTH,
            upload(
                "content-length: 0000000000000000000000000005",
                format!("hello{SMUGGLED}"),
            ),
            FIVE,
        ),
        Row::new(
            "white space around the length",
            LENGTH,
            upload("content-length: \t5 \t", "hello"),
            FIVE,
        ),
        Row::new(
            "two lengths that differ",
            LENGTH,
            never("content-length: 5\r\ncontent-length: 6", "hello"),
            REFUSED,
        ),
        Row::new(
            "two lengths, the second of which is no number",
            LENGTH,
            never("content-length: 5\r\ncontent-length: x", "hello"),
            REFUSED,
        ),
        Row::new(
            "a body that ends before its length",
            "RFC 9112 §8",
            upload("content-length: 6", "hello"),
            REFUSED,
        )
        .and_ends(),
        Row::new(
            "a length that no body has time for",
            "RFC 9110 §15.5.14",
            never("content-length: 9223372036854775807\r\nconnection: close", ""),
            Want::Refused(&[413]),
        ),
        Row::new(
            "the largest number of 64 bits",
            LENGTH,
            never("content-length: 18446744073709551615", ""),
            Want::Refused(&[400, 413, 431]),
        ),
        Row::new(
            "GET with a body that is a request",
            "RFC 9110 §9.3.1",
            format!(
                "GET /p2/hello HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{SMUGGLED}",
                SMUGGLED.len()
            ),
            Want::Answers(&[(200, "hello\n")]),
        ),
    ];
    for length in [
        "5, 5",
        "5,5",
        "5, 6",
        "+5",
        "-1",
        "-0",
        "0x5",
        "5 5",
        "5;",
        "5.0",
        "5e0",
        "1_0",
        "",
        "\"5\"",
        "５",
        "5\0",
        "5\x0b",
        "five",
        "99999999999999999999",
        "\r\n 5",
        "5\r6",
    ] {
        rows.push(Row::new(
            format!("the length {length:?}"),
            LENGTH,
            never(format!("content-length: {length}"), "hello"),
            REFUSED,
        ));
    }
    replay(rows).await;
}

#[tokio::test]
async fn chunks_end_where_they_say() {
    let mut rows = Vec::new();
    for body in [
        "g\r\nhello",
        "\r\nhello",
        "-5\r\nhello",
        "+5\r\nhello",
        " 5\r\nhello",
        "0x5\r\nhello",
        "5_0\r\nhello",
        "5.0\r\nhello",
        "5\nhello",
        "5\rhello",
        "5\r\r\nhello",
        "5\0\r\nhello",
        "5 5\r\nhello",
        "\u{ff15}\r\nhello",
        "10000000000000005\r\nhello",
        "fffffffffffffffff\r\nhello",
        "5\r\nhello0",
        "5\r\nhelloX\r\n",
        "5\r\nhello123\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "4\r\nhello\r\n",
        "5\r\nhello\r\n0\n\n",
        "5\r\nhello\r\n0\r\n\rX",
        "5\r\nhello\r\n-0\r\n\r\n",
    ] {
        let body = format!("{body}\r\n0\r\n\r\n");
        rows.push(Row::new(
            format!("the chunks {body:?}"),
            CHUNK,
            chunked(&body),
            REFUSED,
        ));
    }
    for (what, body) in [
        ("a size of 2⁶⁴ − 1", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        ("no last chunk", "5\r\nhello\r\n"),
        ("half a chunk", "5\r\nhel"),
        ("half a size", "5"),
        ("no end after the last chunk", "5\r\nhello\r\n0\r\n"),
    ] {
        let head = "POST /p2/upload-count HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
        rows.push(Row::new(what, "RFC 9112 §8", format!("{head}{body}"), REFUSED).and_ends());
    }
    let zeros = format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(4000));
    // White space behind the size is against the grammar and moves no end: it is taken, as it long was.
    for (what, body) in [
        (
            "letters of both cases in sizes",
            "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ),
        ("white space behind a size", "5 \t\r\nhello\r\n0\r\n\r\n"),
        ("thousands of zeros before a size", zeros.as_str()),
        // It ends nothing here: what stands behind it goes for trailers, and is dropped, until a line is empty.
        (
            "a lone line feed in place of the last line",
            "5\r\nhello\r\n0\r\n\nGET /p3/smuggled HTTP/1.1\r\nhost: test\r\n\r\n",
        ),
        ("a last chunk of many zeros", "5\r\nhello\r\n000000\r\n\r\n"),
    ] {
        let body = format!("{body}{SMUGGLED}");
        rows.push(Row::new(
            what,
            CHUNK,
            upload("transfer-encoding: chunked", body),
            FIVE,
        ));
    }
    replay(rows).await;
}

#[tokio::test]
async fn what_stands_beside_chunks_moves_no_end() {
    let long = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "x".repeat(4000));
    let endless = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "x".repeat(20_000));
    let many: String = (0..20_000).map(|_| "1;abcdefgh\r\nx\r\n").collect();
    let mut rows = Vec::new();
    // Extensions are dropped unread, whatever bytes they have, but for those that end a line.
    for body in [
        "5;a\r\nhello\r\n0\r\n\r\n",
        "5;a=b;c=\"d e\"\r\nhello\r\n0;last\r\n\r\n",
        "5 ; a = b\r\nhello\r\n0\r\n\r\n",
        "5;\0\x01\x7f\u{e9}\r\nhello\r\n0\r\n\r\n",
        long.as_str(),
    ] {
        let what = format!("the extension in {:?}", body.chars().take(20).collect::<String>());
        let body = format!("{body}{SMUGGLED}");
        rows.push(Row::new(
            what,
            EXTENSION,
            upload("transfer-encoding: chunked", body),
            FIVE,
        ));
    }
    for (what, body) in [
        ("a lone line feed in an extension", "5;a\nhello\r\n0\r\n\r\n"),
        (
            "a lone carriage return in an extension",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
        ),
        ("an extension of 20,000 bytes", endless.as_str()),
        ("a flood of short extensions", many.as_str()),
    ] {
        rows.push(Row::new(
            what,
            "RFC 9112 §7.1.1, CVE-2023-39326",
            chunked(body),
            REFUSED,
        ));
    }
    let trailers = |fields: &str| {
        format!(
            "POST /p2/request-trailers HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n{fields}\r\n{SMUGGLED}"
        )
    };
    rows.push(Row::new(
        "a trailer",
        TRAILER,
        trailers("x-a: 1\r\n"),
        Want::Answers(&[(200, "[[\"x-a\",\"1\"]]")]),
    ));
    // They are never merged into the header; those of framing and routing do not even reach the guest.
    rows.push(Row::new(
        "trailers that belong into the header",
        TRAILER,
        trailers("transfer-encoding: gzip\r\nhost: elsewhere\r\nx-a: 1\r\nconnection: keep-alive\r\nupgrade: h2c\r\n"),
        Want::Answers(&[(200, "[[\"x-a\",\"1\"]]")]),
    ));
    rows.push(Row::new(
        "a length as a trailer",
        TRAILER,
        trailers("content-length: 500\r\n"),
        Want::Answers(&[(200, "[")]),
    ));
    // It ends no section: what stands behind it is dropped until a line is empty, and never a request.
    rows.push(Row::new(
        "an end behind a lone line feed",
        TRAILER,
        trailers("x: 1\n\nGET /p3/smuggled HTTP/1.1\r\nhost: test\r\n"),
        Want::Answers(&[(200, "[[\"x\",\"1\"]]")]),
    ));
    let many: String = (0..200).map(|number| format!("x-{number}: v\r\n")).collect();
    let long = format!("x: {}\r\n", "v".repeat(40_000));
    for (what, fields) in [
        ("a trailer without a colon", "x\r\n"),
        ("a trailer with a space before its colon", "x : 1\r\n"),
        ("a trailer that is folded", "x: 1\r\n y\r\n"),
        ("a trailer with a zero byte", "x: \0\r\n"),
        ("a trailer behind a lone line feed", "x: 1\ny: 2\r\n"),
        ("200 trailers", many.as_str()),
        ("a trailer of 40,000 bytes", long.as_str()),
    ] {
        rows.push(Row::new(what, TRAILER, trailers(fields), REFUSED));
    }
    replay(rows).await;
}
