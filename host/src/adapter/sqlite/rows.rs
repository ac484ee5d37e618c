//! The rows of a running query between the thread that reads them and the reader that wants them.
//!
//! Holds at most [`READ_AHEAD_BYTES`] and one batch more. A writer that finds it full waits on its own thread, with
//! a bound; a reader that goes away ends the writer.

use super::call::Call;
use crate::adapter::blocking::Blocking;
use crate::capability::sqlite::port::{Row, SqlError};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many bytes of rows are read ahead of the reader.
pub(super) const READ_AHEAD_BYTES: usize = 1 << 20;

/// A batch is handed over once it has so many bytes …
const BATCH_BYTES: usize = 64 << 10;

/// … or so many rows.
const BATCH_ROWS: usize = 256;

pub(super) fn channel() -> (Writer, Reader) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State::default()),
        room: Condvar::new(),
        news: Notify::new(),
    });
    let writer = Writer {
        shared: Arc::clone(&shared),
        batch: Vec::new(),
        batch_bytes: 0,
        told_columns: false,
    };
    (writer, Reader { shared })
}

struct Shared {
    state: Mutex<State>,
    room: Condvar,
    news: Notify,
}

#[derive(Default)]
struct State {
    columns: Option<Vec<String>>,
    batches: VecDeque<(Vec<Row>, usize)>,
    bytes: usize,
    /// Why the rows ended early.
    error: Option<SqlError>,
    ended: bool,
    reader_gone: bool,
}

/// Where the statement's thread puts rows.
pub(super) struct Writer {
    shared: Arc<Shared>,
    batch: Vec<Row>,
    batch_bytes: usize,
    told_columns: bool,
}

impl Writer {
    pub(super) fn columns(&mut self, columns: Vec<String>) {
        self.told_columns = true;
        self.shared.state.lock().columns = Some(columns);
        self.shared.news.notify_one();
    }

    /// Whether the reader knows the columns, so that errors reach it through here.
    pub(super) fn has_begun(&self) -> bool {
        self.told_columns
    }

    /// Takes one row of about `bytes`. Waits while the reader is behind, at most `patience` at once; that time does
    /// not count against `call`.
    pub(super) fn row(
        &mut self,
        row: Row,
        bytes: usize,
        call: &Call,
        pool: &Blocking,
        patience: Duration,
    ) -> Result<(), SqlError> {
        self.batch.push(row);
        self.batch_bytes = self.batch_bytes.saturating_add(bytes);
        if self.batch.len() < BATCH_ROWS && self.batch_bytes < BATCH_BYTES {
            return Ok(());
        }
        let mut state = self.shared.state.lock();
        if state.bytes >= READ_AHEAD_BYTES && !state.reader_gone {
            drop(state);
            self.wait_for_room(call, pool, patience)?;
            state = self.shared.state.lock();
        }
        if state.reader_gone {
            return Err(SqlError::TimedOut { limit: call.limit }); // Nobody is left to read this.
        }
        push(&mut state, &mut self.batch, &mut self.batch_bytes);
        drop(state);
        self.shared.news.notify_one();
        Ok(())
    }

    fn wait_for_room(&self, call: &Call, pool: &Blocking, patience: Duration) -> Result<(), SqlError> {
        call.leave_place();
        let began = Instant::now();
        let has_room = pool.while_parked(|| {
            let mut state = self.shared.state.lock();
            while state.bytes >= READ_AHEAD_BYTES && !state.reader_gone {
                let left = patience.saturating_sub(began.elapsed());
                if left.is_zero() {
                    return false;
                }
                self.shared.room.wait_for(&mut state, left);
            }
            true
        });
        call.extend(began.elapsed());
        if has_room {
            Ok(())
        } else {
            Err(SqlError::Unread { limit: patience })
        }
    }

    /// Ends the rows: what is left in the last batch, then the error if there is one.
    pub(super) fn end(mut self, error: Option<SqlError>) {
        let mut state = self.shared.state.lock();
        push(&mut state, &mut self.batch, &mut self.batch_bytes);
        state.error = error;
        state.ended = true;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if !state.ended {
            // The thread never came to the end of the statement.
            state.ended = true;
            state.error = Some(SqlError::Unavailable {
                message: "the query was lost".to_owned(),
            });
        }
        drop(state);
        self.shared.news.notify_one();
    }
}

fn push(state: &mut State, batch: &mut Vec<Row>, bytes: &mut usize) {
    if batch.is_empty() {
        return;
    }
    let bytes = std::mem::take(bytes);
    state.bytes = state.bytes.saturating_add(bytes);
    state.batches.push_back((std::mem::take(batch), bytes));
}

/// Where the rows come out.
pub(super) struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    /// The columns, once the statement runs. Does not end if it never does: the statement's own result tells that.
    pub(super) async fn columns(&mut self) -> Vec<String> {
        loop {
            if let Some(columns) = self.shared.state.lock().columns.take() {
                return columns;
            }
            self.shared.news.notified().await;
        }
    }

    /// The next rows, the error that ended them, or `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<Row>, SqlError>> {
        loop {
            if let Some(news) = self.take() {
                return news;
            }
            self.shared.news.notified().await;
        }
    }

    /// What there is to tell now; `None` if there is nothing yet.
    fn take(&self) -> Option<Option<Result<Vec<Row>, SqlError>>> {
        let mut state = self.shared.state.lock();
        if let Some((batch, bytes)) = state.batches.pop_front() {
            state.bytes = state.bytes.saturating_sub(bytes);
            self.shared.room.notify_one();
            return Some(Some(Ok(batch)));
        }
        state.ended.then(|| state.error.take().map(Err))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.reader_gone = true;
        state.batches.clear();
        drop(state);
        self.shared.room.notify_one();
    }
}
