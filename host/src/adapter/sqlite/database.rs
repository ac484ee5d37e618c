//! One database file: its free connections, how many may be open and busy, and who waits for its lock.
//!
//! Work runs on the blocking pool and never waits there: when it meets a lock it comes back, waits without a thread
//! until a transaction of this process has ended (or a moment has passed, for other processes), and is tried again.
//! So the holder of a lock always finds a thread for its next statement.

use super::SqliteSettings;
use super::call::{Call, Control, Stopper};
use super::failure::Stop;
use super::loan::{Author, Link, Loan, open};
use crate::adapter::blocking::{Blocking, BlockingError};
use crate::capability::NoRoom;
use crate::capability::sqlite::port::{CpuMeter, SqlError};
use crate::model::Seldom;
use crate::model::quantity::bytes_text;
use parking_lot::Mutex;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout, timeout_at};

/// How long a statement that met a lock waits at most before it looks again: other processes do not tell us.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// How long after its deadline a statement is given to notice, before its caller is told without it.
pub(super) const GRACE: Duration = Duration::from_millis(250);

const FULL_FOR_SERVICE: &str = "it has, or would have, the size to which `limits.database_size` lets its service bring it; \
     delete from it, or raise that limit in the manifest";
const FULL_FOR_HOST: &str = "it has, or would have, the size that any may have on this host; delete from it, or raise \
     `max_database_size` of `[midplane.sqlite]` in the runtime configuration";
const FULL_DISK: &str = "the disk is full; free some of it";

/// A database file and its connections.
pub(super) struct Core {
    path: PathBuf,
    author: Author,
    settings: SqliteSettings,
    pool: Blocking,
    idle: Mutex<Vec<Link>>,
    /// Held while a connection is opened.
    opening: tokio::sync::Mutex<()>,
    /// How many connections may be open.
    connections: Arc<Semaphore>,
    /// How many statements may run at once: half of the pool, so that no database takes it all.
    places: Arc<Semaphore>,
    /// Told when a transaction that may have held the lock is over.
    released: Notify,
    closed: AtomicBool,
    /// Told of writes that would have made it larger than it may be.
    full: Seldom,
    /// Told of writes for which the disk had no room.
    disk_full: Seldom,
}

