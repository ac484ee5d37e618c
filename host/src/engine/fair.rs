//! The fair pool: where guests go on that compute for longer than a moment.
//!
//! A request starts on the threads that serve connections. Once its guest has computed for a tick of the epoch clock without
//! waiting, the whole request moves here, to threads of a lower priority: whoever answers quickly is never behind one who does
//! not, since the system takes a core from these threads as soon as another one wants it. Here services take turns: the
//! next slice of a tick or two goes to the service that has had the least CPU time, and within a service to the request that
//! has waited longest. So a service with a hundred busy requests gets no more than one with a single one.
//!
//! What bounds it: as many threads as cores; nobody is here who holds no permit of a revision.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use parking_lot::{Condvar, Mutex};
use rustix::time::ClockId;

use super::clock::TICK;
use crate::shutdown::{self, Runtime};

/// The priority of the threads (`setpriority(2)`): a third of the weight of those that serve. Not the lowest, so that a guest
/// that computes comes to its end on a host that is busy for good.
const NICE: i32 = 5;
/// Ticks from one turn to the next.
pub(super) const SLICE: u64 = 2;
/// What a turn is taken to cost until it is over, in nanoseconds.
const ESTIMATE: u64 = TICK.as_nanos() as u64 * SLICE;

/// The threads, and who waits for them.
pub(super) struct Fair(Arc<Pool>);

struct Pool {
    turns: Mutex<Turns>,
    ready: Condvar,
}

/// Who is next.
#[derive(Default)]
struct Turns {
    lines: HashMap<u64, Line>,
    /// Lines with somebody in them: CPU time first, then number.
    order: BTreeSet<(u64, u64)>,
    /// The CPU time of the line whose turn it was last. A line that was empty begins there: being idle earns nothing.
    least: u64,
    closed: bool,
}

/// The requests of one service.
#[derive(Default)]
struct Line {
    /// In nanoseconds, from where it began.
    used: u64,
    waiting: VecDeque<Arc<dyn Turn>>,
}

/// A service, as far as the pool is concerned. Dropping it removes its line.
pub(super) struct Member {
    number: u64,
    pool: Arc<Pool>,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut turns = self.pool.turns.lock();
        if let Some(line) = turns.lines.remove(&self.number) {
            turns.order.remove(&(line.used, self.number));
            drop(turns);
            // Outside of the lock, since futures are in it.
            drop(line);
        }
    }
}

impl Fair {
    /// Starts the threads. They end when it is dropped.
    pub(super) fn start() -> std::io::Result<Self> {
        let pool = Arc::new(Pool {
            turns: Mutex::default(),
            ready: Condvar::new(),
        });
        let fair = Self(pool.clone());
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            let pool = pool.clone();
            shutdown::thread("midplane-fair", move || {
                // Of this thread alone: on Linux, threads have priorities of their own.
                if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                    tracing::debug!(error = %error, "guests that compute have the priority of the host");
                }
                super::prepare_thread();
                ON_FAIR_THREAD.set(true);
                pool.run();
            })?;
        }
        Ok(fair)
    }

    /// A line for one more service.
    pub(super) fn join(&self) -> Member {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Member {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            pool: self.0.clone(),
        }
    }
}

impl Drop for Fair {
    fn drop(&mut self) {
        let left = {
            let mut turns = self.0.turns.lock();
            turns.closed = true;
            std::mem::take(&mut turns.lines)
        };
        self.0.ready.notify_all();
        drop(left);
    }
}

impl Pool {
    fn run(&self) {
        while let Some((number, turn)) = self.next() {
            let began = thread_time();
            turn.take();
            let took = thread_time().saturating_sub(began);
            let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.turns.lock().charge(number, took, ESTIMATE);
        }
    }

    /// Waits for whoever is next. `None` once the pool is closed.
    fn next(&self) -> Option<(u64, Arc<dyn Turn>)> {
        let mut turns = self.turns.lock();
        loop {
            if turns.closed {
                return None;
            }
            match turns.pick() {
                Some(next) => return Some(next),
                None => self.ready.wait(&mut turns),
            }
        }
    }

    fn push(&self, number: u64, turn: Arc<dyn Turn>) {
        let mut turns = self.turns.lock();
        if turns.closed {
            return;
        }
        turns.push(number, turn);
        drop(turns);
        self.ready.notify_one();
    }
}

impl Turns {
    fn push(&mut self, number: u64, turn: Arc<dyn Turn>) {
        let line = self.lines.entry(number).or_default();
        if line.waiting.is_empty() {
            line.used = line.used.max(self.least);
            self.order.insert((line.used, number));
        }
        line.waiting.push_back(turn);
    }

    fn pick(&mut self) -> Option<(u64, Arc<dyn Turn>)> {
        loop {
            let (used, number) = self.order.pop_first()?;
            let Some(line) = self.lines.get_mut(&number) else {
                continue;
            };
            let Some(turn) = line.waiting.pop_front() else {
                continue;
            };
            self.least = used;
            line.used = used.saturating_add(ESTIMATE);
            if !line.waiting.is_empty() {
                self.order.insert((line.used, number));
            }
            return Some((number, turn));
        }
    }

    /// A turn of the line took so long, and was taken to cost `estimate`.
    fn charge(&mut self, number: u64, took: u64, estimate: u64) {
        let Some(line) = self.lines.get_mut(&number) else {
            return;
        };
        let used = line.used.saturating_sub(estimate).saturating_add(took);
        if self.order.remove(&(line.used, number)) {
            self.order.insert((used, number));
        }
        line.used = used;
    }
}

