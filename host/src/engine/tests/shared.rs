//! Instances that serve several requests at once.

use std::future::pending;
use std::time::Duration;

use futures::channel::oneshot;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::guest::{AGAIN, ANSWER, DOOR, LOOP, STREAM_ON, handler3};
use super::*;

/// What a request sees that is not of the same generation as others.
struct Other;

impl Callees for Other {
    fn callee(&self, _: &ServiceName) -> Option<Arc<dyn Callee>> {
        None
    }

    fn sight(&self) -> Sight {
        Sight {
            generation: 2,
            chosen: 0,
        }
    }
}

/// With so many requests at once in each instance.
fn bench(at_once: u32) -> Bench {
    let mut bench = Bench::new(16);
    bench.instances.concurrency = NonZeroU32::new(at_once).unwrap();
    bench
}

/// Only when it passes the door for the first time, until `))`.
const FIRST: &str = "(if (i32.eqz (local.get $stage)) (then";

type Answered = Result<http::Response<Body>, Failure>;
type Running = tokio::task::JoinHandle<Answered>;

impl Subject {
    /// A request in a task of its own, which has arrived at the door.
    async fn begin(&self, context: Arc<RequestContext>) -> Running {
        self.begin_holding(context, ()).await
    }

    async fn begin_holding<H: Send + 'static>(&self, context: Arc<RequestContext>, hold: H) -> Running {
        let running = self.ask(context, hold);
        self.door.arrival().await;
        running
    }

    /// A request in a task of its own.
    fn ask<H: Send + 'static>(&self, context: Arc<RequestContext>, hold: H) -> Running {
        let request = http::Request::get("http://127.0.0.1/")
            .body(Full::<Bytes>::default())
            .unwrap();
        tokio::spawn(self.program.clone().handle(request, context, Drive::Inline, hold))
    }

    fn open_door(&self, passes: usize) {
        self.door.passes.add_permits(passes);
    }

    /// Until so many instances are alive.
    async fn until_instances(&self, count: u64) {
        eventually(|| self.figure("instances", "") == count).await;
    }
}

/// Looks again and again until it is so.
async fn eventually(is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(60), looking).await;
    looked.expect("it never came to be so");
}

/// The status of a response, taken to its end.
async fn whole(running: Running) -> u16 {
    let response = running.await.unwrap().unwrap();
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    status
}

async fn failure(running: Running) -> Failure {
    running
        .await
        .unwrap()
        .map(|response| response.status())
        .unwrap_err()
}

/// A context whose request ends that soon.
fn ending(subject: &Subject, within: Duration) -> Arc<RequestContext> {
    let mut context = Arc::into_inner(subject.context()).unwrap();
    context.deadline = Some(Instant::now() + within);
    Arc::new(context)
}

#[tokio::test]
async fn as_many_as_are_asked_for_are_in_one_instance_and_one_more_gets_another() {
    let bench = bench(4);
    let subject = bench.program(&handler3(&[ANSWER]), 0);
    let mut running = Vec::new();
    for _ in 0..5 {
        running.push(subject.begin(subject.context()).await);
    }
    assert_eq!(subject.figure("instances", ""), 2);
    assert_eq!(subject.figure("instantiations_total", ",kind=\"fresh\""), 2);
    assert_eq!(subject.figure("instantiations_total", ",kind=\"reused\""), 3);
    subject.open_door(5);
    let mut statuses = Vec::new();
    for running in running {
        statuses.push(whole(running).await);
    }
    assert_eq!(statuses, [201, 202, 203, 204, 201]);
    // Both are at rest, or will be; who comes next gets one of them.
    subject.open_door(1);
    let next = whole(subject.begin(subject.context()).await).await;
    assert!(next == 202 || next == 205, "{next}");
}

#[tokio::test]
async fn who_comes_before_the_instance_is_there_gets_the_same() {
    let bench = bench(3);
    let subject = bench.program(&handler3(&[ANSWER]), 3);
    let running: Vec<Running> = (0..3).map(|_| subject.ask(subject.context(), ())).collect();
    let mut statuses = Vec::new();
    for running in running {
        statuses.push(whole(running).await);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 202, 203]);
    assert_eq!(subject.figure("instantiations_total", ",kind=\"fresh\""), 1);
}