impl Core {
    pub(super) fn new(path: PathBuf, author: Author, settings: SqliteSettings, pool: Blocking) -> Self {
        Self {
            path,
            author,
            idle: Mutex::new(Vec::new()),
            opening: tokio::sync::Mutex::new(()),
            connections: Arc::new(Semaphore::new(settings.max_connections.max(1))),
            places: Arc::new(Semaphore::new((pool.threads() / 2).max(1))),
            released: Notify::new(),
            closed: AtomicBool::new(false),
            full: Seldom::new(),
            disk_full: Seldom::new(),
            settings,
            pool,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn author(&self) -> Author {
        self.author
    }

    pub(super) fn settings(&self) -> &SqliteSettings {
        &self.settings
    }

    pub(super) fn pool(&self) -> &Blocking {
        &self.pool
    }

    pub(super) fn notify_released(&self) {
        self.released.notify_one();
    }

    /// Takes a free connection that lets the file grow to `max_bytes`, or opens one; waits as long as for a lock.
    pub(super) async fn lend(self: &Arc<Self>, max_bytes: u64) -> Result<Loan, SqlError> {
        let patience = self.settings.busy_timeout;
        let permit = match timeout(patience, Arc::clone(&self.connections).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(closing()),
            Err(_) => {
                return Err(SqlError::TooManyConnections {
                    max: self.settings.max_connections,
                });
            }
        };
        let free = self.take_idle(max_bytes);
        if let Some(link) = free {
            return Ok(Loan::new(link, Arc::clone(self), permit));
        }
        let link = self.open_link(max_bytes).await?;
        Ok(Loan::new(link, Arc::clone(self), permit))
    }

    /// The free connection of that limit that was last in use.
    fn take_idle(&self, max_bytes: u64) -> Option<Link> {
        let mut idle = self.idle.lock();
        let last = idle.iter().rposition(|link| link.max_bytes == max_bytes)?;
        Some(idle.remove(last))
    }

    /// Opens a new connection: one at a time, since the first ones change the mode of a new file and make its table.
    async fn open_link(self: &Arc<Self>, max_bytes: u64) -> Result<Link, SqlError> {
        let patience = self.settings.busy_timeout;
        let call = Call::new(patience);
        let mut locked = Locked::new(patience);
        let Ok(_turn) = timeout(patience, self.opening.lock()).await else {
            return Err(SqlError::Busy { waited: patience });
        };
        loop {
            let core = Arc::clone(self);
            let link = self
                .pool
                .run(move || open(&core.path, &core.settings, max_bytes, core.author))
                .await;
            match link.map_err(refused)? {
                Ok(link) => return Ok(link),
                Err(Stop::Failed(error)) => {
                    self.tell_if_full(&error);
                    return Err(error);
                }
                Err(Stop::Locked) => locked.wait(self, &call).await?,
            }
        }
    }

    /// Keeps a connection for the next holder, or has it closed.
    pub(super) fn give_back(self: &Arc<Self>, link: Link, permit: Option<OwnedSemaphorePermit>) {
        let reusable = !link.control.is_single_use() && !self.closed.load(Ordering::Acquire);
        let mut idle = self.idle.lock();
        let is_room = idle.len() < self.settings.max_idle_connections;
        // Else those of a limit that nobody has any more would keep their places for ever.
        let other = (reusable && !is_room)
            .then(|| idle.iter().position(|other| other.max_bytes != link.max_bytes))
            .flatten()
            .map(|other| idle.remove(other));
        if reusable && (is_room || other.is_some()) {
            forget_last_insert(&link.connection);
            idle.push(link);
            drop(idle);
            if other.is_some() {
                self.pool.tidy(move || drop(other));
            }
            return; // The permit goes after the connection is there to be taken.
        }
        drop(idle);
        // Closing the last connection folds the log into the file.
        self.pool.tidy(move || drop((link, permit)));
    }

    /// Closes what is free now and what comes back later.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        drop(std::mem::take(&mut *self.idle.lock()));
    }

    /// Runs `work` to an answer, again after each lock that it meets. `loan` is held all the while.
    pub(super) async fn run<S, T, F>(
        self: &Arc<Self>,
        loan: S,
        limit: Duration,
        work: F,
    ) -> Result<T, SqlError>
    where
        S: Deref<Target = Loan> + Send + 'static,
        T: Send + 'static,
        F: Fn(&Loan, &Call) -> Result<T, Stop> + Send + Sync + 'static,
    {
        self.run_metered(loan, limit, None, work).await
    }

    /// The same, with its CPU time charged to `cpu`.
    pub(super) async fn run_metered<S, T, F>(
        self: &Arc<Self>,
        mut loan: S,
        limit: Duration,
        cpu: Option<Arc<dyn CpuMeter>>,
        work: F,
    ) -> Result<T, SqlError>
    where
        S: Deref<Target = Loan> + Send + 'static,
        T: Send + 'static,
        F: Fn(&Loan, &Call) -> Result<T, Stop> + Send + Sync + 'static,
    {
        let call = Arc::new(Call::metered(limit, cpu));
        let _stopper = stopper(&loan, &call);
        let work = Arc::new(work);
        let mut locked = Locked::new(self.settings.busy_timeout);
        loop {
            let deadline = tokio::time::Instant::from_std(call.deadline() + GRACE);
            let attempt = self.attempt(loan, &call, Arc::clone(&work));
            match timeout_at(deadline, attempt).await {
                Err(_) => return Err(SqlError::TimedOut { limit }),
                Ok(Err(error)) => return Err(error),
                Ok(Ok((_, Ok(answer)))) => return Ok(answer),
                Ok(Ok((_, Err(Stop::Failed(error))))) => return Err(error),
                Ok(Ok((returned, Err(Stop::Locked)))) => {
                    loan = returned;
                    locked.wait(self, &call).await?;
                }
            }
        }
    }

    /// Runs `work` once and gives the loan back with its answer.
    pub(super) async fn attempt<S, T, F>(
        self: &Arc<Self>,
        loan: S,
        call: &Arc<Call>,
        work: Arc<F>,
    ) -> Result<(S, Result<T, Stop>), SqlError>
    where
        S: Deref<Target = Loan> + Send + 'static,
        T: Send + 'static,
        F: Fn(&Loan, &Call) -> Result<T, Stop> + Send + Sync + 'static,
    {
        let place = match timeout(call.left(), Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(closing()),
            Err(_) => return Err(SqlError::TimedOut { limit: call.limit }),
        };
        let (core, call) = (Arc::clone(self), Arc::clone(call));
        call.take_place(place);
        self.pool
            .run(move || {
                loan.control.begin(&call);
                let ends = Ends(&loan.control);
                let answer = core.watched(&loan, || work(&loan, &call));
                drop(ends);
                (loan, answer)
            })
            .await
            .map_err(refused)
    }

    /// Runs `work` and tells those who wait for the lock if it may have come free.
    fn watched<T>(&self, loan: &Loan, work: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
        let connection = loan.connection()?;
        let (was_free, before) = (connection.is_autocommit(), connection.total_changes());
        let answer = work();
        let is_free = connection.is_autocommit();
        if is_free && (!was_free || connection.total_changes() != before) {
            self.notify_released();
        }
        if let Err(Stop::Failed(error)) = &answer {
            self.tell_if_full(error);
        }
        answer
    }

    /// The guest is told each time, whoever runs the host now and then: a guest may try again as often as it likes.
    fn tell_if_full(&self, error: &SqlError) {
        let SqlError::DatabaseFull(no_room) = error else {
            return;
        };
        let (seldom, limit, why) = match no_room {
            NoRoom::OfService(limit) => (&self.full, Some(*limit), FULL_FOR_SERVICE),
            NoRoom::OfHost(limit) => (&self.full, Some(*limit), FULL_FOR_HOST),
            NoRoom::OnDisk => (&self.disk_full, None, FULL_DISK),
        };
        if let Some(times) = seldom.note(Instant::now()) {
            let limit = limit.map(bytes_text);
            tracing::warn!(path = %self.path.display(), limit, times, "a database cannot grow: {why}");
        }
    }
}

/// Ends what runs on a connection, on the thread that it ran on, even by a panic.
struct Ends<'a>(&'a Control);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What stops `call` on the connection of `loan` when it is dropped.
pub(super) fn stopper(loan: &Loan, call: &Arc<Call>) -> Stopper {
    Stopper {
        call: Arc::clone(call),
        control: Arc::clone(&loan.control),
        interrupt: Arc::clone(&loan.interrupt),
    }
}

