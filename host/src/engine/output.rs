//! Standard output and standard error of a guest: whole lines in the log, under the id of the request that wrote them.
//!
//! An instance that is reused serves one request after another, so the request is set anew for each. Where it serves several at
//! once nothing tells which of them writes: from the second on its lines have no id, until it is at rest again. How much one
//! request may log is bounded in [`GuestOutput`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::program::Program;
use crate::model::{RevisionId, ServiceName};
use crate::telemetry::metrics::RevisionMetrics;
use crate::telemetry::{self, GuestOutput, Origin, RequestId, Stream};

/// What a guest may write in one call; more takes another call.
const CHUNK: usize = 64 * 1024;

/// Both streams of one instance.
pub(super) struct InstanceOutput {
    service: ServiceName,
    revision: RevisionId,
    metrics: Arc<RevisionMetrics>,
    request: Option<RequestId>,
    stdout: GuestOutput,
    stderr: GuestOutput,
}

impl InstanceOutput {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            service: program.service.clone(),
            revision: program.revision,
            metrics: program.metrics.clone(),
            request: None,
            stdout: GuestOutput::new(Stream::Stdout),
            stderr: GuestOutput::new(Stream::Stderr),
        }
    }

    /// What is written from now on belongs to this request.
    pub(super) fn begin(&mut self, request: RequestId) {
        self.request = Some(request);
    }

    /// One more request is served beside those that are.
    pub(super) fn begin_another(&mut self) {
        self.request = None;
        self.stdout.allow_another();
        self.stderr.allow_another();
    }

    /// Logs the lines that have begun. Returns what a panic said, if standard error ends with one.
    pub(super) fn end(&mut self) -> Option<String> {
        let panic = self.stderr.panic_message();
        let (origin, streams) = self.parts();
        let mut lost = 0;
        for output in streams {
            let stream = output.stream();
            let dropped = output.dropped_lines();
            output.finish(|line| telemetry::guest_line(origin, stream, line));
            if dropped > 0 {
                lost += dropped;
                telemetry::guest_line(origin, stream, &format!("… {dropped} more lines were dropped"));
            }
        }
        if lost > 0 {
            self.metrics.log_lines_dropped(lost);
        }
        self.request = None;
        panic
    }

    /// Whose lines these are, and the two streams that they come from.
    fn parts(&mut self) -> (Origin<'_>, [&mut GuestOutput; 2]) {
        let origin = Origin {
            service: self.service.as_str(),
            revision: &self.revision,
            request_id: self.request,
        };
        (origin, [&mut self.stdout, &mut self.stderr])
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let (origin, [stdout, stderr]) = self.parts();
        let output = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        output.write(bytes, |line| telemetry::guest_line(origin, stream, line));
    }
}

impl Drop for InstanceOutput {
    fn drop(&mut self) {
        // A request that was given up leaves the line that it had begun.
        self.end();
    }
}

/// The output of one instance, shared by the streams that the guest opens.
pub(super) type SharedOutput = Arc<Mutex<InstanceOutput>>;

/// One of the two streams.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) shared: SharedOutput,
    pub(super) stream: Stream,
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.shared.lock().write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = bytes.get(..CHUNK.min(bytes.len())).unwrap_or_default();
        self.shared.lock().write(self.stream, taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
