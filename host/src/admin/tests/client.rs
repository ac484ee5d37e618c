//! A client of the API: requests as bytes over a pipe or a socket, answers held against the document.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;

use super::fake::Fake;
use super::{Controls, Readiness, Server, TOKEN, document, state};
use crate::shutdown::Tasks;

/// A server without a listener, whose connections are pipes.
pub(super) struct Api {
    pub(super) server: Arc<Server>,
    pub(super) fake: Arc<Fake>,
    pub(super) tasks: Tasks,
    pub(super) controls: Controls,
    _ready: watch::Sender<Readiness>,
}

impl Api {
    pub(super) fn start() -> Self {
        let fake = Arc::new(Fake::new());
        let (state, ready, controls) = state(Some(fake.clone()));
        let tasks = Tasks::new();
        Self {
            server: Arc::new(Server::new(state, tasks.clone())),
            fake,
            tasks,
            controls,
            _ready: ready,
        }
    }

    /// A connection from this machine.
    pub(super) fn connect(&self) -> DuplexStream {
        self.connect_from(Ipv4Addr::LOCALHOST.into())
    }

    pub(super) fn connect_from(&self, peer: IpAddr) -> DuplexStream {
        let (near, far) = duplex(64 * 1024);
        let server = self.server.clone();
        self.tasks.background("connection", async move {
            super::super::connection(far, peer, &server).await;
        });
        near
    }

    /// Sends `request` and reads the whole answer.
    pub(super) async fn ask(&self, request: &Ask) -> Reply {
        self.ask_from(Ipv4Addr::LOCALHOST.into(), request).await
    }

    pub(super) async fn ask_from(&self, peer: IpAddr, request: &Ask) -> Reply {
        let mut stream = self.connect_from(peer);
        stream.write_all(&request.bytes()).await.unwrap();
        let reply = Reply::read(&mut stream).await;
        document::check(&request.method, &request.path, &reply);
        reply
    }
}

/// A request, with the token of the host if not said otherwise.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Ask {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
        .header("host", "127.0.0.1:3001")
        .header("authorization", &format!("Bearer {TOKEN}"))
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// With this header and no other of its name.
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).unwrap();
        self.headers
            .insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().as_bytes())
    }

    pub(super) fn body(mut self, of: &str, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.header("content-type", of)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(self.body.len());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The head, which says that so many bytes follow.
    pub(super) fn head(&self, length: usize) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
        bytes
    }
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Reads until the host closes the connection.
    pub(super) async fn read(stream: &mut DuplexStream) -> Self {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        Self::parse(&bytes)
    }

    pub(super) fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("there is an answer");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        let mut body = bytes[end + 4..].to_vec();
        if headers.contains_key("transfer-encoding") {
            body = unchunked(&body);
        }
        Self {
            status: status.parse().unwrap(),
            headers,
            body,
        }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// What came of a chunked body (RFC 9112 §7.1), whole or not.
pub(super) fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&bytes[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        let Some(chunk) = bytes.get(end + 2..end + 2 + length) else {
            break;
        };
        body.extend_from_slice(chunk);
        bytes = bytes.get(end + 4 + length..).unwrap_or_default();
    }
    body
}
