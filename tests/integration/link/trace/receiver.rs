//! A receiver of OTLP over HTTP, which reads what it gets by the wire format of Protocol Buffers alone and by the
//! field numbers of the protocol (<https://github.com/open-telemetry/opentelemetry-proto>).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What part a span plays between two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Server,
    Client,
    Other,
}

/// A span that arrived. Ids are hexadecimal; a span without a parent has an empty one.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub trace_state: String,
    pub name: String,
    pub kind: Kind,
    /// Nanoseconds of the wall clock, as is the end.
    pub started: u64,
    pub ended: u64,
    pub is_error: bool,
    attributes: BTreeMap<String, String>,
}

impl Span {
    /// An attribute as text; nothing if it has none of that name.
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    fn read(message: &[u8]) -> Self {
        let one = |number| fields(message).into_iter().find(|(found, _)| *found == number);
        let bytes = |number| one(number).map(|(_, value)| value.bytes()).unwrap_or_default();
        let number = |number| one(number).map_or(0, |(_, value)| value.number());
        let attributes = fields(message).into_iter().filter(|(number, _)| *number == 9);
        Self {
            trace: hex(&bytes(1)),
            id: hex(&bytes(2)),
            trace_state: text(&bytes(3)),
            parent: hex(&bytes(4)),
            name: text(&bytes(5)),
            kind: match number(6) {
                2 => Kind::Server,
                3 => Kind::Client,
                _ => Kind::Other,
            },
            started: number(7),
            ended: number(8),
            is_error: fields(&bytes(15))
                .iter()
                .any(|(number, value)| (*number, value.number()) == (3, 2)),
            attributes: attributes.map(|(_, value)| attribute(&value.bytes())).collect(),
        }
    }
}

/// The receiver; it ends with its value.
pub struct Receiver {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Bytes>>>,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let bodies = Arc::<Mutex<Vec<Bytes>>>::default();
        let taken = bodies.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taken = taken.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| take(request, &taken));
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            bodies,
            server,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests arrived.
    pub fn requests(&self) -> usize {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// All spans that arrived.
    pub fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies
            .iter()
            .flat_map(|body| messages(body, 1))
            .flat_map(|resource| messages(&resource, 2))
            .flat_map(|scope| messages(&scope, 2))
            .map(|span| Span::read(&span))
            .collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(
    request: Request<Incoming>,
    taken: &Mutex<Vec<Bytes>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let right = request.uri().path() == "/v1/traces";
    if let Ok(body) = request.into_body().collect().await
        && right
    {
        taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(body.to_bytes());
    }
    Ok(Response::new(Full::default()))
}

/// A value of the wire format: a number of any width, or bytes that may be a message.
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Value {
    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(bytes) => panic!("a number was expected, not {bytes:?}"),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Number(number) => panic!("bytes were expected, not {number}"),
        }
    }
}

/// The fields of a message with their numbers.
fn fields(mut message: &[u8]) -> Vec<(u64, Value)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut message)),
            1 => Value::Number(fixed(&mut message, 8)),
            2 => {
                let length = usize::try_from(varint(&mut message)).expect("the length fits");
                let (bytes, rest) = message.split_at(length);
                message = rest;
                Value::Bytes(bytes.to_vec())
            }
            5 => Value::Number(fixed(&mut message, 4)),
            other => panic!("no message has a field of wire type {other}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

/// The messages of one repeated field.
fn messages(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let fields = fields(message).into_iter().filter(|(found, _)| *found == number);
    fields.map(|(_, value)| value.bytes()).collect()
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first().expect("a number has an end");
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn fixed(message: &mut &[u8], width: usize) -> u64 {
    let (bytes, rest) = message.split_at(width);
    *message = rest;
    let mut wide = [0; 8];
    wide[..width].copy_from_slice(bytes);
    u64::from_le_bytes(wide)
}

/// The key and the value of an attribute: a text, a flag or a number.
fn attribute(message: &[u8]) -> (String, String) {
    let mut pair = (String::new(), String::new());
    for (number, value) in fields(message) {
        match number {
            1 => pair.0 = text(&value.bytes()),
            _ => {
                for (kind, value) in fields(&value.bytes()) {
                    pair.1 = match kind {
                        1 => text(&value.bytes()),
                        _ => value.number().to_string(),
                    };
                }
            }
        }
    }
    pair
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
