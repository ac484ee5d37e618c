//! A client that hangs up stops the whole chain that works for it, and the deepest callee's Wasm store goes.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{calls, calls_in_flight, links, of_service};
use crate::harness::{TestHost, eventually, soon};

/// The longest that the deepest Wasm store of a chain that waits may outlive the client's connection: it takes 1 to 3 ms.
const BOUND: Duration = Duration::from_millis(100);

/// The same for one whose guests are stopped in the middle of their code. Wasmtime then makes a backtrace of each, which takes
/// tens of milliseconds of computing, and so as long as the machine has other work.
const BOUND_IN_CODE: Duration = Duration::from_secs(2);

/// Longer than a request may take.
const LONG: u32 = 60_000;

/// Tells the deepest to loop instead.
const FOR_EVER: u32 = u32::MAX;

const P2: (&str, &str) = ("link-ring-p2", "link:ring/plain-step@1.0.0");
const P3: (&str, &str) = ("link-ring", "link:ring/step@1.0.0");

/// Three services in a ring, entered at `a`.
async fn ring((fixture, interface): (&str, &str)) -> TestHost {
    TestHost::builder()
        .service("a", fixture)
        .tables(&links("a", &[(interface, "b")]))
        .service("b", fixture)
        .tables(&links("b", &[(interface, "c")]))
        .service("c", fixture)
        .tables(&links("c", &[(interface, "a")]))
        .route("/...", "a")
        .start()
        .await
}

/// How long after the client hung up the deepest Wasm store was there, as far as can be told from outside.
#[derive(Debug)]
struct Outlived {
    /// It was there when this was asked for the last time.
    at_least: Duration,
    /// It was gone when this was answered.
    at_most: Duration,
}

/// Hangs up as soon as the deepest of three services is at it, and waits until its Wasm store is gone.
async fn hang_up(host: &TestHost, milliseconds: u32) -> Outlived {
    let mut client = soon("a connection", TcpStream::connect(host.address))
        .await
        .expect("the host accepts");
    let request = format!("GET /1/{milliseconds} HTTP/1.1\r\nhost: test\r\n\r\n");
    client
        .write_all(request.as_bytes())
        .await
        .expect("the host reads");
    host.wait_for_log("the deepest callee", |line| {
        line.message() == "reached the end" && line.field("service") == "c"
    })
    .await;
    for service in ["a", "b", "c"] {
        assert_eq!(of_service(host, "midplane_instances", service).await, 1.0);
    }
    assert_eq!(calls_in_flight(host, "a", "b").await, 1.0);
    assert_eq!(calls_in_flight(host, "b", "c").await, 1.0);
    drop(client);
    let hung_up = Instant::now();
    soon("the deepest store to go", async {
        let mut at_least = Duration::ZERO;
        loop {
            let asked = hung_up.elapsed();
            if of_service(host, "midplane_instances", "c").await == 0.0 {
                let at_most = hung_up.elapsed();
                return Outlived { at_least, at_most };
            }
            at_least = asked;
        }
    })
    .await
}

async fn check(members: (&str, &str), milliseconds: u32) {
    let host = ring(members).await;
    let outlived = hang_up(&host, milliseconds).await;
    let what = format!("{}, {milliseconds} ms: {outlived:?}", members.0);
    println!("{what}");
    assert!(outlived.at_least <= outlived.at_most);
    let bound = match (members == P3, milliseconds) {
        (true, LONG) => BOUND,
        _ => BOUND_IN_CODE,
    };
    assert!(outlived.at_least <= bound, "{what}");
    for service in ["a", "b", "c"] {
        for gauge in ["midplane_instances", "midplane_requests_in_flight"] {
            eventually("every store and every request to go", async || {
                of_service(&host, gauge, service).await == 0.0
            })
            .await;
        }
    }
    for (caller, callee) in [("a", "b"), ("b", "c")] {
        assert_eq!(calls_in_flight(&host, caller, callee).await, 0.0);
        assert_eq!(calls(&host, caller, callee, "cancelled").await, 1.0);
    }
    // Nobody failed.
    let lines = host.stop().await;
    assert!(
        lines
            .iter()
            .all(|line| line.field("target") != "midplane::failure"),
        "{lines:?}"
    );
}

/// One after another, so that a chain that loops takes no time from one that is measured.
#[tokio::test]
async fn a_chain_of_calls_stops_with_its_client() {
    for members in [P3, P2] {
        for milliseconds in [LONG, FOR_EVER] {
            check(members, milliseconds).await;
        }
    }
}
