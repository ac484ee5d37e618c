//! The service `auth`: who sent a request, over HTTP and over the contract `shop:auth/tokens`.
//!
//! The rules are in the crate `auth-domain`. Here is what connects them with the world: [`http`] and [`contract`] on
//! the inside of the two entries, [`adapter`] on the outside of the ports, and [`app`], which puts the pieces together.

mod adapter;
mod app;
mod contract;
mod http;

use rest::Response;
use spin_sdk::http::Request;
use spin_sdk::http_service;

/// The HTTP entry.
#[http_service]
async fn handle(request: Request) -> Response {
    http::handle(request, app::open).await
}
