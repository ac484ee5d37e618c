//! Requests that leave the app: how many of one service at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, StreamBody};
use wasmtime_wasi_http::{RequestOptions, WasiHttpHooks};

use super::guest::callee;
use super::*;
use crate::engine::outbound::Outbound;

/// Answers with a head at once, and with a body that never ends.
#[derive(Default)]
struct Endless(AtomicUsize);

impl HttpClient for Endless {
    fn send(
        &self,
        _: http::Request<OutBody>,
        _: ClientOptions,
    ) -> BoxFuture<'static, Result<http::Response<OutBody>, HttpClientError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let body = StreamBody::new(futures::stream::pending()).boxed_unsync();
        std::future::ready(Ok(http::Response::new(body))).boxed()
    }
}

/// Asks as an instance does that would wait 100 ms for a connection.
async fn ask(outbound: &mut Outbound) -> Result<http::Response<Body>, BodyError> {
    let empty = Full::<Bytes>::default().map_err(|never| match never {});
    let request = http::Request::get("http://example.com/").body(empty.boxed_unsync());
    let options = RequestOptions {
        connect_timeout: Some(Duration::from_millis(100)),
        ..RequestOptions::default()
    };
    let done = Box::new(std::future::ready(Ok(())));
    let sent = Box::into_pin(outbound.send_request(request.unwrap(), Some(options), done));
    sent.await.map(|(response, _)| response)
}

#[tokio::test(start_paused = true)]
async fn one_service_cannot_take_every_connection_of_the_host() {
    let mut bench = Bench::new(4);
    let client = Arc::new(Endless::default());
    bench.client = client.clone();
    let subject = bench.program(&callee("", &[]), 0);
    // Two instances share what the service has.
    let (mut one, mut other) = (Outbound::new(&subject.program), Outbound::new(&subject.program));
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(ask(&mut one).await.unwrap());
        open.push(ask(&mut other).await.unwrap());
    }
    let refused = ask(&mut one).await;
    assert!(matches!(refused, Err(BodyError::ConnectionLimitReached)));
    assert_eq!(client.0.load(Ordering::Relaxed), 128);
    assert_eq!(
        subject.figure("outbound_requests_total", ",outcome=\"failed\""),
        1
    );

    let neighbour = bench.program(&callee("", &[]), 0);
    assert!(ask(&mut Outbound::new(&neighbour.program)).await.is_ok());
    drop(open.pop());
    let next = ask(&mut other).await;
    assert!(next.is_ok(), "a response that is dropped makes room");
}
