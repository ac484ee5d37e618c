//! Calls of the functions that a service exports, and the clock that it is told the time by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use midplane::testing::value::{self, Value};
use midplane::testing::{Clock, Error, Service};

use crate::harness::{eventually, fixture};

async fn callee(name: &str) -> Service {
    Service::builder(fixture(name)).start().await.expect("it starts")
}

fn attachment(name: &str) -> Value {
    value::record([
        ("kept", value::some(value::int(9))),
        ("name", value::string(name)),
        ("content", value::bytes(b"bytes")),
    ])
}

#[tokio::test]
async fn an_exported_function_takes_and_gives_values() {
    for (component, interface) in [
        ("link-callee-p2", "link:values/plain@1.0.0"),
        ("link-callee-p3", "link:values/plain@1.0.0"),
        ("link-callee-p3", "link:values/waiting@1.0.0"),
    ] {
        let service = callee(component).await;
        let records = service
            .call(interface, "of-attachments", vec![value::list([attachment("a")])])
            .await
            .expect("it answers")
            .expect("it has a result");
        let first = value::elements(&records).and_then(|records| records.first());
        let name = first.and_then(|record| value::field(record, "name"));
        assert!(name.and_then(value::text).is_some(), "{records:?}");
        // What it gives is something else than what it got.
        assert_ne!(first, Some(&attachment("a")), "{component} {interface}");
        let refused = service
            .call(interface, "of-error", vec![value::case("not-found")])
            .await
            .expect("an error is an answer")
            .expect("it has a result");
        assert!(
            matches!(value::outcome(&refused), Some(Err(Some(_)))),
            "{refused:?}"
        );
        let nothing = service
            .call(interface, "nothing", vec![])
            .await
            .expect("it answers");
        assert_eq!(nothing, None);
    }
}

#[tokio::test]
async fn a_call_of_what_is_not_there_says_what_is() {
    let service = callee("link-callee-p2").await;
    let plain = "link:values/plain@1.0.0";
    let calls = [
        (
            "link:values/waiting@1.0.0",
            "of-bool",
            vec![],
            "it exports `link:values/plain@1.0.0` (",
        ),
        (
            "link:values/plain@1.1.0",
            "of-bool",
            vec![],
            "does not export `of-bool` of `link:values/plain@1.1.0`",
        ),
        (plain, "of-everything", vec![], "does not export `of-everything`"),
        (plain, "of-bool", vec![], "takes 1 arguments, not 0"),
        (
            plain,
            "of-u8",
            vec![value::int(256)],
            "the argument `value` of `of-u8` of `link:values/plain@1.0.0` is wrong\ncaused by: it is U64(256), not u8",
        ),
    ];
    for (interface, function, arguments, says) in calls {
        let failed = service
            .call(interface, function, arguments)
            .await
            .expect_err(says);
        assert!(format!("{failed:?}").contains(says), "{failed:?}");
    }
    let request = service.request(super::get("/")).await;
    assert!(matches!(request, Err(Error::NoHandler { .. })), "{request:?}");
}

#[tokio::test]
async fn a_callee_that_fails_says_how() {
    for (component, interface) in [
        ("link-fault-callee-p2", "link:fault/plain@1.0.0"),
        ("link-fault-callee", "link:fault/waiting@1.0.0"),
    ] {
        let service = callee(component).await;
        let call = |behaviour: &str| {
            let arguments = vec![value::string(behaviour), value::int(3)];
            service.call(interface, "with-error", arguments)
        };
        let failed = call("panic").await.expect_err("it panics");
        let shown = format!("{failed:?}");
        assert!(matches!(failed, Error::Call { .. }), "{shown}");
        assert!(
            shown.contains("the callee panics") && shown.contains("caused by: it trapped"),
            "{shown}"
        );
        let own = call("fail")
            .await
            .expect("an error is an answer")
            .expect("it has a result");
        assert!(matches!(value::outcome(&own), Some(Err(Some(_)))), "{own:?}");
        let well = call("answer").await.expect("it answers");
        assert_eq!(well, Some(value::ok(value::string("answer 3"))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_passes_for_a_guest_only_when_its_clock_is_moved() {
    for (component, interface) in [
        ("link-fault-callee-p2", "link:fault/plain@1.0.0"),
        ("link-fault-callee", "link:fault/waiting@1.0.0"),
    ] {
        let clock = Clock::at_unix(1_800_000_000);
        let builder = Service::builder(fixture(component)).clock(clock.clone());
        let service = Arc::new(builder.start().await.expect("it starts"));
        // It looks at the time until an hour is over.
        let hour = Duration::from_secs(3600);
        let working = service.clone();
        let working = tokio::spawn(async move {
            let arguments = vec![value::string("work"), value::int(3_600_000)];
            working.call(interface, "without", arguments).await
        });
        eventually("the guest to begin", || async {
            service.logs().iter().any(|line| line.text == "began work")
        })
        .await;
        clock.advance(hour - Duration::from_millis(1));
        assert!(!working.is_finished());
        clock.advance(Duration::from_millis(1));
        let worked = working.await.expect("no task panics").expect("it answers");
        assert_eq!(worked, Some(value::string("worked for 3600000 ms")));
    }
}

#[tokio::test]
async fn a_guest_that_sleeps_does_so_in_real_time() {
    for (component, interface) in [
        ("link-fault-callee-p2", "link:fault/plain@1.0.0"),
        ("link-fault-callee", "link:fault/waiting@1.0.0"),
    ] {
        let builder = Service::builder(fixture(component)).clock(Clock::at_unix(0));
        let service = builder.start().await.expect("it starts");
        // The clock stands still, and the guest wakes up all the same.
        let arguments = vec![value::string("late"), value::int(10)];
        let begun = Instant::now();
        let late = service
            .call(interface, "without", arguments)
            .await
            .expect("it answers");
        assert_eq!(late, Some(value::string("late by 10 ms")));
        assert!(begun.elapsed() >= Duration::from_millis(10));
    }
}
