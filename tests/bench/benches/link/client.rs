//! Asks whoever makes the calls to make them, over one connection.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// A connection, and the thread that drives it.
pub struct Client {
    runtime: Runtime,
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// What calls took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// How many.
    pub calls: u64,
    /// All together.
    pub total: Duration,
    /// The median of a batch.
    pub median: Duration,
    /// The 99th percentile of a batch.
    pub high: Duration,
}

impl Client {
    pub fn open(address: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .build()
            .expect("a runtime starts");
        let sender = runtime.block_on(connect(address));
        Self {
            runtime,
            address,
            sender,
        }
    }

    /// Makes the calls of one path. In Wasmtime 48 each `async func` call between composed components leaves an entry in
    /// its Wasm store, which traps at a million of them; so another instance gets to try.
    pub fn times(&mut self, path: &str) -> Times {
        match self.try_times(path).or_else(|_| self.try_times(path)) {
            Ok(times) => times,
            Err(answer) => panic!("{path} at {} answers {answer}", self.address),
        }
    }

    fn try_times(&mut self, path: &str) -> Result<Times, String> {
        let request = Request::get(path)
            .header("host", self.address.to_string())
            .body(Full::default())
            .expect("the path is valid");
        let text = self.runtime.block_on(async {
            if self.sender.is_closed() || self.sender.ready().await.is_err() {
                self.sender = connect(self.address).await;
            }
            let response = self.sender.send_request(request).await.expect("it answers");
            let body = response.into_body().collect().await.expect("it answers whole");
            String::from_utf8_lossy(&body.to_bytes()).into_owned()
        });
        let numbers: Vec<u64> = text.split_whitespace().flat_map(str::parse).collect();
        let [total, median, high] = numbers[..] else {
            return Err(text);
        };
        let [total, median, high] = [total, median, high].map(Duration::from_nanos);
        Ok(Times {
            calls: 0,
            total,
            median,
            high,
        })
    }
}

/// A connection, driven by the runtime that this is called in.
pub async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("it accepts");
    stream.set_nodelay(true).expect("the option exists");
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .expect("it speaks HTTP");
    tokio::spawn(connection);
    sender
}
