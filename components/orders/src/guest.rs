//! The component's entry, and the one service that its requests use.

use std::cell::RefCell;
use std::rc::Rc;

use orders_domain::Shop;
use rest::{Problem, Response};
use spin_sdk::http::Request;
use spin_sdk::{http_service, wit_bindgen};

use crate::adapter::links::Links;
use crate::adapter::spin::{self, DefaultDatabase};
use crate::adapter::store::Sqlite;
use crate::adapter::world::System;
use crate::http::Edge;

/// The service over its contracts and Spin's interfaces.
type Service = Edge<Links, Sqlite<DefaultDatabase>, System>;

thread_local! {
    /// What this instance has put together: the variables do not change during its life.
    static SERVICE: RefCell<Option<Rc<Service>>> = const { RefCell::new(None) };
}

async fn service() -> Result<Rc<Service>, Problem> {
    if let Some(service) = SERVICE.with_borrow(Option::clone) {
        return Ok(service);
    }
    let policy = spin::policy().await.map_err(|error| {
        eprintln!("orders: {error}");
        Problem::internal()
    })?;
    let shop = Shop::new(Links, Sqlite::new(DefaultDatabase), System, policy);
    let service = Rc::new(Edge::new(shop));
    SERVICE.set(Some(Rc::clone(&service)));
    Ok(service)
}

#[http_service]
async fn handle(request: Request) -> Response {
    let service = match service().await {
        Ok(service) => service,
        Err(problem) => return problem.into(),
    };
    let (response, known) = service.answer(request).await;
    if known {
        // The instance goes on with it once the response is out.
        wit_bindgen::spawn(async move { service.sweep().await });
    }
    response
}
