//! How many requests and calls an instance serves. The guests tell by the status how many requests theirs has got.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;

use super::guest::{ANSWER, COUNT, callee, handler, handler3};
use super::*;

impl Subject {
    /// The statuses of so many requests, one after another, each taken to its end.
    async fn statuses(&self, requests: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..requests {
            let response = self.request(self.context(), Drive::Inline, ()).await.unwrap();
            statuses.push(response.status().as_u16());
            response.into_body().collect().await.unwrap();
        }
        statuses
    }
}

/// Both kinds of handlers; none waits.
fn handlers() -> [(&'static str, String); 2] {
    [("p2", handler(&[COUNT])), ("p3", handler3(&[ANSWER]))]
}

const PASSES: usize = 1_000;

#[tokio::test]
async fn without_a_policy_instances_of_wasi_0_3_are_reused_and_those_of_0_2_are_fresh() {
    let bench = Bench::in_one_task();
    let [(_, p2), (_, p3)] = handlers();
    assert_eq!(bench.program(&p2, PASSES).statuses(3).await, [201, 201, 201]);
    assert_eq!(bench.program(&p3, PASSES).statuses(3).await, [201, 202, 203]);
}

#[tokio::test]
async fn what_the_policy_says_holds_for_handlers_of_both_versions() {
    let mut bench = Bench::in_one_task();
    for (version, text) in handlers() {
        bench.instances.policy = Some(InstancePolicy::Fresh);
        assert_eq!(
            bench.program(&text, PASSES).statuses(3).await,
            [201, 201, 201],
            "{version}"
        );
        bench.instances.policy = Some(InstancePolicy::Reuse);
        assert_eq!(
            bench.program(&text, PASSES).statuses(3).await,
            [201, 202, 203],
            "{version}"
        );
    }
}

#[tokio::test]
async fn an_instance_goes_after_its_last_request() {
    let mut bench = Bench::in_one_task();
    bench.instances.policy = Some(InstancePolicy::Reuse);
    for max in [1_u16, 2, 3] {
        bench.instances.max_requests = NonZeroU32::MIN.saturating_add(u32::from(max) - 1);
        for (version, text) in handlers() {
            let expected: Vec<u16> = (0..6).map(|request| 201 + request % max).collect();
            let subject = bench.program(&text, PASSES);
            assert_eq!(subject.statuses(6).await, expected, "{version} {max}");
        }
    }
}

#[tokio::test]
async fn an_instance_that_waited_for_its_idle_time_goes() {
    let mut bench = Bench::in_one_task();
    bench.instances.policy = Some(InstancePolicy::Reuse);
    for (version, text) in handlers() {
        bench.instances.idle = Duration::from_secs(60);
        let subject = bench.program(&text, PASSES);
        let before = Instant::now();
        assert_eq!(subject.statuses(1).await, [201], "{version}");
        assert_eq!(subject.figure("instances", ""), 1);
        bench.engines.drop_idle(before + Duration::from_secs(59));
        assert_eq!(subject.figure("instances", ""), 1, "{version}: not yet");
        bench.engines.drop_idle(Instant::now() + Duration::from_secs(60));
        assert_eq!(subject.figure("instances", ""), 0, "{version}");
        // One that nobody has looked for yet is not used any more all the same.
        bench.instances.idle = Duration::ZERO;
        let subject = bench.program(&text, PASSES);
        assert_eq!(subject.statuses(2).await, [201, 201], "{version}");
    }
}

#[tokio::test]
async fn calls_are_reused_unless_the_manifest_says_otherwise() {
    let mut bench = Bench::in_one_task();
    let instantiated = async |bench: &Bench, is_async: bool| {
        let kind = if is_async { "async" } else { "" };
        let subject = bench.program(&callee(kind, &[]), 0);
        for _ in 0..4 {
            assert_eq!(subject.call(is_async).await, Ok(Some(Value::U32(7))));
        }
        subject.figure("instantiations_total", ",kind=\"fresh\"")
    };
    for is_async in [false, true] {
        bench.instances = Instances::default();
        assert_eq!(instantiated(&bench, is_async).await, 1);
        bench.instances.max_requests = NonZeroU32::MIN.saturating_add(1);
        assert_eq!(instantiated(&bench, is_async).await, 2);
        bench.instances.policy = Some(InstancePolicy::Fresh);
        assert_eq!(instantiated(&bench, is_async).await, 4);
        bench.instances = Instances {
            idle: Duration::ZERO,
            ..Instances::default()
        };
        assert_eq!(instantiated(&bench, is_async).await, 4);
    }
}

#[test]
fn several_at_once_are_refused_where_they_cannot_be() {
    let bench = Bench::new(1);
    let code = |text: &str| {
        let compiled = bench
            .engines
            .load(&wat::parse_str(text).unwrap(), &|| {})
            .unwrap();
        bench
            .engines
            .link(&compiled, bench.foreign(&compiled, &Door::new(0)))
            .unwrap()
    };
    let [(_, p2), (_, p3)] = handlers();
    let (p2, p3, callee) = (code(&p2), code(&p3), code(&callee("", &[])));
    let asked = |concurrency: u32, policy| Instances {
        concurrency: NonZeroU32::new(concurrency).unwrap(),
        policy,
        ..Instances::default()
    };
    for one in [None, Some(InstancePolicy::Fresh), Some(InstancePolicy::Reuse)] {
        for code in [&p2, &p3, &callee] {
            assert_eq!(check_instances(code, &asked(1, one)), Ok(()));
        }
    }
    for policy in [None, Some(InstancePolicy::Reuse)] {
        assert_eq!(check_instances(&p3, &asked(4, policy)), Ok(()));
        let refused = check_instances(&p2, &asked(4, policy));
        assert_eq!(refused, Err(InstancesError::OneAtOnce { asked: 4 }));
    }
    let refused = check_instances(&p3, &asked(4, Some(InstancePolicy::Fresh)));
    assert_eq!(refused, Err(InstancesError::Fresh { asked: 4 }));
    assert_eq!(check_instances(&callee, &asked(4, None)), Ok(()));
}
