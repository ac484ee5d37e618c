//! A small HTTP server for the guests' outbound requests: records what it saw and answers `/echo` with the body,
//! `/hang` never, `/redirect` with a 302 and everything else with its own name.

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
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::soon;

/// The head of a request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    requests: usize,
    connections: usize,
    closed: usize,
}

/// The server; it ends with its value.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    counts: watch::Receiver<Counts>,
    server: JoinHandle<()>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (news, counts) = watch::channel(Counts::default());
        let server = tokio::spawn(serve(listener, seen.clone(), news));
        Self {
            address,
            seen,
            counts,
            server,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.counts.borrow().connections
    }

    /// Waits until this many requests have arrived.
    pub async fn requests(&self, count: usize) {
        let mut counts = self.counts.clone();
        let arrived = counts.wait_for(|counts| counts.requests >= count);
        soon("a request at the upstream", arrived)
            .await
            .expect("the server runs");
    }

    /// Waits until this many connections have ended.
    pub async fn closed(&self, count: usize) {
        let mut counts = self.counts.clone();
        let closed = counts.wait_for(|counts| counts.closed >= count);
        soon("the upstream's connection to end", closed)
            .await
            .expect("the server runs");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>, news: watch::Sender<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        news.send_modify(|counts| counts.connections += 1);
        let (seen, news) = (seen.clone(), news.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &seen, &news));
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            news.send_modify(|counts| counts.closed += 1);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: &Mutex<Vec<Seen>>,
    news: &watch::Sender<Counts>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    let path = request.uri().to_string();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(Seen {
        method: request.method().to_string(),
        path: path.clone(),
        headers,
    });
    news.send_modify(|counts| counts.requests += 1);
    let response = Response::builder().header("x-upstream", "yes");
    let response = match path.as_str() {
        "/hang" => std::future::pending().await,
        "/redirect" => response
            .status(302)
            .header("location", "/elsewhere")
            .body(Full::default()),
        "/echo" => {
            let body = request
                .into_body()
                .collect()
                .await
                .map(|body| body.to_bytes())
                .unwrap_or_default();
            response.body(Full::new(body))
        }
        _ => response.body(Full::new("the upstream".into())),
    };
    Ok(response.expect("the parts are valid"))
}
