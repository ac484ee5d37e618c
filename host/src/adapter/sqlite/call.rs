//! One statement on its way: its deadline, its cancellation, and what SQLite's callbacks learn while it runs.
//!
//! A [`Call`] belongs to one statement, a [`Control`] to one connection. A cancellation that comes late finds another
//! call current, or none, and touches nothing.

use crate::capability::sqlite::port::{CpuMeter, SqlError};
use parking_lot::Mutex;
use rusqlite::InterruptHandle;
use rustix::time::ClockId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// One statement from its call to its end.
pub(super) struct Call {
    /// The bound that the guest is told of.
    pub(super) limit: Duration,
    cancelled: AtomicBool,
    deadline: Mutex<Instant>,
    /// The right to one of the database's places on the blocking pool.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    cpu: Option<Arc<dyn CpuMeter>>,
    /// The CPU time of the thread when the statement began to run on it.
    began: Mutex<Duration>,
    out_of_cpu: AtomicBool,
}

impl Call {
    /// One that may take `limit`, at the expense of nobody.
    pub(super) fn new(limit: Duration) -> Self {
        Self::metered(limit, None)
    }

    /// One whose CPU time is charged.
    pub(super) fn metered(limit: Duration, cpu: Option<Arc<dyn CpuMeter>>) -> Self {
        let now = Instant::now();
        Self {
            limit,
            cancelled: AtomicBool::new(false),
            // A bound beyond the clock's range is a century all the same.
            deadline: Mutex::new(
                now.checked_add(limit)
                    .unwrap_or(now + Duration::from_secs(100 * 365 * 86_400)),
            ),
            place: Mutex::new(None),
            cpu,
            began: Mutex::default(),
            out_of_cpu: AtomicBool::new(false),
        }
    }

    /// It runs from now on, on this thread.
    fn begin(&self) {
        if self.cpu.is_some() {
            *self.began.lock() = thread_time();
        }
    }

    /// It does not run any more.
    fn end(&self) {
        if let Some(cpu) = &self.cpu {
            cpu.spend(thread_time().saturating_sub(*self.began.lock()));
        }
    }

    /// Whether it has taken all the CPU time that there is for it. To be asked on the thread that it runs on.
    fn is_out_of_cpu(&self) -> bool {
        let Some(cpu) = &self.cpu else { return false };
        // Charged at once: statements that run side by side have what is left together.
        let mut began = self.began.lock();
        let now = thread_time();
        cpu.spend(now.saturating_sub(*began));
        *began = now;
        let is_out = cpu.left().is_zero();
        if is_out {
            self.out_of_cpu.store(true, Ordering::Relaxed);
        }
        is_out
    }

    /// Why it had to stop.
    pub(super) fn verdict(&self) -> SqlError {
        match self.out_of_cpu.load(Ordering::Relaxed) {
            true => SqlError::OutOfCpu,
            false => SqlError::TimedOut { limit: self.limit },
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        *self.deadline.lock()
    }

    /// How long the call may still take.
    pub(super) fn left(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// Whether the statement must stop. To be asked on the thread that it runs on.
    pub(super) fn is_over(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || Instant::now() >= self.deadline() || self.is_out_of_cpu()
    }

    /// Takes `waited` out of the reckoning: the statement did not run meanwhile.
    pub(super) fn extend(&self, waited: Duration) {
        let mut deadline = self.deadline.lock();
        if let Some(later) = deadline.checked_add(waited) {
            *deadline = later;
        }
    }

    pub(super) fn take_place(&self, place: OwnedSemaphorePermit) {
        *self.place.lock() = Some(place);
    }

    /// Gives the place back: the statement has ended, or waits for its reader.
    pub(super) fn leave_place(&self) {
        self.place.lock().take();
    }
}

/// The CPU time of this thread.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// What the callbacks of one connection share with those who use it.
#[derive(Default)]
pub(super) struct Control {
    current: Mutex<Option<Arc<Call>>>,
    refused: Mutex<Option<String>>,
    contended: AtomicBool,
    single_use: AtomicBool,
    refuse_all: AtomicBool,
}

impl Control {
    /// Makes `call` the one that runs.
    pub(super) fn begin(&self, call: &Arc<Call>) {
        call.begin();
        *self.current.lock() = Some(Arc::clone(call));
        self.refused.lock().take();
        self.contended.store(false, Ordering::Relaxed);
    }

    /// Nothing runs any more.
    pub(super) fn end(&self) {
        if let Some(call) = self.current.lock().take() {
            call.end();
            call.leave_place();
        }
    }

    pub(super) fn current(&self) -> Option<Arc<Call>> {
        self.current.lock().clone()
    }

    /// Whether what runs must stop. With nothing current nothing must.
    pub(super) fn is_over(&self) -> bool {
        self.current.lock().as_ref().is_some_and(|call| call.is_over())
    }

    pub(super) fn refuse(&self, reason: String) {
        *self.refused.lock() = Some(reason);
    }

    pub(super) fn take_refusal(&self) -> Option<String> {
        self.refused.lock().take()
    }

    /// Notes that a lock was met that may come free.
    pub(super) fn note_contention(&self) {
        self.contended.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_contention(&self) -> bool {
        self.contended.swap(false, Ordering::Relaxed)
    }

    /// Notes that the connection must not be handed to another holder.
    pub(super) fn mark_single_use(&self) {
        self.single_use.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_single_use(&self) -> bool {
        self.single_use.load(Ordering::Relaxed)
    }

    pub(super) fn refuses_all(&self) -> bool {
        self.refuse_all.load(Ordering::Relaxed)
    }

    /// Runs `look` while every action is refused, so that compiling a statement can have no effect.
    pub(super) fn while_refusing_all<T>(&self, look: impl FnOnce() -> T) -> T {
        self.refuse_all.store(true, Ordering::Relaxed);
        let seen = look();
        self.refuse_all.store(false, Ordering::Relaxed);
        seen
    }
}

/// Stops a call when dropped, unless the call has ended by then.
pub(super) struct Stopper {
    pub(super) call: Arc<Call>,
    pub(super) control: Arc<Control>,
    pub(super) interrupt: Arc<InterruptHandle>,
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.call.cancelled.store(true, Ordering::Relaxed);
        // While this is held no other call can become current, so the interrupt hits this call or nothing.
        let current = self.control.current.lock();
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, &self.call))
        {
            self.interrupt.interrupt();
        }
    }
}
