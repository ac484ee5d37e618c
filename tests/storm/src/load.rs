//! The load: requests that start on a schedule whatever the answers do, each written down with its times and its ending.
//!
//! Bounds: each lane has a fixed number of workers, each with one request at a time, and a short queue. A request that finds
//! no worker starts late, and its time still counts from when it was to start.

mod answer;
mod connection;
mod lane;
mod pace;
mod transfer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::journal::Journal;
use crate::record::{Exchange, Record, Track, Way};
use pace::Pacer;

/// How fast requests start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many a second, on schedule.
    Open(f64),
    /// As soon as a worker has nothing to do.
    Rush,
}

/// What everybody who sends has at hand.
struct Field {
    address: SocketAddr,
    journal: Arc<Journal>,
    /// Requests so far, which gives each its number.
    sent: AtomicU32,
    /// Connections that the host closed though more requests were to come.
    closed: AtomicU32,
    /// No more transfers begin.
    is_over: AtomicBool,
}

/// What is known of a request when it has ended.
#[derive(Debug, Clone, Copy)]
struct Passage {
    begin: u64,
    head: u64,
    end: u64,
    ending: crate::record::Ending,
}

impl Field {
    fn number(&self) -> u32 {
        self.sent.fetch_add(1, Ordering::Relaxed)
    }

    fn write(&self, request: u32, way: Way, track: Track, scheduled: u64, passage: Passage) {
        self.journal.write(Record::Exchange(Exchange {
            request,
            way,
            track,
            scheduled,
            begin: passage.begin,
            head: passage.head,
            end: passage.end,
            ending: passage.ending,
        }));
    }
}

/// A load that goes on until it is ended.
pub struct Load {
    field: Arc<Field>,
    pacer: Pacer,
    workers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins: with as many downloads and uploads at a time, each of them so long.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        address: SocketAddr,
        journal: &Arc<Journal>,
        pace: Pace,
        transfers: usize,
        length: Duration,
    ) -> anyhow::Result<Self> {
        let field = Arc::new(Field {
            address,
            journal: journal.clone(),
            sent: AtomicU32::new(0),
            closed: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        });
        let (lanes, mut workers) = lane::start(&field);
        for place in 0..transfers {
            for way in [Way::Download, Way::Upload] {
                workers.push(tokio::spawn(transfer::go_on(field.clone(), way, place, length)));
            }
        }
        let pacer = Pacer::start(field.clone(), lanes, pace)?;
        Ok(Self {
            field,
            pacer,
            workers,
        })
    }

    /// From now on at this pace.
    pub fn set_pace(&self, pace: Pace) {
        self.pacer.set(pace);
    }

    /// Requests that were sent so far.
    pub fn sent(&self) -> u32 {
        self.field.sent.load(Ordering::Relaxed)
    }

    /// Sends nothing more, and waits for every answer that is under way. Returns how many requests were sent, and how many
    /// connections the host closed though they were in use.
    ///
    /// # Errors
    /// If a part of the load broke down.
    pub async fn finish(self) -> anyhow::Result<(u32, u32)> {
        self.field.is_over.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(|| self.pacer.finish()).await??;
        for worker in self.workers {
            worker.await?;
        }
        Ok((
            self.field.sent.load(Ordering::Relaxed),
            self.field.closed.load(Ordering::Relaxed),
        ))
    }
}
