//! The requests that one instance serves at once, as its task and those who sent them see them.
//!
//! *Invariant*: nothing is dropped, answered or logged while the lock is held: what that sets off may come back here.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use futures::channel::oneshot;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::time::Instant;
use wasmtime::component::GuestTaskId;

use super::MAX_LINGERING;
use super::seat::Seat;
use crate::engine::context::{Callees, RequestContext, Sight};
use crate::engine::nursery::Nursery;
use crate::engine::{Body, Failure};

pub(super) type Head = http::Response<Body>;

/// A request on its way to an instance.
pub(super) struct Job {
    pub(super) request: http::Request<Body>,
    pub(super) context: Arc<RequestContext>,
    /// Where its response's head goes.
    pub(super) answer: oneshot::Sender<Result<Head, Failure>>,
    /// What is held until the guest is done with it.
    pub(super) hold: Box<dyn Send>,
}

/// A request that is to be handed to the guest.
pub(super) struct Arrival {
    pub(super) key: u64,
    pub(super) request: http::Request<Body>,
    pub(super) context: Arc<RequestContext>,
    /// The guest has got no other before it.
    pub(super) is_first: bool,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Somebody waits for its response, or for more of it.
    Wanted,
    /// Nobody does any more, and its guest may work on for it.
    Abandoned,
    /// It was answered without its guest, which may work on all the same.
    Over,
}

/// A request that the instance works for.
pub(super) struct Record {
    key: u64,
    pub(super) context: Arc<RequestContext>,
    pub(super) answer: Option<oneshot::Sender<Result<Head, Failure>>>,
    pub(super) reader: Arc<AtomicWaker>,
    hold: Option<Box<dyn Send>>,
    /// It never came to the guest.
    _arrival: Option<Arrival>,
    stage: Stage,
}

struct Desk {
    /// Whether it takes requests.
    open: bool,
    /// Somebody was given up here, or failed: the instance must not serve others afterwards.
    spoiled: bool,
    /// How many more may come.
    left: u32,
    came: u32,
    /// How many the guest has got.
    begun: u32,
    /// How many of `requests` are wanted.
    seated: u32,
    arrived: VecDeque<Arrival>,
    requests: Vec<Record>,
    /// Those that were answered whole.
    lingering: VecDeque<Record>,
    /// Whose calls are not yet driven.
    nurseries: Vec<Arc<Nursery>>,
    tasks: HashMap<GuestTaskId, Arc<RequestContext>>,
}

/// See the module [`shared`](super).
pub(in crate::engine) struct Session {
    /// What all of its requests see. It keeps that alive, so that nothing else can be taken for it.
    callees: Arc<dyn Callees>,
    at_once: u32,
    /// Wakes the session's task.
    task: AtomicWaker,
    desk: Mutex<Desk>,
}

/// What a look at the clock says of a session.
pub(super) enum Review {
    /// It goes on; nothing happens by itself before then.
    Until(Instant),
    /// Nobody is left for whom the instance could be worth keeping.
    Spent,
    /// The guest works on for nobody, past the time of the last request, which is this.
    Overran(Arc<RequestContext>),
}

/// Who is there when the guest is at rest.
pub(super) enum Vacancy {
    /// One whom the guest has not got.
    Came,
    /// Somebody who takes what is left of a response: the host may fill it without the guest.
    Seated,
    /// Nobody, and nobody may come any more.
    Closed,
}

impl Session {
    /// One whose instance may serve `left` requests, `at_once` at once, with the first of them.
    pub(super) fn begin(job: Job, at_once: u32, left: u32) -> (Arc<Self>, Seat) {
        let session = Arc::new(Self {
            callees: job.context.callees.clone(),
            at_once,
            task: AtomicWaker::new(),
            desk: Mutex::new(Desk {
                open: true,
                spoiled: false,
                left,
                came: 0,
                begun: 0,
                seated: 0,
                arrived: VecDeque::new(),
                requests: Vec::new(),
                lingering: VecDeque::new(),
                nurseries: Vec::new(),
                tasks: HashMap::new(),
            }),
        });
        let seat = session.sit(&mut session.desk.lock(), job);
        (session, seat)
    }