/// The waits of one statement for a lock, which have a bound together.
pub(super) struct Locked {
    patience: Duration,
    since: Option<Instant>,
}

impl Locked {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            since: None,
        }
    }

    /// Waits until the lock may be free; fails once the patience is used up.
    pub(super) async fn wait(&mut self, core: &Core, call: &Call) -> Result<(), SqlError> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let waited = since.elapsed();
        if waited >= self.patience {
            return Err(SqlError::Busy {
                waited: self.patience,
            });
        }
        let left = self
            .patience
            .saturating_sub(waited)
            .min(call.left())
            .min(LOOK_AGAIN);
        // Both arms only wake: a notification that is lost to the other arm costs one more look.
        tokio::select! {
            () = core.released.notified() => {}
            () = sleep(left) => {}
        }
        Ok(())
    }
}

fn closing() -> SqlError {
    SqlError::Unavailable {
        message: "the host is shutting down".to_owned(),
    }
}

/// What the pool's refusal is to a guest.
pub(super) fn refused(error: BlockingError) -> SqlError {
    match error {
        BlockingError::Full | BlockingError::NoThread => SqlError::Overloaded,
        BlockingError::Closed => closing(),
        BlockingError::Panicked => SqlError::Unavailable {
            message: "the statement was lost".to_owned(),
        },
    }
}

/// Sets the row id of the last insert back to 0, which is all that a connection remembers of its former holder.
#[expect(unsafe_code, reason = "rusqlite has no safe form of this call")]
fn forget_last_insert(connection: &rusqlite::Connection) {
    // SAFETY: the handle is that of an open connection, which this thread holds alone, and the call sets one integer.
    unsafe { rusqlite::ffi::sqlite3_set_last_insert_rowid(connection.handle(), 0) }
}
