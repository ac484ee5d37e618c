//! The test of the README, run: `orders` alone, with stubs in place of what it calls.

use http::Request;
use midplane::testing::{Error, Service, value};

use crate::harness::component;

#[tokio::test]
async fn an_expired_token_is_refused_before_anything_is_asked_of_the_catalog() -> Result<(), Error> {
    let orders = Service::builder(component("orders"))
        .sqlite("default")
        .stub("shop:auth/tokens@1.0.0", "verify", |_| async {
            value::err(value::case("expired"))
        })
        .unavailable("shop:catalog/products@1.1.0")
        .unavailable("shop:catalog/inventory@1.1.0")
        .start()
        .await?;

    let request = Request::get("/orders").header("authorization", "Bearer an-old-one");
    let response = orders.request(request.body("").expect("it is a request")).await?;

    assert_eq!(response.status(), 401);
    let calls = orders.calls();
    let functions: Vec<&str> = calls.iter().map(|call| call.function.as_str()).collect();
    assert_eq!(functions, ["verify"]);
    Ok(())
}
