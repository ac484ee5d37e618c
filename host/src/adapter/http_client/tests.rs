//! The client against small servers on the loopback interface, some of which misbehave.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::{Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

mod connect;

type Frames = mpsc::Sender<Result<Frame<Bytes>, HttpClientError>>;

const SHORT: Duration = Duration::from_millis(50);

fn spawner() -> Spawner {
    Spawner::new(|task| drop(tokio::spawn(task)))
}

fn client(settings: Settings) -> PooledClient {
    PooledClient::load(settings, spawner()).unwrap()
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn get(uri: impl AsRef<str>) -> Request<Body> {
    Request::get(uri.as_ref()).body(empty()).unwrap()
}

/// A body that is fed through the sender.
fn fed() -> (Frames, Body) {
    let (frames, body) = mpsc::channel(1);
    (frames, StreamBody::new(body).boxed_unsync())
}

async fn feed(frames: &mut Frames, data: &'static str) {
    frames
        .send(Ok(Frame::data(Bytes::from_static(data.as_bytes()))))
        .await
        .unwrap();
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn failure(client: &PooledClient, request: Request<Body>) -> HttpClientError {
    client
        .send(request, ClientOptions::default())
        .await
        .map(|_| ())
        .unwrap_err()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What the servers below do with a request. The header `connection-number` tells connections apart.
async fn answer(request: Request<Incoming>, connection: usize) -> Result<Response<Body>, Infallible> {
    let builder = Response::builder().header("connection-number", connection);
    let response = match request.uri().path() {
        "/echo" => builder.body(
            request
                .into_body()
                .map_err(|_| HttpClientError::ConnectionTerminated)
                .boxed_unsync(),
        ),
        "/trailers" => {
            let te = request.headers().get(TE).cloned();
            let sent = request
                .into_body()
                .collect()
                .await
                .unwrap()
                .trailers()
                .cloned()
                .unwrap_or_default();
            let mut trailers = HeaderMap::new();
            trailers.insert(
                "answer",
                sent.get("question")
                    .cloned()
                    .unwrap_or(HeaderValue::from_static("none")),
            );
            let builder = builder
                .header("trailer", "answer")
                .header("seen-te", te.unwrap_or(HeaderValue::from_static("-")));
            let frames = [
                Ok(Frame::data(Bytes::from_static(b"data"))),
                Ok(Frame::trailers(trailers)),
            ];
            builder.body(StreamBody::new(futures::stream::iter(frames)).boxed_unsync())
        }
        "/moved" => builder
            .status(StatusCode::FOUND)
            .header("location", "/echo")
            .body(empty()),
        "/headers" => {
            let listed: Vec<_> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect();
            builder.body(full(listed.join("\n")))
        }
        "/stall" => {
            let first = futures::stream::iter([Ok(Frame::data(Bytes::from_static(b"first")))]);
            builder.body(StreamBody::new(first.chain(futures::stream::pending())).boxed_unsync())
        }
        "/never" => std::future::pending().await,
        _ => builder.body(full("hello")),
    };
    Ok(response.unwrap())
}

async fn serve_connection<S>(stream: S, connection: usize)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, connection));
    // A client that goes away is an error here, and a thing that the tests do.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A cleartext server; counts its connections.
async fn serve() -> (String, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve_connection(stream, counted.fetch_add(1, Ordering::SeqCst)));
        }
    });
    (format!("http://{address}"), connections)
}

/// A server that reads one head of a request and writes `response`, then closes. Gives its address.
async fn serve_raw(response: &'static [u8]) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(response).await.unwrap();
        }
    });
    format!("http://{address}")
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn an_idle_connection_is_used_again() {
    let (server, connections) = serve().await;
    let client = client(Settings::default());
    // A connection goes back to the pool a moment after its body has ended, so that one request may miss it.
    for _ in 0..50 {
        let response = client.send(get(&server), ClientOptions::default()).await.unwrap();
        assert_eq!(text(response).await, "hello");
    }
    assert!(
        connections.load(Ordering::SeqCst) < 50,
        "no connection was used twice"
    );
}

