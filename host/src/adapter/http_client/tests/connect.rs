//! Names, addresses, TLS and the limit of connections.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One answer to every lookup.
struct Fixed(Result<Vec<IpAddr>, &'static str>);

impl Resolve for Fixed {
    fn resolve(&self, _: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let answer = match &self.0 {
            Ok(ips) => Ok(ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect()),
            Err(error) => Err(io::Error::other(*error)),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// The first lookup finds one address, each later one another: a name that is bound anew (DNS rebinding).
struct Rebound {
    lookups: Arc<AtomicUsize>,
    first: IpAddr,
    later: IpAddr,
}

impl Resolve for Rebound {
    fn resolve(&self, _: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let ip = match self.lookups.fetch_add(1, Ordering::SeqCst) {
            0 => self.first,
            _ => self.later,
        };
        Box::pin(std::future::ready(Ok(vec![SocketAddr::new(ip, port)])))
    }
}

/// Lookups that never end.
struct Stuck;

impl Resolve for Stuck {
    fn resolve(&self, _: &str, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(std::future::pending())
    }
}

fn resolving(settings: Settings, resolver: impl Resolve + 'static) -> PooledClient {
    PooledClient::with_resolver(settings, spawner(), Arc::new(resolver)).unwrap()
}

fn blocking(networks: &[&str]) -> Settings {
    Settings {
        blocked: BlockedNetworks::parse(networks).unwrap(),
        ..Settings::default()
    }
}

/// A port where nobody listens.
async fn closed_port() -> u16 {
    listen().await.1.port()
}

/// A TLS server with a certificate for `names`; gives its port and the certificate.
async fn serve_tls(names: &[&str], protocols: &[&str]) -> (u16, Vec<u8>) {
    let names: Vec<String> = names.iter().map(|name| String::from(*name)).collect();
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A handshake that the client breaks off is the point of some tests.
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve_connection(stream, 0));
            }
        }
    });
    (address.port(), certificate.to_vec())
}

#[tokio::test]
async fn trailers_go_both_ways_by_http_2() {
    let (port, root) = serve_tls(&["localhost"], &["h2", "http/1.1"]).await;
    let client = resolving(
        Settings {
            extra_roots: vec![root],
            ..Settings::default()
        },
        Fixed(Ok(vec![LOCALHOST])),
    );
    let response = exchange_trailers(&client, format!("https://localhost:{port}/trailers")).await;
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(
        response.into_body().collect().await.unwrap().trailers().unwrap()["answer"],
        "why"
    );
}

