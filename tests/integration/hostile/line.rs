//! The request line, and who a request is for.

use super::wire::{NOTHING, Row, SMUGGLED, Want, replay};

const LINE: &str = "RFC 9112 §3";
const METHOD: &str = "RFC 9110 §9.1";
const VERSION: &str = "RFC 9112 §2.3";
const TARGET: &str = "RFC 9112 §3.2";
const HOST: &str = "RFC 9112 §3.2, RFC 9110 §7.2";

const REFUSED: Want = Want::Refused(&[400]);
const HELLO: Want = Want::Answers(&[(200, "hello\n")]);

fn line(line: impl AsRef<[u8]>) -> Vec<u8> {
    [line.as_ref(), b"\r\nhost: test\r\n\r\n", SMUGGLED.as_bytes()].concat()
}

/// One request, after which the client wants the connection closed.
fn last(line: impl AsRef<[u8]>, fields: &str) -> Vec<u8> {
    let fields = format!("\r\nconnection: close\r\n{fields}\r\n{SMUGGLED}");
    [line.as_ref(), fields.as_bytes()].concat()
}

#[tokio::test]
async fn a_request_line_is_a_method_a_target_and_a_version() {
    let mut rows = vec![
        Row::new(
            "HTTP/0.9",
            "RFC 9112 §2.3, RFC 1945 §3.1",
            "GET /p2/never\r\n\r\n",
            REFUSED,
        ),
        Row::new(
            "HTTP/0.9 with a field",
            LINE,
            "GET /p2/never\r\nhost: test\r\n\r\n",
            REFUSED,
        ),
        Row::new(
            "empty lines before the request line",
            "RFC 9112 §2.2",
            [
                b"\r\n\r\n".to_vec(),
                last("GET /p2/hello HTTP/1.1", "host: test\r\n"),
            ]
            .concat(),
            HELLO,
        ),
        // May be taken for lines (RFC 9112 §2.2), and then all of them are.
        Row::new(
            "lone line feeds",
            "RFC 9112 §2.2",
            "GET /p2/hello HTTP/1.1\nhost: test\nconnection: close\n\n",
            HELLO,
        ),
        Row::new(
            "lone carriage returns",
            "RFC 9112 §2.2",
            "GET /p2/never HTTP/1.1\rhost: test\r\r",
            Want::Refused(&[400, NOTHING]),
        )
        .and_ends(),
        Row::new(
            "half a line",
            "RFC 9112 §8",
            "GET /p2/nev",
            Want::Refused(&[400, NOTHING]),
        )
        .and_ends(),
        Row::new(
            "half a head",
            "RFC 9112 §8",
            "GET /p2/never HTTP/1.1\r\nhost: te",
            Want::Refused(&[400, NOTHING]),
        )
        .and_ends(),
        Row::new(
            "a TLS handshake",
            LINE,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            REFUSED,
        ),
        Row::new(
            "half of what begins HTTP/2",
            "RFC 9113 §3.4",
            "PRI * HTTP/2.0\r\n\r\nGET /p3/smuggled HTTP/1.1\r\n\r\n",
            Want::Refused(&[400, NOTHING]),
        ),
    ];
    for text in [
        "GET  /p2/never HTTP/1.1",
        "GET\t/p2/never HTTP/1.1",
        "GET /p2/never\tHTTP/1.1",
        "GET /p2/never  HTTP/1.1",
        "GET /p2/never HTTP/1.1 ",
        " GET /p2/never HTTP/1.1",
        "GET /p2/ne ver HTTP/1.1",
        "GET /p2/never HTTP/1.1 HTTP/1.1",
        "GET HTTP/1.1",
        "GET /p2/never\x0bHTTP/1.1",
        "GET\r/p2/never HTTP/1.1",
        "/p2/never HTTP/1.1",
    ] {
        rows.push(Row::new(format!("the line {text:?}"), LINE, line(text), REFUSED));
    }
    for version in [
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/3.0",
        "HTTP/1.2",
        "HTTP/1.10",
        "HTTP/1.",
        "HTTP/1",
        "HTTP/.1",
        "HTTP/01.1",
        "HTTP/11",
        "HTTP/0.9",
        "HTTP/-1.1",
        "HTTP/ 1.1",
        "HTTP/1.1x",
        "http/1.1",
        "HTTP 1.1",
        "HTTPS/1.1",
        "ICY/1.1",
        "HTTP/1,1",
        "HTTP/\u{ff11}.1",
    ] {
        let text = format!("GET /p2/never {version}");
        rows.push(Row::new(
            format!("the version {version:?}"),
            VERSION,
            line(text),
            REFUSED,
        ));
    }
    for method in [
        "G(T",
        "G,T",
        "G\"T",
        "G/T",
        "G:T",
        "G;T",
        "G<T",
        "G@T",
        "G[T",
        "G\\T",
        "G{T",
        "G\0T",
        "G\x7fT",
        "G\u{e9}T",
        "\u{feff}GET",
    ] {
        let text = format!("{method} /p2/never HTTP/1.1");
        rows.push(Row::new(
            format!("the method {method:?}"),
            METHOD,
            line(text),
            REFUSED,
        ));
    }
    // A method is case-sensitive and any token; the guest sees it as it is.
    for (method, seen) in [
        ("get", Want::Answers(&[(200, "\"method\":\"get\"")])),
        (
            "G!#$%&'*+-.^_`|~1T",
            Want::Answers(&[(200, "\"method\":\"G!#$%&'*+-.^_`|~1T\"")]),
        ),
    ] {
        let text = format!("{method} /p2/headers HTTP/1.1");
        rows.push(Row::new(
            format!("the method {method:?}"),
            METHOD,
            last(text, "host: test\r\n"),
            seen,
        ));
    }
    for (what, count, statuses) in [
        ("a method of 40,000 bytes", 40_000, &[431_u16, 501] as &[u16]),
        ("a method of 200,000 bytes", 200_000, &[400, 431, 501]),
    ] {
        let text = format!("{} /p2/never HTTP/1.1", "M".repeat(count));
        rows.push(Row::new(
            what,
            LINE,
            last(text, "host: test\r\n"),
            Want::Refused(statuses),
        ));
    }
    replay(rows).await;
}

