//! What a call costs without links: two native axum servers, each with a runtime of its own as two processes would have, one
//! connection between them that is kept alive.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::Path;
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use super::client::connect;

/// The cases that exist over HTTP.
pub const CASES: [&str; 4] = ["none", "record", "bytes-1k", "bytes-1m"];

/// A server that calls another.
pub struct Pair {
    /// Makes the calls and times them, as the guests do.
    pub front: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    id: u64,
    name: String,
    quantity: u32,
}

impl Pair {
    pub fn start() -> Self {
        let back = serve(
            Router::new()
                .route("/none", get(async || ()))
                .route("/record", post(reserve))
                .route("/bytes", post(async |bytes: Bytes| bytes)),
        );
        let connection = Arc::new(Mutex::new(None));
        let front = move |Path((case, calls, batch)): Path<(String, u64, u64)>| {
            let connection = connection.clone();
            async move {
                let mut connection = connection.lock().await;
                let mut sender = match connection.take() {
                    Some(sender) => sender,
                    None => connect(back).await,
                };
                let answer = measure(&mut sender, back, &case, calls, batch).await;
                *connection = Some(sender);
                answer
            }
        };
        Self {
            front: serve(Router::new().route("/{case}/{calls}/{batch}", get(front))),
        }
    }
}

async fn reserve(Json(item): Json<Item>) -> Json<Item> {
    Json(Item {
        quantity: item.quantity + 1,
        ..item
    })
}

/// Takes spans and forgets them.
pub fn receiver() -> SocketAddr {
    serve(Router::new().route("/v1/traces", post(async |_: Bytes| ())))
}

/// Serves on a free port, in a runtime of its own, until the process ends.
fn serve(router: Router) -> SocketAddr {
    let runtime = Runtime::new().expect("a runtime starts");
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || runtime.block_on(axum::serve(listener, router).into_future()));
    address
}

/// Makes calls of one case. Answers as the guests do.
async fn measure(
    sender: &mut SendRequest<Full<Bytes>>,
    back: SocketAddr,
    case: &str,
    calls: u64,
    batch: u64,
) -> String {
    let item = Item {
        id: 4_711,
        name: "a blue chair".to_owned(),
        quantity: 3,
    };
    let bytes = match case {
        "bytes-1k" => Bytes::from(vec![7; 1 << 10]),
        _ => Bytes::from(vec![7; 1 << 20]),
    };
    let host = back.to_string();
    let mut batches = Vec::with_capacity(usize::try_from(calls.div_ceil(batch)).unwrap_or(0));
    let started = Instant::now();
    let mut left = calls;
    while left > 0 {
        let lap = Instant::now();
        for _ in 0..left.min(batch) {
            match case {
                "none" => {
                    let request = Request::get("/none").header(HOST, &host).body(Full::default());
                    let answer = call(sender, request).await;
                    assert!(answer.is_empty());
                }
                "record" => {
                    let json = serde_json::to_vec(&item).expect("an item is JSON");
                    let request = Request::post("/record")
                        .header(HOST, &host)
                        .header(CONTENT_TYPE, "application/json")
                        .body(Full::from(json));
                    let answer = call(sender, request).await;
                    let reserved: Item = serde_json::from_slice(&answer).expect("an item came");
                    assert_eq!(reserved.quantity, item.quantity + 1);
                }
                _ => {
                    let request = Request::post("/bytes").header(HOST, &host);
                    let answer = call(sender, request.body(Full::from(bytes.clone()))).await;
                    assert_eq!(answer.len(), bytes.len());
                }
            }
        }
        left -= left.min(batch);
        batches.push(lap.elapsed());
    }
    let total = started.elapsed();
    batches.sort_unstable();
    let at = |percent: usize| {
        let last = batches.len().saturating_sub(1);
        batches.get(last * percent / 100).map_or(0, Duration::as_nanos)
    };
    format!("{} {} {}\n", total.as_nanos(), at(50), at(99))
}

async fn call(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Result<Request<Full<Bytes>>, hyper::http::Error>,
) -> Bytes {
    sender.ready().await.expect("the connection is kept");
    let request = request.expect("the request is valid");
    let response = sender.send_request(request).await.expect("it answers");
    assert!(response.status().is_success(), "{}", response.status());
    response
        .into_body()
        .collect()
        .await
        .expect("it answers whole")
        .to_bytes()
}
