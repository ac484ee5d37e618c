//! An HTTP client without opinions: one connection, one protocol, every frame visible.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::soon;

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The HTTP version that a connection speaks from its first byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];
}

pub fn empty() -> Body {
    Empty::new().boxed_unsync()
}

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body that the test feeds piece by piece; dropping the sender ends it.
pub fn streamed() -> (BodySender, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (BodySender(sender), Fed(receiver).boxed_unsync())
}

/// The writing end of a [`streamed`] body.
pub struct BodySender(mpsc::Sender<Frame<Bytes>>);

impl BodySender {
    /// Hands over a piece; `false` once the connection no longer wants any.
    pub async fn data(&self, piece: impl Into<Bytes>) -> bool {
        self.0.send(Frame::data(piece.into())).await.is_ok()
    }

    /// Ends the body with trailers.
    pub async fn trailers(self, trailers: HeaderMap) -> bool {
        self.0.send(Frame::trailers(trailers)).await.is_ok()
    }
}

struct Fed(mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

/// A response read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Answer {
    /// Reads the body; an error where the connection was cut before its end.
    pub async fn read(response: Response<Incoming>) -> hyper::Result<Self> {
        let (head, body) = response.into_parts();
        let collected = soon("the end of a response body", body.collect()).await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Self {
            status: head.status,
            headers: head.headers,
            body: collected.to_bytes(),
            trailers,
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is no JSON ({error}): {self:?}"),
        }
    }

    /// A header as text, empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap_or_default())
    }
}

/// One connection to the host.
pub struct Connection {
    sender: Sender,
    authority: String,
    /// The bytes on the wire; dropping the connection closes it.
    driver: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
enum Sender {
    Http1(std::sync::Arc<tokio::sync::Mutex<http1::SendRequest<Body>>>),
    Http2(http2::SendRequest<Body>),
}

impl Connection {
    pub async fn open(address: SocketAddr, protocol: Protocol) -> Self {
        let stream = soon("a connection", TcpStream::connect(address))
            .await
            .expect("the host accepts");
        stream.set_nodelay(true).expect("the option exists");
        let stream = TokioIo::new(stream);
        let (sender, driver) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.expect("the handshake is local");
                let sender = Sender::Http1(std::sync::Arc::new(sender.into()));
                (sender, tokio::spawn(async move { drop(connection.await) }))
            }
            Protocol::Http2 => {
                let handshake = http2::handshake(TokioExecutor::new(), stream);
                let (sender, connection) = handshake.await.expect("the handshake is local");
                (
                    Sender::Http2(sender),
                    tokio::spawn(async move { drop(connection.await) }),
                )
            }
        };
        Self {
            sender,
            authority: address.to_string(),
            driver,
        }
    }

    /// Sends a request and returns with the head of the response. The target may be a path: authority, scheme and
    /// `host` are then those of the connection.
    pub async fn send(&self, mut request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        match &self.sender {
            Sender::Http1(sender) => {
                if !request.headers().contains_key(http::header::HOST) {
                    let host = self.authority.parse().expect("an address is a valid header");
                    request.headers_mut().insert(http::header::HOST, host);
                }
                *request.uri_mut() = path.parse().expect("the path came from a uri");
                let mut sender = sender.lock().await;
                sender.ready().await?;
                soon("the head of a response", sender.send_request(request)).await
            }
            Sender::Http2(sender) => {
                let host = request.headers_mut().remove(http::header::HOST);
                let authority = host.map_or(self.authority.clone(), |host| {
                    host.to_str().expect("the test's host is text").to_owned()
                });
                let uri = format!("http://{authority}{path}");
                *request.uri_mut() = uri.parse().expect("the parts came from a uri");
                *request.version_mut() = http::Version::HTTP_2;
                let mut sender = sender.clone();
                sender.ready().await?;
                soon("the head of a response", sender.send_request(request)).await
            }
        }
    }

    /// Sends a request and reads the whole response.
    pub async fn exchange(&self, request: Request<Body>) -> hyper::Result<Answer> {
        Answer::read(self.send(request).await?).await
    }

    /// A whole GET that is expected to work.
    pub async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path)
            .body(empty())
            .expect("the test's path is valid");
        self.exchange(request).await.expect("the host answers")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Sends bytes as they are and reads until the host closes the connection.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = soon("a connection", TcpStream::connect(address))
        .await
        .expect("the host accepts");
    // The host may answer and close before it has read everything: what it said still counts.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = soon(
        "the host to close the connection",
        stream.read_to_end(&mut answer),
    )
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}
