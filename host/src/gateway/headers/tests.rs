//! What a head may say of its host and its framing.

use super::*;

fn host(values: &[&'static str]) -> HeaderMap {
    values
        .iter()
        .map(|value| (header::HOST, HeaderValue::from_static(value)))
        .collect()
}

#[test]
fn the_uri_outranks_the_host_header() {
    let uri = Uri::from_static("http://a.example/x");
    let authority =
        authority(Version::HTTP_11, &uri, &host(&["b.example"]), "127.0.0.1:3000").expect("valid");
    assert_eq!(authority.as_str(), "a.example");
}

#[test]
fn a_request_from_outside_never_has_an_internal_name() {
    for name in ["auth.spin.internal", "AUTH.Spin.Internal:80", "a.spin.internal."] {
        let authority = authority(
            Version::HTTP_11,
            &Uri::from_static("/"),
            &host(&[name]),
            "127.0.0.1:3000",
        )
        .expect("valid");
        assert_eq!(authority.as_str(), "127.0.0.1:3000", "{name}");
    }
}

#[test]
fn ambiguous_and_broken_hosts_are_refused() {
    for values in [&["a", "b"][..], &[""], &["a b"], &["user@a"]] {
        let refused = authority(
            Version::HTTP_11,
            &Uri::from_static("/"),
            &host(values),
            "127.0.0.1:3000",
        );
        assert!(refused.is_err(), "{values:?}");
    }
}

#[test]
fn only_an_old_request_may_name_no_host() {
    let none = HeaderMap::new();
    let uri = Uri::from_static("/");
    assert!(authority(Version::HTTP_11, &uri, &none, "127.0.0.1:3000").is_err());
    let listener = authority(Version::HTTP_10, &uri, &none, "127.0.0.1:3000").expect("HTTP/1.0 has no Host");
    assert_eq!(listener.as_str(), "127.0.0.1:3000");
}

#[test]
fn a_host_is_a_name_or_an_address_and_a_port() {
    let read = |value: &'static str| {
        let hosts = host(&[value]);
        authority(Version::HTTP_11, &Uri::from_static("/"), &hosts, "127.0.0.1:3000")
    };
    for valid in [
        "a",
        "a.",
        "a_b",
        "a:",
        "a:0",
        "a:65535",
        "a:00080",
        "1.2.3.4:5",
        "[::1]",
        "[::1]:8080",
        "a,b",
        "~!$&'()*+;=",
    ] {
        assert_eq!(read(valid).expect(valid).as_str(), valid);
    }
    for invalid in [
        ":80", "a:b", "a:-1", "a:+1", "a:65536", "a:80:80", "a:8 0", "[::1", "::1", "[::1]x", "[zz]", "[]",
        "[v1.a]", "a%41", "a/b", "a?b", "a#b", "a\\b", "a\"b", "@a", "a@", "a[::1]",
    ] {
        assert!(read(invalid).is_err(), "{invalid}");
    }
}

#[test]
fn a_host_header_is_checked_even_where_the_uri_outranks_it() {
    let uri = Uri::from_static("http://a.example/x");
    for values in [&[][..], &[""], &["a b"], &["b:99999"], &["b", "b"]] {
        let read = authority(Version::HTTP_11, &uri, &host(values), "127.0.0.1:3000");
        assert!(read.is_err(), "{values:?}");
    }
}

#[test]
fn on_http_2_both_names_of_the_host_agree() {
    let agree = |uri, values: &[&'static str]| {
        let uri = Uri::from_static(uri);
        authority(Version::HTTP_2, &uri, &host(values), "127.0.0.1:3000").is_ok()
    };
    assert!(agree("http://a.example/", &[]));
    assert!(agree("http://a.example/", &["A.example:80"]));
    assert!(agree("https://a.example:443/", &["a.example"]));
    assert!(agree("/", &["a.example"]));
    assert!(!agree("http://a.example/", &["b.example"]));
    assert!(!agree("http://a.example/", &["a.example:81"]));
    assert!(!agree("/", &[]));
}

#[test]
fn a_target_without_a_path_and_one_of_another_scheme_are_refused() {
    for uri in ["a.example", "a.example:80", "ftp://a.example/", "javascript://a/"] {
        let uri = Uri::from_static(uri);
        assert!(
            authority(Version::HTTP_10, &uri, &host(&["a.example"]), "127.0.0.1:3000").is_err(),
            "{uri}"
        );
    }
}

#[test]
fn chunked_once_is_the_only_transfer_coding() {
    let read = |values: &[&'static str]| {
        let codings = values.iter().map(|value| HeaderValue::from_static(value));
        framing(&codings.map(|value| (header::TRANSFER_ENCODING, value)).collect())
    };
    for valid in [&[][..], &["chunked"], &["CHUNKED"]] {
        assert!(read(valid).is_ok(), "{valid:?}");
    }
    for invalid in [
        &["gzip, chunked"][..],
        &["identity", "chunked"],
        &["chunked", "chunked"],
        &["chunked, chunked"],
        &[", chunked"],
        &[""],
    ] {
        assert!(read(invalid).is_err(), "{invalid:?}");
    }
}