    /// A seat, if it has room and takes requests.
    #[expect(
        clippy::result_large_err,
        reason = "the job is handed back to be offered to the next session, and is boxed by none"
    )]
    pub(super) fn join(self: &Arc<Self>, job: Job) -> Result<Seat, Job> {
        let mut desk = self.desk.lock();
        if !desk.open || desk.seated >= self.at_once {
            return Err(job);
        }
        let seat = self.sit(&mut desk, job);
        // The new one holds what those do that linger.
        let freed: Vec<_> = desk
            .lingering
            .iter_mut()
            .map(|record| record.hold.take())
            .collect();
        drop(desk);
        drop(freed);
        self.task.wake();
        Ok(seat)
    }

    fn sit(self: &Arc<Self>, desk: &mut Desk, job: Job) -> Seat {
        let Job {
            request,
            context,
            answer,
            hold,
        } = job;
        let key = u64::from(desk.came);
        let reader = Arc::new(AtomicWaker::new());
        desk.came = desk.came.saturating_add(1);
        desk.left = desk.left.saturating_sub(1);
        desk.open &= desk.left > 0;
        desk.seated += 1;
        desk.arrived.push_back(Arrival {
            key,
            request,
            context: context.clone(),
            is_first: false,
        });
        desk.nurseries.push(context.nursery.clone());
        desk.requests.push(Record {
            key,
            context,
            answer: Some(answer),
            reader: reader.clone(),
            hold: Some(hold),
            _arrival: None,
            stage: Stage::Wanted,
        });
        Seat {
            session: self.clone(),
            key,
            reader,
            is_done: false,
        }
    }

    /// Whether it may take one more request at some time.
    pub(super) fn is_open(&self) -> bool {
        self.desk.lock().open
    }

    /// How many requests it works for that somebody waits for.
    pub(super) fn seated(&self) -> u32 {
        self.desk.lock().seated
    }

    /// What its requests see.
    pub(super) fn sight(&self) -> Sight {
        self.callees.sight()
    }

    /// Somebody gives a seat up, with the whole response or without.
    pub(super) fn leave(&self, key: u64, is_done: bool) {
        let mut freed: Vec<Box<dyn Send>> = Vec::new();
        {
            let mut desk = self.desk.lock();
            let Some(at) = desk.position(key).filter(|at| desk.is_wanted(*at)) else {
                return;
            };
            desk.seated = desk.seated.saturating_sub(1);
            if is_done {
                let mut record = desk.requests.swap_remove(at);
                if desk.seated > 0 {
                    // What works on for it counts as part of the others; else it keeps its place until the instance rests.
                    freed.extend(record.hold.take());
                }
                desk.lingering.push_back(record);
                if desk.lingering.len() > MAX_LINGERING {
                    let oldest = desk.lingering.pop_front();
                    freed.extend(oldest.map(|record| desk.forget(record)));
                }
            } else if let Some(arrival) = desk.unarrive(key) {
                // The guest has never heard of it.
                let record = desk.requests.swap_remove(at);
                freed.push(Box::new((arrival, record)));
            } else {
                desk.open = false;
                desk.spoiled = true;
                if let Some(record) = desk.requests.get_mut(at) {
                    record.stage = Stage::Abandoned;
                }
            }
        }
        drop(freed);
        self.task.wake();
    }
}

/// What the session's task does.
impl Session {
    /// Who wakes the task from now on.
    pub(super) fn watch(&self, waker: &Waker) {
        self.task.register(waker);
    }

    /// The next request that the guest has not got.
    pub(super) fn next_arrival(&self) -> Option<Arrival> {
        let mut desk = self.desk.lock();
        let mut arrival = desk.arrived.pop_front()?;
        arrival.is_first = desk.begun == 0;
        desk.begun = desk.begun.saturating_add(1);
        Some(arrival)
    }

