//! Caller and callee stay two services: each has its own data, grants, log lines and figures.

use super::outcome::PAIRS;
use super::{links, of_service};
use crate::harness::{Builder, TestHost};

const PER_SERVICE: &str = "[application.tool.midplane]\ndata = \"per-service\"";
const STORE: &str = "key_value_stores = [\"default\"]";
const CELLS: &str = "link:store/cells@1.0.0";

/// A user of a store that is a service of its own.
fn stores(store_grant: &str, user_grant: &str) -> Builder {
    TestHost::builder()
        .service("store", "link-store")
        .grant(store_grant)
        .service("user", "link-store-user")
        .grant(user_grant)
        .tables(&links("user", &[(CELLS, "store")]))
        .route("/...", "user")
}

#[tokio::test]
async fn a_label_of_both_is_a_store_for_each() {
    let host = stores(STORE, STORE).application(PER_SERVICE).start().await;
    assert_eq!(host.get("/other/put/key/theirs").await.text(), "ok kept\n");
    assert_eq!(host.get("/own/get/key").await.text(), "ok nothing\n");
    assert_eq!(host.get("/own/put/key/mine").await.text(), "ok kept\n");
    assert_eq!(host.get("/other/get/key").await.text(), "ok theirs\n");
    assert_eq!(host.get("/own/get/key").await.text(), "ok mine\n");
}

/// As on Spin, a label means the same to the whole app unless the manifest says otherwise.
#[tokio::test]
async fn without_data_per_service_a_label_of_both_is_one_store() {
    let host = stores(STORE, STORE).start().await;
    assert_eq!(host.get("/other/put/key/theirs").await.text(), "ok kept\n");
    assert_eq!(host.get("/own/get/key").await.text(), "ok theirs\n");
}

#[tokio::test]
async fn what_one_may_use_says_nothing_of_the_other() {
    let host = stores(STORE, "").application(PER_SERVICE).start().await;
    assert_eq!(host.get("/other/put/key/theirs").await.text(), "ok kept\n");
    assert_eq!(host.get("/own/get/key").await.text(), "err Error::AccessDenied\n");

    let host = stores("", STORE).application(PER_SERVICE).start().await;
    assert_eq!(
        host.get("/other/get/key").await.text(),
        "err Error::AccessDenied\n"
    );
    assert_eq!(host.get("/own/put/key/mine").await.text(), "ok kept\n");
}

#[tokio::test]
async fn lines_and_work_are_those_of_the_service_that_does_them() {
    for (contract, caller, callee) in PAIRS {
        let both = [
            ("link:fault/plain@1.0.0", "callee"),
            ("link:fault/waiting@1.0.0", "callee"),
        ];
        let imported = if caller.ends_with("p2") {
            &both[..1]
        } else {
            &both[..]
        };
        let host = TestHost::builder()
            .service("callee", callee)
            .service("caller", caller)
            .tables(&links("caller", imported))
            .route("/...", "caller")
            .start()
            .await;
        let answer = host
            .get(&["", contract, "with-error", "work", "200"].join("/"))
            .await;
        assert_eq!(answer.text(), "ok worked for 200 ms\n");
        let ours = of_service(&host, "midplane_cpu_seconds_total", "caller").await;
        let theirs = of_service(&host, "midplane_cpu_seconds_total", "callee").await;
        assert!(
            theirs > 0.05 && theirs > 2.0 * ours,
            "{contract} {caller} → {callee}: {ours} s and {theirs} s"
        );
        assert!(of_service(&host, "midplane_linear_memory_bytes", "callee").await > 0.0);
        let line = host
            .wait_for_log("the callee's line", |line| line.message() == "began work")
            .await;
        assert_eq!(line.field("service"), "callee", "{}", line.text());
        assert!(!line.field("request_id").is_empty(), "{}", line.text());
    }
}
