//! What goes on until the host drains or the client leaves: events of rollouts and log lines of services.
//!
//! A stream holds one of [`MAX_STREAMS`] places. A client that reads too slowly loses the oldest, is told how many, and goes
//! on; one that takes nothing at all is cut by its connection.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{BoxStream, unfold};
use http::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::sleep;

use super::answer::{Body, streamed, whole};
use super::api::{Event, Lagged, LogLine};
use super::control::Feed;
use super::problem::Fault;
use super::router::Call;
use super::{MAX_STREAMS, check};

const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";
const LAST_EVENT_ID: &str = "last-event-id";

/// How long nothing is sent before a comment shows that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// About how many bytes are sent in one piece.
const PIECE_BYTES: usize = 16 * 1024;

/// What is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Events,
    Logs,
}

pub(super) fn answer(stream: Stream, call: Call<'_>) -> Result<Response<Body>, Fault> {
    match stream {
        Stream::Events => events(call),
        Stream::Logs => logs(call),
    }
}

fn events(call: Call<'_>) -> Result<Response<Body>, Fault> {
    let after = last_event(&call)?;
    call.query.finish()?;
    if call.head_only {
        return Ok(whole(StatusCode::OK, EVENTS, ""));
    }
    let place = place(call.server)?;
    let feed = call.control.events(after);
    let tail = Tail::new(feed, ServerSent { last: 0 }, call.server, Some(place));
    Ok(streamed(EVENTS, tail.pieces()))
}

fn last_event(call: &Call<'_>) -> Result<Option<u64>, Fault> {
    let Some(id) = call.headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    match id.to_str().map(str::trim).map(str::parse) {
        Ok(Ok(id)) => Ok(Some(id)),
        _ => Err(Fault::invalid("Last-Event-ID must be the number of an event.")),
    }
}

fn logs(mut call: Call<'_>) -> Result<Response<Body>, Fault> {
    let revision = call.query.take("revision");
    if let Some(digits) = &revision {
        check::revision("revision", digits)?;
    }
    let follow = call
        .query
        .value("follow", "`true` or `false`")?
        .unwrap_or_default();
    let tail: Option<usize> = call.query.value("tail", "a number of lines")?;
    let service = call.service()?;
    call.query.finish()?;
    let follow = follow && !call.head_only;
    let place = if follow { Some(place(call.server)?) } else { None };
    let mut feed = call.control.logs(&service, follow)?;
    if call.head_only {
        return Ok(whole(StatusCode::OK, LINES, ""));
    }
    let is_wanted = |line: &LogLine| {
        revision
            .as_deref()
            .is_none_or(|digits| line.revision.starts_with(digits))
    };
    feed.past.retain(is_wanted);
    if let Some(tail) = tail {
        feed.past.drain(..feed.past.len().saturating_sub(tail));
    }
    if !follow {
        feed.next = None;
    }
    let lines = Lines { revision, lost: 0 };
    Ok(streamed(
        LINES,
        Tail::new(feed, lines, call.server, place).pieces(),
    ))
}

fn place(server: &super::Server) -> Result<OwnedSemaphorePermit, Fault> {
    if server.tasks.is_draining() {
        return Err(Fault::Stopping);
    }
    let place = Arc::clone(&server.streams).try_acquire_owned();
    place.map_err(|_| Fault::Streams(MAX_STREAMS))
}

/// How items are written.
trait Form: Send + 'static {
    type Item: Clone + Send + 'static;

    fn item(&mut self, item: &Self::Item, into: &mut Vec<u8>);

    /// The reader was too slow for so many items.
    fn lost(&mut self, count: u64, into: &mut Vec<u8>);

    /// What shows that the stream lives, if something can.
    fn heartbeat(&self) -> &'static [u8];
}

/// A feed on its way to one client.
struct Tail<F: Form> {
    form: F,
    past: vec::IntoIter<F::Item>,
    /// Nothing once nothing more is to follow.
    next: Option<Receiver<F::Item>>,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The host drains: what is there is sent, and nothing is waited for.
    is_ending: bool,
    _place: Option<OwnedSemaphorePermit>,
}