    /// Where calls of requests are left that came since this was asked last.
    pub(super) fn take_nurseries(&self) -> Vec<Arc<Nursery>> {
        std::mem::take(&mut self.desk.lock().nurseries)
    }

    /// The guest works for this request in that task.
    pub(super) fn began(&self, task: GuestTaskId, context: Arc<RequestContext>) {
        let replaced = self.desk.lock().tasks.insert(task, context);
        drop(replaced);
    }

    /// The request for which the guest works in a task.
    pub(in crate::engine) fn context_of(&self, task: GuestTaskId) -> Option<Arc<RequestContext>> {
        self.desk.lock().tasks.get(&task).cloned()
    }

    /// Hands a head out, if anybody still waits for it.
    pub(super) fn answer(&self, key: u64, head: Head) {
        let waiting = {
            let mut desk = self.desk.lock();
            let at = desk.position(key).filter(|at| desk.is_wanted(*at));
            let record = at.and_then(|at| desk.requests.get_mut(at));
            record.and_then(|record| Some((record.answer.take()?, record.context.clone())))
        };
        if let Some((answer, context)) = waiting {
            context.progress.head_sent();
            // Nobody waits any more when the client is gone.
            let _gone = answer.send(Ok(head));
        }
    }

    /// Takes a request as over that its guest failed at. `None` if it is already.
    pub(super) fn give_up(&self, key: u64) -> Option<Record> {
        let mut desk = self.desk.lock();
        let at = desk.position(key).filter(|at| desk.is_wanted(*at))?;
        desk.end(at)
    }

    /// The requests that are over their time, each taken as over.
    pub(super) fn overdue(&self, limit: Duration, now: Instant) -> Vec<Record> {
        let mut desk = self.desk.lock();
        let mut overdue = Vec::new();
        while let Some(at) = desk.requests.iter().position(|record| {
            record.stage == Stage::Wanted
                && (record.ends_at(limit) <= now || record.body_failed_before_the_head())
        }) {
            overdue.extend(desk.end(at));
        }
        overdue
    }

    /// Looks whether the instance has somebody to work for.
    pub(super) fn review(&self, limit: Duration, now: Instant) -> Review {
        let mut freed = Vec::new();
        let mut last = None;
        let mut desk = self.desk.lock();
        while let Some(record) = desk.lingering.front() {
            if record.ends_at(limit) > now {
                break;
            }
            if let Some(record) = desk.lingering.pop_front() {
                last = Some(record.context.clone());
                freed.push(desk.forget(record));
            }
        }
        let ends_at = |record: &Record| match record.stage {
            Stage::Wanted => Some(record.ends_at(limit)),
            Stage::Abandoned => Some(record.ends_at(limit)).filter(|ends_at| *ends_at > now),
            Stage::Over => None,
        };
        let next = desk.requests.iter().filter_map(ends_at);
        let next = next
            .chain(desk.lingering.iter().map(|record| record.ends_at(limit)))
            .min();
        let review = match (next, desk.spoiled, last) {
            (Some(next), _, _) => Review::Until(next),
            (None, true, _) => Review::Spent,
            (None, false, Some(context)) => Review::Overran(context),
            // Whoever came left again before the guest heard of it.
            (None, false, None) => Review::Spent,
        };
        drop(desk);
        drop(freed);
        review
    }

    /// Charges CPU time to the requests that it works for, in equal parts: nobody knows better. The most that one of them has
    /// had by now.
    pub(in crate::engine) fn spend(&self, took: Duration) -> Duration {
        let desk = self.desk.lock();
        let part = took / u32::try_from(desk.requests.len().max(1)).unwrap_or(u32::MAX);
        // Where nobody waits any more, the guest works on for who was there last.
        let last = desk.lingering.back().filter(|_| desk.requests.is_empty());
        let had = desk.requests.iter().chain(last);
        let had = had.map(|record| record.context.spend(part));
        had.max().unwrap_or_default()
    }

