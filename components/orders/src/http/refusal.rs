//! The one place where the domain's errors become problems.
//!
//! Those that a program may want to tell apart have a `type` of their own: a reference into the OpenAPI
//! document, where their members are described.

use std::time::Duration;

use orders_domain::Error;
use orders_domain::order::{Order, Refusal};
use orders_domain::port::{AccountsError, StockError, StoreError};
use orders_domain::time::whole_seconds;
use orders_domain::violation::{Invalid, Violation};
use rest::Problem;
use serde_json::json;

use super::document::{RefusalOut, shown};

/// `type` of a 409: less in stock than asked for.
pub(super) const INSUFFICIENT_STOCK: &str = "/orders/openapi.json#/components/schemas/InsufficientStock";
/// `type` of a 409: the order came to nothing, for another reason.
pub(super) const NOT_PLACED: &str = "/orders/openapi.json#/components/schemas/NotPlaced";
/// `type` of a 409: somebody is at work on the order.
pub(super) const IN_PROGRESS: &str = "/orders/openapi.json#/components/schemas/InProgress";
/// `type` of a 409: the order cannot be cancelled, or no longer.
pub(super) const NOT_CANCELLABLE: &str = "/orders/openapi.json#/components/schemas/NotCancellable";
/// `type` of a 422: the idempotency key stands for another order.
pub(super) const KEY_REUSED: &str = "/orders/openapi.json#/components/schemas/KeyReused";

/// How long to wait for a service that is away, in seconds.
const AWAY_SECONDS: u64 = 1;

/// What the client is told of an error. What only the operator should know is logged.
pub(super) fn problem(error: Error) -> Problem {
    match error {
        Error::Invalid(invalid) => unprocessable(&invalid),
        Error::NoProduct { item, .. } => {
            Problem::invalid_value(&format!("/items/{item}/product_id"), "no product has this id")
        }
        Error::NoOrder => Problem::not_found("you have no order of this id"),
        Error::NotAdmin => Problem::forbidden("all=true needs the role admin, which the token does not give"),
        Error::KeyReused => Problem::unprocessable(
            "this Idempotency-Key was used for an order of other items: use a new one for a new order",
        )
        .typed(KEY_REUSED, "Idempotency key reused"),
        Error::InProgress(left) => in_progress(left),
        Error::NotPlaced(order) => not_placed(&order),
        Error::NotCancellable(status) => Problem::conflict(format!(
            "there is nothing to cancel: the order is {}",
            status.as_str()
        ))
        .typed(NOT_CANCELLABLE, "Not cancellable")
        .with("order_status", status.as_str()),
        Error::TooLate(end) => Problem::conflict(format!(
            "the order could be cancelled until {}; it has been handed to shipping",
            shown(end)
        ))
        .typed(NOT_CANCELLABLE, "Not cancellable")
        .with("order_status", "confirmed")
        .with("cancellable_until", shown(end)),
        Error::Accounts(AccountsError::Invalid(reason)) => {
            Problem::invalid_token(format!("the access token is not valid: {reason}"))
        }
        Error::Accounts(error @ AccountsError::Expired) => Problem::invalid_token(error.to_string()),
        Error::Accounts(AccountsError::Unavailable(_)) => {
            Problem::unavailable("access tokens cannot be checked at the moment", AWAY_SECONDS)
        }
        Error::Prices(_) => Problem::unavailable(
            "the catalog does not answer at the moment; nothing was ordered, repeat the request",
            AWAY_SECONDS,
        ),
        Error::Stock(StockError::Unavailable(_)) => Problem::unavailable(
            "the catalog does not answer at the moment; repeat the request, which goes on where it stopped",
            AWAY_SECONDS,
        ),
        Error::Stock(error) => {
            eprintln!("orders: {error}");
            Problem::internal()
        }
        Error::Store(error) => unanswered(&error),
    }
}

fn in_progress(left: Duration) -> Problem {
    let wait = whole_seconds(left).max(1);
    Problem::conflict("this order is being worked on by another request: repeat this one later")
        .typed(IN_PROGRESS, "In progress")
        .with_header(http::header::RETRY_AFTER, wait.into())
}

fn not_placed(order: &Order) -> Problem {
    let (status, id) = (order.status.as_str(), order.id.to_string());
    match order.refusal.map(|refusal| (refusal, RefusalOut::from(refusal))) {
        Some((Refusal::Short { .. }, refused)) => Problem::conflict(format!(
            "{} pieces of product {} were asked for, and {} are available; nothing was ordered",
            refused.requested.unwrap_or_default(),
            refused.product_id,
            refused.available.unwrap_or_default(),
        ))
        .typed(INSUFFICIENT_STOCK, "Insufficient stock")
        .with("product_id", refused.product_id)
        .with("requested", refused.requested)
        .with("available", refused.available),
        Some((Refusal::Gone(_), refused)) => Problem::conflict(format!(
            "product {} is no longer for sale; nothing was ordered",
            refused.product_id
        ))
        .typed(NOT_PLACED, "Not placed")
        .with("product_id", refused.product_id),
        None => Problem::conflict(format!(
            "the order was not confirmed, it is {status}; use a new Idempotency-Key to order again"
        ))
        .typed(NOT_PLACED, "Not placed"),
    }
    .with("order_id", id)
    .with("order_status", status)
}

fn unanswered(error: &StoreError) -> Problem {
    eprintln!("orders: {error}");
    match error {
        StoreError::Busy => Problem::unavailable("too many others are writing: repeat the request", 1),
        StoreError::Full => Problem::unavailable(
            "there is no room left to write: the operator has to act, then repeat the request",
            60,
        ),
        StoreError::Refused(_) | StoreError::Unreadable(_) | StoreError::Failed(_) => Problem::internal(),
    }
}

/// 422, with the places in the body.
pub(super) fn unprocessable(invalid: &Invalid) -> Problem {
    let place = |at: &Violation| json!({ "detail": at.detail, "pointer": at.place });
    let places: serde_json::Value = invalid.violations().iter().map(place).collect();
    Problem::unprocessable(invalid.to_string()).with("errors", places)
}

/// 400, with the name of the query's parameter.
pub(super) fn bad_parameter(name: &str, detail: &str) -> Problem {
    Problem::bad_request(format!("{name} {detail}"))
        .with("errors", json!([{ "detail": detail, "parameter": name }]))
}