#[tokio::test]
async fn a_trusted_server_without_http_2_is_spoken_to_by_http_1() {
    let (port, root) = serve_tls(&["shop.example", "127.0.0.1"], &[]).await;
    let client = resolving(
        Settings {
            extra_roots: vec![root],
            ..Settings::default()
        },
        Fixed(Ok(vec![LOCALHOST])),
    );
    for host in ["shop.example", "SHOP.example.", "127.0.0.1"] {
        let request = get(format!("https://{host}:{port}/"));
        let response = client.send(request, ClientOptions::default()).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
        assert_eq!(text(response).await, "hello", "{host}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (port, root) = serve_tls(&["shop.example"], &["h2"]).await;
    let client = resolving(
        Settings {
            extra_roots: vec![root],
            ..Settings::default()
        },
        Fixed(Ok(vec![LOCALHOST])),
    );
    for host in ["other.example", "127.0.0.1"] {
        let error = failure(&client, get(format!("https://{host}:{port}/"))).await;
        let HttpClientError::TlsCertificate { reason } = error else {
            panic!("{host}: {error:?}")
        };
        assert!(reason.contains("not valid for name"), "{reason}");
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let (port, _) = serve_tls(&["shop.example"], &["h2"]).await;
    let (_, other_root) = serve_tls(&["shop.example"], &["h2"]).await;
    let settings = Settings {
        extra_roots: vec![other_root],
        ..Settings::default()
    };
    let client = resolving(settings, Fixed(Ok(vec![LOCALHOST])));
    let error = failure(&client, get(format!("https://shop.example:{port}/"))).await;
    assert!(
        matches!(error, HttpClientError::TlsCertificate { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn tls_with_a_server_that_speaks_none_is_a_protocol_error() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        // Read on, so that the answer is not lost in a reset.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let (_, root) = serve_tls(&["shop.example"], &[]).await;
    let client = client(Settings {
        extra_roots: vec![root],
        ..Settings::default()
    });
    let error = failure(&client, get(format!("https://{address}/"))).await;
    assert!(matches!(error, HttpClientError::TlsProtocol { .. }), "{error:?}");
}

#[tokio::test]
async fn a_root_that_is_no_certificate_is_named() {
    let (_, good) = serve_tls(&["shop.example"], &[]).await;
    let settings = Settings {
        extra_roots: vec![good, b"nonsense".to_vec()],
        ..Settings::default()
    };
    let refused = PooledClient::load(settings, spawner()).map(|_| ());
    assert!(
        matches!(refused, Err(TlsSetupError::Root { position: 2, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_name_that_leads_into_a_blocked_network_is_prohibited() {
    let (listener, address) = listen().await;
    let client = client(blocking(&["127.0.0.0/8", "::1"]));
    let error = failure(&client, get(format!("http://localhost:{}/", address.port()))).await;
    assert!(
        matches!(error, HttpClientError::DestinationIpProhibited { ip } if ip.is_loopback()),
        "{error:?}"
    );
    let accepted = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(accepted.is_err(), "a connection was made all the same");
}

#[tokio::test]
async fn each_spelling_of_a_blocked_address_is_prohibited() {
    let client = client(blocking(&["private"]));
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "0.0.0.0",
        "[64:ff9b::a00:1]",
    ] {
        let error = failure(&client, get(format!("http://{host}:9/"))).await;
        assert!(
            matches!(error, HttpClientError::DestinationIpProhibited { .. }),
            "{host}: {error:?}"
        );
    }
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_not_blocked_are_connected() {
    let (server, _) = serve().await;
    let port = server.rsplit(':').next().unwrap();
    let ips = vec![IpAddr::from([10, 0, 0, 1]), LOCALHOST];
    let client = resolving(blocking(&["10.0.0.0/8"]), Fixed(Ok(ips)));
    let response = client
        .send(
            get(format!("http://mixed.example:{port}/")),
            ClientOptions::default(),
        )
        .await;
    assert_eq!(text(response.unwrap()).await, "hello");
}

#[tokio::test]
async fn what_was_checked_is_what_is_connected_and_a_name_that_is_bound_anew_is_checked_anew() {
    let (server, connections) = serve().await;
    let port = server.rsplit(':').next().unwrap();
    let lookups = Arc::<AtomicUsize>::default();
    let rebound = Rebound {
        lookups: Arc::clone(&lookups),
        first: LOCALHOST,
        later: IpAddr::from([127, 0, 0, 2]),
    };
    let settings = Settings {
        max_idle_per_host: 0,
        ..blocking(&["127.0.0.2"])
    };
    let client = resolving(settings, rebound);
    let request = || get(format!("http://rebound.example:{port}/"));
    let response = client.send(request(), ClientOptions::default()).await;
    assert_eq!(text(response.unwrap()).await, "hello");
    // One lookup: the second answer, which is blocked, had no chance to take the place of the first.
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    let error = failure(&client, request()).await;
    assert!(
        matches!(error, HttpClientError::DestinationIpProhibited { .. }),
        "{error:?}"
    );
    assert_eq!(
        (lookups.load(Ordering::SeqCst), connections.load(Ordering::SeqCst)),
        (2, 1)
    );
}

#[tokio::test]
async fn an_address_that_fails_gives_way_to_the_next() {
    let (server, _) = serve().await;
    let port = server.rsplit(':').next().unwrap();
    let client = resolving(
        Settings::default(),
        Fixed(Ok(vec![IpAddr::V6(Ipv6Addr::LOCALHOST), LOCALHOST])),
    );
    let response = client
        .send(
            get(format!("http://both.example:{port}/")),
            ClientOptions::default(),
        )
        .await;
    assert_eq!(text(response.unwrap()).await, "hello");
}

#[tokio::test]
async fn a_name_without_an_answer_is_a_dns_error() {
    let failing = resolving(Settings::default(), Fixed(Err("no such name")));
    let reason = String::from("no such name");
    assert_eq!(
        failure(&failing, get("http://a.example")).await,
        HttpClientError::DnsError { reason }
    );
    let nowhere = resolving(Settings::default(), Fixed(Ok(Vec::new())));
    let error = failure(&nowhere, get("http://a.example")).await;
    assert!(matches!(error, HttpClientError::DnsError { .. }), "{error:?}");
    let ceiling = ClientOptions {
        connect_timeout: SHORT,
        ..ClientOptions::default()
    };
    // The client's own deadline is the longer one here, so that the connector's ends the wait.
    let stuck = Connector::new(
        Arc::new(Stuck),
        BlockedNetworks::default(),
        None,
        ceiling.connect_timeout,
        1,
    );
    let error = tower_service::Service::call(&mut stuck.clone(), Uri::from_static("http://a.example")).await;
    assert_eq!(error.map(|_| ()).unwrap_err(), HttpClientError::DnsTimeout);
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses() {
    let port = closed_port().await;
    let error = failure(
        &client(Settings::default()),
        get(format!("http://127.0.0.1:{port}/")),
    )
    .await;
    assert_eq!(error, HttpClientError::ConnectionRefused);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_connection_timeout() {
    let (listener, address) = listen().await;
    let (_, root) = serve_tls(&["shop.example"], &[]).await;
    let client = client(Settings {
        extra_roots: vec![root],
        ..Settings::default()
    });
    let options = ClientOptions {
        connect_timeout: SHORT,
        ..ClientOptions::default()
    };
    let error = client
        .send(get(format!("https://{address}/")), options)
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error, HttpClientError::ConnectionTimeout);
    drop(listener);
}

#[tokio::test]
async fn over_the_limit_of_connections_a_request_waits_and_then_fails() {
    let (server, _) = serve().await;
    let other = serve().await.0;
    let connector = |timeout| Connector::new(Arc::new(Stuck), BlockedNetworks::default(), None, timeout, 1);
    let mut short = connector(SHORT);
    let connect =
        |connector: &mut Connector, uri: &str| tower_service::Service::call(connector, uri.parse().unwrap());
    let held = connect(&mut short, &server).await.unwrap();
    let error = connect(&mut short, &other).await.map(|_| ()).unwrap_err();
    assert_eq!(error, HttpClientError::ConnectionLimitReached);

    let mut patient = connector(Duration::from_secs(60));
    let occupied = connect(&mut patient, &server).await.unwrap();
    let waiting = connect(&mut patient, &other);
    drop(occupied);
    assert!(
        waiting.await.is_ok(),
        "the place of a closed connection is free again"
    );
    drop(held);
}

#[test]
fn without_certificate_authorities_https_says_what_to_do() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut connector = Connector::new(
        Arc::new(Stuck),
        BlockedNetworks::default(),
        None,
        Duration::from_secs(1),
        1,
    );
    let connecting = tower_service::Service::call(&mut connector, Uri::from_static("https://127.0.0.1:9/"));
    let error = runtime.block_on(connecting).map(|_| ()).unwrap_err();
    let HttpClientError::TlsCertificate { reason } = error else {
        panic!("{error:?}")
    };
    assert!(reason.contains("ca-certificates"), "{reason}");
}
