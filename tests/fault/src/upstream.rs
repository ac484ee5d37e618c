//! What the guests connect to: `/hang` gets no answer, `/header` one with a header of 1 MB, everything else a short text.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of the large header.
const LARGE: usize = 1_000_000;

/// The listener. It ends with its value, and what it accepted with it.
pub struct Upstream {
    /// Where it is.
    pub address: SocketAddr,
    server: JoinHandle<()>,
}

impl Upstream {
    /// Listens on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, server })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(stream: TcpStream) {
    let mut head = [0; b"GET /header".len()];
    // A look at the first bytes: no library sends a head of that size.
    if stream
        .peek(&mut head)
        .await
        .is_ok_and(|bytes| bytes == head.len())
        && &head == b"GET /header"
    {
        return large(stream).await;
    }
    // It ends as its client does.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn large(mut stream: TcpStream) {
    let mut response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-large: ".to_vec();
    response.resize(response.len() + LARGE, b'h');
    response.extend_from_slice(b"\r\n\r\n");
    let _ = stream.write_all(&response).await;
    let _ = stream.shutdown().await;
    // A request that nobody read would take the answer away.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/hang" {
        std::future::pending::<()>().await;
    }
    Ok(Response::new(Full::new(Bytes::from_static(b"the upstream"))))
}
