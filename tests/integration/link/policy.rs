//! What holds on every call: deadlines that travel, bounds of depth and of calls at once, cycles that end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::outcome::PAIRS;
use super::{calls, calls_in_flight, failures, links_with, of_service};
use crate::harness::{Builder, TestHost, eventually};

/// The members of a ring, and the interface that leads from each to the next.
const RINGS: [(&str, &str); 2] = [
    ("link-ring", "link:ring/step@1.0.0"),
    ("link-ring-p2", "link:ring/plain-step@1.0.0"),
];

/// Services that each link to the next, the last to the first, each with a policy. Entered at the first.
fn ring((fixture, interface): (&str, &str), members: &[(&str, &str)]) -> Builder {
    let mut builder = TestHost::builder();
    for (at, (name, policy)) in members.iter().enumerate() {
        let (next, _) = members[(at + 1) % members.len()];
        builder = builder
            .service(name, fixture)
            .tables(&links_with(name, &[interface], next, policy));
    }
    builder.route("/...", members[0].0)
}

/// A caller of the fault contracts whose links have a policy.
fn pair((contract, caller, callee): (&str, &str, &str), policy: &str) -> Builder {
    let both = ["link:fault/plain@1.0.0", "link:fault/waiting@1.0.0"];
    let imported = if caller.ends_with("p2") {
        &both[..1]
    } else {
        &both[..]
    };
    assert!(imported.iter().any(|interface| interface.contains(contract)));
    TestHost::builder()
        .service("callee", callee)
        .service("caller", caller)
        .tables(&links_with("caller", imported, "callee", policy))
        .route("/...", "caller")
}

/// The deepest is given up first, by the time that the first caller has, and the log names the whole chain. Whether
/// those before it have the time to say so is a matter of milliseconds.
async fn check_deadline(members: &[(&str, &str)], path: &str, deepest: &str, chain: &str) {
    for kind in RINGS {
        let host = ring(kind, members).start().await;
        let begun = Instant::now();
        let answer = host.get(path).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(250), "{kind:?}: {took:?}");
        assert!(took < Duration::from_secs(8), "{kind:?}: {took:?}");
        assert!(
            answer.text().starts_with("err calling `") && answer.text().contains("it gave no answer within"),
            "{kind:?}: {answer:?}"
        );
        for (name, _) in members {
            assert_eq!(of_service(&host, "midplane_requests_in_flight", name).await, 0.0);
        }
        let lines = host.stop().await;
        let first = lines
            .iter()
            .find(|line| line.field("target") == "midplane::failure")
            .expect("the callee that hung is logged");
        assert_eq!(first.field("service"), deepest, "{kind:?}: {}", first.text());
        assert_eq!(first.field("kind"), "timeout", "{kind:?}: {}", first.text());
        assert_eq!(first.field("chain"), chain, "{kind:?}: {}", first.text());
    }
}

#[tokio::test]
async fn a_deadline_goes_along_the_chain() {
    let members = [
        ("a", "timeout = \"300ms\""),
        ("b", "timeout = \"10s\""),
        ("c", ""),
    ];
    check_deadline(&members, "/1/60000", "c", "a → b → c").await;
}

#[tokio::test]
async fn a_callee_may_have_less_time_than_its_caller_has() {
    let members = [
        ("a", "timeout = \"10s\""),
        ("b", "timeout = \"300ms\""),
        ("c", ""),
    ];
    for kind in RINGS {
        let host = ring(kind, &members).start().await;
        let answer = host.get("/1/60000").await;
        // The others have time enough to hand on what went wrong.
        assert!(
            answer
                .text()
                .contains("` of `c` failed: it gave no answer within ")
                && answer.text().ends_with("ms (a → b → c)\n"),
            "{kind:?}: {answer:?}"
        );
        assert_eq!(calls(&host, "b", "c", "timeout").await, 1.0);
        assert_eq!(calls(&host, "a", "b", "answered").await, 1.0);
        let lines = host.stop().await;
        for (service, failed) in [("a", 0), ("b", 0), ("c", 1)] {
            assert_eq!(failures(&lines, service).len(), failed, "{kind:?}: {service}");
        }
    }
}

