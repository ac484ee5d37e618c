//! Environment variables, arguments, randomness and standard output.

use super::{GUESTS, http};

#[tokio::test]
async fn a_guest_sees_the_environment_of_its_manifest_and_nothing_of_the_hosts() {
    let host = http("environment = { LEVEL = \"debug\", EMPTY = \"\" }")
        .env("FROM_THE_HOST", "leak")
        .start()
        .await;
    for guest in GUESTS {
        let seen = host.get(&format!("/{guest}/env")).await.json();
        assert_eq!(
            seen["variables"],
            serde_json::json!({ "LEVEL": "debug", "EMPTY": "" }),
            "{guest}"
        );
    }
}

#[tokio::test]
async fn the_command_line_adds_to_the_environment_of_every_guest() {
    let host = http("environment = { LEVEL = \"debug\" }")
        .arg("-e")
        .arg("LEVEL=trace")
        .arg("-e")
        .arg("A=b=c")
        .start()
        .await;
    for guest in GUESTS {
        let seen = host.get(&format!("/{guest}/env")).await.json();
        assert_eq!(
            seen["variables"],
            serde_json::json!({ "LEVEL": "trace", "A": "b=c" }),
            "{guest}"
        );
    }
}

#[tokio::test]
async fn instances_do_not_share_their_randomness() {
    let host = http("").start().await;
    for guest in GUESTS {
        let path = format!("/{guest}/random");
        let (one, other) = (host.get(&path).await.json(), host.get(&path).await.json());
        assert_ne!(one["hash"], other["hash"], "{guest}");
    }
}
