//! A stream that fails when the other side says nothing at first, or later takes nothing, for too long.
//!
//! Without it a client that sends or reads no byte would hold its connection, its request and an instance for ever. What lies
//! between, the time for each request head, the HTTP implementation watches itself once it knows the version.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

pub(super) struct StallGuard<S> {
    inner: S,
    limit: Duration,
    /// Runs until it is clear what the client speaks.
    opening: Option<Opening>,
    /// Runs while a write waits. Boxed: most connections never need one.
    stalled: Option<Pin<Box<Sleep>>>,
}

struct Opening {
    read: usize,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

/// The length of HTTP/2's connection preface (RFC 9113 §3.4): with so many bytes the version is known.
const PREFACE: usize = 24;

impl<S> StallGuard<S> {
    /// `opening` is the time for the first bytes, `limit` the time in which the other side must take some of what is written.
    pub(super) fn new(inner: S, opening: Duration, limit: Duration) -> Self {
        Self {
            inner,
            limit,
            opening: Some(Opening {
                read: 0,
                limit: opening,
                timer: Box::pin(sleep(opening)),
            }),
            stalled: None,
        }
    }

    fn watch<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            // There is an answer, so there was a request.
            self.opening = None;
            self.stalled = None;
            return polled;
        }
        let limit = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        match stalled.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                stalled.as_mut().reset(Instant::now() + limit);
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("the client took no byte within {limit:?}"),
                )))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let Some(opening) = &mut self.opening else {
            return polled;
        };
        opening.read += buf.filled().len() - before;
        if opening.read >= PREFACE {
            self.opening = None;
        } else if polled.is_pending() && opening.timer.as_mut().poll(cx).is_ready() {
            let limit = opening.limit;
            self.opening = None;
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the client made no request within {limit:?}"),
            )));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(polled, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(polled, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_ends_the_write() {
        let (near, _far) = duplex(16);
        let mut guarded = StallGuard::new(near, Duration::from_secs(60), Duration::from_secs(30));
        let error = guarded.write_all(&[0; 64]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_not_waited_for() {
        for first in ["", "PRI"] {
            let (near, mut far) = duplex(64);
            let mut guarded = StallGuard::new(near, Duration::from_secs(60), Duration::from_secs(30));
            far.write_all(first.as_bytes()).await.expect("there is room");
            let error = guarded
                .read_exact(&mut [0; PREFACE])
                .await
                .expect_err("nothing more comes");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{first:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_spoken_may_be_silent() {
        let (near, mut far) = duplex(64);
        let mut guarded = StallGuard::new(near, Duration::from_secs(60), Duration::from_secs(30));
        far.write_all(&[b'x'; PREFACE]).await.expect("there is room");
        guarded.read_exact(&mut [0; PREFACE]).await.expect("it came");
        let more = tokio::time::timeout(Duration::from_secs(600), guarded.read(&mut [0; 1])).await;
        assert!(more.is_err(), "still open: {more:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_takes_something_is_waited_for() {
        let (near, mut far) = duplex(16);
        let mut guarded = StallGuard::new(near, Duration::from_secs(60), Duration::from_secs(30));
        let reading = tokio::spawn(async move {
            let mut taken = 0;
            while taken < 64 {
                sleep(Duration::from_secs(20)).await;
                taken += far.read(&mut [0; 16]).await.expect("open");
            }
        });
        guarded
            .write_all(&[0; 64])
            .await
            .expect("the reader takes some every 20 s");
        reading.await.expect("no panic");
    }
}
