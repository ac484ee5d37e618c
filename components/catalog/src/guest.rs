//! The component's entry for HTTP, and the one catalog that both entries use.

use std::rc::Rc;

use bytes::Bytes;
use catalog_domain::Catalog;
use http_body_util::Full;
use spin_sdk::http::Request;
use spin_sdk::http_service;

use crate::access::keys::Verifier;
use crate::adapter::spin::{DefaultDatabase, Jwks};
use crate::adapter::store::Sqlite;
use crate::adapter::world::{RandomIds, SystemClock};
use crate::http::Edge;

/// The catalog over Spin's interfaces.
pub(crate) type Service = Edge<Sqlite<DefaultDatabase>, SystemClock, RandomIds, Jwks>;

thread_local! {
    static SERVICE: Rc<Service> = Rc::new(Edge::new(
        Catalog::new(Sqlite::new(DefaultDatabase), SystemClock, RandomIds),
        Verifier::new(Jwks, SystemClock),
    ));
}

/// The catalog. It keeps the key set between requests of one instance.
pub(crate) fn service() -> Rc<Service> {
    SERVICE.with(Rc::clone)
}

#[http_service]
async fn handle(request: Request) -> http::Response<Full<Bytes>> {
    service().answer(request).await
}