#[tokio::test]
async fn an_instance_takes_no_more_requests_than_it_may_have_in_its_life() {
    let mut bench = bench(4);
    bench.instances.max_requests = NonZeroU32::MIN.saturating_add(2);
    let subject = bench.program(&handler3(&[ANSWER]), 0);
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(subject.begin(subject.context()).await);
    }
    assert_eq!(subject.figure("instances", ""), 2);
    subject.open_door(4);
    let mut statuses = Vec::new();
    for running in running {
        statuses.push(whole(running).await);
    }
    assert_eq!(statuses, [201, 202, 203, 201]);
    // The one that has had all of its requests goes, the other waits.
    subject.until_instances(1).await;
    subject.open_door(1);
    assert_eq!(whole(subject.begin(subject.context()).await).await, 202);
}

#[tokio::test]
async fn a_trap_ends_those_in_its_instance_and_no_others() {
    let bench = bench(2);
    let trap = "(if (i32.eq (local.get $number) (i32.const 2)) (then unreachable))";
    let subject = bench.program(&handler3(&[trap, FIRST, STREAM_ON, "))", AGAIN]), 0);
    let streaming = subject.begin(subject.context()).await;
    subject.open_door(1);
    let streaming = streaming.await.unwrap().unwrap();
    subject.door.arrival().await;
    let trapping = subject.begin(subject.context()).await;
    let elsewhere = subject.begin(subject.context()).await;
    assert_eq!(subject.figure("instances", ""), 2);
    subject.open_door(3);
    assert!(matches!(failure(trapping).await, Failure::Trapped));
    assert_eq!(streaming.status(), 201);
    assert!(streaming.into_body().collect().await.is_err());
    assert_eq!(elsewhere.await.unwrap().unwrap().status(), 201);
    assert_eq!(subject.figure("traps_total", ""), 1, "the guest trapped once");
    assert_eq!(subject.figure("errors_total", ",reason=\"trap\""), 2);
}

#[tokio::test]
async fn a_handler_that_fails_ends_with_its_request_alone() {
    let bench = bench(2);
    // The error `connection-refused`.
    let refuse = "(if (i32.eq (local.get $number) (i32.const 1)) (then
      (call $return (i32.const 1) (i32.const 6) (i32.const 0) (i64.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (return (i32.const 0))))";
    let subject = bench.program(&handler3(&[refuse, ANSWER]), 0);
    let refused = subject.begin(subject.context()).await;
    let served = subject.begin(subject.context()).await;
    subject.open_door(1);
    assert!(matches!(failure(refused).await, Failure::NoResponse));
    // It takes no more, and goes when the other is done.
    let elsewhere = subject.begin(subject.context()).await;
    assert_eq!(subject.figure("instances", ""), 2);
    subject.open_door(2);
    assert_eq!(whole(served).await, 202);
    assert!(matches!(failure(elsewhere).await, Failure::NoResponse));
    subject.until_instances(0).await;
    assert_eq!(subject.figure("errors_total", ",reason=\"no_response\""), 2);
    assert_eq!(subject.figure("traps_total", ""), 0);
}

#[tokio::test]
async fn a_request_that_is_given_up_leaves_the_others_alone() {
    let bench = bench(2);
    let subject = bench.program(&handler3(&[ANSWER]), 0);
    let (held, mut released) = oneshot::channel::<()>();
    let given_up = subject.begin_holding(subject.context(), held).await;
    let served = subject.begin(subject.context()).await;
    given_up.abort();
    assert!(given_up.await.is_err());
    // Its guest works on and keeps its place; nobody else comes to the instance.
    assert_eq!(released.try_recv(), Ok(None));
    let elsewhere = subject.begin(subject.context()).await;
    assert_eq!(subject.figure("instances", ""), 2);
    subject.open_door(3);
    assert_eq!(whole(served).await, 202);
    assert_eq!(whole(elsewhere).await, 201);
    assert!(released.await.is_err());
    subject.until_instances(1).await;
    subject.open_door(1);
    assert_eq!(
        whole(subject.begin(subject.context()).await).await,
        202,
        "of the other one"
    );
}

