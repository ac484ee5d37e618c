//! The HTTP interface: one table of operations, the same as in `openapi.json`, which a test holds it against.
//!
//! An operation that writes asks who is there before it reads anything else of the request.

mod document;
mod products;
mod refusal;
mod reservations;

use bytes::Bytes;
use catalog_domain::Catalog;
use catalog_domain::port::{Clock, Ids, Store};
use http::header::HeaderMap;
use http::{Method, Request, StatusCode};
use http_body::Body;
use rest::response::ResponseExt;
use rest::{Match, Problem, Response, Route};
use serde::Deserialize;

use crate::access::ADMIN;
use crate::access::keys::{Denied, Fetch, Verifier};

/// The largest request body, in bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// The OpenAPI 3.1 document of this interface.
pub const OPENAPI: &str = include_str!("../openapi.json");

const fn route(method: Method, path: &'static str, operation_id: &'static str) -> Route {
    Route {
        method,
        path,
        operation_id,
    }
}

/// Every operation. `GET` also answers `HEAD`.
pub static ROUTES: &[Route] = &[
    route(Method::GET, "/catalog/products", "listProducts"),
    route(Method::POST, "/catalog/products", "createProduct"),
    route(Method::GET, "/catalog/products/{id}", "getProduct"),
    route(Method::PUT, "/catalog/products/{id}", "updateProduct"),
    route(Method::DELETE, "/catalog/products/{id}", "deleteProduct"),
    route(Method::PUT, "/catalog/products/{id}/stock", "setStock"),
    route(Method::POST, "/catalog/reservations", "reserve"),
    route(Method::GET, "/catalog/reservations/{id}", "getReservation"),
    route(
        Method::POST,
        "/catalog/reservations/{id}/commit",
        "commitReservation",
    ),
    route(
        Method::POST,
        "/catalog/reservations/{id}/release",
        "releaseReservation",
    ),
    route(Method::GET, "/catalog/openapi.json", "getOpenApi"),
];

/// A catalog and who may write to it, behind HTTP.
#[derive(Debug)]
pub struct Edge<S, C, I, F> {
    catalog: Catalog<S, C, I>,
    verifier: Verifier<F, C>,
}

impl<S: Store, C: Clock, I: Ids, F: Fetch> Edge<S, C, I, F> {
    /// In front of a catalog.
    pub fn new(catalog: Catalog<S, C, I>, verifier: Verifier<F, C>) -> Self {
        Self { catalog, verifier }
    }

    /// The catalog behind it.
    pub fn catalog(&self) -> &Catalog<S, C, I> {
        &self.catalog
    }

    /// Answers a request. Whatever goes wrong is a problem (RFC 9457).
    pub async fn answer<B: Body<Data = Bytes>>(&self, request: Request<B>) -> Response {
        match self.dispatch(request).await {
            Ok(response) => response,
            Err(problem) => problem.into(),
        }
    }

    async fn dispatch<B: Body<Data = Bytes>>(&self, request: Request<B>) -> Result<Response, Problem> {
        let found = rest::route(ROUTES, request.method(), request.uri().path())?;
        match found.operation_id {
            "listProducts" => self.list_products(&request).await,
            "getProduct" => self.get_product(&request, &found).await,
            "getOpenApi" => open_api(&request),
            operation => {
                self.require_admin(request.headers()).await?;
                self.dispatch_admin(operation, request, &found).await
            }
        }
    }

    async fn dispatch_admin<B: Body<Data = Bytes>>(
        &self,
        operation: &str,
        request: Request<B>,
        found: &Match,
    ) -> Result<Response, Problem> {
        no_parameters(&request)?;
        match operation {
            "createProduct" => self.create_product(request).await,
            "updateProduct" => self.update_product(request, found).await,
            "deleteProduct" => self.delete_product(&request, found).await,
            "setStock" => self.set_stock(request, found).await,
            "reserve" => self.reserve(request).await,
            "getReservation" => self.get_reservation(found).await,
            "commitReservation" => self.commit_reservation(found).await,
            "releaseReservation" => self.release_reservation(found).await,
            _ => Err(Problem::internal()),
        }
    }

    /// Goes on for an administrator only.
    async fn require_admin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let token = rest::bearer::token(headers)?;
        let principal = self
            .verifier
            .principal(token)
            .await
            .map_err(|denied| match denied {
                Denied::Token(error) => Problem::invalid_token(error.to_string()),
                Denied::NoKeys(error) => {
                    eprintln!("catalog: no key set of auth, so no token can be checked: {error}");
                    Problem::unavailable("access tokens cannot be checked at the moment", 3)
                }
            })?;
        if principal.has(ADMIN) {
            Ok(())
        } else {
            Err(Problem::forbidden(format!(
                "this needs the role {ADMIN}, which the token does not give"
            )))
        }
    }
}

fn open_api<B>(request: &Request<B>) -> Result<Response, Problem> {
    no_parameters(request)?;
    Ok(rest::response::json_text(StatusCode::OK, OPENAPI).with_cache_control("no-cache"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// Refuses query parameters, for operations that have none.
fn no_parameters<B>(request: &Request<B>) -> Result<(), Problem> {
    rest::read_query::<NoParameters>(request.uri()).map(|NoParameters {}| ())
}

#[cfg(test)]
mod tests;
