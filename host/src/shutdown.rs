//! Task tracking and cancellation: the only place of the host that starts tasks and threads.
//!
//! [`Tasks`] is a cheap handle. A *foreground* task is work that a drain waits for (a connection, a request);
//! a *background* task keeps the host alive until then (a clock, the admin listener) and is ended after the
//! drain. Phases only move forward: running, leaving, draining, aborting. Starting a task costs a counter, a reference
//! count and `tokio::spawn`: names are interned in a table of fixed size, and the wake-up of an abort is
//! sharded, so that tasks on different workers share no lock. A task that panics is logged by name and ends
//! alone.

mod name;
mod signal;
mod task;
#[cfg(test)]
mod tests;
mod tracked;

use std::{
    convert::Infallible,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

pub use self::task::{Task, TaskError};
use self::{
    name::Names,
    signal::Signals,
    tracked::{Live, Tracked},
};

/// How many groups of tasks wait for an abort on a lock of their own.
const SHARDS: usize = 16;

/// How long aborted tasks may take to let go of what they hold. Only one that never yields takes longer.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Where a host stands on its way to the end. Phases never go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Taking new work.
    Running = 0,
    /// Taking new work still, while those who send it are told to send it elsewhere.
    Leaving = 1,
    /// Finishing the work that it has, refusing new work.
    Draining = 2,
    /// Ending what did not finish in time.
    Aborting = 3,
}

/// Starts tasks, counts them by name and ends them. Clones are handles to the same set.
#[derive(Clone, Default)]
pub struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    phase: AtomicU8,
    names: Names,
    background: AtomicUsize,
    next_shard: AtomicUsize,
    leave: Arc<Notify>,
    drain: Arc<Notify>,
    abort: [Arc<Notify>; SHARDS],
    idle: Notify,
}

impl Tasks {
    /// An empty set in the phase [`Phase::Running`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a foreground task: a drain waits for it, the deadline of the drain aborts it. Dropping the
    /// handle detaches the task. A task started while aborting ends before it is first polled.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let live = Live::foreground(Arc::clone(&self.inner), name);
        self.start(live, future)
    }

    /// Starts a background task: a drain does not wait for it, and ends it once the foreground tasks have
    /// ended.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn background<F>(&self, name: &'static str, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let live = Live::background(Arc::clone(&self.inner), name);
        self.start(live, future)
    }

    /// Runs `work` on Tokio's pool for blocking calls, as a foreground task. Once begun it cannot be aborted,
    /// so the caller bounds its time. It does not run at all when it is still queued at the abort.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn blocking<T>(&self, name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Task<T>
    where
        T: Send + 'static,
    {
        let live = Live::foreground(Arc::clone(&self.inner), name);
        Task(tokio::task::spawn_blocking(move || {
            (live.phase() < Phase::Aborting).then(work)
        }))
    }

    fn start<F>(&self, live: Live, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let shard = self.inner.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let [first, ..] = &self.inner.abort;
        let abort = Arc::clone(self.inner.abort.get(shard).unwrap_or(first)).notified_owned();
        Task(tokio::spawn(Tracked::new(future, abort, live)))
    }

    /// The present phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.inner.phase()
    }

    /// Whether the drain has begun (or is over).
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Resolves when the drain begins, at once when it has. Dropping it loses nothing, so it may stand in a
    /// `select!`. It owns what it needs and can outlive this handle.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::clone(&self.inner);
        // Made before the phase is read, so that a drain between the two is not missed.
        let begun = Arc::clone(&inner.drain).notified_owned();
        async move {
            if inner.phase() < Phase::Draining {
                begun.await;
            }
        }
    }

    /// Resolves when the host begins to leave, which is at the latest when it drains; at once when it has. It may stand in
    /// a `select!` and outlive this handle like [`draining`](Self::draining).
    pub fn leaving(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::clone(&self.inner);
        // Made before the phase is read, as in `draining`.
        let begun = Arc::clone(&inner.leave).notified_owned();
        async move {
            if inner.phase() < Phase::Leaving {
                begun.await;
            }
        }
    }

    /// Tells those who wait for [`leaving`](Self::leaving), and goes on with all work. Later calls change nothing.
    pub fn leave(&self) {
        if self.inner.advance(Phase::Leaving) {
            self.inner.leave.notify_waiters();
        }
    }

    /// Leaves, and begins the drain after `delay`; earlier if something else begins it.
    async fn leave_for(&self, delay: Duration) {
        self.leave();
        // In the second case too there is nothing left to wait for. The drain that has begun is the same one.
        let _elapsed = timeout(delay, self.draining()).await;
        self.begin_drain();
    }

    /// Begins the drain. Later calls change nothing.
    pub fn begin_drain(&self) {
        self.leave();
        if self.inner.advance(Phase::Draining) {
            self.inner.names.mark();
            self.inner.drain.notify_waiters();
        }
    }

    /// Drains: begins it if need be, waits until no foreground task is left or `deadline` is over, then
    /// aborts what is left together with the background tasks, and waits a second at most for them to end.
    ///
    /// The caller must not be a foreground task itself.
    pub async fn drained(&self, deadline: Duration) -> DrainOutcome {
        self.begin_drain();
        let aborted = match timeout(deadline, self.inner.wait(Inner::is_drained)).await {
            Ok(()) => Vec::new(),
            Err(_elapsed) => self.live(),
        };
        let finished = self.inner.names.finished(&aborted);
        self.inner.advance(Phase::Aborting);
        for shard in &self.inner.abort {
            shard.notify_waiters();
        }
        let stuck = match timeout(ABORT_GRACE, self.inner.wait(Inner::is_empty)).await {
            Ok(()) => Vec::new(),
            Err(_elapsed) => self.live(),
        };
        DrainOutcome {
            finished,
            aborted,
            stuck,
        }
    }

    /// How many foreground tasks there are of each name, names without any left out.
    #[must_use]
    pub fn live(&self) -> Vec<TaskCount> {
        self.inner.names.live()
    }

    /// From now on the first SIGINT or SIGTERM makes the host leave and, after `delay`, drain; the second one ends the
    /// process at once, with the exit code of that signal (130 or 143). The delay is for balancers that ask whether the
    /// host is ready: it serves until they have noticed that it is not.
    ///
    /// # Errors
    /// When the system refuses to register a handler.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn drain_on_signal(&self, delay: Duration) -> io::Result<()> {
        let mut signals = Signals::register()?;
        let tasks = self.clone();
        // Not tracked: the second signal must still end a process whose abort hangs.
        tokio::spawn(async move {
            let first = signals.next().await;
            if delay.is_zero() {
                tracing::info!(
                    signal = first.name,
                    "draining; a second signal ends the host at once"
                );
            } else {
                tracing::info!(
                    signal = first.name,
                    "not ready any more, draining in {delay:?}; a second signal ends the host at once"
                );
            }
            let end = async {
                tasks.leave_for(delay).await;
                std::future::pending::<Infallible>().await
            };
            // Cancel-safe: a signal that wins ends the process, and the other side never does.
            let second = tokio::select! {
                never = end => match never {},
                second = signals.next() => second,
            };
            std::process::exit(second.exit_code)
        });
        Ok(())
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("phase", &self.phase())
            .field("live", &self.live())
            .finish()
    }
}