#[tokio::test]
async fn a_cycle_that_waits_is_ended_at_its_deepest() {
    let members = [("a", "timeout = \"300ms\""), ("b", "")];
    check_deadline(&members, "/3/60000", "a", "a → b → a → b → a").await;
}

#[tokio::test]
async fn a_cycle_that_waits_for_its_own_place_ends_with_the_chain_in_the_error() {
    let members = [("a", "concurrency = 1"), ("b", "concurrency = 1")];
    for kind in RINGS {
        let host = ring(kind, &members).start().await;
        let answer = host.get("/9/0").await;
        let interface = kind.1;
        assert_eq!(
            answer.text(),
            format!(
                "err calling `{interface}.step` of `b` failed: it is overloaded: no place became free within 1s \
                 (a → b → a → b)\n"
            ),
            "{kind:?}"
        );
        assert_eq!(calls(&host, "a", "b", "overload").await, 1.0);
        assert_eq!(calls(&host, "a", "b", "answered").await, 1.0);
        assert_eq!(calls(&host, "b", "a", "answered").await, 1.0);
        assert_eq!(calls_in_flight(&host, "a", "b").await, 0.0);
        // The places are free again.
        assert_eq!(host.get("/1/0").await.text(), "ok 1\n", "{kind:?}");
    }
}

#[tokio::test]
async fn sixteen_services_are_the_longest_chain_and_each_re_entry_has_an_instance_of_its_own() {
    for kind in RINGS {
        let host = ring(kind, &[("a", ""), ("b", "")]).start().await;
        assert_eq!(host.get("/14/0").await.text(), "ok 14\n", "{kind:?}");
        for service in ["a", "b"] {
            let label = format!("service={service:?}");
            let fresh = host
                .metric("midplane_instantiations_total", &[&label, "kind=\"fresh\""])
                .await;
            // One of WASI 0.3 waits from the start on, since it can be reused.
            let waiting = if kind == RINGS[0] { 1.0 } else { 0.0 };
            assert_eq!(fresh, Some(8.0 - waiting), "{kind:?}: {service}");
        }
        let answer = host.get("/15/0").await;
        let chain = ["a → b"; 8].join(" → ");
        assert_eq!(
            answer.text(),
            format!(
                "err calling `{}.step` of `a` failed: the request has passed through 16 services already, and `call_depth` of `a` is 16 ({chain} → a)\n",
                kind.1
            ),
            "{kind:?}"
        );
        assert_eq!(calls(&host, "b", "a", "too_deep").await, 1.0, "{kind:?}");
        assert_eq!(host.get("/14/0").await.text(), "ok 14\n", "{kind:?}");
    }
}

#[tokio::test]
async fn calls_over_a_link_of_one_place_come_one_after_another() {
    for kind in PAIRS {
        let host = Arc::new(pair(kind, "concurrency = 1").start().await);
        let begun = Instant::now();
        let mut requests = JoinSet::new();
        for _ in 0..10 {
            let (host, contract) = (host.clone(), kind.0);
            requests.spawn(async move { host.get(&format!("/{contract}/with-text/late/20")).await.text() });
        }
        assert_eq!(requests.join_all().await, vec!["ok\n"; 10], "{kind:?}");
        assert!(begun.elapsed() >= Duration::from_millis(200), "{kind:?}");
        assert_eq!(calls(&host, "caller", "callee", "answered").await, 10.0);
        assert_eq!(calls_in_flight(&host, "caller", "callee").await, 0.0);
    }
}

#[tokio::test]
async fn a_link_without_a_bound_of_its_own_lets_calls_run_beside_each_other() {
    for kind in PAIRS {
        let host = Arc::new(pair(kind, "").start().await);
        let mut requests = JoinSet::new();
        for _ in 0..4 {
            let (host, contract) = (host.clone(), kind.0);
            requests.spawn(async move {
                host.get(&format!("/{contract}/with-text/late/20000"))
                    .await
                    .text()
            });
        }
        eventually("four calls at once", async || {
            of_service(&host, "midplane_instances", "callee").await == 4.0
        })
        .await;
        assert_eq!(calls_in_flight(&host, "caller", "callee").await, 4.0);
        requests.abort_all();
    }
}

