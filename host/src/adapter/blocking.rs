//! The bounded pool of threads for work that blocks: SQLite and files.
//!
//! Owns its threads and the line of work before them. At most `threads` jobs run and at most `queue` wait; one more
//! is refused at once, so that overload is an answer and no growing heap.
//!
//! Why not tokio's `spawn_blocking`: its line has no bound, its threads are shared with name resolution and standard
//! input, and it belongs to one runtime, where the host may run several. A job here that waits for a slow reader
//! says so ([`Blocking::while_parked`]) and lends its place to another.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How many jobs may lend out their place while they wait. Beyond that they keep it.
const MAX_PARKED: usize = 64;

/// Room for SQLite's recursive parser at its deepest, with a wide margin.
const STACK_BYTES: usize = 4 << 20;

/// The size of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockingSettings {
    /// How many jobs run at once; at least 1.
    pub threads: usize,
    /// How many more may wait.
    pub queue: usize,
}

impl Default for BlockingSettings {
    /// Two threads per core and at least four, since most of the work waits for a disk; 1,024 jobs in line.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: cores.saturating_mul(2).max(4),
            queue: 1024,
        }
    }
}

/// Why the pool did not do a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockingError {
    /// As many jobs wait as may.
    #[error("too much work waits for the disk")]
    Full,
    /// The pool is shutting down.
    #[error("the host is shutting down")]
    Closed,
    /// The job panicked. The pool goes on.
    #[error("the work ended in a panic")]
    Panicked,
    /// The operating system gives no thread.
    #[error("the operating system gives no thread")]
    NoThread,
}

/// A handle to the pool. When the last one is gone the threads finish what waits and end.
#[derive(Clone)]
pub struct Blocking {
    owner: Arc<Owner>,
}

impl Blocking {
    /// A pool with no thread as yet: they start when there is work for them.
    pub fn new(settings: BlockingSettings) -> Self {
        Self {
            owner: Arc::new(Owner {
                shared: Arc::new(Shared {
                    state: Mutex::new(State::default()),
                    work: Condvar::new(),
                    ended: Condvar::new(),
                    threads: settings.threads.max(1),
                    queue: settings.queue,
                }),
            }),
        }
    }

    /// How many jobs run at once.
    pub fn threads(&self) -> usize {
        self.owner.shared.threads
    }

    /// Runs `work` on a thread of the pool.
    ///
    /// If the future is dropped before `work` began, `work` is dropped unrun; once begun it runs to its end, so work
    /// that can take long must come with a way to stop it.
    pub async fn run<T, F>(&self, work: F) -> Result<T, BlockingError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move || {
            if !reply.is_closed() {
                // A caller that went away in the meantime needs no answer; what the answer holds is dropped here.
                drop(reply.send(work()));
            }
        });
        self.owner
            .shared
            .push(job, self.owner.shared.queue)
            .map_err(|(error, _)| error)?;
        answer.await.map_err(|_| BlockingError::Panicked)
    }

    /// Runs `work` later, whatever the length of the line, and here and now if the pool is closed. For giving back
    /// what is bounded by other means, such as connections.
    pub fn tidy(&self, work: impl FnOnce() + Send + 'static) {
        if let Err((_, job)) = self.owner.shared.push(Box::new(work), usize::MAX) {
            job();
        }
    }

    /// Called within a job: lends the job's place to another while `wait` blocks on something that is not work.
    pub fn while_parked<T>(&self, wait: impl FnOnce() -> T) -> T {
        let _place = self.owner.shared.lend();
        wait()
    }

    /// Refuses further jobs and waits until those in line are done, at most for `grace`. Returns whether all are.
    /// Blocks: not for an async thread.
    pub fn close(&self, grace: Duration) -> bool {
        let shared = &self.owner.shared;
        let deadline = Instant::now() + grace;
        let mut state = shared.state.lock();
        state.closed = true;
        shared.work.notify_all();
        while state.live > 0 {
            if shared.ended.wait_until(&mut state, deadline).timed_out() {
                return state.live == 0;
            }
        }
        true
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Closes the pool when the last handle is gone; the threads themselves hold only what they share.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_all();
    }
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    ended: Condvar,
    threads: usize,
    queue: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads there are.
    live: usize,
    /// Of these, those that are within a job.
    running: usize,
    /// Of these, those whose job lent its place.
    parked: usize,
    closed: bool,
}

impl Shared {
    fn push(self: &Arc<Self>, job: Job, queue: usize) -> Result<(), (BlockingError, Job)> {
        let mut state = self.state.lock();
        if state.closed {
            return Err((BlockingError::Closed, job));
        }
        let free = self
            .threads
            .saturating_sub(state.running.saturating_sub(state.parked));
        if state.jobs.len() >= queue.saturating_add(free) {
            return Err((BlockingError::Full, job));
        }
        state.jobs.push_back(job);
        self.staff(&mut state);
        if state.live == 0
            && let Some(job) = state.jobs.pop_back()
        {
            return Err((BlockingError::NoThread, job));
        }
        self.work.notify_one();
        Ok(())
    }

    /// Starts a thread if there is more work than threads that wait for it.
    fn staff(self: &Arc<Self>, state: &mut State) {
        let ready = state.live.saturating_sub(state.running);
        if state.jobs.len() <= ready || state.live.saturating_sub(state.parked) >= self.threads {
            return;
        }
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("midplane-blocking".to_owned())
            .stack_size(STACK_BYTES);
        match thread.spawn(move || shared.work()) {
            Ok(_) => state.live += 1,
            Err(error) => tracing::error!(%error, "cannot start a thread for blocking work"),
        }
    }

