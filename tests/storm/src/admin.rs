//! A client of the admin API, with just what a storm needs of it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::app;
use crate::host::Target;

/// How long a call may take: a busy machine may have to compile a few components first.
const PATIENCE: Duration = Duration::from_secs(120);

/// One connection to the admin listener, made anew when it is closed.
pub struct Admin {
    address: SocketAddr,
    app: String,
    bearer: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What the host says of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is served now.
    Done(Times),
    /// It is not.
    Refused {
        /// `refused`, `invalid`, `busy`, `not-found` …
        kind: String,
        /// Why, and what to do about it.
        why: String,
    },
}

/// What a change took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Times {
    /// Preparing.
    pub prepare: f64,
    /// Publishing, the sync included.
    pub publish: f64,
    /// The sync.
    pub sync: f64,
}

/// How an entry of the history drained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drain {
    /// Milliseconds until the last request had left; nothing while some are there.
    pub took: Option<f64>,
    /// Requests and calls that were interrupted.
    pub interrupted: u64,
}

impl Admin {
    /// For a host that serves the app of the storm.
    pub fn new(target: &Target) -> Self {
        Self::of(target, app::NAME)
    }

    /// For a host that serves an app of this name.
    pub fn of(target: &Target, app: &str) -> Self {
        Self {
            address: target.admin,
            app: app.to_owned(),
            bearer: format!("Bearer {}", target.token),
            connection: None,
        }
    }

    /// Uploads a component and returns its digest.
    ///
    /// # Errors
    /// [`Answer::Refused`] in the inner result where the host does not take it; otherwise those of the call.
    pub async fn upload(&mut self, component: Bytes) -> anyhow::Result<Result<String, Answer>> {
        let path = format!("/v1/apps/{}/components", self.app);
        let (status, value) = self
            .call(Method::PUT, &path, "application/wasm", component)
            .await?;
        if !status.is_success() {
            return Ok(Err(refused(status, &value)?));
        }
        let digest = value.get("component").and_then(Value::as_str);
        Ok(Ok(digest.context("an upload has a digest")?.to_owned()))
    }

    /// Deploys services, all at once.
    ///
    /// # Errors
    /// Where nobody knows what came of it: the call broke off, or the host failed.
    pub async fn deploy(&mut self, services: &[(&str, String)]) -> anyhow::Result<Answer> {
        let services: serde_json::Map<_, _> = services
            .iter()
            .map(|(service, digest)| ((*service).to_owned(), json!({ "component": digest })))
            .collect();
        self.change("deploy", &json!({ "services": services })).await
    }

    /// Applies a manifest.
    ///
    /// # Errors
    /// Where nobody knows what came of it: the call broke off, or the host failed.
    pub async fn apply(&mut self, manifest: &Path) -> anyhow::Result<Answer> {
        self.change("apply", &json!({ "manifest": manifest })).await
    }

    /// How what was replaced drained, for each entry of the history that published something.
    ///
    /// # Errors
    /// Those of the calls.
    pub async fn drains(&mut self) -> anyhow::Result<Vec<Drain>> {
        let mut drains = Vec::new();
        let mut before = None;
        loop {
            let query = before.map_or(String::new(), |before: u64| format!("?before={before}"));
            let page = self.get(&format!("history{query}")).await?;
            let entries = page.get("entries").and_then(Value::as_array);
            for entry in entries.context("a history has entries")? {
                if entry.get("outcome").and_then(Value::as_str) == Some("published") {
                    drains.push(Drain {
                        took: entry.get("drain_ms").and_then(Value::as_f64),
                        interrupted: entry.get("interrupted").and_then(Value::as_u64).unwrap_or(0),
                    });
                }
            }
            before = page.get("next").and_then(Value::as_u64);
            if before.is_none() {
                return Ok(drains);
            }
        }
    }

    /// How many revisions that were replaced have requests left.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn draining(&mut self) -> anyhow::Result<usize> {
        let status = self.get("").await?;
        let services = status.get("services").and_then(Value::as_array);
        let draining = services.context("an app has services")?.iter().map(|service| {
            let draining = service.get("draining").and_then(Value::as_array);
            draining.map_or(0, Vec::len)
        });
        Ok(draining.sum())
    }

    async fn get(&mut self, what: &str) -> anyhow::Result<Value> {
        let path = format!("/v1/apps/{}/{what}", self.app);
        let path = path.trim_end_matches('/');
        let (status, value) = self.call(Method::GET, path, "", Bytes::new()).await?;
        if status != StatusCode::OK {
            bail!("{path} answers {status}: {value}");
        }
        Ok(value)
    }

    async fn change(&mut self, how: &str, order: &Value) -> anyhow::Result<Answer> {
        let path = format!("/v1/apps/{}/{how}", self.app);
        let body = Bytes::from(order.to_string());
        let (status, value) = self.call(Method::POST, &path, "application/json", body).await?;
        if !status.is_success() {
            return refused(status, &value);
        }
        let milliseconds = |key: &str| value.get(key).and_then(Value::as_f64);
        match value.get("outcome").and_then(Value::as_str) {
            Some("published" | "unchanged") => Ok(Answer::Done(Times {
                prepare: milliseconds("prepare_ms").context("prepare_ms is missing")?,
                publish: milliseconds("publish_ms").context("publish_ms is missing")?,
                sync: milliseconds("sync_ms").context("sync_ms is missing")?,
            })),
            _ => bail!("{path} answers {value}"),
        }
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        media: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let exchange = async {
            let mut connection = match self.connection.take() {
                Some(open) => open,
                None => self.connect().await?,
            };
            // One that was closed while nobody used it.
            if connection.ready().await.is_err() {
                connection = self.connect().await?;
            }
            let mut request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", self.address.to_string())
                .header("authorization", &self.bearer);
            if !media.is_empty() {
                request = request.header("content-type", media);
            }
            let request = request.body(Full::new(body))?;
            let (head, body) = connection.send_request(request).await?.into_parts();
            let bytes = body.collect().await?.to_bytes();
            self.connection = Some(connection);
            let value = serde_json::from_slice(&bytes)
                .with_context(|| format!("{} {}", head.status, String::from_utf8_lossy(&bytes)))?;
            anyhow::Ok((head.status, value))
        };
        let answer = timeout(PATIENCE, exchange).await;
        answer
            .map_err(anyhow::Error::from)
            .flatten()
            .with_context(|| format!("the admin API does not answer {path}"))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// A problem of the client's kind. One of the host's kind is an error: nobody knows what came of the call.
fn refused(status: StatusCode, problem: &Value) -> anyhow::Result<Answer> {
    if !status.is_client_error() {
        bail!("the admin API answers {status}: {problem}");
    }
    let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default();
    Ok(Answer::Refused {
        kind: text("kind").to_owned(),
        why: format!("{} {}", text("detail"), text("hint")).trim().to_owned(),
    })
}