#[tokio::test]
async fn a_response_that_is_given_up_leaves_the_others_alone() {
    let bench = bench(2);
    let subject = bench.program(&handler3(&[FIRST, STREAM_ON, "))", AGAIN]), 1);
    let given_up = subject.begin(subject.context()).await.await.unwrap().unwrap();
    subject.door.arrival().await;
    let served = subject.begin(subject.context()).await;
    drop(given_up);
    let elsewhere = subject.begin(subject.context()).await;
    assert_eq!(subject.figure("instances", ""), 2);
    subject.open_door(3);
    assert_eq!(served.await.unwrap().unwrap().status(), 202);
    assert_eq!(elsewhere.await.unwrap().unwrap().status(), 201);
}

#[tokio::test]
async fn one_that_is_over_its_time_is_answered_and_the_others_go_on() {
    let bench = bench(2);
    let subject = bench.program(&handler3(&[ANSWER]), 0);
    let context = ending(&subject, Duration::from_millis(20));
    let late = subject.begin(context.clone()).await;
    let served = subject.begin(subject.context()).await;
    assert!(matches!(failure(late).await, Failure::TimedOut(_)));
    assert_eq!(context.progress.fault(), Some(Fault::Guest));
    assert_eq!(subject.figure("errors_total", ",reason=\"timeout\""), 1);
    let elsewhere = subject.begin(subject.context()).await;
    assert_eq!(subject.figure("instances", ""), 2);
    subject.open_door(3);
    assert_eq!(whole(served).await, 202);
    assert_eq!(whole(elsewhere).await, 201);
    subject.until_instances(1).await;
}

#[tokio::test]
async fn one_that_computes_for_ever_holds_the_others_up_until_their_time_is_over() {
    let bench = bench(2);
    let subject = bench.program(&handler3(&[LOOP]), 0);
    let computes = subject.begin(ending(&subject, Duration::from_millis(20))).await;
    let waits = subject.begin(ending(&subject, Duration::from_millis(60))).await;
    subject.open_door(1);
    assert!(matches!(failure(computes).await, Failure::TimedOut(_)));
    assert!(matches!(failure(waits).await, Failure::TimedOut(_)));
    // It has nobody to work for.
    subject.until_instances(0).await;
}

#[tokio::test]
async fn all_end_when_the_revision_is_interrupted() {
    let bench = bench(2);
    let subject = bench.program(&handler3(&[ANSWER]), 0);
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(subject.begin(subject.context()).await);
    }
    subject.program.interrupt();
    for running in running {
        assert!(matches!(failure(running).await, Failure::Interrupted));
    }
    assert_eq!(subject.program.interrupted_count(), 3);
    assert_eq!(subject.figure("errors_total", ",reason=\"interrupted\""), 3);
    subject.until_instances(0).await;
    let late = subject.ask(subject.context(), ());
    assert!(matches!(failure(late).await, Failure::Interrupted));
}

#[tokio::test]
async fn requests_that_see_different_generations_do_not_meet() {
    let bench = bench(4);
    let subject = bench.program(&handler3(&[ANSWER]), 0);
    let other = || {
        let mut context = Arc::into_inner(subject.context()).unwrap();
        context.callees = Arc::new(Other);
        Arc::new(context)
    };
    let mut running = Vec::new();
    for context in [subject.context(), other(), subject.context(), other()] {
        running.push(subject.begin(context).await);
    }
    assert_eq!(subject.figure("instances", ""), 2);
    subject.open_door(4);
    let mut statuses = Vec::new();
    for running in running {
        statuses.push(whole(running).await);
    }
    assert_eq!(statuses, [201, 201, 202, 202]);
}

#[tokio::test]
async fn a_request_that_a_service_sent_on_never_joins_one_that_may_wait_for_it() {
    let bench = bench(4);
    let subject = bench.program(&handler3(&[ANSWER]), 0);
    let first = subject.context();
    let hop =
        |from: &Arc<RequestContext>| Arc::new(from.next_hop(service(), subject.program.limits()).unwrap());
    let (second, third) = (hop(&first), hop(&first));
    let mut running = Vec::new();
    for context in [first, second, third] {
        running.push(subject.begin(context).await);
    }
    assert_eq!(subject.figure("instances", ""), 3);
    // Who waits for nobody may join any of them.
    running.push(subject.begin(subject.context()).await);
    assert_eq!(subject.figure("instances", ""), 3);
    subject.open_door(4);
    for running in running {
        whole(running).await;
    }
}

