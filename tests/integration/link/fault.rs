//! A callee that fails: what its caller reads, what is logged and counted, and that nobody else is hurt.

use std::time::{Duration, Instant};

use super::outcome::PAIRS;
use super::{calls, calls_in_flight, failures, links_with, of_service};
use crate::harness::{Builder, TestHost};

/// What a function's result can say of a call that failed.
#[derive(Clone, Copy)]
enum Carried {
    /// The case of a variant, and a text with the case for everything.
    Variant,
    /// The case of an enum.
    Enum,
    /// A text.
    Text,
    /// Nothing: the caller traps.
    Nothing,
}

/// The functions of the contract.
const FUNCTIONS: [(&str, Carried); 6] = [
    ("with-error", Carried::Variant),
    ("with-bare-error", Carried::Variant),
    ("with-kind", Carried::Enum),
    ("with-text", Carried::Text),
    ("with-code", Carried::Nothing),
    ("without", Carried::Nothing),
];

/// What a callee can do that ends its instance: the kind in the log, and a part of the message.
const FAULTS: [(&str, &str, &str); 4] = [
    ("trap", "trap", "unreachable"),
    ("panic", "panic", "the callee panics"),
    ("exit", "exit", "ended itself"),
    ("allocate", "memory", "134217728 bytes of memory"),
];

/// What a callee can do that takes longer than any limit.
const ENDLESS: [&str; 3] = ["late/60000", "spin", "work/60000"];

fn app((contract, caller, callee): (&str, &str, &str), policy: &str) -> Builder {
    let interface = format!("link:fault/{contract}@1.0.0");
    let other = match contract {
        "plain" => "link:fault/waiting@1.0.0",
        _ => "link:fault/plain@1.0.0",
    };
    let both = [interface.as_str(), other];
    let imported = if caller.ends_with("p2") {
        &both[..1]
    } else {
        &both[..]
    };
    TestHost::builder()
        .service("callee", callee)
        .service("caller", caller)
        .tables(&links_with("caller", imported, "callee", policy))
        .route("/...", "caller")
}

/// The text of a failed call up to what is said of the callee.
fn calling(contract: &str, function: &str) -> String {
    format!("calling `link:fault/{contract}@1.0.0.{function}` of `callee` failed: ")
}

#[tokio::test]
async fn what_ends_the_callee_is_told_as_the_result_of_each_function_can() {
    for pair in PAIRS {
        let (contract, ..) = pair;
        let host = app(pair, "").start().await;
        let mut wanted = Vec::new();
        let mut trapped_callers = Vec::new();
        for (behaviour, kind, said) in FAULTS {
            for (function, carried) in FUNCTIONS {
                let answer = host.get(&format!("/{contract}/{function}/{behaviour}")).await;
                wanted.push((kind, said));
                let text = calling(contract, function) + "it trapped (caller → callee)";
                let told = match carried {
                    Carried::Variant => format!("err unavailable: {text}\n"),
                    Carried::Enum => "err unavailable\n".to_owned(),
                    Carried::Text => format!("err {text}\n"),
                    Carried::Nothing => {
                        assert_eq!(answer.status, 500, "{pair:?} {function} {behaviour}: {answer:?}");
                        assert!(!answer.text().contains("callee"), "{answer:?}");
                        trapped_callers.push(text);
                        String::new()
                    }
                };
                if !told.is_empty() {
                    assert_eq!(answer.text(), told, "{pair:?} {function} {behaviour}");
                }
                // Whoever comes next meets a new instance.
                let next = host.get(&format!("/{contract}/without/count")).await;
                assert_eq!(next.text(), "ok call 1\n", "{pair:?} {function} {behaviour}");
            }
        }
        let count = wanted.len() as f64;
        assert_eq!(calls(&host, "caller", "callee", "trap").await, count, "{pair:?}");
        assert_eq!(
            calls(&host, "caller", "callee", "answered").await,
            count,
            "{pair:?}"
        );
        assert_eq!(calls_in_flight(&host, "caller", "callee").await, 0.0, "{pair:?}");
        assert_eq!(of_service(&host, "midplane_traps_total", "callee").await, count);
        assert_eq!(
            of_service(&host, "midplane_traps_total", "caller").await,
            trapped_callers.len() as f64
        );
        for service in ["caller", "callee"] {
            assert_eq!(
                of_service(&host, "midplane_requests_in_flight", service).await,
                0.0
            );
        }
        assert_eq!(
            of_service(&host, "midplane_instances", "callee").await,
            1.0,
            "{pair:?}"
        );

        let lines = host.stop().await;
        let logged = failures(&lines, "callee");
        assert_eq!(
            logged.len(),
            wanted.len(),
            "{pair:?}: each is logged once: {logged:?}"
        );
        let mut requests: Vec<_> = logged.iter().map(|line| line.field("request_id")).collect();
        for (line, (kind, said)) in logged.iter().zip(&wanted) {
            assert_eq!(line.field("kind"), *kind, "{}", line.text());
            assert!(line.message().contains(said), "no {said:?} in {}", line.text());
            assert_eq!(line.field("chain"), "caller → callee", "{}", line.text());
        }
        let callers = failures(&lines, "caller");
        assert_eq!(callers.len(), trapped_callers.len(), "{pair:?}: {callers:?}");
        for (line, text) in callers.iter().zip(&trapped_callers) {
            assert!(line.message().contains(text), "no {text:?} in {}", line.text());
            assert!(requests.contains(&line.field("request_id")), "{}", line.text());
        }
        requests.sort();
        requests.dedup();
        assert_eq!(
            requests.len(),
            wanted.len(),
            "{pair:?}: one request each: {requests:?}"
        );
    }
}