    /// The life of one thread.
    fn work(self: Arc<Self>) {
        let mut state = self.state.lock();
        loop {
            if state.live.saturating_sub(state.parked) > self.threads {
                break; // A parked job came back: this thread was its stand-in.
            }
            if let Some(job) = state.jobs.pop_front() {
                state.running += 1;
                drop(state);
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("blocking work panicked");
                }
                state = self.state.lock();
                state.running -= 1;
            } else if state.closed {
                break;
            } else {
                self.work.wait(&mut state);
            }
        }
        state.live -= 1;
        if !state.jobs.is_empty() {
            self.work.notify_one();
        }
        self.ended.notify_all();
    }

    fn lend(self: &Arc<Self>) -> Option<Lent<'_>> {
        let mut state = self.state.lock();
        if state.parked >= MAX_PARKED || state.parked >= state.running {
            return None;
        }
        state.parked += 1;
        self.staff(&mut state);
        Some(Lent { shared: self })
    }
}

/// A place lent to another job until this is dropped.
struct Lent<'a> {
    shared: &'a Shared,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.shared.state.lock().parked -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    fn pool(threads: usize, queue: usize) -> Blocking {
        Blocking::new(BlockingSettings { threads, queue })
    }

    /// A job that says it began and holds its thread until the sender is dropped.
    fn hold(
        pool: &Blocking,
    ) -> (
        mpsc::Sender<()>,
        impl Future<Output = Result<(), BlockingError>> + use<>,
    ) {
        let (release, held) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let pool_of_job = pool.clone();
        let mut job = Box::pin(async move {
            pool_of_job
                .run(move || {
                    began.send(()).unwrap();
                    let _ = held.recv();
                })
                .await
        });
        let polled = futures::FutureExt::now_or_never(&mut job);
        assert!(polled.is_none());
        begun.recv().unwrap();
        (release, job)
    }

    #[tokio::test]
    async fn work_runs_in_parallel_up_to_the_number_of_threads() {
        let pool = pool(3, 0);
        let together = Arc::new(Barrier::new(3));
        let jobs = (0..3).map(|_| {
            let together = Arc::clone(&together);
            pool.run(move || together.wait().is_leader())
        });
        let leaders = futures::future::join_all(jobs).await;
        assert_eq!(
            leaders.into_iter().filter(|leader| *leader == Ok(true)).count(),
            1
        );
    }

    #[tokio::test]
    async fn one_job_more_than_the_line_holds_is_refused_at_once() {
        let pool = pool(1, 1);
        let (release, running) = hold(&pool);
        let mut waiting = Box::pin(pool.run(|| 2));
        assert!(futures::FutureExt::now_or_never(&mut waiting).is_none());
        assert_eq!(pool.run(|| 3).await, Err(BlockingError::Full));
        drop(release);
        assert_eq!(running.await, Ok(()));
        assert_eq!(waiting.await, Ok(2));
        assert_eq!(pool.run(|| 4).await, Ok(4), "the pool goes on after overload");
    }

    #[tokio::test]
    async fn a_panic_ends_its_job_and_not_the_pool() {
        let pool = pool(1, 1);
        assert_eq!(
            pool.run(|| -> u8 { panic!("on purpose") }).await,
            Err(BlockingError::Panicked)
        );
        assert_eq!(pool.run(|| 5).await, Ok(5));
    }

    #[tokio::test]
    async fn work_of_a_caller_that_went_away_before_it_began_is_not_done() {
        let pool = pool(1, 4);
        let (release, running) = hold(&pool);
        let done = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&done);
        let mut abandoned = Box::pin(pool.run(move || count.fetch_add(1, Ordering::SeqCst)));
        assert!(futures::FutureExt::now_or_never(&mut abandoned).is_none());
        drop(abandoned);
        drop(release);
        running.await.unwrap();
        pool.run(|| ()).await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_parked_job_lends_its_place() {
        let pool = pool(1, 1);
        let inner = pool.clone();
        let (go, wait) = mpsc::channel::<()>();
        let mut parked = Box::pin(pool.run(move || inner.while_parked(|| wait.recv().is_ok())));
        assert!(futures::FutureExt::now_or_never(&mut parked).is_none());
        assert_eq!(
            pool.run(|| 7).await,
            Ok(7),
            "another job runs while the first is parked"
        );
        go.send(()).unwrap();
        assert_eq!(parked.await, Ok(true));
        assert_eq!(pool.run(|| 8).await, Ok(8));
    }

    #[tokio::test]
    async fn closing_finishes_what_waits_and_refuses_the_rest() {
        let pool = pool(1, 4);
        let (release, running) = hold(&pool);
        let mut waiting = Box::pin(pool.run(|| 9));
        assert!(futures::FutureExt::now_or_never(&mut waiting).is_none());
        assert!(!pool.close(Duration::ZERO), "one job still runs");
        assert_eq!(pool.run(|| 1).await, Err(BlockingError::Closed));
        drop(release);
        assert!(pool.close(Duration::from_secs(30)));
        assert_eq!(running.await, Ok(()));
        assert_eq!(waiting.await, Ok(9));
        let (sent, received) = mpsc::channel();
        pool.tidy(move || sent.send(3).unwrap());
        assert_eq!(received.recv().unwrap(), 3, "tidying happens even then");
    }
}