#[tokio::test]
async fn who_waits_in_vain_for_a_place_reads_that_the_callee_is_overloaded() {
    for kind in PAIRS {
        let (contract, ..) = kind;
        let host = Arc::new(pair(kind, "concurrency = 1").start().await);
        let hangs = {
            let host = host.clone();
            tokio::spawn(async move { host.get(&format!("/{contract}/with-error/late/60000")).await })
        };
        host.wait_for_log("the call that hangs", |line| line.message() == "began late")
            .await;
        let get = async |function: &str| host.get(&format!("/{contract}/{function}/answer")).await;
        let begun = Instant::now();
        let (variant, text, kinds, code) = tokio::join!(
            get("with-error"),
            get("with-text"),
            get("with-kind"),
            get("with-code")
        );
        assert!(begun.elapsed() >= Duration::from_secs(1), "{kind:?}");
        assert_eq!(variant.text(), "err overloaded\n", "{kind:?}");
        assert_eq!(kinds.text(), "err overloaded\n", "{kind:?}");
        assert_eq!(
            text.text(),
            format!(
                "err calling `link:fault/{contract}@1.0.0.with-text` of `callee` failed: it is overloaded: no place became \
                 free within 1s (caller → callee)\n"
            ),
            "{kind:?}"
        );
        assert_eq!(code.status, 500, "{kind:?}");
        assert!(!hangs.is_finished(), "{kind:?}");
        assert_eq!(calls(&host, "caller", "callee", "overload").await, 4.0);
        assert_eq!(calls_in_flight(&host, "caller", "callee").await, 1.0);

        hangs.abort();
        eventually("the place to be free", async || {
            calls(&host, "caller", "callee", "cancelled").await == 1.0
        })
        .await;
        assert_eq!(get("with-error").await.text(), "ok answer 0\n", "{kind:?}");
        let host = Arc::into_inner(host).expect("nobody else has the host");
        // The callee did nothing wrong.
        assert_eq!(failures(&host.stop().await, "callee").len(), 0, "{kind:?}");
    }
}

/// Asks for more calls at once than may run and wait, and counts the outcomes.
async fn check_queue(policy: &str, running: usize) {
    const QUEUE: usize = 256;
    const BEYOND: usize = 10;
    let host = pair(PAIRS[3], &format!("timeout = \"3s\"{policy}")).start().await;
    let parallel = running + QUEUE + BEYOND;
    let answer = host
        .get(&format!("/waiting/with-text/late/60000?parallel={parallel}"))
        .await
        .text();
    let count = |what: &str| answer.lines().filter(|line| line.contains(what)).count();
    assert_eq!(answer.lines().count(), parallel);
    assert_eq!(
        count("it is overloaded: 256 are waiting already"),
        BEYOND,
        "{answer}"
    );
    assert_eq!(
        count("it is overloaded: no place became free within 1s"),
        QUEUE,
        "{answer}"
    );
    assert_eq!(count("it gave no answer within"), running, "{answer}");
    assert_eq!(
        calls(&host, "caller", "callee", "overload").await,
        (QUEUE + BEYOND) as f64
    );
    assert_eq!(calls(&host, "caller", "callee", "timeout").await, running as f64);
    assert_eq!(calls_in_flight(&host, "caller", "callee").await, 0.0);
    assert_eq!(of_service(&host, "midplane_instances", "callee").await, 0.0);
    assert_eq!(
        of_service(&host, "midplane_requests_in_flight", "callee").await,
        0.0
    );
}

#[tokio::test]
async fn no_more_calls_wait_for_a_link_than_its_queue_has_room_for() {
    check_queue(", concurrency = 1", 1).await;
}

#[tokio::test]
async fn no_more_calls_run_and_wait_at_a_callee_than_it_has_room_for() {
    check_queue("", 64).await;
}