#[tokio::test]
async fn a_callee_that_takes_too_long_is_given_up_when_the_link_says() {
    for pair in PAIRS {
        let (contract, ..) = pair;
        let host = app(pair, "timeout = \"200ms\"").start().await;
        let mut given_up = 0;
        let mut trapped_callers = 0;
        for behaviour in ENDLESS {
            for (function, carried) in FUNCTIONS {
                let begun = Instant::now();
                let answer = host.get(&format!("/{contract}/{function}/{behaviour}")).await;
                let took = begun.elapsed();
                given_up += 1;
                assert!(
                    took >= Duration::from_millis(200),
                    "{pair:?} {behaviour}: {took:?}"
                );
                // The callee's own limit is 30 seconds.
                assert!(took < Duration::from_secs(15), "{pair:?} {behaviour}: {took:?}");
                let text = calling(contract, function) + "it gave no answer within ";
                match carried {
                    Carried::Variant | Carried::Enum => assert_eq!(answer.text(), "err timeout\n"),
                    Carried::Text => {
                        let limit = answer.text();
                        let limit = limit
                            .strip_prefix(&format!("err {text}"))
                            .and_then(|rest| rest.strip_suffix("ms (caller → callee)\n"));
                        let limit = limit.and_then(|limit| limit.parse::<u32>().ok());
                        assert!(
                            limit.is_some_and(|limit| (150..=200).contains(&limit)),
                            "{}",
                            answer.text()
                        );
                    }
                    Carried::Nothing => {
                        assert_eq!(answer.status, 500, "{pair:?} {function} {behaviour}: {answer:?}");
                        trapped_callers += 1;
                    }
                }
                let next = host.get(&format!("/{contract}/without/count")).await;
                assert_eq!(next.text(), "ok call 1\n", "{pair:?} {function} {behaviour}");
            }
        }
        assert_eq!(
            calls(&host, "caller", "callee", "timeout").await,
            f64::from(given_up)
        );
        assert_eq!(calls_in_flight(&host, "caller", "callee").await, 0.0);
        assert_eq!(
            of_service(&host, "midplane_requests_in_flight", "callee").await,
            0.0
        );
        assert_eq!(of_service(&host, "midplane_instances", "callee").await, 1.0);
        assert_eq!(of_service(&host, "midplane_traps_total", "callee").await, 0.0);
        let timed_out = ["service=\"callee\"", "reason=\"timeout\""];
        assert_eq!(
            host.metric("midplane_errors_total", &timed_out).await,
            Some(given_up.into())
        );

        let lines = host.stop().await;
        let logged = failures(&lines, "callee");
        assert_eq!(logged.len(), given_up as usize, "{pair:?}: each is logged once");
        for line in logged {
            assert_eq!(line.field("kind"), "timeout", "{}", line.text());
            assert_eq!(line.field("chain"), "caller → callee", "{}", line.text());
            assert!(!line.field("request_id").is_empty(), "{}", line.text());
        }
        assert_eq!(failures(&lines, "caller").len(), trapped_callers, "{pair:?}");
    }
}