thread_local! {
    static ON_FAIR_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is one of the pool's threads.
pub(super) fn is_fair_thread() -> bool {
    ON_FAIR_THREAD.get()
}

/// The CPU time of this thread.
pub(super) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Something that can have a turn.
trait Turn: Send + Sync {
    fn take(self: Arc<Self>);
}

/// Nobody wants it polled.
const RESTING: u8 = 0;
/// In its line.
const WAITING: u8 = 1;
/// Being polled.
const RUNNING: u8 = 2;
/// Being polled, and to be polled again.
const WOKEN: u8 = 3;
/// Over.
const ENDED: u8 = 4;

/// A future in the pool.
struct Task<T> {
    member: Arc<Member>,
    /// The runtime whose timers and sockets it uses.
    runtime: Runtime,
    state: AtomicU8,
    abandoned: AtomicBool,
    work: Mutex<Option<Work<T>>>,
}

struct Work<T> {
    future: BoxFuture<'static, T>,
    end: oneshot::Sender<T>,
}

impl<T: Send + 'static> Turn for Task<T> {
    fn take(self: Arc<Self>) {
        self.state.store(RUNNING, Ordering::SeqCst);
        // For what it makes, and for what its end does.
        let _runtime = self.runtime.enter();
        let waker = Waker::from(self.clone());
        let polled = {
            let mut slot = self.work.lock();
            if self.abandoned.load(Ordering::SeqCst) {
                self.state.store(ENDED, Ordering::SeqCst);
                let work = slot.take();
                drop(slot);
                discard(work);
                return;
            }
            let Some(work) = slot.as_mut() else {
                return;
            };
            let mut cx = Context::from_waker(&waker);
            let poll = AssertUnwindSafe(|| work.future.as_mut().poll(&mut cx));
            match std::panic::catch_unwind(poll) {
                Ok(Poll::Pending) => None,
                Ok(Poll::Ready(output)) => Some((slot.take(), Some(output))),
                // The hook has said so; the other end sees that there is no answer.
                Err(_panic) => Some((slot.take(), None)),
            }
        };
        if let Some((work, output)) = polled {
            self.state.store(ENDED, Ordering::SeqCst);
            let Some(Work { future, end }) = work else {
                return;
            };
            discard(future);
            if let Some(output) = output {
                // Nobody waits any more when the client is gone.
                let _gone = end.send(output);
            }
            return;
        }
        let rests = self
            .state
            .compare_exchange(RUNNING, RESTING, Ordering::SeqCst, Ordering::SeqCst);
        if rests.is_err() {
            self.queue();
        }
    }
}

/// Drops what may panic while it is dropped: a thread of the pool must not end by it.
fn discard<T>(what: T) {
    let _logged_by_the_hook = std::panic::catch_unwind(AssertUnwindSafe(|| drop(what)));
}

impl<T: Send + 'static> Task<T> {
    fn queue(self: Arc<Self>) {
        self.state.store(WAITING, Ordering::SeqCst);
        let member = self.member.clone();
        member.pool.push(member.number, self);
    }
}

impl<T: Send + 'static> Wake for Task<T> {
    fn wake(self: Arc<Self>) {
        let woken = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| match state {
                RESTING => Some(WAITING),
                RUNNING => Some(WOKEN),
                _ => None,
            });
        if woken == Ok(RESTING) {
            self.queue();
        }
    }
}

/// What is waited for of a future in the pool. Dropping it drops the future: at once if nobody polls it just then, else as soon
/// as its turn is over.
pub(super) struct Moved<T: Send + 'static> {
    task: Arc<Task<T>>,
    end: oneshot::Receiver<T>,
}

/// Lets `future` go on in the pool, in the line of `member`.
///
/// # Panics
/// Outside of a Tokio runtime, which the future's timers and sockets belong to.
pub(super) fn go_on<T: Send + 'static>(member: &Arc<Member>, future: BoxFuture<'static, T>) -> Moved<T> {
    queue(member, Runtime::here(), future, false)
}

/// Drops `future` in the pool, in the line of `member`; outside of a Tokio runtime, here.
pub(super) fn let_go<T: Send + 'static>(member: &Arc<Member>, future: BoxFuture<'static, T>) {
    if let Some(runtime) = Runtime::try_here() {
        queue(member, runtime, future, true).drop_in_pool();
    }
}

fn queue<T: Send + 'static>(
    member: &Arc<Member>,
    runtime: Runtime,
    future: BoxFuture<'static, T>,
    is_abandoned: bool,
) -> Moved<T> {
    let (end, waiting) = oneshot::channel();
    let task = Arc::new(Task {
        member: member.clone(),
        runtime,
        state: AtomicU8::new(WAITING),
        abandoned: AtomicBool::new(is_abandoned),
        work: Mutex::new(Some(Work { future, end })),
    });
    task.clone().queue();
    Moved { task, end: waiting }
}

/// The future panicked. While one is in the pool the pool is open: its program keeps the engines, and these the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

impl<T: Send + 'static> Future for Moved<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.end.poll_unpin(cx).map_err(|_| Lost)
    }
}

impl<T: Send + 'static> Moved<T> {
    /// Drops it in the pool, in the turn of its line: all that a request has, and all that it has called, takes its time to go.
    pub(super) fn drop_in_pool(self) {
        self.task.abandoned.store(true, Ordering::SeqCst);
        self.task.clone().wake();
    }
}

impl<T: Send + 'static> Drop for Moved<T> {
    fn drop(&mut self) {
        if self.task.abandoned.swap(true, Ordering::SeqCst) {
            return;
        }
        let work = self.task.work.try_lock().and_then(|mut slot| slot.take());
        if work.is_none() {
            // It is being polled, and is let go in the turn after this one; or it is over.
            self.task.clone().wake();
        }
    }
}

#[cfg(test)]
mod tests;
