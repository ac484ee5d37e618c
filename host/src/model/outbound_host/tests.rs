//! Grants as tables, and as properties: nothing panics, nothing that no pattern covers is allowed.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn allowed(entries: &[&str]) -> AllowedHosts {
    AllowedHosts::parse(entries).unwrap_or_else(|error| panic!("{error}: {}", error.problem))
}

fn host(text: &str) -> Host {
    Host::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Whether `entry` allows `url`, written `scheme://host:port`.
fn allows(entry: &str, url: &str) -> bool {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (name, port) = rest.rsplit_once(':').unwrap();
    allowed(&[entry]).check(scheme, &host(name), port.parse().unwrap())
}

#[test]
fn an_entry_allows_what_it_covers_and_nothing_else() {
    let table: [(&str, &[&str], &[&str]); 16] = [
        (
            "https://api.example.com",
            &[
                "https://api.example.com:443",
                "HTTPS://API.Example.COM:443",
                "https://api.example.com.:443",
            ],
            &[
                "http://api.example.com:443",
                "https://api.example.com:80",
                "https://example.com:443",
                "https://x.api.example.com:443",
                "https://api.example.com.evil.org:443",
                "https://evilapi.example.com:443",
            ],
        ),
        (
            "http://example.com/",
            &["http://example.com:80"],
            &["http://example.com:8080"],
        ),
        (
            "http://Example.com.:8080/",
            &["http://example.com:8080"],
            &["http://example.com:80"],
        ),
        (
            "*://example.com:*",
            &["http://example.com:1", "ftp://example.com:65535"],
            &["http://example.org:80", "http://a.example.com:80"],
        ),
        (
            "https://*.example.com",
            &["https://a.example.com:443", "https://a.b.example.com:443"],
            &[
                "https://example.com:443",
                "https://aexample.com:443",
                "https://a.example.com.org:443",
                "https://10.0.0.1:443",
            ],
        ),
        (
            "http://*:80",
            &["http://example.com:80", "http://10.0.0.1:80", "http://[::1]:80"],
            &["http://a.b:81"],
        ),
        (
            "*://*:*",
            &["http://example.com:80", "redis://10.0.0.1:6379"],
            &[],
        ),
        (
            "http://10.1.2.3/8:*",
            &[
                "http://10.255.0.1:80",
                "http://[::ffff:10.0.0.1]:1",
                "http://0x0a000001:80",
            ],
            &["http://11.0.0.1:80", "http://example.com:80", "http://[::a]:80"],
        ),
        (
            "http://[fd00::]/8",
            &["http://[fd12::1]:80"],
            &["http://[fe80::1]:80", "http://10.0.0.1:80"],
        ),
        (
            "http://[::1]:3000",
            &["http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000"],
            &["http://[::2]:3000"],
        ),
        (
            "http://[::ffff:1.2.3.4]",
            &["http://1.2.3.4:80"],
            &["http://1.2.3.5:80"],
        ),
        (
            "http://127.0.0.1",
            &["http://2130706433:80", "http://0177.1:80"],
            &["http://127.0.0.2:80"],
        ),
        (
            "http://example.com:8000..8010",
            &["http://example.com:8000", "http://example.com:8009"],
            &["http://example.com:7999", "http://example.com:8010"],
        ),
        ("http://example.com:1..65536", &["http://example.com:65535"], &[]),
        (
            "http://*.spin.internal",
            &["http://catalog.spin.internal:80"],
            &["http://spin.internal:80", "https://catalog.spin.internal:443"],
        ),
        (
            "https://bücher.example",
            &["https://xn--bcher-kva.example:443", "https://BÜCHER.example:443"],
            &["https://bucher.example:443"],
        ),
    ];
    for (entry, granted, refused) in table {
        for url in granted {
            assert!(allows(entry, url), "{entry} should allow {url}");
        }
        for url in refused {
            assert!(!allows(entry, url), "{entry} should not allow {url}");
        }
    }
}

#[test]
fn schemes_with_a_port_of_their_own_need_none() {
    for (scheme, port) in [
        ("http", 80),
        ("https", 443),
        ("redis", 6379),
        ("rediss", 6379),
        ("postgres", 5432),
        ("postgresql", 5432),
        ("mysql", 3306),
        ("mqtt", 1883),
        ("mqtts", 8883),
    ] {
        let hosts = allowed(&[&format!("{scheme}://db.example")]);
        assert!(hosts.check(scheme, &host("db.example"), port));
        assert!(!hosts.check(scheme, &host("db.example"), port + 1));
    }
}

#[test]
fn self_is_granted_by_its_name_or_by_any_host() {
    for entry in [
        "http://self",
        "https://self",
        "*://self",
        "http://self.alt",
        "https://self.alt:443",
        "http://*:80",
        "*://*:*",
    ] {
        assert!(allowed(&[entry]).allows_self(), "{entry}");
    }
    for entry in [
        "redis://self",
        "redis://*:6379",
        "http://self.example",
        "http://*.alt",
        "http://example.com",
    ] {
        assert!(!allowed(&[entry]).allows_self(), "{entry}");
    }
    assert!(!AllowedHosts::default().allows_self());
    assert!(
        !allowed(&["http://self"]).check("http", &host("self"), 80),
        "`self` is no name to be resolved"
    );
    assert!(host("SELF").is_self() && host("self.alt").is_self() && !host("selfish").is_self());
}

#[test]
fn other_services_of_the_app_are_granted_by_name() {
    let one = allowed(&["http://catalog.spin.internal"]);
    assert!(one.allows_internal("catalog"));
    assert!(!one.allows_internal("orders"));
    assert!(!one.allows_internal(""));
    assert!(allowed(&["http://*.spin.internal"]).allows_internal("orders"));
    assert!(allowed(&["*://*:*"]).allows_internal("orders"));
    assert!(!allowed(&["https://*.spin.internal"]).allows_internal("orders"));
    assert_eq!(host("Catalog.spin.internal").internal_service(), Some("catalog"));
    assert_eq!(host("spin.internal").internal_service(), None);
}

#[test]
fn a_socket_needs_a_grant_of_any_scheme_and_its_address() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let hosts = allowed(&["*://10.0.0.0/8:5432", "http://1.1.1.1"]);
    assert!(hosts.check_address("*", ip("10.1.1.1"), 5432));
    assert!(hosts.check_address("*", ip("::ffff:10.1.1.1"), 5432));
    assert!(!hosts.check_address("*", ip("10.1.1.1"), 5433));
    assert!(!hosts.check_address("*", ip("1.1.1.1"), 80));
    assert!(hosts.check_address("http", ip("1.1.1.1"), 80));
}