#[tokio::test]
async fn a_target_is_a_path_or_says_for_whom() {
    let long = |count: usize| {
        last(
            format!("GET /p2/never?{} HTTP/1.1", "q".repeat(count)),
            "host: test\r\n",
        )
    };
    let mut rows = vec![
        Row::new(
            "a target of 40,000 bytes",
            TARGET,
            long(40_000),
            Want::Refused(&[414, 431]),
        ),
        Row::new(
            "a target of 70,000 bytes",
            TARGET,
            long(70_000),
            Want::Refused(&[414, 431]),
        ),
        Row::new(
            "a target of 1,000,000 bytes",
            TARGET,
            long(1_000_000),
            Want::Refused(&[414, 431]),
        ),
        // Only an absolute target of a proxy, and never one with user information, can name another host.
        Row::new(
            "an absolute target outranks the host",
            "RFC 9112 §3.2.2",
            last("GET http://a.example/p2/headers HTTP/1.1", "host: b.example\r\n"),
            Want::Answers(&[(200, "\"authority\":\"a.example\"")]),
        ),
        Row::new(
            "an absolute target with a port",
            "RFC 9112 §3.2.2",
            last(
                "GET http://a.example:8080/p2/headers HTTP/1.1",
                "host: a.example\r\n",
            ),
            Want::Answers(&[(200, "\"authority\":\"a.example:8080\"")]),
        ),
        Row::new(
            "an absolute target for a service within",
            "WSTG-INPV-17",
            last(
                "GET http://p3.spin.internal/p2/headers HTTP/1.1",
                "host: p3.spin.internal\r\n",
            ),
            Want::Answers(&[(200, "\"authority\":\"127.0.0.1:")]),
        ),
        // Behind a proxy that ends TLS such a target is true; the guest sees what this connection is.
        Row::new(
            "https over a plain connection",
            "RFC 9110 §7.4",
            last("GET https://a.example/p2/headers HTTP/1.1", "host: a.example\r\n"),
            Want::Answers(&[(200, "\"scheme\":\"http\"")]),
        ),
        // A client never sends one; what reads the target drops it, and the guest never sees it.
        Row::new(
            "a fragment",
            "RFC 9112 §3.2.1, RFC 3986 §3.5",
            last("GET /p2/headers#/../p3/smuggled HTTP/1.1", "host: test\r\n"),
            Want::Answers(&[(200, "\"path\":\"/p2/headers\"")]),
        ),
        Row::new(
            "OPTIONS for the whole server",
            "RFC 9112 §3.2.4",
            last("OPTIONS * HTTP/1.1", "host: test\r\n"),
            Want::Answers(&[(404, "problem")]),
        ),
        Row::new(
            "an asterisk with another method",
            "RFC 9112 §3.2.4",
            last("GET * HTTP/1.1", "host: test\r\n"),
            Want::Answers(&[(404, "problem")]),
        ),
        Row::new(
            "a tunnel, and what would go through it",
            "RFC 9110 §9.3.6",
            line("CONNECT test:443 HTTP/1.1"),
            Want::Refused(&[405]),
        ),
        Row::new(
            "a tunnel to a path",
            "RFC 9112 §3.2.3",
            line("CONNECT /p2/never HTTP/1.1"),
            Want::Refused(&[400, 405]),
        ),
        Row::new(
            "a message that is to be sent back",
            "RFC 9110 §9.3.8, CWE-693",
            last("TRACE /p2/never HTTP/1.1", "host: test\r\ncookie: secret\r\n"),
            Want::Answers(&[(405, "problem")]),
        ),
    ];
    for target in [
        "test",
        "test:80",
        "p2/never",
        "p2",
        "http:/p2/never",
        "http:p2/never",
        "http:///p2/never",
        "://test/p2/never",
        "ftp://test/p2/never",
        "javascript://test/p2/never",
        "http://user@test/p2/never",
        "http://user:pass@test/p2/never",
        "http://test:99999/p2/never",
        "http://test:x/p2/never",
        "http://[::1/p2/never",
        "http://[zz]/p2/never",
        "http://te%73t/p2/never",
        "\\p2\\never",
        "/p2/ne<v>er",
        "/p2/never\0",
        "/p2/never\x01",
        "/p2/never\x7f",
        "?never",
        "@test/p2/never",
    ] {
        let text = format!("GET {target} HTTP/1.1");
        rows.push(Row::new(
            format!("the target {target:?}"),
            TARGET,
            line(text),
            Want::Refused(&[400]),
        ));
    }
    rows.push(Row::new(
        "a target that is no UTF-8",
        "RFC 3986 §2",
        line(b"GET /p2/never\xff\xfe HTTP/1.1"),
        REFUSED,
    ));
    replay(rows).await;
}

