//! `timeout` and `cpu_time`.

use super::{GUESTS, assert_logged_once, assert_problem, errors, http};

#[tokio::test]
async fn a_service_that_takes_longer_than_its_time_is_a_504() {
    let host = http("timeout = \"200ms\"").start().await;
    for guest in GUESTS {
        let answer = host.get(&format!("/{guest}/never-responds")).await;
        assert_problem(&answer, 504, "timeout");
        assert!(answer.text().contains("200ms"), "{answer:?}");
        assert_eq!(errors(&host, guest, "timeout").await, 1.0);
        assert_eq!(host.get(&format!("/{guest}/hello")).await.text(), "hello\n");
    }
    let lines = host.stop().await;
    for guest in GUESTS {
        assert_logged_once(&lines, guest, "timeout", &["200ms"]);
    }
}

#[tokio::test]
async fn a_service_that_computes_longer_than_it_may_is_a_500() {
    let host = http("cpu_time = \"50ms\"").start().await;
    for guest in GUESTS {
        let answer = host.get(&format!("/{guest}/infinite-loop")).await;
        assert_problem(&answer, 500, "cpu-time");
        assert_eq!(errors(&host, guest, "cpu_time").await, 1.0);
        // To wait costs nothing.
        assert_eq!(host.get(&format!("/{guest}/sleep/200")).await.text(), "awake");
    }
    let lines = host.stop().await;
    for guest in GUESTS {
        assert_logged_once(&lines, guest, "cpu-time", &["50ms", "cpu_time"]);
    }
}
