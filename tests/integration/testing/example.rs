//! The example of the module's documentation, run.

use std::time::Duration;

use midplane::testing::{Clock, Error, Service, value};

use crate::harness::component;

async fn a_customer_without_orders_has_an_empty_list() -> Result<(), Error> {
    let clock = Clock::at_unix(1_800_000_000);
    let orders = Service::builder("../components/target/wasm32-wasip2/release/orders.wasm")
        .name("orders")
        .sqlite("default")
        .variable("reservation_seconds", "60")
        .clock(clock.clone())
        .stub("shop:auth/tokens@1.0.0", "verify", |_| async {
            value::ok(value::record([
                ("subject", value::string("a customer")),
                ("email", value::string("customer@example.com")),
                ("roles", value::list([])),
                ("expires-at", value::int(1_900_000_000)),
            ]))
        })
        .unavailable("shop:catalog/products@1.1.0")
        .unavailable("shop:catalog/inventory@1.1.0")
        .start()
        .await?;

    clock.advance(Duration::from_secs(30));
    let request = http::Request::get("/orders").header("authorization", "Bearer token");
    let response = orders
        .request(request.body("").expect("the request is valid"))
        .await?;
    assert_eq!(response.status(), 200);
    assert_eq!(orders.calls().len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_example_of_the_documentation_passes() {
    component("orders");
    a_customer_without_orders_has_an_empty_list()
        .await
        .expect("it does what it says");
}

#[test]
fn the_example_of_the_documentation_is_the_one_above() {
    let page = include_str!("../../../host/src/testing.rs");
    let (_, block) = page.split_once("//! ```no_run\n").expect("there is an example");
    let (block, _) = block.split_once("//! ```\n").expect("it has an end");
    // Lines are broken elsewhere, since they begin elsewhere.
    let without_space = |text: &str| text.split_whitespace().collect::<String>();
    let own = without_space(include_str!("example.rs"));
    let shown = block.lines().map(|line| line.trim_start_matches("//!").trim());
    let shown: Vec<&str> = shown.filter(|line| !line.starts_with('#')).collect();
    let mut checked = 0;
    for part in shown.join("\n").split("\n\n") {
        assert!(own.contains(&without_space(part)), "not above:\n{part}");
        checked += part.lines().count();
    }
    assert!(checked > 20, "only {checked} lines");
}
