//! What a callee says reaches the caller as it was said, error or not; a service may be both.

use super::links;
use crate::harness::TestHost;

/// The contracts, callers and callees that go together.
pub(super) const PAIRS: [(&str, &str, &str); 4] = [
    ("plain", "link-fault-caller-p2", "link-fault-callee-p2"),
    ("plain", "link-fault-caller-p2", "link-fault-callee"),
    ("plain", "link-fault-caller", "link-fault-callee"),
    ("waiting", "link-fault-caller", "link-fault-callee"),
];

async fn host(caller: &str, callee: &str) -> TestHost {
    let both = [
        ("link:fault/plain@1.0.0", "callee"),
        ("link:fault/waiting@1.0.0", "callee"),
    ];
    let imported = if caller == "link-fault-caller" {
        &both[..]
    } else {
        &both[..1]
    };
    TestHost::builder()
        .service("callee", callee)
        .service("caller", caller)
        .tables(&links("caller", imported))
        .route("/...", "caller")
        .start()
        .await
}

#[tokio::test]
async fn values_and_errors_of_the_callee_arrive_as_they_are() {
    let cases = [
        ("with-error/answer/3", "ok answer 3\n"),
        ("with-error/fail", "err unavailable: the callee fails by itself\n"),
        ("with-bare-error/answer", "ok\n"),
        (
            "with-bare-error/fail",
            "err unavailable: the callee fails by itself\n",
        ),
        ("with-kind/answer/4", "ok answer 4\n"),
        ("with-kind/fail", "err unavailable\n"),
        ("with-text/answer", "ok\n"),
        ("with-text/fail", "err the callee fails by itself\n"),
        ("with-code/answer/5", "ok answer 5\n"),
        ("with-code/fail", "err 7\n"),
        ("without/answer/6", "ok answer 6\n"),
        ("without/late/5", "ok late by 5 ms\n"),
        ("without/revision", "ok build 1\n"),
        ("large/1000000", "ok 1000000 bytes\n"),
        (
            "with-error/answer/1?times=3&after=1",
            "ok answer 1\nok answer 1\nok answer 1\n",
        ),
    ];
    for (contract, caller, callee) in PAIRS {
        let host = host(caller, callee).await;
        for (path, wanted) in cases {
            let answer = host.get(&format!("/{contract}/{path}")).await;
            assert_eq!(
                answer.text(),
                wanted,
                "{caller} → {callee} {contract}/{path}: {}",
                host.log_text()
            );
        }
    }
}

#[tokio::test]
async fn calls_of_one_request_run_beside_each_other() {
    let host = host("link-fault-caller", "link-fault-callee").await;
    for contract in ["plain", "waiting"] {
        let path = format!("/{contract}/with-error/late/20?parallel=10");
        let answer = host.get(&path).await;
        assert_eq!(answer.text(), "ok late by 20 ms\n".repeat(10), "{contract}");
    }
}

#[tokio::test]
async fn services_that_call_each_other_get_through() {
    for (fixture, interface) in [
        ("link-ring", "link:ring/step@1.0.0"),
        ("link-ring-p2", "link:ring/plain-step@1.0.0"),
    ] {
        let host = TestHost::builder()
            .service("a", fixture)
            .tables(&links("a", &[(interface, "b")]))
            .service("b", fixture)
            .tables(&links("b", &[(interface, "a")]))
            .route("/...", "a")
            .start()
            .await;
        for steps in 0..4 {
            let answer = host.get(&format!("/{steps}/1")).await;
            assert_eq!(
                answer.text(),
                format!("ok {steps}\n"),
                "{fixture}: {}",
                host.log_text()
            );
        }
    }
}