#[tokio::test]
async fn what_goes_on_after_a_response_keeps_the_last_place_until_the_guest_is_at_rest() {
    let bench = bench(2);
    let subject = bench.program(&handler3(&[FIRST, ANSWER, "))", AGAIN]), 1);
    let (held, mut released) = oneshot::channel::<()>();
    assert_eq!(
        whole(subject.begin_holding(subject.context(), held).await).await,
        201
    );
    // It waits at the door again.
    subject.door.arrival().await;
    assert_eq!(released.try_recv(), Ok(None));
    // Others may come meanwhile, and then their places count.
    let (held, next) = oneshot::channel::<()>();
    let running = subject.begin_holding(subject.context(), held).await;
    assert!(released.await.is_err());
    subject.open_door(2);
    assert_eq!(whole(running).await, 202);
    subject.door.arrival().await;
    subject.open_door(1);
    assert!(next.await.is_err());
    assert_eq!(subject.figure("instances", ""), 1);
}

#[tokio::test]
async fn what_goes_on_too_long_after_the_last_response_ends() {
    let mut bench = bench(2);
    bench.limits.timeout = Duration::from_millis(50);
    let subject = bench.program(&handler3(&[FIRST, ANSWER, "))", AGAIN]), 1);
    let context = subject.context();
    assert_eq!(whole(subject.begin(context.clone()).await).await, 201);
    context.progress.settle(http::StatusCode::OK);
    subject.until_instances(0).await;
    assert_eq!(subject.figure("errors_total", ",reason=\"timeout\""), 1);
    assert_eq!(context.progress.fault(), Some(Fault::Guest));
}

/// A gate that remembers for whom calls came, and never lets one in.
#[derive(Default)]
struct Asked(Mutex<Vec<RequestId>>);

impl Gate for Asked {
    fn callee(&self) -> &ServiceName {
        unreachable!("no call comes so far that its callee is named")
    }

    fn enter(&self, caller: &Arc<RequestContext>, _: &str) -> Entering {
        self.0.lock().push(caller.id);
        Entering::Later(pending().boxed())
    }

    fn refused(&self, _: &CallError) {}
}

#[tokio::test]
async fn calls_are_made_for_the_request_that_makes_them() {
    let bench = bench(3);
    let gate = Arc::new(Asked::default());
    let text = handler3(&[ANSWER]);
    let compiled = bench
        .engines
        .load(&wat::parse_str(text).unwrap(), &|| {})
        .unwrap();
    let foreign = Foreign {
        interface: InterfaceName::parse(DOOR).unwrap(),
        target: Target::Service(gate.clone()),
    };
    let subject = bench.linked(&compiled, vec![foreign], Door::new(0));
    let contexts = [subject.context(), subject.context(), subject.context()];
    let mut running = Vec::new();
    for (at, context) in contexts.iter().enumerate() {
        running.push(subject.ask(context.clone(), ()));
        eventually(|| gate.0.lock().len() > at).await;
    }
    assert_eq!(subject.figure("instances", ""), 1);
    assert_eq!(*gate.0.lock(), contexts.map(|context| context.id));
    subject.program.interrupt();
    for running in running {
        assert!(matches!(failure(running).await, Failure::Interrupted));
    }
}

#[tokio::test]
async fn what_cannot_come_up_is_told_to_all_who_wait_for_it() {
    let mut bench = bench(2);
    bench.limits.instance_memory = 1;
    let subject = bench.program(&handler3(&[ANSWER]), 0);
    let running = [
        subject.ask(subject.context(), ()),
        subject.ask(subject.context(), ()),
    ];
    for running in running {
        assert!(matches!(failure(running).await, Failure::NotInstantiated));
    }
    assert_eq!(subject.figure("errors_total", ",reason=\"trap\""), 2);
}
