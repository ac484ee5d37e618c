//! A client with one connection, which knows when a response has come whole.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a host, made when it is first needed, and anew when it is closed.
pub struct Client {
    address: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// For a host.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// Sends a request and reads the response to its end.
    ///
    /// # Errors
    /// If the connection is cut before that, or nothing comes for a minute.
    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let exchange = async {
            let mut connection = match self.connection.take() {
                Some(open) if !open.is_closed() => open,
                _ => connect(self.address).await?,
            };
            connection.ready().await?;
            let request = Request::builder().method(method).uri(path);
            let request = request.header("host", self.address.to_string());
            let request = request.body(Full::new(Bytes::from(body)))?;
            let (head, body) = connection.send_request(request).await?.into_parts();
            let bytes = body.collect().await?.to_bytes();
            self.connection = Some(connection);
            anyhow::Ok((head.status, bytes))
        };
        timeout(PATIENCE, exchange)
            .await
            .context("no answer within a minute")?
    }

    /// Reads something that must be there.
    ///
    /// # Errors
    /// Those of [`Self::call`], and for any status but 200.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Bytes> {
        let (status, body) = self.call(Method::GET, path, Vec::new()).await?;
        ensure!(status == StatusCode::OK, "GET {path}: {status} {}", text(&body));
        Ok(body)
    }

    /// Runs statements at a service, and returns the status and the rows of the last one.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub async fn sql(&mut self, service: &str, statements: &Value) -> anyhow::Result<(StatusCode, Value)> {
        let body = json!({ "database": crate::app::LABEL, "statements": statements });
        let (status, body) = self
            .call(
                Method::POST,
                &format!("/{service}/sql"),
                body.to_string().into_bytes(),
            )
            .await?;
        let rows = match status {
            StatusCode::OK => serde_json::from_slice::<Value>(&body)?["rows"].take(),
            _ => Value::String(text(&body)),
        };
        Ok((status, rows))
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
