//! The lanes: which requests there are, how many of each, and who sends them.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::Field;
use super::answer::Form;
use super::connection::{Connection, Protocol, Shared, empty};
use crate::app;
use crate::record::{Track, Way};

/// Requests that may wait for a worker, in each lane.
const QUEUE: usize = 32;

/// How many requests a lane gets.
#[derive(Debug, Clone, Copy)]
pub enum Share {
    /// This part of all.
    Part(f64),
    /// So many a second, whatever the others do.
    Fixed(f64),
}

/// A request to send.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    pub request: u32,
    pub scheduled: u64,
    /// How many the lane has had before.
    pub turn: u64,
}

/// Where the schedule puts the requests of a lane.
pub struct Lane {
    pub share: Share,
    pub queue: mpsc::Sender<Job>,
}

/// What a lane is.
struct Kind {
    way: Way,
    share: Share,
    /// Requests at once. All together are less than the host takes at once of one service, so that none has to wait.
    workers: usize,
    order: fn(u64) -> Order,
}

/// A request, as the client sees it.
struct Order {
    track: Track,
    path: String,
    form: Form,
}

const KINDS: [Kind; 7] = [
    Kind {
        way: Way::KeepAlive,
        share: Share::Part(0.37),
        workers: 12,
        order: plain,
    },
    Kind {
        way: Way::Close,
        share: Share::Part(0.10),
        workers: 6,
        order: plain,
    },
    Kind {
        way: Way::Http2,
        share: Share::Part(0.30),
        workers: 16,
        order: plain,
    },
    Kind {
        way: Way::Link,
        share: Share::Part(0.18),
        workers: 10,
        order: linked,
    },
    Kind {
        way: Way::SlowLink,
        share: Share::Part(0.02),
        workers: 6,
        order: interrupted,
    },
    Kind {
        way: Way::KeepAlive,
        share: Share::Part(0.03),
        workers: 4,
        order: set,
    },
    Kind {
        way: Way::SlowLink,
        share: Share::Fixed(4.0),
        workers: 8,
        order: limited,
    },
];

/// Streams of one HTTP/2 connection.
const STREAMS: usize = 8;

fn pair(turn: u64) -> (Track, &'static str) {
    match turn % 2 {
        0 => (Track::P2, "p2"),
        _ => (Track::P3, "p3"),
    }
}

fn plain(turn: u64) -> Order {
    let (track, prefix) = pair(turn);
    Order {
        track,
        path: format!("/{prefix}/"),
        form: Form::Numbers(1),
    }
}

fn linked(turn: u64) -> Order {
    let (track, prefix) = pair(turn);
    Order {
        track,
        path: format!("/{prefix}/link"),
        form: Form::Numbers(3),
    }
}

/// With time between the two calls, so that swaps fall between them.
fn interrupted(turn: u64) -> Order {
    let order = linked(turn);
    Order {
        path: format!("{}?ms=30", order.path),
        ..order
    }
}

fn set(turn: u64) -> Order {
    let (track, prefix) = match turn % 2 {
        0 => (Track::Variable, "setting"),
        _ => (Track::Route, "way"),
    };
    Order {
        track,
        path: format!("/{prefix}/variable"),
        form: Form::Numbers(1),
    }
}

fn limited(_: u64) -> Order {
    Order {
        track: Track::Limit,
        path: format!("/setting/limit?ms={}", app::PAUSE),
        form: Form::Numbers(1),
    }
}

/// Starts the workers of all lanes. They end when their queues do.
pub fn start(field: &Arc<Field>) -> (Vec<Lane>, Vec<JoinHandle<()>>) {
    let mut lanes = Vec::new();
    let mut workers = Vec::new();
    for kind in &KINDS {
        let (queue, jobs) = mpsc::channel(QUEUE);
        lanes.push(Lane {
            share: kind.share,
            queue,
        });
        let jobs = Arc::new(Mutex::new(jobs));
        let mut shared = Arc::new(Shared::default());
        for worker in 0..kind.workers {
            if worker % STREAMS == 0 {
                shared = Arc::new(Shared::default());
            }
            workers.push(tokio::spawn(work(
                field.clone(),
                kind,
                jobs.clone(),
                shared.clone(),
            )));
        }
    }
    (lanes, workers)
}

async fn work(field: Arc<Field>, kind: &Kind, jobs: Arc<Mutex<mpsc::Receiver<Job>>>, shared: Arc<Shared>) {
    let mut kept: Option<Connection> = None;
    loop {
        let next = jobs.lock().await.recv().await;
        let Some(job) = next else {
            return;
        };
        let order = (kind.order)(job.turn);
        let connection = match kind.way {
            Way::Close => Connection::open(field.address, Protocol::Http1Close).await,
            Way::Http2 => shared.connection(&field).await,
            _ => kept_or_new(&field, kept.take()).await,
        };
        let passage = match connection {
            Err(_) => super::connection::lost(),
            Ok(mut connection) => {
                let passage = connection.exchange(&order.path, empty(), order.form).await;
                if kind.way != Way::Close && kind.way != Way::Http2 {
                    kept = Some(connection);
                }
                passage
            }
        };
        field.write(job.request, kind.way, order.track, job.scheduled, passage);
    }
}

/// A connection that the host has closed is not one that it may close: this is noted.
async fn kept_or_new(field: &Field, kept: Option<Connection>) -> anyhow::Result<Connection> {
    if let Some(mut kept) = kept {
        if kept.is_ready().await {
            return Ok(kept);
        }
        field.note_closed();
    }
    Connection::open(field.address, Protocol::Http1).await
}
