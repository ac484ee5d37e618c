//! The HTTP interface: one table of operations, the same as in `openapi.json`, which a test holds it against.
//!
//! Every operation but the document asks who is there before it reads anything else of the request. After it,
//! the request goes on with what earlier ones left undone.

mod document;
mod refusal;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName};
use http::{Method, Request, StatusCode, Uri};
use http_body::Body;
use orders_domain::Shop;
use orders_domain::item::Items;
use orders_domain::key::Key;
use orders_domain::order::Status;
use orders_domain::page::{Limit, Query};
use orders_domain::port::{Accounts, Caller, Catalogue, Clock, Ids, Orders, Stock};
use rest::response::ResponseExt;
use rest::{Match, Problem, Response, Route, json, read_json, read_query};
use serde::Deserialize;

use document::{NewOrder, OrderOut, PageOut, position};
use refusal::{bad_parameter, problem, unprocessable};

/// The largest request body, in bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// The OpenAPI 3.1 document of this interface.
pub const OPENAPI: &str = include_str!("../openapi.json");

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const fn route(method: Method, path: &'static str, operation_id: &'static str) -> Route {
    Route {
        method,
        path,
        operation_id,
    }
}

/// Every operation. `GET` also answers `HEAD`.
pub static ROUTES: &[Route] = &[
    route(Method::GET, "/orders", "listOrders"),
    route(Method::POST, "/orders", "placeOrder"),
    // Before the next: no order has this id.
    route(Method::GET, "/orders/openapi.json", "getOpenApi"),
    route(Method::GET, "/orders/{id}", "getOrder"),
    route(Method::POST, "/orders/{id}/cancel", "cancelOrder"),
];

/// The orders of the shop, behind HTTP.
#[derive(Debug)]
pub struct Edge<P, R, T> {
    shop: Shop<P, R, T>,
}

impl<P, R, T> Edge<P, R, T>
where
    P: Accounts + Catalogue + Stock,
    R: Orders,
    T: Clock + Ids,
{
    /// In front of a shop.
    pub fn new(shop: Shop<P, R, T>) -> Self {
        Self { shop }
    }

    /// Answers a request. Whatever goes wrong is a problem (RFC 9457). Also whether it came from somebody who
    /// is known: then [`Edge::sweep`] is to follow.
    pub async fn answer<B: Body<Data = Bytes>>(&self, request: Request<B>) -> (Response, bool) {
        let mut known = false;
        let answered = self.dispatch(request, &mut known).await;
        (answered.unwrap_or_else(Response::from), known)
    }

    /// Goes on with what is due, which is not what the request was about: so its answer does not wait for
    /// this, which may take as long as the catalog does.
    pub async fn sweep(&self) {
        if let Err(error) = self.shop.sweep().await {
            eprintln!("orders: going on with what is due: {error}");
        }
    }

    async fn dispatch<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
        known: &mut bool,
    ) -> Result<Response, Problem> {
        let found = rest::route(ROUTES, request.method(), request.uri().path())?;
        if found.operation_id == "getOpenApi" {
            no_parameters(request.uri())?;
            return Ok(rest::response::json_text(StatusCode::OK, OPENAPI).with_cache_control("no-cache"));
        }
        let token = rest::bearer::token(request.headers())?;
        let caller = self.shop.caller(token).await.map_err(problem)?;
        *known = true;
        match found.operation_id {
            "listOrders" => self.list(&caller, request.uri()).await,
            "placeOrder" => self.place(&caller, request).await,
            "getOrder" => self.get(&caller, &found, request.uri()).await,
            "cancelOrder" => self.cancel(&caller, &found, request.uri()).await,
            // The table has no other.
            _ => Err(Problem::internal()),
        }
    }

    async fn place<B: Body<Data = Bytes>>(
        &self,
        caller: &Caller,
        request: Request<B>,
    ) -> Result<Response, Problem> {
        no_parameters(request.uri())?;
        let key = idempotency_key(request.headers())?;
        let new: NewOrder = read_json(request, BODY_MAX).await?;
        let items = new
            .items
            .iter()
            .map(|item| (item.product_id.as_str(), item.quantity));
        let items = Items::parse(items).map_err(|invalid| unprocessable(&invalid))?;
        let placed = self.shop.place(caller, &key, &items).await.map_err(problem)?;
        let order = placed.order();
        let location = format!("/orders/{}", order.id);
        // Repeated too: the order was placed, whatever became of it since.
        Ok(self.shown(StatusCode::CREATED, order).with_location(&location))
    }

    async fn get(&self, caller: &Caller, found: &Match, uri: &Uri) -> Result<Response, Problem> {
        no_parameters(uri)?;
        let order = self
            .shop
            .order(caller, found.param("id"))
            .await
            .map_err(problem)?;
        Ok(self.shown(StatusCode::OK, &order))
    }

    async fn cancel(&self, caller: &Caller, found: &Match, uri: &Uri) -> Result<Response, Problem> {
        no_parameters(uri)?;
        let order = self
            .shop
            .cancel(caller, found.param("id"))
            .await
            .map_err(problem)?;
        Ok(self.shown(StatusCode::OK, &order))
    }

    async fn list(&self, caller: &Caller, uri: &Uri) -> Result<Response, Problem> {
        let parameters: ListParameters = read_query(uri)?;
        let limit = parameters.limit.map(Limit::parse).transpose();
        let status = |name: &str| Status::parse(name).ok_or_else(|| "is no status of an order".to_owned());
        let status = parameters.status.as_deref().map(status).transpose();
        let all = parameters.all.unwrap_or_default();
        let query = Query {
            customer: (!all).then(|| caller.customer.clone()),
            status: status.map_err(|detail| bad_parameter("status", &detail))?,
            after: parameters.cursor.as_deref().map(position).transpose()?,
            limit: limit
                .map_err(|detail| bad_parameter("limit", &detail))?
                .unwrap_or_default(),
        };
        let page = self.shop.list(caller, &query).await.map_err(problem)?;
        Ok(json(StatusCode::OK, &PageOut::from(&page)).with_cache_control("no-store"))
    }

    fn shown(&self, status: StatusCode, order: &orders_domain::order::Order) -> Response {
        json(status, &OrderOut::of(order, self.shop.policy())).with_cache_control("no-store")
    }
}

/// The key of an attempt to order (draft-ietf-httpapi-idempotency-key-header). The whole field is the key,
/// quotes included, should there be any.
fn idempotency_key(headers: &HeaderMap) -> Result<Key, Problem> {
    let mut fields = headers.get_all(IDEMPOTENCY_KEY).iter();
    let text = match (fields.next(), fields.next()) {
        (Some(field), None) => field.to_str(),
        (None, _) => {
            return Err(Problem::bad_request(
                "send Idempotency-Key: a text of your own for this order, so that it can be repeated safely",
            ));
        }
        (Some(_), Some(_)) => return Err(Problem::bad_request("send Idempotency-Key once")),
    };
    let key = Key::parse(text.unwrap_or_default());
    key.map_err(|detail| Problem::bad_request(format!("Idempotency-Key {detail}")))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    all: Option<bool>,
    status: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// Refuses query parameters, for operations that have none.
fn no_parameters(uri: &Uri) -> Result<(), Problem> {
    read_query::<NoParameters>(uri).map(|NoParameters {}| ())
}

#[cfg(test)]
mod tests;