#[test]
fn a_wrong_entry_is_refused_with_its_reason() {
    use AllowedHostProblem as P;
    let scheme = |scheme: &str| P::Scheme {
        scheme: String::from(scheme),
    };
    let port = |port: &str| P::Port {
        port: String::from(port),
    };
    let no_default = |scheme: &str| P::NoDefaultPort {
        scheme: String::from(scheme),
    };
    let invalid = |text: &str| {
        P::Host(HostError::Invalid {
            text: String::from(text),
        })
    };
    let table = [
        ("", P::NoScheme),
        ("*", P::NoScheme),
        ("example.com", P::NoScheme),
        ("example.com:80", P::NoScheme),
        ("insecure:allow-all", P::InsecureAllowAll),
        ("://example.com", scheme("")),
        ("ht tp://example.com", scheme("ht tp")),
        ("{http,https}://example.com", scheme("{http,https}")),
        ("**://example.com", scheme("**")),
        ("http://", P::Host(HostError::Empty)),
        ("http://:80", P::Host(HostError::Empty)),
        ("http://user:pass@example.com", P::UserInfo),
        ("http://example.com/path", P::Path),
        ("http://example.com/8", P::Path),
        ("http://example.com:80/path", P::Path),
        ("http://example.com//", P::Path),
        ("http://example.com?q", P::Path),
        ("http://example.com#f", P::Path),
        ("http://exa mple.com", invalid("exa mple.com")),
        ("http://example..com", invalid("example..com")),
        ("http://%65xample.com", invalid("%65xample.com")),
        ("http://{a,b}.com%", invalid("{a,b}.com%")),
        ("http://1.2.3.256", invalid("1.2.3.256")),
        ("http://*example.com", P::Wildcard),
        ("http://a.*.com", P::Wildcard),
        ("http://*.*.com", P::Wildcard),
        ("http://*.10.0.0.1", P::Wildcard),
        ("http://*.", P::Host(HostError::Empty)),
        ("http://::1", P::Host(HostError::Empty)),
        ("http://fe80::1", P::Host(HostError::Ipv6)),
        ("http://[::1", P::Host(HostError::Ipv6)),
        ("http://[::1]x", P::Host(HostError::Ipv6)),
        ("http://[example.com]", P::Host(HostError::Ipv6)),
        ("http://[fe80::1%eth0]", invalid("[fe80::1%eth0]")),
        (
            "http://10.0.0.0/33",
            P::Cidr {
                prefix: String::from("33"),
            },
        ),
        (
            "http://[fd00::]/129",
            P::Cidr {
                prefix: String::from("129"),
            },
        ),
        ("http://10.0.0.0/8/9", P::Path),
        ("http://example.com:", port("")),
        ("http://example.com:0", port("0")),
        ("http://example.com:+80", port("+80")),
        ("http://example.com:65536", port("65536")),
        ("http://example.com:http", port("http")),
        ("http://example.com:80..", port("80..")),
        ("http://example.com:..80", port("..80")),
        ("http://example.com:80..65537", port("80..65537")),
        ("http://example.com:80..=90", port("80..=90")),
        ("http://example.com:{80,443}", port("{80,443}")),
        (
            "http://example.com:90..80",
            P::EmptyPortRange {
                range: String::from("90..80"),
            },
        ),
        (
            "http://example.com:80..80",
            P::EmptyPortRange {
                range: String::from("80..80"),
            },
        ),
        ("ftp://example.com", no_default("ftp")),
        ("*://example.com", no_default("*")),
    ];
    for (entry, problem) in table {
        let refused = AllowedHosts::parse(["http://good.example", entry]).expect_err(entry);
        assert_eq!(
            refused,
            AllowedHostError {
                entry: String::from(entry),
                problem
            }
        );
    }
    assert_eq!(
        Host::parse(&"a.".repeat(200)),
        Err(HostError::TooLong { bytes: 399 })
    );
    assert_eq!(
        Host::parse(&"a".repeat(2000)),
        Err(HostError::TooLong { bytes: 2000 })
    );
}

