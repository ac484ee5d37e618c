//! One request to the admin API and its answer: HTTP/1.1, a connection for each.
//!
//! Bounds: connecting takes [`CONNECT`] at most; the head of an answer to a question [`PATIENCE`], and every part of a
//! whole body as well; that to a change as long as it needs, since a component may be compiled for it. A whole body has
//! at most [`MAX_ANSWER`] bytes. Streams have no end and are read in lines (`stream.rs`).

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ClientError;
use super::locate::Place;
use crate::shutdown::Tasks;

/// The longest time until a connection is there.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest wait for a host that has nothing to do but answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of an answer that is read as a whole.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How long an answer may take to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// [`PATIENCE`].
    Short,
    /// Without end: the host prepares a change, and Ctrl-C is always there.
    Long,
}

/// The way to one host.
#[derive(Debug)]
pub(super) struct Exchange {
    place: Place,
    tasks: Tasks,
}

impl Exchange {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            tasks: Tasks::new(),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Sends `request` with the token, and gives the answer as soon as its head is there.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        wait: Wait,
    ) -> Result<Response<Incoming>, ClientError> {
        let token = format!("Bearer {}", self.place.token.expose());
        let header = |text: &str| HeaderValue::from_str(text).map_err(|error| self.not_understood(error));
        let mut authorization = header(&token)?;
        authorization.set_sensitive(true);
        request.headers_mut().insert(HOST, header(&self.place.address)?);
        request.headers_mut().insert(AUTHORIZATION, authorization);

        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| self.gone(source))?;
        // What goes wrong with the connection is told to the request or to the body, whichever is under way.
        self.tasks.background("admin-client", async move {
            let _told = connection.await;
        });
        let answer = sender.send_request(request);
        let answer = match wait {
            Wait::Long => answer.await,
            Wait::Short => timeout(PATIENCE, answer)
                .await
                .map_err(|_| self.silent(PATIENCE))?,
        };
        answer.map_err(|source| self.gone(source))
    }

    async fn connect(&self) -> Result<TcpStream, ClientError> {
        let connected = timeout(CONNECT, TcpStream::connect(&self.place.address)).await;
        let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut));
        let stream = connected
            .unwrap_or_else(late)
            .map_err(|source| ClientError::Connect {
                address: self.place.address.clone(),
                named: self.place.named.clone(),
                source,
            })?;
        // It only saves time.
        let _slower = stream.set_nodelay(true);
        Ok(stream)
    }

    /// The whole body of an answer.
    pub(super) async fn whole(&self, mut body: Incoming) -> Result<Vec<u8>, ClientError> {
        let mut whole = Vec::new();
        loop {
            let frame = timeout(PATIENCE, body.frame())
                .await
                .map_err(|_| self.silent(PATIENCE))?;
            let Some(frame) = frame else {
                return Ok(whole);
            };
            let frame = frame.map_err(|source| self.gone(source))?;
            if let Some(data) = frame.data_ref() {
                if whole.len() + data.len() > MAX_ANSWER {
                    return Err(self.not_understood(format!("it says more than {MAX_ANSWER} bytes")));
                }
                whole.extend_from_slice(data);
            }
        }
    }

    pub(super) fn gone(&self, source: hyper::Error) -> ClientError {
        ClientError::Gone {
            address: self.place.address.clone(),
            source,
        }
    }

    pub(super) fn not_understood(&self, why: impl ToString) -> ClientError {
        ClientError::NotUnderstood {
            address: self.place.address.clone(),
            why: why.to_string(),
        }
    }

    fn silent(&self, after: Duration) -> ClientError {
        ClientError::Silent {
            address: self.place.address.clone(),
            seconds: after.as_secs(),
        }
    }
}