#[tokio::test]
async fn without_pooling_each_request_has_its_connection() {
    let (server, connections) = serve().await;
    let client = client(Settings {
        max_idle_per_host: 0,
        ..Settings::default()
    });
    for _ in 0..5 {
        text(client.send(get(&server), ClientOptions::default()).await.unwrap()).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let (server, _) = serve().await;
    let (mut frames, body) = fed();
    let request = Request::post(format!("{server}/echo")).body(body).unwrap();
    let sending = client(Settings::default()).send(request, ClientOptions::default());
    let (response, ()) = tokio::join!(sending, feed(&mut frames, "one"));
    let mut body = response.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    for piece in ["two", "three"] {
        feed(&mut frames, piece).await;
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
    }
    drop(frames);
    assert!(body.frame().await.is_none());
}

async fn exchange_trailers(client: &PooledClient, uri: String) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("question", HeaderValue::from_static("why"));
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"body"))),
        Ok(Frame::trailers(trailers)),
    ];
    let request = Request::post(uri)
        .header("te", "trailers")
        .header("trailer", "question")
        .body(StreamBody::new(futures::stream::iter(frames)).boxed_unsync())
        .unwrap();
    client.send(request, ClientOptions::default()).await.unwrap()
}

#[tokio::test]
async fn trailers_go_both_ways_by_http_1() {
    let (server, _) = serve().await;
    let response = exchange_trailers(&client(Settings::default()), format!("{server}/trailers")).await;
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(response.headers()["seen-te"], "trailers");
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["answer"], "why");
    assert_eq!(body.to_bytes(), "data");
}

#[tokio::test]
async fn a_head_that_never_comes_is_a_response_timeout() {
    let (server, _) = serve().await;
    let client = client(Settings::default());
    let options = ClientOptions {
        first_byte_timeout: SHORT,
        ..ClientOptions::default()
    };
    let error = client
        .send(get(format!("{server}/never")), options)
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error, HttpClientError::HttpResponseTimeout);
}

#[tokio::test]
async fn the_ceiling_of_the_host_holds_whatever_a_guest_asks_for() {
    let (server, _) = serve().await;
    let ceiling = ClientOptions {
        first_byte_timeout: SHORT,
        ..ClientOptions::default()
    };
    let client = client(Settings {
        ceiling,
        ..Settings::default()
    });
    let options = ClientOptions {
        first_byte_timeout: Duration::MAX,
        ..ClientOptions::default()
    };
    let sending = client.send(get(format!("{server}/never")), options);
    let sent = tokio::time::timeout(Duration::from_secs(30), sending).await;
    let error = sent
        .expect("the ceiling should have ended this")
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error, HttpClientError::HttpResponseTimeout);
}

#[tokio::test]
async fn no_patience_is_too_long_to_be_told_in_time() {
    let (server, _) = serve().await;
    let ages = ClientOptions {
        connect_timeout: Duration::MAX,
        first_byte_timeout: Duration::MAX,
        between_bytes_timeout: Duration::MAX,
    };
    let client = client(Settings {
        ceiling: ages,
        ..Settings::default()
    });
    let (mut frames, body) = fed();
    let request = Request::post(format!("{server}/echo")).body(body).unwrap();
    let mut body = client.send(request, ages).await.unwrap().into_body();
    let (frame, ()) = tokio::join!(body.frame(), feed(&mut frames, "at last"));
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "at last");
}

#[tokio::test]
async fn a_pause_within_a_body_is_a_read_timeout() {
    let (server, _) = serve().await;
    let options = ClientOptions {
        between_bytes_timeout: SHORT,
        ..ClientOptions::default()
    };
    let response = client(Settings::default())
        .send(get(format!("{server}/stall")), options)
        .await
        .unwrap();
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    assert_eq!(
        body.frame().await.unwrap().unwrap_err(),
        HttpClientError::ConnectionReadTimeout
    );
}

#[tokio::test]
async fn a_connection_closed_before_the_head_is_terminated() {
    let server = serve_raw(b"").await;
    let error = failure(&client(Settings::default()), get(&server)).await;
    assert_eq!(error, HttpClientError::ConnectionTerminated);
}

#[tokio::test]
async fn a_response_that_ends_too_early_is_incomplete() {
    for response in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhal\r\n",
    ] {
        let server = serve_raw(response).await;
        let response = client(Settings::default())
            .send(get(&server), ClientOptions::default())
            .await
            .unwrap();
        let error = response.into_body().collect().await.map(|_| ()).unwrap_err();
        assert_eq!(error, HttpClientError::HttpResponseIncomplete);
    }
}

#[tokio::test]
async fn a_response_that_is_not_http_is_a_protocol_error() {
    let server = serve_raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n").await;
    let error = failure(&client(Settings::default()), get(&server)).await;
    assert!(matches!(error, HttpClientError::HttpProtocol { .. }), "{error:?}");
}

