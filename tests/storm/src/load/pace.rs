//! The schedule: a thread that gives each lane its requests when they are due, and waits for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::anyhow;

use super::lane::{Job, Lane, Share};
use super::{Field, Pace};
use crate::clock;

/// How long the thread sleeps: no request starts later than that by its fault.
const TICK: Duration = Duration::from_micros(250);

pub struct Pacer {
    orders: Sender<Pace>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Pacer {
    pub fn start(field: Arc<Field>, lanes: Vec<Lane>, pace: Pace) -> anyhow::Result<Self> {
        let (orders, ordered) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("pacer".to_owned()).spawn({
            let is_over = is_over.clone();
            move || run(&field, lanes, pace, &ordered, &is_over)
        })?;
        Ok(Self {
            orders,
            is_over,
            thread,
        })
    }

    pub fn set(&self, pace: Pace) {
        // A pacer that has ended has panicked, which `finish` tells.
        let _ = self.orders.send(pace);
    }

    /// Ends the schedule, and with it the queues of the lanes.
    pub fn finish(self) -> anyhow::Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the pacer panicked"))
    }
}

fn run(field: &Field, lanes: Vec<Lane>, mut pace: Pace, orders: &Receiver<Pace>, is_over: &AtomicBool) {
    let mut schedules: Vec<_> = lanes.into_iter().map(|lane| (lane, clock::now(), 0)).collect();
    while !is_over.load(Ordering::Relaxed) {
        match orders.try_recv() {
            Ok(other) => {
                pace = other;
                for (_, next, _) in &mut schedules {
                    *next = clock::now();
                }
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        let now = clock::now();
        for (lane, next, turn) in &mut schedules {
            let interval = match (lane.share, pace) {
                (Share::Fixed(rate), _) => Some(nanos(rate)),
                (Share::Part(part), Pace::Open(rate)) => Some(nanos(rate * part)),
                (Share::Part(_), Pace::Rush) => None,
            };
            while interval.is_none() || *next <= now {
                let Ok(place) = lane.queue.try_reserve() else {
                    break;
                };
                place.send(Job {
                    request: field.number(),
                    scheduled: if interval.is_some() { *next } else { now },
                    turn: *turn,
                });
                *turn += 1;
                *next += interval.unwrap_or(0);
            }
        }
        thread::sleep(TICK);
    }
}

/// The time from one to the next, of so many a second.
fn nanos(rate: f64) -> u64 {
    (1e9 / rate.max(0.001)) as u64
}