#[test]
fn the_line_of_a_denial_is_a_grant_for_just_that() {
    for (scheme, name, port, line) in [
        (
            "https",
            "API.example.com",
            443,
            "allowed_outbound_hosts = [\"https://api.example.com\"]",
        ),
        (
            "http",
            "api.example.com",
            8080,
            "allowed_outbound_hosts = [\"http://api.example.com:8080\"]",
        ),
        (
            "http",
            "[::1]",
            3000,
            "allowed_outbound_hosts = [\"http://[::1]:3000\"]",
        ),
        (
            "*",
            "10.0.0.1",
            5432,
            "allowed_outbound_hosts = [\"*://10.0.0.1:5432\"]",
        ),
        (
            "http",
            "catalog.spin.internal",
            80,
            "allowed_outbound_hosts = [\"http://catalog.spin.internal\"]",
        ),
        (
            "http",
            "self.alt",
            80,
            "allowed_outbound_hosts = [\"http://self\"]",
        ),
    ] {
        assert_eq!(manifest_line(scheme, &host(name), port), line);
        let entry = line.split('"').nth(1).unwrap();
        let hosts = allowed(&[entry]);
        assert!(
            hosts.check(scheme, &host(name), port) || (host(name).is_self() && hosts.allows_self()),
            "{line}"
        );
    }
}

fn label() -> impl Strategy<Value = String> {
    "[a-d]{1,3}"
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,60}") {
        let _ = Host::parse(&text);
        let _ = AllowedHosts::parse([&text]);
        let _ = BlockedNetworks::parse([&text]);
    }

    #[test]
    fn no_grant_like_text_makes_the_parsers_panic(text in "(http|\\*|x)://[a-c0-9*.:/\\[\\]@%é]{0,20}") {
        let _ = AllowedHosts::parse([&text]);
    }

    #[test]
    fn the_normal_form_of_a_host_is_its_own_normal_form(text in "[a-zA-Z0-9é.\\[\\]:x-]{1,20}") {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
    }

    #[test]
    fn a_host_that_no_entry_names_is_refused(
        granted in prop::collection::vec(label(), 0..5),
        asked in label(),
        port in 1_u16..,
    ) {
        let entries: Vec<_> = granted.iter().map(|label| format!("http://{label}.example:{port}")).collect();
        let hosts = AllowedHosts::parse(&entries).unwrap();
        let asked_host = host(&format!("{asked}.example"));
        prop_assert_eq!(hosts.check("http", &asked_host, port), granted.contains(&asked));
        prop_assert!(!hosts.check("https", &asked_host, port));
        prop_assert!(!hosts.check("http", &host(&asked), port));
    }

    #[test]
    fn a_domain_wildcard_covers_what_is_below_and_never_the_domain(
        domain in prop::collection::vec(label(), 1..4),
        asked in prop::collection::vec(label(), 1..5),
    ) {
        let hosts = AllowedHosts::parse([format!("http://*.{}", domain.join("."))]).unwrap();
        prop_assert!(!hosts.check("http", &host(&domain.join(".")), 80));
        let below = asked.len() > domain.len() && asked.ends_with(&domain);
        prop_assert_eq!(hosts.check("http", &host(&asked.join(".")), 80), below);
    }

    #[test]
    fn a_port_range_is_half_open(start in 1_u32..=65_535, length in 1_u32..200, port in 1_u16..) {
        let end = (start + length).min(65_536);
        let hosts = AllowedHosts::parse([format!("http://a.example:{start}..{end}")]).unwrap();
        let edges = [start, end - 1, end % 65_536].map(|edge| u16::try_from(edge).unwrap());
        for port in [port].into_iter().chain(edges) {
            let within = (start..end).contains(&u32::from(port));
            let allowed = hosts.check("http", &host("a.example"), port);
            prop_assert_eq!(allowed, within, "{}..{} {}", start, end, port);
        }
    }

    #[test]
    fn an_address_range_covers_its_addresses_only(network: u32, prefix in 0_u8..=32, near: u32, far: u32) {
        let mask = if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) };
        let entry = format!("http://{}/{prefix}", std::net::Ipv4Addr::from(network));
        let hosts = AllowedHosts::parse([entry]).unwrap();
        for ip in [(network & mask) | (near & !mask), far] {
            let inside = ip & mask == network & mask;
            prop_assert_eq!(hosts.check_address("http", std::net::Ipv4Addr::from(ip).into(), 80), inside);
        }
    }
}
