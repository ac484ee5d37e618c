//! What answers in place of other services.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use midplane::testing::{Answer, Builder, Error, Service, StubFault, value};

use super::{get, text};
use crate::harness::fixture;

const PLAIN: &str = "link:fault/plain@1.0.0";
const WAITING: &str = "link:fault/waiting@1.0.0";

fn caller() -> Builder {
    Service::builder(fixture("link-fault-caller")).name("caller")
}

/// What the guest says came of a call.
async fn said(service: &Service, path: &str) -> String {
    let response = service.request(get(path)).await.expect("it answers");
    text(&response).trim().to_owned()
}

#[tokio::test]
async fn a_stub_answers_in_place_of_a_service() {
    let service = caller()
        .unavailable(PLAIN)
        .stub(WAITING, "with-error", |arguments| async move {
            tokio::task::yield_now().await;
            let behaviour = arguments.first().and_then(value::text).unwrap_or_default();
            match behaviour {
                "late" => value::err(value::case("timeout")),
                other => value::ok(value::string(format!("did {other}"))),
            }
        })
        .start()
        .await
        .expect("it starts");
    assert_eq!(said(&service, "/waiting/with-error/this/5").await, "ok did this");
    assert!(
        said(&service, "/waiting/with-error/late")
            .await
            .starts_with("err timeout")
    );
    let calls = service.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (&*calls[0].interface, &*calls[0].function),
        (WAITING, "with-error")
    );
    assert_eq!(calls[0].arguments, [value::string("this"), value::int(5)]);
}

#[tokio::test]
async fn a_plain_function_is_stubbed_for_either_engine() {
    for component in ["link-fault-caller", "link-fault-caller-p2"] {
        let mut builder = Service::builder(fixture(component))
            .stub_sync(PLAIN, "with-text", |_| value::err(value::string("not today")));
        if component == "link-fault-caller" {
            builder = builder.unavailable(WAITING);
        }
        let service = builder.start().await.expect("it starts");
        let said = said(&service, "/plain/with-text/answer").await;
        assert!(said.contains("not today"), "{component}: {said}");
    }
}

#[tokio::test]
async fn a_failure_of_a_stub_reaches_the_guest_as_that_of_a_service() {
    let away = Arc::new(AtomicBool::new(true));
    let is_away = away.clone();
    let answer = move |_| match is_away.load(Ordering::Relaxed) {
        true => Err("gone fishing"),
        false => Ok(value::ok(value::string("back"))),
    };
    let service = caller()
        .unavailable(PLAIN)
        .stub_sync(WAITING, "with-error", answer)
        .stub_sync(WAITING, "without", |_| Answer::failure("gone fishing"))
        .start()
        .await
        .expect("it starts");
    let failed = said(&service, "/waiting/with-error/answer").await;
    assert!(failed.starts_with("err unavailable"), "{failed}");
    assert!(failed.contains("gone fishing"), "{failed}");
    away.store(false, Ordering::Relaxed);
    assert_eq!(said(&service, "/waiting/with-error/answer").await, "ok back");
    assert!(
        said(&service, "/plain/with-kind/answer")
            .await
            .contains("unavailable")
    );
    // A function without a `result` cannot carry a failure.
    let trapped = service.request(get("/waiting/without/answer")).await;
    let trapped = format!("{:?}", trapped.expect_err("the caller traps"));
    assert!(trapped.contains("gone fishing"), "{trapped}");
}

#[tokio::test]
async fn a_stub_of_what_is_not_imported_is_an_error_that_names_what_is() {
    let nothing = |_| value::none();
    for (refused, names) in [
        (
            caller()
                .stub_sync("link:other/plain@1.0.0", "f", nothing)
                .start()
                .await,
            "`link:other/plain@1.0.0`",
        ),
        (
            caller().stub_sync(PLAIN, "none", nothing).start().await,
            "`none` of `link:fault/plain@1.0.0`",
        ),
        (
            caller()
                .stub_sync("link:fault/plain@2.0.0", "without", nothing)
                .start()
                .await,
            "@2.0.0`",
        ),
        (
            caller().unavailable("link:fault/plain@0.9.0").start().await,
            "@0.9.0`",
        ),
    ] {
        let refused = refused.expect_err(names);
        let shown = format!("{refused:?}");
        assert!(matches!(refused, Error::NotImported { .. }), "{shown}");
        assert!(
            shown.contains(names) && shown.contains("`link:fault/waiting@1.0.0` ("),
            "{shown}"
        );
        assert!(shown.contains("with-bare-error"), "{shown}");
    }
    let unnamed = caller().unavailable("fault").start().await;
    assert!(matches!(unnamed, Err(Error::Interface { .. })), "{unnamed:?}");
    let none = Service::builder(fixture("hello-p3"))
        .unavailable(PLAIN)
        .start()
        .await;
    assert!(
        format!("{none:?}").contains("it imports nothing of other services"),
        "{none:?}"
    );
}

#[tokio::test]
async fn an_import_without_a_stub_is_an_error_that_names_it() {
    let refused = caller()
        .unavailable(PLAIN)
        .start()
        .await
        .expect_err("one is missing");
    let shown = refused.to_string();
    assert!(matches!(refused, Error::NotStubbed { .. }), "{shown}");
    assert!(
        shown.contains("`link:fault/waiting@1.0.0` (") && !shown.contains("plain"),
        "{shown}"
    );
    let robots = Service::builder(fixture("import-unknown")).start().await;
    let shown = format!("{:?}", robots.expect_err("nobody wakes the robots"));
    assert!(shown.contains("`acme:warehouse/robots@1.2.3` (wake)"), "{shown}");
}

#[tokio::test]
async fn a_newer_stub_serves_an_older_import() {
    let service = caller()
        .unavailable(PLAIN)
        .stub_sync("link:fault/waiting@1.4.0", "with-error", |_| {
            value::ok(value::string("newer"))
        })
        .start()
        .await
        .expect("it starts");
    assert_eq!(said(&service, "/waiting/with-error/answer").await, "ok newer");
}

#[tokio::test]
async fn a_stub_that_is_wrong_fails_the_request_whatever_the_guest_makes_of_it() {
    let service = caller()
        .unavailable(PLAIN)
        .stub_sync(WAITING, "with-error", |_| value::string("no result"))
        .stub_sync(WAITING, "with-kind", |_| ())
        .stub_sync(WAITING, "with-text", |_| -> Answer {
            panic!("the stub has a fault")
        })
        .start()
        .await
        .expect("it starts");
    let faults = [
        (
            "with-error",
            "it is String(\"no result\"), not result<string, variant {",
        ),
        (
            "with-kind",
            "answered nothing, and the function returns result<string, enum {",
        ),
        ("with-text", "panicked: the stub has a fault"),
        (
            "with-code",
            "called `with-code` of `link:fault/waiting@1.0.0`, which has no stub",
        ),
    ];
    for (function, says) in faults {
        let failed = service.request(get(&format!("/waiting/{function}/answer"))).await;
        let failed = failed.expect_err(says);
        assert!(matches!(failed, Error::Stub { .. }), "{failed:?}");
        assert!(format!("{failed:?}").contains(says), "{failed:?}");
    }
    let missing = service.request(get("/waiting/with-code/answer")).await;
    let Err(Error::Stub { source, .. }) = missing else {
        panic!("{missing:?}");
    };
    assert!(matches!(*source, StubFault::Missing { .. }), "{source:?}");
}
