//! The clients of the hostile service, and what they see.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

/// From an answer to the next request: a fault is no flood of requests.
const PAUSE: Duration = Duration::from_millis(10);

/// How long an answer may take after the end of the fault, before its client leaves.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is read of a short answer, in bytes.
const SHORT: usize = 1024;

/// How often clients saw what: `500 cpu-time` for a problem, `200 refused` for a guest's word, `200 cut` for a body that broke
/// off, `200 left` for one whose client had enough, `lost` for no answer at all.
pub type Seen = BTreeMap<String, u64>;

/// Lets so many clients ask for these paths in turn, one request after another each, until the time is over. In a path, `{n}`
/// is the number of the request.
///
/// # Errors
/// If a client breaks down.
pub async fn ask(
    address: SocketAddr,
    clients: usize,
    paths: &[String],
    until: Instant,
) -> anyhow::Result<Seen> {
    let number = Arc::new(AtomicU64::new(0));
    let paths: Arc<[String]> = paths.into();
    let tasks: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(one(address, number.clone(), paths.clone(), until)))
        .collect();
    let mut all = Seen::new();
    for task in tasks {
        for (what, count) in task.await? {
            *all.entry(what).or_default() += count;
        }
    }
    Ok(all)
}

async fn one(address: SocketAddr, number: Arc<AtomicU64>, paths: Arc<[String]>, until: Instant) -> Seen {
    let mut seen = Seen::new();
    let mut connection = None;
    while Instant::now() < until {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let path = &paths[number as usize % paths.len()];
        let path = path.replace("{n}", &number.to_string());
        let what = exchange(address, &mut connection, &path, until).await;
        *seen.entry(what).or_default() += 1;
        sleep(PAUSE).await;
    }
    seen
}

type Connection = SendRequest<Empty<Bytes>>;

async fn connect(address: SocketAddr) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One request, on the connection that is there if it lives.
async fn exchange(
    address: SocketAddr,
    connection: &mut Option<Connection>,
    path: &str,
    until: Instant,
) -> String {
    let head = async {
        let mut open = match connection.take() {
            Some(open) => open,
            None => connect(address).await?,
        };
        if open.ready().await.is_err() {
            open = connect(address).await?;
        }
        let request = Request::get(path)
            .header(header::HOST, address.to_string())
            .body(Empty::new())?;
        let response = open.send_request(request).await?;
        anyhow::Ok((open, response))
    };
    match timeout_at(until + PATIENCE, head).await {
        Err(_) => "left".to_owned(),
        Ok(Err(_)) => "lost".to_owned(),
        Ok(Ok((open, response))) => {
            let status = response.status().as_u16();
            match timeout_at(until + PATIENCE, read(response)).await {
                Ok(Some(word)) => {
                    *connection = Some(open);
                    format!("{status} {word}").trim_end().to_owned()
                }
                Ok(None) => format!("{status} cut"),
                Err(_) => format!("{status} left"),
            }
        }
    }
}

/// What a whole answer says: the kind of a problem, or a short text. Nothing if it breaks off.
async fn read(response: Response<Incoming>) -> Option<String> {
    let media = response.headers().get(header::CONTENT_TYPE).cloned();
    let mut body = response.into_body();
    let mut short = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else {
            continue;
        };
        let room = SHORT.saturating_sub(short.len());
        short.extend_from_slice(&data[..data.len().min(room)]);
    }
    let media = media.as_ref().and_then(|media| media.to_str().ok());
    Some(match media {
        Some("application/problem+json") => problem(&short).unwrap_or_else(|| "problem".to_owned()),
        Some(media) if media.starts_with("text/") => String::from_utf8_lossy(&short).trim().to_owned(),
        _ => String::new(),
    })
}

/// The last part of a problem's type.
fn problem(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let kind = value.get("type")?.as_str()?.rsplit(':').next()?;
    Some(kind.to_owned())
}