impl<F: Form> Tail<F> {
    fn new(
        feed: Feed<F::Item>,
        form: F,
        server: &super::Server,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            form,
            past: feed.past.into_iter(),
            next: feed.next,
            draining: Box::pin(server.tasks.draining()),
            is_ending: false,
            _place: place,
        }
    }

    fn pieces(self) -> BoxStream<'static, Bytes> {
        unfold(self, |mut tail| async move {
            let piece = tail.piece().await?;
            Some((piece, tail))
        })
        .boxed()
    }

    /// What is there now, or else the next that comes; nothing at the end.
    async fn piece(&mut self) -> Option<Bytes> {
        let mut piece = Vec::new();
        while piece.len() < PIECE_BYTES {
            let Some(item) = self.past.next() else { break };
            self.form.item(&item, &mut piece);
        }
        while piece.len() < PIECE_BYTES {
            let Some(next) = &mut self.next else { break };
            match next.try_recv() {
                Ok(item) => self.form.item(&item, &mut piece),
                Err(TryRecvError::Lagged(count)) => self.form.lost(count, &mut piece),
                Err(TryRecvError::Closed) => self.next = None,
                Err(TryRecvError::Empty) if !piece.is_empty() || self.is_ending => break,
                Err(TryRecvError::Empty) => self.wait(&mut piece).await,
            }
        }
        (!piece.is_empty()).then(|| piece.into())
    }

    async fn wait(&mut self, piece: &mut Vec<u8>) {
        let Some(next) = &mut self.next else { return };
        // Cancel-safe: a receiver that is not waited for keeps what it has.
        tokio::select! {
            biased;
            () = &mut self.draining => self.is_ending = true,
            received = next.recv() => match received {
                Ok(item) => self.form.item(&item, piece),
                Err(RecvError::Lagged(count)) => self.form.lost(count, piece),
                Err(RecvError::Closed) => self.next = None,
            },
            () = sleep(HEARTBEAT) => piece.extend_from_slice(self.form.heartbeat()),
        }
    }
}

/// Server-sent events (HTML Living Standard §9.2).
struct ServerSent {
    /// The last event that was sent, so that none is sent twice where past and future meet.
    last: u64,
}

impl Form for ServerSent {
    type Item = Event;

    fn item(&mut self, event: &Event, into: &mut Vec<u8>) {
        if event.id <= self.last {
            return;
        }
        self.last = event.id;
        // A line end would end the name.
        let name: String = event
            .event
            .chars()
            .filter(|letter| !letter.is_control())
            .collect();
        into.extend_from_slice(format!("id: {}\nevent: {name}\ndata: ", event.id).as_bytes());
        push_json(into, event);
        into.extend_from_slice(b"\n\n");
    }

    fn lost(&mut self, count: u64, into: &mut Vec<u8>) {
        into.extend_from_slice(b"event: lagged\ndata: ");
        push_json(into, &Lagged { lost: count });
        into.extend_from_slice(b"\n\n");
    }

    fn heartbeat(&self) -> &'static [u8] {
        b":\n\n"
    }
}

/// One JSON text a line.
struct Lines {
    /// Only lines of revisions that begin so.
    revision: Option<String>,
    /// How many lines are missing before the next one.
    lost: u64,
}

impl Form for Lines {
    type Item = LogLine;

    fn item(&mut self, line: &LogLine, into: &mut Vec<u8>) {
        let digits = self.revision.as_deref().unwrap_or_default();
        if !line.revision.starts_with(digits) {
            return;
        }
        if self.lost > 0 {
            let notice = LogLine {
                at: line.at.clone(),
                revision: line.revision.clone(),
                stream: "host".to_owned(),
                request_id: String::new(),
                text: format!("{} lines are missing here: they were read too slowly", self.lost),
            };
            self.lost = 0;
            push_json(into, &notice);
            into.push(b'\n');
        }
        push_json(into, line);
        into.push(b'\n');
    }

    /// It is told with the next line, which says when and of which revision.
    fn lost(&mut self, count: u64, _into: &mut Vec<u8>) {
        self.lost = self.lost.saturating_add(count);
    }

    /// There are no comments in such texts.
    fn heartbeat(&self) -> &'static [u8] {
        b""
    }
}

fn push_json<T: Serialize>(into: &mut Vec<u8>, value: &T) {
    // Texts and numbers always serialise, and a vector takes everything.
    let _ = serde_json::to_writer(into, value);
}
