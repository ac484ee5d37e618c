//! Connections of the load: one protocol each, and requests whose times are taken.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::answer::Form;
use super::{Field, Passage};
use crate::clock;
use crate::record::Ending;

/// How long an answer may take before it counts as lost: longer than the longest transfer and any time-out of the host.
const PATIENCE: Duration = Duration::from_secs(120);

/// The most that an answer may have.
const MAX_BYTES: usize = 1 << 20;

/// What is sent after the head.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Nothing.
pub fn empty() -> Body {
    Empty::new().boxed_unsync()
}

/// What comes out of a channel, until its end.
pub fn fed(pieces: mpsc::Receiver<Bytes>) -> Body {
    Fed(pieces).boxed_unsync()
}

struct Fed(mpsc::Receiver<Bytes>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/1.1, with a request that asks for the end of the connection.
    Http1Close,
    /// HTTP/2, known before.
    Http2,
}

/// An open connection.
pub struct Connection {
    sender: Sender,
    address: SocketAddr,
    protocol: Protocol,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Connection {
    /// # Errors
    /// If the host does not accept it.
    pub async fn open(address: SocketAddr, protocol: Protocol) -> anyhow::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let stream = TokioIo::new(stream);
        let sender = match protocol {
            Protocol::Http1 | Protocol::Http1Close => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Ok(Self {
            sender,
            address,
            protocol,
        })
    }

    /// Whether another request may be sent.
    pub async fn is_ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request, a `POST` where it has a body, and takes its times.
    pub async fn exchange(&mut self, path: &str, body: Body, form: Form) -> Passage {
        let method = if http_body::Body::is_end_stream(&body) {
            "GET"
        } else {
            "POST"
        };
        let request = Request::builder().method(method);
        let request = match self.protocol {
            Protocol::Http2 => request
                .version(Version::HTTP_2)
                .uri(format!("http://{}{path}", self.address)),
            protocol => {
                let request = request.uri(path).header("host", self.address.to_string());
                match protocol {
                    Protocol::Http1Close => request.header("connection", "close"),
                    _ => request,
                }
            }
        };
        let Ok(request) = request.body(body) else {
            return lost();
        };
        let begin = clock::now();
        let mut head = None;
        let answer = timeout(PATIENCE, async {
            let response = match &mut self.sender {
                Sender::Http1(sender) => sender.send_request(request).await,
                Sender::Http2(sender) => sender.send_request(request).await,
            };
            let Ok(response) = response else {
                return Ending::Lost;
            };
            head = Some(clock::now());
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
            match body {
                Ok(_) if status != StatusCode::OK => Ending::Status(status.as_u16()),
                Ok(body) => form.read(&body.to_bytes()),
                Err(_) => Ending::Broken,
            }
        });
        let ending = answer.await;
        let end = clock::now();
        Passage {
            begin,
            head: head.unwrap_or(end),
            end,
            ending: ending.unwrap_or(if head.is_some() {
                Ending::Broken
            } else {
                Ending::Lost
            }),
        }
    }
}

/// Of a request that could not be sent.
pub fn lost() -> Passage {
    let now = clock::now();
    Passage {
        begin: now,
        head: now,
        end: now,
        ending: Ending::Lost,
    }
}

/// An HTTP/2 connection that several workers use at once.
#[derive(Default)]
pub struct Shared(Mutex<Option<http2::SendRequest<Body>>>);

impl Shared {
    /// The connection, opened if it is not.
    ///
    /// # Errors
    /// If the host does not accept it.
    pub async fn connection(&self, field: &Field) -> anyhow::Result<Connection> {
        let mut shared = self.0.lock().await;
        if let Some(mut sender) = shared.clone() {
            if sender.ready().await.is_ok() {
                return Ok(Connection {
                    sender: Sender::Http2(sender),
                    address: field.address,
                    protocol: Protocol::Http2,
                });
            }
            field.note_closed();
        }
        let connection = Connection::open(field.address, Protocol::Http2).await?;
        if let Sender::Http2(sender) = &connection.sender {
            *shared = Some(sender.clone());
        }
        Ok(connection)
    }
}

impl Field {
    /// The host has closed a connection that was in use.
    pub fn note_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}