#[tokio::test]
async fn a_request_names_one_valid_host() {
    let mut rows = vec![
        Row::new(
            "no host",
            HOST,
            format!("GET /p2/never HTTP/1.1\r\n\r\n{SMUGGLED}"),
            REFUSED,
        ),
        Row::new(
            "no host, at a path of the host itself",
            HOST,
            format!("GET /.well-known/spin/health HTTP/1.1\r\n\r\n{SMUGGLED}"),
            REFUSED,
        ),
        Row::new(
            "no host beside an absolute target",
            HOST,
            format!("GET http://test/p2/never HTTP/1.1\r\n\r\n{SMUGGLED}"),
            REFUSED,
        ),
        Row::new(
            "a host that is none beside an absolute target",
            HOST,
            format!("GET http://test/p2/never HTTP/1.1\r\nhost: a b\r\n\r\n{SMUGGLED}"),
            REFUSED,
        ),
        Row::new(
            "the same host twice",
            HOST,
            format!("GET /p2/never HTTP/1.1\r\nhost: test\r\nhost: test\r\n\r\n{SMUGGLED}"),
            REFUSED,
        ),
        Row::new(
            "two hosts",
            HOST,
            format!("GET /p2/never HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n{SMUGGLED}"),
            REFUSED,
        ),
        Row::new(
            "a host that is folded",
            "RFC 9112 §5.2",
            format!("GET /p2/never HTTP/1.1\r\nhost:\r\n a\r\n\r\n{SMUGGLED}"),
            REFUSED,
        ),
        Row::new(
            "the host of another service",
            "WSTG-INPV-17",
            last("GET /p2/headers HTTP/1.1", "host: p3.spin.internal\r\n"),
            Want::Answers(&[(200, "\"authority\":\"127.0.0.1:")]),
        ),
        Row::new(
            "an address and a port",
            HOST,
            last("GET /p2/headers HTTP/1.1", "host: [::1]:8080\r\n"),
            Want::Answers(&[(200, "\"authority\":\"[::1]:8080\"")]),
        ),
    ];
    for host in [
        "",
        "a b",
        "a, b",
        "user@a",
        "a@",
        "a/b",
        "a/",
        "a?b",
        "a#b",
        "a\\b",
        "a:b",
        "a:-1",
        "a:+80",
        "a:65536",
        "a:99999999999",
        "a:80:80",
        "::1",
        "[::1",
        "[::1]x",
        "[zz]",
        "[]",
        ":80",
        "a%00",
        "a%2fb",
        "http://a",
        "a\0",
        "a\x01b",
        "a\x7f",
        "<a>",
        "a\"b",
        "a\u{e9}",
        "{a}",
        "a|b",
    ] {
        let bytes = format!("GET /p2/never HTTP/1.1\r\nhost: {host}\r\n\r\n{SMUGGLED}");
        rows.push(Row::new(format!("the host {host:?}"), HOST, bytes, REFUSED));
    }
    replay(rows).await;
}