impl Inner {
    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Running,
            1 => Phase::Leaving,
            2 => Phase::Draining,
            _ => Phase::Aborting,
        }
    }

    /// Moves on to `phase`; false when the host was already there or beyond.
    fn advance(&self, phase: Phase) -> bool {
        self.phase.fetch_max(phase as u8, Ordering::SeqCst) < phase as u8
    }

    fn is_drained(&self) -> bool {
        self.names.is_idle()
    }

    fn is_empty(&self) -> bool {
        self.names.is_idle() && self.background.load(Ordering::SeqCst) == 0
    }

    /// Called by a task that ended. The order (count down, then read the phase) and that of `begin_drain` and
    /// `wait` (write the phase, then read the counts) make sure that one of the two sides sees the other.
    fn ended(&self, count: &AtomicUsize) {
        if count.fetch_sub(1, Ordering::SeqCst) == 1 && self.phase() > Phase::Leaving {
            self.idle.notify_waiters();
        }
    }

    async fn wait(&self, over: fn(&Self) -> bool) {
        loop {
            let ended = self.idle.notified();
            if over(self) {
                return;
            }
            ended.await;
        }
    }
}

/// Runs `work` on Tokio's pool for blocking calls after everything else has ended, when [`Tasks`] starts nothing any more.
/// `None` if it panicked.
///
/// # Panics
/// Outside a Tokio runtime.
pub async fn at_the_end<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Starts a named operating-system thread, which lives until `body` returns or the process ends. It belongs
/// to no [`Tasks`]: what ends it is the caller's matter. The system shows 15 bytes of the name.
///
/// # Errors
/// When the system refuses another thread.
pub fn thread(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// A Tokio runtime, for what is polled on other threads than its own: timers and sockets belong to it all the same.
#[derive(Clone)]
pub struct Runtime(tokio::runtime::Handle);

impl Runtime {
    /// The one that this runs in.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn here() -> Self {
        Self(tokio::runtime::Handle::current())
    }

    /// The one that this runs in, if any.
    #[must_use]
    pub fn try_here() -> Option<Self> {
        tokio::runtime::Handle::try_current().ok().map(Self)
    }

    /// Makes it the one that is found on this thread, until the guard is dropped.
    #[must_use = "it is found as long as the guard lives"]
    pub fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.0.enter()
    }
}

/// A number of foreground tasks of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskCount {
    /// The name given to [`Tasks::spawn`].
    pub name: &'static str,
    /// How many.
    pub count: usize,
}

/// What became of the foreground tasks of a drain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainOutcome {
    /// Tasks that were live when the drain began and ended by themselves.
    pub finished: Vec<TaskCount>,
    /// Tasks that were still live at the deadline.
    pub aborted: Vec<TaskCount>,
    /// Of those, the ones that had not ended a second after they were told to (work that never yields).
    pub stuck: Vec<TaskCount>,
}

impl DrainOutcome {
    /// Whether everything ended by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.aborted.is_empty()
    }
}