#[tokio::test]
async fn a_callee_that_fails_takes_no_other_call_with_it() {
    for pair in PAIRS {
        let (contract, ..) = pair;
        let host = app(pair, "").start().await;
        let late = format!("/{contract}/with-error/late/1000");
        let (slow, ()) = tokio::join!(host.get(&late), async {
            host.wait_for_log("the slow call", |line| line.message() == "began late")
                .await;
            for (behaviour, ..) in FAULTS {
                let answer = host.get(&format!("/{contract}/with-kind/{behaviour}")).await;
                assert_eq!(answer.text(), "err unavailable\n", "{pair:?} {behaviour}");
            }
        });
        assert_eq!(slow.text(), "ok late by 1000 ms\n", "{pair:?}");
    }
}

/// What a callee does with a call, the time that its link gives it, and what its caller reads. Only what shall run out of
/// time has little of it: a trap takes as long as its backtrace does.
const READABLE: [(&str, &str, &str, &str); 2] = [
    ("trap", "", "err unavailable\n", "trap"),
    ("spin", "timeout = \"100ms\"", "err timeout\n", "timeout"),
];

/// A caller that keeps its own time after a failure of the callee can do something else with it.
#[tokio::test]
async fn a_caller_that_can_read_the_failure_goes_on() {
    for pair in PAIRS {
        let (contract, ..) = pair;
        for (behaviour, policy, wanted, _) in READABLE {
            let host = app(pair, policy).start().await;
            let answer = host
                .get(&format!("/{contract}/with-kind/{behaviour}?times=3"))
                .await;
            assert_eq!(answer.text(), wanted.repeat(3), "{pair:?} {behaviour}");
            assert_eq!(failures(&host.stop().await, "caller").len(), 0, "{pair:?}");
        }
    }
}

#[tokio::test]
async fn a_failure_among_calls_side_by_side_is_one_calls_own() {
    for (behaviour, policy, wanted, outcome) in READABLE {
        let host = app(PAIRS[3], policy).start().await;
        let answer = host
            .get(&format!("/waiting/with-kind/{behaviour}?parallel=4"))
            .await;
        assert_eq!(answer.text(), wanted.repeat(4), "{behaviour}");
        assert_eq!(calls(&host, "caller", "callee", outcome).await, 4.0);
        assert_eq!(of_service(&host, "midplane_instances", "callee").await, 0.0);
        assert_eq!(calls_in_flight(&host, "caller", "callee").await, 0.0);
    }
}

/// Lists in a variant's result pass value by value, which is bounded.
#[tokio::test]
async fn a_value_that_is_too_large_to_pass_is_told_as_such() {
    for pair in PAIRS {
        let (contract, ..) = pair;
        let host = app(pair, "").start().await;
        let answer = host.get(&format!("/{contract}/large/8000000")).await;
        let text = calling(contract, "large") + "a value is too large to pass";
        assert!(
            answer.text().starts_with(&format!("err unavailable: {text}")),
            "{pair:?}: {answer:?}"
        );
        assert_eq!(calls(&host, "caller", "callee", "refused").await, 1.0, "{pair:?}");
        assert_eq!(calls_in_flight(&host, "caller", "callee").await, 0.0, "{pair:?}");
        let next = host.get(&format!("/{contract}/large/1000")).await;
        assert_eq!(next.text(), "ok 1000 bytes\n", "{pair:?}");
    }
}