#[tokio::test]
async fn a_head_without_end_is_too_large() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\nx: {}",
            "a".repeat(2 * MAX_RESPONSE_HEAD_BYTES)
        );
        // The client hangs up on the way.
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = failure(&client(Settings::default()), get(format!("http://{address}/"))).await;
    assert_eq!(error, HttpClientError::HttpResponseHeaderSectionSize);
}

#[tokio::test]
async fn a_redirect_is_the_answer() {
    let (server, connections) = serve().await;
    let response = client(Settings::default())
        .send(get(format!("{server}/moved")), ClientOptions::default())
        .await;
    let response = response.unwrap();
    assert_eq!(
        (
            response.status(),
            response.headers()["location"].to_str().unwrap()
        ),
        (StatusCode::FOUND, "/echo")
    );
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn headers_about_the_connection_are_the_client_s_own() {
    let (server, _) = serve().await;
    let request = Request::get(format!("{server}/headers"))
        .header("host", "evil.example")
        .header("connection", "close, x-secret")
        .header("transfer-encoding", "chunked")
        .header("proxy-authorization", "Basic eDp5")
        .header("te", "gzip")
        .header("x-kept", "yes")
        .body(empty())
        .unwrap();
    let seen = text(
        client(Settings::default())
            .send(request, ClientOptions::default())
            .await
            .unwrap(),
    )
    .await;
    let mut seen: Vec<_> = seen.lines().collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            format!("host=\"{}\"", server.trim_start_matches("http://")).as_str(),
            "x-kept=\"yes\""
        ]
    );
}

#[tokio::test]
async fn the_error_of_a_request_body_is_that_of_the_call() {
    let (server, _) = serve().await;
    let (mut frames, body) = fed();
    let request = Request::post(format!("{server}/trailers")).body(body).unwrap();
    let sending = client(Settings::default()).send(request, ClientOptions::default());
    let (response, sent) = tokio::join!(sending, frames.send(Err(HttpClientError::HttpRequestBodySize)));
    sent.unwrap();
    assert_eq!(
        response.map(|_| ()).unwrap_err(),
        HttpClientError::HttpRequestBodySize
    );
}

#[tokio::test]
async fn giving_up_on_a_response_closes_its_connection() {
    let (listener, address) = listen().await;
    let client = client(Settings::default());
    let sending = client.send(get(format!("http://{address}/")), ClientOptions::default());
    let asked = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream
    };
    let Either::Right((mut stream, sending)) = select(sending, Box::pin(asked)).await else {
        panic!("there was an answer");
    };
    drop(sending);
    assert_eq!(
        stream.read(&mut [0; 1]).await.unwrap(),
        0,
        "the connection should be closed"
    );
}

#[tokio::test]
async fn what_is_no_absolute_http_uri_is_refused() {
    let client = client(Settings::default());
    for uri in [
        "/path",
        "ftp://example.com/",
        "http://user@example.com/",
        "http://a.b:99999/",
        "http://1.2.3.256/",
    ] {
        assert_eq!(
            failure(&client, get(uri)).await,
            HttpClientError::HttpRequestUriInvalid,
            "{uri}"
        );
    }
    for uri in [
        "http://self/",
        "http://self.alt/",
        "http://Catalog.spin.internal./",
    ] {
        assert_eq!(
            failure(&client, get(uri)).await,
            HttpClientError::DestinationNotFound,
            "{uri}"
        );
    }
    let tunnel = Request::builder()
        .method(Method::CONNECT)
        .uri("example.com:443")
        .body(empty())
        .unwrap();
    assert_eq!(
        failure(&client, tunnel).await,
        HttpClientError::HttpRequestMethodInvalid
    );
}

#[test]
fn the_pool_knows_one_spelling_of_a_destination() {
    for (given, sent) in [
        ("http://Example.COM.:80", "http://example.com/"),
        ("https://example.com:443/a?b", "https://example.com/a?b"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("http://0x7f.1:8080/%41", "http://127.0.0.1:8080/%41"),
        ("http://[::ffff:127.0.0.1]/", "http://127.0.0.1/"),
        ("http://[0::1]:80/", "http://[::1]/"),
    ] {
        assert_eq!(absolute(&given.parse().unwrap()).unwrap().to_string(), sent);
    }
}