    /// Takes no more requests, unless somebody is there.
    pub(super) fn close_if_nobody_is_there(&self) -> Vacancy {
        let mut desk = self.desk.lock();
        if !desk.arrived.is_empty() {
            return Vacancy::Came;
        }
        if desk.seated > 0 {
            return Vacancy::Seated;
        }
        desk.open = false;
        Vacancy::Closed
    }

    /// Takes no more requests, and all that are wanted as over; where none is, the one that was there last.
    pub(super) fn fail(&self) -> Vec<Record> {
        let mut desk = self.desk.lock();
        desk.open = false;
        let mut failed = Vec::new();
        while let Some(at) = desk
            .requests
            .iter()
            .position(|record| record.stage == Stage::Wanted)
        {
            failed.extend(desk.end(at));
        }
        if failed.is_empty() {
            let last = desk.lingering.pop_back();
            let last = last.or_else(|| {
                let at = desk
                    .requests
                    .iter()
                    .rposition(|record| record.stage == Stage::Abandoned)?;
                desk.end(at)
            });
            failed.extend(last);
        }
        failed
    }

    /// How many requests the guest has got, if the instance may serve others after them.
    pub(super) fn served_well(&self) -> Option<u32> {
        let desk = self.desk.lock();
        (!desk.spoiled).then_some(desk.begun)
    }

    /// Lets go of all that it holds.
    pub(super) fn clear(&self) {
        let mut desk = self.desk.lock();
        desk.open = false;
        desk.seated = 0;
        let held = (
            std::mem::take(&mut desk.arrived),
            std::mem::take(&mut desk.requests),
            std::mem::take(&mut desk.lingering),
            std::mem::take(&mut desk.nurseries),
            std::mem::take(&mut desk.tasks),
        );
        drop(desk);
        let readers: Vec<_> = held.1.iter().map(|record| record.reader.clone()).collect();
        drop(held);
        for reader in readers {
            reader.wake();
        }
    }
}

impl Desk {
    fn position(&self, key: u64) -> Option<usize> {
        self.requests.iter().position(|record| record.key == key)
    }

    /// Takes a request back that the guest has not got.
    fn unarrive(&mut self, key: u64) -> Option<Arrival> {
        let at = self.arrived.iter().position(|arrival| arrival.key == key)?;
        self.arrived.remove(at)
    }

    fn is_wanted(&self, at: usize) -> bool {
        self.requests
            .get(at)
            .is_some_and(|record| record.stage == Stage::Wanted)
    }

    /// Takes a request as over without its guest. What it holds stays: the guest may still work for it. The record that is
    /// returned tells whoever waits for it.
    fn end(&mut self, at: usize) -> Option<Record> {
        let key = self.requests.get(at)?.key;
        let arrival = self.unarrive(key);
        let record = self.requests.get_mut(at)?;
        let was_wanted = std::mem::replace(&mut record.stage, Stage::Over) == Stage::Wanted;
        let ended = Record {
            key: record.key,
            context: record.context.clone(),
            answer: record.answer.take(),
            reader: record.reader.clone(),
            hold: None,
            _arrival: arrival,
            stage: Stage::Over,
        };
        if was_wanted {
            self.seated = self.seated.saturating_sub(1);
        }
        self.open = false;
        self.spoiled = true;
        Some(ended)
    }

    /// The guest works no more for a request, as far as is known. What it held is to be dropped.
    #[must_use = "it is to be dropped without the lock"]
    fn forget(&mut self, record: Record) -> Box<dyn Send> {
        let context = &record.context;
        let forgotten: Vec<_> = self
            .tasks
            .extract_if(|_, known| Arc::ptr_eq(known, context))
            .collect();
        Box::new((record, forgotten))
    }
}

impl Record {
    /// When it is over if nothing moves until then.
    fn ends_at(&self, limit: Duration) -> Instant {
        self.context.progress.deadline(limit, self.context.deadline)
    }

    fn body_failed_before_the_head(&self) -> bool {
        let progress = &self.context.progress;
        progress.body_fault().is_some() && !progress.is_head_sent()
    }
}
