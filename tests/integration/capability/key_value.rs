//! Key-value stores.

use http::Request;
use serde_json::json;

use super::{GUESTS, data, put};
use crate::harness::{TestHost, empty};

const PER_SERVICE: &str = "[application.tool.midplane]\ndata = \"per-service\"";

async fn delete(host: &TestHost, path: &str) -> u16 {
    host.request(Request::delete(path).body(empty()).unwrap())
        .await
        .status
        .as_u16()
}

#[tokio::test]
async fn values_are_kept_listed_and_deleted() {
    let host = data("key_value_stores = [\"default\"]")
        .application(PER_SERVICE)
        .start()
        .await;
    for guest in GUESTS {
        let store = format!("/{guest}/kv/default");
        assert_eq!(host.get(&store).await.json(), json!([]));
        assert_eq!(host.get(&format!("{store}/a")).await.status, 404);
        assert_eq!(
            put(&host, &format!("{store}/a"), b"\x00\xff bytes").await.status,
            204
        );
        assert_eq!(put(&host, &format!("{store}/b%2Fc"), b"").await.status, 204);
        assert_eq!(
            host.get(&format!("{store}/a")).await.body,
            b"\x00\xff bytes".as_slice()
        );
        assert_eq!(host.get(&format!("{store}/b%2Fc")).await.status, 200);
        assert_eq!(put(&host, &format!("{store}/a"), b"changed").await.status, 204);
        assert_eq!(host.get(&format!("{store}/a")).await.text(), "changed");
        assert_eq!(host.get(&store).await.json(), json!(["a", "b/c"]));
        let head = |key: &str| Request::head(format!("{store}/{key}")).body(empty()).unwrap();
        assert_eq!(host.request(head("a")).await.status, 200);
        assert_eq!(host.request(head("z")).await.status, 404);
        assert_eq!(delete(&host, &format!("{store}/a")).await, 204);
        assert_eq!(
            delete(&host, &format!("{store}/a")).await,
            204,
            "deleting what is not there is no error"
        );
        assert_eq!(host.get(&store).await.json(), json!(["b/c"]));
    }
}

#[tokio::test]
async fn values_outlive_the_host() {
    let app = data("key_value_stores = [\"default\"]");
    let host = app.start().await;
    put(&host, "/p2/kv/default/kept", b"for good").await;
    host.stop().await;
    let host = app.start().await;
    assert_eq!(host.get("/p2/kv/default/kept").await.text(), "for good");
}

#[tokio::test]
async fn a_value_that_was_acknowledged_survives_a_killed_host() {
    let app = data("key_value_stores = [\"default\"]");
    for round in 0..3 {
        let mut host = app.start().await;
        for guest in GUESTS {
            let path = format!("/{guest}/kv/default/{guest}-{round}");
            assert_eq!(put(&host, &path, b"acknowledged").await.status, 204);
        }
        host.signal(rustix::process::Signal::KILL);
        host.finish().await;
    }
    let host = app.start().await;
    let keys = host.get("/p2/kv/default").await.json();
    assert_eq!(keys, json!(["p2-0", "p2-1", "p2-2", "p3-0", "p3-1", "p3-2"]));
}

#[tokio::test]
async fn without_the_key_a_label_belongs_to_the_app_and_with_it_to_the_service() {
    let shared = data("key_value_stores = [\"default\"]").start().await;
    put(&shared, "/p2/kv/default/x", b"from p2").await;
    assert_eq!(shared.get("/p3/kv/default/x").await.text(), "from p2");

    let apart = data("key_value_stores = [\"default\"]")
        .application(PER_SERVICE)
        .start()
        .await;
    put(&apart, "/p2/kv/default/x", b"from p2").await;
    assert_eq!(apart.get("/p3/kv/default/x").await.status, 404);
}

#[tokio::test]
async fn a_label_that_was_not_granted_is_denied() {
    let host = data("key_value_stores = [\"default\"]").start().await;
    for guest in GUESTS {
        for label in ["other", "..", "default%00", "..%2Fdefault"] {
            let answer = host.get(&format!("/{guest}/kv/{label}/a")).await;
            assert_eq!(answer.status, 422, "{guest} {label}");
            assert!(
                answer.text().contains("AccessDenied"),
                "{guest} {label}: {}",
                answer.text()
            );
        }
    }
}

#[tokio::test]
async fn keys_are_data_and_never_statements() {
    let host = data("key_value_stores = [\"default\"]").start().await;
    let hostile = "'%3B%20DROP%20TABLE%20spin_key_value%3B--";
    for guest in GUESTS {
        let path = format!("/{guest}/kv/default/{hostile}");
        assert_eq!(put(&host, &path, b"kept").await.status, 204);
        assert_eq!(host.get(&path).await.text(), "kept");
    }
}
